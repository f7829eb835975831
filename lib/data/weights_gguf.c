/* GGUF's metadata and tensor names in Hugging Face's words. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/weights_parts.h"
#include "stream/util.h"

#define MOST 0x7fffffff /* of any size a model has */

/* A name without ".weight" or ".bias"; of a block: without "blk.N." and what Hugging Face puts there. */
struct translation {
	const char *gguf, *hugging_face;
};

static const struct translation LLAMA_BLOCK[] = {{"attn_norm", "input_layernorm"}, {"attn_q", "self_attn.q_proj"},
	{"attn_k", "self_attn.k_proj"}, {"attn_v", "self_attn.v_proj"}, {"attn_output", "self_attn.o_proj"},
	{"ffn_norm", "post_attention_layernorm"}, {"ffn_gate", "mlp.gate_proj"}, {"ffn_up", "mlp.up_proj"},
	{"ffn_down", "mlp.down_proj"}, {NULL, NULL}};
static const struct translation LLAMA_WHOLE[] = {{"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"},
	{"output", "lm_head"}, {NULL, NULL}};
static const struct translation GPT2_BLOCK[] = {{"attn_norm", "ln_1"}, {"attn_qkv", "attn.c_attn"},
	{"attn_output", "attn.c_proj"}, {"ffn_norm", "ln_2"}, {"ffn_up", "mlp.c_fc"}, {"ffn_down", "mlp.c_proj"},
	{NULL, NULL}};
static const struct translation GPT2_WHOLE[] = {{"token_embd", "transformer.wte"}, {"position_embd", "transformer.wpe"},
	{"output_norm", "transformer.ln_f"}, {"output", "lm_head"}, {NULL, NULL}};

/* --- metadata --- */

/* Keys begin with the architecture's name. */
struct metadata {
	const struct gguf *gguf;
	const char *architecture;
};

struct key {
	char text[96];
};

static struct key key_of(const struct metadata *metadata, const char *rest)
{
	struct key key;
	snprintf(key.text, sizeof key.text, "%s.%s", metadata->architecture, rest);
	return key;
}

static int64_t int_of(const struct metadata *metadata, const char *rest, int64_t fallback)
{
	return gguf_get_int(metadata->gguf, key_of(metadata, rest).text, 1, MOST, fallback);
}

static int64_t required_int(const struct metadata *metadata, const char *rest)
{
	int64_t number = int_of(metadata, rest, 0);
	if (!number)
		die("%s: no %s, a whole number was expected", metadata->gguf->path, key_of(metadata, rest).text);
	return number;
}

/* Finite and positive. */
static double positive(const struct metadata *metadata, const char *rest, double fallback)
{
	struct key key = key_of(metadata, rest);
	double number = gguf_get_float(metadata->gguf, key.text, fallback);
	if (!(number > 0 && isfinite(number)))
		die("%s: %s: a number above 0 was expected", metadata->gguf->path, key.text);
	return number;
}

static bool has_tensor(const struct gguf *gguf, const char *name)
{
	return gguf_tensor(gguf, name) != NULL;
}

/* The number of tokens is the embedding's: what metadata and vocabulary say may lack its padding. */
static int64_t vocab_size(const struct gguf *gguf)
{
	const struct gguf_tensor *embedding = gguf_tensor(gguf, "token_embd.weight");
	if (!embedding)
		die("%s: no token_embd.weight", gguf->path);
	return embedding->shape[1];
}

/* LLaMA 3's scaling, worked out by whoever wrote the file: a divisor for each frequency. */
static json_t *rope_factors(const struct gguf *gguf, int64_t head_dim)
{
	const struct gguf_tensor *tensor = gguf_tensor(gguf, "rope_freqs.weight");
	if (!tensor)
		return NULL;
	if (tensor->type != STORED_F32 || tensor->n_dims != 1 || tensor->shape[0] != head_dim / 2)
		die("%s: rope_freqs.weight: %lld numbers of type F32 were expected", gguf->path, (long long)head_dim / 2);
	json_t *factors = json_array();
	for (int64_t i = 0; i < tensor->shape[0]; i++) {
		float factor;
		memcpy(&factor, tensor->data + (size_t)i * sizeof factor, sizeof factor);
		if (!(factor > 0 && isfinite(factor)))
			die("%s: rope_freqs.weight: number %lld is not above 0", gguf->path, (long long)i);
		json_append(factors, json_real((double)factor));
	}
	json_t *scaling = json_object();
	json_set(scaling, "rope_type", json_string("factors"));
	json_set(scaling, "factors", factors);
	return scaling;
}

static json_t *yarn(const struct metadata *metadata, double factor)
{
	json_t *scaling = json_object();
	double attention = positive(metadata, "rope.scaling.attn_factor", 1) * (.1 * log(factor) + 1);
	json_set(scaling, "rope_type", json_string("yarn"));
	json_set(scaling, "factor", json_real(factor));
	json_set(scaling, "attention_factor", json_real(attention));
	json_set(scaling, "beta_fast", json_real(positive(metadata, "rope.scaling.yarn_beta_fast", 32)));
	json_set(scaling, "beta_slow", json_real(positive(metadata, "rope.scaling.yarn_beta_slow", 1)));
	json_set(scaling, "original_max_position_embeddings",
		json_integer(required_int(metadata, "rope.scaling.original_context_length")));
	return scaling;
}

/* NULL: none. Files of before mid-2023 have only scale_linear. */
static json_t *rope_scaling(const struct metadata *metadata, int64_t head_dim)
{
	const struct gguf *gguf = metadata->gguf;
	double linear = positive(metadata, "rope.scale_linear", 1);
	struct key key = key_of(metadata, "rope.scaling.type");
	char *type = gguf_get_string(gguf, key.text, linear != 1 ? "linear" : "none");
	double factor = positive(metadata, "rope.scaling.factor", linear);
	json_t *scaling = rope_factors(gguf, head_dim);
	bool scales = strcmp(type, "none") && factor != 1;
	if (scaling && scales)
		die("%s: %s and rope_freqs.weight: one of them was expected", gguf->path, key.text);
	if (scales && !strcmp(type, "yarn")) {
		scaling = yarn(metadata, factor);
	} else if (scales && !strcmp(type, "linear")) {
		scaling = json_object();
		json_set(scaling, "rope_type", json_string("linear"));
		json_set(scaling, "factor", json_real(factor));
	} else if (scales) {
		die("%s: %s is \"%.40s\": none, linear or yarn was expected", gguf->path, key.text, type);
	}
	free(type);
	return scaling;
}

/* Attention as a LLaMA has it, whatever the heads; a mixture of experts is another architecture under the same name. */
static int64_t head_dim_of(const struct metadata *metadata, int64_t width, int64_t heads)
{
	const struct gguf *gguf = metadata->gguf;
	int64_t head_dim = int_of(metadata, "attention.key_length", width / heads);
	int64_t value_dim = int_of(metadata, "attention.value_length", head_dim);
	int64_t rotated = int_of(metadata, "rope.dimension_count", head_dim);
	if (value_dim != head_dim || rotated != head_dim)
		die("%s: heads of %lld, values of %lld, %lld of them rotated: the same number was expected", gguf->path,
			(long long)head_dim, (long long)value_dim, (long long)rotated);
	if (gguf_get_int(gguf, key_of(metadata, "expert_count").text, 0, MOST, 0))
		die("%s: a mixture of experts, which is not supported", gguf->path);
	return head_dim;
}

static json_t *llama_config(const struct metadata *metadata)
{
	const struct gguf *gguf = metadata->gguf;
	json_t *config = json_object();
	int64_t width = required_int(metadata, "embedding_length");
	int64_t heads = required_int(metadata, "attention.head_count");
	int64_t head_dim = head_dim_of(metadata, width, heads);
	int64_t kv_heads = int_of(metadata, "attention.head_count_kv", heads);
	json_set(config, "model_type", json_string(metadata->architecture));
	json_set(config, "hidden_size", json_integer(width));
	json_set(config, "intermediate_size", json_integer(required_int(metadata, "feed_forward_length")));
	json_set(config, "num_hidden_layers", json_integer(required_int(metadata, "block_count")));
	json_set(config, "num_attention_heads", json_integer(heads));
	json_set(config, "num_key_value_heads", json_integer(kv_heads));
	json_set(config, "head_dim", json_integer(head_dim));
	json_set(config, "vocab_size", json_integer(vocab_size(gguf)));
	json_set(config, "max_position_embeddings", json_integer(required_int(metadata, "context_length")));
	json_set(config, "rms_norm_eps", json_real(positive(metadata, "attention.layer_norm_rms_epsilon", 1e-5)));
	json_set(config, "rope_theta", json_real(positive(metadata, "rope.freq_base", 10000)));
	json_t *scaling = rope_scaling(metadata, head_dim);
	if (scaling)
		json_set(config, "rope_scaling", scaling);
	json_set(config, "rope_pairing", json_string(strcmp(metadata->architecture, "llama") ? "half" : "interleaved"));
	json_set(config, "attention_bias", json_boolean(has_tensor(gguf, "blk.0.attn_q.bias")));
	json_set(config, "mlp_bias", json_boolean(has_tensor(gguf, "blk.0.ffn_up.bias")));
	json_set(config, "tie_word_embeddings", json_boolean(!has_tensor(gguf, "output.weight")));
	return config;
}

static json_t *gpt2_config(const struct metadata *metadata)
{
	const struct gguf *gguf = metadata->gguf;
	json_t *config = json_object();
	json_set(config, "model_type", json_string(metadata->architecture));
	json_set(config, "n_embd", json_integer(required_int(metadata, "embedding_length")));
	json_set(config, "n_layer", json_integer(required_int(metadata, "block_count")));
	json_set(config, "n_head", json_integer(required_int(metadata, "attention.head_count")));
	json_set(config, "n_inner", json_integer(required_int(metadata, "feed_forward_length")));
	json_set(config, "n_positions", json_integer(required_int(metadata, "context_length")));
	json_set(config, "vocab_size", json_integer(vocab_size(gguf)));
	json_set(config, "layer_norm_epsilon", json_real(positive(metadata, "attention.layer_norm_epsilon", 1e-5)));
	json_set(config, "activation_function", json_string("gelu_new"));
	json_set(config, "tie_word_embeddings", json_boolean(!has_tensor(gguf, "output.weight")));
	return config;
}

/* --- names --- */

static const struct architecture {
	const char *name;
	const struct translation *whole, *block;
	const char *blocks; /* what Hugging Face puts before a block's number */
	json_t *(*config)(const struct metadata *);
} ARCHITECTURES[] = {
	{"llama", LLAMA_WHOLE, LLAMA_BLOCK, "model.layers", llama_config},
	{"qwen2", LLAMA_WHOLE, LLAMA_BLOCK, "model.layers", llama_config},
	{"gpt2", GPT2_WHOLE, GPT2_BLOCK, "transformer.h", gpt2_config},
};

/* Hugging Face's name; NULL: this architecture has no such tensor. */
static char *translate(const struct architecture *architecture, const char *name)
{
	const char *ending = strrchr(name, '.'), *stem = name;
	const struct translation *table = architecture->whole;
	unsigned block = 0;
	int length = 0;
	if (!ending || (strcmp(ending, ".weight") && strcmp(ending, ".bias")))
		return NULL;
	if (sscanf(name, "blk.%9u.%n", &block, &length) == 1 && length) {
		stem += length;
		table = architecture->block;
	}
	for (; table->gguf; table++) {
		size_t known = strlen(table->gguf);
		if (strncmp(stem, table->gguf, known) || stem + known != ending)
			continue;
		return length ? xasprintf("%s.%u.%s%s", architecture->blocks, block, table->hugging_face, ending) :
						xasprintf("%s%s", table->hugging_face, ending);
	}
	return NULL;
}

static void add_tensor(struct weights *weights, const struct architecture *architecture,
	const struct gguf_tensor *tensor)
{
	const char *path = weights->gguf.path;
	char *name = xstrndup(tensor->name.text, tensor->name.length);
	const struct storage *storage = storage_of(tensor->type);
	if (!strcmp(name, "rope_freqs.weight")) { /* is in the configuration */
		free(name);
		return;
	}
	if (!storage->decode)
		die("%s: %.80s: of type %s: " STORAGE_READABLE " can be read", path, name, storage->name);
	struct weight *weight = weights_add(weights);
	weight->name = translate(architecture, name);
	if (!weight->name)
		die("%s: %.80s: a tensor that architecture %s does not have", path, name, architecture->name);
	weight->path = path;
	weight->type = storage->name;
	weight->storage = storage;
	weight->n_dims = tensor->n_dims;
	for (int i = 0; i < WEIGHTS_MAX_DIMS; i++)
		weight->shape[i] = i < tensor->n_dims ? tensor->shape[tensor->n_dims - 1 - i] : 1;
	weight->data = tensor->data;
	weight->size = tensor->size;
	free(name);
}

void weights_from_gguf(struct weights *weights)
{
	struct gguf *gguf = &weights->gguf;
	gguf_open(gguf, weights->path);
	char *name = gguf_get_string(gguf, "general.architecture", "");
	const struct architecture *architecture = NULL;
	for (size_t i = 0; i < COUNT_OF(ARCHITECTURES); i++)
		if (!strcmp(name, ARCHITECTURES[i].name))
			architecture = &ARCHITECTURES[i];
	if (!architecture)
		die("%s: general.architecture is \"%.40s\": llama, qwen2 or gpt2 was expected", gguf->path, name);
	free(name);
	if (gguf_get_int(gguf, "split.count", 0, MOST, 1) > 1)
		die("%s: one part of a split model: they must be merged into one file first", gguf->path);
	weights->config = architecture->config(&(struct metadata){gguf, architecture->name});
	for (int64_t i = 0; i < gguf->n_tensors; i++)
		add_tensor(weights, architecture, &gguf->tensors[i]);
}
