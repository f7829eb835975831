/*
 * Losses on the dot products of hidden states and item vectors. Each computes
 * its sum over positions and at once, where the arrays have them, adds
 * `scale` x its gradient to hidden and items (scale is 1 / positions of the whole batch for a mean). target[t] is
 * the item that follows position t, or -1 where nothing is to be learned.
 */
#ifndef RECPIPE_LOSS_H
#define RECPIPE_LOSS_H

#include "nn/tape.h"

/* Cross-entropy of the softmax over all items, in blocks of positions: never more than a block of logits exists. */
double full_cross_entropy(struct tape *tape, struct array *hidden, struct array *items, const int32_t *target,
	float scale);
/* The same with a bias for each item: a vector, or NULL. */
double biased_cross_entropy(struct tape *tape, struct array *hidden, struct array *items, struct array *bias,
	const int32_t *target, float scale);
/*
 * The same, and for each position -log p(target) and whether no item scores higher; 0 and false without a target.
 * softcap: 0, or, where items have no gradient, scores become softcap x tanh(score / softcap).
 */
double full_cross_entropy_each(struct tape *tape, struct array *hidden, struct array *items, const int32_t *target,
	float scale, float softcap, float *nll, bool *said);

/*
 * Cross-entropy of the softmax over the target and n_negatives items that all positions of one sequence share.
 * hidden rows [first, first + n) are the sequence; target is of those rows (Klenitskiy & Vasilev 2023).
 */
double sampled_cross_entropy(struct tape *tape, struct array *hidden, int64_t first, int64_t n, struct array *items,
	const int32_t *target, const int32_t *negative, int64_t n_negatives, float scale);

/*
 * -(beta log s(target) + sum log(1 - s(negative))) x weight with n_negatives of its own for each position,
 * negative[t * n_negatives + j]. BCE as in SASRec: 1 negative, beta 1, weight 1. gBCE (Petrov & Macdonald 2023):
 * gbce_beta(), weight 1 / (n_negatives + 1).
 */
double binary_cross_entropy(struct tape *tape, struct array *hidden, struct array *items, const int32_t *target,
	const int32_t *negative, int64_t n_negatives, double beta, double weight, float scale);
/* alpha t - t + 1 with alpha = negatives / (items - 1) */
double gbce_beta(int64_t n_negatives, int64_t n_items, double t);

#endif
