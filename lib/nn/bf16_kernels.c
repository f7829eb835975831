/* The same by the instructions that are made for it: AVX-512's dot products, and AMX's tiles. */
#include "nn/bf16_parts.h"

#ifdef __x86_64__

#include <immintrin.h>
#include <string.h>

#include "nn/tiles.h"

#define DOT __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#define DOT_INLINE DOT static inline __attribute__((always_inline))

DOT_INLINE __m512 widened(__m256i numbers)
{
	return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(numbers), 16));
}

/* A row of 32 numbers, or two of 16, to pairs: in `along` the 32 are side by side, else pairs are made across. */
DOT_INLINE void store_pairs(__m512 first, __m512 second, bool along, int parts, uint16_t *to)
{
	const __m512i across = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
		21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
	for (int part = 0; part < parts; part++, to += TILE) {
		__m512i both = (__m512i)_mm512_cvtne2ps_pbh(second, first);
		_mm512_storeu_si512(to, along ? both : _mm512_permutexvar_epi16(across, both));
		first = _mm512_sub_ps(first, widened(_mm512_castsi512_si256(both)));
		second = _mm512_sub_ps(second, widened(_mm512_extracti64x4_epi64(both, 1)));
	}
}

/* 16 x 16 pairs */
DOT_INLINE void transpose_tile(uint16_t *tile)
{
	__m512i r[SIDE], t[SIDE];
#pragma GCC unroll 16
	for (int i = 0; i < SIDE; i++)
		r[i] = _mm512_loadu_si512(tile + i * DEPTH);
#pragma GCC unroll 8
	for (int i = 0; i < SIDE; i += 2) {
		t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
		t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
	}
#pragma GCC unroll 4
	for (int i = 0; i < SIDE; i += 4) {
		r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
		r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
		r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
		r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
	}
	/* r[4 g + j] has, in its quarter q, column 4 q + j of rows 4 g to 4 g + 3 */
#pragma GCC unroll 4
	for (int j = 0; j < 4; j++) {
		__m512i even_low = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x88);
		__m512i even_high = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x88);
		__m512i odd_low = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xDD);
		__m512i odd_high = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xDD);
		_mm512_storeu_si512(tile + j * DEPTH, _mm512_shuffle_i32x4(even_low, even_high, 0x88));
		_mm512_storeu_si512(tile + (4 + j) * DEPTH, _mm512_shuffle_i32x4(odd_low, odd_high, 0x88));
		_mm512_storeu_si512(tile + (8 + j) * DEPTH, _mm512_shuffle_i32x4(even_low, even_high, 0xDD));
		_mm512_storeu_si512(tile + (12 + j) * DEPTH, _mm512_shuffle_i32x4(odd_low, odd_high, 0xDD));
	}
}

DOT_INLINE __mmask16 first_of(int64_t n)
{
	return n >= 16 ? 0xFFFF : n <= 0 ? 0 : (__mmask16)((1u << n) - 1);
}

DOT_INLINE void pack_tile(const struct source *s, int parts, bool transpose, uint16_t *tile)
{
	const __m512 factor = _mm512_set1_ps(s->factor);
	const int64_t width = s->along ? s->depth : s->n, height = s->along ? s->n : s->depth;
	const __mmask16 low = first_of(width), high = first_of(width - 16);
	for (int i = 0; i < SIDE; i++) {
		int64_t row = s->along ? i : 2 * i;
		const float *x = s->x + row * s->stride, *other = s->along ? x + 16 : x + s->stride;
		__m512 first = _mm512_maskz_loadu_ps(row < height ? low : 0, x);
		__m512 second = _mm512_maskz_loadu_ps(s->along ? row < height ? high : 0 : row + 1 < height ? low : 0, other);
		store_pairs(_mm512_mul_ps(first, factor), _mm512_mul_ps(second, factor), s->along, parts, tile + i * DEPTH);
	}
	for (int part = 0; transpose && part < parts; part++)
		transpose_tile(tile + part * TILE);
}

DOT void bf16_pack_dot(const struct source *s, int parts, bool transpose, uint16_t *tile)
{
	if (parts == 1)
		pack_tile(s, 1, transpose, tile);
	else
		pack_tile(s, 2, transpose, tile);
}

/*
 * `rows` of a tile's rows from o->left on, by `columns` tiles: sums enough to hide how long a product takes, and what
 * is loaded serves more than one.
 */
DOT_INLINE void dots(const struct operands *o, int parts, int rows, int columns)
{
	const uint16_t *left = o->left, *right = o->right;
	const int64_t step = o->right_step;
	__m512 sum[SIDE][3];
#pragma GCC unroll 16
	for (int i = 0; i < rows; i++)
#pragma GCC unroll 3
		for (int j = 0; j < columns; j++)
			sum[i][j] = o->add ? _mm512_loadu_ps(o->c + i * o->stride_c + j * SIDE) : _mm512_setzero_ps();
	for (int64_t tile = 0; tile < o->tiles; tile++, left += parts * TILE, right += parts * TILE)
		for (int product = 0; product < n_summed(parts); product++) {
			const uint16_t *l = left + summed[product][0] * TILE, *r = right + summed[product][1] * TILE;
			for (int k = 0; k < DEPTH; k += 2, l += 2, r += 2 * SIDE) {
				__m512bh pairs[3];
#pragma GCC unroll 3
				for (int j = 0; j < columns; j++)
					pairs[j] = (__m512bh)_mm512_loadu_si512(r + j * step);
#pragma GCC unroll 16
				for (int i = 0; i < rows; i++) {
					int32_t pair;
					memcpy(&pair, l + i * DEPTH, sizeof pair);
					const __m512bh both = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 3
					for (int j = 0; j < columns; j++)
						sum[i][j] = _mm512_dpbf16_ps(sum[i][j], pairs[j], both);
				}
			}
		}
#pragma GCC unroll 16
	for (int i = 0; i < rows; i++)
#pragma GCC unroll 3
		for (int j = 0; j < columns; j++)
			_mm512_storeu_ps(o->c + i * o->stride_c + j * SIDE, sum[i][j]);
}

#define HALF (SIDE / 2)

DOT_INLINE void dot_columns(const struct operands *o, int parts, int rows, int columns)
{
	for (int half = 0; half < 2 * rows; half++) {
		struct operands at = *o;
		at.left += half / 2 * o->left_step + half % 2 * HALF * DEPTH;
		at.c += half * HALF * o->stride_c;
		dots(&at, parts, HALF, columns);
	}
}

DOT_INLINE void dot_rows(struct operands o, int parts, int rows, int columns)
{
	for (; columns >= 3; columns -= 3, o.right += 3 * o.right_step, o.c += 3 * SIDE)
		dot_columns(&o, parts, rows, 3);
	if (columns == 2)
		dot_columns(&o, parts, rows, 2);
	for (int i = 0; columns == 1 && i < rows; i++, o.left += o.left_step, o.c += SIDE * o.stride_c)
		dots(&o, parts, SIDE, 1);
}

DOT void bf16_block_dot(const struct operands *o, int parts, int rows, int columns)
{
	if (parts == 1)
		dot_rows(*o, 1, rows, columns);
	else
		dot_rows(*o, 2, rows, columns);
}

/* Tiles 0 to 3 are sums, 4 and 5 rows of the left side, 6 and 7 columns of the right. */
static inline __attribute__((always_inline)) void block_tiles(const struct operands *o, int parts, int rows,
	int columns)
{
	const int64_t stride = o->stride_c * (int64_t)sizeof(float);
	const uint16_t *l0 = o->left, *l1 = l0 + o->left_step, *r0 = o->right, *r1 = r0 + o->right_step;
	float *c0 = o->c, *c1 = c0 + SIDE * o->stride_c;
#define EACH_SUM(f0, f1, f2, f3)                                                                                       \
	f0;                                                                                                                \
	if (columns == 2)                                                                                                  \
		f1;                                                                                                            \
	if (rows == 2)                                                                                                     \
		f2;                                                                                                            \
	if (rows == 2 && columns == 2)                                                                                     \
	f3
	if (o->add) {
		EACH_SUM(TILE_LOAD(0, c0, stride), TILE_LOAD(1, c0 + SIDE, stride), TILE_LOAD(2, c1, stride),
			TILE_LOAD(3, c1 + SIDE, stride));
	} else {
		EACH_SUM(TILE_ZERO(0), TILE_ZERO(1), TILE_ZERO(2), TILE_ZERO(3));
	}
	for (int64_t tile = 0; tile < o->tiles; tile++) {
		for (int product = 0; product < (parts == 1 ? 1 : 3); product++) {
			const int l = product == 2 ? TILE : 0, r = product == 1 ? TILE : 0;
			/* in this order, as what is loaded next is loaded while the products before it are made */
			TILE_STREAM(6, r0 + r, 64);
			if (product != 1)
				TILE_LOAD(4, l0 + l, 64);
			TILE_PRODUCT(0, 4, 6);
			if (rows == 2 && product != 1)
				TILE_LOAD(5, l1 + l, 64);
			if (rows == 2)
				TILE_PRODUCT(2, 5, 6);
			if (columns == 2)
				TILE_STREAM(7, r1 + r, 64);
			if (columns == 2)
				TILE_PRODUCT(1, 4, 7);
			if (rows == 2 && columns == 2)
				TILE_PRODUCT(3, 5, 7);
		}
		l0 += parts * TILE;
		l1 += parts * TILE;
		r0 += parts * TILE;
		r1 += parts * TILE;
	}
	EACH_SUM(TILE_STORE(0, c0, stride), TILE_STORE(1, c0 + SIDE, stride), TILE_STORE(2, c1, stride),
		TILE_STORE(3, c1 + SIDE, stride));
#undef EACH_SUM
}

void bf16_block_amx(const struct operands *o, int parts, int rows, int columns)
{
	struct operands at = *o;
	tiles_configure();
	for (int column = 0; column < columns; column += 2, at.right += 2 * at.right_step, at.c += BLOCK)
		switch ((parts - 1) * 4 + (rows - 1) * 2 + (column + 1 < columns)) {
		case 0: block_tiles(&at, 1, 1, 1); break;
		case 1: block_tiles(&at, 1, 1, 2); break;
		case 2: block_tiles(&at, 1, 2, 1); break;
		case 3: block_tiles(&at, 1, 2, 2); break;
		case 4: block_tiles(&at, 2, 1, 1); break;
		case 5: block_tiles(&at, 2, 1, 2); break;
		case 6: block_tiles(&at, 2, 2, 1); break;
		default: block_tiles(&at, 2, 2, 2);
		}
}

#endif
