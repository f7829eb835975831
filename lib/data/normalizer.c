#include "data/normalizer.h"

#include <stdlib.h>
#include <string.h>

#include "data/byte_level.h"
#include "data/charsmap.h"
#include "data/tokenizer_json.h"
#include "data/unicode.h"
#include "data/utf8.h"

struct normalizer_kind {
	const char *type;
	void (*read)(struct normalizer *normalizer, const json_t *object, const char *where); /* or NULL */
	/* Appends what becomes of the text, which is not empty; false: it stays as it is. */
	bool (*run)(const struct normalizer *normalizer, struct normalizing *work, const char *text, size_t length,
		struct buffer *out);
};

struct normalizer {
	const struct normalizer_kind *kind;
	struct pattern *pattern;
	char *content;
	struct charsmap *charsmap;
	bool left, right;                          /* Strip */
	bool clean, chinese, strip_accents, lower; /* BertNormalizer */
};

/* --- normal forms and letters --- */

static bool run_normal_form(enum normal_form form, struct normalizing *work, const char *text, size_t length,
	struct buffer *out)
{
	if (unicode_is_plainly(form, text, length))
		return false;
	unicode_normalize(form, text, length, &work->characters, out);
	return true;
}

#define NORMAL_FORM(name, form)                                                                                        \
	static bool name(const struct normalizer *normalizer, struct normalizing *work, const char *text, size_t length,   \
		struct buffer *out)                                                                                            \
	{                                                                                                                  \
		(void)normalizer;                                                                                              \
		return run_normal_form(form, work, text, length, out);                                                         \
	}
NORMAL_FORM(run_nfd, NFD)
NORMAL_FORM(run_nfc, NFC)
NORMAL_FORM(run_nfkd, NFKD)
NORMAL_FORM(run_nfkc, NFKC)

static void append_lower(uint32_t c, struct buffer *out)
{
	uint32_t lower[2];
	int n = unicode_lower(c, lower);
	for (int i = 0; i < n; i++)
		utf8_append(out, lower[i]);
}

static bool run_lowercase(const struct normalizer *normalizer, struct normalizing *work, const char *text,
	size_t length, struct buffer *out)
{
	(void)normalizer, (void)work;
	for (size_t at = 0; at < length; at += (size_t)utf8_next(text + at, length - at))
		append_lower(utf8_code_point(text + at), out);
	return true;
}

static void read_strip(struct normalizer *normalizer, const json_t *object, const char *where)
{
	normalizer->left = json_get_bool(object, "strip_left", where);
	normalizer->right = json_get_bool(object, "strip_right", where);
}

static bool run_strip(const struct normalizer *normalizer, struct normalizing *work, const char *text, size_t length,
	struct buffer *out)
{
	size_t start = 0, end = length;
	(void)work;
	while (normalizer->left && start < end && unicode_is_white_space(utf8_code_point(text + start)))
		start += (size_t)utf8_next(text + start, end - start);
	while (normalizer->right && start < end) {
		size_t last = utf8_previous(text, end);
		if (!unicode_is_white_space(utf8_code_point(text + last)))
			break;
		end = last;
	}
	buffer_append(out, text + start, end - start);
	return start || end < length;
}

static void append_without(bool (*unwanted)(uint32_t), const char *text, size_t length, struct buffer *out)
{
	for (size_t at = 0, size; at < length; at += size) {
		size = (size_t)utf8_next(text + at, length - at);
		if (!unwanted(utf8_code_point(text + at)))
			buffer_append(out, text + at, size);
	}
}

static bool run_strip_accents(const struct normalizer *normalizer, struct normalizing *work, const char *text,
	size_t length, struct buffer *out)
{
	(void)normalizer, (void)work;
	append_without(unicode_is_mark, text, length, out);
	return true;
}

/* --- strings --- */

static void read_replace(struct normalizer *normalizer, const json_t *object, const char *where)
{
	normalizer->pattern = part_pattern(object, where);
	normalizer->content = xstrdup(json_get_string(object, "content", where));
}

static bool run_replace(const struct normalizer *normalizer, struct normalizing *work, const char *text, size_t length,
	struct buffer *out)
{
	size_t kept = 0, from = 0, start, end, content = strlen(normalizer->content);
	while (from <= length && pattern_find(normalizer->pattern, work->matcher, text, length, from, &start, &end)) {
		buffer_append(out, text + kept, start - kept);
		buffer_append(out, normalizer->content, content);
		kept = end;
		/* past an empty match by one character */
		from = end > start ? end : end < length ? end + (size_t)utf8_next(text + end, length - end) : length + 1;
	}
	buffer_append(out, text + kept, length - kept);
	return from > 0;
}

static void read_prepend(struct normalizer *normalizer, const json_t *object, const char *where)
{
	normalizer->content = xstrdup(json_get_string(object, "prepend", where));
}

static bool run_prepend(const struct normalizer *normalizer, struct normalizing *work, const char *text, size_t length,
	struct buffer *out)
{
	(void)work;
	buffer_append(out, normalizer->content, strlen(normalizer->content));
	buffer_append(out, text, length);
	return true;
}

static bool run_byte_level(const struct normalizer *normalizer, struct normalizing *work, const char *text,
	size_t length, struct buffer *out)
{
	(void)normalizer, (void)work;
	byte_level_spell(text, length, out);
	return true;
}

/* --- sentencepiece's --- */

static void read_precompiled(struct normalizer *normalizer, const json_t *object, const char *where)
{
	normalizer->charsmap = charsmap_read(json_get_string(object, "precompiled_charsmap", where), where);
}

static bool run_precompiled(const struct normalizer *normalizer, struct normalizing *work, const char *text,
	size_t length, struct buffer *out)
{
	(void)work;
	charsmap_apply(normalizer->charsmap, text, length, out);
	return true;
}

/* Sentencepiece's rules for translation: some controls vanish, other characters without ink become blanks. */
static bool run_nmt(const struct normalizer *normalizer, struct normalizing *work, const char *text, size_t length,
	struct buffer *out)
{
	(void)normalizer, (void)work;
	for (size_t at = 0, size; at < length; at += size) {
		size = (size_t)utf8_next(text + at, length - at);
		uint32_t c = utf8_code_point(text + at);
		if ((c >= 1 && c <= 8) || c == 0x0b || (c >= 0x0e && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f)
			continue;
		if (c == 9 || c == 0x0a || c == 0x0c || c == 0x0d || c == 0x1680 || (c >= 0x200b && c <= 0x200f) ||
			c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xfeff || c == 0xfffd)
			buffer_append(out, " ", 1);
		else
			buffer_append(out, text + at, size);
	}
	return true;
}

/* --- BERT's --- */

static void read_bert(struct normalizer *normalizer, const json_t *object, const char *where)
{
	normalizer->clean = part_flag(object, "clean_text", true, where);
	normalizer->chinese = part_flag(object, "handle_chinese_chars", true, where);
	normalizer->lower = part_flag(object, "lowercase", true, where);
	normalizer->strip_accents = part_flag(object, "strip_accents", normalizer->lower, where);
}

/* What BERT puts blanks around; the third range of ideographs beyond the first plane as in the reference. */
static bool is_chinese(uint32_t c)
{
	return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) ||
		(c >= 0x2a700 && c <= 0x2b73f) || (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
		(c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static void bert_clean(const struct normalizer *bert, const char *text, size_t length, struct buffer *out)
{
	for (size_t at = 0, size; at < length; at += size) {
		size = (size_t)utf8_next(text + at, length - at);
		uint32_t c = utf8_code_point(text + at);
		bool is_space = unicode_is_white_space(c);
		bool is_line = c == '\t' || c == '\n' || c == '\r';
		if (bert->clean && !is_line && (!c || c == 0xfffd || unicode_is_control(c)))
			continue;
		bool apart = bert->chinese && is_chinese(c);
		buffer_append(out, " ", apart);
		if (bert->clean && is_space)
			buffer_append(out, " ", 1);
		else
			buffer_append(out, text + at, size);
		buffer_append(out, " ", apart);
	}
}

static void bert_ascii(const struct normalizer *bert, const char *text, size_t length, struct buffer *out)
{
	char *to = buffer_add(out, length);
	size_t kept = 0;
	for (size_t i = 0; i < length; i++) {
		char c = text[i];
		if (bert->clean && (c < ' ' || c == 0x7f)) {
			if (c != '\t' && c != '\n' && c != '\r')
				continue;
			c = ' ';
		}
		to[kept++] = (char)(bert->lower && c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	out->size -= length - kept;
}

static bool run_bert(const struct normalizer *bert, struct normalizing *work, const char *text, size_t length,
	struct buffer *out)
{
	if (unicode_is_plainly(NFD, text, length)) {
		bert_ascii(bert, text, length, out);
		return true;
	}
	struct buffer *first = &work->part[0], *second = &work->part[1];
	first->size = second->size = 0;
	bert_clean(bert, text, length, first);
	if (bert->strip_accents) {
		unicode_normalize(NFD, first->data, first->size, &work->characters, second);
		first->size = 0;
		append_without(unicode_is_nonspacing_mark, second->data, second->size, first);
	}
	if (bert->lower)
		run_lowercase(bert, work, first->data, first->size, out);
	else
		buffer_append(out, first->data, first->size);
	return true;
}

/* --- all of them --- */

static const struct normalizer_kind KINDS[] = {
	{"NFC", NULL, run_nfc},
	{"NFD", NULL, run_nfd},
	{"NFKC", NULL, run_nfkc},
	{"NFKD", NULL, run_nfkd},
	{"Lowercase", NULL, run_lowercase},
	{"Strip", read_strip, run_strip},
	{"StripAccents", NULL, run_strip_accents},
	{"Replace", read_replace, run_replace},
	{"Prepend", read_prepend, run_prepend},
	{"BertNormalizer", read_bert, run_bert},
	{"Precompiled", read_precompiled, run_precompiled},
	{"Nmt", NULL, run_nmt},
	{"ByteLevel", NULL, run_byte_level},
};

static const char *kind_name(size_t i)
{
	return KINDS[i].type;
}

static void read_step(void *into, const json_t *object, const char *type, const char *where)
{
	struct normalizers *normalizers = into;
	size_t i = 0;
	while (i < COUNT_OF(KINDS) && strcmp(type, KINDS[i].type))
		i++;
	if (i == COUNT_OF(KINDS))
		part_unknown("normalizer", type, kind_name, COUNT_OF(KINDS), where);
	if (normalizers->n == MAX_NORMALIZERS)
		die("%s: more than %d normalizers", where, MAX_NORMALIZERS);
	struct normalizer *step = normalizers->step[normalizers->n++] = xcalloc(1, sizeof *step);
	step->kind = &KINDS[i];
	if (step->kind->read)
		step->kind->read(step, object, where);
	normalizers->adds_space |= step->kind->run == run_prepend;
}

void normalizers_read(struct normalizers *normalizers, const json_t *object, const char *where)
{
	parts_read(object, "normalizers", read_step, normalizers, where);
}

void normalizers_free(struct normalizers *normalizers)
{
	for (int i = 0; i < normalizers->n; i++) {
		struct normalizer *step = normalizers->step[i];
		pattern_free(step->pattern);
		charsmap_free(step->charsmap);
		free(step->content);
		free(step);
	}
	*normalizers = (struct normalizers){0};
}

void normalizing_free(struct normalizing *work)
{
	for (int i = 0; i < 2; i++) {
		buffer_free(&work->text[i]);
		buffer_free(&work->part[i]);
	}
	buffer_free(&work->characters);
}

void normalizers_run(const struct normalizers *normalizers, struct normalizing *work, const char **text, size_t *length)
{
	int free_buffer = 0;
	for (int i = 0; i < normalizers->n && *length; i++) {
		const struct normalizer *step = normalizers->step[i];
		struct buffer *out = &work->text[free_buffer];
		out->size = 0;
		if (!step->kind->run(step, work, *text, *length, out))
			continue;
		*text = out->data;
		*length = out->size;
		free_buffer = !free_buffer;
	}
}
