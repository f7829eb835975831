/*
 * Items that a model has met seldom or never, scored by what their texts say as well.
 *
 * What a model learns of an item it learns from events. An item that none of them has is given no score, or one that
 * means nothing, and those that are known stand before it. So the share of an item's score that events cannot have told
 * is read off its text: of an item that was met m times, 1 / (1 + 2 m). Where few events train, nearly all items are
 * so, and one that was met has been told apart from them by more than its text: the text stands in for as much as
 * events tell of the average item, K = mean of 1 - 1 / (1 + 2 m), and what own scores are worth there, K again. With
 * a history's scores s by events and t by text, over all items of mean 0,
 *
 *     s(j) += worth * K^2 / (1 + 2 m_j) * h(s) / h(t) * t(j),
 *
 * where h is the tenth best score, items of the history left out: among the best, which alone matter, the two are of
 * one size then, however their deviations differ. UNMET_WORTH and the power of K, of 0, 1 and 2, were chosen on
 * validation items of the set scientific: with a tenth of the items left out of training these are found as often as by
 * text alone, and with a tenth of the users nothing is lost.
 */
#ifndef RECPIPE_UNMET_H
#define RECPIPE_UNMET_H

#include "data/histories.h"
#include "model/model.h"

#define UNMET_WORTH 1.3

/* By item, K^2 / (1 + 2 m): what its text makes up for. met: how often the model met it in training. To be freed. */
float *unmet_shares(const int32_t met[], int64_t n_items);
/* Those of a catalog's items, as model_met() counts them; NULL where the model does not say how often it met any. */
float *unmet_shares_of(const struct model *model, const int32_t *row, int64_t n_items);
/*
 * Completes rows of scores by those of a text (rows x n_items both), in place. A history's have the same bits whatever
 * else is asked with it.
 */
void unmet_complete(float *scores, const float *texts, int64_t n_items, const float share[], double worth,
	const struct histories *histories);
/* sum += texts / h(texts): of several texts, each then counts the same. */
void unmet_add_texts(float *sum, const float *texts, int64_t n_items, const struct histories *histories);

#endif
