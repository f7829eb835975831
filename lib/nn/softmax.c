#include "nn/softmax.h"

#include <float.h>
#include <string.h>

#include "nn/bf16.h"
#include "nn/cpu.h"
#include "nn/vec.h"

#define TILE 256               /* items at a time, at most; a multiple of BF16_DEPTH */
#define MOST_KEPT (64ll << 20) /* bytes of probabilities */

struct softmax {
	int parts;
	int64_t tile;                 /* items at a time */
	int64_t n_items, d, n, lanes; /* positions, and these up to the next multiple of BF16_SIDE: the rest are zeros */
	const float *rows, *columns;  /* packed: the items as they are; and each tile of them transposed */
	int64_t tile_floats;          /* of one of these */
	/*
	 * packed: the hidden states, transposed (d x lanes) and as they
	 * are; a tile's probabilities, of which each is a side
	 */
	float *transposed, *hidden, *of_hidden, *of_items;
	float *scores, *dtransposed, *factor; /* tile x lanes, d x lanes; lanes */
	/*
	 * Of one pass: each tile's probabilities, packed, by the largest score so far, its shift (lanes); and the hidden
	 * states, h, with their weights for it.
	 */
	float *kept, *shift, *weighed;
	const float *h;
	int64_t kept_floats; /* of one tile */
};

static bool has_tiles(void)
{
	return cpu_level() >= CPU_AMX;
}

int64_t softmax_positions(void)
{
	return has_tiles() ? 512 : 256;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static float *take(struct tape *tape, int64_t floats)
{
	return arena_take(&tape->arena, floats, 1, sizeof(float));
}

/* One pass instead of two, where products cost more than memory. */
static void prepare_keeping(struct softmax *s, struct tape *tape, int64_t lanes)
{
	const int64_t tiles = s->n_items / s->tile + 1;
	s->kept_floats = bf16_size(s->tile, lanes, s->parts);
	if (has_tiles() || tiles * s->kept_floats * (int64_t)sizeof(float) > MOST_KEPT)
		return;
	s->kept = take(tape, tiles * s->kept_floats);
	s->shift = take(tape, tiles * lanes);
	s->weighed = take(tape, lanes * s->d);
}

struct softmax *softmax_new(struct tape *tape, const struct array *items, int parts, int64_t positions, bool backward)
{
	const int64_t d = items->columns, n = items->rows, lanes = positions + BF16_DEPTH;
	struct softmax *s = arena_take(&tape->arena, 1, 1, sizeof *s);
	*s = (struct softmax){.parts = parts, .n_items = n, .d = d, .tile = has_tiles() ? TILE / 2 : TILE};
	s->tile_floats = bf16_size(d, s->tile, parts);
	float *rows = take(tape, bf16_size(n, d, parts)), *columns = take(tape, (n / s->tile + 1) * s->tile_floats);
	bf16_pack(BF16_LEFT, parts, true, n, d, 1, items->value, items->stride, rows);
	for (int64_t from = 0; from < n; from += s->tile)
		bf16_pack(BF16_LEFT, parts, false, d, least(n - from, s->tile), 1, items->value + from * items->stride,
			items->stride, columns + from / s->tile * s->tile_floats);
	s->rows = rows;
	s->columns = columns;
	s->transposed = take(tape, bf16_size(lanes, d, parts));
	s->hidden = take(tape, bf16_size(d, lanes, parts));
	s->of_hidden = take(tape, bf16_size(lanes, s->tile, parts));
	s->of_items = take(tape, bf16_size(s->tile, lanes, parts));
	s->scores = take(tape, s->tile * lanes);
	s->dtransposed = take(tape, d * lanes);
	s->factor = take(tape, lanes);
	if (backward)
		prepare_keeping(s, tape, lanes);
	return s;
}

static void scores_of(const struct softmax *s, int64_t from, int64_t n)
{
	bf16_product(s->parts, n, s->lanes, s->d, bf16_at(s->rows, from, 0, s->d, s->parts), s->transposed, s->d, false,
		s->scores, s->lanes);
}

/* dtransposed (+)= the tile's items times P, where scores is it. */
static void add_to_hidden(const struct softmax *s, int64_t from, int64_t some)
{
	bf16_pack(BF16_RIGHT, s->parts, false, s->n, some, 1, s->scores, s->lanes, s->of_hidden);
	bf16_product(s->parts, s->d, s->lanes, some, s->columns + from / s->tile * s->tile_floats, s->of_hidden, some,
		from > 0, s->dtransposed, s->lanes);
}

static void keep_tile(const struct softmax *s, int64_t n, int64_t from, int64_t some, float *max, float *sum)
{
	const int64_t tile = from / s->tile;
	vec_exp_lanes(s->scores, some, s->lanes, max, sum, s->factor);
	memcpy(s->shift + tile * s->lanes, max, (size_t)s->lanes * sizeof *max);
	if (from)
		vec_scale_rows(s->dtransposed, s->d, s->lanes, s->factor);
	add_to_hidden(s, from, some);
	bf16_pack(BF16_LEFT, s->parts, true, some, n, 1, s->scores, s->lanes, s->kept + tile * s->kept_floats);
}

/* The hidden states, each by its factor, for the gradient of a tile's items. */
static void weigh_hidden(const struct softmax *s, int64_t tile, const float *max, const float *factor)
{
	const size_t bytes = (size_t)s->n * sizeof(float);
	const float *shift = s->shift + tile * s->lanes;
	if (tile && !memcmp(shift, shift - s->lanes, bytes))
		return;
	vec_reweigh(s->h, s->weighed, s->n, s->d, factor, shift, max);
	bf16_pack(BF16_RIGHT, s->parts, false, s->d, s->n, 1, s->weighed, s->d, s->hidden);
}

static void backward_of_kept(const struct softmax *s, const float *max, const float *factor, float *dhidden,
	float *ditems, int64_t stride)
{
	const int64_t n = s->n, d = s->d;
	for (int64_t r = 0; r < n; r++)
		for (int64_t i = 0; i < d; i++)
			dhidden[r * d + i] = factor[r] * s->dtransposed[i * s->lanes + r];
	for (int64_t from = 0, tile = 0; ditems && from < s->n_items; from += s->tile, tile++) {
		weigh_hidden(s, tile, max, factor);
		bf16_product(s->parts, least(s->n_items - from, s->tile), d, n, s->kept + tile * s->kept_floats, s->hidden, n,
			true, ditems + from * stride, stride);
	}
}

void softmax_forward(struct softmax *s, int64_t n, const float *hidden, const int32_t *target, float *max, float *sum,
	float *of_target)
{
	s->n = n;
	s->lanes = (n + BF16_SIDE - 1) / BF16_SIDE * BF16_SIDE;
	bf16_pack(BF16_RIGHT, s->parts, true, n, s->d, 1, hidden, s->d, s->transposed);
	if (s->kept)
		s->h = hidden;
	else
		bf16_pack(BF16_RIGHT, s->parts, false, s->d, n, 1, hidden, s->d, s->hidden);
	for (int64_t r = 0; r < s->lanes; r++) {
		max[r] = -FLT_MAX;
		sum[r] = 0;
	}
	for (int64_t from = 0; from < s->n_items; from += s->tile) {
		int64_t some = least(s->n_items - from, s->tile);
		scores_of(s, from, some);
		for (int64_t r = 0; r < n; r++)
			if (target[r] >= from && target[r] < from + some)
				of_target[r] = s->scores[(target[r] - from) * s->lanes + r];
		if (s->kept)
			keep_tile(s, n, from, some, max, sum);
		else
			vec_exp_lanes_sum(s->scores, some, s->lanes, max, sum);
	}
}

void softmax_backward(struct softmax *s, const float *max, const float *factor, float *dhidden, float *ditems,
	int64_t stride)
{
	const int64_t n = s->n, lanes = s->lanes, d = s->d;
	if (s->kept) {
		backward_of_kept(s, max, factor, dhidden, ditems, stride);
		return;
	}
	for (int64_t r = 0; r < lanes; r++)
		s->factor[r] = r < n ? factor[r] : 0;
	for (int64_t from = 0; from < s->n_items; from += s->tile) {
		const int64_t some = least(s->n_items - from, s->tile);
		scores_of(s, from, some);
		vec_exp_lanes_of(s->scores, some, lanes, max, s->factor);
		add_to_hidden(s, from, some);
		if (!ditems)
			continue;
		bf16_pack(BF16_LEFT, s->parts, true, some, n, 1, s->scores, lanes, s->of_items);
		bf16_product(s->parts, some, d, n, s->of_items, s->hidden, n, true, ditems + from * stride, stride);
	}
	for (int64_t r = 0; r < n; r++)
		for (int64_t i = 0; i < d; i++)
			dhidden[r * d + i] = s->dtransposed[i * lanes + r];
}
