#include "nn/kernel.h"

#ifdef __x86_64__

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma")))

bool kernel_available(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
		__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}

struct operands {
	const float *a;
	int64_t step_i, step_k;
	const float *b;
	int64_t stride_b;
	float *c;
	int64_t stride_c, k;
	bool add;
};

/* rows x lanes of c in registers (6 x 4 of 32); both are constants where this is inlined. */
TARGET static inline __attribute__((always_inline)) void tile(const struct operands *o, int rows, int lanes)
{
	__m512 sum[6][4];
	#pragma GCC unroll 6
	for (int i = 0; i < rows; i++)
		#pragma GCC unroll 4
		for (int j = 0; j < lanes; j++)
			sum[i][j] = o->add ? _mm512_loadu_ps(o->c + i * o->stride_c + j * KERNEL_LANE) : _mm512_setzero_ps();
	const float *a = o->a, *b = o->b;
	const int64_t step_i = o->step_i, step_k = o->step_k, stride_b = o->stride_b;
	for (int64_t k = o->k; k > 0; k--, a += step_k, b += stride_b) {
		__m512 right[4];
		#pragma GCC unroll 4
		for (int j = 0; j < lanes; j++)
			right[j] = _mm512_loadu_ps(b + j * KERNEL_LANE);
		#pragma GCC unroll 6
		for (int i = 0; i < rows; i++) {
			__m512 left = _mm512_set1_ps(a[i * step_i]);
			#pragma GCC unroll 4
			for (int j = 0; j < lanes; j++)
				sum[i][j] = _mm512_fmadd_ps(left, right[j], sum[i][j]);
		}
	}
	#pragma GCC unroll 6
	for (int i = 0; i < rows; i++)
		#pragma GCC unroll 4
		for (int j = 0; j < lanes; j++)
			_mm512_storeu_ps(o->c + i * o->stride_c + j * KERNEL_LANE, sum[i][j]);
}

TARGET static inline __attribute__((always_inline)) void columns(struct operands o, int64_t m, int lanes)
{
	while (m > 0) {
		int rows = m >= 6 ? 6 : m >= 4 ? 4 : m >= 2 ? 2 : 1;
		switch (rows) {
		case 6: tile(&o, 6, lanes); break;
		case 4: tile(&o, 4, lanes); break;
		case 2: tile(&o, 2, lanes); break;
		default: tile(&o, 1, lanes);
		}
		o.a += rows * o.step_i;
		o.c += rows * o.stride_c;
		m -= rows;
	}
}

TARGET void kernel_product(int64_t m, int64_t n, int64_t k, const float *a, int64_t step_i, int64_t step_k,
	const float *b, int64_t stride_b, float *c, int64_t stride_c, bool add)
{
	for (int64_t j = 0; j < n; j += 4 * KERNEL_LANE) {
		struct operands o = { a, step_i, step_k, b + j, stride_b, c + j, stride_c, k, add };
		switch ((n - j) / KERNEL_LANE) {
		case 1: columns(o, m, 1); break;
		case 2: columns(o, m, 2); break;
		case 3: columns(o, m, 3); break;
		default: columns(o, m, 4);
		}
	}
}

#else

bool kernel_available(void)
{
	return false;
}

void kernel_product(int64_t m, int64_t n, int64_t k, const float *a, int64_t step_i, int64_t step_k, const float *b,
	int64_t stride_b, float *c, int64_t stride_c, bool add)
{
	for (int64_t i = 0; i < m; i++)
		for (int64_t j = 0; j < n; j++) {
			float sum = add ? c[i * stride_c + j] : 0;
			for (int64_t l = 0; l < k; l++)
				sum += a[i * step_i + l * step_k] * b[l * stride_b + j];
			c[i * stride_c + j] = sum;
		}
}

#endif
