/*
 * Tensors as NumPy's .npy, version 1.0: little-endian, C order, and on writing
 * always a 128-byte header so that data are 64-byte aligned in the tar.
 */
#ifndef RECPIPE_NPY_H
#define RECPIPE_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "stream/util.h"

#define NPY_HEADER 128
#define NPY_MAX_DIMS 4

enum dtype { F2, F4, F8, I1, I2, I4, I8, U1, U2, U4, BOOL1, N_DTYPES };

struct tensor {
	enum dtype dtype;
	int n_dims; /* 0 is a scalar */
	int64_t shape[NPY_MAX_DIMS];
	void *data; /* who owns it is said where a tensor is handed over */
};

size_t dtype_size(enum dtype dtype);
const char *dtype_name(enum dtype dtype);          /* as NumPy writes it: "<f4" */
int64_t tensor_count(const struct tensor *tensor); /* elements */
size_t tensor_bytes(const struct tensor *tensor);  /* of data */
/* Convenience: a view on data. */
struct tensor tensor_1d(enum dtype dtype, int64_t n, const void *data);
struct tensor tensor_2d(enum dtype dtype, int64_t rows, int64_t columns, const void *data);
/* "(3, 64) <f4" for messages; text has room for 128 bytes. */
const char *tensor_describe(const struct tensor *tensor, char text[128]);

/* The header of tensor as it is written. */
void npy_header(const struct tensor *tensor, char header[NPY_HEADER]);
/*
 * Checks and takes apart the bytes of a whole .npy member; *tensor's data point into bytes (not aligned unless
 * the header has 128 bytes). Dies with `where` on anything but a version 1.0, little-endian, C-order array whose
 * size is exactly header + product of shape x item size.
 */
void npy_parse(const char *bytes, size_t size, struct tensor *tensor, const char *where);
/*
 * Data as another type, to memory for as many: any integer to I4 or I8 (dies where a value does not fit), any float to
 * F4, integers to U1 likewise. Dies with `where` where kinds differ or a float is NaN or infinite.
 */
void tensor_convert(const struct tensor *tensor, enum dtype dtype, void *to, const char *where);
/* The same, in memory the caller frees. */
void *tensor_as(const struct tensor *tensor, enum dtype dtype, const char *where);
/* Dies with `where` and the row unless the values, of the tensor's shape, are finite. */
void floats_check(const struct tensor *tensor, const float *values, const char *where);

#endif
