#include "rank/rank_scan.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

#include "nn/tiles.h"
#endif

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF /* as gcc -std=c11: a fused multiply-add would round differently where there is one */
#endif

#define TOGETHER 8 /* queries whose sums fit the registers */

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

INLINE void scores_body(const float *query, const float *items, int64_t width, const uint8_t hits[], int n,
	float *scores)
{
	for (int i = 0; i < n; i++)
		scores[i] = score_body(query, items + hits[i] * width, width);
}

INLINE int filter_body(const struct probe *probe, float bar, float target, const int32_t *products, const float *scale,
	const float *reach, uint8_t hits[SCAN_TILE], int32_t *greater)
{
	const float factor = probe->factor, slack = probe->slack;
	const int32_t offset = probe->offset;
	int32_t hit[SCAN_TILE], any = 0, above = 0;
	for (int i = 0; i < SCAN_TILE; i++) {
		const float middle = scale[i] * factor * (float)(products[i] + offset), around = reach[i] * slack;
		const float upper = middle + around, lower = middle - around;
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

static int filter_plain(const struct probe *probe, float bar, float target, const int32_t *products,
	const int32_t *fine, const float *scale, const float *reach, uint8_t hits[SCAN_TILE], int32_t *greater)
{
	(void)fine;
	return filter_body(probe, bar, target, products, scale, reach, hits, greater);
}

static void scores_plain(const float *query, const float *items, int64_t width, const uint8_t hits[], int n,
	float *scores)
{
	scores_body(query, items, width, hits, n, scores);
}

static void products_plain(const uint8_t *items, int64_t words, const int8_t *queries, int64_t stride, int n_queries,
	int32_t *products)
{
	for (int q = 0; q < n_queries; q++)
		for (int first = 0; first < SCAN_TILE; first += SCAN_LANES) {
			const uint8_t *item = items + first * words * 4;
			const int8_t *query = queries + q * stride;
			int32_t sum[SCAN_LANES] = {0};
			for (int64_t word = 0; word < words; word++, item += 4 * SCAN_LANES, query += 4)
				for (int lane = 0; lane < SCAN_LANES; lane++)
					sum[lane] += item[4 * lane] * query[0] + item[4 * lane + 1] * query[1] +
						item[4 * lane + 2] * query[2] + item[4 * lane + 3] * query[3];
			memcpy(products + q * SCAN_TILE + first, sum, sizeof sum);
		}
}

static const struct scan plain = {.level = CPU_NONE,
	.query_levels = 127,
	.queries = TOGETHER,
	.products = products_plain,
	.filter = filter_plain,
	.scores = scores_plain};

#if defined(__x86_64__)

INLINE int32_t word_at(const int8_t *query, int64_t word)
{
	int32_t value;
	memcpy(&value, query + 4 * word, sizeof value);
	return value;
}

#define STREAM_AHEAD (8 << 10) /* bytes of items that one query asks memory for before it reads them */
#define AVX2 __attribute__((target("avx2,fma")))

/*
 * Products of bytes: vpmaddubsw adds two in 16 bits and saturates; with queries of 63 levels 2 * 255 * 63 fits. Of
 * numbers of 16 bits: twice the instructions, none of them more. In assembly: the compiler would keep sums in memory.
 */
#define ADD_BYTES(sum, items, query, ones)                                                                             \
	do {                                                                                                               \
		__m256i pairs;                                                                                                 \
		__asm__("vpmaddubsw %3, %2, %1\n\tvpmaddwd %4, %1, %1\n\tvpaddd %1, %0, %0"                                    \
				: "+x"(sum), "=&x"(pairs)                                                                              \
				: "x"(items), "x"(query), "x"(ones));                                                                  \
	} while (0)
#define ADD_PAIRS(sum, items, query)                                                                                   \
	do {                                                                                                               \
		__m256i pairs;                                                                                                 \
		__asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(sum), "=&x"(pairs) : "x"(items), "x"(query));        \
	} while (0)

/* What a query makes of eight items: a bit for each that may matter; and to `above` the others above the target. */
AVX2 INLINE uint8_t judge_eight(const struct verdict *verdict, __m256 product, __m256 factor, __m256 around,
	const bool counts, __m256i *above)
{
	const __m256 upper = _mm256_fmadd_ps(product, factor, around);
	__m256 hit = _mm256_cmp_ps(upper, _mm256_set1_ps(verdict->bar), _CMP_GE_OQ);
	if (counts) {
		const __m256 lower = _mm256_fmsub_ps(product, factor, around), target = _mm256_set1_ps(verdict->target);
		const __m256 surely = _mm256_cmp_ps(lower, target, _CMP_GT_OQ);
		hit = _mm256_or_ps(hit, _mm256_andnot_ps(surely, _mm256_cmp_ps(upper, target, _CMP_GE_OQ)));
		*above = _mm256_sub_epi32(*above, _mm256_castps_si256(_mm256_andnot_ps(hit, surely)));
	}
	return (uint8_t)_mm256_movemask_ps(hit);
}

/* The same of a sum of products: of bytes, or of numbers of 16 bits. */
AVX2 INLINE uint8_t judge_sum_avx2(const struct probe *probe, const struct verdict *verdict, __m256i sum,
	const float *scale, const float *reach, const bool wide, const bool counts, __m256i *above)
{
	const __m256 scales = _mm256_loadu_ps(scale), reaches = wide ? scales : _mm256_loadu_ps(reach);
	if (!wide)
		sum = _mm256_add_epi32(sum, _mm256_set1_epi32(probe->offset));
	return judge_eight(verdict, _mm256_cvtepi32_ps(sum),
		_mm256_mul_ps(scales, _mm256_set1_ps(wide ? probe->wide_factor : probe->factor)),
		_mm256_mul_ps(reaches, _mm256_set1_ps(wide ? probe->fine_slack : probe->slack)), counts, above);
}

#define SUMS 4 /* queries whose sums of a block of items fit the registers */

/* Items and queries in units of four bytes: four dimensions, or, where they are wide, two. */
AVX2 INLINE void judge_avx2_body(const uint8_t *items, int64_t units, const int8_t *queries, int64_t stride,
	const struct probe *probe, const int n_queries, const float *scale, const float *reach, struct verdict *verdict,
	const bool wide, const bool counts)
{
	const __m256i ones = _mm256_set1_epi16(1);
	uint8_t hits[SUMS][SCAN_TILE / 8];
	__m256i above[SUMS];
	for (int q = 0; q < n_queries; q++)
		above[q] = _mm256_setzero_si256();
	for (int first = 0; first < SCAN_TILE; first += SCAN_LANES) {
		__m256i sum[SUMS][2];
#pragma GCC unroll 4
		for (int q = 0; q < n_queries; q++)
			sum[q][0] = sum[q][1] = _mm256_setzero_si256();
		for (int64_t unit = 0; unit < units; unit++, items += 4 * SCAN_LANES) {
			const __m256i low = _mm256_loadu_si256((const void *)items);
			const __m256i high = _mm256_loadu_si256((const void *)(items + 32));
			if (n_queries == 1)
				__builtin_prefetch(items + STREAM_AHEAD);
#pragma GCC unroll 4
			for (int q = 0; q < n_queries; q++) {
				const __m256i query = _mm256_set1_epi32(word_at(queries + q * stride, unit));
				if (wide) {
					ADD_PAIRS(sum[q][0], low, query);
					ADD_PAIRS(sum[q][1], high, query);
				} else {
					ADD_BYTES(sum[q][0], low, query, ones);
					ADD_BYTES(sum[q][1], high, query, ones);
				}
			}
		}
		__asm__("" : "+r"(probe), "+r"(verdict)); /* else what is read of them below is kept, in memory */
#pragma GCC unroll 4
		for (int q = 0; q < n_queries; q++)
			for (int h = 0; h < 2; h++)
				hits[q][first / 8 + h] = judge_sum_avx2(&probe[q], &verdict[q], sum[q][h], scale + first + 8 * h,
					reach + first + 8 * h, wide, counts, &above[q]);
	}
	for (int q = 0; q < n_queries; q++) {
		int32_t each[8];
		_mm256_storeu_si256((void *)each, above[q]);
		memcpy(verdict[q].hits, hits[q], sizeof verdict[q].hits);
		verdict[q].above = 0;
		for (int i = 0; counts && i < 8; i++)
			verdict[q].above += each[i];
	}
}

AVX2 static void judge_avx2(const uint8_t *items, int64_t words, const struct probe *probe, int64_t stride,
	int n_queries, const float *scale, const float *reach, struct verdict *verdict)
{
	const bool counts = verdict->target < INFINITY;
	const int8_t *codes = probe->codes;
	if (n_queries == 1 && counts) /* in the order of memory */
		judge_avx2_body(items, words, codes, stride, probe, 1, scale, reach, verdict, false, true);
	else if (n_queries == 1)
		judge_avx2_body(items, words, codes, stride, probe, 1, scale, reach, verdict, false, false);
	for (int q = 0; n_queries > 1 && q < n_queries; q += SUMS)
		if (counts)
			judge_avx2_body(items, words, codes + q * stride, stride, probe + q, SUMS, scale, reach, verdict + q, false,
				true);
		else
			judge_avx2_body(items, words, codes + q * stride, stride, probe + q, SUMS, scale, reach, verdict + q, false,
				false);
}

AVX2 static void judge_wide_avx2(const int16_t *items, int64_t words, const struct probe *probe, int64_t stride,
	const float *scale, struct verdict *verdict)
{
	for (int q = 0; q < TOGETHER; q += SUMS)
		judge_avx2_body((const uint8_t *)items, 2 * words, (const int8_t *)(probe->wide + q * stride), 2 * stride,
			probe + q, SUMS, scale, scale, verdict + q, true, true);
}

/* Eight numbers side by side of each item; then pairs of dimensions, an item to a lane. */
AVX2 static void widen_avx2(const float *vectors, int64_t width, const float *scale, float finer, int n, int16_t *wide)
{
	const int64_t words = (width + 3) / 4;
	for (int item = 0; item < n; item++, vectors += width) {
		const __m256 times = _mm256_set1_ps(finer / scale[item]);
		int16_t *to = wide + item / SCAN_LANES * SCAN_LANES * words * 4 + item % SCAN_LANES * 2;
		for (int64_t at = 0; at < width; at += 8) {
			float last[8] = {0};
			const float *from = vectors + at;
			if (width - at < 8)
				from = memcpy(last, from, (size_t)(width - at) * sizeof *last);
			const __m256i whole = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(from), times));
			int32_t pairs[4];
			_mm_storeu_si128((void *)pairs,
				_mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1)));
			for (int64_t i = 0; i < 4 && at + 2 * i < width; i++, to += 2 * SCAN_LANES)
				memcpy(to, &pairs[i], sizeof *pairs);
		}
	}
}

AVX2 static void scores_avx2(const float *query, const float *items, int64_t width, const uint8_t hits[], int n,
	float *scores)
{
	scores_body(query, items, width, hits, n, scores);
}

static const struct scan avx2 = {.level = CPU_AVX2,
	.query_levels = 63,
	.queries = TOGETHER,
	.fine_rows = 16,
	.judge = judge_avx2,
	.widen = widen_avx2,
	.judge_wide = judge_wide_avx2,
	.scores = scores_avx2};

#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
VNNI INLINE int places_of(uint64_t hit, int from, uint8_t *hits)
{
	int n = 0;
	for (; hit; hit &= hit - 1)
		hits[n++] = (uint8_t)(from + __builtin_ctzll(hit));
	return n;
}

/* As filter_body(), 16 at a time; what comes of 64 is in a word. */
VNNI INLINE int filter_vnni_body(const struct probe *probe, float bar, float target, const int32_t *products,
	const int32_t *fine, const float *scale, const float *reach, uint8_t hits[SCAN_TILE], int32_t *greater,
	const bool counts)
{
	const __m512 factor = _mm512_set1_ps(probe->factor), finer = _mm512_set1_ps(1.0f / SCAN_FINER);
	const __m512 slack = _mm512_set1_ps(fine ? probe->fine_slack : probe->slack);
	const __m512i offset = _mm512_set1_epi32(probe->offset), fine_offset = _mm512_set1_epi32(probe->fine_offset);
	const __m512 bars = _mm512_set1_ps(bar), targets = _mm512_set1_ps(target);
	int n = 0;
	for (int from = 0; from < SCAN_TILE; from += 64) {
		uint64_t hit = 0, above = 0;
		for (int i = 0; i < 64; i += SCAN_LANES) {
			const int at = from + i;
			const __m512 scales = _mm512_loadu_ps(scale + at);
			__m512 sum = _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_loadu_si512(products + at), offset));
			if (fine)
				sum = _mm512_add_ps(sum,
					_mm512_mul_ps(finer,
						_mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_loadu_si512(fine + at), fine_offset))));
			const __m512 middle = _mm512_mul_ps(_mm512_mul_ps(scales, factor), sum);
			const __m512 around = _mm512_mul_ps(_mm512_loadu_ps(reach + at), slack);
			const __m512 upper = _mm512_add_ps(middle, around);
			__mmask16 one = _mm512_cmp_ps_mask(upper, bars, _CMP_GE_OQ);
			if (counts) {
				const __m512 lower = _mm512_sub_ps(middle, around);
				const __mmask16 surely = _mm512_cmp_ps_mask(lower, targets, _CMP_GT_OQ);
				one |= _mm512_mask_cmp_ps_mask((__mmask16)~surely, upper, targets, _CMP_GE_OQ);
				above |= (uint64_t)surely << i;
			}
			hit |= (uint64_t)one << i;
		}
		*greater += (int32_t)__builtin_popcountll(above & ~hit);
		n += places_of(hit, from, hits + n);
	}
	return n;
}

VNNI static int filter_vnni(const struct probe *probe, float bar, float target, const int32_t *products,
	const int32_t *fine, const float *scale, const float *reach, uint8_t hits[SCAN_TILE], int32_t *greater)
{
	if (target == INFINITY) /* nothing is counted */
		return filter_vnni_body(probe, bar, target, products, NULL, scale, reach, hits, greater, false);
	if (!fine)
		return filter_vnni_body(probe, bar, target, products, NULL, scale, reach, hits, greater, true);
	return filter_vnni_body(probe, bar, target, products, fine, scale, reach, hits, greater, true);
}

/* Halves onto halves of two, side by side. */
VNNI INLINE __m512 fold_vnni(__m512 a, __m512 b)
{
	return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
}

/* As score_body(), of four items side by side. */
VNNI INLINE __m128 four_scores_vnni(const float *query, const float *items, int64_t width, const uint8_t hits[4])
{
	const float *item[4];
	__m512 sum[4];
	for (int h = 0; h < 4; h++) {
		item[h] = items + hits[h] * width;
		sum[h] = _mm512_setzero_ps();
	}
	int64_t i = 0;
	for (; i + 16 <= width; i += 16)
		for (int h = 0; h < 4; h++)
			sum[h] = _mm512_add_ps(sum[h], _mm512_mul_ps(_mm512_loadu_ps(query + i), _mm512_loadu_ps(item[h] + i)));
	const __mmask16 rest = (__mmask16)((1u << (width - i)) - 1);
	for (int h = 0; rest && h < 4; h++)
		sum[h] = _mm512_mask_add_ps(sum[h], rest, sum[h],
			_mm512_mul_ps(_mm512_maskz_loadu_ps(rest, query + i), _mm512_maskz_loadu_ps(rest, item[h] + i)));
	/* eight sums of each, then four, of which each lane of 128 bits adds up its own */
	const __m512 ab = fold_vnni(sum[0], sum[1]), cd = fold_vnni(sum[2], sum[3]);
	const __m512 four = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
	const __m512 two = _mm512_add_ps(four, _mm512_permute_ps(four, 0x4e));
	const __m512 one = _mm512_add_ps(two, _mm512_permute_ps(two, 0xb1));
	const __m512i lanes = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	return _mm512_castps512_ps128(_mm512_permutexvar_ps(lanes, one));
}

VNNI static void scores_vnni(const float *query, const float *items, int64_t width, const uint8_t hits[], int n,
	float *scores)
{
	int i = 0;
	for (; i + 4 <= n; i += 4)
		_mm_storeu_ps(scores + i, four_scores_vnni(query, items, width, hits + i));
	uint8_t last[4];
	for (int h = 0; i < n && h < 4; h++)
		last[h] = hits[i + h < n ? i + h : i];
	if (i < n)
		_mm_mask_storeu_ps(scores + i, (__mmask8)((1u << (n - i)) - 1), four_scores_vnni(query, items, width, last));
}

/* What filter_vnni_body() tells of 16 items, while their products are in a register. */
VNNI INLINE void judge_sums(const struct probe *probe, const struct verdict *verdict, __m512i sum, __m512 scale,
	__m512 reach, const bool counts, uint16_t *hits, uint16_t *above)
{
	const __m512 product = _mm512_cvtepi32_ps(_mm512_add_epi32(sum, _mm512_set1_epi32(probe->offset)));
	const __m512 factor = _mm512_set1_ps(probe->factor), slack = _mm512_set1_ps(probe->slack);
	const __m512 middle = _mm512_mul_ps(_mm512_mul_ps(scale, factor), product);
	const __m512 upper = _mm512_fmadd_ps(reach, slack, middle);
	__mmask16 hit = _mm512_cmp_ps_mask(upper, _mm512_set1_ps(verdict->bar), _CMP_GE_OQ);
	if (counts) {
		const __m512 lower = _mm512_fnmadd_ps(reach, slack, middle);
		const __m512 target = _mm512_set1_ps(verdict->target);
		const __mmask16 surely = _mm512_cmp_ps_mask(lower, target, _CMP_GT_OQ);
		hit |= _mm512_mask_cmp_ps_mask((__mmask16)~surely, upper, target, _CMP_GE_OQ);
		*above = surely;
	}
	*hits = hit;
}

VNNI INLINE void judge_vnni_body(const uint8_t *items, int64_t words, const struct probe *probe, int64_t stride,
	const int n_queries, const int n_blocks, const float *scale, const float *reach, struct verdict *verdict,
	const bool counts)
{
	const int64_t block = 4 * SCAN_LANES * words;
	uint16_t hits[TOGETHER][SCAN_TILE / SCAN_LANES], above[TOGETHER][SCAN_TILE / SCAN_LANES];
	for (int first = 0; first < SCAN_TILE / SCAN_LANES; first += n_blocks, items += block * n_blocks) {
		__m512i sum[16];
#pragma GCC unroll 16
		for (int i = 0; i < n_queries * n_blocks; i++)
			sum[i] = _mm512_setzero_si512();
		int64_t word = 0;
		do {
#pragma GCC unroll 2
			for (int b = 0; b < n_blocks; b++) {
				const __m512i codes = _mm512_loadu_si512(items + b * block + word * 4 * SCAN_LANES);
				if (n_queries == 1)
					__builtin_prefetch(items + word * 4 * SCAN_LANES + STREAM_AHEAD);
#pragma GCC unroll 8
				for (int q = 0; q < n_queries; q++) {
					const __m512i query = _mm512_set1_epi32(word_at(probe->codes + q * stride, word));
					VNNI_PRODUCTS("vpdpbusd", sum[q * n_blocks + b], codes, query);
				}
			}
		} while (++word < words);
		__asm__("" : "+r"(probe), "+r"(verdict)); /* else what is read of them below is kept, in memory */
#pragma GCC unroll 2
		for (int b = 0; b < n_blocks; b++) {
			const __m512 scales = _mm512_loadu_ps(scale + (first + b) * SCAN_LANES);
			const __m512 reaches = _mm512_loadu_ps(reach + (first + b) * SCAN_LANES);
#pragma GCC unroll 8
			for (int q = 0; q < n_queries; q++)
				judge_sums(&probe[q], &verdict[q], sum[q * n_blocks + b], scales, reaches, counts, &hits[q][first + b],
					&above[q][first + b]);
		}
	}
	for (int q = 0; q < n_queries; q++) {
		uint64_t surely[SCAN_TILE / 64] = {0};
		memcpy(verdict[q].hits, hits[q], sizeof verdict[q].hits);
		if (counts)
			memcpy(surely, above[q], sizeof surely);
		verdict[q].above = 0;
		for (int i = 0; i < SCAN_TILE / 64; i++)
			verdict[q].above += __builtin_popcountll(surely[i] & ~verdict[q].hits[i]);
	}
}

VNNI static void judge_vnni(const uint8_t *items, int64_t words, const struct probe *probe, int64_t stride,
	int n_queries, const float *scale, const float *reach, struct verdict *verdict)
{
	const bool counts = verdict->target < INFINITY;
	if (n_queries == 1 && counts) /* in the order of memory */
		judge_vnni_body(items, words, probe, stride, 1, 1, scale, reach, verdict, true);
	else if (n_queries == 1)
		judge_vnni_body(items, words, probe, stride, 1, 1, scale, reach, verdict, false);
	else if (counts)
		judge_vnni_body(items, words, probe, stride, TOGETHER, 2, scale, reach, verdict, true);
	else
		judge_vnni_body(items, words, probe, stride, TOGETHER, 2, scale, reach, verdict, false);
}

static const struct scan vnni = {.level = CPU_VNNI,
	.query_levels = 127,
	.queries = TOGETHER,
	.judge = judge_vnni,
	.filter = filter_vnni,
	.scores = scores_vnni};

/* One query, the items in the order of memory. */
VNNI static void products_of_one(const uint8_t *items, int64_t words, const int8_t *query, int32_t *products)
{
	for (int first = 0; first < SCAN_TILE; first += SCAN_LANES) {
		__m512i sum = _mm512_setzero_si512();
		for (int64_t word = 0; word < words; word++, items += 4 * SCAN_LANES)
			sum = _mm512_dpbusd_epi32(sum, _mm512_loadu_si512(items), _mm512_set1_epi32(word_at(query, word)));
		_mm512_storeu_si512(products + first, sum);
	}
}

/*
 * The layout of items is that of the tiles' right side. Tiles 0 to
 * 3 are sums of four blocks, 4 is of queries, 5 to 7 of items.
 */
VNNI static void products_amx(const uint8_t *items, int64_t words, const int8_t *queries, int64_t stride, int n_queries,
	int32_t *products)
{
	const int64_t block = 4 * SCAN_LANES * words, row = SCAN_TILE * (int64_t)sizeof *products;
	if (n_queries == 1) {
		products_of_one(items, words, queries, products);
		return;
	}
	tiles_configure();
	for (int first = 0; first < SCAN_TILE; first += 4 * SCAN_LANES, items += 4 * block) {
		TILE_ZERO(0);
		TILE_ZERO(1);
		TILE_ZERO(2);
		TILE_ZERO(3);
		for (int64_t at = 0; at < 4 * words; at += SCAN_DEPTH) {
			const uint8_t *from = items + at * SCAN_LANES;
			TILE_LOAD(4, queries + at, stride);
			TILE_LOAD(5, from, SCAN_DEPTH);
			TILE_BYTE_PRODUCT(0, 4, 5);
			TILE_LOAD(6, from + block, SCAN_DEPTH);
			TILE_BYTE_PRODUCT(1, 4, 6);
			TILE_LOAD(7, from + 2 * block, SCAN_DEPTH);
			TILE_BYTE_PRODUCT(2, 4, 7);
			TILE_LOAD(5, from + 3 * block, SCAN_DEPTH);
			TILE_BYTE_PRODUCT(3, 4, 5);
		}
		TILE_STORE(0, products + first, row);
		TILE_STORE(1, products + first + SCAN_LANES, row);
		TILE_STORE(2, products + first + 2 * SCAN_LANES, row);
		TILE_STORE(3, products + first + 3 * SCAN_LANES, row);
	}
}

VNNI static void residues_amx(const float *vectors, int64_t width, const float *scale, int n, uint8_t *residues)
{
	const int64_t words = (width + 3) / 4;
	const __m512 middle = _mm512_set1_ps(128), finer = _mm512_set1_ps(SCAN_FINER);
	const __m512 most = _mm512_set1_ps(127), least = _mm512_set1_ps(-127);
	for (int item = 0; item < n; item++, vectors += width) {
		const __m512 inverse = _mm512_set1_ps(1 / scale[item]);
		uint8_t *to = residues + item / SCAN_LANES * SCAN_LANES * words * 4 + item % SCAN_LANES * 4;
		for (int64_t at = 0; at < width; at += 16, to += 4 * 4 * SCAN_LANES) {
			const __mmask16 there = width - at < 16 ? (__mmask16)((1u << (width - at)) - 1) : 0xFFFF;
			const __m512 value = _mm512_mul_ps(_mm512_maskz_loadu_ps(there, vectors + at), inverse);
			__m512 code = _mm512_max_ps(_mm512_min_ps(_mm512_roundscale_ps(value, _MM_FROUND_TO_NEAREST_INT), most),
				least);
			__m512 residue = _mm512_mul_ps(_mm512_sub_ps(value, code), finer);
			residue = _mm512_max_ps(_mm512_min_ps(residue, most), least);
			int32_t four[4];
			_mm_storeu_si128((void *)four, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_add_ps(residue, middle))));
			for (int64_t i = 0; i < 4 && at + 4 * i < width; i++)
				memcpy(to + i * 4 * SCAN_LANES, &four[i], sizeof *four);
		}
	}
}

/*
 * One block at each of two: tiles 0 and 2 are their products, 1
 * and 3 the finer ones, 4 and 5 of queries, 6 and 7 of items.
 */
#define ADD_PRODUCTS(product, finer, b)                                                                                \
	TILE_LOAD(6, items + (b)*block + at * SCAN_LANES, SCAN_DEPTH);                                                     \
	TILE_BYTE_PRODUCT(product, 4, 6);                                                                                  \
	TILE_BYTE_PRODUCT(finer, 5, 6);                                                                                    \
	TILE_LOAD(7, residues + (b)*block + at * SCAN_LANES, SCAN_DEPTH);                                                  \
	TILE_BYTE_PRODUCT(finer, 4, 7)

VNNI static void fine_amx(const uint8_t *items, const uint8_t *residues, int64_t words, const struct probe *probe,
	int64_t stride, int32_t *products, int32_t *fine)
{
	const int64_t block = 4 * SCAN_LANES * words, row = SCAN_TILE * (int64_t)sizeof *products;
	tiles_configure();
	for (int first = 0; first < SCAN_TILE; first += 2 * SCAN_LANES, items += 2 * block, residues += 2 * block) {
		TILE_ZERO(0);
		TILE_ZERO(1);
		TILE_ZERO(2);
		TILE_ZERO(3);
		for (int64_t at = 0; at < 4 * words; at += SCAN_DEPTH) {
			TILE_LOAD(4, probe->codes + at, stride);
			TILE_LOAD(5, probe->residues + at, stride);
			ADD_PRODUCTS(0, 1, 0);
			ADD_PRODUCTS(2, 3, 1);
		}
		TILE_STORE(0, products + first, row);
		TILE_STORE(1, fine + first, row);
		TILE_STORE(2, products + first + SCAN_LANES, row);
		TILE_STORE(3, fine + first + SCAN_LANES, row);
	}
}

static const struct scan amx = {.level = CPU_AMX,
	.query_levels = 127,
	.queries = SCAN_QUERIES,
	.fine_rows = 64,
	.products = products_amx,
	.residues = residues_amx,
	.fine = fine_amx,
	.filter = filter_vnni,
	.scores = scores_vnni};

static const struct scan *const scans[] = {&amx, &vnni, &avx2, &plain};

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
