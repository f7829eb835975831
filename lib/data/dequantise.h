/*
 * The ways in which weights are stored, under ggml's numbers and names, and how
 * numbers come out of them: llama.cpp's ggml-quants.c is the reference, and
 * values are its own to the last bit.
 */
#ifndef RECPIPE_DEQUANTISE_H
#define RECPIPE_DEQUANTISE_H

#include <stdint.h>

/* ggml's numbers of those that safetensors files have too. */
enum { STORED_F32 = 0, STORED_F16 = 1, STORED_BF16 = 30 };

/* Rows of a tensor are whole blocks; a plain number is a block of one. */
struct storage {
	const char *name;
	int elements, bytes; /* of a block */
	/* NULL: known, but not to be read here. Both are unaligned and do not overlap. */
	void (*decode)(const unsigned char *from, int64_t blocks, float *to);
};

/* NULL where ggml has no such number, or no longer. */
const struct storage *storage_of(uint32_t number);

/* The names of those that can be read, "F32, F16, ...". To be freed. */
char *storages_readable(void);

/* `count` numbers, whole blocks, in parallel. storage->decode is not NULL. */
void dequantise(const struct storage *storage, const void *from, int64_t count, float *to);

#endif
