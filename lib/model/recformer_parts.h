/* What recformer.c has in common with its options, which recformer_options.c has. */
#ifndef RECPIPE_RECFORMER_PARTS_H
#define RECPIPE_RECFORMER_PARTS_H

#include "model/recformer.h"

struct affine {
	struct param *weight, *bias;
};

struct layer {
	struct affine query, key, value; /* weights and biases each followed in memory by the next */
	struct affine query_global, key_global, value_global;
	struct affine output, output_norm, up, down, norm;
};

struct recformer {
	/* as its rows fill them */
	int64_t d, n_layers, inner, vocab, positions, item_positions, types, position_offset;
	int heads;
	int64_t window; /* tokens that a token sees, half to each side */
	float epsilon, dropout, hidden_dropout, attention_dropout;
	double temperature;
	int bos, pad;
	bool tied, frozen_words, has_words, has_pooler, names;
	enum { NORMAL, WORDS } initialiser; /* recformer_anew() starts a new model by it */
	enum { POOL_FIRST, POOL_MEAN } pooling;
	enum { COUNT_TEXT, COUNT_ITEM } counting; /* what positions are counted in */
	enum { SEE_WINDOW, SEE_ITEM } sight;
	double item_decay;
	struct sentence_limits limits;
	struct item_table own;
	/* made of these */
	struct param *words, *position, *type, *item;
	struct affine norm, pooler;
	struct affine head, head_norm, word_vectors; /* .weight is `words` where tied; NULL without the head */
	struct layer layers[64];
};

/* They fill a struct recformer. */
extern const struct option recformer_options[];
/* What rows by themselves cannot tell: whether values go together. Dies with `where`. */
void recformer_check(const void *state, const char *where);

#endif
