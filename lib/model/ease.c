/*
 * EASE (Steck, WWW 2019): the linear model that predicts each item of a user from all the others, with squared error
 * and weights shrunk by lambda, in closed form:
 *
 *     P = (X^T X + lambda I)^-1,    B = I - P diag(1 / P_jj),
 *
 * X the ones of users by items. Of X^T X, how many users two items have in common, such a pair may count for less the
 * further apart the user met the two, which the original does not know: `pair_decay` to the power of the steps from one
 * to the other. Within a user that is a positive definite matrix, as all ones are, so the sum can be inverted as well.
 *
 * A candidate's score is the sum over the history's items of their weights for it, each item counting as much as
 * `decay` of the one after it: X B for a query that knows which item was the latest.
 *
 * B is kept whole, n x n floats, in members of about 64 MiB: item_weight.000000.npy and on, rows one after another.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/content.h"
#include "model/interactions.h"
#include "nn/blas.h"
#include "nn/vec.h"
#include "stream/progress.h"

#define MOST_ITEMS 50000
#define MEMBER_FLOATS ((int64_t)1 << 24)
#define SQUARE 64 /* of a matrix, turned over at a time */

struct ease {
	double lambda, pair_decay;
	struct content_options content;
	float *weight; /* n_items x n_items: of each item for every candidate */
	int64_t taken; /* rows that came */
};

static const struct option options[] = {
	{OPTIONS_TITLE("Model:")},
	{"lambda", .argument = "R", REAL_OPTION(struct ease, lambda, 1e-3, 1e9), .fallback = "100",
		.help = "How much weights are shrunk: the more, the fewer events there are"},
	{.key = "pair_decay", REAL_OPTION(struct ease, pair_decay, 0, 1), .fallback = "0.9", .help = PAIR_DECAY_HELP},
	{INCLUDED_OPTIONS(struct ease, content, content_options)},
	{0},
};

static void declare(struct model *model, const char *where)
{
	struct ease *ease = model->state;
	if (model->n_items > MOST_ITEMS)
		die("%s: ease keeps a weight for each pair of items: %.0f GB for these %lld, and %d items at most are taken; "
			"--arch itemknn and markov have no such limit",
			where, (double)model->n_items * (double)model->n_items * 4e-9, (long long)model->n_items, MOST_ITEMS);
	content_declare(model, &ease->content);
}

/* --- training --- */

/* X^T X, its pairs weighed, + lambda I. A thread has some items, and so whole rows. */
static void count_pairs(const struct ease *ease, const struct sparse *users, float *pairs)
{
	const int64_t n = users->columns;
	struct pair_worth pair = pair_worth_of(ease->pair_decay, users);
	struct sparse items = sparse_transpose(users);
#pragma omp parallel for schedule(dynamic, 16)
	for (int64_t item = 0; item < n; item++) {
		float *row = pairs + item * n;
		for (int64_t i = items.indptr[item]; i < items.indptr[item + 1]; i++) {
			int64_t from, to;
			const int64_t here = pairs_around(&pair, users, items.column[i], (int64_t)items.value[i], &from, &to);
			for (int64_t other = from; other < to; other++)
				row[users->column[other]] += pair.worth[llabs(other - here)];
		}
		row[item] += (float)ease->lambda;
	}
	sparse_free(&items);
	free(pair.worth);
}

/* From P, of which the part right of the diagonal is there, to B, in place. */
static void weights_of_inverse(float *p, int64_t n)
{
	float *scale = xreallocarray(NULL, (size_t)n, sizeof *scale);
	for (int64_t i = 0; i < n; i++)
		scale[i] = -1 / p[i * n + i];
#pragma omp parallel for schedule(dynamic)
	for (int64_t top = 0; top < n; top += SQUARE)
		for (int64_t left = top; left < n; left += SQUARE)
			for (int64_t i = top; i < n && i < top + SQUARE; i++)
				for (int64_t j = left > i ? left : i + 1; j < n && j < left + SQUARE; j++)
					p[j * n + i] = p[i * n + j];
#pragma omp parallel for
	for (int64_t i = 0; i < n; i++) {
		for (int64_t j = 0; j < n; j++)
			p[i * n + j] *= scale[j];
		p[i * n + i] = 0;
	}
	free(scale);
}

static void count(struct model *model, const struct histories *training)
{
	struct ease *ease = model->state;
	const int64_t n = model->n_items;
	notice("ease: weights of %lld x %s, %.1f MB", (long long)n, counted(n, "items"), (double)(n * n) * 4e-6);
	struct sparse users = interactions_of(training, n);
	ease->weight = xaligned((size_t)(n * n), sizeof *ease->weight);
	count_pairs(ease, &users, ease->weight);
	sparse_free(&users);
	if (!positive_inverse(ease->weight, n))
		die("ease: the matrix of %s cannot be inverted in single precision; a larger --lambda than %g helps",
			counted(n, "items"), ease->lambda);
	weights_of_inverse(ease->weight, n);
	ease->taken = n;
}

/* --- scores --- */

static void score(const struct model *model, const struct histories *histories, float *scores)
{
	const struct ease *ease = model->state;
	const int64_t n = model->n_items;
#pragma omp parallel for schedule(dynamic, 4) if (histories->rows > 1)
	for (int64_t row = 0; row < histories->rows; row++) {
		const int64_t end = histories->indptr[row + 1];
		const int64_t reach = history_reach(ease->content.decay, end - histories->indptr[row]);
		float *sum = scores + row * n;
		memset(sum, 0, (size_t)n * sizeof *sum);
		for (int64_t back = 0; back < reach; back++)
			vec_axpy((float)history_weight(ease->content.decay, back),
				ease->weight + histories->item[end - 1 - back] * n, sum, n);
	}
}

/* --- members --- */

static int64_t rows_of_member(int64_t n_items)
{
	return MEMBER_FLOATS / n_items;
}

static void write(struct bag_out *out, const struct model *model)
{
	const struct ease *ease = model->state;
	const int64_t n = model->n_items, at_once = rows_of_member(n);
	for (int64_t row = 0, part = 0; row < n; row += at_once, part++) {
		char name[64];
		const int64_t rows = n - row < at_once ? n - row : at_once;
		const struct tensor tensor = tensor_2d(F4, rows, n, ease->weight + row * n);
		snprintf(name, sizeof name, "item_weight.%06lld.npy", (long long)part);
		bag_add_tensor(out, name, &tensor);
	}
}

static bool take(struct model *model, const struct member *member)
{
	struct ease *ease = model->state;
	struct tensor tensor;
	const int64_t n = model->n_items;
	if (strncmp(member->name, "item_weight.", strlen("item_weight.")) != 0)
		return false;
	npy_parse(member->bytes, member->size, &tensor, member->where);
	if (tensor.n_dims != 2 || tensor.shape[1] != n || tensor.shape[0] > n - ease->taken) {
		char text[128];
		die("%s: %s, at most %s of %lld were expected", member->where, tensor_describe(&tensor, text),
			counted(n - ease->taken, "rows"), (long long)n);
	}
	float *rows = tensor_as(&tensor, F4, member->where);
	if (!ease->weight)
		ease->weight = xaligned((size_t)(n * n), sizeof *ease->weight);
	memcpy(ease->weight + ease->taken * n, rows, (size_t)(tensor.shape[0] * n) * sizeof *rows);
	ease->taken += tensor.shape[0];
	free(rows);
	return true;
}

static bool is_complete(const struct model *model)
{
	const struct ease *ease = model->state;
	return ease->taken == model->n_items;
}

static void release(struct model *model)
{
	struct ease *ease = model->state;
	free(ease->weight);
	free(ease);
}

const struct architecture ease_architecture = {
	.name = "ease",
	.summary = "each item from all others, linear, in closed form (Steck 2019)",
	.options = options,
	.size = sizeof(struct ease),
	.reads_items = true,
	.declare = declare,
	.count = count,
	.score = score,
	.write = write,
	.take = take,
	.is_complete = is_complete,
	.release = release,
};
