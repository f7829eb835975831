/* What holds for every tokenizer and text. */
#ifndef RECPIPE_FUZZ_TOKENIZERS_H
#define RECPIPE_FUZZ_TOKENIZERS_H

#include <stdlib.h>
#include <string.h>

#include "data/tokenizer.h"

static void encode_all(const struct tokenizer *tokenizer, bool special_as_text, const char *text, size_t length,
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

static struct tokenizer *parse_tokenizer(const char *text, size_t size)
{
	json_t *document = json_parse(text, size, "input");
	struct tokenizer *tokenizer = tokenizer_from_json(document, "input");
	json_decref(document);
	return tokenizer;
}

/* Its ids have tokens, and what it writes is itself. Frees it. */
static void check_tokenizer(struct tokenizer *tokenizer, const char *text, size_t size)
{
	struct buffer ids = {0}, again = {0}, back = {0};
	encode_all(tokenizer, true, text, size, &ids);
	encode_all(tokenizer, false, text, size, &ids);
	tokenizer_decode(tokenizer, (int32_t *)(void *)ids.data, (int64_t)(ids.size / sizeof(int32_t)), &back);
	for (int i = 0; i < N_SPECIAL; i++)
		if (tokenizer_special(tokenizer, (enum special)i) >= tokenizer_vocab_size(tokenizer))
			__builtin_trap();
	size_t length;
	const char *written = tokenizer_json(tokenizer, &length);
	struct tokenizer *copy = parse_tokenizer(written, length);
	encode_all(copy, false, text, size, &again);
	if (tokenizer_fingerprint(copy) != tokenizer_fingerprint(tokenizer) || ids.size != again.size ||
		(ids.size && memcmp(ids.data, again.data, ids.size)))
		__builtin_trap();
	tokenizer_free(copy);
	tokenizer_free(tokenizer);
	buffer_free(&ids);
	buffer_free(&again);
	buffer_free(&back);
}

#endif
