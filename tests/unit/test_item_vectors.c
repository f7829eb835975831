/* Vectors of items from those of their tokens, and standardised. */
#include "model/item_vectors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stream/progress.h"

static void means_of_token_vectors(void **state)
{
	(void)state;
	const float table[] = {1, 2, 3, 10, 20, 30, -4, 0, 4};
	int64_t indptr[] = {0, 1, 1, 4};
	int32_t ids[] = {1, 0, 2, 2};
	const struct item_tokens tokens = {.rows = 3, .indptr = indptr, .ids = ids};
	const float expected[] = {10, 20, 30, 0, 0, 0, -7.0f / 3, 2.0f / 3, 11.0f / 3};
	float vectors[9];
	memset(vectors, 0xff, sizeof vectors);
	mean_token_vectors(table, 3, &tokens, vectors, 2);
	for (int i = 0; i < 9; i++)
		assert_true(fabsf(vectors[i] - expected[i]) < 1e-6f);
}

/*
 * Items of 0 to 40 tokens, more than a model takes at once and so in batches, each as if alone; any
 * sequence model will do, with tokens as its items.
 */
static void means_of_hidden_states(void **state)
{
	(void)state;
	enum { ITEMS = 60, VOCABULARY = 50 };
	int64_t indptr[ITEMS + 1] = {0};
	int32_t ids[ITEMS * 40];
	struct rng rng;
	rng_seed(&rng, 4);
	for (int item = 0; item < ITEMS; item++) {
		indptr[item + 1] = indptr[item] + (item == 7 ? 0 : (int64_t)rng_below(&rng, 41));
		for (int64_t i = indptr[item]; i < indptr[item + 1]; i++)
			ids[i] = (int32_t)rng_below(&rng, VOCABULARY);
	}
	json_t *config = json_pack("{s:s, s:i, s:i, s:i}", "architecture", "sasrec", "hidden_size", 16, "num_hidden_layers",
		2, "max_length", 40);
	struct model *model = model_new(config, VOCABULARY, "0123456789abcdef", "test");
	model_initialise(model, &rng);
	assert_true(indptr[ITEMS] > model->architecture->tokens_at_once);
	const struct item_tokens tokens = {.rows = ITEMS, .indptr = indptr, .ids = ids};
	progress_quiet = true;
	float vectors[ITEMS * 16], again[ITEMS * 16];
	mean_hidden_states(model, &tokens, vectors, 1);
	mean_hidden_states(model, &tokens, again, 3);
	assert_memory_equal(vectors, again, sizeof vectors);
	struct tape tape = {0};
	for (int item = 0; item < ITEMS; item++) {
		float mean[16] = {0};
		int64_t n = indptr[item + 1] - indptr[item];
		if (n) {
			tape_begin(&tape, NULL, 0, 0);
			const struct array *hidden = model_hidden(&tape, model,
				&(struct histories){.rows = 1, .indptr = indptr + item, .item = ids});
			for (int64_t i = 0; i < n * 16; i++)
				mean[i % 16] += hidden->value[i / 16 * hidden->stride + i % 16] / (float)n;
		}
		for (int i = 0; i < 16; i++)
			assert_true(fabsf(vectors[item * 16 + i] - mean[i]) < 1e-5f);
	}
	tape_free(&tape);
	model_free(model);
}

/*
 * As all-MiniLM-L6-v2 has: values near the smallest floats, and
 * rounding. Neither may become as large as what says something.
 */
static void unused_dimensions(void **state)
{
	(void)state;
	enum { ITEMS = 40, WIDTH = 4 };
	struct rng rng;
	rng_seed(&rng, 9);
	float vectors[ITEMS * WIDTH], copy[ITEMS * WIDTH], matrix[WIDTH * WIDTH], mean[WIDTH];
	for (int i = 0; i < ITEMS; i++) {
		for (int c = 0; c < WIDTH; c++)
			vectors[i * WIDTH + c] = (float)rng_normal(&rng) * (c < 2 ? 0.03f : 1);
		vectors[i * WIDTH + 2] *= 2e-33f;
		vectors[i * WIDTH + 3] *= 4e-9f;
	}
	memcpy(copy, vectors, sizeof copy);
	standardise_vectors(copy, ITEMS, WIDTH, 1, 1);
	for (int i = 0; i < ITEMS; i++)
		assert_true(copy[i * WIDTH + 2] == 0 && copy[i * WIDTH + 3] == 0);
	whiten_vectors(vectors, ITEMS, WIDTH, 1, mean, matrix);
	for (int i = 0; i < WIDTH * WIDTH; i++)
		assert_true(i % WIDTH < 2 ? fabsf(matrix[i]) < 100 : matrix[i] == 0);
}

/* Column c of item i is c + (i % 7) (c % 3 - 1): every third is constant. Of each fifth item nothing is known. */
static void standardised_dimensions(void **state)
{
	(void)state;
	enum { ITEMS = 35, WIDTH = 37 };
	float vectors[ITEMS * WIDTH], again[ITEMS * WIDTH];
	for (int item = 0; item < ITEMS; item++) {
		for (int c = 0; c < WIDTH; c++)
			vectors[item * WIDTH + c] = item % 5 ? (float)(1000 * c + item % 7 * (c % 3 - 1)) : 0;
	}
	memcpy(again, vectors, sizeof again);
	standardise_vectors(vectors, ITEMS, WIDTH, 0, 3);
	standardise_vectors(again, ITEMS, WIDTH, 0, 1);
	assert_memory_equal(again, vectors, sizeof again);
	for (int c = 0; c < WIDTH; c++) {
		double sum = 0, squares = 0;
		for (int item = 0; item < ITEMS; item++) {
			double value = (double)vectors[item * WIDTH + c];
			sum += value;
			squares += value * value;
			if (item % 5 == 0 || c % 3 == 1)
				assert_true(value == 0);
			else /* the numbers 0 to 6, four times each: mean 3, variance 4; falling where c % 3 is 0 */
				assert_true(fabs(value - (item % 7 - 3) * (c % 3 - 1) / 2.0) < 1e-3);
		}
		assert_true(fabs(sum) < 1e-3 && fabs(squares - (c % 3 == 1 ? 0 : 28)) < 0.05);
	}
}

/* Uncorrelated, of variance 1, and as many as there are: of three dimensions the third is the sum of the others. */
static void whitened(void **state)
{
	(void)state;
	enum { ITEMS = 200, WIDTH = 3 };
	float vectors[ITEMS * WIDTH];
	double moment[WIDTH * WIDTH] = {0};
	struct rng rng;
	rng_seed(&rng, 5);
	for (int item = 0; item < ITEMS; item++) {
		float *vector = vectors + item * WIDTH;
		vector[0] = (float)rng_normal(&rng);
		vector[1] = vector[0] + 3 * (float)rng_normal(&rng) + 100;
		vector[2] = vector[0] + vector[1];
		if (item % 10 == 0)
			memset(vector, 0, WIDTH * sizeof *vector);
	}
	standardise_vectors(vectors, ITEMS, WIDTH, 1, 2);
	for (int item = 0; item < ITEMS; item++)
		for (int i = 0; i < WIDTH * WIDTH; i++)
			moment[i] += (double)vectors[item * WIDTH + i / WIDTH] * (double)vectors[item * WIDTH + i % WIDTH] / 180;
	/* of a plane in three dimensions: its square is itself, and its trace 2 */
	assert_true(fabs(moment[0] + moment[4] + moment[8] - 2) < 1e-4);
	for (int i = 0; i < WIDTH * WIDTH; i++) {
		double square = 0;
		for (int k = 0; k < WIDTH; k++)
			square += moment[i / WIDTH * WIDTH + k] * moment[k * WIDTH + i % WIDTH];
		assert_true(fabs(square - moment[i]) < 1e-4);
	}
	for (int i = 0; i < WIDTH; i++)
		assert_true(vectors[i] == 0);
}

static void nothing_known(void **state)
{
	(void)state;
	float vectors[6] = {0};
	standardise_vectors(vectors, 2, 3, 1, 1);
	for (int i = 0; i < 6; i++)
		assert_true(vectors[i] == 0);
}

static void standardised_over_all(void **state)
{
	(void)state;
	float vectors[] = {1, 5, 3, 5};
	standardise_vectors(vectors, 2, 2, 0, 1);
	assert_true(vectors[0] == -1 && vectors[2] == 1 && vectors[1] == 0 && vectors[3] == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(means_of_token_vectors),
		cmocka_unit_test(means_of_hidden_states),
		cmocka_unit_test(standardised_dimensions),
		cmocka_unit_test(unused_dimensions),
		cmocka_unit_test(standardised_over_all),
		cmocka_unit_test(whitened),
		cmocka_unit_test(nothing_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
