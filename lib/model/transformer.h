/*
 * Transformers of any family that differs from LLaMA (Touvron et al. 2023) by facts, which data/family.h has: those
 * that say one token after another, and encoders. llm.c and text_encoder.c are what others see of them.
 */
#ifndef RECPIPE_TRANSFORMER_H
#define RECPIPE_TRANSFORMER_H

#include "nn/params.h"
#include "nn/tape.h"
#include "stream/option.h"

struct transformer;
struct weights;

/*
 * The rows of its configuration, in the words of family_settle(); they fill a struct transformer (transformer_parts.h).
 */
extern const struct option transformer_options[];
/* What rows cannot say alone. Dies with `where`. */
void transformer_check(const void *transformer, const char *where);

/* Of a struct that is filled and checked: declares its parameters. Dies with `where`. */
void transformer_declare(struct transformer *t, struct params *params, int64_t vocabulary, const char *where);
/* Matrices at random, those that add to the residual stream the smaller the more there are, as GPT-2's; norms 1. */
void transformer_initialise(struct transformer *t, struct params *params, struct rng *rng);
/*
 * The parameters of published weights: takes the weights, and allocates. frozen: each is, and is mapped where the file
 * holds floats. Dies naming file and tensor where one is missing or of another shape.
 */
void transformer_load(struct transformer *t, struct params *params, struct weights *weights, bool frozen,
	const char *path);
/* Frees what belongs to it, not the struct. */
void transformer_release(struct transformer *t);

/* vocabulary x width; of the head the same, which may be the same one. NULL: an encoder has none. */
struct param *transformer_tokens(const struct transformer *t);
struct param *transformer_head(const struct transformer *t);
/* Tokens that it can take at once, and what its scores are capped by (0: they are not). */
int64_t transformer_longest(const struct transformer *t);
float transformer_softcap(const struct transformer *t);
/*
 * Products by its matrices, but for the head, go by them packed so. only_packed:
 * their floats are given back, and there is no way back to them.
 */
void transformer_pack(const struct transformer *t, enum packing packing, bool only_packed);

/* Layers of it, and from now on only the first `layers` are: states are what these leave, without the last norm. */
int transformer_layers(const struct transformer *t);
void transformer_cut(struct transformer *t, int layers);

/*
 * Hidden states, (n, width), of packed sequences of input vectors
 * (n, width), which are as token vectors lie in the table.
 */
struct array *transformer_states(struct tape *tape, const struct transformer *t, struct array *embeddings,
	const int64_t *indptr, int64_t sequences);

#endif
