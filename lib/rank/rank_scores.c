/* Ranking from given scores. */
#include <float.h>
#include <math.h>

#include "rank/seen.h"
#include "rank/selection.h"

static bool all_finite(const float *scores, int64_t n)
{
	int32_t finite = 0; /* counted, which compilers do several at a time */
	for (int64_t i = 0; i < n; i++)
		finite += fabsf(scores[i]) <= FLT_MAX;
	return finite == n;
}

static void count_scores(const float *scores, int64_t n_items, struct selection *selection)
{
	struct standing seen = {0, 0};
	selection->target_score = scores[selection->target];
	selection_count(selection, scores, n_items);
	for (int64_t i = 0; i < selection->n_seen; i++)
		standing_meet(&seen, (double)scores[selection->seen[i]], (double)selection->target_score);
	selection->greater -= seen.greater;
	selection->equal -= seen.equal;
}

#define PASS 64 /* scores that are passed over together where none of them is among the best */

/* Of equal scores the first stay. */
static void offer_scores(const float *scores, int64_t n_items, struct selection *selection)
{
	for (int64_t from = 0; from < n_items; from += PASS) {
		const int64_t end = from + PASS < n_items ? from + PASS : n_items;
		const float bar = selection->bar;
		int32_t above = 0;
		for (int64_t item = from; item < end; item++)
			above += scores[item] > bar;
		for (int64_t item = from; above && item < end; item++)
			if (scores[item] > selection->bar)
				selection_offer(selection, (struct best){scores[item], (int32_t)item});
	}
}

/* False where a score is not finite. */
static bool select_scores(const float *scores, int64_t n_items, struct selection *selection)
{
	if (!all_finite(scores, n_items))
		return false;
	selection->n_seen = seen_tidy((int32_t *)(uintptr_t)selection->seen, selection->n_seen, selection->target);
	if (selection->counts)
		count_scores(scores, n_items, selection);
	offer_scores(scores, n_items, selection);
	return true;
}

int64_t rank_scores(const float *scores, int64_t n_items, const struct ranks *ranks)
{
	struct selections all = selections_new(ranks, 1);
	int64_t bad = ranks->rows;
#pragma omp parallel for schedule(dynamic, 4) reduction(min : bad)
	for (int64_t row = 0; row < ranks->rows; row++)
		if (!select_scores(scores + row * n_items, n_items, &all.selection[row]) && row < bad)
			bad = row;
	if (bad == ranks->rows)
#pragma omp parallel for
		for (int64_t row = 0; row < ranks->rows; row++)
			selections_answer(ranks, row, &all.selection[row], 1);
	selections_free(&all);
	return bad < ranks->rows ? bad : -1;
}
