/*
 * What a group of the stream is, told in one file for each: how its meta.json, chunks and members become a struct, and
 * the other way round. Tools say which groups they take (bag.h), and get them.
 */
#ifndef RECPIPE_GROUP_H
#define RECPIPE_GROUP_H

#include "stream/chunk.h"
#include "stream/json.h"

/* What all groups have in common; the first member of the struct that a group is read into. Zeroed: it did not come. */
struct group {
	bool complete;  /* its end came, of all shards */
	json_t *meta;   /* its meta.json, of the first shard */
	const char *id; /* the meta's: tells this content from another */
	char *source;   /* the file it came from, for messages */
};

/* A member that is no field of a chunk. Borrowed, as long as the call lasts. */
struct member {
	const char *name;  /* without the group: "config.json", "item_embeddings.weight.npy" */
	char *bytes;       /* whole, and a NUL behind; the data behind a 128-byte .npy header are 64-byte aligned */
	size_t size;       /* without the NUL */
	const char *where; /* "file: group/member" for messages */
};

/*
 * A kind of group. `group` is the struct it is read into; each function may be NULL. They die with `where` on what they
 * do not take.
 */
struct group_kind {
	const char *name;   /* "catalog" */
	const char *writer; /* for "no catalog in the stream; ...": "seq-tokenize writes one" */
	int format;         /* of what is written, and the newest that is read */
	/* meta.json, not of a further shard: it is in group->meta already, all else is empty */
	void (*begin)(void *group, const char *where);
	void (*chunk)(void *group, const struct chunk *chunk);    /* of a table; NULL: it has none, and one is an error */
	void (*member)(void *group, const struct member *member); /* NULL: others are left alone */
	/*
	 * Of a member that is to be an array of floats: its shape, and in `data` the place that it is read into. No data:
	 * it goes to member(), as it does where it is another array after all. NULL: all do.
	 */
	struct tensor (*place)(void *group, const char *name);
	void (*end)(void *group, const char *where); /* of the group or of a shard of it */
	void (*free)(void *group);                   /* frees what there is; the struct is empty again */
};

/* Dies where it is not complete: "no catalog in the stream; ...". */
void group_require(const struct group_kind *kind, const struct group *group);
/* The file it came from, for messages. */
const char *group_source(const struct group *group);
/* A fingerprint, 16 hexadecimal digits, that meta.json has under this key. */
void group_fingerprint(const struct group *group, const char *key, char fingerprint[17], const char *where);
/* Frees meta and source. */
void group_free(struct group *group);

#endif
