#include "data/added_tokens.h"

#include <stdlib.h>
#include <string.h>

#include "data/unicode.h"
#include "data/utf8.h"

void added_tokens_add(struct added_tokens *set, const char *text, size_t length, const struct added_token *token)
{
	if (!set->spellings.value)
		trie_init(&set->spellings);
	if (!(set->n_tokens & (set->n_tokens - 1)))
		set->tokens = xreallocarray(set->tokens, (size_t)set->n_tokens * 2 + 1, sizeof *set->tokens);
	trie_add(&set->spellings, text, length, set->n_tokens);
	set->tokens[set->n_tokens++] = *token;
	set->first = (unsigned char)*text;
	set->n_begins += !set->begins[set->first];
	set->begins[set->first] = true;
}

void added_tokens_free(struct added_tokens *set)
{
	trie_free(&set->spellings);
	free(set->tokens);
	*set = (struct added_tokens){0};
}

/* Where a token may begin, from `at` on; where the text ends, if nowhere. */
static size_t next_begin(const struct added_tokens *set, const char *text, size_t length, size_t at)
{
	if (set->n_begins == 1 && at < length) {
		const char *begin = memchr(text + at, set->first, length - at);
		return begin ? (size_t)(begin - text) : length;
	}
	while (at < length && !set->begins[(unsigned char)text[at]])
		at++;
	return at;
}

/* The leftmost, longest token from match->next on; NULL: none. */
static const struct added_token *find(const struct added_tokens *set, const char *text, size_t length,
	struct added_match *match)
{
	const struct added_token *found = NULL;
	for (size_t at = match->next; !found && (at = next_begin(set, text, length, at)) < length; at++) {
		int32_t node = 0;
		for (size_t i = at; i < length && (node = trie_child(&set->spellings, node, (unsigned char)text[i]));) {
			i++;
			if (set->spellings.value[node] < 0)
				continue;
			found = &set->tokens[set->spellings.value[node]];
			*match = (struct added_match){at, i, i};
		}
	}
	return found;
}

static bool stands_alone(const char *text, size_t length, size_t start, size_t end)
{
	return !(start && unicode_is_word(utf8_code_point(text + utf8_previous(text, start)))) &&
		!(end < length && unicode_is_word(utf8_code_point(text + end)));
}

/* Takes the white space along that the token wants. */
static void widen(const struct added_token *token, const char *text, size_t length, size_t least, size_t *start,
	size_t *end)
{
	while (token->lstrip && *start > least) {
		size_t before = utf8_previous(text, *start);
		if (!unicode_is_white_space(utf8_code_point(text + before)))
			break;
		*start = before;
	}
	while (token->rstrip && *end < length && unicode_is_white_space(utf8_code_point(text + *end)))
		*end += (size_t)utf8_next(text + *end, length - *end);
}

int32_t added_tokens_find(const struct added_tokens *set, const char *text, size_t length, bool special_as_text,
	size_t least, struct added_match *match)
{
	const struct added_token *token;
	while (set->n_tokens && (token = find(set, text, length, match))) {
		if ((special_as_text && token->special) ||
			(token->single_word && !stands_alone(text, length, match->start, match->end)))
			continue;
		widen(token, text, length, least, &match->start, &match->end);
		return token->id;
	}
	return -1;
}
