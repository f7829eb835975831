/*
 * Published encoders of texts: a transformer of data/family.h, then what sentence-transformers' folders say is done
 * with its states (Reimers & Gurevych 2019): pooling, dense layers, unit length. Encoders are what is meant, but a
 * language model that was made one by its training is read as well.
 */
#ifndef RECPIPE_TEXT_ENCODER_H
#define RECPIPE_TEXT_ENCODER_H

#include "data/item_tokens.h"
#include "nn/matrix.h"

struct text_encoder;
struct transformer;

/*
 * A sentence-transformers folder (modules.json, its modules Transformer, Pooling, Dense and Normalize); a Hugging Face
 * folder, or a GGUF file, whose states are pooled by their mean, or as the file says. It comes with its tokenizer. Dies
 * naming the file, and the module or tensor, where something is missing or not supported.
 */
struct text_encoder *text_encoder_open(const char *path);
void text_encoder_free(struct text_encoder *encoder);

const struct tokenizer *text_encoder_tokenizer(const struct text_encoder *encoder);
/* The most tokens of a text, with what the tokenizer puts around it. */
int64_t text_encoder_longest(const struct text_encoder *encoder);
int64_t text_encoder_width(const struct text_encoder *encoder);
/* What each text begins with, "": nothing. Borrowed. */
const char *text_encoder_prompt(const struct text_encoder *encoder);
/* As sentence-transformers calls it, "mean": for the history. */
const char *text_encoder_pooling(const struct text_encoder *encoder);

/* Its layers (transformer_parts.h), and whether there is anything behind the pooling but unit length. */
const struct transformer *text_encoder_transformer(const struct text_encoder *encoder);
bool text_encoder_has_dense(const struct text_encoder *encoder);

/* Products by its matrices go by them packed so, once and for all: floats that are packed are given back. */
void text_encoder_pack(struct text_encoder *encoder, enum packing packing);

/*
 * Vectors of texts, rows x width, of the encoder's own tokens; of a text without tokens zeros. In parallel over batches
 * of whole texts, packed without padding, the same bits for any number of threads.
 */
void text_encoder_vectors(const struct text_encoder *encoder, const struct item_tokens *tokens, float *vectors,
	int threads);

#endif
