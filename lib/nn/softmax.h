/*
 * The softmax over a catalog in bfloat16 (nn/bf16.h), and its two backward products, for vectors of at most
 * SOFTMAX_WIDTH. Two passes over the items: the first finds each position's largest score and sum; the second makes the
 * scores again, which are probabilities then, as the products with the narrow matrices want them. So no more exists
 * than a tile of them, which does not leave the second-level cache: on AMX's tiles, products made twice cost less than
 * half of them kept in memory. Without these it is the other way round: one pass, in which the largest score so far
 * stands for the largest, and the probabilities are kept, packed, unless they are too many.
 */
#ifndef RECPIPE_SOFTMAX_H
#define RECPIPE_SOFTMAX_H

#include "nn/tape.h"

#define SOFTMAX_WIDTH 256
/* To be taken at a time. */
int64_t softmax_positions(void);

struct softmax;
/*
 * Packs the items; `parts` of bfloat16, positions at a time: at most so many. backward: softmax_backward() is to follow
 * softmax_forward(). Lives until the tape begins anew.
 */
struct softmax *softmax_new(struct tape *tape, const struct array *items, int parts, int64_t positions, bool backward);
/*
 * Of n positions' hidden states (n x width, which stay as they are until softmax_backward()): the largest score of
 * each, the sum of exp(score - max), and its target's score.
 */
void softmax_forward(struct softmax *softmax, int64_t n, const float *hidden, const int32_t *target, float *max,
	float *sum, float *of_target);
/*
 * Of the same positions, with P = factor x exp(score - max): dhidden (n x width) = P items, and ditems += P^T hidden.
 * ditems (items x width, `stride` floats from one to the next) may be NULL.
 */
void softmax_backward(struct softmax *softmax, const float *max, const float *factor, float *dhidden, float *ditems,
	int64_t stride);

#endif
