/*
 * Products in bfloat16, with sums in f32: on AMX's tiles, by AVX-512's dot products, or in plain C or AVX2's vectors,
 * which are the model of the tiles' arithmetic to the bit. Numbers are rounded to one part, of 8 bits, or split in two,
 * x = high + low, of which high x high + high x low + low x high are summed: about 16 bits.
 *
 * Operands are packed first: tiles of 16 rows of the left side, or columns of the right, by 32 of the depth that is
 * summed over, where pairs along the depth lie side by side. What is left of a tile is zero. Numbers too small to be
 * normal count as 0; what is not finite makes what it reaches not finite.
 *
 * Kernels of our own, not oneDNN's: its release 2.6, of Debian 12, takes no floats to the tiles (asked to round them,
 * it ran at 37 to 127 GF/s on the four shapes measured, OpenBLAS at 50 to 140), and has no products of two parts. The
 * oneDNN within PyTorch 2.13, given numbers rounded beforehand, ran on 4096 x 768 x 768 at 1,240 GF/s a core, these
 * kernels, given packed ones, at 1,300; rounding included at 660 and 860; on 6400 x 64 x 64 at 140 and 280. On Zen 5,
 * by AVX-512's dots, whose limit is 525: PyTorch's, given rounded numbers, at 467 and 437; these, given packed ones, at
 * 480 and 478, from floats at 450 and 375.
 */
#ifndef RECPIPE_BF16_H
#define RECPIPE_BF16_H

#include <stdbool.h>
#include <stdint.h>

#define BF16_SIDE 16
#define BF16_DEPTH 32

enum bf16_side { BF16_LEFT, BF16_RIGHT };

/* Floats that an operand of n rows, or columns, takes. */
int64_t bf16_size(int64_t n, int64_t depth, int parts);
/*
 * Packs factor x an operand. along: its numbers along the depth lie side by side in memory, `stride` floats from row to
 * row of the left side or column to column of the right; else the other way round.
 */
void bf16_pack(enum bf16_side side, int parts, bool along, int64_t n, int64_t depth, float factor, const float *x,
	int64_t stride, float *packed);
/*
 * c (m x n) (+)= left times right, whose depth is k. right may be a part of an operand, from any column that is a
 * multiple of BF16_SIDE and any place of the depth that is one of BF16_DEPTH on; right_depth is the depth of all of it.
 */
void bf16_product(int parts, int64_t m, int64_t n, int64_t k, const float *left, const float *right,
	int64_t right_depth, bool add, float *c, int64_t stride_c);
/* Where in an operand of that depth the part begins that has column `column` and place `from` of the depth first. */
const float *bf16_at(const float *packed, int64_t column, int64_t from, int64_t depth, int parts);

/* As gemm() of nn/matrix.h, by so many threads; of any number the same bytes. */
void bf16_gemm(int parts, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha,
	const float *a, int64_t stride_a, const float *b, int64_t stride_b, bool add, float *c, int64_t stride_c,
	int threads);

#endif
