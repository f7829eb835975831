/*
 * Patterns that cut text: regular expressions in Oniguruma's dialect, as far as
 * tokenizers use it, and plain strings. The only file that knows PCRE2, whose
 * Unicode may be older: letters that came later are symbols to it.
 */
#ifndef RECPIPE_PATTERN_H
#define RECPIPE_PATTERN_H

#include "stream/util.h"

/* GPT-2's words. */
extern const char WORD_PATTERN[];

/* Compiled; read-only, shared by threads. */
struct pattern;
/* Scratch memory for matching, one for each thread. */
struct matcher;

/* literal: the text itself is searched. Dies with `where` if it is no valid pattern. */
struct pattern *pattern_new(const char *text, bool literal, const char *where);
void pattern_free(struct pattern *pattern);
struct matcher *matcher_new(void);
void matcher_free(struct matcher *matcher);
/* Plain strings are found without a matcher, which may be NULL for them. */
bool pattern_is_literal(const struct pattern *pattern);
/* The next match at or after `from`, in well-formed UTF-8; false if there is none. It may be empty. */
bool pattern_find(const struct pattern *pattern, struct matcher *matcher, const char *text, size_t length, size_t from,
	size_t *start, size_t *end);

#endif
