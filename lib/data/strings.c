#include "data/strings.h"

#include <stdlib.h>
#include <string.h>

#include "data/short_bytes.h"

#define GROUP 512 /* strings whose hashes are made together */
#define AHEAD 12  /* strings that each step of a look-up is ahead of the next */

static uint64_t mixed(uint64_t a, uint64_t b)
{
	__extension__ typedef unsigned __int128 wide;
	const wide product = (wide)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Eight bytes at a time, the last of them once more where they are no whole eight. */
static uint64_t hash_of(const char *text, size_t length)
{
	uint64_t hash = length * UINT64_C(0x9e3779b97f4a7c15);
	for (size_t i = 0; i + 8 <= length; i += 8)
		hash = mixed(hash ^ eight_bytes(text + i), UINT64_C(0xa0761d6478bd642f));
	const uint64_t last = length >= 8 ? eight_bytes(text + length - 8) : few_bytes(text, length);
	return mixed(hash ^ last, UINT64_C(0xe7037ed1a0b428db));
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

/* Without its NUL. */
static size_t length_at(const struct strings *strings, int64_t row)
{
	int64_t end = row + 1 < strings->count ? strings->start[row + 1] : (int64_t)strings->text.size;
	return (size_t)(end - strings->start[row]) - 1;
}

static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)(hash >> 32);
}

static int64_t home_of(const struct strings *strings, uint64_t hash)
{
	return (int64_t)(hash & ((uint64_t)strings->n_slots - 1));
}

/* The slot that holds the string, or the empty one where it belongs. */
static inline struct strings_slot *slot_of(const struct strings *strings, const char *text, size_t length,
	uint64_t hash)
{
	for (int64_t i = home_of(strings, hash);; i = (i + 1) & (strings->n_slots - 1)) {
		struct strings_slot *slot = &strings->slot[i];
		if (slot->row < 0)
			return slot;
		if (slot->tag == tag_of(hash) && length_at(strings, slot->row) == length &&
			same_bytes(strings_at(strings, slot->row), text, length))
			return slot;
	}
}

/* Room in the index for `rows`, at most three quarters full, with every row there. Of equal strings the first stays. */
static void index_rows(struct strings *strings, int64_t rows)
{
	if (rows * 4 > strings->n_slots * 3) {
		strings->n_slots = 64;
		while (strings->n_slots < rows * 2)
			strings->n_slots *= 2;
		strings->slot = xreallocarray(strings->slot, (size_t)strings->n_slots, sizeof *strings->slot);
		memset(strings->slot, -1, (size_t)strings->n_slots * sizeof *strings->slot);
		strings->n_indexed = 0;
	}
	for (; strings->n_indexed < strings->count; strings->n_indexed++) {
		const char *text = strings_at(strings, strings->n_indexed);
		size_t length = length_at(strings, strings->n_indexed);
		uint64_t hash = hash_of(text, length);
		struct strings_slot *slot = slot_of(strings, text, length, hash);
		if (slot->row < 0)
			*slot = (struct strings_slot){tag_of(hash), (int32_t)strings->n_indexed};
	}
}

int64_t strings_find(struct strings *strings, const char *text, size_t length)
{
	if (!strings->count)
		return -1;
	if (strings->n_indexed < strings->count)
		index_rows(strings, strings->count);
	return slot_of(strings, text, length, hash_of(text, length))->row;
}

/* Where there is room for one row more in the index. */
static int32_t intern(struct strings *strings, const char *text, size_t length, uint64_t hash)
{
	struct strings_slot *slot = slot_of(strings, text, length, hash);
	if (slot->row < 0) {
		*slot = (struct strings_slot){tag_of(hash), (int32_t)strings->count};
		strings_add(strings, text, length);
		strings->n_indexed = strings->count;
	}
	return slot->row;
}

int64_t strings_intern(struct strings *strings, const char *text, size_t length)
{
	index_rows(strings, strings->count + 1);
	return intern(strings, text, length, hash_of(text, length));
}

/*
 * A look-up waits for memory three times, one after the other: for the slot, for where the string starts, and for the
 * string. So each of these is asked for while those of strings before it are on their way.
 */
static void prefetch_slot(const struct strings *strings, uint64_t hash)
{
	__builtin_prefetch(&strings->slot[home_of(strings, hash)]);
}

/* The row that the string may have, so far; -1: it is new. */
static int32_t prefetch_start(const struct strings *strings, uint64_t hash)
{
	int64_t at = home_of(strings, hash);
	while (strings->slot[at].row >= 0 && strings->slot[at].tag != tag_of(hash))
		at = (at + 1) & (strings->n_slots - 1);
	const int32_t row = strings->slot[at].row;
	if (row >= 0)
		__builtin_prefetch(&strings->start[row]);
	return row;
}

static void prefetch_text(const struct strings *strings, int32_t row)
{
	if (row >= 0)
		__builtin_prefetch(strings_at(strings, row));
}

static void intern_group(struct strings *strings, const char *const text[], const size_t length[], int count,
	int32_t row[])
{
	uint64_t hash[GROUP];
	int32_t likely[GROUP];
	index_rows(strings, strings->count + count);
	for (int i = 0; i < count; i++)
		hash[i] = hash_of(text[i], length[i]);
	for (int i = -3 * AHEAD; i < count; i++) {
		const int slot = i + 3 * AHEAD, start = i + 2 * AHEAD, string = i + AHEAD;
		if (slot < count)
			prefetch_slot(strings, hash[slot]);
		if (start >= 0 && start < count)
			likely[start] = prefetch_start(strings, hash[start]);
		if (string >= 0 && string < count)
			prefetch_text(strings, likely[string]);
		if (i >= 0)
			row[i] = intern(strings, text[i], length[i], hash[i]);
	}
}

void strings_intern_all(struct strings *strings, const char *const text[], const size_t length[], int64_t count,
	int32_t row[])
{
	for (int64_t first = 0; first < count; first += GROUP)
		intern_group(strings, text + first, length + first, count - first < GROUP ? (int)(count - first) : GROUP,
			row + first);
}

void strings_clear(struct strings *strings)
{
	strings->text.size = 0;
	strings->count = strings->n_indexed = strings->n_slots = 0;
	free(strings->slot);
	strings->slot = NULL;
}

void strings_free(struct strings *strings)
{
	buffer_free(&strings->text);
	free(strings->start);
	free(strings->slot);
	*strings = (struct strings){0};
}
