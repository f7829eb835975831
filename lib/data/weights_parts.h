/*
 * What weights.c and its two kinds of sources share: no business of others.
 */
#ifndef RECPIPE_WEIGHTS_PARTS_H
#define RECPIPE_WEIGHTS_PARTS_H

#include "data/dequantise.h"
#include "data/family.h"
#include "data/gguf.h"
#include "data/safetensors.h"
#include "data/weights.h"

struct weight {
	char *name;                    /* Hugging Face's */
	const char *path;              /* of its file; borrowed */
	const char *type;              /* for messages */
	const struct storage *storage; /* NULL: not numbers that can be read */
	int n_dims;
	int64_t shape[WEIGHTS_MAX_DIMS]; /* outermost first */
	int64_t outer, inner; /* the file's is of (outer, inner, the rest): these are swapped on reading; 0: not so */
	bool is_less_one;     /* 1 is added */
	bool is_scaled;       /* by a tensor of scales, where there is one */
	const unsigned char *data;
	size_t size;
};

struct weights {
	const char *path;
	const struct family *family;
	json_t *config;
	struct weight *list; /* by name */
	int64_t count, capacity;
	struct gguf gguf;  /* path NULL: a folder */
	struct gguf *more; /* the other parts of a split model, and their paths */
	char **more_paths;
	int n_more;
	int64_t block[2]; /* of numbers in 8 bits, rows and columns that have a scale in common; 0: it is not said */
	char *folder;     /* NULL: GGUF */
	struct safetensors *shards;
	char **shard_paths;
	int n_shards;
};

/* Room for one more weight, zeroed. */
struct weight *weights_add(struct weights *weights);

/* Each fills family, config and list. */
void weights_from_gguf(struct weights *weights);
void weights_from_folder(struct weights *weights);
void weights_from_file(struct weights *weights); /* no family, no config */

#endif
