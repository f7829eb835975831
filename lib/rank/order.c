#include "rank/order.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rank/seen.h"
#include "stream/util.h"

/* Items by their place in the list, the best first. */
struct order {
	int64_t n_items;
	int32_t *item;
	float *score;
	int32_t *tie, *tie_end; /* of those with the same score: places [tie, tie_end) */
	int32_t *place;         /* by item */
};

struct scored {
	float score;
	int32_t item;
};

static int compare_scored(const void *a, const void *b)
{
	const struct scored *x = a, *y = b;
	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return (x->item > y->item) - (x->item < y->item);
}

static void find_ties(struct order *order)
{
	for (int32_t from = 0, to; from < order->n_items; from = to) {
		for (to = from; to < order->n_items && order->score[to] == order->score[from]; to++)
			order->tie[to] = from;
		for (int32_t i = from; i < to; i++)
			order->tie_end[i] = to;
	}
}

struct order *order_new(const float *scores, int64_t n_items, const char *where)
{
	const size_t n = (size_t)n_items;
	struct order *order = xcalloc(1, sizeof *order);
	struct scored *scored = xreallocarray(NULL, n, sizeof *scored);
	*order = (struct order){n_items, xcalloc(n, sizeof *order->item), xcalloc(n, sizeof *order->score),
		xcalloc(n, sizeof *order->tie), xcalloc(n, sizeof *order->tie_end), xcalloc(n, sizeof *order->place)};
	for (int64_t item = 0; item < n_items; item++) {
		if (!isfinite(scores[item]))
			die("%s: the score of item %lld is not finite", where, (long long)item);
		scored[item] = (struct scored){scores[item], (int32_t)item};
	}
	qsort(scored, n, sizeof *scored, compare_scored);
	for (int32_t i = 0; i < n_items; i++) {
		order->item[i] = scored[i].item;
		order->score[i] = scored[i].score;
		order->place[scored[i].item] = i;
	}
	free(scored);
	find_ties(order);
	return order;
}

void order_free(struct order *order)
{
	if (!order)
		return;
	free(order->item);
	free(order->score);
	free(order->tie);
	free(order->tie_end);
	free(order->place);
	free(order);
}

/* seen: places, as are all below. */
static void count(const struct order *order, const int32_t *seen, int64_t n_seen, int32_t target, int32_t *greater,
	int32_t *equal)
{
	const int32_t tie = order->tie[target], tie_end = order->tie_end[target];
	*greater = tie;
	*equal = tie_end - tie - 1;
	for (int64_t i = 0; i < n_seen; i++) {
		*greater -= seen[i] < tie;
		*equal -= seen[i] >= tie && seen[i] < tie_end;
	}
}

static void list(const struct order *order, const int32_t *seen, int64_t n_seen, int32_t k, int32_t *top_item,
	float *top_score)
{
	int32_t found = 0;
	int64_t from = 0;
	/* what stands between two places that are left out */
	for (int64_t i = 0; i <= n_seen && found < k; i++) {
		const int64_t to = i < n_seen ? seen[i] : order->n_items, n = to - from < k - found ? to - from : k - found;
		memcpy(top_item + found, order->item + from, (size_t)n * sizeof *top_item);
		memcpy(top_score + found, order->score + from, (size_t)n * sizeof *top_score);
		found += (int32_t)n;
		from = to + 1;
	}
	for (; found < k; found++) {
		top_item[found] = -1;
		top_score[found] = -FLT_MAX;
	}
}

void order_rank(const struct order *order, const struct ranks *ranks)
{
	int32_t *seen = NULL;
	int64_t room = 0;
	for (int64_t row = 0; row < ranks->rows; row++) {
		const int64_t first = ranks->seen_indptr ? ranks->seen_indptr[row] : 0;
		const int64_t n = ranks->seen_indptr ? ranks->seen_indptr[row + 1] - first : 0;
		const int32_t target = ranks->target ? order->place[ranks->target[row]] : -1;
		if (n > room)
			seen = xreallocarray(seen, (size_t)(room = 2 * n), sizeof *seen);
		for (int64_t i = 0; i < n; i++)
			seen[i] = order->place[ranks->seen_item[first + i]];
		const int64_t n_seen = seen_tidy(seen, n, target);
		if (ranks->target && ranks->greater)
			count(order, seen, n_seen, target, &ranks->greater[row], &ranks->equal[row]);
		if (ranks->k)
			list(order, seen, n_seen, ranks->k, ranks->top_item + row * ranks->k, ranks->top_score + row * ranks->k);
	}
	free(seen);
}
