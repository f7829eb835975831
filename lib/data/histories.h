/*
 * What models read: parts of users' sequences, packed end to end.
 */
#ifndef RECPIPE_HISTORIES_H
#define RECPIPE_HISTORIES_H

#include "data/sequences.h"
#include "stream/ragged.h"

/* Oldest item first: history r is item[indptr[r] .. indptr[r + 1]). Borrowed. */
struct histories {
	int64_t rows;
	const int64_t *indptr;    /* rows + 1, from any base */
	const int32_t *item;      /* rows of the catalog, checked by the caller */
	const int64_t *timestamp; /* of each item; NULL where there are none */
};
/* Histories [from, to). */
struct histories histories_part(const struct histories *histories, int64_t from, int64_t to);

/* Histories to be packed: empty, with room for timestamps where the sequences have them. Freed by ragged_free(). */
struct ragged histories_new(const struct sequences *sequences);
/* Appends the n events from `first` on. */
void histories_append(struct ragged *packed, const struct sequences *sequences, int64_t first, int64_t n);
/* What is packed; valid until more is. */
struct histories histories_of(const struct ragged *packed);

#endif
