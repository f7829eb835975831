/* The arithmetic in numbers of 8 bits as AMX has it, for any processor: in plain C, and by vectors of AVX2. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "nn/bf16_parts.h"
#include "nn/cpu.h"

static float flush(float x)
{
	return fabsf(x) < FLT_MIN ? copysignf(0, x) : x;
}

static uint16_t round_to_bf16(float x)
{
	uint32_t bits;
	memcpy(&bits, &(float){flush(x)}, sizeof bits);
	if (isnan(x))
		return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static float from_bf16(uint16_t number)
{
	uint32_t bits = (uint32_t)number << 16;
	float x;
	memcpy(&x, &bits, sizeof x);
	return x;
}

/* Of a line of memory, SIDE or DEPTH numbers: all at once, as that is done by vectors. */
INLINE void round_line(const float *x, float factor, int64_t n, int parts, uint16_t rounded[2][DEPTH])
{
	for (int64_t i = 0; i < n; i++) {
		const float whole = factor * x[i];
		rounded[0][i] = round_to_bf16(whole);
		if (parts == 2)
			rounded[1][i] = round_to_bf16(whole - from_bf16(rounded[0][i]));
	}
}

INLINE void pack_body(const struct source *s, int parts, bool transpose, uint16_t *tile)
{
	const int64_t lines = s->along ? s->n : s->depth, length = s->along ? s->depth : s->n;
	uint16_t rounded[2][DEPTH];
	memset(tile, 0, (size_t)(parts * TILE) * sizeof *tile);
	for (int64_t line = 0; line < lines; line++) {
		round_line(s->x + line * s->stride, s->factor, length, parts, rounded);
		for (int64_t j = 0; j < length; j++) {
			const int64_t i = s->along ? line : j, k = s->along ? j : line;
			/* by place in the tile: pairs of the depth, and of these both, of each of SIDE */
			const int64_t at = transpose == s->along ? k / 2 * 2 * SIDE + 2 * i + k % 2 : i * DEPTH + k;
			for (int part = 0; part < parts; part++)
				tile[part * TILE + at] = rounded[part][j];
		}
	}
}

void bf16_pack_plain(const struct source *source, int parts, bool transpose, uint16_t *tile)
{
	pack_body(source, parts, transpose, tile);
}

/* Of one row, a tile's columns side by side. */
INLINE void add_tile(const uint16_t *left, const uint16_t *right, float sum[SIDE])
{
	float even[SIDE] = {0}, odd[SIDE] = {0};
	for (int k = 0; k < DEPTH; k += 2, left += 2, right += 2 * SIDE)
		for (int j = 0; j < SIDE; j++) {
			even[j] = flush(fmaf(from_bf16(left[0]), from_bf16(right[2 * j]), even[j]));
			odd[j] = flush(fmaf(from_bf16(left[1]), from_bf16(right[2 * j + 1]), odd[j]));
		}
	for (int j = 0; j < SIDE; j++)
		sum[j] = flush(sum[j] + flush(even[j] + odd[j]));
}

void bf16_block_plain(const struct operands *o, int parts, int rows, int columns)
{
	for (int64_t i = 0; i < rows * SIDE; i++)
		for (int64_t column = 0; column < columns; column++) {
			const uint16_t *left = o->left + i / SIDE * o->left_step + i % SIDE * DEPTH;
			const uint16_t *right = o->right + column * o->right_step;
			float *c = o->c + i * o->stride_c + column * SIDE, sum[SIDE] = {0};
			if (o->add)
				memcpy(sum, c, sizeof sum);
			for (int64_t tile = 0; tile < o->tiles; tile++, left += parts * TILE, right += parts * TILE)
				for (int product = 0; product < n_summed(parts); product++)
					add_tile(left + summed[product][0] * TILE, right + summed[product][1] * TILE, sum);
			memcpy(c, sum, sizeof sum);
		}
}

#ifdef __x86_64__

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX2_INLINE AVX2 static inline __attribute__((always_inline))
#define PAIR_ROWS 2    /* of the left side at once: as many sums as there are registers for */
#define TO_ZERO 0x8000 /* of MXCSR: results are flushed */

/* Of eight pairs. */
AVX2_INLINE __m256 second_numbers(__m256i pairs)
{
	return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32((int32_t)0xFFFF0000)));
}

AVX2_INLINE __m256 first_numbers(__m256i pairs)
{
	return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
}

/* Of PAIR_ROWS rows, add_tile(); the halves are eight columns each. */
AVX2_INLINE void add_tile_avx2(const uint16_t *left, const uint16_t *right, __m256 sum[PAIR_ROWS][2])
{
	__m256 even[PAIR_ROWS][2] = {{_mm256_setzero_ps()}}, odd[PAIR_ROWS][2] = {{_mm256_setzero_ps()}};
	for (int k = 0; k < DEPTH; k += 2, left += 2, right += 2 * SIDE) {
		const __m256i pairs[] = {_mm256_loadu_si256((const void *)right),
			_mm256_loadu_si256((const void *)(right + SIDE))};
#pragma GCC unroll 2
		for (int i = 0; i < PAIR_ROWS; i++) {
			int32_t pair;
			memcpy(&pair, left + i * DEPTH, sizeof pair);
			const __m256i both = _mm256_set1_epi32(pair);
#pragma GCC unroll 2
			for (int half = 0; half < 2; half++) {
				even[i][half] = _mm256_fmadd_ps(first_numbers(both), first_numbers(pairs[half]), even[i][half]);
				odd[i][half] = _mm256_fmadd_ps(second_numbers(both), second_numbers(pairs[half]), odd[i][half]);
			}
		}
	}
#pragma GCC unroll 2
	for (int i = 0; i < PAIR_ROWS; i++)
#pragma GCC unroll 2
		for (int half = 0; half < 2; half++)
			sum[i][half] = _mm256_add_ps(sum[i][half], _mm256_add_ps(even[i][half], odd[i][half]));
}

AVX2_INLINE void pair_rows(const struct operands *o, int parts, const uint16_t *left, const uint16_t *right, float *c)
{
	__m256 sum[PAIR_ROWS][2] = {{_mm256_setzero_ps()}};
	for (int i = 0; o->add && i < 2 * PAIR_ROWS; i++)
		sum[i / 2][i % 2] = _mm256_loadu_ps(c + i / 2 * o->stride_c + i % 2 * SIDE / 2);
	for (int64_t tile = 0; tile < o->tiles; tile++, left += parts * TILE, right += parts * TILE)
		for (int product = 0; product < n_summed(parts); product++)
			add_tile_avx2(left + summed[product][0] * TILE, right + summed[product][1] * TILE, sum);
	for (int i = 0; i < 2 * PAIR_ROWS; i++)
		_mm256_storeu_ps(c + i / 2 * o->stride_c + i % 2 * SIDE / 2, sum[i / 2][i % 2]);
}

AVX2 __attribute__((noinline)) static void pairs_avx2(const struct operands *o, int parts, int rows, int columns)
{
	for (int64_t i = 0; i < rows * SIDE; i += PAIR_ROWS)
		for (int64_t column = 0; column < columns; column++)
			pair_rows(o, parts, o->left + i / SIDE * o->left_step + i % SIDE * DEPTH, o->right + column * o->right_step,
				o->c + i * o->stride_c + column * SIDE);
}

AVX2 void bf16_pack_avx2(const struct source *source, int parts, bool transpose, uint16_t *tile)
{
	pack_body(source, parts, transpose, tile);
}

/* The same: fused products, and the flushing of results, are the processor's. */
void bf16_block_avx2(const struct operands *o, int parts, int rows, int columns)
{
	const unsigned before = _mm_getcsr();
	_mm_setcsr(before | TO_ZERO);
	pairs_avx2(o, parts, rows, columns);
	_mm_setcsr(before);
}

#endif
