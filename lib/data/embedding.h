/*
 * The group `embedding`: a vector for each item of a catalog.
 */
#ifndef RECPIPE_EMBEDDING_H
#define RECPIPE_EMBEDDING_H

#include "data/catalog.h"

struct embedding {
	struct group group; /* meta: "source", and how it was made */
	char catalog[17];   /* fingerprint of the catalog whose rows these are */
	int64_t rows, width;
	float *vector; /* rows x width, finite */
};
extern const struct group_kind embedding_group;
/* Dies unless both groups are complete, belong together, and there is a vector for every item. */
void embedding_check(const struct embedding *embedding, const struct catalog *catalog);
void embedding_free(struct embedding *embedding);

/* Writes the group. vectors: items x width; `facts`, how they were made, go into meta.json (borrowed). */
void embedding_write(struct bag_out *out, const struct catalog *catalog, const float *vectors, int64_t width,
	const char *source, json_t *facts);

#endif
