/* Builds a tokenizer from its document, tokenizer.json. */
#include "data/tokenizer_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/tokenizer.h"
#include "data/tokenizer_parts.h"

#define MAX_ID (1 << 24)
#define MAX_HOLES (1 << 16) /* ids without a token, in all */
#define MAX_DEPTH 16        /* of sequences within sequences */

/* --- what the readers share --- */

const char *part_type(const json_t *object, const char *where)
{
	if (!json_is_object(object))
		die("%s: an object with a \"type\" was expected", where);
	return json_get_string(object, "type", where);
}

bool part_flag(const json_t *object, const char *key, bool fallback, const char *where)
{
	const json_t *value = json_object_get(object, key);
	return value && !json_is_null(value) ? json_get_bool(object, key, where) : fallback;
}

const json_t *part_array(const json_t *object, const char *key, const char *where)
{
	const json_t *array = json_object_get(object, key);
	if (!json_is_array(array))
		die("%s: \"%s\" is not an array", where, key);
	return array;
}

struct pattern *part_pattern(const json_t *object, const char *where)
{
	const json_t *pattern = json_object_get(object, "pattern");
	const char *regex = json_string_value(json_object_get(pattern, "Regex"));
	const char *literal = json_string_value(json_object_get(pattern, "String"));
	if (!regex == !literal)
		die("%s: \"pattern\" is neither {\"Regex\": ...} nor {\"String\": ...}", where);
	if (literal && !*literal)
		die("%s: \"pattern\" is an empty string", where);
	return pattern_new(regex ? regex : literal, !regex, where);
}

static void read_parts(const json_t *object, const char *key, part_reader *read, void *into, int depth,
	const char *where)
{
	const char *type = part_type(object, where);
	if (strcmp(type, "Sequence")) {
		read(into, object, type, where);
		return;
	}
	if (depth == MAX_DEPTH)
		die("%s: \"%s\": sequences within sequences, more than %d deep", where, key, MAX_DEPTH);
	size_t i;
	json_t *part;
	json_array_foreach (part_array(object, key, where), i, part)
		read_parts(part, key, read, into, depth + 1, where);
}

void parts_read(const json_t *object, const char *key, part_reader *read, void *into, const char *where)
{
	if (object && !json_is_null(object))
		read_parts(object, key, read, into, 0, where);
}

_Noreturn void part_unknown(const char *what, const char *type, const char *(*name)(size_t), size_t n,
	const char *where)
{
	struct buffer list = {0};
	for (size_t i = 0; i < n; i++) {
		buffer_append(&list, name(i), strlen(name(i)));
		buffer_append(&list, ", ", 2);
	}
	buffer_append(&list, "", 1);
	die("%s: %s \"%.80s\" is not supported: %sSequence are", where, what, type, list.data);
}

/* --- vocabulary --- */

/* Tokens by id while they are collected. */
struct token_list {
	const char **tokens;
	int64_t size, count;
};

static void list_to_strings(const struct token_list *list, struct strings *tokens)
{
	for (int64_t id = 0; id < list->size; id++) {
		const char *token = list->tokens[id] ? list->tokens[id] : "";
		strings_add(tokens, token, strlen(token));
	}
}

static void put_token(struct token_list *list, const char *token, int64_t id, const char *where)
{
	if (id < 0 || id >= MAX_ID)
		die("%s: token \"%.80s\" has id %lld: ids are from 0 to %d", where, token, (long long)id, MAX_ID - 1);
	if (id >= list->size) {
		int64_t size = id + 1 > list->size * 2 ? id + 1 : list->size * 2;
		list->tokens = xreallocarray(list->tokens, (size_t)size, sizeof *list->tokens);
		memset(list->tokens + list->size, 0, (size_t)(size - list->size) * sizeof *list->tokens);
		list->size = size;
	}
	if (!*token)
		die("%s: the token of id %lld is empty", where, (long long)id);
	if (list->tokens[id])
		die("%s: id %lld belongs to both \"%.80s\" and \"%.80s\"", where, (long long)id, list->tokens[id], token);
	list->tokens[id] = token;
	list->count++;
}

static void check_holes(struct token_list *list, const char *where)
{
	while (list->size && !list->tokens[list->size - 1])
		list->size--;
	if (!list->count)
		die("%s: the vocabulary is empty", where);
	if (list->size - list->count > MAX_HOLES)
		die("%s: %s up to %lld without a token: at most %d were expected", where,
			counted(list->size - list->count, "ids"), (long long)list->size - 1, MAX_HOLES);
}

static void collect_vocab_object(struct token_list *list, const json_t *vocab, const char *where)
{
	const char *token;
	json_t *value;
	json_object_foreach ((json_t *)vocab, token, value) {
		if (!json_is_integer(value))
			die("%s: model.vocab: the id of \"%.80s\" is not a whole number", where, token);
		put_token(list, token, json_integer_value(value), where);
	}
}

/*
 * The reference takes a number's digits as a whole number and divides it by a power of ten, which can be off by the
 * last bit; of two ways to cut "eeee" that score the same the one is taken that this makes the better. So the digits
 * are found again that the document has, the fewest that tell the number from others, and are read as there.
 */
static double as_reference_reads(double score)
{
	char text[32] = "";
	double size = fabs(score);
	for (int digits = 15; digits <= 17 && (!*text || strtod(text, NULL) != size); digits++)
		snprintf(text, sizeof text, "%.*e", digits - 1, size);
	size_t length = strcspn(text, "e");
	int exponent = atoi(text + length + 1) + 1;
	uint64_t number = 0;
	while (length > 2 && text[length - 1] == '0')
		length--;
	for (size_t i = 0; i < length; i++)
		if (text[i] != '.') {
			number = number * 10 + (uint64_t)(text[i] - '0');
			exponent--;
		}
	double read = exponent < 0 ? (double)number / pow(10, -exponent) : (double)number * pow(10, exponent);
	return score < 0 ? -read : read;
}

/* [token, score] by id; returns the scores, to be freed. */
static double *collect_vocab_array(struct token_list *list, const json_t *vocab, const char *where)
{
	double *scores = xcalloc(json_array_size(vocab), sizeof *scores);
	size_t id;
	json_t *pair;
	json_array_foreach ((json_t *)vocab, id, pair) {
		const char *token = json_string_value(json_array_get(pair, 0));
		const json_t *score = json_array_get(pair, 1);
		if (!token || !json_is_number(score) || !isfinite(json_number_value(score)))
			die("%s: model.vocab: token %zu is not a pair of text and score", where, id);
		scores[id] = json_is_real(score) ? as_reference_reads(json_real_value(score)) : json_number_value(score);
		put_token(list, token, (int64_t)id, where);
	}
	return scores;
}

static void collect_added(struct token_list *list, struct strings *of_model, const json_t *added, const char *where)
{
	size_t i;
	json_t *value;
	json_array_foreach ((json_t *)added, i, value) {
		const char *content = json_get_string(value, "content", where);
		int64_t id = json_get_int(value, "id", 0, MAX_ID - 1, where);
		int64_t known = *content ? strings_find(of_model, content, strlen(content)) : -1;
		if (known < 0)
			put_token(list, content, id, where);
		else if (known != id)
			die("%s: added token \"%.80s\" has id %lld, but the vocabulary says %lld", where, content, (long long)id,
				(long long)known);
	}
}

static void refuse_twins(struct strings *tokens, const char *where)
{
	for (int64_t id = 0; id < tokens->count; id++) {
		const char *token = strings_at(tokens, id);
		if (*token && strings_find(tokens, token, strlen(token)) != id)
			die("%s: model.vocab: token %lld, \"%.80s\", occurs twice", where, (long long)id, token);
	}
}

/* The model, and the tokens of the model and of the document. */
static void read_model(struct tokenizer *tokenizer, const json_t *document, const char *where)
{
	const json_t *model = json_get_object(document, "model", where), *vocab = json_object_get(model, "vocab");
	const struct subword_kind *kind = subword_kind_of(model, where);
	struct pre_tokenizer *cuts = &tokenizer->pre_tokenizer;
	struct token_list list = {0};
	struct strings of_model = {0};
	double *scores = NULL;
	if (json_is_array(vocab))
		scores = collect_vocab_array(&list, vocab, where);
	else
		collect_vocab_object(&list, json_get_object(model, "vocab", where), where);
	check_holes(&list, where);
	list_to_strings(&list, &of_model);
	refuse_twins(&of_model, where);
	collect_added(&list, &of_model, json_object_get(document, "added_tokens"), where);
	check_holes(&list, where);
	list_to_strings(&list, &tokenizer->tokens);
	strings_find(&tokenizer->tokens, "a", 1); /* builds its index, so that later look-ups change nothing */
	free(list.tokens);

	struct subword_source source = {.model = model, .tokens = &of_model, .scores = scores, .where = where};
	/* bytes that the model itself reads need not be spelt first */
	if (kind->reads_bytes && cuts->n && cuts->cut[cuts->n - 1].spells) {
		source.byte_level = true;
		cuts->cut[cuts->n - 1].spells = false;
	}
	tokenizer->subword.model = kind->read(&source, &tokenizer->subword.unk);
	tokenizer->subword.kind = kind;
	strings_free(&of_model);
	free(scores);
}

static void read_added_token(struct tokenizer *tokenizer, const json_t *token, struct normalizing *work,
	const char *where)
{
	const char *text = json_get_string(token, "content", where);
	size_t length = strlen(text);
	bool normalized = part_flag(token, "normalized", false, where);
	struct added_token added = {
		.id = tokenizer_id(tokenizer, text),
		.special = part_flag(token, "special", false, where),
		.lstrip = part_flag(token, "lstrip", false, where),
		.rstrip = part_flag(token, "rstrip", false, where),
		.single_word = part_flag(token, "single_word", false, where),
	};
	tokenizer->is_special[added.id] = added.special;
	const char *as_read = text;
	if (normalized)
		normalizers_run(&tokenizer->normalizers, work, &text, &length);
	if (length != strlen(as_read) || memcmp(text, as_read, length)) {
		free(tokenizer->normal_spelling[added.id]);
		tokenizer->normal_spelling[added.id] = xstrndup(text, length);
	}
	if (length)
		added_tokens_add(normalized ? &tokenizer->normalized : &tokenizer->raw, text, length, &added);
}

static void read_added_tokens(struct tokenizer *tokenizer, const json_t *document, const char *where)
{
	const json_t *list = json_object_get(document, "added_tokens");
	if (list && !json_is_null(list) && !json_is_array(list))
		die("%s: \"added_tokens\" is not an array", where);
	struct normalizing work = {.matcher = matcher_new()};
	size_t i;
	json_t *token;
	tokenizer->is_special = xcalloc((size_t)tokenizer->tokens.count, sizeof *tokenizer->is_special);
	tokenizer->normal_spelling = xcalloc((size_t)tokenizer->tokens.count, sizeof *tokenizer->normal_spelling);
	json_array_foreach ((json_t *)list, i, token)
		read_added_token(tokenizer, token, &work, where);
	matcher_free(work.matcher);
	normalizing_free(&work);
}

/* --- what is put around a text --- */

static void add_id(const struct tokenizer *tokenizer, struct buffer *ids, const json_t *id, const char *where)
{
	json_int_t value = json_integer_value(id);
	if (!json_is_integer(id) || value < 0 || value >= tokenizer->tokens.count ||
		!*strings_at(&tokenizer->tokens, value))
		die("%s: post_processor: an id of the vocabulary was expected", where);
	buffer_append(ids, &(int32_t){(int32_t)value}, sizeof(int32_t));
}

/* TemplateProcessing's "single": special tokens around the sequence. */
static void read_template(struct tokenizer *tokenizer, const json_t *object, const char *where)
{
	const json_t *known = json_object_get(object, "special_tokens");
	bool sequence_met = false;
	size_t i, j;
	json_t *part, *id;
	json_array_foreach (part_array(object, "single", where), i, part) {
		if (json_object_get(part, "Sequence")) {
			if (sequence_met)
				die("%s: post_processor: the template holds the sequence twice", where);
			sequence_met = true;
			continue;
		}
		const char *name = json_string_value(json_object_get(json_object_get(part, "SpecialToken"), "id"));
		const json_t *ids = name ? json_object_get(json_object_get(known, name), "ids") : NULL;
		if (!json_is_array(ids))
			die("%s: post_processor: part %zu of the template is neither the sequence nor a known special token", where,
				i);
		json_array_foreach (ids, j, id)
			add_id(tokenizer, sequence_met ? &tokenizer->suffix : &tokenizer->prefix, id, where);
	}
	if (!sequence_met)
		die("%s: post_processor: the template has no sequence", where);
}

static void read_ids(struct tokenizer *tokenizer, const json_t *object, const char *where)
{
	add_id(tokenizer, &tokenizer->prefix, json_array_get(json_object_get(object, "cls"), 1), where);
	add_id(tokenizer, &tokenizer->suffix, json_array_get(json_object_get(object, "sep"), 1), where);
}

/* Moves the places of tokens in the text, which nobody asks for here. */
static void read_nothing(struct tokenizer *tokenizer, const json_t *object, const char *where)
{
	(void)tokenizer, (void)object, (void)where;
}

static const struct {
	const char *type;
	void (*read)(struct tokenizer *tokenizer, const json_t *object, const char *where);
} POST_PROCESSORS[] = {
	{"BertProcessing", read_ids},
	{"ByteLevel", read_nothing},
	{"RobertaProcessing", read_ids},
	{"TemplateProcessing", read_template},
};

static const char *post_processor_name(size_t i)
{
	return POST_PROCESSORS[i].type;
}

static void read_post_processor(void *into, const json_t *object, const char *type, const char *where)
{
	struct tokenizer *tokenizer = into;
	size_t i = 0;
	while (i < COUNT_OF(POST_PROCESSORS) && strcmp(type, POST_PROCESSORS[i].type))
		i++;
	if (i == COUNT_OF(POST_PROCESSORS))
		part_unknown("post_processor", type, post_processor_name, COUNT_OF(POST_PROCESSORS), where);
	if (POST_PROCESSORS[i].read != read_nothing && (tokenizer->prefix.size || tokenizer->suffix.size))
		die("%s: post_processor \"%.80s\": another one has put tokens around the text already", where, type);
	POST_PROCESSORS[i].read(tokenizer, object, where);
}

/* --- the whole --- */

/* The document does not say how tokens become text: by what its model and pre-tokenizer did. */
static json_t *usual_decoder(const struct tokenizer *tokenizer, bool spells)
{
	const struct pre_tokenizer *cuts = &tokenizer->pre_tokenizer;
	bool adds_space = cuts->adds_space || tokenizer->normalizers.adds_space;
	const char *space = cuts->space ? cuts->space : "\u2581";
	json_t *steps = json_array();
	if (spells) {
		json_append(steps, json_build("{s:s}", "type", "ByteLevel"));
	} else if (tokenizer->subword.kind == &SUBWORD_WORDPIECE) {
		json_append(steps, json_build("{s:s,s:s,s:b}", "type", "WordPiece", "prefix", "##", "cleanup", 0));
	} else {
		json_append(steps, json_build("{s:s}", "type", "ByteFallback"));
		json_append(steps,
			json_build("{s:s,s:{s:s},s:s}", "type", "Replace", "pattern", "String", space, "content", " "));
	}
	if (adds_space) {
		json_append(steps, json_build("{s:s}", "type", "Fuse"));
		json_append(steps, json_build("{s:s,s:s,s:i,s:i}", "type", "Strip", "content", " ", "start", 1, "stop", 0));
	}
	return json_build("{s:s,s:o}", "type", "Sequence", "decoders", steps);
}

static bool is_spelt(const struct tokenizer *tokenizer)
{
	for (int i = 0; i < tokenizer->pre_tokenizer.n; i++)
		if (tokenizer->pre_tokenizer.cut[i].spells)
			return true;
	return false;
}

/* The document as it is kept and written: without what we leave to the caller. */
static void keep_document(struct tokenizer *tokenizer, const json_t *document)
{
	json_t *kept = json_copy((json_t *)document);
	json_set(kept, "truncation", json_null());
	json_set(kept, "padding", json_null());
	tokenizer->json = json_text_exact(kept);
	tokenizer->json_size = strlen(tokenizer->json);
	tokenizer->fingerprint = fingerprint(FINGERPRINT_START, tokenizer->json, tokenizer->json_size);
	json_decref(kept);
}

struct tokenizer *tokenizer_from_json(const json_t *document, const char *where)
{
	if (!json_is_object(document))
		die("%s: not a tokenizer: an object was expected", where);
	struct tokenizer *tokenizer = xcalloc(1, sizeof *tokenizer);
	json_t *decoder = json_object_get(document, "decoder");
	normalizers_read(&tokenizer->normalizers, json_object_get(document, "normalizer"), where);
	pre_tokenizer_read(&tokenizer->pre_tokenizer, json_object_get(document, "pre_tokenizer"), where);
	bool spells = is_spelt(tokenizer);
	read_model(tokenizer, document, where);
	read_added_tokens(tokenizer, document, where);
	parts_read(json_object_get(document, "post_processor"), "processors", read_post_processor, tokenizer, where);
	decoder = decoder && !json_is_null(decoder) ? json_incref(decoder) : usual_decoder(tokenizer, spells);
	decoders_read(&tokenizer->decoders, decoder, where);
	json_decref(decoder);
	keep_document(tokenizer, document);
	return tokenizer;
}
