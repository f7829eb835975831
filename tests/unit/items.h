/* Catalogs made of texts, for tests: tokenised as seq-tokenize does it. */
#ifndef RECPIPE_TEST_ITEMS_H
#define RECPIPE_TEST_ITEMS_H

#include <stdlib.h>
#include <string.h>

#include "data/item_tokens.h"
#include "stream/bytes.h"

static inline void encode_part(struct catalog *catalog, struct tokenize_worker *worker, struct buffer *ids,
	const char *text, int type, int attribute)
{
	tokenize(worker, text, strlen(text), -1, ids);
	int64_t n = (int64_t)(ids->size / sizeof(int32_t));
	catalog->token_type_ids = xreallocarray(catalog->token_type_ids, (size_t)n + 1, 1);
	catalog->attribute = xreallocarray(catalog->attribute, (size_t)n + 1, 1);
	for (; catalog->n_tokens < n; catalog->n_tokens++) {
		catalog->token_type_ids[catalog->n_tokens] = (uint8_t)type;
		catalog->attribute[catalog->n_tokens] = (uint8_t)attribute;
	}
}

/* Rows of `columns` texts, the first row of which has the names. */
static inline struct catalog make_catalog(const struct tokenizer *tokenizer, const struct strings *texts, int columns)
{
	char of_tokenizer[17];
	struct catalog catalog = {.group.complete = true, .n_items = texts->count / columns - 1};
	struct tokenize_worker *worker = tokenize_worker_new(tokenizer, (struct tokenize_options){.special_as_text = true});
	struct buffer ids = {0};
	json_t *names = json_array();
	for (int i = 0; i < columns; i++)
		json_array_append_new(names, json_string(strings_at(texts, i)));
	fingerprint_text(tokenizer_fingerprint(tokenizer), of_tokenizer);
	catalog.group.meta = json_pack("{s:s, s:o}", "tokenizer", of_tokenizer, "attributes", names);
	catalog.indptr = xcalloc((size_t)catalog.n_items + 1, sizeof *catalog.indptr);
	for (int64_t item = 0; item < catalog.n_items; item++) {
		for (int i = 0; i < columns; i++) {
			const char *text = strings_at(texts, (item + 1) * columns + i);
			if (!*text)
				continue;
			encode_part(&catalog, worker, &ids, strings_at(texts, i), 1, i);
			encode_part(&catalog, worker, &ids, text, 2, i);
		}
		catalog.indptr[item + 1] = catalog.n_tokens;
	}
	catalog.input_ids = (void *)ids.data;
	tokenize_worker_free(worker);
	return catalog;
}

static inline struct strings strings_of(const char *const *texts)
{
	struct strings strings = {0};
	for (; *texts; texts++)
		strings_add(&strings, *texts, strlen(*texts));
	return strings;
}

/* The tokenizers of the golden file: both kinds. */
static inline struct tokenizer *golden_tokenizer(const char *base)
{
	struct source *source = source_open("tests/golden/tokenizer.json.zst");
	struct buffer text = {0};
	size_t got;
	do {
		got = source_read(source, buffer_add(&text, 4096), 4096);
		text.size -= 4096 - got;
	} while (got);
	source_close(source);
	json_t *document = json_parse(text.data, text.size, "golden");
	struct tokenizer *tokenizer = tokenizer_from_json(json_object_get(json_object_get(document, "bases"), base), base);
	json_decref(document);
	buffer_free(&text);
	return tokenizer;
}

#endif
