/*
 * Weights of several scores: what is measured is NDCG@10 of all
 * items, and what is found is no worse than what was there.
 */
#include "rank/blend.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "stream/util.h"

enum { ROWS = 300, ITEMS = 500, SOURCES = 3, SEEN = 4 };

struct problem {
	float *scores[SOURCES];
	int64_t indptr[ROWS + 1];
	int32_t item[ROWS * SEEN], target[ROWS];
};

/* Random scores in which the target stands out by `gain[source]`, of the scale `size[source]`. */
static struct problem *problem_new(const double gain[], const double size[])
{
	struct problem *problem = xcalloc(1, sizeof *problem);
	struct rng rng;
	rng_seed(&rng, 5);
	for (int row = 0; row < ROWS; row++) {
		problem->target[row] = (int32_t)rng_below(&rng, ITEMS);
		problem->indptr[row + 1] = (row + 1) * SEEN;
		for (int i = 0; i < SEEN; i++)
			problem->item[row * SEEN + i] = (int32_t)rng_below(&rng, ITEMS);
	}
	for (int source = 0; source < SOURCES; source++) {
		problem->scores[source] = xcalloc(ROWS * ITEMS, sizeof(float));
		for (int i = 0; i < ROWS * ITEMS; i++)
			problem->scores[source][i] = (float)(size[source] *
				(rng_normal(&rng) + (problem->target[i / ITEMS] == i % ITEMS ? gain[source] : 0)));
	}
	return problem;
}

static void problem_free(struct problem *problem)
{
	for (int source = 0; source < SOURCES; source++)
		free(problem->scores[source]);
	free(problem);
}

/* Of the first so many histories. */
static struct blend *blend_of(const struct problem *problem, int rows)
{
	struct blend *blend = blend_new(SOURCES);
	/* in two parts: what was added before stays */
	for (int from = 0; from < rows; from += rows / 2) {
		const float *scores[SOURCES];
		for (int source = 0; source < SOURCES; source++)
			scores[source] = problem->scores[source] + from * ITEMS;
		const struct histories part = {rows / 2, problem->indptr + from, problem->item, NULL};
		assert_true(blend_add(blend, scores, ITEMS, &part, problem->target + from));
	}
	assert_int_equal(blend_count(blend), rows);
	return blend;
}

static bool is_near(double a, double b, double within)
{
	return fabs(a - b) <= within;
}

/* From the definition. */
static double ndcg(const struct problem *problem, const double weights[])
{
	double sum = 0;
	for (int row = 0; row < ROWS; row++) {
		double score[ITEMS];
		bool is_out[ITEMS] = {false};
		const int target = problem->target[row];
		int rank = 1;
		for (int i = 0; i < ITEMS; i++) {
			score[i] = 0;
			for (int source = 0; source < SOURCES; source++)
				score[i] += weights[source] * (double)problem->scores[source][row * ITEMS + i];
		}
		for (int i = 0; i < SEEN; i++)
			is_out[problem->item[row * SEEN + i]] = true;
		for (int i = 0; i < ITEMS; i++)
			rank += i != target && !is_out[i] && score[i] > score[target];
		sum += rank <= 10 ? 1 / log2(rank + 1) : 0;
	}
	return sum / ROWS;
}

static void what_is_measured_is_ndcg_of_all_items(void **state)
{
	(void)state;
	struct problem *problem = problem_new((const double[]){2, 2, 0}, (const double[]){1, 1, 1});
	struct blend *blend = blend_of(problem, ROWS);
	const double weights[][SOURCES] = {{1, 0, 0}, {0, 1, 0}, {.5, .5, 0}, {1, .3, .1}};
	for (size_t i = 0; i < COUNT_OF(weights); i++)
		assert_true(is_near(blend_measure(blend, weights[i]), ndcg(problem, weights[i]), 1e-9));
	blend_free(blend);
	problem_free(problem);
}

static void weights_follow_what_sources_tell(void **state)
{
	(void)state;
	/* the second tells as much as the first, on a scale a hundred times as large; the third tells nothing */
	struct problem *problem = problem_new((const double[]){2, 2, 0}, (const double[]){1, 100, 1});
	struct blend *blend = blend_of(problem, ROWS);
	double weights[SOURCES];
	const double best = blend_fit(blend, 0, weights);
	assert_true(is_near(best, blend_measure(blend, weights), 1e-12));
	assert_true(best > 1.1 * blend_measure(blend, (const double[]){1, 0, 0}));
	assert_true(best >= .98 * blend_measure(blend, (const double[]){1, .01, 0}));
	assert_in_range((int64_t)(1000 * 100 * weights[1] / weights[0]), 400, 2500);
	assert_true(weights[2] < .3 * weights[0]);
	blend_free(blend);
	problem_free(problem);
}

/* The second source, which alone tells something, has no target among the first ten, but all of them near. */
static void what_is_as_good_is_told_apart_by_more_items(void **state)
{
	(void)state;
	struct problem *problem = problem_new((const double[]){0, 0, 0}, (const double[]){1, 1, 0});
	for (int row = 0; row < ROWS; row++) {
		problem->scores[0][row * ITEMS + problem->target[row]] = -9;
		problem->scores[1][row * ITEMS + problem->target[row]] = 1.7F;
	}
	struct blend *blend = blend_of(problem, 20);
	double weights[SOURCES];
	assert_true(is_near(blend_fit(blend, 0, weights), 0, 0));
	assert_true(weights[1] > 5 * weights[0]);
	blend_free(blend);
	problem_free(problem);
}

/* Every third target is far down by the first source and near by the second: NDCG@200 asks for more of that. */
static void what_is_found_is_not_less_than_is_asked_for(void **state)
{
	(void)state;
	struct problem *problem = problem_new((const double[]){2, 1.5, 0}, (const double[]){1, 1, 0});
	for (int row = 0; row < ROWS; row += 3) {
		problem->scores[0][row * ITEMS + problem->target[row]] = -9;
		problem->scores[1][row * ITEMS + problem->target[row]] = 1.7F;
	}
	struct blend *blend = blend_of(problem, 12);
	double weights[SOURCES];
	const double settled = blend_fit(blend, 0, weights);
	const double best = blend_fit(blend, 1, weights);
	assert_true(best > settled);
	assert_true(blend_fit(blend, (settled + best) / 2, weights) >= (settled + best) / 2);
	assert_true(is_near(blend_fit(blend, best, weights), best, 0));
	blend_free(blend);
	problem_free(problem);
}

static void what_a_source_finds_by_itself_is_what_it_knows(void **state)
{
	(void)state;
	struct problem *problem = problem_new((const double[]){2, 2, 0}, (const double[]){1, 1, 1});
	struct blend *blend = blend_new(SOURCES);
	const struct histories all = {ROWS, problem->indptr, problem->item, NULL};
	const double whole = blend_of_one(blend, problem->scores[0], ITEMS, NULL, &all, problem->target);
	assert_true(is_near(whole / ROWS, ndcg(problem, (const double[]){1, 0, 0}), 1e-9));
	/* every other item is unknown: its targets are not found, and it is in nobody's way */
	int32_t row[ITEMS];
	double sum = 0;
	for (int item = 0; item < ITEMS; item++)
		row[item] = item % 2 ? -1 : item;
	for (int at = 0; at < ROWS; at++)
		for (int item = 1; item < ITEMS; item += 2)
			problem->scores[0][at * ITEMS + item] = item == problem->target[at] ? 99 : -99;
	const double half = blend_of_one(blend, problem->scores[0], ITEMS, row, &all, problem->target);
	for (int at = 0; at < ROWS; at++)
		if (problem->target[at] % 2 == 0) {
			const struct histories one = {1, problem->indptr + at, problem->item, NULL};
			sum += blend_of_one(blend, problem->scores[0] + at * ITEMS, ITEMS, NULL, &one, problem->target + at);
		}
	assert_true(is_near(half, sum, 1e-9) && half > 0 && half < whole + sum);
	blend_free(blend);
	problem_free(problem);
}

/* Weights of sources that never tell items apart are numbers, and another one decides. */
static void sources_that_tell_nothing_have_weights(void **state)
{
	(void)state;
	struct problem *problem = problem_new((const double[]){0, 2, 0}, (const double[]){0, 1, 0});
	struct blend *blend = blend_of(problem, ROWS);
	double weights[SOURCES];
	assert_true(is_near(blend_fit(blend, 0, weights), blend_measure(blend, (const double[]){0, 1, 0}), 1e-12));
	assert_true(weights[0] > 0 && isfinite(weights[0]) && isfinite(weights[1] / weights[0]));
	blend_free(blend);
	problem_free(problem);
	problem = problem_new((const double[]){0, 0, 0}, (const double[]){0, 0, 0});
	blend = blend_of(problem, ROWS);
	assert_true(blend_fit(blend, 0, weights) < .1);
	assert_true(weights[0] > 0 && isfinite(weights[0]) && isfinite(weights[1]) && isfinite(weights[2]));
	blend_free(blend);
	problem_free(problem);
}

static void scores_that_are_not_finite_are_told(void **state)
{
	(void)state;
	struct problem *problem = problem_new((const double[]){1, 1, 1}, (const double[]){1, 1, 1});
	problem->scores[1][7] = NAN;
	struct blend *blend = blend_new(SOURCES);
	const struct histories all = {ROWS, problem->indptr, problem->item, NULL};
	assert_false(blend_add(blend, (const float *const *)problem->scores, ITEMS, &all, problem->target));
	blend_free(blend);
	problem_free(problem);
}

static void weights_are_rounded_to_digits(void **state)
{
	(void)state;
	assert_true(is_near(blend_rounded(0.012345, 2), 0.012, 1e-12));
	assert_true(is_near(blend_rounded(12.96, 2), 13, 1e-12));
	assert_true(is_near(blend_rounded(0.9996, 3), 1, 1e-12));
	assert_true(is_near(blend_rounded(0, 3), 0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_measured_is_ndcg_of_all_items),
		cmocka_unit_test(weights_follow_what_sources_tell),
		cmocka_unit_test(what_is_as_good_is_told_apart_by_more_items),
		cmocka_unit_test(what_is_found_is_not_less_than_is_asked_for),
		cmocka_unit_test(what_a_source_finds_by_itself_is_what_it_knows),
		cmocka_unit_test(sources_that_tell_nothing_have_weights),
		cmocka_unit_test(scores_that_are_not_finite_are_told),
		cmocka_unit_test(weights_are_rounded_to_digits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
