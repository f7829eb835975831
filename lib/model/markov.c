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

struct transitions {
	int64_t steps;
	int64_t *indptr; /* n_items + 1 */
	int32_t *item;
	float *weight;
	int64_t count;
};

struct pair {
	int32_t from, to, distance;
};

static const struct option options[] = {
	{OPTIONS_TITLE("Model:")},
	{"steps", .argument = "N", WHOLE_OPTION(struct transitions, steps, 1, 100), .fallback = "3",
		.help = "How many steps apart two items still count"},
	{0},
};

static void declare(struct model *model, const char *where)
{
	(void)model, (void)where; /* it has no parameters */
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
	struct transitions *transitions = model->state;
	int64_t n = collect_pairs(training, transitions->steps, NULL);
	struct pair *pairs = xreallocarray(NULL, (size_t)n, sizeof *pairs);
	collect_pairs(training, transitions->steps, pairs);
	qsort(pairs, (size_t)n, sizeof *pairs, compare_pairs);

	transitions->indptr = xcalloc((size_t)model->n_items + 1, sizeof *transitions->indptr);
	transitions->item = xreallocarray(NULL, (size_t)n, sizeof *transitions->item);
	transitions->weight = xreallocarray(NULL, (size_t)n, sizeof *transitions->weight);
	int64_t kept = 0;
	for (int64_t i = 0; i < n; i++) {
		if (i == 0 || pairs[i].from != pairs[i - 1].from || pairs[i].to != pairs[i - 1].to) {
			transitions->item[kept] = pairs[i].to;
			transitions->weight[kept++] = 0;
			transitions->indptr[pairs[i].from + 1]++;
		}
		transitions->weight[kept - 1] += 1.0f / (float)pairs[i].distance;
	}
	for (int64_t item = 0; item < model->n_items; item++)
		transitions->indptr[item + 1] += transitions->indptr[item];
	transitions->count = kept;
	free(pairs);
}

static void score(const struct model *model, const struct histories *histories, float *scores)
{
	const struct transitions *transitions = model->state;
	memset(scores, 0, (size_t)(histories->rows * model->n_items) * sizeof *scores);
	for (int64_t row = 0; row < histories->rows; row++) {
		int64_t end = histories->indptr[row + 1];
		for (int64_t k = 1; k <= transitions->steps && end - k >= histories->indptr[row]; k++) {
			int32_t from = histories->item[end - k];
			for (int64_t i = transitions->indptr[from]; i < transitions->indptr[from + 1]; i++)
				scores[row * model->n_items + transitions->item[i]] += transitions->weight[i] / (float)k;
		}
	}
}

static void write(struct bag_out *out, const struct model *model)
{
	const struct transitions *transitions = model->state;
	const struct tensor indptr = tensor_1d(I8, model->n_items + 1, transitions->indptr);
	const struct tensor item = tensor_1d(I4, transitions->count, transitions->item);
	const struct tensor weight = tensor_1d(F4, transitions->count, transitions->weight);
	bag_add_tensor(out, "transition.indptr.npy", &indptr);
	bag_add_tensor(out, "transition.item.npy", &item);
	bag_add_tensor(out, "transition.weight.npy", &weight);
}

/* One axis of `expected` entries (-1: any), as memory of our own. */
static void *take_vector(const struct member *member, enum dtype dtype, int64_t expected)
{
	struct tensor tensor;
	npy_parse(member->bytes, member->size, &tensor, member->where);
	if (tensor.n_dims != 1 || (expected >= 0 && tensor.shape[0] != expected)) {
		char text[128];
		die("%s: %s, one axis of %lld was expected", member->where, tensor_describe(&tensor, text),
			(long long)expected);
	}
	return tensor_as(&tensor, dtype, member->where);
}

static void take_indptr(struct model *model, const struct member *member)
{
	struct transitions *transitions = model->state;
	transitions->indptr = take_vector(member, I8, model->n_items + 1);
	for (int64_t item = 0; item < model->n_items; item++)
		if (transitions->indptr[0] || transitions->indptr[item + 1] < transitions->indptr[item])
			die("%s: row %lld: does not rise from 0", member->where, (long long)item);
	transitions->count = transitions->indptr[model->n_items];
}

static void take_items(struct model *model, const struct member *member)
{
	struct transitions *transitions = model->state;
	transitions->item = take_vector(member, I4, transitions->count);
	for (int64_t i = 0; i < transitions->count; i++)
		if (transitions->item[i] < 0 || transitions->item[i] >= model->n_items)
			die("%s: row %lld: item %d, less than %lld was expected", member->where, (long long)i, transitions->item[i],
				(long long)model->n_items);
}

static bool take(struct model *model, const struct member *member)
{
	struct transitions *transitions = model->state;
	if (!strcmp(member->name, "transition.indptr.npy") && !transitions->indptr)
		take_indptr(model, member);
	else if (!strcmp(member->name, "transition.item.npy") && transitions->indptr && !transitions->item)
		take_items(model, member);
	else if (!strcmp(member->name, "transition.weight.npy") && transitions->item && !transitions->weight)
		transitions->weight = take_vector(member, F4, transitions->count);
	else
		return false;
	return true;
}

static bool is_complete(const struct model *model)
{
	const struct transitions *transitions = model->state;
	return transitions->weight;
}

static void release(struct model *model)
{
	struct transitions *transitions = model->state;
	free(transitions->indptr);
	free(transitions->item);
	free(transitions->weight);
	free(transitions);
}

const struct architecture markov_architecture = {
	.name = "markov",
	.summary = "items by how often they followed the last ones within three steps in training",
	.options = options,
	.size = sizeof(struct transitions),
	.declare = declare,
	.count = count,
	.score = score,
	.write = write,
	.take = take,
	.is_complete = is_complete,
	.release = release,
};
