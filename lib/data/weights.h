/*
 * The weights of a language model as others publish them: one view of GGUF files
 * and Hugging Face folders, under Hugging Face's names.
 *
 * Families: the rows of data/family.h; from folders also Longformer, as Recformer's public code saves
 * it. Numbers: F32, F16, BF16, and of GGUF those of data/dequantise.h.
 *
 * Names: as in a checkpoint of the whole model ("model.layers.0.mlp.up_proj.weight",
 * "transformer.h.0.ln_1.bias"); files that lack the "model." or "transformer." in
 * front are read all the same.
 *
 * Shapes: outermost first. What the files of a family differ in among themselves is as one on reading: a linear layer's
 * weight is (out, in), GPT-2's too, whose Hugging Face checkpoints have (in, out); GPT-NeoX's queries come first, then
 * its keys, then its values; Gemma's norms are what is multiplied with, which Hugging Face's have 1 less.
 *
 * All problems with files die() with file, tensor or key, and what was expected.
 */
#ifndef RECPIPE_WEIGHTS_H
#define RECPIPE_WEIGHTS_H

#include <stdbool.h>
#include <stdint.h>

#include "stream/json.h"

struct tokenizer;
struct weights;

/*
 * A .gguf file; a folder with config.json and model.safetensors, or model.safetensors.index.json and its shards; or one
 * .safetensors file with config.json beside it. Files stay mapped, and the path is borrowed, until weights_close().
 */
struct weights *weights_open(const char *path);
/* A .safetensors file alone, names as they are in it: there is no configuration, nor a tokenizer. */
struct weights *weights_open_bare(const char *path);
void weights_close(struct weights *weights);

/*
 * config.json, or what GGUF's metadata say, in the words of family_settle(), complete; borrowed. Longformer's: as in
 * the file. Values are not checked here.
 */
const json_t *weights_config(const struct weights *weights);

/* The file's or folder's tokenizer, to be freed by the caller; NULL where there is none. */
struct tokenizer *weights_tokenizer(const struct weights *weights);
/* Its fingerprint, "" where there is none: for tokenizer_require(). */
void weights_fingerprint(const struct weights *weights, char fingerprint[17]);

/* The name of the tensor of its token vectors, vocabulary x width; NULL: there is none. Borrowed. */
const char *weights_token_vectors(const struct weights *weights);

#define WEIGHTS_MAX_DIMS 4
/* False: no such tensor. Extents beyond n_dims are 1. */
bool weights_shape(const struct weights *weights, const char *name, int *n_dims, int64_t shape[WEIGHTS_MAX_DIMS]);

/* The tensor in the mapped file, where it lies there as aligned floats in this order; else NULL. Borrowed. */
const float *weights_map(const struct weights *weights, const char *name);

/* All numbers of the tensor as floats, in parallel. Dies where there is no such tensor, or it has no numbers. */
void weights_read(const struct weights *weights, const char *name, float *to);

#endif
