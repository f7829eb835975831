/*
 * Byte pair encoding: a word becomes the ids of its characters (or bytes), then
 * neighbours are merged, the merge of lowest rank first, leftmost first (Sennrich
 * et al. 2016, arXiv 1508.07909; bytes as characters: Radford et al. 2019).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/byte_level.h"
#include "data/subword.h"
#include "data/tokenizer_json.h"
#include "data/utf8.h"

struct merge {
	int32_t left, right; /* left -1: an empty slot */
	int32_t rank;
};

struct bpe {
	struct strings tokens; /* row = id; "" where an id has no token */
	bool byte_level;       /* characters are bytes, written in the vocabulary as GPT-2 does */
	bool byte_fallback;    /* unknown characters become the tokens <0x00> to <0xFF> of their bytes */
	bool fuse_unk;         /* unknown characters next to each other are one unknown token */
	bool ignore_merges;    /* a word that is a token is that token, whatever the merges say */
	int32_t unk;           /* the unknown token, or -1: unknown characters vanish */
	int32_t byte_id[256];  /* the token of one byte (byte_level), or of one ASCII character; or -1 */
	int32_t fallback[256]; /* <0x00> to <0xFF>, or -1 */
	struct merge *merges;  /* open addressing by pair */
	int64_t n_slots;
	int32_t *merged; /* by rank: what the merge gives */
	int64_t n_merges;
	struct buffer both; /* while merges are read: the tokens of one, joined */
};

/* --- reading --- */

static int32_t token_id(const struct bpe *bpe, const char *token, size_t length)
{
	/* a look-up only builds the index on first use, which read_tokens() has made */
	return length ? (int32_t)strings_find((struct strings *)&bpe->tokens, token, length) : -1;
}

static void read_tokens(struct bpe *bpe, const struct subword_source *source)
{
	bpe->tokens = *source->tokens;
	*source->tokens = (struct strings){0};
	strings_find(&bpe->tokens, "a", 1);
	for (unsigned byte = 0; byte < 256; byte++) {
		char text[8];
		size_t length = 1;
		text[0] = (char)byte;
		if (bpe->byte_level)
			length = byte_level_put(byte, text);
		bpe->byte_id[byte] = bpe->byte_level || (byte && byte < 0x80) ? token_id(bpe, text, length) : -1;
		snprintf(text, sizeof text, "<0x%02X>", byte);
		bpe->fallback[byte] = token_id(bpe, text, 6);
	}
}

static struct merge *merge_slot(const struct bpe *bpe, int32_t left, int32_t right)
{
	uint64_t mask = (uint64_t)bpe->n_slots - 1;
	uint64_t hash = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * UINT64_C(0x9e3779b97f4a7c15);
	for (uint64_t i = (hash >> 32) & mask;; i = (i + 1) & mask) {
		struct merge *slot = &bpe->merges[i];
		if (slot->left < 0 || (slot->left == left && slot->right == right))
			return slot;
	}
}

/* False if left, right or both together are not in the vocabulary. A pair met again has its later rank. */
static bool add_pair(struct bpe *bpe, const char *left, size_t left_length, const char *right, size_t right_length)
{
	struct buffer *both = &bpe->both;
	both->size = 0;
	buffer_append(both, left, left_length);
	buffer_append(both, right, right_length);
	int32_t left_id = token_id(bpe, left, left_length);
	int32_t right_id = token_id(bpe, right, right_length);
	int32_t merged = token_id(bpe, both->data, both->size);
	if (left_id < 0 || right_id < 0 || merged < 0)
		return false;
	*merge_slot(bpe, left_id, right_id) = (struct merge){left_id, right_id, (int32_t)bpe->n_merges};
	bpe->merged[bpe->n_merges++] = merged;
	return true;
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
	if (!add_pair(bpe, left, left_length, right, strlen(right)))
		die("%s: merge %zu, \"%.*s %.80s\": its parts or their join are not in the vocabulary", where, rank,
			(int)(left_length < 80 ? left_length : 80), left, right);
}

static void read_merges(struct bpe *bpe, const json_t *merges, const char *where)
{
	size_t n = json_array_size(merges);
	for (bpe->n_slots = 64; bpe->n_slots < (int64_t)n * 2;)
		bpe->n_slots *= 2;
	bpe->merges = xreallocarray(NULL, (size_t)bpe->n_slots, sizeof *bpe->merges);
	memset(bpe->merges, -1, (size_t)bpe->n_slots * sizeof *bpe->merges);
	bpe->merged = xcalloc(n, sizeof *bpe->merged);
	for (size_t rank = 0; rank < n; rank++)
		add_merge(bpe, json_array_get(merges, rank), rank, where);
	buffer_free(&bpe->both);
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

static void *read_bpe(const struct subword_source *source, int32_t *unk)
{
	const json_t *model = source->model, *unknown = json_object_get(model, "unk_token");
	const char *where = source->where;
	refuse(model, "dropout", where);
	refuse(model, "continuing_subword_prefix", where);
	refuse(model, "end_of_word_suffix", where);
	struct bpe *bpe = xcalloc(1, sizeof *bpe);
	bpe->byte_level = source->byte_level;
	bpe->byte_fallback = part_flag(model, "byte_fallback", false, where);
	bpe->fuse_unk = part_flag(model, "fuse_unk", false, where);
	bpe->ignore_merges = part_flag(model, "ignore_merges", false, where);
	bpe->unk = -1;
	const json_t *merges = part_array(model, "merges", where);
	read_tokens(bpe, source);
	if (unknown && !json_is_null(unknown)) {
		const char *token = json_get_string(model, "unk_token", where);
		bpe->unk = token_id(bpe, token, strlen(token));
		if (bpe->unk < 0)
			die("%s: the unknown token \"%.80s\" is not in the vocabulary", where, token);
	}
	read_merges(bpe, merges, where);
	*unk = bpe->unk;
	return bpe;
}

static void free_bpe(void *model)
{
	struct bpe *bpe = model;
	strings_free(&bpe->tokens);
	free(bpe->merges);
	free(bpe->merged);
	free(bpe);
}

/* --- encoding words --- */

#define NO_MERGE UINT32_MAX

struct symbol {
	int32_t id, previous, next;
	uint32_t rank; /* of the merge with the next symbol */
};

struct bpe_worker {
	const struct bpe *bpe;
	const bool *forbidden;
	struct symbol *symbols;
	int32_t n_symbols, capacity;
	uint64_t *heap; /* rank << 32 | position: the least is the next merge */
	int64_t heap_size, heap_capacity;
	struct buffer spelling;
};

static void *new_worker(const void *model, const bool *forbidden)
{
	struct bpe_worker *worker = xcalloc(1, sizeof *worker);
	worker->bpe = model;
	worker->forbidden = forbidden;
	return worker;
}

static void free_worker(void *worker)
{
	struct bpe_worker *own = worker;
	free(own->symbols);
	free(own->heap);
	buffer_free(&own->spelling);
	free(own);
}

static void add_symbol(struct bpe_worker *worker, int32_t id)
{
	if (worker->n_symbols == worker->capacity) {
		if (worker->capacity > INT32_MAX / 2)
			die("a word of more than %d characters", worker->capacity);
		worker->capacity = worker->capacity ? worker->capacity * 2 : 256;
		worker->symbols = xreallocarray(worker->symbols, (size_t)worker->capacity, sizeof *worker->symbols);
	}
	int32_t at = worker->n_symbols++;
	worker->symbols[at] = (struct symbol){id, at - 1, at + 1, NO_MERGE};
}

static void push(struct bpe_worker *worker, uint64_t key)
{
	if (worker->heap_size == worker->heap_capacity) {
		worker->heap_capacity = worker->heap_capacity ? worker->heap_capacity * 2 : 256;
		worker->heap = xreallocarray(worker->heap, (size_t)worker->heap_capacity, sizeof *worker->heap);
	}
	int64_t at = worker->heap_size++;
	while (at && worker->heap[(at - 1) / 2] > key) {
		worker->heap[at] = worker->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	worker->heap[at] = key;
}

static uint64_t pop(struct bpe_worker *worker)
{
	uint64_t *heap = worker->heap, least = heap[0], last = heap[--worker->heap_size];
	int64_t at = 0, size = worker->heap_size;
	for (int64_t child; (child = 2 * at + 1) < size; at = child) {
		child += child + 1 < size && heap[child + 1] < heap[child];
		if (heap[child] >= last)
			break;
		heap[at] = heap[child];
	}
	heap[at] = last;
	return least;
}

/* Looks up the merge of the symbol and the one after it, and queues it. */
static void consider(struct bpe_worker *worker, int32_t at)
{
	struct symbol *symbol = &worker->symbols[at];
	symbol->rank = NO_MERGE;
	if (symbol->next >= worker->n_symbols)
		return;
	const struct merge *merge = merge_slot(worker->bpe, symbol->id, worker->symbols[symbol->next].id);
	if (merge->left < 0)
		return;
	symbol->rank = (uint32_t)merge->rank;
	push(worker, (uint64_t)symbol->rank << 32 | (uint32_t)at);
}

static void merge_symbols(struct bpe_worker *worker)
{
	struct symbol *symbols = worker->symbols;
	for (int32_t i = 0; i < worker->n_symbols; i++)
		consider(worker, i);
	while (worker->heap_size) {
		uint64_t key = pop(worker);
		int32_t at = (int32_t)(uint32_t)key;
		if (symbols[at].rank != key >> 32)
			continue; /* queued before one of the two was merged elsewhere */
		int32_t gone = symbols[at].next, after = symbols[gone].next;
		symbols[at].id = worker->bpe->merged[key >> 32];
		symbols[at].next = after;
		symbols[gone].rank = NO_MERGE;
		if (after < worker->n_symbols)
			symbols[after].previous = at;
		consider(worker, at);
		if (symbols[at].previous >= 0)
			consider(worker, symbols[at].previous);
	}
}

static void start_with_bytes(struct bpe_worker *worker, const char *word, size_t length)
{
	const struct bpe *bpe = worker->bpe;
	for (size_t i = 0; i < length; i++) {
		int32_t id = bpe->byte_id[(unsigned char)word[i]];
		if (id >= 0)
			add_symbol(worker, id);
		else if (bpe->unk >= 0 && !(bpe->fuse_unk && i && bpe->byte_id[(unsigned char)word[i - 1]] < 0))
			add_symbol(worker, bpe->unk);
	}
}

/* Adds the tokens of a character's bytes if the vocabulary has them all. */
static bool fall_back(struct bpe_worker *worker, const char *text, int length)
{
	for (int i = 0; i < length; i++)
		if (worker->bpe->fallback[(unsigned char)text[i]] < 0)
			return false;
	for (int i = 0; i < length; i++)
		add_symbol(worker, worker->bpe->fallback[(unsigned char)text[i]]);
	return true;
}

/* An unknown token waits, to be fused with the next, until a known character comes: as the reference has it. */
static void start_with_characters(struct bpe_worker *worker, const char *word, size_t length)
{
	const struct bpe *bpe = worker->bpe;
	bool unknown_waits = false;
	int step;
	for (size_t i = 0; i < length; i += (size_t)step) {
		step = utf8_next(word + i, length - i);
		int32_t id = step == 1 ? bpe->byte_id[(unsigned char)word[i]] : token_id(bpe, word + i, (size_t)step);
		if (id < 0 && bpe->byte_fallback && fall_back(worker, word + i, step))
			continue;
		if (unknown_waits && (id >= 0 || !bpe->fuse_unk)) {
			add_symbol(worker, bpe->unk);
			unknown_waits = false;
		}
		if (id >= 0)
			add_symbol(worker, id);
		else
			unknown_waits = bpe->unk >= 0;
	}
	if (unknown_waits)
		add_symbol(worker, bpe->unk);
}

/* The id of a word that is a token as a whole, or -1. */
static int32_t whole_word(struct bpe_worker *worker, const char *word, size_t length)
{
	if (worker->bpe->byte_level) {
		worker->spelling.size = 0;
		byte_level_spell(word, length, &worker->spelling);
		word = worker->spelling.data;
		length = worker->spelling.size;
	}
	int32_t id = memchr(word, '\0', length) ? -1 : token_id(worker->bpe, word, length);
	return id >= 0 && worker->forbidden && worker->forbidden[id] ? -1 : id;
}

static void encode_word(void *worker, const char *word, size_t length, struct buffer *ids)
{
	struct bpe_worker *own = worker;
	int32_t whole = own->bpe->ignore_merges ? whole_word(own, word, length) : -1;
	if (whole >= 0) {
		buffer_append(ids, &whole, sizeof whole);
		return;
	}
	own->n_symbols = 0;
	if (own->bpe->byte_level)
		start_with_bytes(own, word, length);
	else
		start_with_characters(own, word, length);
	merge_symbols(own);
	for (int32_t i = 0; i < own->n_symbols; i = own->symbols[i].next)
		buffer_append(ids, &own->symbols[i].id, sizeof own->symbols[i].id);
}

const struct subword_kind SUBWORD_BPE = {
	.type = "BPE",
	.reads_bytes = true,
	.read = read_bpe,
	.free = free_bpe,
	.worker_new = new_worker,
	.encode = encode_word,
	.worker_free = free_worker,
};
