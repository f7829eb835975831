#include "data/subword.h"

#include <stdlib.h>
#include <string.h>

#include "data/word_cache.h"

static const struct subword_kind *const KINDS[] = {&SUBWORD_BPE, &SUBWORD_WORDPIECE, &SUBWORD_UNIGRAM};

/* Files of the first versions do not say: the keys of the model tell. */
static const char *type_by_keys(const json_t *model)
{
	if (json_is_array(json_object_get(model, "vocab")))
		return SUBWORD_UNIGRAM.type;
	return json_object_get(model, "merges") ? SUBWORD_BPE.type : SUBWORD_WORDPIECE.type;
}

const struct subword_kind *subword_kind_of(const json_t *model, const char *where)
{
	const char *type = json_object_get(model, "type") ? json_get_string(model, "type", where) : type_by_keys(model);
	for (size_t i = 0; i < COUNT_OF(KINDS); i++)
		if (!strcmp(type, KINDS[i]->type))
			return KINDS[i];
	die("%s: model \"%.80s\" is not supported: BPE, WordPiece and Unigram are", where, type);
}

void subword_free(struct subword *subword)
{
	if (subword->kind)
		subword->kind->free(subword->model);
	*subword = (struct subword){0};
}

struct subword_worker {
	const struct subword_kind *kind;
	void *worker;
	struct word_cache *cache;
};

struct subword_worker *subword_worker_new(const struct subword *subword, const bool *forbidden)
{
	struct subword_worker *worker = xcalloc(1, sizeof *worker);
	worker->kind = subword->kind;
	worker->worker = subword->kind->worker_new(subword->model, forbidden);
	worker->cache = word_cache_new();
	return worker;
}

void subword_encode(struct subword_worker *worker, const char *word, size_t length, struct buffer *ids)
{
	if (word_cache_get(worker->cache, word, length, ids))
		return;
	size_t before = ids->size;
	worker->kind->encode(worker->worker, word, length, ids);
	word_cache_put(worker->cache, word, length, ids->data + before, ids->size - before);
}

void subword_worker_free(struct subword_worker *worker)
{
	if (!worker)
		return;
	worker->kind->worker_free(worker->worker);
	word_cache_free(worker->cache);
	free(worker);
}
