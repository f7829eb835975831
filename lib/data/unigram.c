/*
 * Unigram: of all ways to cut a text into tokens the one whose scores, logarithms
 * of probabilities, have the greatest sum (Kudo 2018, arXiv 1804.10959), found
 * from left to right (Viterbi). A character that is no token costs ten more than
 * the worst token; unknown characters next to each other are one unknown token,
 * or the tokens of their bytes.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/subword.h"
#include "data/tokenizer_json.h"
#include "data/trie.h"
#include "data/utf8.h"

#define UNKNOWN_PENALTY 10.0

struct unigram {
	struct trie tokens;
	double *scores; /* by id */
	double unknown_score;
	int32_t unk;
	bool byte_fallback;
	int32_t fallback[256]; /* <0x00> to <0xFF>, or -1 */
};

static void read_scores(struct unigram *model, const struct subword_source *source)
{
	int64_t n = source->tokens->count;
	double least = INFINITY;
	model->scores = xcalloc((size_t)n, sizeof *model->scores);
	for (int64_t id = 0; id < n; id++) {
		const char *token = strings_at(source->tokens, id);
		model->scores[id] = source->scores[id];
		if (!*token)
			continue;
		trie_add(&model->tokens, token, strlen(token), (int32_t)id);
		least = fmin(least, source->scores[id]);
	}
	model->unknown_score = least - UNKNOWN_PENALTY;
}

static void *read_unigram(const struct subword_source *source, int32_t *unk)
{
	const char *where = source->where;
	if (!source->scores)
		die("%s: model.vocab: an array of [token, score] was expected", where);
	struct unigram *model = xcalloc(1, sizeof *model);
	*unk = model->unk = (int32_t)json_get_int(source->model, "unk_id", 0, source->tokens->count - 1, where);
	model->byte_fallback = part_flag(source->model, "byte_fallback", false, where);
	for (unsigned byte = 0; byte < 256; byte++) {
		char text[8];
		snprintf(text, sizeof text, "<0x%02X>", byte);
		model->fallback[byte] = (int32_t)strings_find(source->tokens, text, strlen(text));
	}
	trie_init(&model->tokens);
	read_scores(model, source);
	return model;
}

static void free_unigram(void *model)
{
	struct unigram *unigram = model;
	trie_free(&unigram->tokens);
	free(unigram->scores);
	free(unigram);
}

/* The best way to a place in the text. */
struct way {
	double score;
	int32_t from, token; /* from -1: none so far */
};

struct unigram_worker {
	const struct unigram *model;
	const bool *forbidden;
	struct way *ways;
	size_t capacity;
};

static void *new_worker(const void *model, const bool *forbidden)
{
	struct unigram_worker *worker = xcalloc(1, sizeof *worker);
	worker->model = model;
	worker->forbidden = forbidden;
	return worker;
}

static void free_worker(void *worker)
{
	struct unigram_worker *own = worker;
	free(own->ways);
	free(own);
}

static void improve(struct way *way, double score, size_t from, int32_t token)
{
	if (way->from < 0 || score > way->score)
		*way = (struct way){score, (int32_t)from, token};
}

/* All steps that begin at `at`, where a character of `size` bytes stands. */
static void step(const struct unigram_worker *worker, const char *text, size_t length, size_t at, size_t size)
{
	const struct unigram *model = worker->model;
	double so_far = worker->ways[at].score;
	bool is_known = false;
	int32_t node = 0;
	for (size_t end = at; end < length && (node = trie_child(&model->tokens, node, (unsigned char)text[end]));) {
		int32_t token = model->tokens.value[node];
		end++;
		if (token < 0 || (worker->forbidden && worker->forbidden[token]))
			continue;
		improve(&worker->ways[end], so_far + model->scores[token], at, token);
		is_known |= end - at == size;
	}
	if (!is_known)
		improve(&worker->ways[at + size], so_far + model->unknown_score, at, model->unk);
}

static void find_ways(struct unigram_worker *worker, const char *text, size_t length)
{
	if (length >= INT32_MAX)
		die("a text of %zu bytes without a place to cut it", length);
	if (length >= worker->capacity) {
		worker->capacity = length * 2 + 64;
		worker->ways = xreallocarray(worker->ways, worker->capacity, sizeof *worker->ways);
	}
	for (size_t i = 0; i <= length; i++)
		worker->ways[i] = (struct way){.from = -1};
	for (size_t at = 0, size; at < length; at += size) {
		size = (size_t)utf8_next(text + at, length - at);
		step(worker, text, length, at, size);
	}
}

/* Unknown characters in a row: a token as a whole, the tokens of their bytes, or one unknown token. */
static void append_unknown(const struct unigram_worker *worker, const char *text, size_t length, struct buffer *ids)
{
	const struct unigram *model = worker->model;
	int32_t node = 0;
	for (size_t i = 0; i < length && (!i || node); i++)
		node = trie_child(&model->tokens, node, (unsigned char)text[i]);
	int32_t whole = node ? model->tokens.value[node] : -1;
	if (whole >= 0 && worker->forbidden && worker->forbidden[whole])
		whole = -1;
	bool has_bytes = model->byte_fallback && whole < 0;
	for (size_t i = 0; i < length && has_bytes; i++)
		has_bytes = model->fallback[(unsigned char)text[i]] >= 0;
	if (!has_bytes)
		buffer_append(ids, whole < 0 ? &model->unk : &whole, sizeof whole);
	for (size_t i = 0; i < length && has_bytes; i++)
		buffer_append(ids, &model->fallback[(unsigned char)text[i]], sizeof(int32_t));
}

static void encode_text(void *worker, const char *text, size_t length, struct buffer *ids)
{
	struct unigram_worker *own = worker;
	find_ways(own, text, length);
	/* turns the way back into the way there: ways[from].token and its end, which `from` now is */
	size_t end = length;
	struct way after = own->ways[end];
	while (end) {
		size_t from = (size_t)after.from;
		struct way before = own->ways[from];
		own->ways[from] = (struct way){.from = (int32_t)end, .token = after.token};
		after = before;
		end = from;
	}
	for (size_t at = 0; at < length;) {
		const struct way *way = &own->ways[at];
		end = (size_t)way->from;
		if (way->token != own->model->unk) {
			buffer_append(ids, &way->token, sizeof way->token);
		} else {
			while (end < length && own->ways[end].token == own->model->unk)
				end = (size_t)own->ways[end].from;
			append_unknown(own, text + at, end - at, ids);
		}
		at = end;
	}
}

const struct subword_kind SUBWORD_UNIGRAM = {
	.type = "Unigram",
	.read = read_unigram,
	.free = free_unigram,
	.worker_new = new_worker,
	.encode = encode_text,
	.worker_free = free_worker,
};
