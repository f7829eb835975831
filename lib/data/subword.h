/*
 * Models that turn a word into the ids of its parts: one kind for each "type" of
 * model in a tokenizer.json, each in a file of its own.
 */
#ifndef RECPIPE_SUBWORD_H
#define RECPIPE_SUBWORD_H

#include "data/strings.h"
#include "stream/json.h"

/* What a model is read from. */
struct subword_source {
	const json_t *model;
	struct strings *tokens; /* row = id, "" where an id has no token; may be taken over */
	const double *scores;   /* by id; NULL unless the vocabulary has them */
	bool byte_level;        /* words come as bytes, which the vocabulary spells as characters */
	const char *where;
};

struct subword_kind {
	const char *type;
	bool reads_bytes; /* understands byte_level */
	/* *unk: the id of unknown characters, or -1. Dies where the source is malformed. */
	void *(*read)(const struct subword_source *source, int32_t *unk);
	void (*free)(void *model);
	/* Scratch memory for one thread. forbidden: by id, tokens that no text becomes, or NULL; borrowed. */
	void *(*worker_new)(const void *model, const bool *forbidden);
	/* Appends the ids, as int32_t, of a word that is well-formed UTF-8 and not empty. */
	void (*encode)(void *worker, const char *word, size_t length, struct buffer *ids);
	void (*worker_free)(void *worker);
};

extern const struct subword_kind SUBWORD_BPE, SUBWORD_WORDPIECE, SUBWORD_UNIGRAM;

/* The kind of the document's "model"; dies on one that is not known. */
const struct subword_kind *subword_kind_of(const json_t *model, const char *where);

struct subword {
	const struct subword_kind *kind;
	void *model;
	int32_t unk; /* or -1 */
};
void subword_free(struct subword *subword);

/* A worker of any kind, with a cache of words. */
struct subword_worker;
struct subword_worker *subword_worker_new(const struct subword *subword, const bool *forbidden);
void subword_encode(struct subword_worker *worker, const char *word, size_t length, struct buffer *ids);
void subword_worker_free(struct subword_worker *worker);

#endif
