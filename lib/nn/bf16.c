#include "nn/bf16.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "nn/array.h"
#include "nn/cpu.h"

#define SIDE BF16_SIDE
#define DEPTH BF16_DEPTH
#define TILE (SIDE * DEPTH) /* numbers of a tile */
#define BLOCK (2 * SIDE)    /* rows and columns that are computed at once */
#define FLOATS(n) ((n) / 2) /* that so many numbers take */
/*
 * Tiles of the depth, of both parts together, between a block's
 * loading and storing: its rows stay in the first-level cache.
 */
#define PASS 24
/* Of the right side, and rows of the left with as much of the sums: together they stay in the second-level cache. */
#define RIGHT_BYTES (1152 << 10)
#define ROWS 256
/*
 * Packed at a time: depth of both parts together; of the left
 * side, where the right is packed once for all of it or anew
 */
#define PACKED_DEPTH 1536
#define LEFT_BYTES (512 << 10)
#define MOST_LEFT_BYTES (4 << 20)
#define PANELS 8 /* packed side by side */

static int64_t parts_of(int64_t n, int64_t of)
{
	return (n + of - 1) / of;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t bf16_size(int64_t n, int64_t depth, int parts)
{
	return FLOATS(parts_of(n, SIDE) * parts_of(depth, DEPTH) * TILE * parts);
}

/* Where a tile of an operand comes from, cut at its edges. */
struct source {
	const float *x;
	int64_t stride, n, depth; /* n: rows or columns, at most SIDE; depth: at most DEPTH */
	float factor;
	bool along;
};

/* Tile by tile; and within a tile its parts. transpose: source's layout is not that of the side. */
typedef void pack_function(const struct source *source, int parts, bool transpose, uint16_t *tile);
/*
 * Adds products of `tiles` tiles along the depth, of rows (1 or 2) x columns (any number) tiles, to c, or sets it. The
 * next row's or column's tiles are step numbers further on.
 */
struct operands {
	const uint16_t *left, *right;
	int64_t left_step, right_step, tiles;
	bool add;
	float *c;
	int64_t stride_c;
};
typedef void block_function(const struct operands *o, int parts, int rows, int columns);

/* The products of parts that are summed, in this order: left's, right's. */
static const int summed[3][2] = {{0, 0}, {0, 1}, {1, 0}};

static int n_summed(int parts)
{
	return parts == 1 ? 1 : 3;
}

/* --- plain C --- */

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

static void pack_plain(const struct source *source, int parts, bool transpose, uint16_t *tile)
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

static void block_plain(const struct operands *o, int parts, int rows, int columns)
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

/* --- AVX2, AVX-512 BF16 and AMX --- */

#ifdef __x86_64__

#include <immintrin.h>

#include "nn/tiles.h"

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

AVX2 static void pack_avx2(const struct source *source, int parts, bool transpose, uint16_t *tile)
{
	pack_body(source, parts, transpose, tile);
}

/* The same: fused products, and the flushing of results, are the processor's. */
static void block_avx2(const struct operands *o, int parts, int rows, int columns)
{
	const unsigned before = _mm_getcsr();
	_mm_setcsr(before | TO_ZERO);
	pairs_avx2(o, parts, rows, columns);
	_mm_setcsr(before);
}

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

DOT static void pack_dot(const struct source *s, int parts, bool transpose, uint16_t *tile)
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

DOT static void block_dot(const struct operands *o, int parts, int rows, int columns)
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

static void block_amx(const struct operands *o, int parts, int rows, int columns)
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

static const struct instructions {
	enum cpu level;
	pack_function *pack;
	block_function *block;
} instructions[] = {
#ifdef __x86_64__
	{CPU_AMX, pack_dot, block_amx},
	{CPU_BF16, pack_dot, block_dot},
	{CPU_AVX2, pack_avx2, block_avx2},
#endif
	{CPU_NONE, pack_plain, block_plain},
};

static const struct instructions *choose(void)
{
	const struct instructions *best = instructions;
	while (best->level > cpu_level())
		best++;
	return best;
}

/* --- operands and products --- */

void bf16_pack(enum bf16_side side, int parts, bool along, int64_t n, int64_t depth, float factor, const float *x,
	int64_t stride, float *packed)
{
	pack_function *pack = choose()->pack;
	const int64_t tiles = parts_of(depth, DEPTH), some = along ? SIDE : PANELS * SIDE;
	for (int64_t first = 0; first < n; first += some)
		for (int64_t k = 0; k < depth; k += DEPTH)
			for (int64_t i = first; i < n && i < first + some; i += SIDE) {
				const struct source source = {.x = along ? x + i * stride + k : x + k * stride + i,
					.stride = stride,
					.n = n - i < SIDE ? n - i : SIDE,
					.depth = depth - k < DEPTH ? depth - k : DEPTH,
					.factor = factor,
					.along = along};
				pack(&source, parts, (side == BF16_RIGHT) == along,
					(uint16_t *)(void *)packed + (i / SIDE * tiles + k / DEPTH) * parts * TILE);
			}
}

static void copy(const float *from, int64_t stride_from, float *to, int64_t stride_to, int64_t rows, int64_t columns)
{
	for (int64_t row = 0; row < rows; row++)
		memcpy(to + row * stride_to, from + row * stride_from, (size_t)columns * sizeof *to);
}

/* A block of c at its edge, of which m x n are there. */
static void edge_block(block_function *block, struct operands o, int parts, int64_t m, int64_t n)
{
	float whole[BLOCK * BLOCK] __attribute__((aligned(64))), *c = o.c;
	int64_t stride = o.stride_c;
	o.c = whole;
	o.stride_c = BLOCK;
	if (o.add)
		copy(c, stride, whole, BLOCK, m, n);
	block(&o, parts, m > SIDE ? 2 : 1, n > SIDE ? 2 : 1);
	copy(whole, BLOCK, c, stride, m, n);
}

/* A block's rows of c, m of them, and n columns. */
static void product_rows(block_function *block, struct operands o, int parts, int64_t m, int64_t n)
{
	const int64_t whole = m % SIDE ? 0 : n / SIDE;
	if (whole)
		block(&o, parts, (int)(m / SIDE), (int)whole);
	o.right += whole * o.right_step;
	o.c += whole * SIDE;
	for (int64_t column = whole * SIDE; column < n; column += BLOCK, o.right += 2 * o.right_step, o.c += BLOCK)
		edge_block(block, o, parts, m, least(n - column, BLOCK));
}

const float *bf16_at(const float *packed, int64_t column, int64_t from, int64_t depth, int parts)
{
	return packed + bf16_size(column, depth, parts) + bf16_size(SIDE, from, parts);
}

/*
 * Into how many rows or columns at a time n are divided, evenly,
 * so that these, `bytes` each, take about `most` at most.
 */
static int64_t at_once_of(int64_t n, int64_t bytes, int64_t most)
{
	int64_t blocks = bytes ? most / bytes / BLOCK : n;
	int64_t times = parts_of(n, (blocks ? blocks : 1) * BLOCK);
	return times ? parts_of(parts_of(n, times), BLOCK) * BLOCK : BLOCK;
}

void bf16_product(int parts, int64_t m, int64_t n, int64_t k, const float *left, const float *right,
	int64_t right_depth, bool add, float *c, int64_t stride_c)
{
	block_function *block = choose()->block;
	const int64_t depth = parts_of(k, DEPTH), passes = parts_of(depth, PASS / parts);
	const int64_t at_once = passes ? parts_of(depth, passes) : 1;
	const int64_t left_step = depth * parts * TILE, right_step = parts_of(right_depth, DEPTH) * parts * TILE;
	const int64_t columns = at_once_of(n, at_once * DEPTH * parts * (int64_t)sizeof(uint16_t), RIGHT_BYTES);
	const uint16_t *const l = (const uint16_t *)(const void *)left, *const r = (const uint16_t *)(const void *)right;
	for (int64_t column = 0; column < n; column += columns)
		for (int64_t row = 0; row < m; row += ROWS)
			for (int64_t from = 0; from < depth || !from; from += at_once)
				for (int64_t i = row; i < m && i < row + ROWS; i += BLOCK) {
					const struct operands o = {.left = l + i / SIDE * left_step + from * parts * TILE,
						.right = r + column / SIDE * right_step + from * parts * TILE,
						.left_step = left_step,
						.right_step = right_step,
						.tiles = least(depth - from, at_once),
						.add = add || from,
						.c = c + i * stride_c + column,
						.stride_c = stride_c};
					product_rows(block, o, parts, least(m - i, BLOCK), least(n - column, columns));
				}
}

/* Of a product's depth a part, for which both sides are packed. */
struct factors {
	int parts;
	bool transpose_a, transpose_b, add;
	int64_t m, n, k;
	float alpha;
	const float *a, *b;
	int64_t stride_a, stride_b, stride_c;
	float *c;
};

static void multiply_factors(const struct factors *f, int threads)
{
	const int64_t bytes = parts_of(f->k, DEPTH) * DEPTH * f->parts * (int64_t)sizeof(uint16_t);
	const int64_t columns = at_once_of(parts_of(f->n, threads), bytes, RIGHT_BYTES);
	const int64_t rows = at_once_of(f->m, bytes, columns < f->n ? MOST_LEFT_BYTES : LEFT_BYTES);
	for (int64_t i = 0; i < f->m; i += rows) {
		const int64_t some = least(f->m - i, rows);
		float *left = thread_scratch(SCRATCH_LEFT, bf16_size(some, f->k, f->parts));
		bf16_pack(BF16_LEFT, f->parts, !f->transpose_a, some, f->k, f->alpha,
			f->a + (f->transpose_a ? i : i * f->stride_a), f->stride_a, left);
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (threads > 1)
		for (int64_t j = 0; j < f->n; j += columns) {
			const int64_t width = least(f->n - j, columns);
			float *right = thread_scratch(SCRATCH_RIGHT, bf16_size(width, f->k, f->parts));
			if (!i || columns < f->n)
				bf16_pack(BF16_RIGHT, f->parts, f->transpose_b, width, f->k, 1,
					f->b + (f->transpose_b ? j * f->stride_b : j), f->stride_b, right);
			bf16_product(f->parts, some, width, f->k, left, right, f->k, f->add, f->c + i * f->stride_c + j,
				f->stride_c);
		}
	}
}

void bf16_gemm(int parts, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha,
	const float *a, int64_t stride_a, const float *b, int64_t stride_b, bool add, float *c, int64_t stride_c,
	int threads)
{
	for (int64_t from = 0; from < k || !from; from += PACKED_DEPTH / parts) {
		const struct factors f = {parts, transpose_a, transpose_b, add || from, m, n,
			least(k - from, PACKED_DEPTH / parts), alpha, a + (transpose_a ? from * stride_a : from),
			b + (transpose_b ? from : from * stride_b), stride_a, stride_b, stride_c, c};
		multiply_factors(&f, threads);
	}
}
