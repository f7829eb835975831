/* Hugging Face folders: config.json, safetensors with or without an index. */
#include <stdlib.h>
#include <string.h>

#include "data/weights_parts.h"
#include "stream/bytes.h"
#include "stream/util.h"

#define MOST_SHARDS 4096

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

/* Of a model that sees as well, the part that reads text; config is stolen. */
static json_t *language_part(json_t *config)
{
	json_t *part = json_object_get(config, "text_config");
	if (!json_is_object(part) || !json_object_get(part, "model_type"))
		return config;
	json_incref(part);
	json_decref(config);
	return part;
}

/* Settles config.json, and finds out what family it is. */
static void read_config(struct weights *weights)
{
	char *path = xasprintf("%s/config.json", weights->folder);
	weights->config = language_part(read_document(path));
	const char *model_type = json_get_string(weights->config, "model_type", path);
	weights->family = family_of_type(model_type);
	if (!weights->family)
		die("%s: model_type is \"%.40s\", which is not supported; language models that are: %s; encoders: %s", path,
			model_type, family_list(false, false), family_list(false, true));
	const json_t *block = json_object_get(json_object_get(weights->config, "quantization_config"), "weight_block_size");
	for (size_t i = 0; i < COUNT_OF(weights->block); i++)
		weights->block[i] = json_integer_value(json_array_get(block, i));
	if (weights->family->names) {
		json_set(weights->config, "rope_pairing", json_string("half"));
		family_settle(weights->family, weights->config, path);
	}
	free(path);
}

/* --- tensors --- */

static bool begins(const char *name, const char *with)
{
	return with && !strncmp(name, with, strlen(with));
}

/* The name as in a checkpoint of the whole model. */
static char *whole_name(const struct family *family, const char *name)
{
	/* of a model that sees as well */
	if (begins(name, "model.language_model."))
		return xasprintf("model.%s", name + strlen("model.language_model."));
	if (begins(name, "language_model."))
		name += strlen("language_model.");
	if (begins(name, family->old_head))
		return xasprintf("lm_head.%s", name + strlen(family->old_head));
	bool is_whole = begins(name, family->prefix) || begins(name, "lm_head.");
	const char *ending = strrchr(name, '.');
	/* as BERT's first checkpoints have it */
	const char *newer = !ending   ? NULL :
		!strcmp(ending, ".gamma") ? ".weight" :
		!strcmp(ending, ".beta")  ? ".bias" :
									NULL;
	return xasprintf("%s%.*s%s", is_whole ? "" : family->prefix, newer ? (int)(ending - name) : (int)strlen(name), name,
		newer ? newer : "");
}

/* How this family's folders differ from what all others are like. */
static void adapt(const struct weights *weights, struct weight *weight)
{
	const struct family *family = weights->family;
	const char *ending = strrchr(weight->name, '.');
	char *stem = xstrndup(weight->name, ending ? (size_t)(ending - weight->name) : 0);
	enum family_part part = family_part(family, stem);
	free(stem);
	weight->is_less_one = family->norms_less_one && family_is_norm(part);
	if (family->conv1d && weight->n_dims == 2 && part >= PART_ATTENTION_NORM && part != N_PARTS && weight->shape[0] &&
		weight->shape[1]) {
		weight->outer = weight->shape[0];
		weight->inner = weight->shape[1];
		weight->shape[0] = weight->inner;
		weight->shape[1] = weight->outer;
	}
	int64_t heads = json_integer_value(json_object_get(weights->config, "num_attention_heads"));
	if (family->qkv_by_head && part == PART_QKV && heads > 0 && weight->shape[0] &&
		weight->shape[0] % (3 * heads) == 0) {
		weight->outer = heads;
		weight->inner = 3;
	}
}

static void add_shard(struct weights *weights, const struct safetensors *shard)
{
	for (int64_t i = 0; i < shard->n_tensors; i++) {
		const struct safetensor *tensor = &shard->tensors[i];
		struct weight *weight = weights_add(weights);
		weight->name = weights->family ? whole_name(weights->family, tensor->name) : xstrdup(tensor->name);
		weight->path = shard->path;
		weight->type = tensor->dtype;
		weight->storage = storage_named(tensor->dtype);
		weight->n_dims = tensor->n_dims;
		memcpy(weight->shape, tensor->shape, sizeof weight->shape);
		weight->data = tensor->data;
		weight->size = tensor->size;
		weight->is_scaled = !strncmp(tensor->dtype, "F8_E4", 5) || !strncmp(tensor->dtype, "F8_E5", 5);
		if (weights->family)
			adapt(weights, weight);
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
	read_config(weights);
	for (int i = 0; i < weights->n_shards; i++)
		add_shard(weights, &weights->shards[i]);
	free(single);
	free(index);
}

void weights_from_file(struct weights *weights)
{
	add_shard(weights, shard_of(weights, xstrdup(weights->path)));
}
