/*
 * The fused operations models are made of. Each is one function here, whose backward pass stands beside it (ops.c,
 * attention.c, recurrent.c, rope.c). n is tokens, d a width.
 */
#ifndef RECPIPE_OPS_H
#define RECPIPE_OPS_H

#include "nn/tape.h"

enum activation {
	ACT_NONE,
	ACT_RELU,
	ACT_GELU /* with erf */,
	ACT_GELU_NEW /* with tanh: GPT-2 */,
	N_ACTIVATIONS,
	ACT_SILU = N_ACTIVATIONS, /* of gates alone */
	ACT_SIGMOID               /* the same */
};
extern const char *const activation_names[]; /* "none", "relu", "gelu", "gelu_new", NULL */

/*
 * dropout(scale x table[id] + positions[position]): (n, d). positions and position may be NULL. Ids are checked by
 * the caller and borrowed until backward.
 */
struct array *embedding(struct tape *tape, struct array *table, const int32_t *id, int64_t n, float scale,
	struct array *positions, const int32_t *position, float dropout);

/* dropout(activation(x weight^T + bias)): (n, out). weight (out, in) as in PyTorch; bias may be NULL. */
struct array *linear(struct tape *tape, struct array *x, struct array *weight, struct array *bias,
	enum activation activation, float dropout);
/*
 * dropout(gelu(x) weight^T + bias), where nothing else reads x, which is no view: gelu(x) is computed again by the
 * backward pass, and not kept.
 */
struct array *linear_of_gelu(struct tape *tape, struct array *x, struct array *weight, struct array *bias,
	float dropout);

/*
 * sum = x + update; result = weight * normalised(sum) + bias, with the biased variance as in PyTorch. update NULL: the
 * norm of x alone. *sum (may be NULL) gets the array of the sum.
 */
struct array *residual_norm(struct tape *tape, struct array *x, struct array *update, struct array *weight,
	struct array *bias, float epsilon, struct array **sum);

/*
 * The same with result = weight * sum / root mean square of sum (Zhang & Sennrich 2019). With a weight for a head alone
 * it is done head by head, as many as lie side by side in x.
 */
struct array *residual_rms_norm(struct tape *tape, struct array *x, struct array *update, struct array *weight,
	float epsilon, struct array **sum);

/*
 * activation(gate) * up, element by element (Shazeer 2020): silu, sigmoid, gelu or gelu_new. Both (n, d), may be views.
 */
struct array *gated(struct tape *tape, struct array *gate, struct array *up, enum activation activation);

/*
 * Rotary positions (Su et al. 2021), from 0 in each sequence: pair m of a head is turned by position x frequency[m].
 * Pairs are columns (m, m + turned / 2) or (2m, 2m + 1).
 */
enum rope_pairing { ROPE_HALF, ROPE_INTERLEAVED };
struct rope {
	int64_t width; /* of a head */
	enum rope_pairing pairing;
	const float *frequency; /* turned / 2 */
	int64_t turned;         /* columns of a head, its first; 0: all of them */
	float scale;            /* they are multiplied with; 0: 1 */
};
/* Their cosines and sines, for all layers; lives as long as the tape's batch. Sequences as for attention. */
struct rope_angles;
const struct rope_angles *rope_angles(struct tape *tape, const struct rope *rope, const int64_t *indptr,
	int64_t sequences);
/* In place: x may be a view, of heads side by side, and no operation has read it before. */
void rotate(struct tape *tape, struct array *x, const struct rope_angles *angles);

/*
 * Multi-head attention of each sequence with itself. q (n, d), k and v (n, d / group), may be views; heads divides d,
 * and adjacent heads of q share one of k and v in groups. Sequence s is tokens [indptr[s] - indptr[0], indptr[s + 1] -
 * indptr[0]). Zeroed but for heads, a kind is the causal one.
 */
struct attention_kind {
	int heads;
	float scale;    /* of the scores; 0: 1 / sqrt(d / heads) */
	float softcap;  /* 0: none; else scores become softcap x tanh(score / softcap) (Gemma 2) */
	bool both_ways; /* a token sees those behind it, too */
	int64_t window; /* 0: all; else it sees so many, itself the last (and, both ways, the first) */
	float dropout;  /* of the probabilities */
	/*
	 * heads x (2 reach + 1): of each distance from a token, -reach
	 * first, what is added to the score; or NULL. No gradient.
	 */
	const float *distances;
	int64_t reach;
};
struct array *self_attention(struct tape *tape, struct array *q, struct array *k, struct array *v,
	const struct attention_kind *kind, const int64_t *indptr, int64_t sequences);

/*
 * A layer of gated recurrent units as PyTorch's (Cho et al. 2014, reset after the recurrent product), gates in the
 * order r, z, n: weight_ih (3h, in), weight_hh (3h, h), biases (3h) or NULL. The state starts at zero. (n, h).
 */
struct array *gru_layer(struct tape *tape, struct array *x, struct array *weight_ih, struct array *weight_hh,
	struct array *bias_ih, struct array *bias_hh, const int64_t *indptr, int64_t sequences);

#endif
