/*
 * Items like an item: by the cosine of their vectors, or, of models that
 * have none, what is recommended to who has met that item alone.
 */
#ifndef RECPIPE_SIMILAR_H
#define RECPIPE_SIMILAR_H

#include "rank/answer.h"

struct similar;
/* The advisor is borrowed. */
struct similar *similar_new(const struct advisor *advisor);
/*
 * Fills the answer with at most k items that may be recommended, the item itself left out, of equal ones the lower row
 * of the catalog first; none where the model does not know the item. False: a score is not finite. Any number of
 * threads may ask.
 */
bool similar_find(struct similar *similar, int32_t item, int32_t k, struct answer *answer) MUST_USE;
void similar_free(struct similar *similar);

/*
 * Lists of at most k items each like those of the catalog that are asked for, which are found many at a time, with the
 * same scores but for rounding. asked: ids, of which those that the catalog or the model does not have are told; NULL:
 * the whole catalog. Dies where the model cannot tell items apart, and on scores that are not finite.
 */
void similar_list(const struct advisor *advisor, struct strings *asked, int32_t k, const struct listing *listing);

#endif
