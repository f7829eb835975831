/*
 * A model in plain C of the instructions of AVX-512, VNNI, AVX-512 BF16 and AMX that lib/ uses, exact as Intel's manual
 * has them: sources that are compiled with this in place of the compiler's header run on processors without them. What
 * is used and not here does not compile. Instructions that are written in assembly (nn/tiles.h) are told by their text.
 */
#ifndef RECPIPE_MODELLED_IMMINTRIN_H
#define RECPIPE_MODELLED_IMMINTRIN_H

#include_next <immintrin.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* functions for whatever processor are compiled for one that has AVX2 */
#define target(...) target("avx2,fma")

#define MODEL __attribute__((target())) static inline __attribute__((always_inline, unused))
#define EACH(i, n) for (int i = 0; i < (n); i++)

typedef int8_t lanes_i8 __attribute__((vector_size(64)));
typedef uint8_t lanes_u8 __attribute__((vector_size(64)));
typedef int16_t lanes_i16 __attribute__((vector_size(64)));
typedef uint16_t lanes_u16 __attribute__((vector_size(64)));
typedef int32_t lanes_i32 __attribute__((vector_size(64)));
typedef uint32_t lanes_u32 __attribute__((vector_size(64)));
typedef int64_t lanes_i64 __attribute__((vector_size(64)));

/* --- bfloat16 --- */

/* denormals are zero, and what becomes one is flushed to it */
MODEL float model_flush(float x)
{
	return fabsf(x) < FLT_MIN ? copysignf(0, x) : x;
}

MODEL float model_of_bf16(uint16_t number)
{
	const uint32_t bits = (uint32_t)number << 16;
	float x;
	memcpy(&x, &bits, sizeof x);
	return model_flush(x);
}

MODEL uint16_t model_to_bf16(float x)
{
	uint32_t bits;
	memcpy(&bits, &x, sizeof bits);
	const uint32_t size = bits & INT32_MAX, infinite = 0x7F800000, normal = 0x800000;
	return (uint16_t)(size > infinite ? bits >> 16 | 1 << 6 :
			size == infinite          ? bits >> 16 :
			size < normal             ? bits >> 16 & 0x8000 :
										(bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

MODEL __m512bh model_cvtne2ps_pbh(__m512 high, __m512 low)
{
	lanes_u16 to;
	EACH(i, 32) to[i] = model_to_bf16(i < 16 ? low[i] : high[i - 16]);
	return (__m512bh)to;
}
#define _mm512_cvtne2ps_pbh model_cvtne2ps_pbh

/* fused, the odd numbers first */
MODEL __m512 model_dpbf16_ps(__m512 sum, __m512bh a, __m512bh b)
{
	const lanes_u16 x = (lanes_u16)a, y = (lanes_u16)b;
	EACH(i, 16)
	{
		float s = model_flush(sum[i]);
		for (int odd = 1; odd >= 0; odd--)
			s = model_flush(fmaf(model_of_bf16(x[2 * i + odd]), model_of_bf16(y[2 * i + odd]), s));
		sum[i] = s;
	}
	return sum;
}
#define _mm512_dpbf16_ps model_dpbf16_ps

/* --- products of integers --- */

MODEL __m512i model_dpbusd(__m512i sum, __m512i without_sign, __m512i with)
{
	const lanes_u8 x = (lanes_u8)without_sign;
	const lanes_i8 y = (lanes_i8)with;
	lanes_i32 to = (lanes_i32)sum;
	EACH(i, 64) to[i / 4] += x[i] * y[i];
	return (__m512i)to;
}
#define _mm512_dpbusd_epi32 model_dpbusd

MODEL __m512i model_dpwssd(__m512i sum, __m512i a, __m512i b)
{
	const lanes_i16 x = (lanes_i16)a, y = (lanes_i16)b;
	lanes_i32 to = (lanes_i32)sum;
	EACH(i, 32) to[i / 2] += x[i] * y[i];
	return (__m512i)to;
}

/* --- memory; of what a mask leaves out nothing is read --- */

#define MODEL_MEMORY(kind, type)                                                                                       \
	MODEL type model_loadu_##kind(const void *from)                                                                    \
	{                                                                                                                  \
		type to;                                                                                                       \
		memcpy(&to, from, sizeof to);                                                                                  \
		return to;                                                                                                     \
	}                                                                                                                  \
	MODEL void model_storeu_##kind(void *to, type from)                                                                \
	{                                                                                                                  \
		memcpy(to, &from, sizeof from);                                                                                \
	}
MODEL_MEMORY(ps, __m512)
MODEL_MEMORY(si512, __m512i)
#define _mm512_loadu_ps model_loadu_ps
#define _mm512_loadu_si512 model_loadu_si512
#define _mm512_storeu_ps model_storeu_ps
#define _mm512_storeu_si512 model_storeu_si512

MODEL __m512 model_maskz_loadu_ps(__mmask16 mask, const float *from)
{
	__m512 to;
	EACH(i, 16) to[i] = mask >> i & 1 ? from[i] : 0;
	return to;
}
#define _mm512_maskz_loadu_ps model_maskz_loadu_ps

MODEL void model_mask_storeu_ps(float *to, __mmask8 mask, __m128 from)
{
	EACH(i, 4) if (mask >> i & 1) to[i] = from[i];
}
#define _mm_mask_storeu_ps model_mask_storeu_ps

/* --- lane by lane --- */

#define _mm512_setzero_ps() ((__m512){0})
#define _mm512_setzero_si512() ((__m512i){0})
#define _mm512_set1_ps(x) ((__m512){0} + (float)(x))
#define _mm512_set1_epi32(x) ((__m512i)((lanes_i32){0} + (int32_t)(x)))
#define _mm512_add_ps(a, b) ((__m512)((a) + (b)))
#define _mm512_sub_ps(a, b) ((__m512)((a) - (b)))
#define _mm512_mul_ps(a, b) ((__m512)((a) * (b)))
#define _mm512_add_epi32(a, b) ((__m512i)((lanes_u32)(a) + (lanes_u32)(b)))
#define _mm512_slli_epi32(a, n) ((__m512i)((n) > 31 ? (lanes_u32){0} : (lanes_u32)(a) << (n)))
#define _mm512_castsi512_ps(a) ((__m512)(a))

#define MODEL_LANES(name, parameters, result)                                                                          \
	MODEL __m512 model_##name parameters                                                                               \
	{                                                                                                                  \
		__m512 to;                                                                                                     \
		EACH(i, 16) to[i] = result;                                                                                    \
		return to;                                                                                                     \
	}
/* of two that compare neither way the second */
MODEL_LANES(max_ps, (__m512 a, __m512 b), a[i] > b[i] ? a[i] : b[i])
MODEL_LANES(min_ps, (__m512 a, __m512 b), a[i] < b[i] ? a[i] : b[i])
MODEL_LANES(mask_add_ps, (__m512 other, __mmask16 k, __m512 a, __m512 b), k >> i & 1 ? a[i] + b[i] : other[i])
MODEL_LANES(cvtepi32_ps, (__m512i a), (float)((lanes_i32)a)[i])
MODEL_LANES(roundeven_ps, (__m512 a), rintf(a[i]))

MODEL __m512 model_fmadd_ps(__m512 a, __m512 b, __m512 c)
{
	const __m256 *x = (const __m256 *)&a, *y = (const __m256 *)&b;
	__m256 *z = (__m256 *)&c;
	z[0] = _mm256_fmadd_ps(x[0], y[0], z[0]);
	z[1] = _mm256_fmadd_ps(x[1], y[1], z[1]);
	return c;
}
#define _mm512_fmadd_ps model_fmadd_ps
#define _mm512_fnmadd_ps(a, b, c) model_fmadd_ps(-(a), b, c)
#define _mm512_max_ps model_max_ps
#define _mm512_min_ps model_min_ps
#define _mm512_mask_add_ps model_mask_add_ps
#define _mm512_cvtepi32_ps model_cvtepi32_ps
#define _mm512_roundscale_ps(a, how) ((how) == _MM_FROUND_TO_NEAREST_INT ? model_roundeven_ps(a) : (abort(), (a)))

/* what 32 bits cannot hold is the least of them */
MODEL __m512i model_cvtps_epi32(__m512 a)
{
	lanes_i32 to;
	EACH(i, 16) to[i] = fabsf(a[i]) < 0x1p31F ? (int32_t)rintf(a[i]) : INT32_MIN;
	return (__m512i)to;
}
#define _mm512_cvtps_epi32 model_cvtps_epi32

MODEL __mmask16 model_cmp_ps_mask(__mmask16 among, __m512 a, __m512 b, int how)
{
	__mmask16 mask = 0;
	EACH(i, 16)
	mask |= (__mmask16)((how == _CMP_GE_OQ ? a[i] >= b[i] : how == _CMP_GT_OQ ? a[i] > b[i] : (abort(), 0)) << i);
	return mask & among;
}
#define _mm512_cmp_ps_mask(a, b, how) model_cmp_ps_mask(0xFFFF, a, b, how)
#define _mm512_mask_cmp_ps_mask model_cmp_ps_mask

/* --- lanes in another order, or of another width --- */

MODEL __m512i model_set_epi16(const int16_t last_first[32])
{
	lanes_i16 to;
	EACH(i, 32) to[i] = last_first[31 - i];
	return (__m512i)to;
}
#define _mm512_set_epi16(...) model_set_epi16((const int16_t[32]){__VA_ARGS__})
#define _mm512_setr_epi32(...) ((__m512i)(lanes_i32){__VA_ARGS__})

#define MODEL_SHUFFLE(name, parameters, type, lanes, result)                                                           \
	MODEL __m512i model_##name parameters                                                                              \
	{                                                                                                                  \
		const type x = (type)a, y = (type)b;                                                                           \
		type to;                                                                                                       \
		EACH(i, lanes) to[i] = result;                                                                                 \
		return (__m512i)to;                                                                                            \
	}
#define TWO_SIDES (__m512i a, __m512i b)
MODEL_SHUFFLE(unpacklo_epi32, TWO_SIDES, lanes_i32, 16, (i % 2 ? y : x)[i / 4 * 4 + i % 4 / 2])
MODEL_SHUFFLE(unpackhi_epi32, TWO_SIDES, lanes_i32, 16, (i % 2 ? y : x)[i / 4 * 4 + 2 + i % 4 / 2])
MODEL_SHUFFLE(unpacklo_epi64, TWO_SIDES, lanes_i64, 8, (i % 2 ? y : x)[i / 2 * 2])
MODEL_SHUFFLE(unpackhi_epi64, TWO_SIDES, lanes_i64, 8, (i % 2 ? y : x)[i / 2 * 2 + 1])
MODEL_SHUFFLE(permutexvar_epi16, TWO_SIDES, lanes_u16, 32, y[x[i] % 32])
MODEL_SHUFFLE(permutexvar_epi32, TWO_SIDES, lanes_u32, 16, y[x[i] % 16])
MODEL_SHUFFLE(shuffle_i32x4, (__m512i a, __m512i b, int from), lanes_i32, 16,
	(i < 8 ? x : y)[4 * (from >> i / 4 * 2 & 3) + i % 4])
MODEL_SHUFFLE(permute_32, (__m512i a, __m512i b, int from), lanes_i32, 16,
	((void)y, x[i / 4 * 4 + (from >> i % 4 * 2 & 3)]))
#define _mm512_unpacklo_epi32 model_unpacklo_epi32
#define _mm512_unpackhi_epi32 model_unpackhi_epi32
#define _mm512_unpacklo_epi64 model_unpacklo_epi64
#define _mm512_unpackhi_epi64 model_unpackhi_epi64
#define _mm512_permutexvar_epi16 model_permutexvar_epi16
#define _mm512_permutexvar_ps(order, a) ((__m512)model_permutexvar_epi32(order, (__m512i)(a)))
#define _mm512_shuffle_i32x4 model_shuffle_i32x4
#define _mm512_shuffle_f32x4(a, b, from) ((__m512)model_shuffle_i32x4((__m512i)(a), (__m512i)(b), from))
#define _mm512_permute_ps(a, from) ((__m512)model_permute_32((__m512i)(a), (__m512i)(a), from))

MODEL __m512i model_cvtepu16_epi32(__m256i a)
{
	uint16_t from[16];
	lanes_u32 to;
	memcpy(from, &a, sizeof from);
	EACH(i, 16) to[i] = from[i];
	return (__m512i)to;
}
#define _mm512_cvtepu16_epi32 model_cvtepu16_epi32

MODEL __m128i model_cvtepi32_epi8(__m512i a)
{
	uint8_t bytes[16];
	EACH(i, 16) bytes[i] = (uint8_t)((lanes_u32)a)[i];
	return _mm_loadu_si128((const __m128i_u *)bytes);
}
#define _mm512_cvtepi32_epi8 model_cvtepi32_epi8

MODEL __m256i model_half(__m512i a, int half)
{
	return _mm256_loadu_si256((const __m256i_u *)&a + half);
}
#define _mm512_castsi512_si256(a) model_half(a, 0)
#define _mm512_extracti64x4_epi64 model_half
#define _mm512_castps512_ps128(a) _mm256_castps256_ps128((__m256)model_half((__m512i)(a), 0))

/* --- what is written in assembly --- */

void model_tile_instruction(const char *text, const void *memory, int64_t stride);
void model_ldtilecfg(const uint8_t config[64]);
#define TILE_INSTRUCTION(text) model_tile_instruction(text, NULL, 0)
#define TILE_MOVE model_tile_instruction
#define TILE_CONFIGURE(config) model_ldtilecfg((const uint8_t *)&(config))
#define VNNI_PRODUCTS(name, sum, right, left) (sum) = model_products(name, sum, right, left)
#define VNNI_PRODUCTS_OF_UNIT(name, sum, right, unit)                                                                  \
	(sum) = model_products(name, sum, right, _mm512_set1_epi32(model_unit(unit)))

MODEL __m512i model_products(const char *name, __m512i sum, __m512i right, __m512i left)
{
	if (!strcmp(name, "vpdpbusd"))
		return model_dpbusd(sum, right, left);
	return strcmp(name, "vpdpwssd") ? (abort(), sum) : model_dpwssd(sum, right, left);
}

MODEL int32_t model_unit(const void *unit)
{
	int32_t bits;
	memcpy(&bits, unit, sizeof bits);
	return bits;
}

#endif
