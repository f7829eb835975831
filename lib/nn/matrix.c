#include "nn/matrix.h"

#include <stdlib.h>

#include "nn/bf16.h"
#include "nn/blas.h"
#include "nn/cpu.h"
#include "nn/integer.h"

const char *const precision_names[] = {"f32", "split", "bf16", NULL};
static enum precision precision;

enum precision products_in(enum precision now)
{
	enum precision before = precision;
	precision = now;
	return before;
}

enum precision products_default(void)
{
	return cpu_level() >= CPU_AMX ? PRECISION_SPLIT : PRECISION_F32;
}

/* Fewer rows, columns or multiplications are not worth packing. */
#define LEAST_SIDE 16
#define LEAST_PRODUCTS (1 << 16)

/* Of which bfloat16 a product is made, or 0: of floats. */
static int parts_for(int64_t m, int64_t n, int64_t k)
{
	static const enum cpu needed[] = {N_CPU, CPU_AMX, CPU_BF16};
	if (cpu_level() < needed[precision] || m < LEAST_SIDE || n < LEAST_SIDE || k < LEAST_SIDE ||
		(double)m * (double)n * (double)k < LEAST_PRODUCTS)
		return 0;
	return precision == PRECISION_SPLIT ? 2 : 1;
}

struct packed {
	struct integer_matrix *integers;
};

struct packed *packed_new(enum packing packing, const float *matrix, int64_t rows, int64_t columns)
{
	struct packed *packed = xcalloc(1, sizeof *packed);
	if (packing == PACKED_INTEGERS)
		packed->integers = integer_new(matrix, rows, columns);
	return packed;
}

int64_t packed_rows(const struct packed *packed)
{
	return integer_rows(packed->integers);
}

void packed_free(struct packed *packed)
{
	if (packed)
		integer_free(packed->integers);
	free(packed);
}

void products_describe(json_t *history)
{
	json_set(history, "blas", json_string(blas_name()));
	json_set(history, "instructions", json_string(cpu_names[cpu_level()]));
	json_set(history, "precision", json_string(precision_names[precision]));
}

void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
	int64_t stride_a, const float *b, int64_t stride_b, float beta, float *c, int64_t stride_c)
{
	int parts = beta == 0 || beta == 1 ? parts_for(m, n, k) : 0;
	if (parts) {
		bf16_gemm(parts, transpose_a, transpose_b, m, n, k, alpha, a, stride_a, b, stride_b, beta == 1, c, stride_c,
			blas_threads(m, n, k));
		return;
	}
	blas_gemm(transpose_a, transpose_b, m, n, k, alpha, a, stride_a, b, stride_b, beta, c, stride_c);
}

void multiply(const struct array *matrix, int64_t first, int64_t count, bool transposed, int64_t n, const float *x,
	int64_t stride_x, bool add, float *y, int64_t stride_y)
{
	if (matrix->packed) {
		integer_product(matrix->packed->integers, first, count, transposed, n, x, stride_x, y, stride_y, add,
			thread_scratch(SCRATCH_LEFT, integer_scratch(matrix->packed->integers, n)));
		return;
	}
	int64_t from = transposed ? matrix->columns : count, to = transposed ? count : matrix->columns;
	gemm(false, transposed, n, to, from, 1, x, stride_x, matrix->value + first * matrix->stride, matrix->stride,
		add ? 1 : 0, y, stride_y);
}
