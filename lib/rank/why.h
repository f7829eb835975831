/*
 * Why an item is recommended: the two items of the history without which its score would fall most, by asking the model
 * again without each. For every architecture.
 */
#ifndef RECPIPE_WHY_H
#define RECPIPE_WHY_H

#include "model/model.h"
#include "rank/recommend.h"

#define WHY_ITEMS 2

/* The more important one first; -1: no other item of the history raises the score. */
struct why {
	int32_t item[WHY_ITEMS];
};

/*
 * Of one history and k items recommended for it, all items of the catalog; -1 ends the k. The assortment is that of the
 * recommender, NULL: none. Items of the history that the model does not know explain nothing.
 */
void explain(const struct model *model, const struct assortment *assortment, const struct histories *history,
	const int32_t *item, int32_t k, struct why *why);

#endif
