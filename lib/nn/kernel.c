#include "nn/kernel.h"

#include "nn/cpu.h"
#include "stream/util.h"

#ifdef __x86_64__

#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma")))
#define AVX2 __attribute__((target("avx2,fma")))

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
AVX512 static inline __attribute__((always_inline)) void tile_avx512(const struct operands *o, int rows, int lanes)
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

AVX512 static inline __attribute__((always_inline)) void columns_avx512(struct operands o, int64_t m, int lanes)
{
	while (m > 0) {
		int rows = m >= 6 ? 6 : m >= 4 ? 4 : m >= 2 ? 2 : 1;
		switch (rows) {
		case 6: tile_avx512(&o, 6, lanes); break;
		case 4: tile_avx512(&o, 4, lanes); break;
		case 2: tile_avx512(&o, 2, lanes); break;
		default: tile_avx512(&o, 1, lanes);
		}
		o.a += rows * o.step_i;
		o.c += rows * o.stride_c;
		m -= rows;
	}
}

AVX512 static void product_avx512(struct operands o, int64_t m, int64_t n)
{
	for (; n > 0; n -= 4 * KERNEL_LANE, o.b += 4 * KERNEL_LANE, o.c += 4 * KERNEL_LANE)
		switch (n / KERNEL_LANE) {
		case 1: columns_avx512(o, m, 1); break;
		case 2: columns_avx512(o, m, 2); break;
		case 3: columns_avx512(o, m, 3); break;
		default: columns_avx512(o, m, 4);
		}
}

/* rows x KERNEL_LANE of c in registers (6 x 2 of 16) */
AVX2 static inline __attribute__((always_inline)) void tile_avx2(const struct operands *o, int rows)
{
	__m256 sum[6][2];
#pragma GCC unroll 6
	for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
		for (int j = 0; j < 2; j++)
			sum[i][j] = o->add ? _mm256_loadu_ps(o->c + i * o->stride_c + j * 8) : _mm256_setzero_ps();
	const float *a = o->a, *b = o->b;
	const int64_t step_i = o->step_i, step_k = o->step_k, stride_b = o->stride_b;
	for (int64_t k = o->k; k > 0; k--, a += step_k, b += stride_b) {
		const __m256 right[2] = {_mm256_loadu_ps(b), _mm256_loadu_ps(b + 8)};
#pragma GCC unroll 6
		for (int i = 0; i < rows; i++) {
			__m256 left = _mm256_broadcast_ss(a + i * step_i);
			sum[i][0] = _mm256_fmadd_ps(left, right[0], sum[i][0]);
			sum[i][1] = _mm256_fmadd_ps(left, right[1], sum[i][1]);
		}
	}
#pragma GCC unroll 6
	for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
		for (int j = 0; j < 2; j++)
			_mm256_storeu_ps(o->c + i * o->stride_c + j * 8, sum[i][j]);
}

AVX2 static inline __attribute__((always_inline)) void rows_avx2(struct operands o, int64_t n, int rows)
{
	for (; n > 0; n -= KERNEL_LANE, o.b += KERNEL_LANE, o.c += KERNEL_LANE)
		tile_avx2(&o, rows);
}

/* So many rows of b stay in the first-level cache, whatever is between them. */
#define AVX2_DEPTH 64

AVX2 static void product_avx2(struct operands o, int64_t m, int64_t n)
{
	for (int64_t left = o.k; left > 0 || !o.add; left -= AVX2_DEPTH) {
		struct operands part = o;
		part.k = left < AVX2_DEPTH ? left : AVX2_DEPTH;
		for (int64_t i = m, rows; i > 0; i -= rows, part.a += rows * o.step_i, part.c += rows * o.stride_c) {
			rows = i >= 6 ? 6 : i >= 4 ? 4 : i >= 2 ? 2 : 1;
			switch (rows) {
			case 6: rows_avx2(part, n, 6); break;
			case 4: rows_avx2(part, n, 4); break;
			case 2: rows_avx2(part, n, 2); break;
			default: rows_avx2(part, n, 1);
			}
		}
		o.a += AVX2_DEPTH * o.step_k;
		o.b += AVX2_DEPTH * o.stride_b;
		o.add = true;
	}
}

static const struct kernel {
	enum cpu level;
	void (*product)(struct operands o, int64_t m, int64_t n);
} kernels[] = {{CPU_AVX512, product_avx512}, {CPU_AVX2, product_avx2}};

static const struct kernel *choose(void)
{
	for (unsigned i = 0; i < COUNT_OF(kernels); i++)
		if (kernels[i].level <= cpu_level())
			return &kernels[i];
	return NULL;
}

bool kernel_available(void)
{
	return choose();
}

void kernel_product(int64_t m, int64_t n, int64_t k, const float *a, int64_t step_i, int64_t step_k, const float *b,
	int64_t stride_b, float *c, int64_t stride_c, bool add)
{
	struct operands o = {a, step_i, step_k, b, stride_b, c, stride_c, k, add};
	choose()->product(o, m, n);
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
