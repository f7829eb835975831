/* lib/rank/metric and bootstrap: every measure against its definition, the tie rules, the resampling. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rank/bootstrap.h"
#include "rank/metric.h"
#include "stream/util.h"

static void assert_near(double actual, double expected, double tolerance)
{
	if (!(fabs(actual - expected) <= tolerance))
		fail_msg("%.17g is not %.17g", actual, expected);
}

static struct measures parsed(const char *list, const int64_t cuts[], int n_cuts)
{
	struct measures measures;
	assert_null(measures_parse(list, cuts, n_cuts, &measures));
	return measures;
}

static void parses_lists(void **state)
{
	(void)state;
	const int64_t cuts[] = {5, 10};
	struct measures measures = parsed("ndcg,recall@50,mrr,mrr@k,ndcg@10", cuts, 2);
	const char *const names[] = {"ndcg@5", "ndcg@10", "recall@50", "mrr", "mrr@5", "mrr@10"};
	assert_int_equal(measures.count, 6);
	for (int i = 0; i < 6; i++)
		assert_string_equal(measures.at[i].name, names[i]);
	measures_free(&measures);
	measures = parsed("all", cuts, 2);
	assert_int_equal(measures.count, 13);
	measures_free(&measures);
}

/* The definition, rank by rank, in another shape than the code's. */
static double defined(const char *name, int64_t rank, int64_t cut)
{
	if (cut && rank > cut)
		return 0;
	switch (name[0]) {
	case 'n': return log(2) / log((double)rank + 1);
	case 'm': return 1.0 / (double)rank;
	case 'p': return 1.0 / (double)cut;
	default: return 1;
	}
}

static void values_follow_the_formulas(void **state)
{
	(void)state;
	const int64_t cuts[] = {1, 7, 100};
	struct measures measures = parsed("ndcg,recall,hr,precision,mrr,mrr@k", cuts, 3);
	const int64_t greater[] = {0, 1, 5, 6, 7, 62, 63, 99, 100, 3000}, equal[] = {0, 1, 3, 64, 2000};
	for (int m = 0; m < measures.count; m++) {
		const struct measure *measure = &measures.at[m];
		for (size_t g = 0; g < COUNT_OF(greater); g++) {
			for (size_t e = 0; e < COUNT_OF(equal); e++) {
				double sum = 0;
				for (int64_t rank = greater[g] + 1; rank <= greater[g] + equal[e] + 1; rank++)
					sum += defined(measure->name, rank, measure->cut);
				double best = measure_value(measure, greater[g], equal[e], TIES_BEST);
				double worst = measure_value(measure, greater[g], equal[e], TIES_WORST);
				double mean = measure_value(measure, greater[g], equal[e], TIES_AVERAGE);
				assert_near(best, defined(measure->name, greater[g] + 1, measure->cut), 1e-14);
				assert_near(worst, defined(measure->name, greater[g] + equal[e] + 1, measure->cut), 1e-14);
				assert_near(mean, sum / (double)(equal[e] + 1), 1e-13);
			}
		}
	}
	measures_free(&measures);
}

/* Counts near the end of their type neither overflow nor need memory. */
static void any_rank_is_fine(void **state)
{
	(void)state;
	const int64_t cuts[] = {10};
	struct measures measures = parsed("mrr,ndcg", cuts, 1);
	assert_near(measure_value(&measures.at[0], INT32_MAX, INT32_MAX, TIES_AVERAGE), log(2) / INT32_MAX, 1e-16);
	assert_near(measure_value(&measures.at[1], 0, INT32_MAX, TIES_AVERAGE), 4.543559338088345 / 2147483648.0, 1e-18);
	measures_free(&measures);
}

static void same_for_any_thread_count(void **state)
{
	(void)state;
	double difference[3000];
	struct rng rng;
	rng_seed(&rng, 7);
	for (int i = 0; i < 3000; i++) /* half of few values, half all different */
		difference[i] = i % 2 ? (double)rng_below(&rng, 5) - 2 : rng_normal(&rng);
	omp_set_num_threads(1);
	struct comparison one = bootstrap_paired(difference, 3000, NULL, 500, 3);
	omp_set_num_threads(5);
	struct comparison five = bootstrap_paired(difference, 3000, NULL, 500, 3);
	assert_memory_equal(&one, &five, sizeof one);
}

/*
 * The spread of resampled means is known: the deviation of the
 * values over sqrt(n). Equal values, different ones, and both.
 */
static void spread_is_right(void **state)
{
	(void)state;
	enum { N = 10000, RESAMPLES = 20000 }; /* more than one whole block */
	static double difference[N];
	struct rng rng;
	rng_seed(&rng, 11);
	for (int kind = 0; kind < 3; kind++) {
		double sum = 0, square = 0;
		for (int i = 0; i < N; i++) {
			bool few = kind == 0 || (kind == 2 && i % 3);
			difference[i] = few ? (double)(rng_below(&rng, 20) < 3) : rng_normal(&rng) + 0.05;
			sum += difference[i];
			square += difference[i] * difference[i];
		}
		double mean = sum / N, error = sqrt((square / N - mean * mean) / N);
		struct comparison result = bootstrap_paired(difference, N, NULL, RESAMPLES, 1);
		assert_near(result.mean, mean, 1e-12);
		assert_near(result.low, mean - 1.96 * error, 0.06 * error);
		assert_near(result.high, mean + 1.96 * error, 0.06 * error);
		assert_near(result.p, erfc(fabs(mean) / error / sqrt(2)), 0.01);
	}
}

static void no_difference_is_p_one(void **state)
{
	(void)state;
	double difference[100] = {0};
	struct comparison result = bootstrap_paired(difference, 100, NULL, 200, 1);
	assert_near(result.p, 1, 0);
	assert_int_equal(result.ties, 100);
	difference[3] = 1;
	result = bootstrap_paired(difference, 100, NULL, 200, 1);
	assert_int_equal(result.wins, 1);
	assert_true(result.p > 0.3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_lists),
		cmocka_unit_test(values_follow_the_formulas),
		cmocka_unit_test(any_rank_is_fine),
		cmocka_unit_test(same_for_any_thread_count),
		cmocka_unit_test(spread_is_right),
		cmocka_unit_test(no_difference_is_p_one),
	};
	return cmocka_run_group_tests_name("metric", tests, NULL, NULL);
}
