/*
 * safetensors: the header and tensor places of a mapped file.
 * https://github.com/huggingface/safetensors#format
 *
 * safetensors_open() checks everything once, by the format's own rules: the
 * header is JSON of at most 100 MB without duplicate keys, dtypes are known,
 * sizes agree with shapes, and the tensors cover the data without overlap, hole
 * or rest. Problems die() with the file and the tensor.
 */
#ifndef RECPIPE_SAFETENSORS_H
#define RECPIPE_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream/json.h"

#define SAFETENSORS_MAX_DIMS 4
struct safetensor {
	const char *name;
	const char *dtype; /* "F32", "BF16", ... */
	int n_dims;
	int64_t shape[SAFETENSORS_MAX_DIMS]; /* outermost first; 1 beyond n_dims */
	const unsigned char *data;           /* in the mapped file, row by row, little-endian, perhaps unaligned */
	size_t size;                         /* in bytes */
};

struct safetensors {
	const char *path;           /* borrowed, for messages */
	const unsigned char *bytes; /* the mapped file */
	size_t size;
	bool is_mapped;             /* by safetensors_open() */
	json_t *header;             /* names and dtypes are its strings */
	struct safetensor *tensors; /* by place */
	int64_t n_tensors;
};

/* Whether the file begins like one. */
bool safetensors_is(const char *path);
void safetensors_open(struct safetensors *safetensors, const char *path);
/* The same for bytes in memory (borrowed); safetensors_close() leaves them alone. */
void safetensors_parse(struct safetensors *safetensors, const void *bytes, size_t size, const char *where);
void safetensors_close(struct safetensors *safetensors);

#endif
