/* Products in integers: exact where numbers are, near where they are not, the same bytes whatever the instructions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "levels.h"
#include "nn/integer.h"
#include "stream/util.h"

/* y (+)= x times rows [first, first + count) of a matrix, or of the transposed one. */
struct product {
	int64_t n, rows, columns, first, count;
	bool transposed, add;
	float *matrix, *x, *y;
	double *expected;
	int64_t stride_x, stride_y; /* wider than the rows */
};

static int64_t depth_of(const struct product *p)
{
	return p->transposed ? p->columns : p->count;
}

static int64_t width_of(const struct product *p)
{
	return p->transposed ? p->count : p->columns;
}

/* in_grid: numbers that integers tell apart without loss. */
static struct product new_product(int64_t n, int64_t rows, int64_t columns, int64_t first, int64_t count,
	bool transposed, bool add, bool in_grid)
{
	struct product p = {.n = n,
		.rows = rows,
		.columns = columns,
		.first = first,
		.count = count,
		.transposed = transposed,
		.add = add};
	struct rng rng;
	rng_seed(&rng, (uint64_t)(n * 1000003 + rows * 1009 + columns));
	int64_t depth = depth_of(&p), width = width_of(&p);
	p.stride_x = depth + 3;
	p.stride_y = width + 5;
	p.matrix = xaligned((size_t)(rows * columns), sizeof *p.matrix);
	p.x = xaligned((size_t)(n * p.stride_x + 1), sizeof *p.x);
	p.y = xaligned((size_t)(n * p.stride_y + 1), sizeof *p.y);
	p.expected = xcalloc((size_t)(n * p.stride_y + 1), sizeof *p.expected);
	for (int64_t i = 0; i < rows * columns; i++)
		p.matrix[i] = (float)rng_normal(&rng);
	for (int64_t i = 0; i < n * p.stride_x; i++)
		p.x[i] = (float)rng_normal(&rng);
	for (int64_t r = 0; in_grid && r < rows; r++) /* every group has both ends of its range */
		for (int64_t c = 0; c < columns; c++)
			p.matrix[r * columns + c] = (float)(transposed ? (r + c) % 2 ? 4095 : (r * 3100 + c * 1700) % 8191 - 4095 :
					(r + c) % 2                            ? 77 :
					(r + c) % 4                            ? -50 :
															 (r * 31 + c * 17) % 128 - 50);
	for (int64_t i = 0; in_grid && i < n * p.stride_x; i++)
		p.x[i] = (float)(transposed     ? i % p.stride_x % 8 == 1 ? -8191 : i * 3700 % 16383 - 8191 :
				i % p.stride_x % 8 == 1 ? -63 :
										  i * 37 % 127 - 63);
	for (int64_t i = 0; i < n; i++)
		for (int64_t j = 0; j < p.stride_y; j++) {
			p.y[i * p.stride_y + j] = (float)(j % 7);
			double sum = add || j >= width ? (double)(j % 7) : 0;
			for (int64_t k = 0; k < depth && j < width; k++)
				sum += (double)p.x[i * p.stride_x + k] *
					(double)(transposed ? p.matrix[(first + j) * columns + k] : p.matrix[(first + k) * columns + j]);
			p.expected[i * p.stride_y + j] = sum;
		}
	return p;
}

static void free_product(struct product *p)
{
	free(p->matrix);
	free(p->x);
	free(p->y);
	free(p->expected);
}

static void compute(const struct product *p)
{
	struct integer_matrix *matrix = integer_new(p->matrix, p->rows, p->columns);
	assert_int_equal(integer_rows(matrix), p->rows);
	float *scratch = xaligned((size_t)integer_scratch(matrix, p->n) + 1, sizeof *scratch);
	integer_product(matrix, p->first, p->count, p->transposed, p->n, p->x, p->stride_x, p->y, p->stride_y, p->add,
		scratch);
	free(scratch);
	integer_free(matrix);
}

/* The root of the squared error, as a share of the product's own size. */
static double error_of(const struct product *p)
{
	double error = 0, size = 0;
	for (int64_t i = 0; i < p->n; i++)
		for (int64_t j = 0; j < p->stride_y; j++) {
			double expected = p->expected[i * p->stride_y + j], is = (double)p->y[i * p->stride_y + j];
			if (j >= width_of(p)) /* what is between the rows stays */
				assert_true(is == expected);
			error += (is - expected) * (is - expected);
			size += expected * expected;
		}
	return sqrt(error / size);
}

static const struct {
	int64_t n, rows, columns, first, count;
} shapes[] = {{1, 1, 1, 0, 1}, {1, 16, 64, 0, 16}, {4, 64, 64, 0, 64}, {5, 70, 130, 0, 70}, {13, 48, 200, 0, 48},
	{3, 300, 65, 64, 128}, {9, 300, 65, 256, 44}, {2, 7, 576, 0, 7}, {33, 192, 96, 0, 192}, {17, 49, 500, 0, 49},
	{31, 300, 47, 256, 44}, {15, 31, 33, 0, 31}};

/* at_most: of 16 bits, and of 8 */
static void expect_errors(bool in_grid, double at_most, double at_most_in_8)
{
	for (size_t s = 0; s < COUNT_OF(shapes); s++)
		for (int flags = 0; flags < 4; flags++) {
			struct product p = new_product(shapes[s].n, shapes[s].rows, shapes[s].columns, shapes[s].first,
				shapes[s].count, flags & 1, flags & 2, in_grid);
			compute(&p);
			double error = error_of(&p);
			if (!(error <= (p.transposed ? at_most : at_most_in_8)))
				fail_msg("%lld x (%lld x %lld)%s: error %g", (long long)p.n, (long long)p.rows, (long long)p.columns,
					p.transposed ? " transposed" : "", error);
			free_product(&p);
		}
}

static void test_exact(void **state)
{
	(void)state;
	expect_errors(true, 1e-6, 1e-6);
}

static void test_near(void **state)
{
	(void)state;
	expect_errors(false, 3e-4, .03);
}

static void same_bytes(enum cpu level)
{
	if (!cpu_use(level))
		skip_for_lack_of_level(level);
	for (size_t s = 0; s < COUNT_OF(shapes); s++)
		for (int flags = 0; flags < 4; flags++) {
			struct product p = new_product(shapes[s].n, shapes[s].rows, shapes[s].columns, shapes[s].first,
				shapes[s].count, flags & 1, flags & 2, false);
			size_t bytes = (size_t)(p.n * p.stride_y) * sizeof *p.y;
			float *before = xaligned(bytes, 1), *plain = xaligned(bytes, 1);
			memcpy(before, p.y, bytes);
			cpu_use(CPU_NONE);
			compute(&p);
			memcpy(plain, p.y, bytes);
			memcpy(p.y, before, bytes);
			cpu_use(level);
			compute(&p);
			assert_memory_equal(p.y, plain, bytes);
			free(before);
			free(plain);
			free_product(&p);
		}
}

static void test_avx2(void **state)
{
	(void)state;
	same_bytes(CPU_AVX2);
}

static void test_vnni(void **state)
{
	(void)state;
	same_bytes(CPU_VNNI);
}

static int best_level(void **state)
{
	(void)state;
	cpu_use(cpu_best());
	return 0;
}

/* A number that is not finite reaches what depends on it, and nothing else. */
static void expect_not_finite(float bad, enum cpu level)
{
	cpu_use(level);
	struct product p = new_product(6, 80, 70, 0, 80, true, false, false);
	p.x[2 * p.stride_x + 66] = bad;
	p.matrix[17 * p.columns + 3] = bad;
	compute(&p);
	for (int64_t i = 0; i < p.n; i++)
		for (int64_t j = 0; j < p.rows; j++)
			assert_int_equal(isfinite(p.y[i * p.stride_y + j]), i != 2 && j != 17);
	free_product(&p);
}

static void test_not_finite(void **state)
{
	(void)state;
	const enum cpu levels[] = {CPU_NONE, cpu_best()};
	for (size_t i = 0; i < COUNT_OF(levels); i++) {
		expect_not_finite(NAN, levels[i]);
		expect_not_finite(INFINITY, levels[i]);
		expect_not_finite(-INFINITY, levels[i]);
	}
}

/* Rows that are all the same number, zero among them. */
static void test_constant(void **state)
{
	(void)state;
	struct product p = new_product(4, 64, 64, 0, 64, true, false, false);
	for (int64_t i = 0; i < p.rows * p.columns; i++)
		p.matrix[i] = (float)(i / p.columns % 3) - 1;
	for (int64_t i = 0; i < p.n * p.stride_x; i++)
		p.x[i] = (float)(i / p.stride_x);
	compute(&p);
	for (int64_t i = 0; i < p.n; i++)
		for (int64_t j = 0; j < p.rows; j++) {
			float expected = (float)(i * 64 * (j % 3 - 1));
			assert_true(fabsf(p.y[i * p.stride_y + j] - expected) <= 1e-5F * fabsf(expected));
		}
	free_product(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_exact, best_level),
		cmocka_unit_test_teardown(test_near, best_level), cmocka_unit_test_teardown(test_avx2, best_level),
		cmocka_unit_test_teardown(test_vnni, best_level), cmocka_unit_test_teardown(test_not_finite, best_level),
		cmocka_unit_test(test_constant)};
	return cmocka_run_group_tests_name("integer", tests, NULL, NULL);
}
