#include "model/sentence.h"

#include <stdlib.h>
#include <string.h>

void sentences_clear(struct sentences *sentences)
{
	sentences->rows = sentences->tokens = 0;
}

static void make_room(struct sentences *s, int64_t tokens)
{
	if (s->rows + 2 > s->row_capacity) {
		s->row_capacity = 2 * s->row_capacity + 64;
		s->indptr = xreallocarray(s->indptr, (size_t)s->row_capacity, sizeof *s->indptr);
	}
	if (s->tokens + tokens > s->token_capacity) {
		s->token_capacity = 2 * s->token_capacity + tokens + 1024;
		s->token = xreallocarray(s->token, (size_t)s->token_capacity, sizeof *s->token);
		s->type = xreallocarray(s->type, (size_t)s->token_capacity, sizeof *s->type);
		s->item = xreallocarray(s->item, (size_t)s->token_capacity, sizeof *s->item);
	}
	s->indptr[0] = 0;
}

static void put(struct sentences *s, int32_t token, int32_t type, int32_t item)
{
	s->token[s->tokens] = token;
	s->type[s->tokens] = type;
	s->item[s->tokens++] = item;
}

/* The item's sentence, up to `end` tokens in all. */
static void add_item(struct sentences *s, const struct catalog *catalog, const struct sentence_limits *limits,
	int32_t row, int32_t position, int64_t end)
{
	int64_t attributes = 0, of_attribute = 0;
	for (int64_t t = catalog->indptr[row]; t < catalog->indptr[row + 1] && s->tokens < end; t++) {
		if (t == catalog->indptr[row] || catalog->attribute[t] != catalog->attribute[t - 1]) {
			if (attributes++ == limits->attributes)
				return;
			of_attribute = 0;
		}
		if (of_attribute++ < limits->attribute_tokens)
			put(s, catalog->input_ids[t], catalog->token_type_ids[t], position);
	}
}

void sentences_add(struct sentences *s, const struct catalog *catalog, const struct sentence_limits *limits,
	int32_t bos, const int32_t *history, int64_t n)
{
	make_room(s, limits->tokens);
	int64_t end = s->tokens + limits->tokens;
	put(s, bos, 0, 0);
	for (int64_t i = 1; i <= n && i <= limits->items; i++)
		add_item(s, catalog, limits, history[n - i], (int32_t)i, end);
	s->indptr[++s->rows] = s->tokens;
}

void sentences_copy(struct sentences *s, const struct sentences *from, int64_t row)
{
	int64_t first = from->indptr[row], n = from->indptr[row + 1] - first;
	make_room(s, n);
	const size_t bytes = (size_t)n * sizeof *s->token;
	memcpy(s->token + s->tokens, from->token + first, bytes);
	memcpy(s->type + s->tokens, from->type + first, bytes);
	memcpy(s->item + s->tokens, from->item + first, bytes);
	s->tokens += n;
	s->indptr[++s->rows] = s->tokens;
}

struct sentences sentences_part(const struct sentences *s, int64_t first, int64_t end)
{
	return (struct sentences){.rows = end - first,
		.tokens = s->indptr[end] - s->indptr[first],
		.indptr = s->indptr + first,
		.token = s->token,
		.type = s->type,
		.item = s->item};
}

void sentences_free(struct sentences *s)
{
	free(s->indptr);
	free(s->token);
	free(s->type);
	free(s->item);
	*s = (struct sentences){0};
}
