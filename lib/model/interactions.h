/*
 * Who met what: users by items, each item of a history once.
 */
#ifndef RECPIPE_INTERACTIONS_H
#define RECPIPE_INTERACTIONS_H

#include "data/histories.h"
#include "model/sparse.h"

/*
 * Rows in the order in which items were met, of one that was met again the last time; the value is its place in the
 * row. Freed by sparse_free().
 */
struct sparse interactions_of(const struct histories *histories, int64_t n_items);

/*
 * How much it counts that a user met two items, by the steps from one to the other: decay to their power. `reach` is
 * how many of a user's items, this one first, count for more than rounding. worth: by steps; freed by the caller.
 */
struct pair_worth {
	int64_t reach;
	float *worth;
};
#define PAIR_DECAY_HELP "How much two items of a user count of a pair that is a step closer"
struct pair_worth pair_worth_of(double decay, const struct sparse *users);
/* Where those of a row are that count beside the one at `place` of it; returns where `place` itself is. */
int64_t pairs_around(const struct pair_worth *pair, const struct sparse *users, int64_t row, int64_t place,
	int64_t *from, int64_t *to);

#endif
