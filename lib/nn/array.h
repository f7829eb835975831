/*
 * Arrays of floats on an arena. An arena is one thread's; what is taken from
 * it lives until the next reset, after which the same memory serves the next
 * batch: nothing is allocated once the largest batch has been met.
 */
#ifndef RECPIPE_ARRAY_H
#define RECPIPE_ARRAY_H

#include "stream/util.h"

/* Row-major; row r starts at value + r * stride. A view shares both memories with what it is a view of. */
struct array {
	int64_t rows, columns, stride;
	float *value;
	float *gradient; /* d loss / d value, laid out like value; NULL: none is wanted (frozen, or not training) */
	bool touched;    /* gradient holds something; until then its contents are undefined */
};

struct arena {
	char *block;
	size_t used, size;
	struct arena_old *old; /* earlier blocks, outgrown since the last reset */
	size_t total;          /* bytes taken since the last reset */
};
/* 64-byte aligned, uninitialised. Dies where rows x columns x size overflows. */
void *arena_take(struct arena *arena, int64_t rows, int64_t columns, size_t size);
void arena_reset(struct arena *arena);
void arena_free(struct arena *arena);

#endif
