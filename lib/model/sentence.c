#include "model/sentence.h"

#include "model/content.h"

/* The names of what is packed. */
static void name(struct sentences *s)
{
	s->rows = s->packed.rows;
	s->tokens = ragged_count(&s->packed);
	s->indptr = s->packed.indptr;
	s->token = s->packed.field[0];
	s->type = s->packed.field[1];
	s->item = s->packed.field[2];
}

static struct ragged *packed_of(struct sentences *s)
{
	if (!s->packed.n_fields)
		s->packed = (struct ragged)RAGGED(I4, I4, I4);
	return &s->packed;
}

void sentences_clear(struct sentences *sentences)
{
	ragged_clear(packed_of(sentences));
	name(sentences);
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
	const int64_t first = s->tokens, room = limits->closing >= 0 ? end - 1 : end;
	for (int64_t t = catalog->indptr[row]; t < catalog->indptr[row + 1] && s->tokens < room; t++) {
		if (t == catalog->indptr[row] || catalog->attribute[t] != catalog->attribute[t - 1]) {
			if (attributes++ == limits->attributes)
				break;
			of_attribute = 0;
		}
		if (limits->values_only && catalog->token_type_ids[t] == TOKEN_OF_KEY)
			continue;
		if (of_attribute++ < limits->attribute_tokens)
			put(s, catalog->input_ids[t], catalog->token_type_ids[t], position);
	}
	if (limits->closing >= 0 && s->tokens > first)
		put(s, limits->closing, 0, position);
}

void sentences_add(struct sentences *s, const struct catalog *catalog, const struct sentence_limits *limits,
	int32_t bos, const int32_t *history, int64_t n)
{
	const int64_t first = ragged_add(packed_of(s), limits->tokens), end = first + limits->tokens;
	name(s);
	s->tokens = first;
	put(s, bos, 0, 0);
	for (int64_t i = 1; i <= n && i <= limits->items; i++)
		add_item(s, catalog, limits, history[n - i], (int32_t)i, end);
	ragged_shorten(&s->packed, s->tokens - first);
}

void sentences_copy(struct sentences *s, const struct sentences *from, int64_t row)
{
	ragged_append_row(packed_of(s), &from->packed, row);
	name(s);
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

/* Which item a token belongs to; the first token is one of the latest item's. */
static int32_t item_of(const struct sentences *text, int64_t token)
{
	return text->item[token] > 1 ? text->item[token] : 1;
}

void sentences_weigh(const struct sentences *text, double decay, float weights[])
{
	for (int64_t row = 0; row < text->rows; row++) {
		const int64_t first = text->indptr[row], after = text->indptr[row + 1];
		float *weight = weights + first - text->indptr[0];
		double sum = 0;
		for (int64_t from = first, end; from < after; from = end) {
			double of_item = history_weight(decay, item_of(text, from) - 1);
			for (end = from + 1; end < after && item_of(text, end) == item_of(text, from);)
				end++;
			for (int64_t t = from; t < end; t++)
				weight[t - first] = (float)(of_item / (double)(end - from));
			sum += of_item;
		}
		for (int64_t t = 0; t < after - first; t++)
			weight[t] /= (float)sum;
	}
}

void sentences_free(struct sentences *s)
{
	ragged_free(&s->packed);
	*s = (struct sentences){0};
}
