/*
 * The softmax over a catalog in bfloat16 (nn/bf16.h), and its two backward products, for vectors of at most
 * SOFTMAX_WIDTH. Two passes over the items: the first finds each position's largest score and sum; the second makes the
 * scores again, which are probabilities then, as the products with the narrow matrices want them. So no more exists
 * than a tile of them, which does not leave the second-level cache: on the tiles, products made twice cost less than
 * half of them kept in memory.
 */
#ifndef RECPIPE_SOFTMAX_H
#define RECPIPE_SOFTMAX_H

#include "nn/tape.h"

#define SOFTMAX_WIDTH 256
#define SOFTMAX_POSITIONS 512 /* at a time */

struct softmax;
/* Packs the items; `parts` of bfloat16, positions at a time: at most so many. Lives until the tape begins anew. */
struct softmax *softmax_new(struct tape *tape, const struct array *items, int parts, int64_t positions);
/*
 * Of n positions' hidden states (n x width): the largest score of
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
