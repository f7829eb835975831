/*
 * Unigram: a byte of flags, then tokens up to an empty one, each behind a byte that is its score and ended by a NUL
 * byte; after them, text to encode. Whole tokenizer.json files are fuzz_tokenizer_json's.
 */
#include "tokenizers.h"

#include "stream/json.h"

enum { FALLBACK = 1, METASPACE = 2, FORMS = 4, SPACES = 8, SPECIAL = 16 };

static json_t *vocabulary(const uint8_t **data, size_t *size)
{
	json_t *tokens = json_array();
	while (*size > 1) {
		const uint8_t *end = memchr(*data + 1, '\0', *size - 1);
		const size_t length = end ? (size_t)(end - *data) - 1 : *size - 1;
		json_t *token = json_stringn((const char *)*data + 1, length);
		const double score = -(double)**data / 8;
		*data += length + 1 + (end != NULL);
		*size -= length + 1 + (end != NULL);
		if (!length)
			json_decref(token);
		if (!length)
			break;
		/* what is no UTF-8 is no JSON */
		if (token)
			json_append(tokens, json_build("[o, f]", token, score));
	}
	return tokens;
}

static json_t *document(unsigned flags, json_t *tokens)
{
	json_t *whole = json_build("{s:[], s:n, s:n, s:n, s:n}", "added_tokens", "normalizer", "pre_tokenizer",
		"post_processor", "decoder");
	json_set(whole, "model",
		json_build("{s:s, s:i, s:b, s:o}", "type", "Unigram", "unk_id", 0, "byte_fallback", (flags & FALLBACK) != 0,
			"vocab", tokens));
	if (flags & METASPACE)
		json_set(whole, "pre_tokenizer",
			json_build("{s:s, s:s, s:s}", "type", "Metaspace", "replacement", "\xe2\x96\x81", "prepend_scheme",
				"always"));
	else if (flags & SPACES)
		json_set(whole, "pre_tokenizer", json_build("{s:s}", "type", "WhitespaceSplit"));
	if (flags & FORMS)
		json_set(whole, "normalizer", json_build("{s:s}", "type", "NFKC"));
	const char *second = json_string_value(json_array_get(json_array_get(tokens, 1), 0));
	if ((flags & SPECIAL) && second)
		json_append(json_object_get(whole, "added_tokens"),
			json_build("{s:i, s:s, s:b}", "id", 1, "content", second, "special", 1));
	return whole;
}

static void fuzz_one(const char *path, const uint8_t *data, size_t size)
{
	(void)path;
	if (!size)
		return;
	const unsigned flags = *data++;
	size--;
	json_t *tokens = vocabulary(&data, &size), *whole = document(flags, tokens);
	struct tokenizer *tokenizer = tokenizer_from_json(whole, "input");
	json_decref(whole);
	check_tokenizer(tokenizer, (const char *)data, size);
}

#include "fuzz.h"
