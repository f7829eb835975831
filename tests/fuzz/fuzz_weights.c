/* Weights: a GGUF; or a folder: config.json up to a NUL byte, then model.safetensors. Every tensor is read. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/weights_parts.h"
#include "stream/descriptor.h"
#include "stream/util.h"

static char folder[] = "/dev/shm/fuzz_weights.XXXXXX";

static void remove_all(void)
{
	static const char *const names[] = {"config.json", "model.safetensors"};
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		char path[64];
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}

static void put(const char *name, const void *data, size_t size)
{
	char path[64];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0 || !descriptor_write(fd, data, size))
		abort();
	close(fd);
}

static const char *folder_from(const uint8_t *data, size_t size)
{
	static bool made;
	if (!made && (!mkdtemp(folder) || atexit(remove_all)))
		abort();
	made = true;
	const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
	size_t document = end ? (size_t)(end - data) : size;
	put("config.json", data, document);
	put("model.safetensors", data + document + (end != NULL), size - document - (end != NULL));
	return folder;
}

static void fuzz_one(const char *path, const uint8_t *data, size_t size)
{
	bool is_gguf = size >= 4 && !memcmp(data, "GGUF", 4);
	struct weights *weights = weights_open(is_gguf ? path : folder_from(data, size));
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
