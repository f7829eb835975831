/* safetensors: its header and every tensor it names. */
#include "data/safetensors.h"

static unsigned sum; /* what is read is used */

static void fuzz_one(const char *path, const uint8_t *data, size_t size)
{
	(void)path;
	struct safetensors safetensors;
	safetensors_parse(&safetensors, data, size, "input");
	for (int64_t i = 0; i < safetensors.n_tensors; i++) {
		const struct safetensor *tensor = &safetensors.tensors[i];
		size_t count = 1;
		for (int j = 0; j < SAFETENSORS_MAX_DIMS; j++)
			count *= (size_t)tensor->shape[j];
		if (!*tensor->dtype || tensor->size < count || (!count && tensor->size))
			__builtin_trap();
		for (size_t j = 0; j < tensor->size; j++)
			sum += tensor->data[j];
	}
	safetensors_close(&safetensors);
}

#include "fuzz.h"
