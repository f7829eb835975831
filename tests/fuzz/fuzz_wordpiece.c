/* BERT's files: vocab.txt up to a NUL byte, config.json up to the next; after it, text to encode. */
#include "folder.h"
#include "tokenizers.h"

static void fuzz_one(const char *path, const uint8_t *data, size_t size)
{
	(void)path;
	put_next("vocab.txt", &data, &size);
	put_next("config.json", &data, &size);
	check_tokenizer(tokenizer_load(folder()), (const char *)data, size);
}

#include "fuzz.h"
