/*
 * A Markov chain with skips: item j follows item i within `steps` steps with
 * weight 1/k for k steps. A candidate's score is the sum over the last `steps`
 * items of the history, the k-th last weighted 1/k, of what followed it in
 * training. Simple, and hard to beat on sparse data.
 *
 * Many candidates score the same, and sums of fractions in floats would put them in an order of their own. So all is
 * counted in whole multiples of a common part of all 1/k, and what is a float in the stream and in scores is rounded
 * from these once.
 *
 * Kept as a sparse matrix by rows: transition.indptr, .item, .weight.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "model/sparse.h"

#define MOST_PARTS 2520     /* divided by all up to ten; beyond, 1/k is rounded to a multiple of 1 / MOST_PARTS */
#define MOST_WEIGHT 0x1p31f /* in a stream: sums over all steps stay below 2^64 parts */

struct markov {
	int64_t steps;
	int64_t parts;             /* of 1, so that every 1/k is a whole number of them */
	struct sparse transitions; /* by the item that came first */
};

struct pair {
	int32_t from, to, distance;
};

static const struct option options[] = {
	{OPTIONS_TITLE("Model:")},
	{"steps", .argument = "N", WHOLE_OPTION(struct markov, steps, 1, 100), .fallback = "3",
		.help = "How many steps apart two items still count"},
	{0},
};

static void declare(struct model *model, const char *where)
{
	struct markov *markov = model->state;
	(void)where; /* it has no parameters */
	static const int64_t divided[] = {1, 1, 2, 6, 12, 60, 60, 420, 840, MOST_PARTS, MOST_PARTS};
	markov->parts = markov->steps < (int64_t)COUNT_OF(divided) ? divided[markov->steps] : MOST_PARTS;
	markov->transitions.rows = markov->transitions.columns = model->n_items;
}

static int compare_pairs(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	if (x->to != y->to)
		return x->to < y->to ? -1 : 1;
	return (x->distance > y->distance) - (x->distance < y->distance);
}

/* 1/k */
static int64_t parts_of(const struct markov *markov, int64_t k)
{
	return (markov->parts + k / 2) / k;
}

static int64_t collect_pairs(const struct histories *training, int64_t steps, struct pair *pairs)
{
	int64_t n = 0;
	for (int64_t row = 0; row < training->rows; row++)
		for (int64_t t = training->indptr[row]; t < training->indptr[row + 1]; t++)
			for (int64_t k = 1; k <= steps && t + k < training->indptr[row + 1]; k++, n++)
				if (pairs)
					pairs[n] = (struct pair){training->item[t], training->item[t + k], (int32_t)k};
	return n;
}

static void count(struct model *model, const struct histories *training)
{
	struct markov *markov = model->state;
	struct sparse *transitions = &markov->transitions;
	int64_t n = collect_pairs(training, markov->steps, NULL);
	struct pair *pairs = xreallocarray(NULL, (size_t)n, sizeof *pairs);
	collect_pairs(training, markov->steps, pairs);
	qsort(pairs, (size_t)n, sizeof *pairs, compare_pairs);

	transitions->indptr = xcalloc((size_t)model->n_items + 1, sizeof *transitions->indptr);
	transitions->column = xreallocarray(NULL, (size_t)n, sizeof *transitions->column);
	transitions->value = xreallocarray(NULL, (size_t)n, sizeof *transitions->value);
	int64_t kept = 0, weight = 0;
	for (int64_t i = 0; i < n; i++) {
		if (i == 0 || pairs[i].from != pairs[i - 1].from || pairs[i].to != pairs[i - 1].to) {
			transitions->column[kept++] = pairs[i].to;
			transitions->indptr[pairs[i].from + 1]++;
			weight = 0;
		}
		weight += parts_of(markov, pairs[i].distance);
		transitions->value[kept - 1] = (float)((double)weight / (double)markov->parts);
	}
	for (int64_t item = 0; item < model->n_items; item++)
		transitions->indptr[item + 1] += transitions->indptr[item];
	free(pairs);
}

/* What was counted, out of the float of the stream: exactly, up to 2^23 parts. */
static uint64_t parts_of_weight(const struct markov *markov, float weight)
{
	return (uint64_t)llrint((double)weight * (double)markov->parts);
}

static void score(const struct model *model, const struct histories *histories, float *scores)
{
	const struct markov *markov = model->state;
	const struct sparse *transitions = &markov->transitions;
	const double whole = (double)markov->parts * (double)markov->parts;
	uint64_t *sum = xcalloc((size_t)model->n_items, sizeof *sum); /* of parts of parts; few items have one */
	memset(scores, 0, (size_t)(histories->rows * model->n_items) * sizeof *scores);
	for (int64_t row = 0; row < histories->rows; row++, scores += model->n_items) {
		const int64_t end = histories->indptr[row + 1], met = end - histories->indptr[row];
		const int64_t steps = met < markov->steps ? met : markov->steps;
		for (int64_t k = 1; k <= steps; k++) {
			const int32_t from = histories->item[end - k];
			for (int64_t i = transitions->indptr[from]; i < transitions->indptr[from + 1]; i++)
				sum[transitions->column[i]] += parts_of_weight(markov, transitions->value[i]) *
					(uint64_t)parts_of(markov, k);
		}
		for (int64_t k = 1; k <= steps; k++) {
			const int32_t from = histories->item[end - k];
			for (int64_t i = transitions->indptr[from]; i < transitions->indptr[from + 1]; i++) {
				const int32_t to = transitions->column[i];
				if (sum[to])
					scores[to] = (float)((double)sum[to] / whole);
				sum[to] = 0;
			}
		}
	}
	free(sum);
}

static const struct sparse_members matrix = {"transition", offsetof(struct markov, transitions), 0, MOST_WEIGHT};

const struct architecture markov_architecture = {
	.name = "markov",
	.summary = "items by how often they soon followed the last ones in training",
	.options = options,
	.size = sizeof(struct markov),
	.declare = declare,
	.count = count,
	.score = score,
	.matrix = &matrix,
};
