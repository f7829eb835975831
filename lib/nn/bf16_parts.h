/* What the files of nn/bf16.h share: tiles, and how each set of instructions packs and multiplies them. */
#ifndef RECPIPE_BF16_PARTS_H
#define RECPIPE_BF16_PARTS_H

#include "nn/array.h"
#include "nn/bf16.h"

#define SIDE BF16_SIDE
#define DEPTH BF16_DEPTH
#define TILE (SIDE * DEPTH) /* numbers of a tile */
#define BLOCK (2 * SIDE)    /* rows and columns that are computed at once */

/* Where a tile of an operand comes from, cut at its edges. */
struct source {
	const float *x;
	int64_t stride, n, depth; /* n: rows or columns, at most SIDE; depth: at most DEPTH */
	float factor;
	bool along;
};

/* Tile by tile; and within a tile its parts. transpose: source's layout is not that of the side. */
typedef void pack_function(const struct source *source, int parts, bool transpose, uint16_t *tile);
/*
 * Adds products of `tiles` tiles along the depth, of rows (1 or 2) x columns (any number) tiles, to c, or sets it. The
 * next row's or column's tiles are step numbers further on.
 */
struct operands {
	const uint16_t *left, *right;
	int64_t left_step, right_step, tiles;
	bool add;
	float *c;
	int64_t stride_c;
};
typedef void block_function(const struct operands *o, int parts, int rows, int columns);

/* The products of parts that are summed, in this order: left's, right's. */
static const int summed[3][2] = {{0, 0}, {0, 1}, {1, 0}};

static inline int n_summed(int parts)
{
	return parts == 1 ? 1 : 3;
}

/* The arithmetic in plain C; the same bits by AVX2's vectors, and by AMX's tiles, whose packing is AVX-512's. */
pack_function bf16_pack_plain, bf16_pack_avx2, bf16_pack_dot;
block_function bf16_block_plain, bf16_block_avx2, bf16_block_amx;
/* By AVX-512's dot products: near. */
block_function bf16_block_dot;

#endif
