/*
 * The ids of words met before. Of bounded size: when it is full it starts anew,
 * so that what is found never depends on what was asked.
 */
#ifndef RECPIPE_WORD_CACHE_H
#define RECPIPE_WORD_CACHE_H

#include "stream/util.h"

struct word_cache;
struct word_cache *word_cache_new(void);
/* Appends the ids (int32_t) of the word; false if it is not known. */
bool word_cache_get(struct word_cache *cache, const char *word, size_t length, struct buffer *ids);
/* Keeps the ids, `size` bytes of them, of the word that was just asked for and not known. */
void word_cache_put(struct word_cache *cache, const char *word, size_t length, const char *ids, size_t size);
void word_cache_free(struct word_cache *cache);

#endif
