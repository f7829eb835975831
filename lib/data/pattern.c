#define PCRE2_CODE_UNIT_WIDTH 8
#include "data/pattern.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char WORD_PATTERN[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

struct pattern {
	char *literal; /* or NULL */
	size_t length;
	pcre2_code *code;
	bool is_compiled; /* to the processor's instructions */
	char *where;
};

struct matcher {
	pcre2_match_data *data;
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
};

#define WHITE "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"

/*
 * Escapes that mean something else to PCRE2 than to Oniguruma are spelt out: its \s has U+180E too, its \w knows no
 * marks, its \h are blanks and not hexadecimal digits. NULL: not within a class.
 */
static const struct {
	char escape;
	const char *outside, *in_class;
} ESCAPES[] = {
	{'s', "[" WHITE "]", WHITE},
	{'S', "[^" WHITE "]", "\\S"},
	{'w', "[" WORD "]", WORD},
	{'W', "[^" WORD "]", NULL},
	{'b', "(?:(?<=[" WORD "])(?![" WORD "])|(?<![" WORD "])(?=[" WORD "]))", "\\b"},
	{'B', NULL, NULL},
	{'h', "[0-9a-fA-F]", "0-9a-fA-F"},
	{'H', "[^0-9a-fA-F]", NULL},
};

static void spell_escape(struct buffer *spelt, const char *escape, bool in_class, const char *where)
{
	for (size_t i = 0; i < COUNT_OF(ESCAPES); i++) {
		if (ESCAPES[i].escape != escape[1])
			continue;
		const char *spelling = in_class ? ESCAPES[i].in_class : ESCAPES[i].outside;
		if (!spelling)
			die("%s: \\%c%s is not supported in patterns", where, escape[1], in_class ? " within a class" : "");
		buffer_append(spelt, spelling, strlen(spelling));
		return;
	}
	buffer_append(spelt, escape, 2);
}

/* Oniguruma's classes may hold classes, [a[bc]]: their union, spelt without the inner brackets. */
static char *spell_out(const char *text, const char *where)
{
	struct buffer spelt = {0};
	int depth = 0;
	for (; *text; text++) {
		if (text[0] == '\\' && text[1]) {
			spell_escape(&spelt, text++, depth, where);
			continue;
		}
		if (depth && (!strncmp(text, "[^", 2) || !strncmp(text, "[:", 2) || !strncmp(text, "&&", 2)))
			die("%s: %.2s within a class is not supported in patterns", where, text);
		bool is_inner = (*text == '[' && depth) || (*text == ']' && depth > 1);
		depth += *text == '[' ? 1 : *text == ']' && depth ? -1 : 0;
		if (!is_inner)
			buffer_append(&spelt, text, 1);
	}
	buffer_append(&spelt, "", 1);
	return spelt.data;
}

struct pattern *pattern_new(const char *text, bool literal, const char *where)
{
	struct pattern *pattern = xcalloc(1, sizeof *pattern);
	if (literal) {
		pattern->literal = xstrdup(text);
		pattern->length = strlen(text);
		return pattern;
	}
	/* Oniguruma's ^ and $ are those of lines */
	uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	if (!context || pcre2_set_newline(context, PCRE2_NEWLINE_LF))
		die_memory(0, 0);
	char *spelt = spell_out(text, where);
	int error;
	PCRE2_SIZE offset;
	pattern->code = pcre2_compile((PCRE2_SPTR)spelt, PCRE2_ZERO_TERMINATED, options, &error, &offset, context);
	if (!pattern->code) {
		PCRE2_UCHAR reason[256];
		pcre2_get_error_message(error, reason, sizeof reason);
		die("%s: not a pattern: \"%.200s\": %s", where, text, (char *)reason);
	}
	/* where it fails, the interpreter does it */
	pattern->is_compiled = !pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
	pattern->where = xstrdup(where);
	pcre2_compile_context_free(context);
	free(spelt);
	return pattern;
}

void pattern_free(struct pattern *pattern)
{
	if (!pattern)
		return;
	pcre2_code_free(pattern->code);
	free(pattern->literal);
	free(pattern->where);
	free(pattern);
}

struct matcher *matcher_new(void)
{
	struct matcher *matcher = xcalloc(1, sizeof *matcher);
	matcher->data = pcre2_match_data_create(1, NULL);
	matcher->context = pcre2_match_context_create(NULL);
	matcher->stack = pcre2_jit_stack_create(32 << 10, 16 << 20, NULL);
	if (!matcher->data || !matcher->context)
		die_memory(0, 0);
	if (matcher->stack)
		pcre2_jit_stack_assign(matcher->context, NULL, matcher->stack);
	return matcher;
}

void matcher_free(struct matcher *matcher)
{
	if (!matcher)
		return;
	pcre2_match_data_free(matcher->data);
	pcre2_match_context_free(matcher->context);
	pcre2_jit_stack_free(matcher->stack);
	free(matcher);
}

bool pattern_is_literal(const struct pattern *pattern)
{
	return pattern->literal != NULL;
}

bool pattern_find(const struct pattern *pattern, struct matcher *matcher, const char *text, size_t length, size_t from,
	size_t *start, size_t *end)
{
	if (pattern->literal) {
		const char *found = memmem(text + from, length - from, pattern->literal, pattern->length);
		if (!found)
			return false;
		*start = (size_t)(found - text);
		*end = *start + pattern->length;
		return true;
	}
	const PCRE2_SPTR subject = (PCRE2_SPTR)text;
	int found = pattern->is_compiled ?
		pcre2_jit_match(pattern->code, subject, length, from, 0, matcher->data, matcher->context) :
		pcre2_match(pattern->code, subject, length, from, PCRE2_NO_UTF_CHECK, matcher->data, matcher->context);
	if (found == PCRE2_ERROR_NOMATCH)
		return false;
	if (found < 0) {
		PCRE2_UCHAR reason[256];
		pcre2_get_error_message(found, reason, sizeof reason);
		die("%s: its pattern fails on a text of %zu bytes: %s", pattern->where, length, (char *)reason);
	}
	PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(matcher->data);
	if (bounds[0] < from || bounds[1] < bounds[0])
		die("%s: its pattern matches backwards, with \\K", pattern->where);
	*start = bounds[0];
	*end = bounds[1];
	return true;
}
