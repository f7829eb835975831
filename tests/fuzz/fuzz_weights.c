/*
 * Weights: a GGUF; an S, the length of a first part (u2) and a GGUF in two parts; or a folder: config.json up to a NUL
 * byte, then model.safetensors. Every tensor is read.
 */
#include "folder.h"

#include "data/weights_parts.h"

static const char *const parts[] = {"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"};

/* The path of what the input is. */
static const char *path_of(const char *path, const uint8_t *data, size_t size)
{
	static char first[64];
	if (size >= 4 && !memcmp(data, "GGUF", 4))
		return path;
	if (size < 3 || data[0] != 'S') {
		put_next("config.json", &data, &size);
		put("model.safetensors", data, size);
		return folder();
	}
	size_t length = data[1] | (size_t)data[2] << 8;
	length = length < size - 3 ? length : size - 3;
	put(parts[0], data + 3, length);
	put(parts[1], data + 3 + length, size - 3 - length);
	snprintf(first, sizeof first, "%s/%s", folder(), parts[0]);
	return first;
}

static void fuzz_one(const char *path, const uint8_t *data, size_t size)
{
	struct weights *weights = weights_open(path_of(path, data, size));
	if (!json_object_size(weights_config(weights)))
		__builtin_trap();
	for (int64_t i = 0; i < weights->count; i++) {
		int n_dims;
		int64_t shape[WEIGHTS_MAX_DIMS], count = 1;
		if (!weights_shape(weights, weights->list[i].name, &n_dims, shape))
			__builtin_trap();
		if (!weights->list[i].storage)
			continue;
		for (int j = 0; j < n_dims; j++)
			count *= shape[j];
		float *numbers = xmalloc((size_t)count * sizeof *numbers);
		weights_read(weights, weights->list[i].name, numbers);
		const float *mapped = weights_map(weights, weights->list[i].name);
		if (mapped && count && memcmp(mapped, numbers, (size_t)count * sizeof *numbers))
			__builtin_trap();
		free(numbers);
	}
	weights_close(weights);
}

#include "fuzz.h"
