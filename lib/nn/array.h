/*
 * Arrays of floats on an arena. An arena is one thread's; what is taken from
 * it lives until the next reset, after which the same memory serves the next
 * batch: nothing is allocated once the largest batch has been met.
 */
#ifndef RECPIPE_ARRAY_H
#define RECPIPE_ARRAY_H

#include "stream/util.h"

/* Row-major; row r starts at value + r * stride. A view shares both memories with its owner. */
struct array {
	int64_t rows, columns, stride;
	float *value;
	bool kept;                    /* a backward pass needs the value */
	bool restored;                /* one needs it, and asks for it by tape_restore() */
	struct operation *again;      /* makes the value once more, from what is kept; or NULL */
	bool wanted;                  /* d loss / d value is: neither frozen nor without training */
	bool touched;                 /* the gradient holds something */
	float *gradient;              /* laid out like value; not to be used but through tape_gradient() */
	struct row_gradient *by_rows; /* instead of that gradient, for some tables of items */
	const struct packed *packed;  /* of a frozen matrix: what products take (nn/matrix.h); or NULL */
	struct array *owner;          /* of a view; else NULL */
	int64_t offset;               /* of a view: floats from its owner's first */
	struct array *before;         /* made by the same operation */
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

/* So many floats of the thread's own, 64-byte aligned, uninitialised, until it asks for them again for the same use. */
enum scratch_use { SCRATCH_LEFT, SCRATCH_RIGHT, N_SCRATCH };
float *thread_scratch(enum scratch_use use, int64_t floats);

#endif
