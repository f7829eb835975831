/*
 * How a training of Recformer starts: anew, from a model of before, or from weights others have published.
 */
#ifndef RECPIPE_RECFORMER_START_H
#define RECPIPE_RECFORMER_START_H

#include "data/tokenizer.h"
#include "model/recformer.h"

/* Names of sizes: "tiny", "small", "base" (the paper's), NULL. */
extern const char *const recformer_sizes[];
/* Puts the numbers of a size into a config, where they are not there yet. */
void recformer_size(json_t *config, int size);

/* What a start needs to know: config holds the options given; stolen. rng draws what is new. */
struct recformer_start {
	json_t *config;
	const struct tokenizer *tokenizer;
	struct rng *rng;
	const char *words;             /* of a new model: an LLM's file or folder (recformer_words.h), or NULL */
	const struct catalog *catalog; /* with text; read where a new model's initialiser is "words" */
};
struct model *recformer_anew(const struct recformer_start *start);
/* The same parameters, but for what the config's options change or leave out. Dies where shapes would differ. */
struct model *recformer_from_model(const struct recformer_start *start, const struct model *model);
/*
 * From a folder in Hugging Face's layout: a Recformer, or a Longformer, which has no vectors of item positions and one of
 * token types, which all of ours start from. Dies where another tensor is missing, or of another shape.
 */
struct model *recformer_from_weights(const struct recformer_start *start, const char *path);

#endif
