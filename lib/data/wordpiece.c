/*
 * WordPiece: a word is cut from its start into the longest tokens there are; all
 * but the first are written with a prefix, "##" (Schuster and Nakajima 2012; as
 * BERT has it, Devlin et al. 2019). A word that cannot be cut so is unknown as a
 * whole.
 */
#include <stdlib.h>
#include <string.h>

#include "data/subword.h"
#include "data/trie.h"
#include "data/utf8.h"

struct wordpiece {
	struct trie tokens;
	int32_t continuing; /* the node of the prefix; -1: no token begins with it */
	int32_t unk;
	int64_t longest_word; /* in characters: longer ones are unknown */
};

static void *read_wordpiece(const struct subword_source *source, int32_t *unk)
{
	const char *where = source->where, *prefix = json_get_string(source->model, "continuing_subword_prefix", where);
	const char *unknown = json_get_string(source->model, "unk_token", where);
	*unk = (int32_t)strings_find(source->tokens, unknown, strlen(unknown));
	if (*unk < 0 || !*unknown)
		die("%s: the unknown token \"%.80s\" is not in the vocabulary", where, unknown);
	struct wordpiece *model = xcalloc(1, sizeof *model);
	model->unk = *unk;
	model->longest_word = json_get_int(source->model, "max_input_chars_per_word", 0, INT64_MAX, where);
	trie_init(&model->tokens);
	for (int64_t id = 0; id < source->tokens->count; id++) {
		const char *token = strings_at(source->tokens, id);
		if (*token)
			trie_add(&model->tokens, token, strlen(token), (int32_t)id);
	}
	for (const char *next = prefix; *next && model->continuing >= 0; next++) {
		int32_t child = trie_child(&model->tokens, model->continuing, (unsigned char)*next);
		model->continuing = child ? child : -1;
	}
	return model;
}

static void free_wordpiece(void *model)
{
	struct wordpiece *wordpiece = model;
	trie_free(&wordpiece->tokens);
	free(wordpiece);
}

struct wordpiece_worker {
	const struct wordpiece *model;
	const bool *forbidden;
};

static void *new_worker(const void *model, const bool *forbidden)
{
	struct wordpiece_worker *worker = xcalloc(1, sizeof *worker);
	*worker = (struct wordpiece_worker){model, forbidden};
	return worker;
}

/* The longest token from `at` on, whose end *end becomes; -1: none. */
static int32_t longest_token(const struct wordpiece_worker *worker, const char *word, size_t length, size_t at,
	size_t *end)
{
	const struct trie *tokens = &worker->model->tokens;
	int32_t node = at ? worker->model->continuing : 0, found = -1;
	for (size_t i = at; i < length && node >= 0; i++) {
		node = trie_child(tokens, node, (unsigned char)word[i]);
		if (!node)
			break;
		int32_t token = tokens->value[node];
		if (token >= 0 && !(worker->forbidden && worker->forbidden[token])) {
			found = token;
			*end = i + 1;
		}
	}
	return found;
}

static bool is_too_long(const char *word, size_t length, int64_t longest)
{
	int64_t characters = 0;
	if ((int64_t)length <= longest)
		return false;
	for (size_t i = 0; i < length; i++)
		characters += ((unsigned char)word[i] & 0xc0) != 0x80;
	return characters > longest;
}

static void encode_word(void *worker, const char *word, size_t length, struct buffer *ids)
{
	const struct wordpiece_worker *own = worker;
	size_t before = ids->size, end = 0;
	bool known = !is_too_long(word, length, own->model->longest_word);
	for (size_t at = 0; at < length && known; at = end) {
		int32_t token = longest_token(own, word, length, at, &end);
		known = token >= 0;
		if (known)
			buffer_append(ids, &token, sizeof token);
	}
	if (known)
		return;
	ids->size = before;
	buffer_append(ids, &own->model->unk, sizeof own->model->unk);
}

const struct subword_kind SUBWORD_WORDPIECE = {
	.type = "WordPiece",
	.read = read_wordpiece,
	.free = free_wordpiece,
	.worker_new = new_worker,
	.encode = encode_word,
	.worker_free = free,
};
