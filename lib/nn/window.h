/*
 * Attention within a window, and one global token: Longformer's (Beltagy et al. 2020) where the first token of each
 * sequence is the global one. Every other token sees those at most `reach` away and the first; the first, with
 * projections of its own, sees all of its sequence. Cost and memory grow with the length, not with its square.
 */
#ifndef RECPIPE_WINDOW_H
#define RECPIPE_WINDOW_H

#include "nn/tape.h"

struct window {
	int heads;     /* divides the width */
	int64_t reach; /* to each side */
	/* sequence s is tokens [indptr[s] - indptr[0], indptr[s + 1] - indptr[0]), at least one */
	const int64_t *indptr;
	int64_t sequences;
	/*
	 * by token, from the first of all: beside the first of its sequence
	 * it sees only those of its own part; NULL: all are one
	 */
	const int32_t *part;
	float dropout; /* of the probabilities */
};

/*
 * What all tokens but the first see, and in the rows of the first what `first` (sequences, d) says. q, k, v: (n, d),
 * may be views. Scores are scaled by 1 / sqrt(d / heads). (n, d).
 */
struct array *window_attention(struct tape *tape, struct array *q, struct array *k, struct array *v,
	struct array *first, const struct window *window);

/*
 * What the first tokens see: query q (sequences, d), keys x key_weight^T, values x value_weight^T + value_bias of all
 * tokens x (n, d). (sequences, d). With a single query a sequence neither keys nor values are formed:
 *     q . (K x) = (K^T q) . x        sum p (V x) = V (sum p x)
 * A bias of the keys would change all scores of a query alike, and has no part in it.
 */
struct array *global_attention(struct tape *tape, struct array *x, struct array *q, struct array *key_weight,
	struct array *value_weight, struct array *value_bias, const struct window *window);

#endif
