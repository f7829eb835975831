/* Hugging Face folders: config.json, safetensors with or without an index. */
#include <stdlib.h>
#include <string.h>

#include "data/weights_parts.h"
#include "stream/bytes.h"
#include "stream/util.h"

#define MOST_SHARDS 4096

static const struct family {
	const char *model_type;
	const char *prefix; /* of all names but the head's; left out where the model was saved without its head */
	enum { LLAMA, GPT2, LONGFORMER } kind;
} FAMILIES[] = {{"llama", "model.", LLAMA}, {"mistral", "model.", LLAMA}, {"qwen2", "model.", LLAMA},
	{"gpt2", "transformer.", GPT2}, {"longformer", "longformer.", LONGFORMER}};

static json_t *read_document(const char *path)
{
	size_t size;
	const void *text = file_map(path, &size);
	json_t *document = json_parse(text, size, path);
	if (!json_is_object(document))
		die("%s: a JSON object was expected", path);
	file_unmap(text, size);
	return document;
}

/* --- config.json --- */

/* Replaces what is not there, and null. */
static void set_default(json_t *config, const char *key, json_t *value)
{
	const json_t *present = json_object_get(config, key);
	if (present && !json_is_null(present))
		json_decref(value);
	else
		json_set(config, key, value);
}

/* The newer spelling of RoPE's settings, one object for all, and the older ones to: rope_theta, rope_scaling. */
static void settle_rope(json_t *config)
{
	json_t *together = json_object_get(config, "rope_parameters");
	json_t *scaling = json_deep_copy(json_is_object(together) ? together : json_object_get(config, "rope_scaling"));
	json_t *theta = json_object_get(scaling, "rope_theta"), *old_type = json_object_get(scaling, "type");
	json_object_del(config, "rope_parameters");
	json_object_del(config, "rope_scaling");
	if (theta)
		json_object_set(config, "rope_theta", theta);
	if (old_type)
		set_default(scaling, "rope_type", json_incref(old_type));
	json_object_del(scaling, "rope_theta");
	json_object_del(scaling, "type");
	const char *type = json_string_value(json_object_get(scaling, "rope_type"));
	if (json_is_object(scaling) && (!type || strcmp(type, "default")))
		json_set(config, "rope_scaling", scaling);
	else
		json_decref(scaling);
}

/* A window of attention: up to its length it makes no difference. */
static void settle_window(json_t *config)
{
	const json_t *window = json_object_get(config, "sliding_window");
	const json_t *used = json_object_get(config, "use_sliding_window");
	json_int_t positions = json_integer_value(json_object_get(config, "max_position_embeddings"));
	bool slides = json_is_integer(window) && (!used || json_is_true(used));
	if (slides && json_integer_value(window) < positions)
		json_object_set(config, "max_position_embeddings", (json_t *)(uintptr_t)window);
}

/* What the classes of Hugging Face's transformers assume where config.json is silent. */
static void settle_llama(json_t *config, const char *model_type, const char *where)
{
	bool is_qwen2 = !strcmp(model_type, "qwen2"), is_mistral = !strcmp(model_type, "mistral");
	json_int_t width = json_get_int(config, "hidden_size", 1, INT32_MAX, where);
	json_int_t heads = json_get_int(config, "num_attention_heads", 1, INT32_MAX, where);
	set_default(config, "num_key_value_heads", json_integer(is_mistral ? 8 : is_qwen2 ? 32 : heads));
	set_default(config, "head_dim", json_integer(width / heads));
	set_default(config, "max_position_embeddings", json_integer(is_mistral ? 131072 : is_qwen2 ? 32768 : 2048));
	set_default(config, "rms_norm_eps", json_real(1e-6));
	settle_rope(config);
	set_default(config, "rope_theta", json_real(10000));
	set_default(config, "attention_bias", json_boolean(is_qwen2));
	set_default(config, "mlp_bias", json_false());
	set_default(config, "tie_word_embeddings", json_false());
	if (is_mistral && !json_object_get(config, "sliding_window"))
		json_set(config, "sliding_window", json_integer(4096));
	if (is_qwen2)
		set_default(config, "use_sliding_window", json_false());
	settle_window(config);
	json_set(config, "model_type", json_string(is_qwen2 ? "qwen2" : "llama"));
	json_set(config, "rope_pairing", json_string("half"));
}

static void settle_gpt2(json_t *config, const char *where)
{
	json_int_t width = json_get_int(config, "n_embd", 1, INT32_MAX / 4, where);
	set_default(config, "n_inner", json_integer(4 * width));
	set_default(config, "n_positions", json_integer(1024));
	set_default(config, "layer_norm_epsilon", json_real(1e-5));
	set_default(config, "activation_function", json_string("gelu_new"));
	set_default(config, "tie_word_embeddings", json_true());
}

static const struct family *read_config(struct weights *weights)
{
	char *path = xasprintf("%s/config.json", weights->folder);
	json_t *config = weights->config = read_document(path);
	char *model_type = xstrdup(json_get_string(config, "model_type", path));
	const struct family *family = NULL;
	for (size_t i = 0; i < COUNT_OF(FAMILIES); i++)
		if (!strcmp(model_type, FAMILIES[i].model_type))
			family = &FAMILIES[i];
	if (!family)
		die("%s: model_type is \"%.40s\": llama, mistral, qwen2, gpt2 or longformer was expected", path, model_type);
	if (family->kind == GPT2)
		settle_gpt2(config, path);
	else if (family->kind == LLAMA)
		settle_llama(config, model_type, path);
	free(model_type);
	free(path);
	return family;
}

/* --- tensors --- */

static const struct storage *storage_of_dtype(const char *dtype)
{
	static const uint32_t numbers[] = {STORED_F32, STORED_F16, STORED_BF16};
	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		if (!strcmp(dtype, storage_of(numbers[i])->name))
			return storage_of(numbers[i]);
	return NULL;
}

static bool ends_with(const char *text, const char *ending)
{
	size_t length = strlen(text), tail = strlen(ending);
	return length >= tail && !strcmp(text + length - tail, ending);
}

/* GPT-2's "Conv1D" stores its weight as (in, out). */
static bool is_conv1d(const struct safetensor *tensor)
{
	static const char *const endings[] = {".c_attn.weight", ".c_proj.weight", ".c_fc.weight"};
	for (size_t i = 0; i < COUNT_OF(endings); i++)
		if (tensor->n_dims == 2 && ends_with(tensor->name, endings[i]))
			return true;
	return false;
}

static void add_shard(struct weights *weights, const struct family *family, const struct safetensors *shard)
{
	size_t length = strlen(family->prefix);
	for (int64_t i = 0; i < shard->n_tensors; i++) {
		const struct safetensor *tensor = &shard->tensors[i];
		bool is_whole = !strncmp(tensor->name, family->prefix, length) || !strncmp(tensor->name, "lm_head.", 8);
		struct weight *weight = weights_add(weights);
		weight->name = xasprintf("%s%s", is_whole ? "" : family->prefix, tensor->name);
		weight->path = shard->path;
		weight->type = tensor->dtype;
		weight->storage = storage_of_dtype(tensor->dtype);
		weight->n_dims = tensor->n_dims;
		memcpy(weight->shape, tensor->shape, sizeof weight->shape);
		weight->is_transposed = family->kind == GPT2 && is_conv1d(tensor);
		if (weight->is_transposed) {
			weight->shape[0] = tensor->shape[1];
			weight->shape[1] = tensor->shape[0];
		}
		weight->data = tensor->data;
		weight->size = tensor->size;
	}
}

/* The shard of that path, opened the first time it is asked for. The path is stolen. */
static const struct safetensors *shard_of(struct weights *weights, char *path)
{
	for (int i = 0; i < weights->n_shards; i++)
		if (!strcmp(weights->shard_paths[i], path)) {
			free(path);
			return &weights->shards[i];
		}
	if (weights->n_shards == MOST_SHARDS)
		die("%s: more than %d shards", path, MOST_SHARDS);
	size_t n = (size_t)++weights->n_shards;
	weights->shards = xreallocarray(weights->shards, n, sizeof *weights->shards);
	weights->shard_paths = xreallocarray(weights->shard_paths, n, sizeof *weights->shard_paths);
	weights->shard_paths[n - 1] = path;
	safetensors_open(&weights->shards[n - 1], path);
	return &weights->shards[n - 1];
}

static bool has(const struct safetensors *shard, const char *name)
{
	return json_object_get(shard->header, name) && strcmp(name, "__metadata__");
}

static void open_indexed(struct weights *weights, const char *index)
{
	json_t *document = read_document(index);
	const char *name;
	json_t *value;
	json_object_foreach (json_get_object(document, "weight_map", index), name, value) {
		const char *file = json_string_value(value);
		if (!file || !*file || strchr(file, '/'))
			die("%s: %.80s: the name of a file in this folder was expected", index, name);
		const struct safetensors *shard = shard_of(weights, xasprintf("%s/%s", weights->folder, file));
		if (!has(shard, name))
			die("%s: no tensor %.80s, which the index says is here", shard->path, name);
	}
	json_decref(document);
}

static char *folder_of(const char *file)
{
	const char *slash = strrchr(file, '/');
	return slash ? xstrndup(file, (size_t)(slash - file)) : xstrdup(".");
}

void weights_from_folder(struct weights *weights)
{
	bool is_folder = file_kind(weights->path) == FILE_FOLDER;
	weights->folder = is_folder ? xstrdup(weights->path) : folder_of(weights->path);
	char *single = is_folder ? xasprintf("%s/model.safetensors", weights->folder) : xstrdup(weights->path);
	char *index = xasprintf("%s/model.safetensors.index.json", weights->folder);
	if (file_kind(single) != FILE_MISSING)
		shard_of(weights, xstrdup(single));
	else if (file_kind(index) != FILE_MISSING)
		open_indexed(weights, index);
	else
		die("%s: neither model.safetensors nor model.safetensors.index.json there", weights->path);
	const struct family *family = read_config(weights);
	for (int i = 0; i < weights->n_shards; i++)
		add_shard(weights, family, &weights->shards[i]);
	free(single);
	free(index);
}
