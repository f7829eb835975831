/*
 * A product for operands that are too narrow, or used too seldom, to be worth packing: every element of `a` is
 * broadcast, `b` and `c` are read along their rows. With AVX-512 or AVX2 it reaches nine tenths of the processor's peak
 * on a catalog's scores, where OpenBLAS copies the whole catalog anew for each block of rows.
 */
#ifndef RECPIPE_KERNEL_H
#define RECPIPE_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#define KERNEL_LANE 16 /* columns come in multiples of it */

/* Whether the processor has what it takes (nn/cpu.h). */
bool kernel_available(void);
/*
 * c[i][j] (+)= sum over k of a[i * step_i + k * step_k] x b[k][j], for i < m and j < n; n is a multiple of KERNEL_LANE.
 * stride_b and stride_c are floats between rows. With `add` to what c holds.
 */
void kernel_product(int64_t m, int64_t n, int64_t k, const float *a, int64_t step_i, int64_t step_k, const float *b,
	int64_t stride_b, float *c, int64_t stride_c, bool add);

#endif
