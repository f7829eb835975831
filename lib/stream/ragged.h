/*
 * Rows of differing length, packed end to end: the entries of row r are
 * [indptr[r], indptr[r + 1]) of each field. The one place that packs them.
 *
 *     struct ragged batch = RAGGED(I4, I8);          an empty one of two fields
 *     ragged_append(&batch, n, (const void *[]){item + first, time + first});
 *     const int32_t *items = batch.field[0];
 *     ragged_clear(&batch);                          the next batch, in the same memory
 *     ragged_free(&batch);
 */
#ifndef RECPIPE_RAGGED_H
#define RECPIPE_RAGGED_H

#include "stream/npy.h"

#define RAGGED_FIELDS 3

/* Pointers move as it grows. Each is memory of its own, for free(), where one takes it over. */
struct ragged {
	int n_fields;
	enum dtype dtype[RAGGED_FIELDS];
	int64_t rows;
	int64_t *indptr; /* rows + 1, from 0; NULL before anything was done */
	void *field[RAGGED_FIELDS];
	int64_t row_room, room;
};
#define RAGGED(...)                                                                                                    \
	{                                                                                                                  \
		.n_fields = (int)(sizeof((enum dtype[]){__VA_ARGS__}) / sizeof(enum dtype)), .dtype = { __VA_ARGS__ }          \
	}

/* Entries of all rows. */
int64_t ragged_count(const struct ragged *ragged);
/* No rows; the memory stays, and indptr is there. */
void ragged_clear(struct ragged *ragged);
/* A row of `length` entries that the caller fills; returns where they begin. */
int64_t ragged_add(struct ragged *ragged, int64_t length);
/* A row of `length` entries; those of field i are copied from source[i]. */
void ragged_append(struct ragged *ragged, int64_t length, const void *const source[]);
/* A row as another, of the same fields, has it. */
void ragged_append_row(struct ragged *ragged, const struct ragged *from, int64_t row);
/* Rows as another has them: indptr of rows + 1 entries from any base, and source[i] from entry indptr[0] on; copied. */
void ragged_append_rows(struct ragged *ragged, int64_t rows, const int64_t indptr[], const void *const source[]);
/* Ends the last row after `length` entries: the rest of what was added for it is given back. */
void ragged_shorten(struct ragged *ragged, int64_t length);
/* Back to no rows and no memory; the fields stay what they are. */
void ragged_free(struct ragged *ragged);

#endif
