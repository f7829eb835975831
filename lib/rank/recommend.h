/*
 * Recommendations of a model: histories in, ranks and best items out. Puts
 * together what the architecture gives (query vectors, or rows of scores) and
 * the exact ranking of rank.h, in blocks: any number of histories in bounded memory.
 */
#ifndef RECPIPE_RECOMMEND_H
#define RECPIPE_RECOMMEND_H

#include "model/model.h"
#include "rank/rank.h"

struct recommender;
/* The model is borrowed; its parameters must not change until recommender_free(). Dies with `where` as ranker_new(). */
struct recommender *recommender_new(const struct model *model, const char *where);
/* Returns -1, or a row whose scores are not finite. An empty history scores all items of a dot-product model 0. */
int64_t recommend(const struct recommender *recommender, const struct histories *histories, const struct ranks *ranks);
void recommender_free(struct recommender *recommender);

/*
 * The counts alone, for validation in training: how many items score above, and the same as, each row's target.
 * remove_seen: items of the history (but not the target) are left out. Returns as recommend().
 */
int64_t rank_targets(const struct model *model, const struct histories *histories, const int32_t *target,
	bool remove_seen, int32_t *greater, int32_t *equal);

#endif
