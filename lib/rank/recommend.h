/*
 * Recommendations of a model: histories in, ranks and best items out. Puts
 * together what the architecture gives (query vectors, or rows of scores) and
 * the exact ranking of rank.h, in blocks: any number of histories in bounded memory.
 *
 * Items are rows of the catalog, in histories and in answers. The model may know others, or in another order: an
 * assortment says which row of the model an item is, which items may be recommended, and what those are told who have
 * no history.
 */
#ifndef RECPIPE_RECOMMEND_H
#define RECPIPE_RECOMMEND_H

#include "model/model.h"
#include "rank/assortment.h"
#include "rank/rank.h"

struct recommender;
/*
 * The model is borrowed; its parameters must not change until recommender_free(). assortment NULL: the model's items as
 * they are. Dies with `where` as ranker_new(), and where no item may be recommended.
 */
struct recommender *recommender_new(const struct model *model, const struct assortment *assortment, const char *where);
/*
 * Returns -1, or a row whose scores are not finite. A target that the model does not know stands behind all others. May
 * be called from several threads at once.
 */
int64_t recommend(const struct recommender *recommender, const struct histories *histories, const struct ranks *ranks);
/* How many items may be recommended. */
int64_t recommender_offers(const struct recommender *recommender);
void recommender_free(struct recommender *recommender);

/*
 * The counts alone, for validation in training: how many items score above, and the same as, each row's target; from
 * `enough` above on, which measures do not tell apart, any. remove_seen: items of the history (but not the target) are
 * left out. Returns as recommend().
 */
int64_t rank_targets(const struct model *model, const struct histories *histories, const int32_t *target,
	bool remove_seen, int32_t enough, int32_t *greater, int32_t *equal);

#endif
