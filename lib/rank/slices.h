/*
 * Parts of the users that a mean over all hides: by how often their target
 * occurs in training, and by how much is known of them.
 *
 * target:cold   the target never occurs in training
 * target:in-set it does: the head and the tail
 * target:head   it is one of the most popular `head` of the items that do (and those as popular as the last of them)
 * target:tail   the others
 * history:A-B   the items before the target number A to B
 */
#ifndef RECPIPE_SLICES_H
#define RECPIPE_SLICES_H

#include "data/ranking.h"

#define SLICES_MAX 40
#define SLICES_MAX_BOUNDS 32

/* Every evaluated user is in slice 0, "all", in one of cold, tail and head, and in one by history. */
enum { SLICE_ALL, SLICE_COLD, SLICE_IN_SET, SLICE_TAIL, SLICE_HEAD, SLICE_HISTORY };

struct slices {
	int count; /* 1: without sequences there is only "all" */
	char name[SLICES_MAX][48];
	int64_t users[SLICES_MAX];       /* in each */
	uint8_t *by_target, *by_history; /* of each row of the ranking: its slice, not SLICE_IN_SET */
	int64_t tied;                    /* users whose target shares its score with other items */
	int64_t head_events;             /* an item of the head occurs so often in training, or more often */
	int64_t head_items, tail_items, cold_items;
};
/*
 * bounds: the last history length of each slice but the open last one, ascending. sequences NULL: "all" alone.
 * Dies where a ranked user or its target is not that of the sequences.
 */
struct slices slices_make(const struct ranking *ranking, struct sequences *sequences, double head,
	const int64_t bounds[], int n_bounds);
void slices_free(struct slices *slices);

#endif
