/*
 * Losses and gradients in bfloat16 beside those in floats: of a
 * linear layer, and of the softmax over items, narrow and wide.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/loss.h"
#include "nn/matrix.h"
#include "nn/ops.h"

#include "levels.h"

#define ROWS 300
#define ITEMS 700

/* x W^T, gelu, and the loss of its products with the items. */
struct network {
	struct params params;
	struct param *x, *weight, *bias, *items;
	int32_t target[ROWS];
};

static struct network network_new(int64_t in, int64_t width, int64_t items)
{
	struct network n = {0};
	struct rng rng;
	rng_seed(&rng, (uint64_t)width);
	n.x = params_add(&n.params, ROWS, in, false, "x");
	n.weight = params_add(&n.params, width, in, false, "weight");
	n.bias = params_add(&n.params, 0, width, false, "bias");
	n.items = params_add(&n.params, items, width, false, "items");
	params_allocate(&n.params);
	for (int i = 0; i < n.params.count; i++)
		param_normal(n.params.list[i], &rng, i ? .2 : 1);
	for (int t = 0; t < ROWS; t++)
		n.target[t] = t % 9 ? (int32_t)rng_below(&rng, (uint64_t)items) : -1;
	return n;
}

static float *gradient_of(struct network *n, enum precision precision, double *loss)
{
	float *gradient = xaligned((size_t)n->params.trainable, sizeof *gradient);
	struct tape tape = {0};
	products_in(precision);
	tape_begin(&tape, gradient, 1, 0);
	struct array *hidden = linear(&tape, tape_param(&tape, n->x), tape_param(&tape, n->weight),
		tape_param(&tape, n->bias), ACT_GELU, 0);
	*loss = full_cross_entropy(&tape, hidden, tape_param(&tape, n->items), n->target, 1 / (float)ROWS);
	tape_backward(&tape);
	tape_free(&tape);
	products_in(PRECISION_F32);
	return gradient;
}

static double error_of(const float *a, const float *b, const struct param *param)
{
	double errors = 0, squares = 0;
	for (int64_t i = param->offset; i < param->offset + param_count(param); i++) {
		errors += pow((double)a[i] - (double)b[i], 2);
		squares += pow((double)b[i], 2);
	}
	return sqrt(errors / squares);
}

/*
 * Errs by at most so much of each gradient, and of items' by at least
 * so much where the processor can, or the test sees nothing.
 */
static void expect_near(struct network *n, enum precision precision, enum cpu needed, double least, double most)
{
	double loss, exact;
	float *gradient = gradient_of(n, precision, &loss), *floats = gradient_of(n, PRECISION_F32, &exact);
	for (int i = 0; i < n->params.count; i++)
		assert_true(error_of(gradient, floats, n->params.list[i]) < most);
	if (cpu_level() >= needed)
		assert_true(error_of(gradient, floats, n->items) > least);
	else
		assert_memory_equal(gradient, floats, (size_t)n->params.trainable * sizeof *gradient);
	assert_true(fabs(loss - exact) < most * exact);
	free(gradient);
	free(floats);
}

static void test_gradients(void **state)
{
	static const int64_t shapes[][2] = {{64, 64}, {128, 48}, {40, 80}, {96, 288}};
	(void)state;
	for (size_t s = 0; s < COUNT_OF(shapes); s++) {
		struct network n = network_new(shapes[s][0], shapes[s][1], ITEMS);
		for (enum cpu level = first_level(); level < N_CPU && cpu_use(level); level++) {
			expect_near(&n, PRECISION_SPLIT, CPU_AMX, 1e-7, 1e-4);
			expect_near(&n, PRECISION_BF16, CPU_BF16, 1e-4, 3e-2);
			products_where(WHERE_LARGE);
			expect_near(&n, PRECISION_SPLIT, CPU_NONE, 1e-7, 1e-4);
			expect_near(&n, PRECISION_BF16, CPU_NONE, 1e-4, 3e-2);
			products_where(WHERE_FASTER);
		}
		params_free(&n.params);
	}
	cpu_use(cpu_best());
}

/* So many that their probabilities are not kept, but made twice. */
static void test_many_items(void **state)
{
	(void)state;
	struct network n = network_new(16, 16, 130000);
	for (int64_t i = 0; i < param_count(n.items); i++)
		n.items->value[i] *= 20; /* so that few have most of the probability */
	products_where(WHERE_LARGE);
	expect_near(&n, PRECISION_SPLIT, CPU_NONE, 1e-7, 1e-4);
	expect_near(&n, PRECISION_BF16, CPU_NONE, 1e-4, 3e-2);
	products_where(WHERE_FASTER);
	params_free(&n.params);
}

/* Frozen and packed, as multiply() takes them: every part of a matrix, straight and transposed, set and added to. */
static void test_packed(void **state)
{
	static const enum packing packings[] = {PACKED_INTEGERS, PACKED_SPLIT, PACKED_BF16};
	static const double most[] = {2e-2, 1e-4, 3e-2};
	enum { N = 70, LARGE = 200, SMALL = 100 };
	(void)state;
	struct rng rng;
	float *matrix = xaligned(LARGE * SMALL, sizeof *matrix), *x = xaligned(N * LARGE, sizeof *x);
	float *y = xaligned(N * LARGE, sizeof *y), *expected = xaligned(N * LARGE, sizeof *expected);
	rng_seed(&rng, 3);
	for (int i = 0; i < LARGE * SMALL; i++)
		matrix[i] = (float)rng_normal(&rng);
	for (int i = 0; i < N * LARGE; i++)
		x[i] = (float)rng_normal(&rng);
	for (size_t p = 0; p < COUNT_OF(packings); p++) {
		struct packed *packed = packed_new(packings[p], matrix, LARGE, SMALL);
		struct array plain = {.rows = LARGE, .columns = SMALL, .stride = SMALL, .value = matrix}, other = plain;
		other.packed = packed;
		assert_int_equal(packed_rows(packed), LARGE);
		for (int flags = 0; flags < 4; flags++)
			for (int64_t first = 0; first < LARGE; first += MULTIPLY_ROWS) {
				int64_t count = LARGE - first < 2 * MULTIPLY_ROWS ? LARGE - first : 2 * MULTIPLY_ROWS;
				const bool transposed = flags & 1, add = flags & 2;
				int64_t in = transposed ? SMALL : count, out = transposed ? count : SMALL;
				double errors = 0, squares = 0;
				for (int i = 0; i < N * LARGE; i++)
					y[i] = expected[i] = add ? 1 : 0;
				multiply(&plain, first, count, transposed, N, x, in, add, expected, out);
				multiply(&other, first, count, transposed, N, x, in, add, y, out);
				for (int64_t i = 0; i < N * out; i++) {
					errors += pow((double)y[i] - (double)expected[i], 2);
					squares += pow((double)expected[i], 2);
				}
				assert_true(sqrt(errors / squares) < most[p] && errors > 0);
			}
		packed_free(packed);
	}
	free(matrix);
	free(x);
	free(y);
	free(expected);
}

/* Panels are floats in another order: sums differ by rounding alone. */
static void test_panels(void **state)
{
	(void)state;
	enum { OUT = 3 * MULTIPLY_ROWS + 16, IN = 37, N = 5 };
	static float matrix[OUT * IN], x[N * IN], y[N * OUT], expected[N * OUT];
	struct rng rng;
	rng_seed(&rng, 1);
	for (int i = 0; i < OUT * IN; i++)
		matrix[i] = (float)rng_normal(&rng);
	for (int i = 0; i < N * IN; i++)
		x[i] = (float)rng_normal(&rng);
	assert_null(packed_new(PACKED_PANELS, matrix, OUT - 1, IN)); /* no whole lanes */
	struct packed *packed = packed_new(PACKED_PANELS, matrix, OUT, IN);
	struct array plain = {.rows = OUT, .columns = IN, .stride = IN, .value = matrix}, other = plain;
	other.packed = packed;
	for (int64_t first = 0; packed && first < OUT; first += MULTIPLY_ROWS)
		for (int add = 0; add < 2; add++) {
			const int64_t count = OUT - first;
			for (int i = 0; i < N * OUT; i++)
				y[i] = expected[i] = 1;
			multiply(&plain, first, count, true, N, x, IN, add, expected, OUT);
			multiply(&other, first, count, true, N, x, IN, add, y, OUT);
			for (int i = 0; i < N * OUT; i++)
				assert_true(fabsf(y[i] - expected[i]) <= 1e-5f * (1 + fabsf(expected[i])));
		}
	packed_free(packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_gradients), cmocka_unit_test(test_many_items),
		cmocka_unit_test(test_packed), cmocka_unit_test(test_panels)};
	return cmocka_run_group_tests_name("precision", tests, NULL, NULL);
}
