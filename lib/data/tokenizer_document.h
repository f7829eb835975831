/*
 * Parts of a tokenizer.json, for what is no such file and becomes one. All values
 * are new; those given are stolen. `where` is named where text is not UTF-8.
 */
#ifndef RECPIPE_TOKENIZER_DOCUMENT_H
#define RECPIPE_TOKENIZER_DOCUMENT_H

#include "data/tokenizer.h"

json_t *document_added_token(const char *content, int64_t id, bool special, bool lstrip, const char *where);
json_t *document_byte_level(bool use_regex);
json_t *document_replace(const char *literal, const char *content);
/* A "Sequence" of steps under `key`, or the only one. */
json_t *document_sequence(const char *key, json_t *steps);
/* Special tokens around a text: ids, or -1 for none; null where both are none. */
json_t *document_around(int64_t first, const char *first_token, int64_t last, const char *last_token,
	const char *where);
/* RoBERTa's <s> and </s> around a text. */
json_t *document_roberta(int64_t cls, int64_t sep);
/* A BPE model without its vocabulary; unk NULL: unknown characters vanish. */
json_t *document_bpe(const char *unk, bool for_characters, bool ignore_merges, const char *where);

struct document {
	json_t *added, *normalizer, *pre_tokenizer, *post_processor, *decoder, *model; /* NULL: null */
};
/* The tokenizer of the document, which is freed. */
struct tokenizer *document_finish(struct document *document, const char *where);

#endif
