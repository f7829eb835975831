#include "nn/integer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cpu.h"
#include "stream/util.h"

#define GROUP INTEGER_GROUP
#define UNIT 4   /* bytes: two numbers of 16 bits or four of 8, whose products the processor sums */
#define PANEL 16 /* sums side by side */
#define ROWS 4   /* of the left side at a time */
#define LEFT_16 8191
#define RIGHT_16 4095
#define LEFT_8 63
#define RIGHT_8 127

/*
 * The right side of a product: by panel of so many columns, and of that
 * by group, a unit of each column, the next of each, and so on.
 */
struct right {
	int64_t groups, bytes; /* bytes: of a number */
	uint8_t *number;       /* panels x groups x PANEL x GROUP, of `bytes` each */
	float *scale, *least;  /* panels x groups x PANEL; least: of 8 bits, what 0 stands for */
};

struct integer_matrix {
	int64_t rows, columns;
	struct right straight, transposed;
};

/* The left side, ROWS rows at a time: by group, and of that by row. */
struct left {
	uint8_t *number;    /* GROUP, of `bytes` each */
	float *scale, *sum; /* sum: of the numbers, scaled; of 8 bits */
};

/* Of the bits of numbers without sign: greater ones are greater, those that are not finite greatest. */
#define NOT_FINITE 0x7F800000

static int32_t bits_of(float x)
{
	int32_t bits;
	memcpy(&bits, &x, sizeof bits);
	return bits & INT32_MAX;
}

static int64_t parts(int64_t n, int64_t of)
{
	return (n + of - 1) / of;
}

/* Of n numbers, `step` apart. */
static int32_t largest_of(const float *values, int64_t step, int64_t n)
{
	int32_t largest = 0;
	for (int64_t i = 0; i < n; i++)
		largest = bits_of(values[i * step]) > largest ? bits_of(values[i * step]) : largest;
	return largest;
}

/*
 * The scale of numbers with that largest size, which is NaN where one is not finite; and what they are multiplied with.
 */
static float scale_of(int32_t largest_bits, int most, float *factor)
{
	float largest;
	memcpy(&largest, &largest_bits, sizeof largest);
	bool finite = largest_bits < NOT_FINITE;
	*factor = finite && largest > 1e-30F ? (float)most / largest : 0;
	return finite ? largest / (float)most : NAN;
}

/* --- the matrix --- */

/* n numbers of a column, `step` apart, and where in a panel they go. */
struct column {
	const float *from;
	int64_t step, n;
	uint8_t *number;
	float *scale, *least;
};

static void group_in_16(const struct column *c)
{
	float factor;
	*c->scale = scale_of(largest_of(c->from, c->step, c->n), RIGHT_16, &factor);
	for (int64_t i = 0; i < c->n; i++) {
		int16_t number = (int16_t)(factor > 0 ? lrintf(c->from[i * c->step] * factor) : 0);
		memcpy(c->number + i / 2 * PANEL * UNIT + i % 2 * 2, &number, sizeof number);
	}
}

static void group_in_8(const struct column *c)
{
	float low = c->from[0], high = c->from[0];
	bool finite = true;
	for (int64_t i = 0; i < c->n; i++) {
		float value = c->from[i * c->step];
		low = value < low ? value : low;
		high = value > high ? value : high;
		finite = finite && isfinite(value);
	}
	float range = high - low;
	finite = finite && isfinite(range);
	*c->scale = range / RIGHT_8;
	*c->least = finite ? low : NAN;
	for (int64_t i = 0; i < c->n; i++)
		c->number[i / UNIT * PANEL * UNIT + i % UNIT] = finite && *c->scale > 0 ?
			(uint8_t)lrintf((c->from[i * c->step] - low) / range * RIGHT_8) :
			0;
}

/* Sums run over `depth` numbers, `step` apart, for each of the columns, that are `next` apart. */
static struct right right_new(const float *matrix, int64_t depth, int64_t step, int64_t columns, int64_t next,
	int64_t bytes)
{
	int64_t groups = parts(depth, GROUP), count = parts(columns, PANEL) * groups * PANEL;
	struct right right = {groups, bytes, NULL, NULL, NULL};
	right.number = xaligned((size_t)(count * GROUP), (size_t)bytes);
	right.scale = xaligned((size_t)count, sizeof *right.scale);
	right.least = bytes == 1 ? xaligned((size_t)count, sizeof *right.least) : NULL;
#pragma omp parallel for
	for (int64_t i = 0; i < columns * groups; i++) {
		int64_t column = i / groups, group = i % groups, left = depth - group * GROUP;
		int64_t at = (column / PANEL * groups + group) * PANEL;
		const struct column c = {.from = matrix + column * next + group * GROUP * step,
			.step = step,
			.n = left < GROUP ? left : GROUP,
			.number = right.number + at * GROUP * bytes + column % PANEL * UNIT,
			.scale = right.scale + at + column % PANEL,
			.least = right.least ? right.least + at + column % PANEL : NULL};
		if (bytes == 1)
			group_in_8(&c);
		else
			group_in_16(&c);
	}
	return right;
}

static void right_free(struct right *right)
{
	free(right->number);
	free(right->scale);
	free(right->least);
}

struct integer_matrix *integer_new(const float *matrix, int64_t rows, int64_t columns)
{
	struct integer_matrix *made = xcalloc(1, sizeof *made);
	*made = (struct integer_matrix){rows, columns, right_new(matrix, rows, columns, columns, 1, 1),
		right_new(matrix, columns, 1, rows, columns, 2)};
	return made;
}

void integer_free(struct integer_matrix *matrix)
{
	if (!matrix)
		return;
	right_free(&matrix->straight);
	right_free(&matrix->transposed);
	free(matrix);
}

int64_t integer_rows(const struct integer_matrix *matrix)
{
	return matrix->rows;
}

/* --- plain C --- */

/* A group of one row of the left side in integers; its scale, and in 8 bits its scaled sum. */
typedef void left_function(const float values[GROUP], uint8_t *number, float *scale, float *sum);
/* Adds the products of so many groups. */
typedef void tile_function(const struct left *left, const uint8_t *number, const float *scale, const float *least,
	int64_t groups, float sums[ROWS][PANEL]);

static void left_plain_16(const float values[GROUP], uint8_t *number, float *scale, float *sum)
{
	float factor;
	(void)sum;
	*scale = scale_of(largest_of(values, 1, GROUP), LEFT_16, &factor);
	for (int i = 0; i < GROUP; i++) {
		int16_t one = (int16_t)(factor > 0 ? lrintf(values[i] * factor) : 0);
		memcpy(number + i * 2, &one, sizeof one);
	}
}

static void left_plain_8(const float values[GROUP], uint8_t *number, float *scale, float *sum)
{
	float factor;
	int32_t total = 0;
	*scale = scale_of(largest_of(values, 1, GROUP), LEFT_8, &factor);
	for (int i = 0; i < GROUP; i++) {
		int8_t one = (int8_t)(factor > 0 ? lrintf(values[i] * factor) : 0);
		memcpy(number + i, &one, sizeof one);
		total += one;
	}
	*sum = *scale * (float)total;
}

static int32_t unit_product(const uint8_t *left, const uint8_t *right, int bytes)
{
	int16_t l[2], r[2];
	if (bytes == 1)
		return (int8_t)left[0] * right[0] + (int8_t)left[1] * right[1] + (int8_t)left[2] * right[2] +
			(int8_t)left[3] * right[3];
	memcpy(l, left, sizeof l);
	memcpy(r, right, sizeof r);
	return l[0] * r[0] + l[1] * r[1];
}

static void tile_plain(const struct left *left, const uint8_t *number, const float *scale, const float *least,
	int64_t groups, float sums[ROWS][PANEL], int bytes)
{
	for (int64_t group = 0; group < groups; group++, number += GROUP * PANEL * bytes)
		for (int row = 0; row < ROWS; row++)
			for (int column = 0; column < PANEL; column++) {
				int64_t from = group * ROWS + row, at = group * PANEL + column;
				int32_t sum = 0;
				for (int byte = 0; byte < GROUP * bytes; byte += UNIT)
					sum += unit_product(left->number + from * GROUP * bytes + byte,
						number + byte * PANEL + column * UNIT, bytes);
				float *to = &sums[row][column];
				*to = fmaf(left->scale[from], (float)sum * scale[at], *to);
				if (bytes == 1)
					*to = fmaf(left->sum[from], least[at], *to);
			}
}

#define TILE_FUNCTION(name, body, bytes)                                                                               \
	static void name(const struct left *left, const uint8_t *number, const float *scale, const float *least,           \
		int64_t groups, float sums[ROWS][PANEL])                                                                       \
	{                                                                                                                  \
		body(left, number, scale, least, groups, sums, bytes);                                                         \
	}

TILE_FUNCTION(tile_plain_16, tile_plain, 2)
TILE_FUNCTION(tile_plain_8, tile_plain, 1)

/* --- AVX2 and VNNI --- */

#ifdef __x86_64__

#include <immintrin.h>

#include "nn/tiles.h"

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX2_INLINE AVX2 static inline __attribute__((always_inline))

AVX2_INLINE float scale_avx2(const float values[GROUP], int most, __m256 *factors)
{
	const __m256i no_sign = _mm256_set1_epi32(INT32_MAX);
	__m256i largest = _mm256_setzero_si256();
	float factor;
	for (int i = 0; i < GROUP; i += 8)
		largest = _mm256_max_epi32(largest,
			_mm256_and_si256(_mm256_castps_si256(_mm256_loadu_ps(values + i)), no_sign));
	__m128i four = _mm_max_epi32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
	four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4E));
	four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xB1));
	float scale = scale_of(_mm_cvtsi128_si32(four), most, &factor);
	*factors = _mm256_set1_ps(factor);
	return scale;
}

/*
 * Sixteen numbers in the order 0-3, 8-11, 4-7, 12-15, which packing
 * halves leaves. Where the factor is 0, so are they all.
 */
AVX2_INLINE __m256i sixteen(const float *values, __m256 factors)
{
	const __m256 some = _mm256_cmp_ps(factors, _mm256_setzero_ps(), _CMP_GT_OQ);
	__m256i low = _mm256_cvtps_epi32(_mm256_and_ps(_mm256_mul_ps(_mm256_loadu_ps(values), factors), some));
	__m256i high = _mm256_cvtps_epi32(_mm256_and_ps(_mm256_mul_ps(_mm256_loadu_ps(values + 8), factors), some));
	return _mm256_packs_epi32(low, high);
}

AVX2 static void left_avx2_16(const float values[GROUP], uint8_t *number, float *scale, float *sum)
{
	__m256 factors;
	(void)sum;
	*scale = scale_avx2(values, LEFT_16, &factors);
	for (int i = 0; i < GROUP; i += 16)
		_mm256_storeu_si256((__m256i_u *)(number + i * 2),
			_mm256_permute4x64_epi64(sixteen(values + i, factors), 0xD8));
}

AVX2 static void left_avx2_8(const float values[GROUP], uint8_t *number, float *scale, float *sum)
{
	const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7), ones = _mm256_set1_epi16(1);
	__m256i total = _mm256_setzero_si256();
	__m256 factors;
	*scale = scale_avx2(values, LEFT_8, &factors);
	for (int i = 0; i < GROUP; i += 32) {
		__m256i low = sixteen(values + i, factors), high = sixteen(values + i + 16, factors);
		_mm256_storeu_si256((__m256i_u *)(number + i),
			_mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order));
		total = _mm256_add_epi32(total, _mm256_madd_epi16(_mm256_add_epi16(low, high), ones));
	}
	__m128i four = _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
	four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
	four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0xB1));
	*sum = *scale * (float)_mm_cvtsi128_si32(four);
}

/* Adds two units' products. In assembly: the compiler would keep them all, and add up at the end. */
AVX2_INLINE void add_units(__m256i *sum, const __m256i right[2], const __m256i left[2], int bytes)
{
	if (bytes == 2) {
		__asm__("vpaddd %1, %0, %0" : "+x"(*sum) : "x"(_mm256_madd_epi16(right[0], left[0])));
		__asm__("vpaddd %1, %0, %0" : "+x"(*sum) : "x"(_mm256_madd_epi16(right[1], left[1])));
	} else {
		__m256i both = _mm256_add_epi16(_mm256_maddubs_epi16(right[0], left[0]),
			_mm256_maddubs_epi16(right[1], left[1]));
		__asm__("vpaddd %1, %0, %0" : "+x"(*sum) : "x"(_mm256_madd_epi16(both, _mm256_set1_epi16(1))));
	}
}

AVX2_INLINE __m256i everywhere(const uint8_t *unit)
{
	int32_t bits;
	memcpy(&bits, unit, sizeof bits);
	return _mm256_set1_epi32(bits);
}

AVX2_INLINE void tile_vectors(const struct left *left, const uint8_t *number, const float *scale, const float *least,
	int64_t groups, float sums[ROWS][PANEL], int bytes)
{
	const uint8_t *rows = left->number;
	const float *row_scale = left->scale, *row_sum = left->sum;
	for (int64_t group = 0; group < groups; group++, rows += ROWS * GROUP * bytes, row_scale += ROWS, scale += PANEL) {
		__m256i sum[ROWS][2];
#pragma GCC unroll 4
		for (int row = 0; row < ROWS; row++)
			sum[row][0] = sum[row][1] = _mm256_setzero_si256();
#pragma GCC unroll 2
		for (int byte = 0; byte < GROUP * bytes; byte += 2 * UNIT, number += 2 * PANEL * UNIT) {
			const __m256i_u *from = (const __m256i_u *)number;
			const __m256i right[2][2] = {{from[0], from[2]}, {from[1], from[3]}};
#pragma GCC unroll 4
			for (int row = 0; row < ROWS; row++) {
				const uint8_t *unit = rows + row * GROUP * bytes + byte;
				const __m256i both[2] = {everywhere(unit), everywhere(unit + UNIT)};
				add_units(&sum[row][0], right[0], both, bytes);
				add_units(&sum[row][1], right[1], both, bytes);
			}
		}
#pragma GCC unroll 4
		for (int row = 0; row < ROWS; row++) {
#pragma GCC unroll 2
			for (int half = 0; half < PANEL; half += 8) {
				float *to = sums[row] + half;
				__m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(sum[row][half / 8]), _mm256_loadu_ps(scale + half));
				scaled = _mm256_fmadd_ps(_mm256_broadcast_ss(row_scale + row), scaled, _mm256_loadu_ps(to));
				if (bytes == 1)
					scaled = _mm256_fmadd_ps(_mm256_broadcast_ss(row_sum + row), _mm256_loadu_ps(least + half), scaled);
				_mm256_storeu_ps(to, scaled);
			}
		}
		if (bytes == 1) {
			row_sum += ROWS;
			least += PANEL;
		}
	}
}

AVX2 TILE_FUNCTION(tile_avx2_16, tile_vectors, 2)
AVX2 TILE_FUNCTION(tile_avx2_8, tile_vectors, 1)

#define VNNI __attribute__((target("avx512f,avx512vnni")))
#define VNNI_INLINE VNNI static inline __attribute__((always_inline))

VNNI_INLINE __m512i plus_units(__m512i sum, __m512i right, const uint8_t *unit, int bytes)
{
	if (bytes == 2)
		VNNI_PRODUCTS_OF_UNIT("vpdpwssd", sum, right, unit);
	else
		VNNI_PRODUCTS_OF_UNIT("vpdpbusd", sum, right, unit);
	return sum;
}

/* Two sums for each row, as one would wait for itself. */
VNNI_INLINE void tile_wide(const struct left *left, const uint8_t *number, const float *scale, const float *least,
	int64_t groups, float sums[ROWS][PANEL], int bytes)
{
	const uint8_t *rows = left->number;
	const float *row_scale = left->scale, *row_sum = left->sum;
	__m512 total[ROWS];
#pragma GCC unroll 4
	for (int row = 0; row < ROWS; row++)
		total[row] = _mm512_loadu_ps(sums[row]);
	for (int64_t group = 0; group < groups; group++, rows += ROWS * GROUP * bytes, row_scale += ROWS, scale += PANEL) {
		__m512i sum[ROWS][2];
#pragma GCC unroll 4
		for (int row = 0; row < ROWS; row++)
			sum[row][0] = sum[row][1] = _mm512_setzero_si512();
#pragma GCC unroll 4
		for (int byte = 0; byte < GROUP * bytes; byte += 2 * UNIT, number += 2 * PANEL * UNIT) {
			__m512i right[2] = {_mm512_loadu_si512(number), _mm512_loadu_si512(number + PANEL * UNIT)};
#pragma GCC unroll 4
			for (int row = 0; row < ROWS; row++) {
				const uint8_t *unit = rows + row * GROUP * bytes + byte;
				sum[row][0] = plus_units(sum[row][0], right[0], unit, bytes);
				sum[row][1] = plus_units(sum[row][1], right[1], unit + UNIT, bytes);
			}
		}
#pragma GCC unroll 4
		for (int row = 0; row < ROWS; row++) {
			__m512i both = _mm512_add_epi32(sum[row][0], sum[row][1]);
			__m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(both), _mm512_loadu_ps(scale));
			total[row] = _mm512_fmadd_ps(_mm512_set1_ps(row_scale[row]), scaled, total[row]);
			if (bytes == 1)
				total[row] = _mm512_fmadd_ps(_mm512_set1_ps(row_sum[row]), _mm512_loadu_ps(least), total[row]);
		}
		if (bytes == 1) {
			row_sum += ROWS;
			least += PANEL;
		}
	}
#pragma GCC unroll 4
	for (int row = 0; row < ROWS; row++)
		_mm512_storeu_ps(sums[row], total[row]);
}

VNNI TILE_FUNCTION(tile_vnni_16, tile_wide, 2)
VNNI TILE_FUNCTION(tile_vnni_8, tile_wide, 1)

#endif

static const struct instructions {
	enum cpu level;
	left_function *left_16, *left_8;
	tile_function *tile_16, *tile_8;
} instructions[] = {
#ifdef __x86_64__
	{CPU_VNNI, left_avx2_16, left_avx2_8, tile_vnni_16, tile_vnni_8},
	{CPU_AVX2, left_avx2_16, left_avx2_8, tile_avx2_16, tile_avx2_8},
#endif
	{CPU_NONE, left_plain_16, left_plain_8, tile_plain_16, tile_plain_8},
};

static const struct instructions *choose(void)
{
	const struct instructions *best = instructions;
	while (best->level > cpu_level())
		best++;
	return best;
}

/* --- the product --- */

/* In the layout of left_of(). */
static int64_t left_floats(int64_t n, int64_t groups, int64_t bytes)
{
	return parts(n, ROWS) * ROWS * groups * (GROUP * bytes / (int64_t)sizeof(float) + 2);
}

int64_t integer_scratch(const struct integer_matrix *matrix, int64_t n)
{
	int64_t straight = left_floats(n, matrix->straight.groups, matrix->straight.bytes);
	int64_t transposed = left_floats(n, matrix->transposed.groups, matrix->transposed.bytes);
	return straight > transposed ? straight : transposed;
}

/* All of x, with rows of zeros up to whole ROWS. */
static struct left left_of(left_function *in_integers, int64_t n, const float *x, int64_t stride, int64_t depth,
	int64_t groups, int64_t bytes, float *scratch)
{
	int64_t rows = parts(n, ROWS) * ROWS;
	struct left left = {(uint8_t *)(scratch + 2 * rows * groups), scratch, scratch + rows * groups};
	for (int64_t row = 0; row < rows; row++)
		for (int64_t group = 0; group < groups; group++) {
			int64_t at = (row / ROWS * groups + group) * ROWS + row % ROWS, from = group * GROUP;
			float padded[GROUP] = {0};
			bool is_whole = row < n && depth - from >= GROUP;
			if (row < n && !is_whole)
				memcpy(padded, x + row * stride + from, (size_t)(depth - from) * sizeof *padded);
			in_integers(is_whole ? x + row * stride + from : padded, left.number + at * GROUP * bytes, left.scale + at,
				left.sum + at);
		}
	return left;
}

static void copy_rows(float *to, int64_t stride_to, const float *from, int64_t stride_from, int64_t rows,
	int64_t columns)
{
	for (int64_t row = 0; row < rows; row++, to += stride_to, from += stride_from)
		if (columns == PANEL) /* told, it copies them without a call */
			memcpy(to, from, PANEL * sizeof *to);
		else
			memcpy(to, from, (size_t)columns * sizeof *to);
}

void integer_product(const struct integer_matrix *matrix, int64_t first, int64_t count, bool transposed, int64_t n,
	const float *x, int64_t stride_x, float *y, int64_t stride_y, bool add, float *scratch)
{
	const struct right *right = transposed ? &matrix->transposed : &matrix->straight;
	const struct instructions *use = choose();
	tile_function *tile = transposed ? use->tile_16 : use->tile_8;
	int64_t depth = transposed ? matrix->columns : count, width = transposed ? count : matrix->columns;
	int64_t groups = parts(depth, GROUP), from = transposed ? first / PANEL * right->groups : first / GROUP;
	const struct left left = left_of(transposed ? use->left_16 : use->left_8, n, x, stride_x, depth, groups,
		right->bytes, scratch);
	for (int64_t column = 0; column < width; column += PANEL, from += right->groups)
		for (int64_t row = 0; row < n; row += ROWS) {
			float sums[ROWS][PANEL] = {{0}}, *to = y + row * stride_y + column;
			int64_t at = from * PANEL, left_at = row * groups;
			int64_t rows = n - row < ROWS ? n - row : ROWS, columns = width - column < PANEL ? width - column : PANEL;
			const struct left some = {left.number + left_at * GROUP * right->bytes, left.scale + left_at,
				left.sum + left_at};
			if (add)
				copy_rows(sums[0], PANEL, to, stride_y, rows, columns);
			tile(&some, right->number + at * GROUP * right->bytes, right->scale + at,
				right->least ? right->least + at : NULL, groups, sums);
			copy_rows(to, stride_y, sums[0], PANEL, rows, columns);
		}
}
