/* Products in bfloat16: exact where numbers are, near where they are not, and on tiles the bits of the model in C. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/bf16.h"
#include "nn/matrix.h"

#include "levels.h"

/* op(a) (m x k) times op(b) (k x n), with strides that are no multiple of anything. */
struct product {
	int64_t m, n, k, stride_a, stride_b, stride_c;
	bool transpose_a, transpose_b, add;
	float *a, *b, *c;
};

static float *random_floats(int64_t count, bool in_grid, struct rng *rng)
{
	float *x = xaligned((size_t)count, sizeof *x);
	for (int64_t i = 0; i < count; i++)
		x[i] = in_grid ? (float)((int)rng_below(rng, 33) - 16) / 4 : (float)rng_normal(rng);
	return x;
}

static struct product new_product(int64_t m, int64_t n, int64_t k, int flags, bool in_grid)
{
	struct product p = {m, n, k, .transpose_a = flags & 1, .transpose_b = flags & 2, .add = flags & 4};
	struct rng rng;
	rng_seed(&rng, (uint64_t)(m + 100 * n + 10000 * k + flags));
	p.stride_a = (p.transpose_a ? m : k) + 3;
	p.stride_b = (p.transpose_b ? k : n) + 5;
	p.stride_c = n + 1;
	p.a = random_floats((p.transpose_a ? k : m) * p.stride_a, in_grid, &rng);
	p.b = random_floats((p.transpose_b ? n : k) * p.stride_b, in_grid, &rng);
	p.c = random_floats(m * p.stride_c, in_grid, &rng);
	return p;
}

static void free_product(struct product *p)
{
	free(p->a);
	free(p->b);
	free(p->c);
}

static void compute(const struct product *p, int parts, float *c, int threads)
{
	memcpy(c, p->c, (size_t)(p->m * p->stride_c) * sizeof *c);
	bf16_gemm(parts, p->transpose_a, p->transpose_b, p->m, p->n, p->k, 1, p->a, p->stride_a, p->b, p->stride_b, p->add,
		c, p->stride_c, threads);
}

static double expected(const struct product *p, int64_t i, int64_t j, double *size)
{
	double sum = p->add ? (double)p->c[i * p->stride_c + j] : 0;
	*size = 0;
	for (int64_t k = 0; k < p->k; k++) {
		double a = (double)(p->transpose_a ? p->a[k * p->stride_a + i] : p->a[i * p->stride_a + k]);
		double b = (double)(p->transpose_b ? p->b[j * p->stride_b + k] : p->b[k * p->stride_b + j]);
		sum += a * b;
		*size += a * a * b * b;
	}
	*size = sqrt(*size);
	return sum;
}

/* Each by all flags; and these sizes, any two of them in any two dimensions, by one. */
static const int64_t shapes[][3] = {{1, 1, 1}, {16, 16, 32}, {17, 33, 31}, {32, 32, 64}, {40, 70, 100}, {5, 100, 7},
	{64, 16, 1100}, {1030, 40, 33}, {17, 1000, 33}};
static const int64_t sizes[] = {1, 15, 16, 17, 31, 33, 47, 48, 49};
#define N_SIZES ((int)COUNT_OF(sizes))
#define N_WHOLE (8 * (int)COUNT_OF(shapes))
#define N_PRODUCTS (N_WHOLE + N_SIZES * N_SIZES)

static struct product product_of(int i, bool in_grid)
{
	if (i < N_WHOLE)
		return new_product(shapes[i / 8][0], shapes[i / 8][1], shapes[i / 8][2], i % 8, in_grid);
	i -= N_WHOLE;
	const int row = i % N_SIZES, column = i / N_SIZES;
	return new_product(sizes[row], sizes[column], sizes[(row + column) % N_SIZES], i % 8, in_grid);
}

/* Numbers that bfloat16 has, whose sums floats have: the products themselves, wherever an operand's edges are. */
static void test_exact(void **state)
{
	(void)state;
	for (enum cpu level = first_level(); level < N_CPU && cpu_use(level); level++)
		for (int which = 0; which < N_PRODUCTS; which++) {
			struct product p = product_of(which, true);
			float *c = xaligned((size_t)(p.m * p.stride_c), sizeof *c),
				  *again = xaligned((size_t)(p.m * p.stride_c), sizeof *c);
			compute(&p, 1, c, 1);
			compute(&p, 2, again, 2);
			for (int64_t i = 0; i < p.m; i++)
				for (int64_t j = 0; j < p.stride_c; j++) {
					double size, sum = j < p.n ? expected(&p, i, j, &size) : (double)p.c[i * p.stride_c + j];
					assert_true((double)c[i * p.stride_c + j] == sum && (double)again[i * p.stride_c + j] == sum);
				}
			free(c);
			free(again);
			free_product(&p);
		}
	cpu_use(cpu_best());
}

/* Of any numbers: one part errs by 2^-9 of each, two by about 2^-17. */
static void test_near(void **state)
{
	(void)state;
	static const double bound[] = {0, 2e-2, 6e-5};
	for (enum cpu level = first_level(); level < N_CPU && cpu_use(level); level++)
		for (int which = 0; which < 16; which++)
			for (int parts = 1; parts <= 2; parts++) {
				struct product p = which < 8 ? new_product(50, 37, 300, which, false) :
											   new_product(17, 49, 111, which - 8, false);
				float *c = xaligned((size_t)(p.m * p.stride_c), sizeof *c);
				compute(&p, parts, c, 1);
				for (int64_t i = 0; i < p.m; i++)
					for (int64_t j = 0; j < p.n; j++) {
						double size, sum = expected(&p, i, j, &size);
						assert_true(fabs((double)c[i * p.stride_c + j] - sum) < bound[parts] * size);
					}
				free(c);
				free_product(&p);
			}
	cpu_use(cpu_best());
}

/* By one thread and the portable code, `than`; by several, than by one. */
static void expect_same_bits(const struct product *p, int parts, enum cpu than, enum cpu level, int threads)
{
	size_t bytes = (size_t)(p->m * p->stride_c) * sizeof(float);
	float *plain = xaligned(bytes, 1), *other = xaligned(bytes, 1);
	cpu_use(threads > 1 ? level : than);
	compute(p, parts, plain, 1);
	cpu_use(level);
	compute(p, parts, other, threads);
	assert_memory_equal(plain, other, bytes);
	free(plain);
	free(other);
}

/* Large and small numbers among them, down to those that are not normal. */
static void expect_bits_of_the_model(enum cpu model, enum cpu level)
{
	if (!cpu_use(level))
		skip_for_lack_of_level(level);
	for (int which = 0; which < N_PRODUCTS; which++)
		for (int parts = 1; parts <= 2; parts++) {
			struct product p = product_of(which, false);
			for (int64_t i = 0; i < p.n; i++)
				p.b[i] *= powf(10, (float)(i % 70) - 37);
			expect_same_bits(&p, parts, model, level, 1);
			free_product(&p);
		}
	cpu_use(cpu_best());
}

static void test_avx2_is_the_model(void **state)
{
	(void)state;
	expect_bits_of_the_model(CPU_NONE, CPU_AVX2);
}

static void test_tiles_are_the_model(void **state)
{
	(void)state;
	expect_bits_of_the_model(CPU_AVX2, CPU_AMX);
}

static void test_any_number_of_threads(void **state)
{
	(void)state;
	for (int parts = 1; parts <= 2; parts++) {
		struct product p = new_product(70, 300, 90, 0, false);
		for (int threads = 2; threads < 5; threads++)
			expect_same_bits(&p, parts, CPU_NONE, cpu_best(), threads);
		free_product(&p);
	}
}

/* What is not finite reaches what depends on it, and nothing else. */
static void test_not_finite(void **state)
{
	(void)state;
	static const float bad[] = {NAN, INFINITY, -INFINITY};
	for (enum cpu level = first_level(); level < N_CPU && cpu_use(level); level++)
		for (int parts = 1; parts <= 2; parts++)
			for (size_t one = 0; one < COUNT_OF(bad); one++) {
				struct product p = new_product(20, 40, 50, 0, false);
				p.a[3 * p.stride_a + 33] = bad[one];
				p.b[2 * p.stride_b + 17] = bad[one];
				float *c = xaligned((size_t)(p.m * p.stride_c), sizeof *c);
				compute(&p, parts, c, 1);
				for (int64_t i = 0; i < p.m; i++)
					for (int64_t j = 0; j < p.n; j++)
						assert_int_equal(!isfinite(c[i * p.stride_c + j]), i == 3 || j == 17);
				free(c);
				free_product(&p);
			}
	cpu_use(cpu_best());
}

/* gemm() goes by the precision, where the processor has what it takes. */
static void test_precision(void **state)
{
	(void)state;
	struct product p = new_product(128, 128, 128, 0, false);
	for (enum precision precision = PRECISION_F32; precision <= PRECISION_BF16; precision++) {
		static const double least[] = {0, 1e-6, 1e-3}, most[] = {1e-6, 1e-5, 1e-2};
		static const enum cpu needed[] = {CPU_NONE, CPU_AMX, CPU_BF16};
		bool rounds = cpu_level() >= needed[precision];
		float *c = xaligned((size_t)(p.m * p.stride_c), sizeof *c);
		assert_int_equal(products_in(precision), precision ? precision - 1 : PRECISION_F32);
		gemm(false, false, p.m, p.n, p.k, 1, p.a, p.stride_a, p.b, p.stride_b, 0, c, p.stride_c);
		double errors = 0, squares = 0, size;
		for (int64_t i = 0; i < p.m; i++)
			for (int64_t j = 0; j < p.n; j++) {
				double sum = expected(&p, i, j, &size);
				errors += pow((double)c[i * p.stride_c + j] - sum, 2);
				squares += sum * sum;
			}
		double error = sqrt(errors / squares);
		assert_true(error <= most[rounds ? precision : PRECISION_F32]);
		assert_true(error >= least[rounds ? precision : PRECISION_F32]);
		free(c);
	}
	products_in(PRECISION_F32);
	free_product(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_exact), cmocka_unit_test(test_near),
		cmocka_unit_test(test_avx2_is_the_model), cmocka_unit_test(test_tiles_are_the_model),
		cmocka_unit_test(test_any_number_of_threads), cmocka_unit_test(test_not_finite),
		cmocka_unit_test(test_precision)};
	return cmocka_run_group_tests_name("bf16", tests, NULL, NULL);
}
