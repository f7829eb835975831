/*
 * Ids and words, most of them of a few bytes: eight at a time and without calls, which would be a twentieth of all
 * reading.
 */
#ifndef RECPIPE_SHORT_BYTES_H
#define RECPIPE_SHORT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t eight_bytes(const char *at)
{
	uint64_t eight;
	memcpy(&eight, at, sizeof eight);
	return eight;
}

/* Of fewer than eight bytes all, some of them twice; of the same number other bytes give another value. */
static inline uint64_t few_bytes(const char *at, size_t length)
{
	if (length >= 4) {
		uint32_t first, last;
		memcpy(&first, at, sizeof first);
		memcpy(&last, at + length - 4, sizeof last);
		return (uint64_t)first << 32 | last;
	}
	if (!length)
		return 0;
	const unsigned char *byte = (const unsigned char *)at;
	return (uint64_t)byte[0] << 16 | (uint64_t)byte[length / 2] << 8 | byte[length - 1];
}

static inline bool same_bytes(const char *a, const char *b, size_t length)
{
	size_t i = 0;
	for (; i + 8 <= length; i += 8)
		if (eight_bytes(a + i) != eight_bytes(b + i))
			return false;
	return few_bytes(a + i, length - i) == few_bytes(b + i, length - i);
}

#endif
