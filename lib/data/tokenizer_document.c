#include "data/tokenizer_document.h"

/* Text that comes from a file is checked: jansson takes UTF-8 alone. */
static json_t *text(const char *content, const char *where)
{
	json_t *value = json_string(content);
	if (!value)
		die("%s: a token is not UTF-8", where);
	return value;
}

json_t *document_added_token(const char *content, int64_t id, bool special, bool lstrip, const char *where)
{
	return json_build("{s:I,s:o,s:b,s:b,s:b,s:b,s:b}", "id", (json_int_t)id, "content", text(content, where),
		"single_word", 0, "lstrip", lstrip, "rstrip", 0, "normalized", 0, "special", special);
}

json_t *document_byte_level(bool use_regex)
{
	return json_build("{s:s,s:b,s:b,s:b}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1, "use_regex",
		use_regex);
}

json_t *document_replace(const char *literal, const char *content)
{
	return json_build("{s:s,s:{s:s},s:s}", "type", "Replace", "pattern", "String", literal, "content", content);
}

json_t *document_sequence(const char *key, json_t *steps)
{
	if (json_array_size(steps) != 1)
		return json_build("{s:s,s:o}", "type", "Sequence", key, steps);
	json_t *only = json_incref(json_array_get(steps, 0));
	json_decref(steps);
	return only;
}

/* Adds a special token to a template's pieces and to the table of what it means. */
static void add_to_template(json_t *pieces, json_t *known, const char *token, int64_t id, const char *where)
{
	json_append(pieces, json_build("{s:{s:o,s:i}}", "SpecialToken", "id", text(token, where), "type_id", 0));
	json_set(known, token,
		json_build("{s:o,s:[I],s:[o]}", "id", text(token, where), "ids", (json_int_t)id, "tokens", text(token, where)));
}

json_t *document_around(int64_t first, const char *first_token, int64_t last, const char *last_token, const char *where)
{
	if (first < 0 && last < 0)
		return json_null();
	json_t *pieces = json_array(), *known = json_object();
	if (first >= 0)
		add_to_template(pieces, known, first_token, first, where);
	json_append(pieces, json_build("{s:{s:s,s:i}}", "Sequence", "id", "A", "type_id", 0));
	if (last >= 0)
		add_to_template(pieces, known, last_token, last, where);
	json_t *pair = json_deep_copy(pieces);
	json_append(pair, json_build("{s:{s:s,s:i}}", "Sequence", "id", "B", "type_id", 1));
	return json_build("{s:s,s:o,s:o,s:o}", "type", "TemplateProcessing", "single", pieces, "pair", pair,
		"special_tokens", known);
}

json_t *document_roberta(int64_t cls, int64_t sep)
{
	return json_build("{s:s,s:[s,I],s:[s,I],s:b,s:b}", "type", "RobertaProcessing", "sep", "</s>", (json_int_t)sep,
		"cls", "<s>", (json_int_t)cls, "trim_offsets", 1, "add_prefix_space", 0);
}

json_t *document_bpe(const char *unk, bool for_characters, bool ignore_merges, const char *where)
{
	return json_build("{s:s,s:n,s:o,s:n,s:n,s:b,s:b,s:b}", "type", "BPE", "dropout", "unk_token",
		unk ? text(unk, where) : json_null(), "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
		for_characters, "byte_fallback", for_characters, "ignore_merges", ignore_merges);
}

static json_t *or_null(json_t *value)
{
	return value ? value : json_null();
}

struct tokenizer *document_finish(struct document *document, const char *where)
{
	json_t *finished = json_build("{s:s,s:n,s:n,s:o,s:o,s:o,s:o,s:o,s:o}", "version", "1.0", "truncation", "padding",
		"added_tokens", or_null(document->added), "normalizer", or_null(document->normalizer), "pre_tokenizer",
		or_null(document->pre_tokenizer), "post_processor", or_null(document->post_processor), "decoder",
		or_null(document->decoder), "model", document->model);
	struct tokenizer *tokenizer = tokenizer_from_json(finished, where);
	json_decref(finished);
	return tokenizer;
}
