#include "data/pre_tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "data/byte_level.h"
#include "data/tokenizer_json.h"
#include "data/unicode.h"
#include "data/utf8.h"

/* --- reading --- */

static struct cut *add_cut(struct pre_tokenizer *pre_tokenizer, const char *where)
{
	if (pre_tokenizer->n == MAX_CUTS)
		die("%s: more than %d pre-tokenizers", where, MAX_CUTS);
	return &pre_tokenizer->cut[pre_tokenizer->n++];
}

static void cut_at_class(struct pre_tokenizer *pre_tokenizer, bool (*is_in_class)(uint32_t), enum behavior behavior,
	const char *where)
{
	struct cut *cut = add_cut(pre_tokenizer, where);
	cut->is_in_class = is_in_class;
	cut->behavior = behavior;
}

/* In the order of enum behavior. */
static const char *const BEHAVIORS[] = {"Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"};

static enum behavior read_behavior(const json_t *object, const char *where)
{
	const char *name = json_get_string(object, "behavior", where);
	for (size_t i = 0; i < COUNT_OF(BEHAVIORS); i++)
		if (!strcmp(name, BEHAVIORS[i]))
			return (enum behavior)i;
	die("%s: \"behavior\" is \"%.80s\": Isolated, Removed, Contiguous, MergedWithPrevious or "
		"MergedWithNext was expected",
		where, name);
}

static void read_byte_level(struct pre_tokenizer *pre_tokenizer, const json_t *object, const char *where)
{
	struct cut *cut = add_cut(pre_tokenizer, where);
	cut->spells = true;
	if (part_flag(object, "add_prefix_space", true, where)) {
		cut->prefix = xstrdup(" ");
		pre_tokenizer->adds_space = true;
	}
	if (part_flag(object, "use_regex", true, where))
		cut->pattern = pattern_new(WORD_PATTERN, false, where);
}

static void read_split(struct pre_tokenizer *pre_tokenizer, const json_t *object, const char *where)
{
	struct cut *cut = add_cut(pre_tokenizer, where);
	cut->pattern = part_pattern(object, where);
	cut->behavior = read_behavior(object, where);
	cut->invert = part_flag(object, "invert", false, where);
}

static void read_delimiter(struct pre_tokenizer *pre_tokenizer, const json_t *object, const char *where)
{
	struct cut *cut = add_cut(pre_tokenizer, where);
	const char *delimiter = json_get_string(object, "delimiter", where);
	if (!*delimiter)
		die("%s: \"delimiter\" is empty", where);
	cut->pattern = pattern_new(delimiter, true, where);
	cut->behavior = REMOVED;
}

static void read_digits(struct pre_tokenizer *pre_tokenizer, const json_t *object, const char *where)
{
	bool each = part_flag(object, "individual_digits", false, where);
	cut_at_class(pre_tokenizer, unicode_is_number, each ? ISOLATED : CONTIGUOUS, where);
}

static void read_metaspace(struct pre_tokenizer *pre_tokenizer, const json_t *object, const char *where)
{
	struct cut *cut = add_cut(pre_tokenizer, where);
	const json_t *scheme = json_object_get(object, "prepend_scheme");
	const char *name = scheme                              ? json_get_string(object, "prepend_scheme", where) :
		part_flag(object, "add_prefix_space", true, where) ? "always" :
															 "never";
	cut->space = xstrdup(json_get_string(object, "replacement", where));
	if (!*cut->space)
		die("%s: \"replacement\" is empty", where);
	pre_tokenizer->space = cut->space;
	if (!strcmp(name, "always") || !strcmp(name, "first")) {
		cut->prefix = xstrdup(cut->space);
		cut->prefix_at_start = !strcmp(name, "first");
		pre_tokenizer->adds_space = true;
	} else if (strcmp(name, "never")) {
		die("%s: \"prepend_scheme\" is \"%.80s\": always, first or never was expected", where, name);
	}
	if (part_flag(object, "split", true, where)) {
		cut->pattern = pattern_new(cut->space, true, where);
		cut->behavior = MERGED_WITH_NEXT;
	}
}

static void read_white_space(struct pre_tokenizer *pre_tokenizer, const json_t *object, const char *where)
{
	(void)object;
	cut_at_class(pre_tokenizer, unicode_is_white_space, REMOVED, where);
}

/* \w+|[^\w\s]+ */
static void read_words(struct pre_tokenizer *pre_tokenizer, const json_t *object, const char *where)
{
	read_white_space(pre_tokenizer, object, where);
	cut_at_class(pre_tokenizer, unicode_is_word, CONTIGUOUS, where);
}

static void read_bert(struct pre_tokenizer *pre_tokenizer, const json_t *object, const char *where)
{
	read_white_space(pre_tokenizer, object, where);
	cut_at_class(pre_tokenizer, unicode_is_punctuation, ISOLATED, where);
}

static void read_punctuation(struct pre_tokenizer *pre_tokenizer, const json_t *object, const char *where)
{
	enum behavior behavior = json_object_get(object, "behavior") ? read_behavior(object, where) : ISOLATED;
	cut_at_class(pre_tokenizer, unicode_is_punctuation, behavior, where);
}

static const struct {
	const char *type;
	void (*read)(struct pre_tokenizer *, const json_t *, const char *where);
} KINDS[] = {
	{"BertPreTokenizer", read_bert},
	{"ByteLevel", read_byte_level},
	{"CharDelimiterSplit", read_delimiter},
	{"Digits", read_digits},
	{"Metaspace", read_metaspace},
	{"Punctuation", read_punctuation},
	{"Split", read_split},
	{"Whitespace", read_words},
	{"WhitespaceSplit", read_white_space},
};

static const char *kind_name(size_t i)
{
	return KINDS[i].type;
}

static void read_cut(void *into, const json_t *object, const char *type, const char *where)
{
	size_t i = 0;
	while (i < COUNT_OF(KINDS) && strcmp(type, KINDS[i].type))
		i++;
	if (i == COUNT_OF(KINDS))
		part_unknown("pre-tokenizer", type, kind_name, COUNT_OF(KINDS), where);
	KINDS[i].read(into, object, where);
}

void pre_tokenizer_read(struct pre_tokenizer *pre_tokenizer, const json_t *object, const char *where)
{
	parts_read(object, "pretokenizers", read_cut, pre_tokenizer, where);
}

void pre_tokenizer_free(struct pre_tokenizer *pre_tokenizer)
{
	for (int i = 0; i < pre_tokenizer->n; i++) {
		pattern_free(pre_tokenizer->cut[i].pattern);
		free(pre_tokenizer->cut[i].prefix);
		free(pre_tokenizer->cut[i].space);
	}
	*pre_tokenizer = (struct pre_tokenizer){0};
}

/* --- cutting --- */

void pre_tokenizing_free(struct pre_tokenizing *work)
{
	for (int i = 0; i < MAX_CUTS; i++)
		buffer_free(&work->rewritten[i]);
}

/* Does what the step does to the text before it is cut. */
static void rewrite(const struct cut *cut, struct buffer *out, const char **text, size_t *length, bool at_start)
{
	const char *prefix = cut->prefix && (at_start || !cut->prefix_at_start) ? cut->prefix : NULL;
	if (prefix && *length >= strlen(prefix) && !memcmp(*text, prefix, strlen(prefix)))
		prefix = NULL;
	if (prefix && cut->space && **text == ' ')
		prefix = NULL; /* the space becomes the prefix */
	if (!prefix && !cut->space)
		return;
	out->size = 0;
	if (prefix)
		buffer_append(out, prefix, strlen(prefix));
	for (size_t at = 0; at < *length;) {
		const char *space = cut->space ? memchr(*text + at, ' ', *length - at) : NULL;
		size_t end = space ? (size_t)(space - *text) : *length;
		buffer_append(out, *text + at, end - at);
		if (space)
			buffer_append(out, cut->space, strlen(cut->space));
		at = end + (space != NULL);
	}
	*text = out->data;
	*length = out->size;
}

/* Pieces of one text on their way to the next step; the last one waits because the next may join it. */
struct cutting {
	const struct pre_tokenizer *pre_tokenizer;
	struct pre_tokenizing *work;
	const char *text;
	int number; /* of the step */
	bool at_start;
	size_t start, end;
	bool is_match;
};

static void run_cut(const struct pre_tokenizer *pre_tokenizer, struct pre_tokenizing *work, int number,
	const char *text, size_t length, bool at_start);

static void let_go(struct cutting *cutting)
{
	const struct cut *cut = &cutting->pre_tokenizer->cut[cutting->number];
	if (cutting->end == cutting->start || (cutting->is_match && cut->behavior == REMOVED))
		return;
	const char *piece = cutting->text + cutting->start;
	size_t length = cutting->end - cutting->start;
	struct buffer spelt = {0};
	if (cut->spells) {
		byte_level_spell(piece, length, &spelt);
		piece = spelt.data;
		length = spelt.size;
	}
	run_cut(cutting->pre_tokenizer, cutting->work, cutting->number + 1, piece, length,
		cutting->at_start && !cutting->start);
	buffer_free(&spelt);
}

static void take_piece(struct cutting *cutting, size_t start, size_t end, bool is_match)
{
	const struct cut *cut = &cutting->pre_tokenizer->cut[cutting->number];
	is_match ^= cut->invert;
	bool joins = cutting->end > cutting->start &&
		((cut->behavior == CONTIGUOUS && is_match == cutting->is_match) ||
			(cut->behavior == MERGED_WITH_PREVIOUS && is_match && !cutting->is_match) ||
			(cut->behavior == MERGED_WITH_NEXT && !is_match && cutting->is_match));
	if (!joins) {
		let_go(cutting);
		cutting->start = start;
	}
	cutting->end = end;
	cutting->is_match = is_match;
}

static bool find_class(bool (*is_in_class)(uint32_t), const char *text, size_t length, size_t from, size_t *start,
	size_t *end)
{
	for (size_t at = from; at < length; at = *end) {
		*end = at + (size_t)utf8_next(text + at, length - at);
		if (is_in_class(utf8_code_point(text + at))) {
			*start = at;
			return true;
		}
	}
	return false;
}

static bool find(const struct cut *cut, struct matcher *matcher, const char *text, size_t length, size_t from,
	size_t *start, size_t *end)
{
	if (cut->is_in_class)
		return find_class(cut->is_in_class, text, length, from, start, end);
	return cut->pattern && pattern_find(cut->pattern, matcher, text, length, from, start, end);
}

static void run_cut(const struct pre_tokenizer *pre_tokenizer, struct pre_tokenizing *work, int number,
	const char *text, size_t length, bool at_start)
{
	if (number == pre_tokenizer->n) {
		work->word(work->to, text, length);
		return;
	}
	const struct cut *cut = &pre_tokenizer->cut[number];
	rewrite(cut, &work->rewritten[number], &text, &length, at_start);
	struct cutting cutting = {.pre_tokenizer = pre_tokenizer,
		.work = work,
		.text = text,
		.number = number,
		.at_start = at_start};
	size_t done = 0, from = 0, start, end;
	while (from < length && find(cut, work->matcher, text, length, from, &start, &end)) {
		if (start > done)
			take_piece(&cutting, done, start, false);
		if (end > start)
			take_piece(&cutting, start, end, true);
		done = end;
		from = end > start ? end : end < length ? end + (size_t)utf8_next(text + end, length - end) : length;
	}
	if (done < length)
		take_piece(&cutting, done, length, false);
	let_go(&cutting);
}

void pre_tokenize(const struct pre_tokenizer *pre_tokenizer, struct pre_tokenizing *work, const char *text,
	size_t length, bool at_start)
{
	run_cut(pre_tokenizer, work, 0, text, length, at_start);
}
