/*
 * What one core of this machine can do at most, by the instructions the tools use: multiplications and additions of
 * floats, of bytes (VNNI), of bfloat16 (AVX-512 BF16), of both in tiles (AMX), without any memory; and, but for
 * `limits units`, how fast it reads from its caches and from memory. The best of several short runs. What other
 * benchmarks print as GF/s and GB/s is to be seen beside these.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cpu.h"
#include "stream/util.h"

#define TURNS 9

static volatile float sink; /* so that nothing is left out */

#ifdef __x86_64__

#include <immintrin.h>

/* Sums that do not wait for one another: more than the latency times the number of units. */
#define SUMS 12

__attribute__((target("avx2,fma"))) static void fma_256(int64_t times)
{
	__m256 sum[SUMS], x = _mm256_set1_ps(sink), y = _mm256_set1_ps(sink);
	for (int i = 0; i < SUMS; i++)
		sum[i] = x;
	for (int64_t t = 0; t < times; t++)
#pragma GCC unroll 12
		for (int i = 0; i < SUMS; i++)
			sum[i] = _mm256_fmadd_ps(x, y, sum[i]);
	for (int i = 0; i < SUMS; i++)
		sink += sum[i][0];
}

__attribute__((target("avx512f"))) static void fma_512(int64_t times)
{
	__m512 sum[SUMS], x = _mm512_set1_ps(sink), y = _mm512_set1_ps(sink);
	for (int i = 0; i < SUMS; i++)
		sum[i] = x;
	for (int64_t t = 0; t < times; t++)
#pragma GCC unroll 12
		for (int i = 0; i < SUMS; i++)
			sum[i] = _mm512_fmadd_ps(x, y, sum[i]);
	for (int i = 0; i < SUMS; i++)
		sink += sum[i][0];
}

__attribute__((target("avx512f,avx512vnni"))) static void vnni(int64_t times)
{
	__m512i sum[SUMS], x = _mm512_set1_epi32((int)sink), y = x;
	for (int i = 0; i < SUMS; i++)
		sum[i] = x;
	for (int64_t t = 0; t < times; t++)
#pragma GCC unroll 12
		for (int i = 0; i < SUMS; i++)
			sum[i] = _mm512_dpbusd_epi32(sum[i], x, y);
	for (int i = 0; i < SUMS; i++)
		sink += (float)_mm512_reduce_add_epi32(sum[i]);
}

/* These take longer, and there is room for as many sums. */
#define DOTS 24

__attribute__((target("avx512f,avx512bf16"))) static void dots_of_bf16(int64_t times)
{
	__m512 sum[DOTS];
	const __m512bh x = (__m512bh)_mm512_set1_epi32((int)sink), y = x;
	for (int i = 0; i < DOTS; i++)
		sum[i] = _mm512_set1_ps(sink);
	for (int64_t t = 0; t < times; t++)
#pragma GCC unroll 24
		for (int i = 0; i < DOTS; i++)
			sum[i] = _mm512_dpbf16_ps(sum[i], x, y);
	for (int i = 0; i < DOTS; i++)
		sink += sum[i][0];
}

static void configure(void)
{
	static const struct {
		uint8_t palette, start, reserved[14];
		uint16_t row_bytes[16];
		uint8_t rows[16];
	} config = {.palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
	__asm__ volatile("ldtilecfg %0" ::"m"(config));
}

static void tiles_of_bf16(int64_t times)
{
	configure();
	for (int64_t t = 0; t < times; t++)
		__asm__ volatile("tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n tdpbf16ps %%tmm7, %%tmm4, %%tmm1\n"
						 "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\n tdpbf16ps %%tmm7, %%tmm5, %%tmm3" ::);
	__asm__ volatile("tilerelease" ::);
}

static void tiles_of_bytes(int64_t times)
{
	configure();
	for (int64_t t = 0; t < times; t++)
		__asm__ volatile("tdpbusd %%tmm6, %%tmm4, %%tmm0\n tdpbusd %%tmm7, %%tmm4, %%tmm1\n"
						 "tdpbusd %%tmm6, %%tmm5, %%tmm2\n tdpbusd %%tmm7, %%tmm5, %%tmm3" ::);
	__asm__ volatile("tilerelease" ::);
}

static const struct {
	const char *name, *unit;
	enum cpu level;
	void (*run)(int64_t times);
	double operations; /* of one time */
} units[] = {
	{"f32, 256 bits", "GF/s", CPU_AVX2, fma_256, SUMS * 8 * 2},
	{"f32, 512 bits", "GF/s", CPU_AVX512, fma_512, SUMS * 16 * 2},
	{"bytes, 512 bits (VNNI)", "GOP/s", CPU_VNNI, vnni, SUMS * 64 * 2},
	{"bfloat16, 512 bits", "GF/s", CPU_BF16, dots_of_bf16, DOTS * 32 * 2},
	{"bfloat16, tiles (AMX)", "GF/s", CPU_AMX, tiles_of_bf16, 4.0 * 16 * 16 * 32 * 2},
	{"bytes, tiles (AMX)", "GOP/s", CPU_AMX, tiles_of_bytes, 4.0 * 16 * 16 * 64 * 2},
};

static void measure_units(void)
{
	for (size_t i = 0; i < COUNT_OF(units); i++) {
		const int64_t times = 200000;
		double best = 0;
		if (cpu_level() < units[i].level) {
			printf("%-28s not here\n", units[i].name);
			continue;
		}
		for (int turn = 0; turn < TURNS; turn++) {
			double started = seconds_now();
			units[i].run(times);
			double rate = units[i].operations * (double)times / (seconds_now() - started) / 1e9;
			best = rate > best ? rate : best;
		}
		printf("%-28s %8.0f %s\n", units[i].name, best, units[i].unit);
	}
}

#else

static void measure_units(void)
{
}

#endif

/* Eight sums, so that none waits for another. */
#ifdef __x86_64__
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static void
read_all(const float *data, size_t n)
{
	typedef float wide __attribute__((vector_size(64), may_alias));
	wide sum[8] = {{0}};
	for (size_t i = 0; i + 128 <= n; i += 128)
		for (size_t j = 0; j < 8; j++)
			sum[j] += *(const wide *)(const void *)(data + i + 16 * j);
	for (size_t j = 0; j < 8; j++)
		sink += sum[j][0];
}

static double read_rate(const float *data, size_t bytes)
{
	const size_t n = bytes / sizeof *data;
	const int64_t times = (int64_t)((256u << 20) / bytes) + 1;
	double best = 0;
	for (int turn = 0; turn < TURNS; turn++) {
		double started = seconds_now();
		for (int64_t t = 0; t < times; t++)
			read_all(data, n);
		double rate = (double)bytes * (double)times / (seconds_now() - started) / 1e9;
		best = rate > best ? rate : best;
	}
	return best;
}

int main(int argc, char **argv)
{
	program_name = "limits";
	measure_units();
	if (argc > 1 && !strcmp(argv[1], "units"))
		return 0;
	static const size_t kib[] = {16, 1024, 16 << 10, 1 << 20};
	const size_t most = kib[COUNT_OF(kib) - 1] << 10;
	float *data = xaligned(most / sizeof *data, sizeof *data);
	memset(data, 0, most);
	for (size_t i = 0; i < COUNT_OF(kib); i++)
		printf("reading %7zu KiB           %8.0f GB/s\n", kib[i], read_rate(data, kib[i] << 10));
	free(data);
	return 0;
}
