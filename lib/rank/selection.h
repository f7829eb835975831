/*
 * What is kept of a query while items pass by: the best k so far, and how many are above and beside a target.
 */
#ifndef RECPIPE_SELECTION_H
#define RECPIPE_SELECTION_H

#include <stdbool.h>

#include "rank/rank.h"

/* Where a target stands among others. */
struct standing {
	int32_t greater, equal; /* how many score above it, and the same */
};
/* Exact for scores in either precision. */
static inline void standing_meet(struct standing *standing, double other, double target)
{
	standing->greater += other > target;
	standing->equal += other == target;
}
/* Of n others. */
static inline struct standing standing_among(const float *scores, int64_t n, float target)
{
	struct standing standing = {0, 0};
	for (int64_t i = 0; i < n; i++)
		standing_meet(&standing, (double)scores[i], (double)target);
	return standing;
}

struct best {
	float score;
	int32_t item;
};

struct selection {
	struct best *heap; /* the worst of the best on top */
	int32_t n, k;
	/* a score below it changes nothing: -inf until there are k, +inf where k is 0 */
	float bar;
	const int32_t *seen; /* sorted, without repetitions and the target */
	int64_t n_seen;
	int32_t target; /* -1: none */
	bool counts;
	float target_score; /* +inf where nothing is counted */
	int32_t greater, equal;
	int64_t enough; /* `greater` from which on nothing more needs to be seen */
};

/* The selections of all rows, `parts` of them for a row, and what they stand on. */
struct selections {
	struct selection *selection; /* row * parts + part */
	struct best *heap;
	int32_t *seen;
};

/* parts: selections to a row, each of a part of the catalog. The ranks are borrowed. */
struct selections selections_new(const struct ranks *ranks, int parts);
void selections_free(struct selections *all);
/* Joins the parts of a row and writes its answer. */
void selections_answer(const struct ranks *ranks, int64_t row, struct selection *parts, int n_parts);

/* Takes the entry if it is one of the best and its item is not to be left out. */
void selection_offer(struct selection *selection, struct best entry);
/* The target is among them: selections_answer() takes it away. */
static inline void selection_count(struct selection *selection, const float *scores, int64_t n)
{
	const struct standing standing = standing_among(scores, n, selection->target_score);
	selection->greater += standing.greater;
	selection->equal += standing.equal;
}

#endif
