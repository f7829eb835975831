/*
 * Chunks of tables (tensor-stream(5)): fields of as many rows, of which those that are ragged fit the chunk's indptr.
 */
#ifndef RECPIPE_CHUNK_H
#define RECPIPE_CHUNK_H

#include "stream/npy.h"
#include "stream/ragged.h"

#define CHUNK_MAX_FIELDS 272 /* room for 256 attributes of items */
#define CHUNK_BYTES (16u << 20)
#define FIELD_NAME_MAX 63

/* A column of a table: written down once, for those who write and those who read. */
struct column {
	const char *name;
	enum column_shape {
		COLUMN_TEXT,   /* a line for each row */
		COLUMN_ONE,    /* a number for each row */
		COLUMN_WIDE,   /* as many numbers for each row as `width` says when it is written */
		COLUMN_INDPTR, /* where each row of the ragged columns ends, I8 */
		COLUMN_RAGGED  /* entries of differing number for each row */
	} shape;
	enum dtype dtype; /* of all but text */
	int64_t width;
};

/* One field of a chunk, as read: a tensor, or lines. */
struct field {
	char name[FIELD_NAME_MAX + 1];
	bool is_text;
	struct tensor tensor; /* .npy; data 64-byte aligned */
	char *text;           /* .txt: NUL-terminated strings one after another */
	char *memory;         /* where either is */
};

struct chunk {
	int64_t number, rows;
	int n_fields;
	struct field *fields;
	int room;
	char *where; /* "file: group/member" of its last member, for messages */
};

/* --- reading --- */

bool chunk_has(const struct chunk *chunk, const struct column *column);
/* `rows` NUL-terminated strings one after another; dies where there is no such text. Borrowed. */
const char *chunk_text(const struct chunk *chunk, const struct column *column);
/*
 * The numbers of a column in its type, converted where every value fits (tensor_as); dies where they are missing, or
 * not as many as its shape says. COLUMN_WIDE: `width` a row, 0: any. Borrowed.
 */
const void *chunk_numbers(const struct chunk *chunk, const struct column *column);
/* Numbers a row of a COLUMN_WIDE; dies where it has not two axes. */
int64_t chunk_width(const struct chunk *chunk, const struct column *column);
/* The chunk's rows of indptr and of ragged columns, one for each of the fields of `ragged`, behind those it has. */
void chunk_append_ragged(const struct chunk *chunk, const struct column *indptr, const struct column columns[],
	struct ragged *ragged);

/* --- for bag.c --- */

/* "NNNNNN.field.npy" or "NNNNNN.field.txt" taken apart; false for any other member name. */
bool chunk_parse_name(const char *name, int64_t *number, char field[FIELD_NAME_MAX + 1], bool *is_text) MUST_USE;
/* The bytes of a member, 64-byte aligned with a NUL behind, as one more field. Owned by the chunk from now on. */
void chunk_add(struct chunk *chunk, const char *name, bool is_text, char *bytes, size_t size, const char *where);
/* Once all fields are there: checks that their rows agree, and counts them. */
void chunk_check(struct chunk *chunk);
/* Names, types and widths of the fields, which all chunks of a table have in common, as text to be freed. */
char *chunk_describe(const struct chunk *chunk);
/* Back to no fields. */
void chunk_clear(struct chunk *chunk);
void chunk_free(struct chunk *chunk);

#endif
