/*
 * Learning merges. Pairs are counted once; a merge changes the counts only in the words where it happens, and a heap
 * gives the most frequent pair. Entries of the heap whose count is no longer right are put back with the right one.
 */
#include <stdlib.h>
#include <string.h>

#include "data/bpe_learn.h"
#include "data/byte_level.h"

struct pair {
	int32_t left, right;
	int64_t count;
	struct buffer words; /* int32_t: where it occurs, or did */
	bool merged;
};

struct candidate {
	int64_t count;
	int32_t left, right, pair;
};

struct learning {
	struct strings *words, *tokens;
	const int64_t *counts;
	int64_t *start; /* word w: symbols start[w] to start[w] + length[w] */
	int32_t *length, *symbols;
	struct pair *pairs;
	int32_t n_pairs, pair_capacity;
	int32_t *slots; /* from (left, right) to a pair; -1: empty */
	int64_t n_slots;
	struct candidate *heap;
	int64_t heap_size, heap_capacity;
};

static bool comes_before(const struct candidate *a, const struct candidate *b)
{
	if (a->count != b->count)
		return a->count > b->count;
	return a->left != b->left ? a->left < b->left : a->right < b->right;
}

static void propose(struct learning *learning, int32_t number)
{
	if (learning->heap_size == learning->heap_capacity) {
		learning->heap_capacity = learning->heap_capacity ? learning->heap_capacity * 2 : 1024;
		learning->heap = xreallocarray(learning->heap, (size_t)learning->heap_capacity, sizeof *learning->heap);
	}
	const struct pair *pair = &learning->pairs[number];
	struct candidate candidate = {pair->count, pair->left, pair->right, number};
	int64_t at = learning->heap_size++;
	for (; at && comes_before(&candidate, &learning->heap[(at - 1) / 2]); at = (at - 1) / 2)
		learning->heap[at] = learning->heap[(at - 1) / 2];
	learning->heap[at] = candidate;
}

static struct candidate best(struct learning *learning)
{
	struct candidate *heap = learning->heap, first = heap[0], last = heap[--learning->heap_size];
	int64_t at = 0, size = learning->heap_size;
	for (int64_t child; (child = 2 * at + 1) < size; at = child) {
		child += child + 1 < size && comes_before(&heap[child + 1], &heap[child]);
		if (!comes_before(&heap[child], &last))
			break;
		heap[at] = heap[child];
	}
	heap[at] = last;
	return first;
}

static int32_t *pair_slot(const struct learning *learning, int32_t left, int32_t right)
{
	uint64_t mask = (uint64_t)learning->n_slots - 1;
	uint64_t hash = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * UINT64_C(0x9e3779b97f4a7c15);
	for (uint64_t i = (hash >> 32) & mask;; i = (i + 1) & mask) {
		int32_t *slot = &learning->slots[i];
		if (*slot < 0 || (learning->pairs[*slot].left == left && learning->pairs[*slot].right == right))
			return slot;
	}
}

static void grow_pairs(struct learning *learning)
{
	if (learning->pair_capacity > INT32_MAX / 2)
		die("more than %d different pairs of tokens", learning->pair_capacity);
	learning->pair_capacity = learning->pair_capacity ? learning->pair_capacity * 2 : 1024;
	learning->pairs = xreallocarray(learning->pairs, (size_t)learning->pair_capacity, sizeof *learning->pairs);
	learning->n_slots = (int64_t)learning->pair_capacity * 2;
	learning->slots = xreallocarray(learning->slots, (size_t)learning->n_slots, sizeof *learning->slots);
	memset(learning->slots, -1, (size_t)learning->n_slots * sizeof *learning->slots);
	for (int32_t i = 0; i < learning->n_pairs; i++)
		*pair_slot(learning, learning->pairs[i].left, learning->pairs[i].right) = i;
}

static int32_t pair_of(struct learning *learning, int32_t left, int32_t right)
{
	if (learning->n_pairs == learning->pair_capacity)
		grow_pairs(learning);
	int32_t *slot = pair_slot(learning, left, right);
	if (*slot < 0) {
		*slot = learning->n_pairs++;
		learning->pairs[*slot] = (struct pair){.left = left, .right = right};
	}
	return *slot;
}

/* The pair occurs once more, or once less, in the word. */
static int32_t count_pair(struct learning *learning, int32_t left, int32_t right, int32_t word, int sign)
{
	int32_t number = pair_of(learning, left, right);
	struct pair *pair = &learning->pairs[number];
	pair->count += sign * learning->counts[word];
	size_t known = pair->words.size / sizeof word;
	if (sign > 0 && !(known && ((int32_t *)(void *)pair->words.data)[known - 1] == word))
		buffer_append(&pair->words, &word, sizeof word);
	return number;
}

static void start_learning(struct learning *learning)
{
	int64_t n = learning->words->count;
	learning->start = xcalloc((size_t)n, sizeof *learning->start);
	learning->length = xcalloc((size_t)n, sizeof *learning->length);
	learning->symbols = xcalloc(learning->words->text.size, sizeof *learning->symbols);
	int32_t byte_id[256];
	for (unsigned byte = 0; byte < 256; byte++) {
		char text[2];
		byte_id[byte] = (int32_t)strings_find(learning->tokens, text, byte_level_put(byte, text));
	}
	for (int64_t w = 0; w < n; w++) {
		const char *word = strings_at(learning->words, w);
		size_t length = strlen(word);
		if (length > INT32_MAX)
			die("a word of more than %d bytes", INT32_MAX);
		learning->start[w] = learning->words->start[w];
		learning->length[w] = (int32_t)length;
		int32_t *symbols = learning->symbols + learning->start[w];
		for (size_t i = 0; i < length; i++) {
			symbols[i] = byte_id[(unsigned char)word[i]];
			if (i)
				count_pair(learning, symbols[i - 1], symbols[i], (int32_t)w, 1);
		}
	}
	for (int32_t i = 0; i < learning->n_pairs; i++)
		propose(learning, i);
}

/* Merges the pair in one word; the new pairs' numbers are appended to `fresh`. */
static void merge_in_word(struct learning *learning, int32_t word, int32_t left, int32_t right, int32_t merged,
	struct buffer *fresh)
{
	int32_t *symbols = learning->symbols + learning->start[word], length = learning->length[word], kept = 0;
	for (int32_t i = 0; i < length; i++) {
		if (i + 1 == length || symbols[i] != left || symbols[i + 1] != right) {
			symbols[kept++] = symbols[i];
			continue;
		}
		if (kept) {
			count_pair(learning, symbols[kept - 1], left, word, -1);
			int32_t pair = count_pair(learning, symbols[kept - 1], merged, word, 1);
			buffer_append(fresh, &pair, sizeof pair);
		}
		i++;
		if (i + 1 < length) {
			count_pair(learning, right, symbols[i + 1], word, -1);
			int32_t pair = count_pair(learning, merged, symbols[i + 1], word, 1);
			buffer_append(fresh, &pair, sizeof pair);
		}
		symbols[kept++] = merged;
	}
	learning->length[word] = kept;
}

static int ascending(const void *a, const void *b)
{
	int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;
	return (left > right) - (left < right);
}

static void merge_everywhere(struct learning *learning, int32_t number, int32_t merged)
{
	struct pair *pair = &learning->pairs[number];
	struct buffer words = pair->words, fresh = {0};
	int32_t left = pair->left, right = pair->right;
	pair->words = (struct buffer){0};
	pair->count = 0;
	pair->merged = true;
	const int32_t *word = (const int32_t *)(void *)words.data;
	for (size_t i = 0; i < words.size / sizeof *word; i++)
		merge_in_word(learning, word[i], left, right, merged, &fresh);
	size_t n = fresh.size / sizeof(int32_t);
	int32_t *proposed = (int32_t *)(void *)fresh.data;
	if (n)
		qsort(proposed, n, sizeof *proposed, ascending);
	for (size_t i = 0; i < n; i++)
		if (!i || proposed[i] != proposed[i - 1])
			propose(learning, proposed[i]);
	buffer_free(&words);
	buffer_free(&fresh);
}

static void end_learning(struct learning *learning)
{
	for (int32_t i = 0; i < learning->n_pairs; i++)
		buffer_free(&learning->pairs[i].words);
	free(learning->pairs);
	free(learning->slots);
	free(learning->heap);
	free(learning->start);
	free(learning->length);
	free(learning->symbols);
}

void bpe_learn(struct strings *words, const int64_t *counts, int64_t vocab_size, struct strings *tokens,
	struct strings *merges)
{
	struct learning learning = {.words = words, .tokens = tokens, .counts = counts};
	byte_level_add_tokens(tokens);
	start_learning(&learning);
	struct buffer text = {0};
	while (tokens->count < vocab_size && learning.heap_size) {
		struct candidate candidate = best(&learning);
		struct pair *pair = &learning.pairs[candidate.pair];
		if (candidate.count != pair->count) {
			if (pair->count > 1)
				propose(&learning, candidate.pair);
			continue;
		}
		if (pair->count < 2)
			break;
		text.size = 0;
		const char *left = strings_at(tokens, pair->left), *right = strings_at(tokens, pair->right);
		size_t left_length = strlen(left);
		buffer_append(&text, left, left_length);
		buffer_append(&text, " ", 1);
		buffer_append(&text, right, strlen(right));
		if (!pair->merged)
			strings_add(merges, text.data, text.size);
		memmove(text.data + left_length, text.data + left_length + 1, text.size - left_length - 1);
		merge_everywhere(&learning, candidate.pair, (int32_t)strings_intern(tokens, text.data, text.size - 1));
	}
	buffer_free(&text);
	end_learning(&learning);
}
