/* Blocks of a stored type, ggml's number of which is the first byte: as many as there are, together and one by one. */
#include <stdlib.h>
#include <string.h>

#include "data/dequantise.h"
#include "stream/util.h"

static void fuzz_one(const char *path, const uint8_t *data, size_t size)
{
	(void)path;
	const struct storage *storage = size ? storage_of(data[0]) : NULL;
	if (!storage || !storage->decode)
		return;
	const size_t bytes = (size_t)storage->bytes, elements = (size_t)storage->elements, blocks = (size - 1) / bytes;
	/* of their exact size, so that a byte too many is seen */
	unsigned char *stored = xmalloc(blocks * bytes + !blocks);
	float *all = xmalloc(blocks * elements * sizeof *all + !blocks), *one = xmalloc(elements * sizeof *one);
	memcpy(stored, data + 1, blocks * bytes);
	dequantise(storage, stored, (int64_t)(blocks * elements), all);
	for (size_t i = 0; i < blocks; i++) {
		storage->decode(stored + i * bytes, 1, one);
		if (memcmp(one, all + i * elements, elements * sizeof *one) != 0)
			__builtin_trap();
	}
	free(stored);
	free(all);
	free(one);
}

#include "fuzz.h"
