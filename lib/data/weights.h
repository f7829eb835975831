/*
 * The weights of a language model as others publish them: one view of GGUF files
 * and Hugging Face folders, under Hugging Face's names.
 *
 * Architectures: the LLaMA family (LLaMA 2 and 3, Mistral, SmolLM2, TinyLlama),
 * Qwen2 and GPT-2; from folders also Longformer, as Recformer's public code saves
 * it. Numbers: F32, F16, BF16, and of GGUF Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K,
 * Q5_K, Q6_K.
 *
 * Names: as in a checkpoint of the whole model ("model.layers.0.mlp.up_proj.weight",
 * "transformer.h.0.ln_1.bias"); files that lack the "model." or "transformer." in
 * front are read all the same.
 *
 * Shapes: outermost first. A linear layer's weight is (out, in), GPT-2's too: the
 * (in, out) of its Hugging Face checkpoints is transposed on reading.
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
void weights_close(struct weights *weights);

/*
 * config.json, or what GGUF's metadata say in its words; borrowed. What may be left out of a config.json is filled in,
 * so these are always there:
 *
 *   model_type       "llama" (Mistral too) or "qwen2": hidden_size, intermediate_size, num_hidden_layers,
 *                    num_attention_heads, num_key_value_heads, head_dim, vocab_size, max_position_embeddings,
 *                    rms_norm_eps, rope_theta, attention_bias (of the query, key and value projections), mlp_bias
 *   model_type       "gpt2": n_embd, n_layer, n_head, n_inner, n_positions, vocab_size, layer_norm_epsilon
 *   both             tie_word_embeddings: the output head is the token embedding, there is no lm_head.weight
 *   model_type       "longformer": as in the file
 *   rope_pairing     not of Hugging Face: "half" pairs dimension m of a head with m + head_dim / 2; "interleaved" pairs
 *                    2m with 2m + 1, for which GGUF's llama files have the rows of query and key permuted
 *
 * and rope_scaling only where positions are scaled: {"rope_type": "linear", "dynamic", "llama3", "yarn", ...} with that
 * type's keys, or, not of Hugging Face, {"rope_type": "factors", "factors": [...]}: head_dim / 2 numbers, by which the
 * frequencies are divided (LLaMA 3 in GGUF). Where attention slides, max_position_embeddings ends at the window, within
 * which there is no difference. Values of a config.json are not checked here.
 */
const json_t *weights_config(const struct weights *weights);

/* The file's or folder's tokenizer, to be freed by the caller; NULL where there is none. */
struct tokenizer *weights_tokenizer(const struct weights *weights);
/* Its fingerprint, "" where there is none: for tokenizer_require(). */
void weights_fingerprint(const struct weights *weights, char fingerprint[17]);

#define WEIGHTS_MAX_DIMS 4
/* False: no such tensor. Extents beyond n_dims are 1. */
bool weights_shape(const struct weights *weights, const char *name, int *n_dims, int64_t shape[WEIGHTS_MAX_DIMS]);

/* The tensor in the mapped file, where it lies there as aligned floats in this order; else NULL. Borrowed. */
const float *weights_map(const struct weights *weights, const char *name);

/* All numbers of the tensor as floats, in parallel. Dies where there is no such tensor, or it has no numbers. */
void weights_read(const struct weights *weights, const char *name, float *to);

#endif
