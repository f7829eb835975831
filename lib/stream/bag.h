/*
 * A stream is a bag of named tensors, and a tool adds names to the bag.
 *
 * A group is a folder of members: meta.json first, end.json last, between them a table's chunks (NNNNNN.field.npy or
 * .txt) or a model's tensors. This layer applies the rules of tensor-stream(5): a group met again with the same id is
 * continued (shards) or, where that shard is already complete, skipped; with another id it replaces the earlier one,
 * and that is told; a newer format is refused; chunks and shards are complete; rows of a chunk's fields agree; ragged
 * fields fit their indptr. What the tool neither takes nor drops passes to the output untouched, as it is read.
 *
 *     struct bag *bag = bag_open(cli.inputs);
 *     bag_take(bag, &catalog_group, &catalog);     read, and passed on
 *     bag_drop(bag, "ranking");                    not passed on: this tool writes its own
 *     bag_pass_to(bag, out);
 *     bag_read(bag);
 */
#ifndef RECPIPE_BAG_H
#define RECPIPE_BAG_H

#include "stream/bag_out.h"
#include "stream/group.h"

struct bag;

/* Paths, a NULL-terminated list, borrowed; none, or "-", is stdin. */
struct bag *bag_open(char *const *paths);
/*
 * The group of this kind is read into `group`, a struct that begins
 * with a struct group, zeroed or as begun by the kind.
 */
void bag_take(struct bag *bag, const struct group_kind *kind, void *group);
/*
 * Every group of this kind: one that would replace another is read into a struct of its own, which `another` gives,
 * zeroed. The earlier ones must be complete by then.
 */
void bag_take_each(struct bag *bag, const struct group_kind *kind, void *(*another)(void *owner), void *owner);
/* The files that groups of this name, and shards of them, come from, read or not, are appended to an array. */
void bag_take_sources(struct bag *bag, const char *name, json_t *sources);
void bag_take_from(struct bag *bag, const struct group_kind *kind, void *group, const char *path);
/*
 * Records of the history, each once, are appended with "stream",
 * where it came from, and "log", its name there: "01-seq-train".
 */
void bag_take_history(struct bag *bag, json_t *records);
/* The group is not passed on. */
void bag_drop(struct bag *bag, const char *name);
void bag_pass_to(struct bag *bag, struct bag_out *out);
/* Reads all of it; at the end every group begun was checked to be complete. Frees the bag. */
void bag_read(struct bag *bag);

#endif
