/* tokenizer.json, up to a NUL byte; after it, text to encode. */
#include <stdlib.h>
#include <string.h>

#include "data/tokenizer.h"

static void encode(const struct tokenizer *tokenizer, bool special_as_text, const char *text, size_t length,
	struct buffer *ids)
{
	struct tokenize_options options = {.add_special = true, .special_as_text = special_as_text};
	struct tokenize_worker *worker = tokenize_worker_new(tokenizer, options);
	ids->size = 0;
	tokenize(worker, text, length, -1, ids);
	struct buffer cut = {0};
	if (tokenize(worker, text, length, 3, &cut) + (int64_t)(cut.size / sizeof(int32_t)) !=
		(int64_t)(ids->size / sizeof(int32_t)))
		__builtin_trap();
	buffer_free(&cut);
	tokenize_worker_free(worker);
	for (size_t i = 0; i < ids->size / sizeof(int32_t); i++)
		if (!tokenizer_token(tokenizer, ((int32_t *)(void *)ids->data)[i]))
			__builtin_trap();
}

static struct tokenizer *parse(const char *text, size_t size)
{
	json_t *document = json_parse(text, size, "input");
	struct tokenizer *tokenizer = tokenizer_from_json(document, "input");
	json_decref(document);
	return tokenizer;
}

static void fuzz_one(const char *path, const uint8_t *data, size_t size)
{
	(void)path;
	const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
	size_t document = end ? (size_t)(end - data) : size, rest = end ? size - document - 1 : 0;
	const char *text = end ? (const char *)end + 1 : "";
	struct tokenizer *tokenizer = parse((const char *)data, document);
	struct buffer ids = {0}, again = {0}, back = {0};
	encode(tokenizer, true, text, rest, &ids);
	encode(tokenizer, false, text, rest, &ids);
	tokenizer_decode(tokenizer, (int32_t *)(void *)ids.data, (int64_t)(ids.size / sizeof(int32_t)), &back);
	for (int i = 0; i < N_SPECIAL; i++)
		if (tokenizer_special(tokenizer, (enum special)i) >= tokenizer_vocab_size(tokenizer))
			__builtin_trap();

	/* what it writes is itself */
	size_t length;
	const char *written = tokenizer_json(tokenizer, &length);
	struct tokenizer *copy = parse(written, length);
	encode(copy, false, text, rest, &again);
	if (tokenizer_fingerprint(copy) != tokenizer_fingerprint(tokenizer) || ids.size != again.size ||
		(ids.size && memcmp(ids.data, again.data, ids.size)))
		__builtin_trap();
	tokenizer_free(copy);
	tokenizer_free(tokenizer);
	buffer_free(&ids);
	buffer_free(&again);
	buffer_free(&back);
}

#include "fuzz.h"
