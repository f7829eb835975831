/*
 * Items that a model has met seldom or never, scored by what their texts say as well.
 *
 * What a model learns of an item it learns from events. An item that none of them has is given no score, or one that
 * means nothing, and those that are known stand before it. So the share of an item's score that events cannot have told
 * is read off its text: of an item that was met m times, 1 / (1 + 2 m). With a history's scores s by events and t by
 * text, over all items of mean 0,
 *
 *     s(j) += worth / (1 + 2 m_j) * h(s) / h(t) * t(j),
 *
 * where h is the tenth best score, items of the history left out: among the best, which alone matter, the two are of
 * one size then, however their deviations differ. The worth is less than 1, as such an item is seldom as good a guess
 * as one that events and text agree on; UNMET_WORTH was chosen on validation items of the set scientific, where a
 * tenth of the items was left out of training: there these are found as often as by text alone.
 */
#ifndef RECPIPE_UNMET_H
#define RECPIPE_UNMET_H

#include "data/histories.h"

#define UNMET_WORTH 0.85

/*
 * Completes rows of scores by those of a text (rows x n_items both), in place. met: by item, how often the model met it
 * in training. A history's have the same bits whatever else is asked with it.
 */
void unmet_complete(float *scores, const float *texts, int64_t n_items, const int32_t met[], double worth,
	const struct histories *histories);
/* sum += texts / h(texts): of several texts, each then counts the same. */
void unmet_add_texts(float *sum, const float *texts, int64_t n_items, const struct histories *histories);

#endif
