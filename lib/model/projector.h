/*
 * The projector of SAID (Hu et al., WWW 2024): from an item to one vector as
 * wide as a frozen LLM's token vectors, trained such that the LLM, given that
 * vector alone, says the item's text (task/align.h). The vectors are the items'
 * features for a sequence model.
 *
 *   table  a vector of its own for each item: every item is a problem of its own
 *   mlp    the mean of the text's token vectors + a network on the text's moments, shared by all items: what one
 *          teaches serves all, and a new item needs no training. Moment k of the token vectors x_0 .. x_(T-1) is
 *          1/T sum_t cos(pi k (t + 1/2) / T) x_t: 0 is the mean, the others know the order of words.
 *
 * It knows its items by their ids, so that those that join the catalog later can be told.
 */
#ifndef RECPIPE_PROJECTOR_H
#define RECPIPE_PROJECTOR_H

#include "data/item_tokens.h"
#include "nn/params.h"
#include "nn/tape.h"

enum projector_kind { PROJECTOR_TABLE, PROJECTOR_MLP };
extern const char *const projector_names[]; /* "table", "mlp", NULL */

struct projector {
	enum projector_kind kind;
	json_t *config;                  /* config.json: kind, sizes, and what it was trained with */
	char catalog[17], tokenizer[17]; /* fingerprints of what it belongs to */
	int64_t n_items, width;
	struct strings item_id;
	/* table */
	float *vectors; /* n_items x width */
	/* mlp */
	int64_t moments;
	float scale;          /* root mean square of token vectors: the unit of what the network reads */
	struct params params; /* the network */
	struct param *first, *first_bias, *second, *second_bias;
	struct item_tokens texts;   /* rows of token_vectors */
	const float *token_vectors; /* borrowed from the LLM, or own_vectors */
	float *own_vectors;
	int64_t n_tokens; /* rows */
};

/*
 * All items start at the mean of their token vectors. Texts are copied; token_vectors (n_tokens x width) are borrowed.
 */
struct projector *projector_table(const struct catalog *catalog, const char *tokenizer, const struct item_tokens *texts,
	const float *token_vectors, int64_t n_tokens, int64_t width);
/* moments >= 1; hidden: width of the network; the last layer starts at 0, so the vectors at the mean. */
struct projector *projector_mlp(const struct catalog *catalog, const char *tokenizer, const struct item_tokens *texts,
	const float *token_vectors, int64_t n_tokens, int64_t width, int64_t moments, int64_t hidden, struct rng *rng);
void projector_free(struct projector *projector);

/* Vectors of some items, (n, width); of a table they are a tape_input, whose gradient stays. */
struct array *projector_forward(struct tape *tape, const struct projector *projector, const int64_t item[], int64_t n);
/* Of all items, n_items x width, in parallel. */
void projector_vectors(const struct projector *projector, float *vectors);

/* --- for projector_group.c --- */

/* Without vectors, a network, texts and what it belongs to. */
struct projector *projector_new(enum projector_kind kind, int64_t n_items, int64_t width);
/* The parameters of an mlp, not their values. */
void projector_declare(struct projector *projector, int64_t moments, int64_t hidden);

#endif
