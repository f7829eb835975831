/*
 * A stream is a bag of named tensors, and a tool adds names to the bag.
 *
 * A group is a folder of members: meta.json first, end.json last, between them
 * a table's chunks (NNNNNN.field.npy or .txt) or a model's tensors. This layer
 * applies the rules of tensor-stream(5): a group met again with the same id is
 * continued (shards) or, where that shard is already complete, skipped; with
 * another id it replaces the earlier one; chunks and shards are complete; rows
 * of a chunk's fields agree; ragged fields fit their indptr. What the tool does
 * not want or drop passes to the output untouched, as it is read.
 *
 *     struct bag *bag = bag_open(&cli);
 *     bag_want(bag, "catalog");            // delivered and passed on
 *     bag_drop(bag, "model");              // not passed on: this tool writes its own
 *     bag_pass_to(bag, out);
 *     struct piece piece;
 *     while (bag_next(bag, &piece))
 *         catalog_take(&catalog, &piece);  // each loader knows its group by name
 *     bag_close(bag);
 */
#ifndef RECPIPE_BAG_H
#define RECPIPE_BAG_H

#include "stream/cli.h"
#include "stream/frame.h"
#include "stream/json.h"
#include "stream/npy.h"

#define BAG_MAX_FIELDS 16
#define CHUNK_BYTES (16u << 20)

/* One field of a chunk, as read: a tensor, or `rows` strings. Borrowed from the piece. */
struct field {
	char name[64]; /* "item", "user_id" */
	bool is_text;
	struct tensor tensor; /* .npy; data 64-byte aligned */
	char *text;           /* .txt: rows NUL-terminated strings one after another */
	size_t text_size;     /* with the NULs */
};

struct chunk {
	int64_t number, rows;
	int n_fields;
	struct field fields[BAG_MAX_FIELDS];
};

enum piece_kind {
	PIECE_META,   /* a wanted group starts, anew or continued: json */
	PIECE_CHUNK,  /* of a wanted table: chunk */
	PIECE_MEMBER, /* any other member of a wanted group: name, bytes, size */
	PIECE_END,    /* a wanted group, or a shard of it, is complete: json */
};

/* Everything is borrowed and valid until the next bag_next(). */
struct piece {
	enum piece_kind kind;
	const char *group; /* "catalog" */
	bool continues;    /* META: the next shard of what was already delivered; else forget what came before */
	json_t *json;      /* META, END */
	struct chunk *chunk;
	const char *name; /* MEMBER: without the group, "config.json", "item_embeddings.weight.npy" */
	/* MEMBER: whole, NUL-terminated after size; 64-byte aligned data for 128-byte npy headers */
	char *bytes;
	size_t size;
	const char *where; /* "file: group/member" for messages */
};

struct bag;
struct bag_out;

struct bag *bag_open(const struct cli *cli);
struct bag *bag_open_paths(const struct cli *cli, char *const *paths);
void bag_want(struct bag *bag, const char *group);
void bag_drop(struct bag *bag, const char *group);
void bag_pass_to(struct bag *bag, struct bag_out *out);
/* The next piece of a wanted group; false at the end, where every group begun was checked to be complete. */
bool bag_next(struct bag *bag, struct piece *piece) MUST_USE;
/* Whether a group of this name has been seen so far (wanted or not), and its latest id, or NULL. */
const char *bag_group_id(const struct bag *bag, const char *group);
void bag_close(struct bag *bag);

bool piece_is(const struct piece *piece, enum piece_kind kind, const char *group);
/* The named field of the chunk; NULL where it is missing. */
const struct field *chunk_field(const struct chunk *chunk, const char *name);
/*
 * A required numeric field as dtype (converted or checked; see tensor_as), memory to be freed by the caller.
 * n_dims and, for 2-d, width (0: any) are checked. Dies naming the field.
 */
void *piece_array(const struct piece *piece, const char *name, enum dtype dtype, int64_t *count);
/* A required text field. Borrowed. */
const char *piece_text(const struct piece *piece, const char *name, size_t *size);

/* --- writing --- */

struct bag_out *bag_create(const struct cli *cli);
/*
 * Starts a group: writes GROUP/meta.json with "group", "id", "shard" [i, n] and what `details` holds (reference
 * stolen; may be NULL). Shard i of n is 1-based; 1 of 1 is a whole.
 */
void bag_begin(struct bag_out *out, const char *group, uint64_t id, int shard, int shards, json_t *details);
/* Members of the current group, by their name within it. */
void bag_add_json(struct bag_out *out, const char *name, const json_t *document);
void bag_add_tensor(struct bag_out *out, const char *name, const struct tensor *tensor);
void bag_add_bytes(struct bag_out *out, const char *name, const void *data, size_t size);
/*
 * Rows of a table: fields in the same order and of the same kind at every call. Chunks are cut at about CHUNK_BYTES.
 * A tensor field has `rows` as first dimension; if a field "indptr" (I8, rows + 1 entries, any base) is present,
 * tensor fields marked ragged hold indptr[rows] - indptr[0] entries. Text: rows NUL-terminated strings.
 */
struct column {
	const char *name;
	bool is_text, is_ragged;
	struct tensor tensor;
	const char *text;
};
void bag_add_rows(struct bag_out *out, int64_t rows, const struct column columns[], int n_columns);
/* Writes the last chunk and GROUP/end.json: rows, chunks, shard. */
void bag_end(struct bag_out *out);
/* Adds log/NN-tool.json (unless --no-history; reference stolen), ends the frame, -o: renames. Frees. */
void bag_finish(struct bag_out *out, json_t *history);

#endif
