#include "data/word_cache.h"

#include <stdlib.h>
#include <string.h>

#include "data/short_bytes.h"

#define SLOTS (1 << 15)
#define ARENA_BYTES (4u << 20) /* words and ids together */
#define LONGEST 128            /* longer words seldom come back */

struct cached {
	uint32_t hash; /* 0: empty */
	uint32_t length;
	uint32_t at; /* in the arena: the word, then its ids */
	uint32_t n_ids;
};

struct word_cache {
	struct cached slots[SLOTS];
	int32_t n_cached;
	struct buffer arena;
	uint32_t hash;        /* of the word that was not found, and */
	struct cached *empty; /* where it belongs */
};

struct word_cache *word_cache_new(void)
{
	return xcalloc(1, sizeof(struct word_cache));
}

void word_cache_free(struct word_cache *cache)
{
	if (cache)
		buffer_free(&cache->arena);
	free(cache);
}

static uint32_t word_hash(const char *word, size_t length)
{
	uint64_t hash = length;
	for (; length >= 8; length -= 8, word += 8) {
		hash = (hash ^ eight_bytes(word)) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	hash = (hash ^ few_bytes(word, length)) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(hash >> 32) | 1;
}

static struct cached *find_slot(struct word_cache *cache, uint32_t hash, const char *word, size_t length)
{
	for (uint32_t i = hash >> 1;; i++) {
		struct cached *slot = &cache->slots[i % SLOTS];
		if (!slot->hash ||
			(slot->hash == hash && slot->length == length && same_bytes(cache->arena.data + slot->at, word, length)))
			return slot;
	}
}

bool word_cache_get(struct word_cache *cache, const char *word, size_t length, struct buffer *ids)
{
	if (length > LONGEST)
		return false;
	cache->hash = word_hash(word, length);
	cache->empty = find_slot(cache, cache->hash, word, length);
	if (!cache->empty->hash)
		return false;
	buffer_append(ids, cache->arena.data + cache->empty->at + length, cache->empty->n_ids * sizeof(int32_t));
	return true;
}

void word_cache_put(struct word_cache *cache, const char *word, size_t length, const char *ids, size_t size)
{
	if (length > LONGEST)
		return;
	if (cache->n_cached == SLOTS / 2 || cache->arena.size + length + size > ARENA_BYTES) {
		memset(cache->slots, 0, sizeof cache->slots);
		cache->n_cached = 0;
		cache->arena.size = 0;
		cache->empty = find_slot(cache, cache->hash, word, length);
	}
	*cache->empty = (struct cached){cache->hash, (uint32_t)length, (uint32_t)cache->arena.size,
		(uint32_t)(size / sizeof(int32_t))};
	buffer_append(&cache->arena, word, length);
	buffer_append(&cache->arena, ids, size);
	cache->n_cached++;
}
