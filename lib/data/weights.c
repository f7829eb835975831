#include "data/weights.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/tokenizer.h"
#include "data/weights_parts.h"
#include "stream/bytes.h"
#include "stream/util.h"

#define TILE 32 /* rows and columns transposed at a time: both sides stay in the first cache */

struct weight *weights_add(struct weights *weights)
{
	if (weights->count == weights->capacity) {
		weights->capacity = weights->capacity ? 2 * weights->capacity : 64;
		weights->list = xreallocarray(weights->list, (size_t)weights->capacity, sizeof *weights->list);
	}
	struct weight *weight = &weights->list[weights->count++];
	*weight = (struct weight){0};
	return weight;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct weight *)a)->name, ((const struct weight *)b)->name);
}

static const struct weight *find(const struct weights *weights, const char *name)
{
	struct weight wanted = {.name = (char *)(uintptr_t)name};
	return weights->count ? bsearch(&wanted, weights->list, (size_t)weights->count, sizeof wanted, by_name) : NULL;
}

/* For look-ups. */
static void sort_names(struct weights *weights)
{
	if (!weights->count)
		die("%s: there are no tensors in it", weights->path);
	qsort(weights->list, (size_t)weights->count, sizeof *weights->list, by_name);
	for (int64_t i = 1; i < weights->count; i++)
		if (!by_name(&weights->list[i - 1], &weights->list[i]))
			die("%s: %.80s: there are two tensors for this one", weights->list[i].path, weights->list[i].name);
}

struct weights *weights_open(const char *path)
{
	struct weights *weights = xcalloc(1, sizeof *weights);
	weights->path = path;
	const enum file_kind kind = file_kind(path);
	if (kind == FILE_MISSING)
		die_errno("%s", path);
	if (kind != FILE_FOLDER && gguf_is(path))
		weights_from_gguf(weights);
	else if (kind == FILE_FOLDER || safetensors_is(path))
		weights_from_folder(weights);
	else
		die("%s: neither a GGUF nor a safetensors file, nor a Hugging Face folder", path);
	sort_names(weights);
	return weights;
}

struct weights *weights_open_bare(const char *path)
{
	struct weights *weights = xcalloc(1, sizeof *weights);
	weights->path = path;
	if (file_kind(path) == FILE_MISSING)
		die_errno("%s", path);
	weights_from_file(weights);
	sort_names(weights);
	return weights;
}

void weights_close(struct weights *weights)
{
	for (int64_t i = 0; i < weights->count; i++)
		free(weights->list[i].name);
	for (int i = 0; i < weights->n_shards; i++) {
		safetensors_close(&weights->shards[i]);
		free(weights->shard_paths[i]);
	}
	for (int i = 0; i < weights->n_more; i++) {
		gguf_close(&weights->more[i]);
		free(weights->more_paths[i]);
	}
	free(weights->more);
	free(weights->more_paths);
	gguf_close(&weights->gguf);
	json_decref(weights->config);
	free(weights->list);
	free(weights->shards);
	free(weights->shard_paths);
	free(weights->folder);
	free(weights);
}

const json_t *weights_config(const struct weights *weights)
{
	return weights->config;
}

const char *weights_token_vectors(const struct weights *weights)
{
	char *name = weights->family->names ? family_name(weights->family, PART_TOKENS, 0) : NULL;
	char *full = name ? xasprintf("%s.weight", name) : NULL;
	const struct weight *weight = full ? find(weights, full) : NULL;
	free(name);
	free(full);
	return weight && weight->n_dims == 2 ? weight->name : NULL;
}

static struct tokenizer *folder_tokenizer(const char *folder)
{
	static const char *const files[] = {"tokenizer.json", "vocab.json", "encoder.json"};
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		char *file = xasprintf("%s/%s", folder, files[i]);
		bool exists = !access(file, F_OK);
		free(file);
		if (exists)
			return tokenizer_load(folder);
	}
	return NULL;
}

struct tokenizer *weights_tokenizer(const struct weights *weights)
{
	if (weights->folder)
		return folder_tokenizer(weights->folder);
	return gguf_find(&weights->gguf, "tokenizer.ggml.model") ? tokenizer_from_gguf(&weights->gguf) : NULL;
}

void weights_fingerprint(const struct weights *weights, char fingerprint[17])
{
	struct tokenizer *tokenizer = weights_tokenizer(weights);
	*fingerprint = '\0';
	if (tokenizer)
		fingerprint_text(tokenizer_fingerprint(tokenizer), fingerprint);
	tokenizer_free(tokenizer);
}

bool weights_shape(const struct weights *weights, const char *name, int *n_dims, int64_t shape[WEIGHTS_MAX_DIMS])
{
	const struct weight *weight = find(weights, name);
	if (!weight)
		return false;
	*n_dims = weight->n_dims;
	memcpy(shape, weight->shape, sizeof weight->shape);
	return true;
}

const float *weights_map(const struct weights *weights, const char *name)
{
	const struct weight *weight = find(weights, name);
	bool fits = weight && weight->storage == storage_of(STORED_F32) && !weight->outer && !weight->is_less_one;
	fits = fits && (uintptr_t)weight->data % _Alignof(float) == 0;
	return fits ? (const float *)(const void *)weight->data : NULL;
}

/* to (inner, outer, rest) is from (outer, inner, rest), turned. */
static void swap_axes(const float *from, int64_t outer, int64_t inner, int64_t rest, float *to)
{
#pragma omp parallel for schedule(static)
	for (int64_t column = 0; column < inner; column += TILE)
		for (int64_t row = 0; row < outer; row += TILE)
			for (int64_t j = column; j < inner && j < column + TILE; j++)
				for (int64_t i = row; i < outer && i < row + TILE; i++) {
					if (rest == 1) {
						to[j * outer + i] = from[i * inner + j];
						continue;
					}
					memcpy(to + (j * outer + i) * rest, from + (i * inner + j) * rest, (size_t)rest * sizeof *to);
				}
}

static const struct weight *scales_of(const struct weights *weights, const struct weight *weight)
{
	static const char *const endings[] = {"_scale_inv", "_scale"}; /* both are what numbers are multiplied with */
	const struct weight *scales = NULL;
	for (size_t i = 0; !scales && i < COUNT_OF(endings); i++) {
		char *name = xasprintf("%s%s", weight->name, endings[i]);
		scales = find(weights, name);
		free(name);
	}
	return scales;
}

static int64_t blocks_of(int64_t count, int64_t block)
{
	return count ? (count - 1) / block + 1 : 0;
}

/* One for the tensor, one for each row, or one for each block of rows and columns; none: numbers are as they are. */
static void apply_scales(const struct weights *weights, const struct weight *weight, float *to)
{
	const struct weight *scales = scales_of(weights, weight);
	if (!scales)
		return;
	int64_t rows = weight->n_dims ? weight->shape[0] : 1, columns = weight->n_dims > 1 ? weight->shape[1] : 1;
	int64_t down = scales->shape[0], across = scales->n_dims > 1 ? scales->shape[1] : 1;
	int64_t height = weights->block[0], width = weights->block[1];
	if (across == 1 && (down == 1 || down == rows)) {
		height = down == 1 ? rows : 1;
		width = columns;
	}
	if (scales->is_scaled || scales->n_dims > 2 || weight->n_dims > 2 || (weight->outer && down * across > 1) ||
		height < 1 || width < 1 || down != blocks_of(rows, height) || across != blocks_of(columns, width))
		die("%s: %.80s: scales that do not fit what they are of", scales->path, scales->name);
	float *factors = xreallocarray(NULL, (size_t)(down * across), sizeof *factors);
	weights_read(weights, scales->name, factors);
	for (int64_t i = 0; i < rows * columns; i++)
		to[i] *= factors[i / columns / height * across + i % columns / width];
	free(factors);
}

void weights_read(const struct weights *weights, const char *name, float *to)
{
	const struct weight *weight = find(weights, name);
	if (!weight)
		die("%s: there is no tensor %.80s", weights->path, name);
	if (!weight->storage)
		die("%s: %.80s: of type %s: %s can be read", weight->path, name, weight->type, storages_readable());
	int64_t count = (int64_t)weight->size / weight->storage->bytes * weight->storage->elements;
	float *as_stored = weight->outer ? xreallocarray(NULL, (size_t)count, sizeof *as_stored) : to;
	dequantise(weight->storage, weight->data, count, as_stored);
	if (weight->outer) {
		swap_axes(as_stored, weight->outer, weight->inner, count / weight->outer / weight->inner, to);
		free(as_stored);
	}
	for (int64_t i = 0; weight->is_less_one && i < count; i++)
		to[i] += 1;
	if (weight->is_scaled)
		apply_scales(weights, weight, to);
}
