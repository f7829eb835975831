#include "data/item_tokens.h"

#include <stdlib.h>
#include <string.h>

#include "stream/json.h"
#include "stream/progress.h"

#define ITEMS_AT_ONCE 256 /* encoded by a thread at a time */

/* What a thread works with. */
struct encoder {
	const struct item_texts *texts;
	struct tokenize_worker *whole, *bare; /* with what stands around a text, and without */
	int64_t budget;
	struct buffer text, kept, ids;
	struct text_part *parts;
	int64_t *need, *share; /* tokens, by part */
	int64_t *n_cut;        /* items, by attribute */
};

static int64_t count_ids(const struct buffer *ids)
{
	return (int64_t)(ids->size / sizeof(int32_t));
}

/* Tokens of a text that may be longer than the budget. */
static int64_t tokens_in(struct encoder *encoder, struct tokenize_worker *worker, const char *text, size_t length)
{
	encoder->ids.size = 0;
	return tokenize(worker, text, length, 0, &encoder->ids) + count_ids(&encoder->ids);
}

/* --- shares --- */

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* In equal shares; what one does not need goes to the others. */
static void share_equally(const int64_t *need, int n, int64_t room, int64_t *share)
{
	memset(share, 0, (size_t)n * sizeof *share);
	for (int open = n; room > 0 && open;) {
		open = 0;
		for (int i = 0; i < n; i++)
			open += share[i] < need[i];
		const int64_t equal = open && room / open ? room / open : 1;
		for (int i = 0; i < n; i++) {
			const int64_t more = least(least(equal, need[i] - share[i]), room);
			share[i] += more;
			room -= more;
		}
	}
}

/* The first what the others leave, and half of the room at least. */
static void share_room(const int64_t *need, int n, int64_t room, int64_t *share)
{
	int64_t others = 0;
	for (int i = 1; i < n; i++)
		others += need[i];
	const int64_t half = (room + 1) / 2, first = room - others > half ? room - others : half;
	share[0] = least(need[0], first);
	share_equally(need + 1, n - 1, room - share[0], share + 1);
}

/* --- what is kept of a part --- */

static bool begins_character(char byte)
{
	return ((unsigned char)byte & 0xc0) != 0x80;
}

/* The longest beginning, of whole characters and at least `from`, that has no more tokens than its share. */
static size_t longest_within(struct encoder *encoder, const char *text, size_t from, size_t length, int64_t share)
{
	size_t fits = from, too_long = length;
	while (too_long - fits > 1) {
		size_t middle = fits + (too_long - fits) / 2;
		while (middle > fits && !begins_character(text[middle]))
			middle--;
		if (middle == fits)
			for (middle = fits + 1; middle < too_long && !begins_character(text[middle]); middle++)
				;
		if (middle >= too_long)
			break;
		if (tokens_in(encoder, encoder->bare, text, middle) <= share)
			fits = middle;
		else
			too_long = middle;
	}
	return fits;
}

/* Where a text that ends inside a word would end behind the one before it; where there is none, as it is. */
static size_t behind_word(const char *text, size_t from, size_t end, size_t length)
{
	size_t word = end;
	if (end < length && text[end] != ' ')
		while (word > from && text[word - 1] != ' ')
			word--;
	while (word > from && text[word - 1] == ' ')
		word--;
	return word > from ? word : end;
}

/* Appends what a share of a part's tokens holds. The first part is never left out. */
static void keep_part(struct encoder *encoder, const struct text_part *part, int64_t share, bool first)
{
	const char *text = encoder->text.data + part->begin;
	const size_t length = part->end - part->begin, value = part->value - part->begin;
	size_t from = 0, end = longest_within(encoder, text, value, length, share);
	if (end > value && tokens_in(encoder, encoder->bare, text, end) <= share) {
		end = behind_word(text, value, end, length);
	} else if (first) { /* no room for its name */
		from = value;
		end = value + longest_within(encoder, text + value, 0, length - value, share);
		if (end == value)
			end = length;
	} else {
		return;
	}
	buffer_append(&encoder->kept, text + from, end - from);
}

/* --- items --- */

/* Makes encoder->kept of encoder->text, which is too long, unless there is nothing to share out; whether it did. */
static bool cut_text(struct encoder *encoder, int n)
{
	int n_attributes = 0;
	int64_t room = encoder->budget - tokens_in(encoder, encoder->whole, "", 0);
	const size_t begin = encoder->parts[0].begin;
	room -= tokens_in(encoder, encoder->bare, encoder->text.data, begin);
	for (int i = 0; i < n; i++) {
		const struct text_part *part = &encoder->parts[i];
		encoder->need[i] = tokens_in(encoder, encoder->bare, encoder->text.data + part->begin, part->end - part->begin);
		n_attributes += part->attribute >= 0;
	}
	if (n_attributes < n)
		room -= encoder->need[n - 1]; /* the template's end stays */
	if (n_attributes < 2 || room < 1)
		return false;
	share_room(encoder->need, n_attributes, room, encoder->share);
	encoder->kept.size = 0;
	buffer_append(&encoder->kept, encoder->text.data, begin);
	for (int i = 0; i < n; i++) {
		const struct text_part *part = &encoder->parts[i];
		if (i == n_attributes || encoder->share[i] >= encoder->need[i]) {
			buffer_append(&encoder->kept, encoder->text.data + part->begin, part->end - part->begin);
			continue;
		}
		keep_part(encoder, part, encoder->share[i], i == 0);
		encoder->n_cut[part->attribute]++;
	}
	return true;
}

/* The item's tokens, into encoder->ids; whether it has more. */
static bool encode_item(struct encoder *encoder, int64_t item)
{
	encoder->text.size = encoder->ids.size = 0;
	const int n = item_text_parts(encoder->texts, item, &encoder->text, encoder->parts);
	if (!n || !tokenize(encoder->whole, encoder->text.data, encoder->text.size, encoder->budget, &encoder->ids))
		return false;
	const bool is_shared = cut_text(encoder, n);
	const struct buffer *text = is_shared ? &encoder->kept : &encoder->text;
	if (!is_shared)
		encoder->n_cut[encoder->parts[0].attribute]++;
	encoder->ids.size = 0;
	tokenize(encoder->whole, text->data, text->size, encoder->budget, &encoder->ids);
	return true;
}

static struct encoder encoder_of(const struct item_texts *texts, const struct tokenizer *tokenizer, int64_t budget,
	bool add_special)
{
	const size_t parts = (size_t)item_texts_parts(texts);
	struct tokenize_options options = {.add_special = add_special, .special_as_text = true}, bare = options;
	bare.add_special = false;
	return (struct encoder){.texts = texts,
		.whole = tokenize_worker_new(tokenizer, options),
		.bare = tokenize_worker_new(tokenizer, bare),
		.budget = budget,
		.parts = xcalloc(parts, sizeof(struct text_part)),
		.need = xcalloc(parts, sizeof(int64_t)),
		.share = xcalloc(parts, sizeof(int64_t)),
		.n_cut = xcalloc(UINT8_MAX + 1, sizeof(int64_t))};
}

static void encoder_free(struct encoder *encoder)
{
	tokenize_worker_free(encoder->whole);
	tokenize_worker_free(encoder->bare);
	buffer_free(&encoder->text);
	buffer_free(&encoder->kept);
	buffer_free(&encoder->ids);
	free(encoder->parts);
	free(encoder->need);
	free(encoder->share);
	free(encoder->n_cut);
}

/* What the blocks hold, in their order. */
static struct item_tokens join(struct ragged *blocks, int64_t n_blocks)
{
	struct ragged all = RAGGED(I4);
	ragged_clear(&all);
	for (int64_t block = 0; block < n_blocks; block++) {
		ragged_append_rows(&all, blocks[block].rows, blocks[block].indptr, (const void *[]){blocks[block].field[0]});
		ragged_free(&blocks[block]);
	}
	return (struct item_tokens){.rows = all.rows, .indptr = all.indptr, .ids = all.field[0]};
}

static json_t *cut_by_name(const struct item_texts *texts, const int64_t *n_cut)
{
	json_t *cut = json_object();
	for (int i = 0; i <= UINT8_MAX; i++)
		if (n_cut[i])
			json_set(cut, item_texts_attribute(texts, i), json_integer(n_cut[i]));
	return cut;
}

struct item_tokens item_texts_encode(const struct item_texts *texts, const struct tokenizer *tokenizer, int64_t budget,
	bool add_special, int threads)
{
	int64_t rows = item_texts_count(texts), n_blocks = (rows + ITEMS_AT_ONCE - 1) / ITEMS_AT_ONCE, n_cut = 0;
	int64_t n_cut_of[UINT8_MAX + 1] = {0};
	struct ragged *blocks = xcalloc((size_t)n_blocks, sizeof *blocks);
#pragma omp parallel num_threads(threads) reduction(+ : n_cut)
	{
		struct encoder encoder = encoder_of(texts, tokenizer, budget, add_special);
#pragma omp for schedule(dynamic)
		for (int64_t block = 0; block < n_blocks; block++) {
			int64_t end = (block + 1) * ITEMS_AT_ONCE < rows ? (block + 1) * ITEMS_AT_ONCE : rows;
			blocks[block] = (struct ragged)RAGGED(I4);
			for (int64_t item = block * ITEMS_AT_ONCE; item < end; item++) {
				n_cut += encode_item(&encoder, item);
				ragged_append(&blocks[block], count_ids(&encoder.ids), (const void *[]){encoder.ids.data});
			}
		}
#pragma omp critical
		for (int i = 0; i <= UINT8_MAX; i++)
			n_cut_of[i] += encoder.n_cut[i];
		encoder_free(&encoder);
	}
	struct item_tokens tokens = join(blocks, n_blocks);
	free(blocks);
	tokens.budget = budget;
	tokens.n_cut = n_cut;
	tokens.cut = cut_by_name(texts, n_cut_of);
	return tokens;
}

void item_tokens_tell(const struct item_tokens *tokens)
{
	struct buffer list = {0};
	const char *name;
	json_t *count;
	if (!tokens->n_cut)
		return;
	json_object_foreach (tokens->cut, name, count) {
		char *entry = xasprintf("%s %s in %lld", list.size ? "," : "", name, (long long)json_integer_value(count));
		buffer_append(&list, entry, strlen(entry));
		free(entry);
	}
	buffer_append(&list, "", 1);
	notice("%lld of %s %s longer than %s, and cut:%s", (long long)tokens->n_cut, counted(tokens->rows, "texts"),
		by_number(tokens->n_cut, "is", "are"), counted(tokens->budget, "tokens"), list.data);
	buffer_free(&list);
}

void item_tokens_free(struct item_tokens *tokens)
{
	free(tokens->indptr);
	free(tokens->ids);
	json_decref(tokens->cut);
	*tokens = (struct item_tokens){0};
}
