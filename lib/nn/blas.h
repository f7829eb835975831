/*
 * Matrix products and eigenvalues, single-threaded but for blas_set_threads(): parallelism is by sequences, rows or
 * blocks outside. The only file that knows cblas and LAPACK.
 */
#ifndef RECPIPE_BLAS_H
#define RECPIPE_BLAS_H

#include <stdbool.h>
#include <stdint.h>

#include "stream/util.h"

/*
 * To be called first in main() of tools that multiply. OpenBLAS chooses its kernels when it is loaded, and older ones
 * fall back to those of a 2004 processor where they do not know the present one: where they are not those of
 * cpu_level() this sets OPENBLAS_CORETYPE and runs the program again.
 */
void blas_init(char **argv);
/*
 * To be called once the number of threads is known: takes the memory that products will work in, on any of so many, for
 * good. Dies where it is not to be had, which would otherwise be found out within a product, for ever.
 */
void blas_reserve(int threads);
/*
 * Large products take so many threads (1 until then) where they are not within a team of several already. Of a given
 * number the result is always the same.
 */
void blas_set_threads(int threads);
/* How many threads a product takes here and now. */
int blas_threads(int64_t m, int64_t n, int64_t k);
/* The kernels in use: "SkylakeX"; for the history. */
const char *blas_name(void);

/* As gemm() of nn/matrix.h, always in floats. */
void blas_gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
	int64_t stride_a, const float *b, int64_t stride_b, float beta, float *c, int64_t stride_c);
/* g (n x n) += x^T x for x (rows x n, stride), in double precision; both triangles. */
void gram(const float *x, int64_t rows, int64_t n, int64_t stride, double *g);
/* a (n x n, symmetric) becomes its eigenvectors, one a row; values (n): their eigenvalues, rising. a must be finite. */
void symmetric_eigen(double *a, int64_t n, double *values);
/*
 * a (n x n, symmetric) becomes its inverse, of which the part right of the diagonal, and it, are then there. False
 * where a is not positive definite, but for rounding. In single precision, in place, with the threads of large
 * products.
 */
bool positive_inverse(float *a, int64_t n) MUST_USE;
/*
 * root (n x n) = (a + ridge)^(-1/2) of a symmetric a (n x n, overwritten) without negative eigenvalues but for
 * rounding. Directions whose eigenvalue, with the ridge, is at most `flat` of the largest become 0.
 */
void inverse_root(double *a, int64_t n, double ridge, double flat, float *root);

#endif
