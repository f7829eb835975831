/*
 * How a training of Recformer starts: anew, from a model of before, or from weights others have published.
 */
#ifndef RECPIPE_RECFORMER_START_H
#define RECPIPE_RECFORMER_START_H

#include "data/tokenizer.h"
#include "model/recformer.h"
#include "nn/train.h"

/* Names of sizes: "tiny", "small", "base" (the paper's), NULL. */
extern const char *const recformer_sizes[];
/* Puts the numbers of a size into a config, where they are not there yet. */
void recformer_size(json_t *config, int size);

/* What it starts from, where that is not the stream's model. */
struct recformer_from {
	int size;            /* of a new model, in recformer_sizes; -1: not given */
	const char *weights; /* a published model's folder */
	const char *words;   /* of a new model: an LLM's file or folder (recformer_words.h) */
	bool whiten;         /* the stream's model, for this catalog: recformer_whiten() */
};
extern const struct option recformer_from_options[];

/* What a start needs to know: config holds the options given; stolen. rng draws what is new. */
struct recformer_start {
	json_t *config;
	const struct tokenizer *tokenizer;
	struct rng *rng;
	const struct recformer_from *from;
	const struct model *model;     /* the stream's, or NULL */
	const struct catalog *catalog; /* with text; read where a new model's initialiser is "words", and from an encoder */
	int threads;
};
/*
 * From published weights, the stream's model, or, where `anew` allows it, from nothing. Parameters are the same but for
 * what the config's options change or leave out; dies where shapes would differ. Weights are a folder in Hugging Face's
 * layout: a Recformer's, or a Longformer's, which has no vectors of item positions and one of token types, which all of
 * ours start from; or any encoder of texts that recformer_encoder.h takes.
 */
struct model *recformer_started(const struct recformer_start *start, bool anew);
/*
 * For a training: a large table of words, of which a step reads few, gets gradients by rows (nn/params.h), unless
 * masked words are told by it. Before trainer_new().
 */
void recformer_by_rows(struct model *model);
/* In a phase before those that read the sentences (worker_touch()): the worker's share of their words. */
void recformer_touch(struct worker *worker, const struct sentences *sentences);

#endif
