#include "nn/bf16_parts.h"

#include <string.h>

#include "nn/cpu.h"

#define FLOATS(n) ((n) / 2) /* that so many numbers take */
/*
 * Tiles of the depth, of both parts together, between a block's
 * loading and storing: its rows stay in the first-level cache.
 */
#define PASS 24
/* Of the right side, and rows of the left with as much of the sums: together they stay in the second-level cache. */
#define RIGHT_BYTES (1152 << 10)
#define ROWS 256
/*
 * Packed at a time: depth of both parts together; of the left
 * side, where the right is packed once for all of it or anew
 */
#define PACKED_DEPTH 1536
#define LEFT_BYTES (512 << 10)
#define MOST_LEFT_BYTES (4 << 20)
#define PANELS 8 /* packed side by side */

static int64_t parts_of(int64_t n, int64_t of)
{
	return (n + of - 1) / of;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t bf16_size(int64_t n, int64_t depth, int parts)
{
	return FLOATS(parts_of(n, SIDE) * parts_of(depth, DEPTH) * TILE * parts);
}

static const struct instructions {
	enum cpu level;
	pack_function *pack;
	block_function *block;
} instructions[] = {
#ifdef __x86_64__
	{CPU_AMX, bf16_pack_dot, bf16_block_amx},
	{CPU_BF16, bf16_pack_dot, bf16_block_dot},
	{CPU_AVX2, bf16_pack_avx2, bf16_block_avx2},
#endif
	{CPU_NONE, bf16_pack_plain, bf16_block_plain},
};

static const struct instructions *choose(void)
{
	const struct instructions *best = instructions;
	while (best->level > cpu_level())
		best++;
	return best;
}

/* --- operands and products --- */

void bf16_pack(enum bf16_side side, int parts, bool along, int64_t n, int64_t depth, float factor, const float *x,
	int64_t stride, float *packed)
{
	pack_function *pack = choose()->pack;
	const int64_t tiles = parts_of(depth, DEPTH), some = along ? SIDE : PANELS * SIDE;
	for (int64_t first = 0; first < n; first += some)
		for (int64_t k = 0; k < depth; k += DEPTH)
			for (int64_t i = first; i < n && i < first + some; i += SIDE) {
				const struct source source = {.x = along ? x + i * stride + k : x + k * stride + i,
					.stride = stride,
					.n = n - i < SIDE ? n - i : SIDE,
					.depth = depth - k < DEPTH ? depth - k : DEPTH,
					.factor = factor,
					.along = along};
				pack(&source, parts, (side == BF16_RIGHT) == along,
					(uint16_t *)(void *)packed + (i / SIDE * tiles + k / DEPTH) * parts * TILE);
			}
}

static void copy(const float *from, int64_t stride_from, float *to, int64_t stride_to, int64_t rows, int64_t columns)
{
	for (int64_t row = 0; row < rows; row++)
		memcpy(to + row * stride_to, from + row * stride_from, (size_t)columns * sizeof *to);
}

/* A block of c at its edge, of which m x n are there. */
static void edge_block(block_function *block, struct operands o, int parts, int64_t m, int64_t n)
{
	float whole[BLOCK * BLOCK] __attribute__((aligned(64))), *c = o.c;
	int64_t stride = o.stride_c;
	o.c = whole;
	o.stride_c = BLOCK;
	if (o.add)
		copy(c, stride, whole, BLOCK, m, n);
	block(&o, parts, m > SIDE ? 2 : 1, n > SIDE ? 2 : 1);
	copy(whole, BLOCK, c, stride, m, n);
}

/* A block's rows of c, m of them, and n columns. */
static void product_rows(block_function *block, struct operands o, int parts, int64_t m, int64_t n)
{
	const int64_t whole = m % SIDE ? 0 : n / SIDE;
	if (whole)
		block(&o, parts, (int)(m / SIDE), (int)whole);
	o.right += whole * o.right_step;
	o.c += whole * SIDE;
	for (int64_t column = whole * SIDE; column < n; column += BLOCK, o.right += 2 * o.right_step, o.c += BLOCK)
		edge_block(block, o, parts, m, least(n - column, BLOCK));
}

const float *bf16_at(const float *packed, int64_t column, int64_t from, int64_t depth, int parts)
{
	return packed + bf16_size(column, depth, parts) + bf16_size(SIDE, from, parts);
}

/*
 * Into how many rows or columns at a time n are divided, evenly,
 * so that these, `bytes` each, take about `most` at most.
 */
static int64_t at_once_of(int64_t n, int64_t bytes, int64_t most)
{
	int64_t blocks = bytes ? most / bytes / BLOCK : n;
	int64_t times = parts_of(n, (blocks ? blocks : 1) * BLOCK);
	return times ? parts_of(parts_of(n, times), BLOCK) * BLOCK : BLOCK;
}

void bf16_product(int parts, int64_t m, int64_t n, int64_t k, const float *left, const float *right,
	int64_t right_depth, bool add, float *c, int64_t stride_c)
{
	block_function *block = choose()->block;
	const int64_t depth = parts_of(k, DEPTH), passes = parts_of(depth, PASS / parts);
	const int64_t at_once = passes ? parts_of(depth, passes) : 1;
	const int64_t left_step = depth * parts * TILE, right_step = parts_of(right_depth, DEPTH) * parts * TILE;
	const int64_t columns = at_once_of(n, at_once * DEPTH * parts * (int64_t)sizeof(uint16_t), RIGHT_BYTES);
	const uint16_t *const l = (const uint16_t *)(const void *)left, *const r = (const uint16_t *)(const void *)right;
	for (int64_t column = 0; column < n; column += columns)
		for (int64_t row = 0; row < m; row += ROWS)
			for (int64_t from = 0; from < depth || !from; from += at_once)
				for (int64_t i = row; i < m && i < row + ROWS; i += BLOCK) {
					const struct operands o = {.left = l + i / SIDE * left_step + from * parts * TILE,
						.right = r + column / SIDE * right_step + from * parts * TILE,
						.left_step = left_step,
						.right_step = right_step,
						.tiles = least(depth - from, at_once),
						.add = add || from,
						.c = c + i * stride_c + column,
						.stride_c = stride_c};
					product_rows(block, o, parts, least(m - i, BLOCK), least(n - column, columns));
				}
}

/* Of a product's depth a part, for which both sides are packed. */
struct factors {
	int parts;
	bool transpose_a, transpose_b, add;
	int64_t m, n, k;
	float alpha;
	const float *a, *b;
	int64_t stride_a, stride_b, stride_c;
	float *c;
};

static void multiply_factors(const struct factors *f, int threads)
{
	const int64_t bytes = parts_of(f->k, DEPTH) * DEPTH * f->parts * (int64_t)sizeof(uint16_t);
	const int64_t columns = at_once_of(parts_of(f->n, threads), bytes, RIGHT_BYTES);
	const int64_t rows = at_once_of(f->m, bytes, columns < f->n ? MOST_LEFT_BYTES : LEFT_BYTES);
	for (int64_t i = 0; i < f->m; i += rows) {
		const int64_t some = least(f->m - i, rows);
		float *left = thread_scratch(SCRATCH_LEFT, bf16_size(some, f->k, f->parts));
		bf16_pack(BF16_LEFT, f->parts, !f->transpose_a, some, f->k, f->alpha,
			f->a + (f->transpose_a ? i : i * f->stride_a), f->stride_a, left);
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (threads > 1)
		for (int64_t j = 0; j < f->n; j += columns) {
			const int64_t width = least(f->n - j, columns);
			float *right = thread_scratch(SCRATCH_RIGHT, bf16_size(width, f->k, f->parts));
			if (!i || columns < f->n)
				bf16_pack(BF16_RIGHT, f->parts, f->transpose_b, width, f->k, 1,
					f->b + (f->transpose_b ? j * f->stride_b : j), f->stride_b, right);
			bf16_product(f->parts, some, width, f->k, left, right, f->k, f->add, f->c + i * f->stride_c + j,
				f->stride_c);
		}
	}
}

void bf16_gemm(int parts, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha,
	const float *a, int64_t stride_a, const float *b, int64_t stride_b, bool add, float *c, int64_t stride_c,
	int threads)
{
	for (int64_t from = 0; from < k || !from; from += PACKED_DEPTH / parts) {
		const struct factors f = {parts, transpose_a, transpose_b, add || from, m, n,
			least(k - from, PACKED_DEPTH / parts), alpha, a + (transpose_a ? from * stride_a : from),
			b + (transpose_b ? from : from * stride_b), stride_a, stride_b, stride_c, c};
		multiply_factors(&f, threads);
	}
}
