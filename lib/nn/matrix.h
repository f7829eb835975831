/*
 * Products of matrices: the one place that knows how a matrix is stored for them. gemm() multiplies floats. A frozen
 * matrix may be packed besides, once and for all products, as multiply() takes it then.
 */
#ifndef RECPIPE_MATRIX_H
#define RECPIPE_MATRIX_H

#include "nn/array.h"
#include "stream/json.h"

/*
 * How products are made from here on, by all threads: in floats, in bfloat16 split in two parts (nn/bf16.h), or in one.
 * Where the processor has no instructions that make these faster, and for small ones, floats it is in any case.
 */
enum precision { PRECISION_F32, PRECISION_SPLIT, PRECISION_BF16 };
extern const char *const precision_names[]; /* "f32", "split", "bf16", NULL */
/* Of a struct with such a field (stream/option.h). What two parts lose is less than what seeds differ by. */
/* clang-format off */
#define PRECISION_OPTION(type, field) {"precision", .argument = "NAME", CHOICE_OPTION(type, field, precision_names), \
	.fallback = "split", \
	.help = "Of products, where the processor makes them faster: f32, split (16 bits, with AMX) or bf16 (8 bits)"}
/* clang-format on */
/* Returns what it was: f32 at first. Between products. */
enum precision products_in(enum precision precision);
/*
 * Where products_in() is followed: as above; on any processor; or there, and by products of any size. The environment
 * variable RECPIPE_PRECISION with the value "strict" chooses the second, to see what a precision does to results where
 * the instructions for it are missing; the third is for tests.
 */
enum products_where { WHERE_FASTER, WHERE_LARGE, EVERYWHERE };
void products_where(enum products_where where);

/* c (m x n) = alpha op(a) op(b) + beta c; row-major with strides (floats between rows). */
void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
	int64_t stride_a, const float *b, int64_t stride_b, float beta, float *c, int64_t stride_c);

/* In how many parts of bfloat16 a product of m x n sums of k is made now (nn/bf16.h); 0: in floats. */
int product_parts(int64_t m, int64_t n, int64_t k);

/*
 * y (+)= x times rows [first, first + count) of a matrix, or these transposed, as a linear layer's way forward has
 * them. x and y have n rows, stride_x and stride_y floats apart. first is a multiple of MULTIPLY_ROWS. Serial but for
 * large products of floats (nn/blas.h).
 */
#define MULTIPLY_ROWS 64
void multiply(const struct array *matrix, int64_t first, int64_t count, bool transposed, int64_t n, const float *x,
	int64_t stride_x, bool add, float *y, int64_t stride_y);

/* For the history: what products are, and were, made with. */
void products_describe(json_t *history);

/* A copy of a matrix for products, which multiply() takes instead of the floats where an array has one. */
struct packed;
enum packing {
	PACKED_NOT,
	PACKED_INTEGERS /* nn/integer.h */,
	PACKED_SPLIT,
	PACKED_BF16 /* nn/bf16.h */,
	PACKED_PANELS /* floats, of products transposed alone: nn/kernel.h */
};
/* As products of that precision want a frozen matrix; PACKED_NOT: as it is. */
enum packing packing_of(enum precision precision);
/* NULL where the processor, or a number of rows that is no multiple of KERNEL_LANE, does not allow panels. */
struct packed *packed_new(enum packing packing, const float *matrix, int64_t rows, int64_t columns);
int64_t packed_rows(const struct packed *packed);
/* Takes NULL. */
void packed_free(struct packed *packed);

#endif
