/* Arrays: the header's little language, sizes, and conversion to every type that tools ask for. */
#include "stream/npy.h"

static void fuzz_one(const char *path, const uint8_t *data, size_t size);
#include "fuzz.h"

static void fuzz_one(const char *path, const uint8_t *data, size_t size)
{
	(void)path;
	static const enum dtype wanted[] = {F4, I4, I8, U1};
	struct tensor tensor;
	char text[128];
	npy_parse((const char *)data, size, &tensor, "input");
	tensor_describe(&tensor, text);
	free(tensor_as(&tensor, wanted[size % COUNT_OF(wanted)], "input"));
}
