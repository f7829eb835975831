#include "nn/matrix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nn/bf16.h"
#include "nn/blas.h"
#include "nn/cpu.h"
#include "nn/integer.h"
#include "nn/kernel.h"

const char *const precision_names[] = {"f32", "split", "bf16", NULL};
static enum precision precision, lowest; /* now, and so far */
static enum products_where where;

enum precision products_in(enum precision now)
{
	enum precision before = precision;
	precision = now;
	lowest = now > lowest ? now : lowest;
	return before;
}

void products_where(enum products_where now)
{
	where = now;
}

__attribute__((constructor)) static void begin(void)
{
	const char *value = getenv("RECPIPE_PRECISION");
	if (!value || !*value)
		return;
	if (strcmp(value, "strict")) {
		program_name = program_invocation_short_name;
		die("RECPIPE_PRECISION is \"%.20s\": strict, or nothing, was expected", value);
	}
	where = WHERE_LARGE;
}

/* Made as asked for, rather than in floats. */
static bool is_made(enum precision asked)
{
	static const enum cpu faster_from[] = {CPU_NONE, CPU_AMX, CPU_BF16};
	return where != WHERE_FASTER || cpu_level() >= faster_from[asked];
}

enum packing packing_of(enum precision wanted)
{
	if (wanted == PRECISION_F32 || !is_made(wanted))
		return PACKED_NOT;
	return wanted == PRECISION_SPLIT ? PACKED_SPLIT : PACKED_BF16;
}

/* Fewer rows, columns or multiplications are not worth packing. */
#define LEAST_SIDE 16
#define LEAST_PRODUCTS (1 << 20)

int product_parts(int64_t m, int64_t n, int64_t k)
{
	const bool is_small = m < LEAST_SIDE || n < LEAST_SIDE || k < LEAST_SIDE ||
		(double)m * (double)n * (double)k < LEAST_PRODUCTS;
	if (precision == PRECISION_F32 || !is_made(precision) || (is_small && where != EVERYWHERE))
		return 0;
	return precision == PRECISION_SPLIT ? 2 : 1;
}

/* Either in integers, or in `parts` of bfloat16: as what stands right of x, straight and transposed. */
struct packed {
	struct integer_matrix *integers;
	int parts;
	int64_t rows, columns;
	float *straight, *transposed;
	float *panels; /* PANEL rows at a time, as columns side by side */
};

#define PANEL (4 * KERNEL_LANE) /* what the kernel takes at once */

static int64_t panel_width(int64_t rows, int64_t first)
{
	return rows - first < PANEL ? rows - first : PANEL;
}

static float *panels_of(const float *matrix, int64_t rows, int64_t columns)
{
	float *panels = xaligned((size_t)(rows * columns), sizeof *panels);
	for (int64_t first = 0, width; first < rows; first += width) {
		width = panel_width(rows, first);
		for (int64_t row = first; row < first + width; row++)
			for (int64_t i = 0; i < columns; i++)
				panels[first * columns + i * width + row - first] = matrix[row * columns + i];
	}
	return panels;
}

struct packed *packed_new(enum packing packing, const float *matrix, int64_t rows, int64_t columns)
{
	if (packing == PACKED_PANELS && (!kernel_available() || rows % KERNEL_LANE))
		return NULL;
	struct packed *packed = xcalloc(1, sizeof *packed);
	packed->rows = rows;
	packed->columns = columns;
	if (packing == PACKED_INTEGERS) {
		packed->integers = integer_new(matrix, rows, columns);
		return packed;
	}
	if (packing == PACKED_PANELS) {
		packed->panels = panels_of(matrix, rows, columns);
		return packed;
	}
	int parts = packed->parts = packing == PACKED_SPLIT ? 2 : 1;
	packed->straight = xaligned((size_t)bf16_size(columns, rows, parts), sizeof(float));
	packed->transposed = xaligned((size_t)bf16_size(rows, columns, parts), sizeof(float));
	bf16_pack(BF16_RIGHT, parts, false, columns, rows, 1, matrix, columns, packed->straight);
	bf16_pack(BF16_RIGHT, parts, true, rows, columns, 1, matrix, columns, packed->transposed);
	return packed;
}

int64_t packed_rows(const struct packed *packed)
{
	return packed->rows;
}

void packed_free(struct packed *packed)
{
	if (!packed)
		return;
	integer_free(packed->integers);
	free(packed->straight);
	free(packed->transposed);
	free(packed->panels);
	free(packed);
}

void products_describe(json_t *history)
{
	json_set(history, "blas", json_string(blas_name()));
	json_set(history, "instructions", json_string(cpu_names[cpu_level()]));
	json_set(history, "precision", json_string(precision_names[is_made(lowest) ? lowest : PRECISION_F32]));
}

void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
	int64_t stride_a, const float *b, int64_t stride_b, float beta, float *c, int64_t stride_c)
{
	int parts = beta == 0 || beta == 1 ? product_parts(m, n, k) : 0;
	if (parts) {
		bf16_gemm(parts, transpose_a, transpose_b, m, n, k, alpha, a, stride_a, b, stride_b, beta == 1, c, stride_c,
			blas_threads(m, n, k));
		return;
	}
	blas_gemm(transpose_a, transpose_b, m, n, k, alpha, a, stride_a, b, stride_b, beta, c, stride_c);
}

#define ROWS_AT_ONCE 1024 /* of x */

static void multiply_in_parts(const struct packed *packed, int64_t first, int64_t count, bool transposed, int64_t n,
	const float *x, int64_t stride_x, bool add, float *y, int64_t stride_y)
{
	int parts = packed->parts;
	int64_t depth = transposed ? packed->columns : count, width = transposed ? count : packed->columns;
	int64_t whole = transposed ? packed->columns : packed->rows;
	const float *right = transposed ? bf16_at(packed->transposed, first, 0, whole, parts) :
									  bf16_at(packed->straight, 0, first, whole, parts);
	for (int64_t from = 0; from < n; from += ROWS_AT_ONCE) {
		int64_t rows = n - from < ROWS_AT_ONCE ? n - from : ROWS_AT_ONCE;
		float *left = thread_scratch(SCRATCH_LEFT, bf16_size(rows, depth, parts));
		bf16_pack(BF16_LEFT, parts, true, rows, depth, 1, x + from * stride_x, stride_x, left);
		bf16_product(parts, rows, width, depth, left, right, whole, add, y + from * stride_y, stride_y);
	}
}

/* x times rows of the matrix, transposed; first and count are multiples of a panel, or reach its end. */
static void multiply_panels(const struct packed *packed, int64_t first, int64_t count, int64_t n, const float *x,
	int64_t stride_x, bool add, float *y, int64_t stride_y)
{
	for (int64_t row = first, width; row < first + count; row += width, y += width) {
		width = panel_width(packed->rows, row);
		kernel_product(n, width, packed->columns, x, stride_x, 1, packed->panels + row * packed->columns, width, y,
			stride_y, add);
	}
}

void multiply(const struct array *matrix, int64_t first, int64_t count, bool transposed, int64_t n, const float *x,
	int64_t stride_x, bool add, float *y, int64_t stride_y)
{
	const struct packed *packed = matrix->packed;
	if (packed && packed->integers) {
		integer_product(packed->integers, first, count, transposed, n, x, stride_x, y, stride_y, add,
			thread_scratch(SCRATCH_LEFT, integer_scratch(packed->integers, n)));
	} else if (packed && packed->panels && transposed) {
		multiply_panels(packed, first, count, n, x, stride_x, add, y, stride_y);
	} else if (packed && packed->parts) {
		multiply_in_parts(packed, first, count, transposed, n, x, stride_x, add, y, stride_y);
	} else {
		int64_t from = transposed ? matrix->columns : count, to = transposed ? count : matrix->columns;
		gemm(false, transposed, n, to, from, 1, x, stride_x, matrix->value + first * matrix->stride, matrix->stride,
			add ? 1 : 0, y, stride_y);
	}
}
