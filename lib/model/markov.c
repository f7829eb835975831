/*
 * A Markov chain with skips: item j follows item i within `steps` steps with
 * weight 1/k for k steps. A candidate's score is the sum over the last `steps`
 * items of the history, the k-th last weighted 1/k, of what followed it in
 * training. Simple, and hard to beat on sparse data.
 *
 * Kept as a sparse matrix by rows: transition.indptr, .item, .weight.
 */
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "model/sparse.h"

struct markov {
	int64_t steps;
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
	int64_t kept = 0;
	for (int64_t i = 0; i < n; i++) {
		if (i == 0 || pairs[i].from != pairs[i - 1].from || pairs[i].to != pairs[i - 1].to) {
			transitions->column[kept] = pairs[i].to;
			transitions->value[kept++] = 0;
			transitions->indptr[pairs[i].from + 1]++;
		}
		transitions->value[kept - 1] += 1.0f / (float)pairs[i].distance;
	}
	for (int64_t item = 0; item < model->n_items; item++)
		transitions->indptr[item + 1] += transitions->indptr[item];
	free(pairs);
}

static void score(const struct model *model, const struct histories *histories, float *scores)
{
	const struct markov *markov = model->state;
	const struct sparse *transitions = &markov->transitions;
	memset(scores, 0, (size_t)(histories->rows * model->n_items) * sizeof *scores);
	for (int64_t row = 0; row < histories->rows; row++) {
		int64_t end = histories->indptr[row + 1];
		for (int64_t k = 1; k <= markov->steps && end - k >= histories->indptr[row]; k++) {
			int32_t from = histories->item[end - k];
			for (int64_t i = transitions->indptr[from]; i < transitions->indptr[from + 1]; i++)
				scores[row * model->n_items + transitions->column[i]] += transitions->value[i] / (float)k;
		}
	}
}

static void write(struct bag_out *out, const struct model *model)
{
	const struct markov *markov = model->state;
	sparse_write(out, "transition", &markov->transitions);
}

static bool take(struct model *model, const struct member *member)
{
	struct markov *markov = model->state;
	return sparse_take(&markov->transitions, "transition", member);
}

static bool is_complete(const struct model *model)
{
	const struct markov *markov = model->state;
	return markov->transitions.value;
}

static void release(struct model *model)
{
	struct markov *markov = model->state;
	sparse_free(&markov->transitions);
	free(markov);
}

const struct architecture markov_architecture = {
	.name = "markov",
	.summary = "items by how often they followed the last ones within three steps in training",
	.options = options,
	.size = sizeof(struct markov),
	.declare = declare,
	.count = count,
	.score = score,
	.write = write,
	.take = take,
	.is_complete = is_complete,
	.release = release,
};
