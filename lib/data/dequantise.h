/*
 * The ways in which weights are stored, under ggml's numbers and names, and how
 * numbers come out of them: llama.cpp's ggml-quants.c is the reference, and
 * values are its own to the last bit.
 */
#ifndef RECPIPE_DEQUANTISE_H
#define RECPIPE_DEQUANTISE_H

#include <stdint.h>

enum { STORED_F32 = 0 }; /* ggml's number */

/* Rows of a tensor are whole blocks; a plain number is a block of one. */
struct storage {
	const char *name;
	int elements, bytes; /* of a block */
	/* NULL: known, but not to be read here. Both are unaligned and do not overlap. */
	void (*decode)(const unsigned char *from, int64_t blocks, float *to);
};

/* NULL where ggml has no such number, or no longer. */
const struct storage *storage_of(uint32_t number);
/* By the name that safetensors have for it: F32, F16, BF16, F8_E4M3, F8_E5M2. NULL: another, which is not read. */
const struct storage *storage_named(const char *name);

/* The names of those that can be read, "F32, F16, ...". To be freed. */
char *storages_readable(void);

/* `count` numbers, whole blocks, in parallel. storage->decode is not NULL. */
void dequantise(const struct storage *storage, const void *from, int64_t count, float *to);

#endif
