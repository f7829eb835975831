/*
 * Item neighbours (Sarwar et al. 2001; Deshpande & Karypis 2004): the cosine of the users that met both,
 *
 *     c(i, j) / (sqrt(c(i) c(j)) + shrinkage),
 *
 * of which each item keeps its largest. A user who met both counts for less in c(i, j) the more steps there are between
 * the two (`pair_decay`), which the originals do not know. A candidate's score is the sum over the history's items of
 * their weights for it, each item counting as much as `decay` of the one after it.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/content.h"
#include "model/interactions.h"

struct itemknn {
	int64_t neighbours;
	double shrinkage, pair_decay;
	struct content_options content;
	struct sparse neighbour; /* by the item of the history */
};

static const struct option options[] = {
	{OPTIONS_TITLE("Model:")},
	{"neighbours", .argument = "N", WHOLE_OPTION(struct itemknn, neighbours, 1, INT32_MAX), .fallback = "200",
		.help = "How many of the items most like it an item keeps"},
	{"shrinkage", .argument = "R", REAL_OPTION(struct itemknn, shrinkage, 0, 1e6), .fallback = "10",
		.help = "What is added below the fraction: few users in common count less"},
	{.key = "pair_decay", REAL_OPTION(struct itemknn, pair_decay, 0, 1), .fallback = "0.9", .help = PAIR_DECAY_HELP},
	{INCLUDED_OPTIONS(struct itemknn, content, content_options)},
	{0},
};

static void declare(struct model *model, const char *where)
{
	struct itemknn *itemknn = model->state;
	(void)where; /* of any number of items */
	itemknn->neighbour.rows = itemknn->neighbour.columns = model->n_items;
	content_declare(model, &itemknn->content);
}

/* --- training --- */

struct likeness {
	int32_t item;
	float value;
};

static int by_value(const void *a, const void *b)
{
	const struct likeness *x = a, *y = b;
	if (x->value != y->value)
		return x->value > y->value ? -1 : 1;
	return (x->item > y->item) - (x->item < y->item);
}

static int by_item(const void *a, const void *b)
{
	const struct likeness *x = a, *y = b;
	return (x->item > y->item) - (x->item < y->item);
}

/* Users by items, both ways; counts of a thread are zero between items. */
struct counter {
	const struct sparse *users, *items;
	const struct pair_worth *pair;
	double *common; /* by item */
	struct likeness *found;
};

/* The item's neighbours, at most `most`, by rising item; their number. */
static int64_t find_neighbours(const struct counter *counter, int64_t item, double shrinkage, int64_t most)
{
	const struct sparse *users = counter->users, *items = counter->items;
	const int64_t *of_item = items->indptr;
	int64_t n = 0;
	for (int64_t i = of_item[item]; i < of_item[item + 1]; i++) {
		int64_t from, to;
		const int64_t here = pairs_around(counter->pair, users, items->column[i], (int64_t)items->value[i], &from, &to);
		for (int64_t at = from; at < to; at++) {
			const int32_t other = users->column[at];
			if (other != item && counter->common[other] == 0)
				counter->found[n++].item = other;
			counter->common[other] += counter->pair->worth[llabs(at - here)];
		}
	}
	counter->common[item] = 0;
	for (int64_t i = 0; i < n; i++) {
		const int32_t other = counter->found[i].item;
		const double both = (double)(of_item[item + 1] - of_item[item]) * (double)(of_item[other + 1] - of_item[other]);
		counter->found[i].value = (float)(counter->common[other] / (sqrt(both) + shrinkage));
		counter->common[other] = 0;
	}
	if (n > most) {
		qsort(counter->found, (size_t)n, sizeof *counter->found, by_value);
		n = most;
	}
	if (n)
		qsort(counter->found, (size_t)n, sizeof *counter->found, by_item);
	return n;
}

static void pack(struct sparse *neighbour, struct likeness *const *kept, const int64_t *n_kept)
{
	const int64_t n = neighbour->rows;
	neighbour->indptr = xcalloc((size_t)n + 1, sizeof *neighbour->indptr);
	for (int64_t item = 0; item < n; item++)
		neighbour->indptr[item + 1] = neighbour->indptr[item] + n_kept[item];
	neighbour->column = xreallocarray(NULL, (size_t)neighbour->indptr[n] + 1, sizeof *neighbour->column);
	neighbour->value = xreallocarray(NULL, (size_t)neighbour->indptr[n] + 1, sizeof *neighbour->value);
	for (int64_t item = 0; item < n; item++)
		for (int64_t i = 0; i < n_kept[item]; i++) {
			neighbour->column[neighbour->indptr[item] + i] = kept[item][i].item;
			neighbour->value[neighbour->indptr[item] + i] = kept[item][i].value;
		}
}

static void count(struct model *model, const struct histories *training)
{
	struct itemknn *itemknn = model->state;
	const int64_t n = model->n_items;
	struct sparse users = interactions_of(training, n), items = sparse_transpose(&users);
	struct pair_worth pair = pair_worth_of(itemknn->pair_decay, &users);
	struct likeness **kept = xcalloc((size_t)n, sizeof *kept);
	int64_t *n_kept = xcalloc((size_t)n, sizeof *n_kept);
#pragma omp parallel
	{
		struct counter counter = {&users, &items, &pair, xcalloc((size_t)n, sizeof *counter.common),
			xreallocarray(NULL, (size_t)n, sizeof *counter.found)};
#pragma omp for schedule(dynamic, 16)
		for (int64_t item = 0; item < n; item++) {
			n_kept[item] = find_neighbours(&counter, item, itemknn->shrinkage, itemknn->neighbours);
			kept[item] = xreallocarray(NULL, (size_t)n_kept[item] + 1, sizeof **kept);
			memcpy(kept[item], counter.found, (size_t)n_kept[item] * sizeof **kept);
		}
		free(counter.common);
		free(counter.found);
	}
	pack(&itemknn->neighbour, kept, n_kept);
	for (int64_t item = 0; item < n; item++)
		free(kept[item]);
	free(kept);
	free(n_kept);
	free(pair.worth);
	sparse_free(&users);
	sparse_free(&items);
}

/* --- scores --- */

static void score(const struct model *model, const struct histories *histories, float *scores)
{
	const struct itemknn *itemknn = model->state;
	const struct sparse *neighbour = &itemknn->neighbour;
	memset(scores, 0, (size_t)(histories->rows * model->n_items) * sizeof *scores);
#pragma omp parallel for schedule(dynamic, 4) if (histories->rows > 1)
	for (int64_t row = 0; row < histories->rows; row++) {
		const int64_t end = histories->indptr[row + 1];
		const int64_t reach = history_reach(itemknn->content.decay, end - histories->indptr[row]);
		float *sum = scores + row * model->n_items;
		for (int64_t back = 0; back < reach; back++) {
			const int32_t item = histories->item[end - 1 - back];
			const float much = (float)history_weight(itemknn->content.decay, back);
			for (int64_t i = neighbour->indptr[item]; i < neighbour->indptr[item + 1]; i++)
				sum[neighbour->column[i]] += much * neighbour->value[i];
		}
	}
}

static const struct sparse_members matrix = {"neighbour", offsetof(struct itemknn, neighbour), -FLT_MAX, FLT_MAX};

const struct architecture itemknn_architecture = {
	.name = "itemknn",
	.summary = "items met by those who met the last ones (Sarwar et al. 2001)",
	.options = options,
	.size = sizeof(struct itemknn),
	.reads_items = true,
	.declare = declare,
	.count = count,
	.score = score,
	.matrix = &matrix,
};
