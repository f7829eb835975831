/*
 * Sentencepiece's precompiled map of characters: a trie of what is replaced
 * (Darts' double array) and the replacements, each ended by a NUL.
 */
#ifndef RECPIPE_CHARSMAP_H
#define RECPIPE_CHARSMAP_H

#include "stream/util.h"

struct charsmap;
/* From base64, as tokenizer.json has it. Dies with `where` if it is malformed. */
struct charsmap *charsmap_read(const char *base64, const char *where);
void charsmap_free(struct charsmap *map);
/* Appends the well-formed text with its characters replaced, cluster by cluster, as the reference does. */
void charsmap_apply(const struct charsmap *map, const char *text, size_t length, struct buffer *out);
/* The bytes as base64, NUL-terminated, to be freed. */
char *base64_encode(const void *bytes, size_t size);

#endif
