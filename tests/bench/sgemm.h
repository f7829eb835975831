/* The machine's rate of matrix products, to compare with. */
#ifndef RECPIPE_BENCH_SGEMM_H
#define RECPIPE_BENCH_SGEMM_H

#include <stdlib.h>

#include "nn/blas.h"
#include "stream/util.h"

/* GFLOP/s of all threads multiplying 1024 x 1024 x 1024, a matrix of their own each. */
static double sgemm_rate(int threads)
{
	const int64_t n = 1024, times = 10;
	double started = 0;
#pragma omp parallel num_threads(threads)
	{
		float *matrix[3];
		for (int i = 0; i < 3; i++)
			matrix[i] = xaligned((size_t)(n * n), sizeof(float));
#pragma omp barrier
#pragma omp master
		started = seconds_now();
		for (int i = 0; i < times; i++)
			blas_gemm(false, false, n, n, n, 1, matrix[0], n, matrix[1], n, 0, matrix[2], n);
#pragma omp barrier
		for (int i = 0; i < 3; i++)
			free(matrix[i]);
	}
	return 2e-9 * (double)(n * n * n * times * threads) / (seconds_now() - started);
}

#endif
