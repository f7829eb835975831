/*
 * Writing a stream: groups one after another, among what bag.h passes on. What a group consists of is told in its own
 * file (group.h); here are the frame around it, its meta.json and end.json, and chunks of about CHUNK_BYTES.
 */
#ifndef RECPIPE_BAG_OUT_H
#define RECPIPE_BAG_OUT_H

#include "stream/group.h"

struct bag_out;

/* To a file, which appears once it is complete, or stdout (NULL), at a level of compression. */
struct bag_out *bag_create(const char *path, int level);
/*
 * Starts a group: writes its meta.json with "group", "format", "id", "shard" [i, n] and what `details` holds (reference
 * stolen; may be NULL). Shard i of n is 1-based; 1 of 1 is a whole.
 */
void bag_begin(struct bag_out *out, const struct group_kind *kind, uint64_t id, int shard, int shards, json_t *details);
/* Members of the current group, by their name within it. */
void bag_add_json(struct bag_out *out, const char *name, const json_t *document);
void bag_add_tensor(struct bag_out *out, const char *name, const struct tensor *tensor);
void bag_add_bytes(struct bag_out *out, const char *name, const void *data, size_t size);
/*
 * Rows of a table: the same columns at every call. data[i]: NUL-terminated strings one after another; numbers of the
 * column's type; of a COLUMN_INDPTR, which must be there where there are COLUMN_RAGGED, rows + 1 entries from any base;
 * ragged data begin where it begins. NULL: the table does not have this column.
 */
void bag_add_rows(struct bag_out *out, int64_t rows, const struct column columns[], const void *const data[],
	int n_columns);
/* Writes the last chunk and end.json: rows, chunks, shard. */
void bag_end(struct bag_out *out);
/*
 * Adds log/NN-tool.json (reference stolen; NULL: none) with "read" and "wrote", the ids of the groups by their names;
 * ends the frame, -o: renames. Frees.
 */
void bag_finish(struct bag_out *out, json_t *history);

/* --- for bag.c: members of the input as they are --- */

struct frame_out *bag_frame(struct bag_out *out);
/* A group that was read, for the tool's own record. */
void bag_note_read(struct bag_out *out, const char *group, const char *id);
/* A record of the history was passed on: the tool's own is numbered after it. */
void bag_count_log(struct bag_out *out, const char *member);
/* Shard i of n starts at this chunk. */
#define BAG_MAX_SHARDS 1000000
int64_t bag_first_chunk(int shard, int shards);

#endif
