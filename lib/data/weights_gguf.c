/* GGUF's metadata and tensor names in Hugging Face's words. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/weights_parts.h"
#include "stream/util.h"

#define MOST 0x7fffffff /* of any size a model has */

/* --- metadata --- */

/* Keys begin with the architecture's name. */
struct metadata {
	const struct weights *weights;
	const struct gguf *gguf; /* the first part */
	const struct family *family;
};

struct key {
	char text[96];
};

static struct key key_of(const struct metadata *metadata, const char *rest)
{
	struct key key;
	snprintf(key.text, sizeof key.text, "%s.%s", metadata->family->gguf, rest);
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

/* In any part; NULL: there is none. */
static const struct gguf_tensor *tensor_of(const struct metadata *metadata, const char *name)
{
	const struct gguf_tensor *tensor = gguf_tensor(metadata->gguf, name);
	for (int i = 0; !tensor && i < metadata->weights->n_more; i++)
		tensor = gguf_tensor(&metadata->weights->more[i], name);
	return tensor;
}

static bool has_tensor(const struct metadata *metadata, const char *name)
{
	return tensor_of(metadata, name) != NULL;
}

/* The number of tokens is the embedding's: what metadata and vocabulary say may lack its padding. */
static int64_t vocab_size(const struct metadata *metadata)
{
	const struct gguf_tensor *embedding = tensor_of(metadata, "token_embd.weight");
	if (!embedding)
		die("%s: no token_embd.weight, which every language model has; a vocabulary without its weights?",
			metadata->gguf->path);
	return embedding->shape[1];
}

/* A divisor for each frequency, worked out by whoever wrote the file. */
static json_t *factors_of(const struct metadata *metadata, const char *name, int64_t pairs)
{
	const struct gguf *gguf = metadata->gguf;
	const struct gguf_tensor *tensor = tensor_of(metadata, name);
	if (!tensor)
		return NULL;
	if (tensor->type != STORED_F32 || tensor->n_dims != 1 || tensor->shape[0] != pairs)
		die("%s: %s: %s of type F32 were expected", gguf->path, name, counted(pairs, "numbers"));
	json_t *factors = json_array();
	for (int64_t i = 0; i < tensor->shape[0]; i++) {
		float factor;
		memcpy(&factor, tensor->data + (size_t)i * sizeof factor, sizeof factor);
		if (!(factor > 0 && isfinite(factor)))
			die("%s: %s: number %lld is not above 0", gguf->path, name, (long long)i);
		json_append(factors, json_real((double)factor));
	}
	return factors;
}

/* LLaMA 3's scaling, or Phi 3's up to the length that it was trained with first. NULL: neither. */
static json_t *rope_factors(const struct metadata *metadata, int64_t pairs, json_t *config)
{
	json_t *one = factors_of(metadata, "rope_freqs.weight", pairs);
	json_t *factors = one ? one : factors_of(metadata, "rope_factors_short.weight", pairs);
	if (!factors)
		return NULL;
	json_t *scaling = json_object();
	json_set(scaling, "rope_type", json_string("factors"));
	json_set(scaling, "factors", factors);
	if (one)
		return scaling;
	json_set(scaling, "attention_factor", json_real(positive(metadata, "rope.scaling.attn_factor", 1)));
	int64_t first = int_of(metadata, "rope.scaling.original_context_length", MOST);
	if (first < json_integer_value(json_object_get(config, "max_position_embeddings")))
		json_set(config, "max_position_embeddings", json_integer(first));
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
static json_t *rope_scaling(const struct metadata *metadata, int64_t pairs, json_t *config)
{
	const struct gguf *gguf = metadata->gguf;
	double linear = positive(metadata, "rope.scale_linear", 1);
	struct key key = key_of(metadata, "rope.scaling.type");
	char *type = gguf_get_string(gguf, key.text, linear != 1 ? "linear" : "none");
	double factor = positive(metadata, "rope.scaling.factor", linear);
	json_t *scaling = rope_factors(metadata, pairs, config);
	bool scales = strcmp(type, "none") && strcmp(type, "longrope") && factor != 1;
	if (scaling && scales)
		die("%s: %s and a tensor of factors: one of them was expected", gguf->path, key.text);
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
	if (value_dim != head_dim)
		die("%s: heads of %lld, values of %lld: the same number was expected", gguf->path, (long long)head_dim,
			(long long)value_dim);
	if (gguf_get_int(gguf, key_of(metadata, "expert_count").text, 0, MOST, 0))
		die("%s: a mixture of experts, which is not supported", gguf->path);
	return head_dim;
}

static void set_rope(const struct metadata *metadata, json_t *config, int64_t head_dim)
{
	int64_t turned = int_of(metadata, "rope.dimension_count", head_dim);
	if (turned > head_dim || turned < 1)
		die("%s: heads of %lld, %lld of them rotated: at most the same number was expected", metadata->gguf->path,
			(long long)head_dim, (long long)turned);
	json_set(config, "rope_theta", json_real(positive(metadata, "rope.freq_base", 10000)));
	json_set(config, "rope_pairing", json_string(metadata->family->interleaved ? "interleaved" : "half"));
	json_set(config, "partial_rotary_factor", json_real((double)turned / (double)head_dim));
	json_t *scaling = rope_scaling(metadata, turned / 2, config);
	if (scaling)
		json_set(config, "rope_scaling", scaling);
}

/* Numbers that a file has under these names, and we under those. */
static const char *const numbers[][2] = {{"attention.layer_norm_rms_epsilon", "rms_norm_eps"},
	{"attention.layer_norm_epsilon", "layer_norm_eps"}, {"attention.scale", "attention_multiplier"},
	{"embedding_scale", "embedding_multiplier"}, {"residual_scale", "residual_multiplier"},
	{"logit_scale", "logits_scaling"}, {"attn_logit_softcapping", "attn_logit_softcapping"},
	{"final_logit_softcapping", "final_logit_softcapping"}, {"rope.freq_base_swa", "rope_local_base_freq"}};

static void set_numbers(const struct metadata *metadata, json_t *config)
{
	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		if (gguf_find(metadata->gguf, key_of(metadata, numbers[i][0]).text))
			json_set(config, numbers[i][1], json_real(positive(metadata, numbers[i][0], 1)));
}

/* llama.cpp's numbers of poolings; without one, or with none, states are the file's business and the mean is ours. */
static void set_encoder(const struct metadata *metadata, json_t *config)
{
	static const char *const poolings[] = {"mean", "mean", "cls", "lasttoken"};
	const struct gguf *gguf = metadata->gguf;
	struct key key = key_of(metadata, "pooling_type");
	int64_t pooling = gguf_get_int(gguf, key.text, 0, COUNT_OF(poolings) - 1, 1);
	json_set(config, "pooling", json_string(poolings[pooling]));
	const struct gguf_tensor *types = tensor_of(metadata, "token_types.weight");
	json_set(config, "type_vocab_size", json_integer(types ? types->shape[1] : 0));
}

static json_t *config_of(const struct metadata *metadata)
{
	const struct gguf *gguf = metadata->gguf;
	const struct family *family = metadata->family;
	json_t *config = json_object();
	int64_t width = required_int(metadata, "embedding_length"), layers = required_int(metadata, "block_count");
	int64_t heads = required_int(metadata, "attention.head_count");
	int64_t head_dim = head_dim_of(metadata, width, heads), window = int_of(metadata, "attention.sliding_window", 0);
	json_set(config, "model_type", json_string(family->model_type));
	json_set(config, "hidden_size", json_integer(width));
	json_set(config, "intermediate_size", json_integer(required_int(metadata, "feed_forward_length")));
	json_set(config, "num_hidden_layers", json_integer(layers));
	json_set(config, "num_attention_heads", json_integer(heads));
	json_set(config, "num_key_value_heads", json_integer(int_of(metadata, "attention.head_count_kv", heads)));
	json_set(config, "head_dim", json_integer(head_dim));
	json_set(config, "vocab_size", json_integer(vocab_size(metadata)));
	json_set(config, "max_position_embeddings", json_integer(required_int(metadata, "context_length")));
	json_set(config, "sliding_window", window ? json_integer(window) : json_null());
	json_set(config, "attention_bias",
		json_boolean(has_tensor(metadata, "blk.0.attn_q.bias") || has_tensor(metadata, "blk.0.attn_qkv.bias")));
	json_set(config, "mlp_bias", json_boolean(has_tensor(metadata, "blk.0.ffn_up.bias")));
	json_set(config, "tie_word_embeddings", json_boolean(!has_tensor(metadata, "output.weight")));
	if (gguf_find(gguf, key_of(metadata, "use_parallel_residual").text))
		json_set(config, "use_parallel_residual",
			json_boolean(gguf_get_bool(gguf, key_of(metadata, "use_parallel_residual").text, true)));
	if (family->layers_scaled_by_width)
		json_set(config, "attention_multiplier",
			json_real(1 / sqrt((double)(layers == family->layers_scaled_by_width ? width / heads : head_dim))));
	if (!family->learned_positions)
		set_rope(metadata, config, head_dim);
	if (family->both_ways)
		set_encoder(metadata, config);
	set_numbers(metadata, config);
	family_settle(family, config, gguf->path);
	return config;
}

/* --- names --- */

/* Hugging Face's name; NULL: this family has no such tensor. */
static char *translate(const struct family *family, const char *name)
{
	const char *ending = strrchr(name, '.'), *stem = name;
	unsigned block = 0;
	int length = 0;
	if (!ending || (strcmp(ending, ".weight") && strcmp(ending, ".bias")))
		return NULL;
	bool of_block = sscanf(name, "blk.%9u.%n", &block, &length) == 1 && length;
	if (of_block)
		stem += length;
	for (enum family_part part = of_block ? PART_ATTENTION_NORM : 0; part < (of_block ? N_PARTS : PART_ATTENTION_NORM);
		 part++) {
		const char *known = family_gguf_name(part);
		if (!family_has(family, part, (int)block) || strncmp(stem, known, strlen(known)) ||
			stem + strlen(known) != ending)
			continue;
		char *ours = family_name(family, part, (int)block), *full = xasprintf("%s%s", ours, ending);
		free(ours);
		return full;
	}
	return NULL;
}

static void add_tensor(struct weights *weights, const char *path, const struct gguf_tensor *tensor)
{
	char *name = xstrndup(tensor->name.text, tensor->name.length);
	const struct storage *storage = storage_of(tensor->type);
	if (!strncmp(name, "rope_f", 6)) { /* factors, which are in the configuration */
		free(name);
		return;
	}
	if (!storage->decode)
		die("%s: %.80s: of type %s: %s can be read", path, name, storage->name, storages_readable());
	struct weight *weight = weights_add(weights);
	weight->name = translate(weights->family, name);
	if (!weight->name)
		die("%s: %.80s: a tensor that architecture %s does not have", path, name, weights->family->gguf);
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

/* A split model: the first part is what was named, and the others lie beside it, NAME-00002-of-00003.gguf. */
static void open_parts(struct weights *weights)
{
	const struct gguf *gguf = &weights->gguf;
	int64_t count = gguf_get_int(gguf, "split.count", 0, 99999, 1), number = gguf_get_int(gguf, "split.no", 0, MOST, 0);
	if (count < 2)
		return;
	char *ending = xasprintf("-00001-of-%05lld.gguf", (long long)count);
	size_t length = strlen(gguf->path), tail = strlen(ending);
	if (number != 0 || length < tail || strcmp(gguf->path + length - tail, ending) != 0)
		die("%s: part %lld of a split model: the first, whose name ends in %s, was expected", gguf->path,
			(long long)number + 1, ending);
	weights->more = xcalloc((size_t)count, sizeof *weights->more);
	weights->more_paths = xcalloc((size_t)count, sizeof *weights->more_paths);
	for (int64_t part = 2; part <= count; part++) {
		char *path = xasprintf("%.*s-%05lld-of-%05lld.gguf", (int)(length - tail), gguf->path, (long long)part,
			(long long)count);
		weights->more_paths[weights->n_more] = path;
		struct gguf *more = &weights->more[weights->n_more++];
		gguf_open(more, path);
		if (gguf_get_int(more, "split.no", 0, MOST, 0) != part - 1 ||
			gguf_get_int(more, "split.count", 0, MOST, 0) != count)
			die("%s: it is not part %lld of %lld, as its name says", path, (long long)part, (long long)count);
	}
	free(ending);
}

void weights_from_gguf(struct weights *weights)
{
	struct gguf *gguf = &weights->gguf;
	gguf_open(gguf, weights->path);
	open_parts(weights);
	char *name = gguf_get_string(gguf, "general.architecture", "");
	weights->family = family_of_gguf(name);
	if (!weights->family)
		die("%s: general.architecture is \"%.40s\", which is not supported; language models that are: %s; encoders: %s",
			gguf->path, name, family_list(true, false), family_list(true, true));
	free(name);
	weights->config = config_of(&(struct metadata){weights, gguf, weights->family});
	for (int64_t i = 0; i < gguf->n_tensors; i++)
		add_tensor(weights, gguf->path, &gguf->tensors[i]);
	for (int part = 0; part < weights->n_more; part++)
		for (int64_t i = 0; i < weights->more[part].n_tensors; i++)
			add_tensor(weights, weights->more[part].path, &weights->more[part].tensors[i]);
}
