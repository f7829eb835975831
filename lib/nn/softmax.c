#include "nn/softmax.h"

#include <float.h>
#include <string.h>

#include "nn/bf16.h"
#include "nn/vec.h"

#define TILE 128 /* items at a time; a multiple of BF16_DEPTH */

struct softmax {
	int parts;
	int64_t n_items, d, n, lanes; /* positions, and these up to the next multiple of BF16_SIDE: the rest are zeros */
	const float *rows, *columns;  /* packed: the items as they are; and each tile of them transposed */
	int64_t tile_floats;          /* of one of these */
	/*
	 * packed: the hidden states, transposed (d x lanes) and as they
	 * are; a tile's probabilities, of which each is a side
	 */
	float *transposed, *hidden, *of_hidden, *of_items;
	float *scores, *dtransposed, *factor; /* TILE x lanes, d x lanes; lanes */
};

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static float *take(struct tape *tape, int64_t floats)
{
	return arena_take(&tape->arena, floats, 1, sizeof(float));
}

struct softmax *softmax_new(struct tape *tape, const struct array *items, int parts, int64_t positions)
{
	const int64_t d = items->columns, n = items->rows, lanes = positions + BF16_DEPTH;
	struct softmax *s = arena_take(&tape->arena, 1, 1, sizeof *s);
	*s = (struct softmax){.parts = parts, .n_items = n, .d = d, .tile_floats = bf16_size(d, TILE, parts)};
	float *rows = take(tape, bf16_size(n, d, parts)), *columns = take(tape, (n / TILE + 1) * s->tile_floats);
	bf16_pack(BF16_LEFT, parts, true, n, d, 1, items->value, items->stride, rows);
	for (int64_t from = 0; from < n; from += TILE)
		bf16_pack(BF16_LEFT, parts, false, d, least(n - from, TILE), 1, items->value + from * items->stride,
			items->stride, columns + from / TILE * s->tile_floats);
	s->rows = rows;
	s->columns = columns;
	s->transposed = take(tape, bf16_size(lanes, d, parts));
	s->hidden = take(tape, bf16_size(d, lanes, parts));
	s->of_hidden = take(tape, bf16_size(lanes, TILE, parts));
	s->of_items = take(tape, bf16_size(TILE, lanes, parts));
	s->scores = take(tape, TILE * lanes);
	s->dtransposed = take(tape, d * lanes);
	s->factor = take(tape, lanes);
	return s;
}

static void scores_of(const struct softmax *s, int64_t from, int64_t n)
{
	bf16_product(s->parts, n, s->lanes, s->d, bf16_at(s->rows, from, 0, s->d, s->parts), s->transposed, s->d, false,
		s->scores, s->lanes);
}

void softmax_forward(struct softmax *s, int64_t n, const float *hidden, const int32_t *target, float *max, float *sum,
	float *of_target)
{
	s->n = n;
	s->lanes = (n + BF16_SIDE - 1) / BF16_SIDE * BF16_SIDE;
	bf16_pack(BF16_RIGHT, s->parts, true, n, s->d, 1, hidden, s->d, s->transposed);
	bf16_pack(BF16_RIGHT, s->parts, false, s->d, n, 1, hidden, s->d, s->hidden);
	for (int64_t r = 0; r < s->lanes; r++) {
		max[r] = -FLT_MAX;
		sum[r] = 0;
	}
	for (int64_t from = 0; from < s->n_items; from += TILE) {
		int64_t some = least(s->n_items - from, TILE);
		scores_of(s, from, some);
		for (int64_t r = 0; r < n; r++)
			if (target[r] >= from && target[r] < from + some)
				of_target[r] = s->scores[(target[r] - from) * s->lanes + r];
		vec_exp_lanes_sum(s->scores, some, s->lanes, max, sum);
	}
}

void softmax_backward(struct softmax *s, const float *max, const float *factor, float *dhidden, float *ditems,
	int64_t stride)
{
	const int64_t n = s->n, lanes = s->lanes, d = s->d;
	for (int64_t r = 0; r < lanes; r++)
		s->factor[r] = r < n ? factor[r] : 0;
	for (int64_t from = 0; from < s->n_items; from += TILE) {
		const int64_t some = least(s->n_items - from, TILE);
		scores_of(s, from, some);
		vec_exp_lanes_of(s->scores, some, lanes, max, s->factor);
		bf16_pack(BF16_RIGHT, s->parts, false, n, some, 1, s->scores, lanes, s->of_hidden);
		bf16_product(s->parts, d, lanes, some, s->columns + from / TILE * s->tile_floats, s->of_hidden, some, from > 0,
			s->dtransposed, lanes);
		if (!ditems)
			continue;
		bf16_pack(BF16_LEFT, s->parts, true, some, n, 1, s->scores, lanes, s->of_items);
		bf16_product(s->parts, some, d, n, s->of_items, s->hidden, n, true, ditems + from * stride, stride);
	}
	for (int64_t r = 0; r < n; r++)
		for (int64_t i = 0; i < d; i++)
			dhidden[r * d + i] = s->dtransposed[i * lanes + r];
}
