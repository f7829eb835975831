/*
 * Models that recommend the next item: what seq-train trains and seq-rank
 * asks. An architecture is one file (sasrec.c, gru.c, popular.c, ...)
 * that fills one `struct architecture`; the list is in model.c.
 *
 * Two kinds of scores. Most models score by a dot product: a query vector for a
 * history, a vector for each item. Others, as `markov`, give whole rows of scores.
 */
#ifndef RECPIPE_MODEL_H
#define RECPIPE_MODEL_H

#include "data/histories.h"
#include "nn/params.h"
#include "nn/tape.h"
#include "stream/bag_out.h"
#include "stream/option.h"

struct model {
	const struct architecture *architecture;
	json_t *config; /* config.json: "architecture", sizes, variants; complete, defaults included */
	int64_t n_items;
	int64_t width; /* of query and item vectors; 0 for models that give whole rows of scores */
	/* fingerprint of its catalog, or of its tokenizer where the architecture reads tokens */
	char belongs_to[17];
	struct params params; /* named tensors */
	/* whose rows are the item vectors, for dot-product models; set by declare */
	const struct param *item_vectors;
	struct items *items;     /* how item vectors are derived from features; NULL: they are not (items.h) */
	struct content *content; /* what items are like besides events, added to the scores; NULL: nothing is (content.h) */
	/* text encoders and models with content: whose rows histories are made of, and whose items are ranked */
	const struct catalog *catalog;
	/* with `catalog`: which of the model's own items those of it are, or -1; NULL: row for row the same; borrowed */
	const int32_t *own_row;
	/* by own item: how many events of its training had it; NULL: it reads tokens, or is of an older version */
	int32_t *met;
	float *candidates; /* text encoders: unit vectors of that catalog's items */
	void *state;       /* the architecture's own */
};

struct architecture {
	const char *name, *summary;
	/* Its "items" are tokens: it belongs to a tokenizer, not to a catalog. */
	bool reads_tokens;
	/* It may know items by their texts or an embedding besides: its options include content_options. */
	bool reads_items;
	/*
	 * The rows of config.json, but for "architecture"; they fill
	 * the struct, of `size` bytes, that model->state points to.
	 */
	const struct option *options;
	size_t size;
	/* What rows cannot say alone: values that do not go together. Dies with `where`. May be NULL. */
	void (*check)(const void *state, const char *where);
	/* Declares the parameters, not their values, of a state that is filled and checked. Dies with `where`. */
	void (*declare)(struct model *model, const char *where);
	/* Initial parameter values; NULL for models that only count. */
	void (*initialise)(struct model *model, struct rng *rng);
	/* Trained by counting: the whole of the training; NULL for models trained by gradients, or not at all. */
	void (*count)(struct model *model, const struct histories *training);
	/*
	 * Trained by gradients: hidden states of every position of the histories, packed, (tokens, width). Position t has
	 * seen items up to t. `dropout` is on where the tape trains. Long histories are cut to the latest max_length by the
	 * caller. The histories live until the tape is begun anew.
	 */
	struct array *(*hidden)(struct tape *tape, const struct model *model, const struct histories *histories);
	/*
	 * Text encoders: vectors of histories of rows of model->catalog, rows
	 * x width; an empty one has a vector too. The tape is begun anew.
	 */
	void (*encode)(struct tape *tape, const struct model *model, const struct histories *histories, float *vectors);
	/*
	 * Text encoders: the vector of one history from those of its items, model->candidates; false where the model has
	 * it of the history's text. May be NULL.
	 */
	bool (*of_items)(const struct model *model, const struct histories *history, float *vector);
	/* How many tokens a worker best takes through hidden() at once: what fits the caches. */
	int64_t tokens_at_once;
	/* Models that give whole rows of scores, without content: rows x n_items, of the model's own. NULL otherwise. */
	void (*score)(const struct model *model, const struct histories *histories, float *scores);
	bool same_for_all; /* which do not depend on the history */
	/* Models whose state keeps one sparse matrix, of items by items, beside the parameters. NULL otherwise. */
	const struct sparse_members *matrix;
	/* Models that keep other tables of their own in `state`; each may be NULL. */
	void (*write)(struct bag_out *out, const struct model *model);  /* members after the parameters */
	bool (*take)(struct model *model, const struct member *member); /* whether the member was its own */
	bool (*is_complete)(const struct model *model);                 /* whether all of them came */
	void (*release)(struct model *model);                           /* frees state */
};
/* clang-format off */
/* All there are, a line each: "gru" is gru_architecture, in gru.c. */
#define ARCHITECTURES(EACH) \
	EACH(sasrec) \
	EACH(esasrec) \
	EACH(gru) \
	EACH(popular) \
	EACH(markov) \
	EACH(itemknn) \
	EACH(ease) \
	EACH(nearest) \
	EACH(recformer) \
	EACH(llama) \
	EACH(gpt2)
#define ONE_ARCHITECTURE(name) +1
#define N_ARCHITECTURES (0 ARCHITECTURES(ONE_ARCHITECTURE))
#define DECLARE_ARCHITECTURE(name) extern const struct architecture name##_architecture;
ARCHITECTURES(DECLARE_ARCHITECTURE)
/* clang-format on */
/* One of the list, or NULL. */
const struct architecture *architecture_named(const char *name);
/* Their names, in that order; ends with NULL. */
extern const char *const architecture_names[];

/* Dies with `where` unless these options, a part of config.json, could make a model of the architecture. */
void architecture_check(const struct architecture *architecture, const json_t *options, const char *where);
/* config: an object with at least "architecture"; stolen. Parameters are declared, not initialised. */
struct model *model_new(json_t *config, int64_t n_items, const char *belongs_to, const char *where);
/* The same without memory for the parameters: params_allocate() has not been called. */
struct model *model_declared(json_t *config, int64_t n_items, const char *belongs_to, const char *where);
/* Initial values, of the architecture and of the items' adaptor. */
void model_initialise(struct model *model, struct rng *rng);
/* Hidden states as they are scored with item vectors: see architecture.hidden. */
struct array *model_hidden(struct tape *tape, const struct model *model, const struct histories *histories);
/* The longest history the model looks at; 0: no limit. */
int64_t model_max_length(const struct model *model);
/*
 * Query vectors of whole histories (their latest max_length items), rows x width, without dropout. A history's vector
 * has the same bits whatever else is asked with it: each is computed alone, in parallel over histories. An empty
 * history gives a query of zeros. Those of text encoders are of unit length.
 */
void model_queries(const struct model *model, const struct histories *histories, float *queries);
/* Of as many items as model_ranked() says, x width; borrowed from the model. */
const float *model_item_vectors(const struct model *model);
/* How many items the model ranks. */
int64_t model_ranked(const struct model *model);
/*
 * Whole rows of scores, whatever the model: rows x model_ranked(), content and all. Items it knows nothing of have 0.
 */
void model_scores(const struct model *model, const struct histories *histories, float *scores);

/* Of a model whose architecture has one: borrowed; NULL otherwise. */
struct sparse *model_matrix(const struct model *model);

/* By item of a catalog of so many, where row says which own item it is, -1, or, NULL, the same; NULL: not known. */
int32_t *model_met(const struct model *model, const int32_t *row, int64_t n_items);

void model_free(struct model *model);

#endif
