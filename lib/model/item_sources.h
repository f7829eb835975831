/*
 * What vectors of items can be made from: a projector that was trained for it, an encoder's or a language model's
 * states, or the words of the items' texts; or they are there already, in a model or a file. Each source owns its
 * options.
 */
#ifndef RECPIPE_ITEM_SOURCES_H
#define RECPIPE_ITEM_SOURCES_H

#include "data/catalog.h"
#include "data/embedding.h"
#include "data/tokenizer_group.h"
#include "model/model_group.h"
#include "model/projector_group.h"
#include "stream/option.h"

struct source_options {
	const char *llm, *encoder; /* paths; NULL: not given */
	const char *vectors, *ids; /* paths of a .npy and of the ids of its rows; NULL: not given */
	const char *template;      /* of an item's text; NULL: the source's own */
	int64_t max_tokens;        /* of an item's text; 0: as many as the source was made for */
	int64_t width;
	int64_t layer; /* whose states are meant; 0: the last one's */
	bool integers; /* matrices in integers */
	int precision; /* of products, in precision_names */
};

struct item_vectors_job {
	struct source_options options;
	uint64_t seed;
	int threads;
	/* what the stream has */
	struct catalog catalog;
	struct tokenizer_group tokenizer;
	struct model_group model; /* an encoder, or a language model */
	struct projector_group projector;
	struct embedding beside; /* to be joined with */
	/* what is made */
	int64_t width;
	float *vectors;   /* items x width */
	json_t *facts;    /* how the vectors were made, for meta.json and the history */
	json_t *measured; /* for the history alone */
};

struct item_source {
	const char *summary;
	const struct option *options;               /* fill struct source_options */
	bool takes_projector;                       /* the stream's */
	bool takes_model;                           /* the stream's, where no --llm is given */
	void (*make)(struct item_vectors_job *job); /* dies where the stream lacks what it needs */
};
enum {
	SOURCE_PROJECTOR,
	SOURCE_RECFORMER,
	SOURCE_MODEL,
	SOURCE_FILE,
	SOURCE_ENCODER,
	SOURCE_LLM,
	SOURCE_TOKENS,
	SOURCE_TFIDF,
	N_SOURCES
};
extern const struct item_source item_sources[N_SOURCES];
extern const char *const item_source_names[]; /* "projector", ..., NULL */

/* The source that a stream is for where none is named: its projector, or else its encoder. */
int item_source_of_stream(const struct item_vectors_job *job);
/* Makes the vectors, facts and figures, and dies where a vector is not finite. */
void item_vectors_make(struct item_vectors_job *job, int source);
/*
 * Then puts them behind those of the stream's embedding: of each of the two, all numbers together have a root mean
 * square of 1. Dies where there is none of this catalog.
 */
void item_vectors_join(struct item_vectors_job *job);
void item_vectors_free(struct item_vectors_job *job);

#endif
