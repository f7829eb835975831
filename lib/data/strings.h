/*
 * A column of strings by row: ids of items and users, both ways.
 * One buffer of NUL-terminated strings; row r starts at text.data + start[r].
 */
#ifndef RECPIPE_STRINGS_H
#define RECPIPE_STRINGS_H

#include "stream/util.h"

struct strings {
	struct buffer text;
	int64_t *start;
	int64_t count, capacity;
	/*
	 * Open-addressing index from string to row, built on the first
	 * look-up or interning; a tag is part of the string's hash.
	 */
	struct strings_slot {
		uint32_t tag;
		int32_t row; /* -1: empty */
	} * slot;
	int64_t n_slots, n_indexed;
};

void strings_add(struct strings *strings, const char *text, size_t length);
/* count NUL-terminated strings one after another, as in a chunk's text field */
void strings_add_all(struct strings *strings, const char *text, int64_t count);
const char *strings_at(const struct strings *strings, int64_t row);
/* The row of a string, or -1. */
int64_t strings_find(struct strings *strings, const char *text, size_t length);
/* The row of a string, adding it if it is new. */
int64_t strings_intern(struct strings *strings, const char *text, size_t length);
/* The same of `count` strings, in this order; several times faster where the index is larger than the caches. */
void strings_intern_all(struct strings *strings, const char *const text[], const size_t length[], int64_t count,
	int32_t row[]);
/* As strings_free(), but its room is kept. */
void strings_clear(struct strings *strings);
void strings_free(struct strings *strings);

#endif
