#include "data/dequantise.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "stream/util.h"

#define PER_TASK (1 << 15) /* numbers a thread takes at a time; a multiple of every block */

/*
 * A half's scale has 11 significant bits, the integers it is multiplied with have at most 7 (a sub-block's scale) and
 * 6 (a number): every product below is exact, so no contraction or order changes a bit.
 */
static inline float half_at(const unsigned char *at)
{
	uint16_t half;
	memcpy(&half, at, sizeof half);
	uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13, bits;
	float value;
	memcpy(&value, &magnitude, sizeof value);
	value *= 0x1p112f; /* the exponent's bias is 127, a half's is 15; subnormals come out right, too */
	memcpy(&bits, &value, sizeof bits);
	if (magnitude >= 0x0f800000)
		bits = magnitude | 0x7f800000; /* infinite, or not a number */
	bits |= (uint32_t)(half & 0x8000) << 16;
	memcpy(&value, &bits, sizeof value);
	return value;
}

static void decode_f32(const unsigned char *from, int64_t blocks, float *to)
{
	memcpy(to, from, (size_t)blocks * sizeof *to);
}

static void decode_f16(const unsigned char *from, int64_t blocks, float *to)
{
	for (int64_t i = 0; i < blocks; i++)
		to[i] = half_at(from + 2 * i);
}

static void decode_bf16(const unsigned char *from, int64_t blocks, float *to)
{
	for (int64_t i = 0; i < blocks; i++) {
		uint16_t half;
		memcpy(&half, from + 2 * i, sizeof half);
		uint32_t bits = (uint32_t)half << 16;
		memcpy(to + i, &bits, sizeof bits);
	}
}

/* --- blocks of 32: a scale, perhaps a minimum; low halves of bytes are the first 16 numbers, high ones the last --- */

/* What four bits stand for where they are not numbers. */
static const int8_t IQ4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
static const int8_t FP4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

static inline void uneven(float scale, const unsigned char *low, const int8_t numbers[16], float to[32])
{
	for (int i = 0; i < 16; i++) {
		to[i] = scale * (float)numbers[low[i] & 15];
		to[i + 16] = scale * (float)numbers[low[i] >> 4];
	}
}

static void decode_q4_0(const unsigned char *from, int64_t blocks, float *to)
{
	for (; blocks--; from += 18, to += 32) {
		float scale = half_at(from);
		const unsigned char *low = from + 2;
		for (int i = 0; i < 16; i++) {
			to[i] = scale * (float)((low[i] & 15) - 8);
			to[i + 16] = scale * (float)((low[i] >> 4) - 8);
		}
	}
}

static void decode_q4_1(const unsigned char *from, int64_t blocks, float *to)
{
	for (; blocks--; from += 20, to += 32) {
		float scale = half_at(from), minimum = half_at(from + 2);
		const unsigned char *low = from + 4;
		for (int i = 0; i < 16; i++) {
			to[i] = scale * (float)(low[i] & 15) + minimum;
			to[i + 16] = scale * (float)(low[i] >> 4) + minimum;
		}
	}
}

/* The numbers of a block of five bits: the fifth of number i is bit i of `high`. */
static inline void five_bits(const unsigned char *high, const unsigned char *low, int numbers[32])
{
	uint32_t fifth;
	memcpy(&fifth, high, sizeof fifth);
	for (int i = 0; i < 16; i++) {
		numbers[i] = (low[i] & 15) | (int)(fifth >> i & 1) << 4;
		numbers[i + 16] = low[i] >> 4 | (int)(fifth >> (i + 16) & 1) << 4;
	}
}

static void decode_q5_0(const unsigned char *from, int64_t blocks, float *to)
{
	for (; blocks--; from += 22, to += 32) {
		float scale = half_at(from);
		int numbers[32];
		five_bits(from + 2, from + 6, numbers);
		for (int i = 0; i < 32; i++)
			to[i] = scale * (float)(numbers[i] - 16);
	}
}

static void decode_q5_1(const unsigned char *from, int64_t blocks, float *to)
{
	for (; blocks--; from += 24, to += 32) {
		float scale = half_at(from), minimum = half_at(from + 2);
		int numbers[32];
		five_bits(from + 4, from + 8, numbers);
		for (int i = 0; i < 32; i++)
			to[i] = scale * (float)numbers[i] + minimum;
	}
}

static void decode_q8_0(const unsigned char *from, int64_t blocks, float *to)
{
	for (; blocks--; from += 34, to += 32) {
		float scale = half_at(from);
		for (int i = 0; i < 32; i++)
			to[i] = scale * (float)(int8_t)from[2 + i];
	}
}

static void decode_iq4_nl(const unsigned char *from, int64_t blocks, float *to)
{
	for (; blocks--; from += 18, to += 32)
		uneven(half_at(from), from + 2, IQ4, to);
}

static void decode_mxfp4(const unsigned char *from, int64_t blocks, float *to)
{
	for (; blocks--; from += 17, to += 32) {
		uint32_t bits = *from < 2 ? UINT32_C(0x00200000) << *from : (uint32_t)(*from - 1) << 23;
		float half_scale; /* of numbers that are halves */
		memcpy(&half_scale, &bits, sizeof half_scale);
		uneven(half_scale, from + 1, FP4, to);
	}
}

/* --- blocks of 256: sub-blocks of 32 or 16 with a small scale each, which the block's scale multiplies --- */

/* Scale and minimum of sub-block i of 8, 6 bits each in 12 bytes: the last four fill what the first four leave. */
static inline void scale_and_minimum(const unsigned char packed[12], int i, int *scale, int *minimum)
{
	if (i < 4) {
		*scale = packed[i] & 63;
		*minimum = packed[i + 4] & 63;
	} else {
		*scale = (packed[i + 4] & 15) | packed[i - 4] >> 6 << 4;
		*minimum = packed[i + 4] >> 4 | packed[i] >> 6 << 4;
	}
}

static void decode_q4_k(const unsigned char *from, int64_t blocks, float *to)
{
	for (; blocks--; from += 144) {
		float block_scale = half_at(from), block_minimum = half_at(from + 2);
		for (int part = 0; part < 8; part++, to += 32) {
			const unsigned char *low = from + 16 + part / 2 * 32;
			int scale, minimum, shift = part % 2 * 4;
			scale_and_minimum(from + 4, part, &scale, &minimum);
			float times = block_scale * (float)scale, minus = block_minimum * (float)minimum;
			for (int i = 0; i < 32; i++)
				to[i] = times * (float)(low[i] >> shift & 15) - minus;
		}
	}
}

static void decode_q5_k(const unsigned char *from, int64_t blocks, float *to)
{
	for (; blocks--; from += 176) {
		float block_scale = half_at(from), block_minimum = half_at(from + 2);
		const unsigned char *high = from + 16;
		for (int part = 0; part < 8; part++, to += 32) {
			const unsigned char *low = from + 48 + part / 2 * 32;
			int scale, minimum, shift = part % 2 * 4;
			scale_and_minimum(from + 4, part, &scale, &minimum);
			float times = block_scale * (float)scale, minus = block_minimum * (float)minimum;
			for (int i = 0; i < 32; i++)
				to[i] = times * (float)((low[i] >> shift & 15) | (high[i] >> part & 1) << 4) - minus;
		}
	}
}

/* Two halves of 128 numbers: 64 bytes of low bits, 32 of high ones, 8 scales; the block's scale ends it. */
static void decode_q6_k(const unsigned char *from, int64_t blocks, float *to)
{
	for (; blocks--; from += 210) {
		float block_scale = half_at(from + 208);
		for (int part = 0; part < 8; part++, to += 32) {
			int half = part / 4, quarter = part % 4;
			const unsigned char *low = from + half * 64 + quarter % 2 * 32, *high = from + 128 + half * 32;
			float first = block_scale * (float)(int8_t)from[192 + 2 * part];
			float second = block_scale * (float)(int8_t)from[193 + 2 * part];
			for (int i = 0; i < 32; i++) {
				int number = (low[i] >> quarter / 2 * 4 & 15) | (high[i] >> 2 * quarter & 3) << 4;
				to[i] = (i < 16 ? first : second) * (float)(number - 32);
			}
		}
	}
}

/* Sub-blocks of 16, each a byte of scale and minimum; two bits for a number. */
static void decode_q2_k(const unsigned char *from, int64_t blocks, float *to)
{
	for (; blocks--; from += 84) {
		float block_scale = half_at(from + 80), block_minimum = half_at(from + 82);
		for (int part = 0; part < 16; part++, to += 16) {
			const unsigned char *low = from + 16 + part / 8 * 32 + part % 2 * 16;
			float times = block_scale * (float)(from[part] & 15), minus = block_minimum * (float)(from[part] >> 4);
			for (int i = 0; i < 16; i++)
				to[i] = times * (float)(low[i] >> part / 2 % 4 * 2 & 3) - minus;
		}
	}
}

/* Sub-blocks of 16; of a number, two bits here and one there; of a scale, four bits here and two there. */
static void decode_q3_k(const unsigned char *from, int64_t blocks, float *to)
{
	for (; blocks--; from += 110) {
		float block_scale = half_at(from + 108);
		const unsigned char *scales = from + 96;
		for (int part = 0; part < 16; part++, to += 16) {
			const unsigned char *low = from + 32 + part / 8 * 32 + part % 2 * 16, *high = from + part % 2 * 16;
			int scale = (scales[part % 8] >> part / 8 * 4 & 15) | (scales[8 + part % 4] >> part / 4 * 2 & 3) << 4;
			float times = block_scale * (float)(scale - 32);
			for (int i = 0; i < 16; i++)
				to[i] = times * (float)((low[i] >> part / 2 % 4 * 2 & 3) - (high[i] >> part / 2 & 1 ? 0 : 4));
		}
	}
}

static void decode_iq4_xs(const unsigned char *from, int64_t blocks, float *to)
{
	for (; blocks--; from += 136) {
		float block_scale = half_at(from);
		for (int part = 0; part < 8; part++, to += 32) {
			int scale = (from[4 + part / 2] >> part % 2 * 4 & 15) | (from[2 + part / 4] >> part % 4 * 2 & 3) << 4;
			uneven(block_scale * (float)(scale - 32), from + 8 + part * 16, IQ4, to);
		}
	}
}

static const struct storage STORAGES[] = {[0] = {"F32", 1, 4, decode_f32},
	[1] = {"F16", 1, 2, decode_f16},
	[2] = {"Q4_0", 32, 18, decode_q4_0},
	[3] = {"Q4_1", 32, 20, decode_q4_1},
	[6] = {"Q5_0", 32, 22, decode_q5_0},
	[7] = {"Q5_1", 32, 24, decode_q5_1},
	[8] = {"Q8_0", 32, 34, decode_q8_0},
	[9] = {"Q8_1", 32, 36, NULL},
	[10] = {"Q2_K", 256, 84, decode_q2_k},
	[11] = {"Q3_K", 256, 110, decode_q3_k},
	[12] = {"Q4_K", 256, 144, decode_q4_k},
	[13] = {"Q5_K", 256, 176, decode_q5_k},
	[14] = {"Q6_K", 256, 210, decode_q6_k},
	[15] = {"Q8_K", 256, 292, NULL},
	[16] = {"IQ2_XXS", 256, 66, NULL},
	[17] = {"IQ2_XS", 256, 74, NULL},
	[18] = {"IQ3_XXS", 256, 98, NULL},
	[19] = {"IQ1_S", 256, 50, NULL},
	[20] = {"IQ4_NL", 32, 18, decode_iq4_nl},
	[21] = {"IQ3_S", 256, 110, NULL},
	[22] = {"IQ2_S", 256, 82, NULL},
	[23] = {"IQ4_XS", 256, 136, decode_iq4_xs},
	[24] = {"I8", 1, 1, NULL},
	[25] = {"I16", 1, 2, NULL},
	[26] = {"I32", 1, 4, NULL},
	[27] = {"I64", 1, 8, NULL},
	[28] = {"F64", 1, 8, NULL},
	[29] = {"IQ1_M", 256, 56, NULL},
	[30] = {"BF16", 1, 2, decode_bf16},
	[34] = {"TQ1_0", 256, 54, NULL},
	[35] = {"TQ2_0", 256, 66, NULL},
	[39] = {"MXFP4", 32, 17, decode_mxfp4}};

const struct storage *storage_of(uint32_t number)
{
	return number < COUNT_OF(STORAGES) && STORAGES[number].name ? &STORAGES[number] : NULL;
}

/* A byte of a sign, an exponent and so many bits of mantissa, as if none stood for anything but a number. */
static float eight_bits(unsigned char byte, int mantissa, int bias)
{
	int exponent = (byte & 127) >> mantissa, rest = byte & ((1 << mantissa) - 1);
	float value = exponent ? ldexpf(1 + ldexpf((float)rest, -mantissa), exponent - bias) :
							 ldexpf((float)rest, 1 - bias - mantissa);
	return byte & 128 ? -value : value;
}

static void decode_e4m3(const unsigned char *from, int64_t blocks, float *to)
{
	float of[256];
	for (int byte = 0; byte < 256; byte++)
		of[byte] = (byte & 127) == 127 ? NAN : eight_bits((unsigned char)byte, 3, 7);
	for (int64_t i = 0; i < blocks; i++)
		to[i] = of[from[i]];
}

static void decode_e5m2(const unsigned char *from, int64_t blocks, float *to)
{
	float of[256];
	for (int byte = 0; byte < 256; byte++)
		of[byte] = (byte & 127) > 124 ? NAN : eight_bits((unsigned char)byte, 2, 15);
	of[124] = INFINITY;
	of[252] = -INFINITY;
	for (int64_t i = 0; i < blocks; i++)
		to[i] = of[from[i]];
}

const struct storage *storage_named(const char *name)
{
	static const struct storage eight[] = {{"F8_E4M3", 1, 1, decode_e4m3}, {"F8_E5M2", 1, 1, decode_e5m2}};
	static const char *const shared[] = {"F32", "F16", "BF16"};
	for (size_t i = 0; i < COUNT_OF(eight); i++)
		if (!strcmp(eight[i].name, name))
			return &eight[i];
	for (size_t i = 0; i < COUNT_OF(STORAGES); i++)
		for (size_t j = 0; j < COUNT_OF(shared); j++)
			if (STORAGES[i].name && !strcmp(STORAGES[i].name, name) && !strcmp(name, shared[j]))
				return &STORAGES[i];
	return NULL;
}

char *storages_readable(void)
{
	char *list = NULL;
	for (size_t i = 0; i < COUNT_OF(STORAGES); i++) {
		if (!STORAGES[i].name || !STORAGES[i].decode)
			continue;
		char *longer = list ? xasprintf("%s, %s", list, STORAGES[i].name) : xstrdup(STORAGES[i].name);
		free(list);
		list = longer;
	}
	return list;
}

void dequantise(const struct storage *storage, const void *from, int64_t count, float *to)
{
	const unsigned char *bytes = from;
	int64_t blocks = count / storage->elements, per_task = PER_TASK / storage->elements;
#pragma omp parallel for schedule(static) if (blocks > per_task)
	for (int64_t start = 0; start < blocks; start += per_task) {
		int64_t n = blocks - start < per_task ? blocks - start : per_task;
		storage->decode(bytes + start * storage->bytes, n, to + start * storage->elements);
	}
}
