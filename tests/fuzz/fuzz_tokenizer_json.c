/* tokenizer.json, up to a NUL byte; after it, text to encode. */
#include "tokenizers.h"

static void fuzz_one(const char *path, const uint8_t *data, size_t size)
{
	(void)path;
	const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
	size_t document = end ? (size_t)(end - data) : size, rest = end ? size - document - 1 : 0;
	check_tokenizer(parse_tokenizer((const char *)data, document), end ? (const char *)end + 1 : "", rest);
}

#include "fuzz.h"
