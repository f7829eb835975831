/* Builds a tokenizer from its document, tokenizer.json. */
#include <stdlib.h>
#include <string.h>

#include "data/tokenizer.h"
#include "data/tokenizer_parts.h"

#define MAX_ID (1 << 24)
#define MAX_HOLES (1 << 16) /* ids without a token, in all */

static const char *type_of(const json_t *object, const char *where)
{
	if (!json_is_object(object))
		die("%s: an object with a \"type\" was expected", where);
	return json_get_string(object, "type", where);
}

static bool get_flag(const json_t *object, const char *key, bool fallback, const char *where)
{
	const json_t *value = json_object_get(object, key);
	return value && !json_is_null(value) ? json_get_bool(object, key, where) : fallback;
}

static const json_t *get_array(const json_t *object, const char *key, const char *where)
{
	const json_t *array = json_object_get(object, key);
	if (!json_is_array(array))
		die("%s: \"%s\" is not an array", where, key);
	return array;
}

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
		die("%s: %lld ids up to %lld have no token: at most %d were expected", where,
			(long long)(list->size - list->count), (long long)list->size - 1, MAX_HOLES);
}

/* Tokens of the model alone, and with the added ones. */
static void collect_tokens(const json_t *document, const json_t *vocab, struct strings *of_model, struct strings *all,
	const char *where)
{
	struct token_list list = {0};
	const char *token;
	json_t *value;
	json_object_foreach ((json_t *)vocab, token, value) {
		if (!json_is_integer(value))
			die("%s: model.vocab: the id of \"%.80s\" is not a whole number", where, token);
		put_token(&list, token, json_integer_value(value), where);
	}
	check_holes(&list, where);
	list_to_strings(&list, of_model);
	size_t i;
	json_array_foreach (json_object_get(document, "added_tokens"), i, value) {
		const char *content = json_get_string(value, "content", where);
		int64_t id = json_get_int(value, "id", 0, MAX_ID - 1, where);
		const json_t *known = json_object_get(vocab, content);
		if (!known)
			put_token(&list, content, id, where);
		else if (json_integer_value(known) != id)
			die("%s: added token \"%.80s\" has id %lld, but the vocabulary says %lld", where, content, (long long)id,
				(long long)json_integer_value(known));
	}
	check_holes(&list, where);
	list_to_strings(&list, all);
	free(list.tokens);
}

static void add_merge(struct bpe *bpe, const json_t *merge, size_t rank, const char *where)
{
	const char *left = json_string_value(merge), *right;
	size_t left_length;
	if (left) {
		right = strchr(left, ' ');
		if (!right || strchr(right + 1, ' '))
			die("%s: merge %zu, \"%.80s\", is not two tokens with a space between", where, rank, left);
		left_length = (size_t)(right++ - left);
	} else {
		left = json_string_value(json_array_get(merge, 0));
		right = json_string_value(json_array_get(merge, 1));
		if (!left || !right || json_array_size(merge) != 2)
			die("%s: merge %zu is not a pair of tokens", where, rank);
		left_length = strlen(left);
	}
	if (!bpe_add_merge(bpe, left, left_length, right, strlen(right)))
		die("%s: merge %zu, \"%.*s %.80s\": its parts or their join are not in the vocabulary", where, rank,
			(int)(left_length < 80 ? left_length : 80), left, right);
}

/* Settings that change the ids and that we do not have; null, false, 0 and "" mean they are not used. */
static void refuse(const json_t *object, const char *key, const char *where)
{
	const json_t *value = json_object_get(object, key);
	bool unused = !value || json_is_null(value) || json_is_false(value) ||
		(json_is_number(value) && json_number_value(value) == 0) ||
		(json_is_string(value) && !json_string_length(value));
	if (!unused)
		die("%s: \"%s\" is not supported", where, key);
}

static void read_model(struct tokenizer *tokenizer, const json_t *document, bool byte_level, const char *where)
{
	const json_t *model = json_get_object(document, "model", where);
	const json_t *type = json_object_get(model, "type");
	const json_t *vocab = json_get_object(model, "vocab", where), *merges = get_array(model, "merges", where);
	if (type && (!json_is_string(type) || strcmp(json_string_value(type), "BPE")))
		die("%s: a model of type \"BPE\" was expected", where);
	refuse(model, "dropout", where);
	refuse(model, "continuing_subword_prefix", where);
	refuse(model, "end_of_word_suffix", where);

	struct strings tokens = {0};
	collect_tokens(document, vocab, &tokens, &tokenizer->tokens, where);
	struct bpe_options options = {
		.byte_level = byte_level,
		.byte_fallback = get_flag(model, "byte_fallback", false, where),
		.fuse_unk = get_flag(model, "fuse_unk", false, where),
		.ignore_merges = get_flag(model, "ignore_merges", false, where),
		.unk = -1,
	};
	const json_t *unk = json_object_get(model, "unk_token");
	if (unk && !json_is_null(unk)) {
		const char *token = json_get_string(model, "unk_token", where);
		options.unk = (int32_t)strings_find(&tokens, token, strlen(token));
		if (options.unk < 0 || !*token)
			die("%s: the unknown token \"%.80s\" is not in the vocabulary", where, token);
	}
	bpe_init(&tokenizer->bpe, &tokens, &options, (int64_t)json_array_size(merges));
	for (size_t rank = 0; rank < json_array_size(merges); rank++)
		add_merge(&tokenizer->bpe, json_array_get(merges, rank), rank, where);
}

/* A "pattern" of the document: {"Regex": "..."} or {"String": "..."}. */
static struct pattern *read_pattern(const json_t *object, const char *where)
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

static void read_normalizer(struct tokenizer *tokenizer, const json_t *object, int depth, const char *where)
{
	if (!object || json_is_null(object))
		return;
	const char *type = type_of(object, where);
	if (!strcmp(type, "Sequence") && depth < MAX_STEPS) {
		size_t i;
		json_t *part;
		json_array_foreach (get_array(object, "normalizers", where), i, part)
			read_normalizer(tokenizer, part, depth + 1, where);
		return;
	}
	if (tokenizer->n_normalizers == MAX_STEPS)
		die("%s: more than %d normalizers", where, MAX_STEPS);
	struct normalizer *normalizer = &tokenizer->normalizers[tokenizer->n_normalizers++];
	if (!strcmp(type, "Prepend")) {
		normalizer->content = xstrdup(json_get_string(object, "prepend", where));
		tokenizer->adds_space = true;
	} else if (!strcmp(type, "Replace")) {
		normalizer->pattern = read_pattern(object, where);
		normalizer->content = xstrdup(json_get_string(object, "content", where));
	} else {
		die("%s: normalizer \"%.80s\" is not supported: Prepend, Replace and Sequence of them are", where, type);
	}
}

/* In the order of enum behavior. */
static const char *const BEHAVIORS[] = {"Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"};

static enum behavior read_behavior(const json_t *object, const char *where)
{
	const char *name = json_get_string(object, "behavior", where);
	for (size_t i = 0; i < COUNT_OF(BEHAVIORS); i++)
		if (!strcmp(name, BEHAVIORS[i]))
			return (enum behavior)i;
	die("%s: \"behavior\" is \"%.80s\": Isolated, Removed, Contiguous, MergedWithPrevious or MergedWithNext was expected",
		where, name);
}

static void read_metaspace(struct tokenizer *tokenizer, struct step *step, const json_t *object, const char *where)
{
	const json_t *scheme = json_object_get(object, "prepend_scheme");
	const char *name = scheme                             ? json_get_string(object, "prepend_scheme", where) :
		get_flag(object, "add_prefix_space", true, where) ? "always" :
															"never";
	step->space = xstrdup(json_get_string(object, "replacement", where));
	if (!*step->space)
		die("%s: \"replacement\" is empty", where);
	if (!strcmp(name, "always") || !strcmp(name, "first")) {
		step->prefix = xstrdup(step->space);
		step->prefix_at_start = !strcmp(name, "first");
		tokenizer->adds_space = true;
	} else if (strcmp(name, "never")) {
		die("%s: \"prepend_scheme\" is \"%.80s\": always, first or never was expected", where, name);
	}
	if (get_flag(object, "split", true, where)) {
		step->pattern = pattern_new(step->space, true, where);
		step->behavior = MERGED_WITH_NEXT;
	}
}

static void read_pre_tokenizer(struct tokenizer *tokenizer, const json_t *object, int depth, bool *byte_level,
	const char *where)
{
	if (!object || json_is_null(object))
		return;
	const char *type = type_of(object, where);
	if (!strcmp(type, "Sequence") && depth < MAX_STEPS) {
		size_t i;
		json_t *part;
		json_array_foreach (get_array(object, "pretokenizers", where), i, part)
			read_pre_tokenizer(tokenizer, part, depth + 1, byte_level, where);
		return;
	}
	if (tokenizer->n_steps == MAX_STEPS)
		die("%s: more than %d pre-tokenizers", where, MAX_STEPS);
	if (*byte_level)
		die("%s: pre-tokenizer \"%.80s\" after \"ByteLevel\", which was expected last", where, type);
	struct step *step = &tokenizer->steps[tokenizer->n_steps++];
	if (!strcmp(type, "ByteLevel")) {
		*byte_level = true;
		if (get_flag(object, "add_prefix_space", true, where)) {
			step->prefix = xstrdup(" ");
			tokenizer->adds_space = true;
		}
		if (get_flag(object, "use_regex", true, where))
			step->pattern = pattern_new(WORD_PATTERN, false, where);
	} else if (!strcmp(type, "Split")) {
		step->pattern = read_pattern(object, where);
		step->behavior = read_behavior(object, where);
		step->invert = get_flag(object, "invert", false, where);
	} else if (!strcmp(type, "Digits")) {
		step->pattern = pattern_new("\\p{N}", false, where);
		step->behavior = get_flag(object, "individual_digits", false, where) ? ISOLATED : CONTIGUOUS;
	} else if (!strcmp(type, "Metaspace")) {
		read_metaspace(tokenizer, step, object, where);
	} else {
		die("%s: pre-tokenizer \"%.80s\" is not supported: ByteLevel, Split, Digits, Metaspace and Sequence are", where,
			type);
	}
}

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
	json_array_foreach (get_array(object, "single", where), i, part) {
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

static void read_post_processor(struct tokenizer *tokenizer, const json_t *object, bool nested, const char *where)
{
	if (!object || json_is_null(object))
		return;
	const char *type = type_of(object, where);
	bool done = tokenizer->prefix.size || tokenizer->suffix.size;
	if (!strcmp(type, "Sequence") && !nested) {
		size_t i;
		json_t *part;
		json_array_foreach (get_array(object, "processors", where), i, part)
			read_post_processor(tokenizer, part, true, where);
	} else if (!strcmp(type, "ByteLevel")) {
		/* moves offsets only */
	} else if (!strcmp(type, "TemplateProcessing") && !done) {
		read_template(tokenizer, object, where);
	} else if ((!strcmp(type, "RobertaProcessing") || !strcmp(type, "BertProcessing")) && !done) {
		add_id(tokenizer, &tokenizer->prefix, json_array_get(json_object_get(object, "cls"), 1), where);
		add_id(tokenizer, &tokenizer->suffix, json_array_get(json_object_get(object, "sep"), 1), where);
	} else {
		die("%s: post_processor \"%.80s\" is not supported there", where, type);
	}
}

static int by_byte_then_longest(const void *a, const void *b)
{
	const struct added *left = a, *right = b;
	unsigned char x = (unsigned char)left->text[0], y = (unsigned char)right->text[0];
	if (x != y)
		return x < y ? -1 : 1;
	if (left->length != right->length)
		return left->length > right->length ? -1 : 1;
	return (left->id > right->id) - (left->id < right->id);
}

static void sort_added(struct added_set *set)
{
	if (!set->n_tokens)
		return;
	qsort(set->tokens, (size_t)set->n_tokens, sizeof *set->tokens, by_byte_then_longest);
	for (int64_t i = set->n_tokens - 1, byte = 256; byte >= 0; byte--) {
		while (i >= 0 && (unsigned char)set->tokens[i].text[0] >= byte)
			i--;
		set->start[byte] = i + 1;
	}
}

static void read_added_tokens(struct tokenizer *tokenizer, const json_t *document, const char *where)
{
	const json_t *list = json_object_get(document, "added_tokens");
	if (list && !json_is_null(list) && !json_is_array(list))
		die("%s: \"added_tokens\" is not an array", where);
	struct matcher *matcher = matcher_new();
	struct buffer work[2] = {0};
	size_t i;
	json_t *token;
	tokenizer->is_special = xcalloc((size_t)tokenizer->tokens.count, sizeof *tokenizer->is_special);
	json_array_foreach (list, i, token) {
		const char *text = json_get_string(token, "content", where);
		size_t length = strlen(text);
		int32_t id = tokenizer_id(tokenizer, text);
		tokenizer->is_special[id] = get_flag(token, "special", false, where);
		bool normalized = get_flag(token, "normalized", false, where);
		if (normalized)
			tokenizer_normalize(tokenizer, matcher, work, &text, &length);
		if (!length)
			continue;
		struct added_set *set = normalized ? &tokenizer->normalized : &tokenizer->raw;
		if (!(set->n_tokens & (set->n_tokens - 1)))
			set->tokens = xreallocarray(set->tokens, (size_t)set->n_tokens * 2 + 1, sizeof *set->tokens);
		set->tokens[set->n_tokens++] = (struct added){
			.text = xstrndup(text, length),
			.length = length,
			.id = id,
			.lstrip = get_flag(token, "lstrip", false, where),
			.rstrip = get_flag(token, "rstrip", false, where),
			.single_word = get_flag(token, "single_word", false, where),
		};
	}
	sort_added(&tokenizer->raw);
	sort_added(&tokenizer->normalized);
	matcher_free(matcher);
	buffer_free(&work[0]);
	buffer_free(&work[1]);
}

/* The document as it is kept and written: without what we leave to the caller. */
static void keep_document(struct tokenizer *tokenizer, const json_t *document)
{
	json_t *kept = json_copy((json_t *)document);
	json_set(kept, "truncation", json_null());
	json_set(kept, "padding", json_null());
	tokenizer->json = json_text(kept);
	tokenizer->json_size = strlen(tokenizer->json);
	json_decref(kept);
}

struct tokenizer *tokenizer_from_json(const json_t *document, const char *where)
{
	if (!json_is_object(document))
		die("%s: not a tokenizer: an object was expected", where);
	struct tokenizer *tokenizer = xcalloc(1, sizeof *tokenizer);
	bool byte_level = false;
	read_normalizer(tokenizer, json_object_get(document, "normalizer"), 0, where);
	read_pre_tokenizer(tokenizer, json_object_get(document, "pre_tokenizer"), 0, &byte_level, where);
	read_model(tokenizer, document, byte_level, where);
	read_added_tokens(tokenizer, document, where);
	read_post_processor(tokenizer, json_object_get(document, "post_processor"), false, where);
	tokenizer->word_character = pattern_new("[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}]", false, where);
	strings_find(&tokenizer->tokens, "a", 1); /* builds its index, so that later look-ups change nothing */
	keep_document(tokenizer, document);
	return tokenizer;
}
