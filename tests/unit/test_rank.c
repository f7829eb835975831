/* Ranking equals scoring everything and sorting, bit for bit, with every kernel, batch size and thread count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "rank/order.h"
#include "rank/rank.h"
#include "rank/rank_scan.h"
#include "stream/util.h"

#include "levels.h"

struct problem {
	int64_t n_items, width, rows;
	int32_t k;
	float *items, *queries;
	int64_t *seen_indptr;
	int32_t *seen_item, *target;
};

struct answers {
	int32_t *greater, *equal, *top_item;
	float *top_score;
};

static struct answers answers_new(const struct problem *problem)
{
	size_t rows = (size_t)problem->rows, k = (size_t)problem->k;
	return (struct answers){xcalloc(rows, 4), xcalloc(rows, 4), xcalloc(rows * k, 4), xcalloc(rows * k, 4)};
}

static void answers_free(struct answers *answers)
{
	free(answers->greater);
	free(answers->equal);
	free(answers->top_item);
	free(answers->top_score);
}

static void problem_free(struct problem *problem)
{
	free(problem->items);
	free(problem->queries);
	free(problem->seen_indptr);
	free(problem->seen_item);
	free(problem->target);
}

enum kind { NORMAL, TIES, NEAR_TIES, NEGATIVE, OUTLIERS, TINY, HUGE_VALUES, FAR_APART, ZEROS, N_KINDS };

static float value_of(struct rng *rng, enum kind kind)
{
	float normal = (float)rng_normal(rng);
	switch (kind) {
	case TIES: return (float)(int)rng_below(rng, 3) - 1;
	case NEAR_TIES: return 1 + (float)rng_below(rng, 3) * FLT_EPSILON; /* all within what 8 bits lose, some the same */
	case NEGATIVE: return -fabsf(normal);
	case OUTLIERS: return rng_below(rng, 20) ? normal : 1000 * normal;
	case TINY: return normal * 1e-24f;
	case HUGE_VALUES: return normal * 1e16f;
	case FAR_APART: return normal * 1e-4f; /* times queries that are huge: their scores are finite */
	case ZEROS: return 0;
	default: return normal;
	}
}

static struct problem problem_new(struct rng *rng, enum kind kind, int64_t n_items, int64_t width, int64_t rows,
	int32_t k)
{
	struct problem problem = {.n_items = n_items, .width = width, .rows = rows, .k = k};
	problem.items = xcalloc((size_t)(n_items * width), sizeof(float));
	problem.queries = xcalloc((size_t)(rows * width), sizeof(float));
	for (int64_t i = 0; i < n_items * width; i++)
		problem.items[i] = value_of(rng, kind);
	for (int64_t i = 0; i < rows * width; i++)
		problem.queries[i] = kind == FAR_APART ? 3e36f * (float)rng_normal(rng) : value_of(rng, kind);
	problem.seen_indptr = xcalloc((size_t)rows + 1, sizeof(int64_t));
	problem.target = xcalloc((size_t)rows, sizeof(int32_t));
	problem.seen_indptr[0] = 5; /* any base */
	for (int64_t row = 0; row < rows; row++) {
		problem.seen_indptr[row + 1] = problem.seen_indptr[row] + (int64_t)rng_below(rng, 30);
		problem.target[row] = (int32_t)rng_below(rng, (uint64_t)n_items);
	}
	problem.seen_item = xcalloc((size_t)problem.seen_indptr[rows], sizeof(int32_t));
	for (int64_t i = 0; i < problem.seen_indptr[rows]; i++)
		problem.seen_item[i] = (int32_t)rng_below(rng, (uint64_t)n_items);
	return problem;
}

static bool is_seen(const struct problem *problem, int64_t row, int32_t item)
{
	for (int64_t i = problem->seen_indptr[row]; i < problem->seen_indptr[row + 1]; i++)
		if (problem->seen_item[i] == item)
			return item != problem->target[row];
	return false;
}

/* The definition: score everything, count, and pick the best k one after another. */
static void rank_plainly(const struct problem *problem, const float *scores, struct answers *answers)
{
	char *taken = xcalloc((size_t)problem->n_items, 1);
	for (int64_t row = 0; row < problem->rows; row++) {
		const float *score = scores + row * problem->n_items;
		for (int32_t item = 0; item < problem->n_items; item++) {
			taken[item] = is_seen(problem, row, item);
			if (taken[item] || item == problem->target[row])
				continue;
			answers->greater[row] += score[item] > score[problem->target[row]];
			answers->equal[row] += score[item] == score[problem->target[row]];
		}
		for (int32_t i = 0; i < problem->k; i++) {
			int32_t best = -1;
			for (int32_t item = 0; item < problem->n_items; item++)
				if (!taken[item] && (best < 0 || score[item] > score[best]))
					best = item;
			if (best >= 0)
				taken[best] = 1;
			answers->top_item[row * problem->k + i] = best;
			answers->top_score[row * problem->k + i] = best < 0 ? -FLT_MAX : score[best];
		}
	}
	free(taken);
}

static void assert_same(const struct problem *problem, const struct answers *a, const struct answers *b)
{
	size_t rows = (size_t)problem->rows, k = (size_t)problem->k;
	assert_memory_equal(a->greater, b->greater, rows * 4);
	assert_memory_equal(a->equal, b->equal, rows * 4);
	assert_memory_equal(a->top_item, b->top_item, rows * k * 4);
	assert_memory_equal(a->top_score, b->top_score, rows * k * 4);
}

static struct ranks part_of(const struct problem *problem, const struct answers *answers, int64_t row, int64_t rows)
{
	return (struct ranks){.rows = rows,
		.seen_indptr = problem->seen_indptr + row,
		.seen_item = problem->seen_item,
		.target = problem->target + row,
		.k = problem->k,
		.greater = answers->greater + row,
		.equal = answers->equal + row,
		.top_item = answers->top_item + row * problem->k,
		.top_score = answers->top_score + row * problem->k};
}

/* Counts that need not go on: the same below what is enough, and at least that from there on. */
static void check_enough(struct problem *problem, const struct ranker *ranker, const struct answers *expected,
	int32_t enough)
{
	struct answers got = answers_new(problem);
	struct ranks ranks = part_of(problem, &got, 0, problem->rows);
	ranks.k = 0;
	ranks.enough = enough;
	assert_int_equal(rank_queries(ranker, problem->queries, &ranks), -1);
	for (int64_t row = 0; row < problem->rows; row++)
		if (expected->greater[row] < enough) {
			assert_int_equal(got.greater[row], expected->greater[row]);
			assert_int_equal(got.equal[row], expected->equal[row]);
		} else {
			assert_true(got.greater[row] >= enough);
		}
	answers_free(&got);
}

static void check(struct problem *problem)
{
	struct answers expected = answers_new(problem);
	float *scores = xcalloc((size_t)(problem->rows * problem->n_items), sizeof *scores);
	for (int64_t row = 0; row < problem->rows; row++)
		for (int64_t item = 0; item < problem->n_items; item++)
			scores[row * problem->n_items + item] = scan_score(scan_choose(), problem->queries + row * problem->width,
				problem->items + item * problem->width, problem->width);
	rank_plainly(problem, scores, &expected);
	struct ranker *ranker = ranker_new(problem->items, problem->n_items, problem->width, "test");
	const int64_t batches[] = {1, 7, problem->rows};
	for (int threads = 1; threads <= 3; threads++)
		for (size_t b = 0; b < COUNT_OF(batches); b++) {
			struct answers got = answers_new(problem);
			omp_set_num_threads(threads);
			for (int64_t row = 0; row < problem->rows; row += batches[b]) {
				int64_t rows = problem->rows - row < batches[b] ? problem->rows - row : batches[b];
				struct ranks ranks = part_of(problem, &got, row, rows);
				assert_int_equal(rank_queries(ranker, problem->queries + row * problem->width, &ranks), -1);
			}
			assert_same(problem, &expected, &got);
			answers_free(&got);
		}
	for (int32_t enough = 1; enough <= 100; enough *= 10)
		check_enough(problem, ranker, &expected, enough);
	ranker_free(ranker);
	struct answers got = answers_new(problem);
	struct ranks ranks = part_of(problem, &got, 0, problem->rows);
	assert_int_equal(rank_scores(scores, problem->n_items, &ranks), -1);
	assert_same(problem, &expected, &got);
	answers_free(&got);
	answers_free(&expected);
	free(scores);
}

static void ranking_equals_sorting_all_scores(void **state)
{
	(void)state;
	static const struct {
		int64_t n_items, width, rows;
		int32_t k;
	} shapes[] = {{1, 1, 3, 4}, {5, 3, 40, 2}, {128, 4, 9, 128}, {129, 17, 66, 10}, {2000, 64, 70, 10},
		{700, 100, 90, 100}, {300, 5, 64, 7}, {40, 1, 64, 3}, {130, 500, 64, 5}, {9000, 256, 8, 10}};
	struct rng rng;
	rng_seed(&rng, 1);
	for (enum cpu level = first_level(); level < N_CPU && cpu_use(level); level++) {
		for (size_t shape = 0; shape < COUNT_OF(shapes); shape++)
			for (int kind = 0; kind < N_KINDS; kind++) {
				if (first_level() && kind != (int)shape % N_KINDS) /* the model is slow */
					continue;
				struct problem problem = problem_new(&rng, (enum kind)kind, shapes[shape].n_items, shapes[shape].width,
					shapes[shape].rows, shapes[shape].k);
				check(&problem);
				problem_free(&problem);
			}
	}
	cpu_use(cpu_best());
}

/* Of whole rows of scores, the same for all queries, and sorted once. */
static void one_order_for_all_equals_ranking_each(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, 4);
	for (int kind = 0; kind < N_KINDS; kind++) {
		struct problem problem = problem_new(&rng, (enum kind)kind, 70, 1, 100, 60);
		float *scores = xcalloc((size_t)(problem.rows * problem.n_items), sizeof *scores);
		for (int64_t i = 0; i < problem.rows * problem.n_items; i++)
			scores[i] = problem.items[i % problem.n_items];
		struct answers expected = answers_new(&problem), got = answers_new(&problem);
		rank_plainly(&problem, scores, &expected);
		struct order *order = order_new(scores, problem.n_items, "test");
		struct ranks ranks = part_of(&problem, &got, 0, problem.rows);
		order_rank(order, &ranks);
		assert_same(&problem, &expected, &got);
		order_free(order);
		answers_free(&expected);
		answers_free(&got);
		free(scores);
		problem_free(&problem);
	}
}

static void targets_that_are_not_counted_are_kept_all_the_same(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, 5);
	struct problem problem = problem_new(&rng, NORMAL, 300, 8, 200, 10);
	for (int64_t row = 0; row < problem.rows; row++)
		if (problem.seen_indptr[row] < problem.seen_indptr[row + 1])
			problem.seen_item[problem.seen_indptr[row]] = problem.target[row];
	struct answers expected = answers_new(&problem), got = answers_new(&problem);
	struct ranks ranks = part_of(&problem, &expected, 0, problem.rows);
	struct ranker *ranker = ranker_new(problem.items, problem.n_items, problem.width, "test");
	assert_int_equal(rank_queries(ranker, problem.queries, &ranks), -1);
	memset(expected.greater, 0, 200 * sizeof *expected.greater);
	memset(expected.equal, 0, 200 * sizeof *expected.equal);
	ranks = part_of(&problem, &got, 0, problem.rows);
	ranks.greater = ranks.equal = NULL;
	assert_int_equal(rank_queries(ranker, problem.queries, &ranks), -1);
	assert_same(&problem, &expected, &got);
	ranker_free(ranker);
	answers_free(&expected);
	answers_free(&got);
	problem_free(&problem);
}

static void scores_are_the_same_bits_from_every_kernel(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, 2);
	struct problem problem = problem_new(&rng, NORMAL, 200, 83, 1, 1);
	cpu_use(CPU_NONE);
	const struct scan *plain = scan_choose();
	for (enum cpu level = CPU_AVX2; level < N_CPU && cpu_use(level); level++) {
		const struct scan *scan = scan_choose();
		for (int64_t item = 0; item < problem.n_items; item++) {
			const float *vector = problem.items + item * problem.width;
			float a = scan_score(plain, problem.queries, vector, problem.width);
			float b = scan_score(scan, problem.queries, vector, problem.width);
			assert_memory_equal(&a, &b, sizeof a);
		}
		for (int n = 1; n <= SCAN_TILE; n += 1 + n / 8) {
			uint8_t hits[SCAN_TILE];
			float some[SCAN_TILE], same[SCAN_TILE];
			for (int i = 0; i < n; i++)
				hits[i] = (uint8_t)rng_below(&rng, SCAN_TILE);
			plain->scores(problem.queries, problem.items, problem.width, hits, n, some);
			scan->scores(problem.queries, problem.items, problem.width, hits, n, same);
			assert_memory_equal(some, same, (size_t)n * sizeof *some);
		}
	}
	cpu_use(cpu_best());
	problem_free(&problem);
}

static void without_targets_and_seen_items(void **state)
{
	(void)state;
	const float items[] = {1, 3, 2, 3}, query = 1;
	int32_t top_item[4];
	float top_score[4];
	struct ranker *ranker = ranker_new(items, 4, 1, "test");
	assert_int_equal(
		rank_queries(ranker, &query, &(struct ranks){.rows = 1, .k = 4, .top_item = top_item, .top_score = top_score}),
		-1);
	const int32_t order[] = {1, 3, 2, 0};
	assert_memory_equal(top_item, order, sizeof order);
	ranker_free(ranker);
}

static void what_is_not_finite_is_found(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, 3);
	struct problem problem = problem_new(&rng, NORMAL, 300, 8, 40, 5);
	struct answers answers = answers_new(&problem);
	struct ranks ranks = part_of(&problem, &answers, 0, problem.rows);
	struct ranker *ranker = ranker_new(problem.items, problem.n_items, problem.width, "test");
	problem.queries[31 * 8 + 2] = NAN;
	assert_int_equal(rank_queries(ranker, problem.queries, &ranks), 31);
	problem.queries[17 * 8 + 7] = INFINITY;
	assert_int_equal(rank_queries(ranker, problem.queries, &ranks), 17);
	problem.queries[4 * 8] = FLT_MAX; /* a finite query whose scores are not */
	assert_int_equal(rank_queries(ranker, problem.queries, &ranks), 4);
	ranker_free(ranker);
	float *scores = xcalloc((size_t)(problem.rows * problem.n_items), sizeof *scores);
	scores[9 * problem.n_items + 299] = NAN;
	assert_int_equal(rank_scores(scores, problem.n_items, &ranks), 9);
	free(scores);
	answers_free(&answers);
	problem_free(&problem);
}

int main(void)
{
	program_name = "test_rank";
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranking_equals_sorting_all_scores),
		cmocka_unit_test(one_order_for_all_equals_ranking_each),
		cmocka_unit_test(targets_that_are_not_counted_are_kept_all_the_same),
		cmocka_unit_test(scores_are_the_same_bits_from_every_kernel),
		cmocka_unit_test(without_targets_and_seen_items),
		cmocka_unit_test(what_is_not_finite_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
