/*
 * What transformer.c (what it is made of), transformer_pass.c (what it computes) and those that hold one share.
 */
#ifndef RECPIPE_TRANSFORMER_PARTS_H
#define RECPIPE_TRANSFORMER_PARTS_H

#include "data/family.h"
#include "model/transformer.h"
#include "nn/ops.h"

struct affine {
	struct param *weight, *bias; /* NULL: there is none */
};

/* Matrices of one x: one, or several that lie end to end in memory, unless they are mapped from a file. */
struct joined {
	struct param *weight[3], *bias[3];
	int count;
};

struct layer {
	struct affine attention_norm, query_norm, key_norm, post_attention_norm, attention_sum_norm;
	struct affine ffn_norm, post_ffn_norm, ffn_sum_norm;
	struct joined qkv, gate_up; /* of a plain FFN: up alone */
	struct affine out, down;
	int64_t window;          /* 0: all that it may see */
	const struct rope *rope; /* NULL: it does not turn */
};

struct transformer {
	/* as its rows fill them */
	const char *model_type;
	int64_t vocabulary, d, inner, head_width, longest, max_length, window, position_offset, types, buckets;
	int n_layers, heads, key_heads, act, pairing;
	float rms_epsilon, layer_epsilon, scale, softcap, last_softcap, embedding_factor, residual_factor, logit_divisor;
	double rope_base, local_rope_base, turned_share;
	bool attention_bias, ffn_bias, tied, parallel;
	const json_t *rope_scaling, *layer_types, *rope_layers;
	/* what follows from them */
	const struct family *family;
	enum activation activation;
	float epsilon;
	struct rope rope, local_rope;
	/* made of these */
	struct param *tokens, *positions, *token_types, *distances, *head;
	struct affine embedding_norm, last_norm;
	struct layer *layers;
	struct weights *weights; /* what parameters are mapped from; NULL: they are all its own */
	float *no_bias;          /* zeros: of a layer norm without one */
};

/* Several matrices of one x that lie end to end, biases too, are one. */
bool joined_is_one(const struct joined *joined);

#endif
