#include "rank/rank_scan.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF /* as gcc -std=c11: a fused multiply-add would round differently where there is one */
#endif

#define INLINE static inline __attribute__((always_inline))

typedef float lanes16 __attribute__((vector_size(64), aligned(4)));
typedef float lanes8 __attribute__((vector_size(32)));
typedef float lanes4 __attribute__((vector_size(16)));

INLINE float score_body(const float *query, const float *item, int64_t width)
{
	lanes16 sum = {0};
	int64_t i = 0;
	for (; i + 16 <= width; i += 16)
		sum += *(const lanes16 *)(query + i) * *(const lanes16 *)(item + i);
	for (int lane = 0; i < width; i++, lane++)
		sum[lane] += query[i] * item[i];
	lanes8 eight[2];
	memcpy(eight, &sum, sizeof eight);
	eight[0] += eight[1];
	lanes4 four[2];
	memcpy(four, eight, sizeof four);
	four[0] += four[1];
	return (four[0][0] + four[0][2]) + (four[0][1] + four[0][3]);
}

INLINE int filter_body(const struct probe *probe, float bar, float target, const int32_t *products, const float *scale,
	uint8_t hits[SCAN_TILE], int32_t *greater)
{
	const float factor = probe->factor, slack = probe->slack;
	const int32_t offset = probe->offset;
	int32_t hit[SCAN_TILE], any = 0, above = 0;
	for (int i = 0; i < SCAN_TILE; i++) {
		float middle = factor * (float)(products[i] + offset);
		float upper = scale[i] * (middle + slack), lower = scale[i] * (middle - slack);
		hit[i] = (upper >= bar) | ((upper >= target) & (lower <= target));
		any |= hit[i];
		above += (lower > target) & !hit[i];
	}
	*greater += above;
	int n = 0;
	for (int i = 0; any && i < SCAN_TILE; i++) {
		hits[n] = (uint8_t)i;
		n += hit[i];
	}
	return n;
}

static int filter_plain(const struct probe *probe, float bar, float target, const int32_t *products, const float *scale,
	uint8_t hits[SCAN_TILE], int32_t *greater)
{
	return filter_body(probe, bar, target, products, scale, hits, greater);
}

static float score_plain(const float *query, const float *item, int64_t width)
{
	return score_body(query, item, width);
}

static void products_plain(const uint8_t *items, int64_t words, const int8_t *const queries[], int n_queries,
	int32_t *products)
{
	for (int q = 0; q < n_queries; q++)
		for (int first = 0; first < SCAN_TILE; first += SCAN_LANES) {
			const uint8_t *item = items + first * words * 4;
			const int8_t *query = queries[q];
			int32_t sum[SCAN_LANES] = {0};
			for (int64_t word = 0; word < words; word++, item += 4 * SCAN_LANES, query += 4)
				for (int lane = 0; lane < SCAN_LANES; lane++)
					sum[lane] += item[4 * lane] * query[0] + item[4 * lane + 1] * query[1] +
						item[4 * lane + 2] * query[2] + item[4 * lane + 3] * query[3];
			memcpy(products + q * SCAN_TILE + first, sum, sizeof sum);
		}
}

static const struct scan plain = {CPU_NONE, 127, products_plain, filter_plain, score_plain};

#if defined(__x86_64__)

INLINE int32_t word_at(const int8_t *query, int64_t word)
{
	int32_t value;
	memcpy(&value, query + 4 * word, sizeof value);
	return value;
}

/* vpmaddubsw adds two products in 16 bits and saturates: with queries of 63 levels 2 * 255 * 63 fits. */
#define AVX2 __attribute__((target("avx2")))
AVX2 INLINE void products_avx2_body(const uint8_t *items, int64_t words, const int8_t *const queries[],
	const int n_queries, const int n_halves, int32_t *products)
{
	const __m256i ones = _mm256_set1_epi16(1);
	for (int first = 0; first < SCAN_TILE; first += 8 * n_halves) {
		/* lanes of eight: half a block of SCAN_LANES */
		const uint8_t *item[8];
		__m256i sum[8];
		for (int h = 0; h < n_halves; h++)
			item[h] = items + (first + 8 * h) / SCAN_LANES * SCAN_LANES * words * 4 + (first + 8 * h) % SCAN_LANES * 4;
		for (int i = 0; i < n_queries * n_halves; i++)
			sum[i] = _mm256_setzero_si256();
		for (int64_t word = 0; word < words; word++)
			for (int q = 0; q < n_queries; q++) {
				const __m256i query = _mm256_set1_epi32(word_at(queries[q], word));
				for (int h = 0; h < n_halves; h++) {
					const __m256i codes = _mm256_loadu_si256((const void *)(item[h] + word * 4 * SCAN_LANES));
					const __m256i pairs = _mm256_madd_epi16(_mm256_maddubs_epi16(codes, query), ones);
					sum[q * n_halves + h] = _mm256_add_epi32(sum[q * n_halves + h], pairs);
				}
			}
		for (int q = 0; q < n_queries; q++)
			for (int h = 0; h < n_halves; h++)
				_mm256_storeu_si256((void *)(products + q * SCAN_TILE + first + 8 * h), sum[q * n_halves + h]);
	}
}

AVX2 static void products_avx2(const uint8_t *items, int64_t words, const int8_t *const queries[], int n_queries,
	int32_t *products)
{
	if (n_queries == 1)
		products_avx2_body(items, words, queries, 1, 2, products); /* in the order of memory */
	else
		products_avx2_body(items, words, queries, SCAN_QUERIES, 1, products);
}

AVX2 static int filter_avx2(const struct probe *probe, float bar, float target, const int32_t *products,
	const float *scale, uint8_t hits[SCAN_TILE], int32_t *greater)
{
	return filter_body(probe, bar, target, products, scale, hits, greater);
}

AVX2 static float score_avx2(const float *query, const float *item, int64_t width)
{
	return score_body(query, item, width);
}

static const struct scan avx2 = {CPU_AVX2, 63, products_avx2, filter_avx2, score_avx2};

#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
VNNI INLINE void products_vnni_body(const uint8_t *items, int64_t words, const int8_t *const queries[],
	const int n_queries, const int n_blocks, int32_t *products)
{
	const int64_t stride = 4 * SCAN_LANES * words;
	for (int first = 0; first < SCAN_TILE; first += SCAN_LANES * n_blocks, items += stride * n_blocks) {
		__m512i sum[16];
		for (int i = 0; i < n_queries * n_blocks; i++)
			sum[i] = _mm512_setzero_si512();
		for (int64_t word = 0; word < words; word++)
			for (int b = 0; b < n_blocks; b++) {
				const __m512i codes = _mm512_loadu_si512(items + b * stride + word * 4 * SCAN_LANES);
				for (int q = 0; q < n_queries; q++) {
					const __m512i query = _mm512_set1_epi32(word_at(queries[q], word));
					sum[q * n_blocks + b] = _mm512_dpbusd_epi32(sum[q * n_blocks + b], codes, query);
				}
			}
		for (int q = 0; q < n_queries; q++)
			for (int b = 0; b < n_blocks; b++)
				_mm512_storeu_si512(products + q * SCAN_TILE + first + b * SCAN_LANES, sum[q * n_blocks + b]);
	}
}

VNNI static void products_vnni(const uint8_t *items, int64_t words, const int8_t *const queries[], int n_queries,
	int32_t *products)
{
	if (n_queries == 1)
		products_vnni_body(items, words, queries, 1, 1, products); /* in the order of memory */
	else
		products_vnni_body(items, words, queries, SCAN_QUERIES, 2, products);
}

VNNI static int filter_vnni(const struct probe *probe, float bar, float target, const int32_t *products,
	const float *scale, uint8_t hits[SCAN_TILE], int32_t *greater)
{
	return filter_body(probe, bar, target, products, scale, hits, greater);
}

VNNI static float score_vnni(const float *query, const float *item, int64_t width)
{
	return score_body(query, item, width);
}

static const struct scan vnni = {CPU_VNNI, 127, products_vnni, filter_vnni, score_vnni};

static const struct scan *const scans[] = {&vnni, &avx2, &plain};

#else

static const struct scan *const scans[] = {&plain};

#endif

const struct scan *scan_choose(void)
{
	const struct scan *const *best = scans;
	while ((*best)->level > cpu_level())
		best++;
	return *best;
}
