/*
 * GGUF (version 2 and 3, little-endian): metadata and tensor places of a mapped
 * file. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 *
 * gguf_open() checks everything once: every size, count and offset lies in the
 * file, every type is known, names are unique, tensors do not overlap. After it
 * all that is borrowed from here can be read freely. Problems die() with the
 * file and the key or tensor.
 */
#ifndef RECPIPE_GGUF_H
#define RECPIPE_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream/util.h"

enum gguf_kind {
	GGUF_U8,
	GGUF_I8,
	GGUF_U16,
	GGUF_I16,
	GGUF_U32,
	GGUF_I32,
	GGUF_F32,
	GGUF_BOOL,
	GGUF_STRING,
	GGUF_ARRAY,
	GGUF_U64,
	GGUF_I64,
	GGUF_F64,
	N_GGUF_KINDS
};

/* Text in the mapped file: not NUL-terminated, and free of NUL bytes. */
struct gguf_text {
	const char *text;
	size_t length;
};

struct gguf_value {
	struct gguf_text key;
	enum gguf_kind kind;
	enum gguf_kind element;    /* of an array; arrays of arrays are refused */
	uint64_t count;            /* elements; 1 if not an array */
	const unsigned char *data; /* the first element, unaligned, little-endian */
};

#define GGUF_MAX_DIMS 4
struct gguf_tensor {
	struct gguf_text name;
	int n_dims;
	int64_t shape[GGUF_MAX_DIMS]; /* innermost first, as in the file; 1 beyond n_dims */
	uint32_t type;                /* ggml's number: storage_of() in data/dequantise.h */
	const unsigned char *data;    /* in the mapped file, aligned as the file says (32 bytes by default) */
	size_t size;                  /* in bytes */
};

struct gguf {
	const char *path;           /* borrowed, for messages */
	const unsigned char *bytes; /* the mapped file */
	size_t size;
	bool is_mapped;            /* by gguf_open() */
	struct gguf_value *values; /* by key */
	int64_t n_values;
	struct gguf_tensor *tensors; /* by name */
	int64_t n_tensors;
};

/* Whether the file begins like one. */
bool gguf_is(const char *path);
void gguf_open(struct gguf *gguf, const char *path);
/* The same for bytes in memory (borrowed); gguf_close() leaves them alone. */
void gguf_parse(struct gguf *gguf, const void *bytes, size_t size, const char *where);
void gguf_close(struct gguf *gguf);

/* NULL where there is none. */
const struct gguf_value *gguf_find(const struct gguf *gguf, const char *key);
const struct gguf_tensor *gguf_tensor(const struct gguf *gguf, const char *name);

/*
 * Values by key. Without the key: the fallback. Of another kind (any integer kind will do for an integer), or out of
 * [low, high]: dies. The string is a copy the caller frees.
 */
int64_t gguf_get_int(const struct gguf *gguf, const char *key, int64_t low, int64_t high, int64_t fallback);
double gguf_get_float(const struct gguf *gguf, const char *key, double fallback);
bool gguf_get_bool(const struct gguf *gguf, const char *key, bool fallback);
char *gguf_get_string(const struct gguf *gguf, const char *key, const char *fallback);

/* An array of that element kind, or dies; where not required: NULL where there is none. */
const struct gguf_value *gguf_get_array(const struct gguf *gguf, const char *key, enum gguf_kind element,
	bool required);
/* Elements of arrays; index < count. */
float gguf_f32_at(const struct gguf_value *array, uint64_t index);
int32_t gguf_i32_at(const struct gguf_value *array, uint64_t index);
/* Strings are only found one after another: start with *next = array->data. */
struct gguf_text gguf_next_string(const unsigned char **next);

#endif
