#include "data/strings.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const char *text, size_t length)
{
	uint64_t hash = fingerprint(FINGERPRINT_START, text, length);
	return hash ^ (hash >> 29);
}

void strings_add(struct strings *strings, const char *text, size_t length)
{
	if (strings->count == INT32_MAX)
		die("more than %d ids", INT32_MAX - 1);
	if (strings->count == strings->capacity) {
		strings->capacity = strings->capacity ? strings->capacity * 2 : 64;
		strings->start = xreallocarray(strings->start, (size_t)strings->capacity, sizeof *strings->start);
	}
	strings->start[strings->count++] = (int64_t)strings->text.size;
	buffer_append(&strings->text, text, length);
	buffer_append(&strings->text, "", 1);
}

void strings_add_all(struct strings *strings, const char *text, int64_t count)
{
	for (int64_t i = 0; i < count; i++) {
		size_t length = strlen(text);
		strings_add(strings, text, length);
		text += length + 1;
	}
}

const char *strings_at(const struct strings *strings, int64_t row)
{
	return strings->text.data + strings->start[row];
}

/* The slot that holds the string, or the empty one where it belongs. */
static int32_t *slot_of(const struct strings *strings, const char *text, size_t length)
{
	uint64_t mask = (uint64_t)strings->n_slots - 1;
	for (uint64_t i = hash_of(text, length) & mask;; i = (i + 1) & mask) {
		int32_t row = strings->slot[i];
		if (row < 0)
			return &strings->slot[i];
		const char *known = strings_at(strings, row);
		if (!strncmp(known, text, length) && !known[length])
			return &strings->slot[i];
	}
}

/* Room in the index for `rows`, at most half full, and every row there is put in. Of equal strings the first stays. */
static void index_rows(struct strings *strings, int64_t rows)
{
	if (rows * 2 > strings->n_slots) {
		strings->n_slots = 64;
		while (strings->n_slots < rows * 4)
			strings->n_slots *= 2;
		strings->slot = xreallocarray(strings->slot, (size_t)strings->n_slots, sizeof *strings->slot);
		memset(strings->slot, -1, (size_t)strings->n_slots * sizeof *strings->slot);
		strings->n_indexed = 0;
	}
	for (; strings->n_indexed < strings->count; strings->n_indexed++) {
		const char *text = strings_at(strings, strings->n_indexed);
		int32_t *slot = slot_of(strings, text, strlen(text));
		if (*slot < 0)
			*slot = (int32_t)strings->n_indexed;
	}
}

int64_t strings_find(struct strings *strings, const char *text, size_t length)
{
	if (!strings->count)
		return -1;
	index_rows(strings, strings->count);
	return *slot_of(strings, text, length);
}

int64_t strings_intern(struct strings *strings, const char *text, size_t length)
{
	index_rows(strings, strings->count + 1);
	int32_t *slot = slot_of(strings, text, length);
	if (*slot < 0) {
		*slot = (int32_t)strings->count;
		strings_add(strings, text, length);
		strings->n_indexed = strings->count;
	}
	return *slot;
}

void strings_free(struct strings *strings)
{
	buffer_free(&strings->text);
	free(strings->start);
	free(strings->slot);
	*strings = (struct strings){0};
}
