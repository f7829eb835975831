/*
 * Rankings of scores that are the same for everybody: sorted once, and then each answer is the beginning of one list
 * without what is left out. Answers are those of rank_scores().
 */
#ifndef RECPIPE_ORDER_H
#define RECPIPE_ORDER_H

#include "rank/rank.h"

struct order;
/* scores: n_items of them, copied. Dies with `where` on one that is not finite. */
struct order *order_new(const float *scores, int64_t n_items, const char *where);
void order_rank(const struct order *order, const struct ranks *ranks);
void order_free(struct order *order);

#endif
