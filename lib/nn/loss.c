#include "nn/loss.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "nn/kernel.h"
#include "nn/matrix.h"
#include "nn/softmax.h"
#include "nn/vec.h"

/* The rows of array named by `row`, end to end. */
static void copy_rows(const struct array *array, const int32_t *row, int64_t n, float *rows)
{
	enum { AHEAD = 16 };
	for (int64_t i = 0; i < n; i++) {
		prefetch_floats(array->value + row[i + AHEAD < n ? i + AHEAD : i] * array->stride, array->columns);
		memcpy(rows + i * array->columns, array->value + row[i] * array->stride, (size_t)array->columns * sizeof *rows);
	}
}

static float *gather(struct tape *tape, const struct array *array, const int32_t *row, int64_t n)
{
	float *rows = arena_take(&tape->arena, n, array->columns, sizeof *rows);
	copy_rows(array, row, n, rows);
	return rows;
}

/* Positions with a target, and those targets. */
struct positions {
	int64_t n;
	int32_t *row, *target;
};

static struct positions positions_of(struct tape *tape, const int32_t *target, int64_t n)
{
	struct positions positions = {0};
	positions.row = arena_take(&tape->arena, n, 1, sizeof *positions.row);
	positions.target = arena_take(&tape->arena, n, 1, sizeof *positions.target);
	for (int64_t t = 0; t < n; t++)
		if (target[t] >= 0) {
			positions.row[positions.n] = (int32_t)t;
			positions.target[positions.n++] = target[t];
		}
	return positions;
}

static void scale_rows(float *rows, const float *factor, int64_t n, int64_t d)
{
	for (int64_t r = 0; r < n; r++)
		for (int64_t i = 0; i < d; i++)
			rows[r * d + i] *= factor[r];
}

/*
 * Full cross-entropy takes a block of positions at a time, and of the items a tile: their scores become, in place,
 * unnormalised probabilities P = exp(score - shift), which are multiplied with the tile's items E for the gradient of
 * the hidden states while they are in the cache, and, where it is wanted, with the hidden states H for that of the
 * items at the end. shift is the largest score so far, so that a tile needs to be seen only once; what an earlier,
 * smaller one has weighed too much is corrected when it grows, and at the end for P. Normalising, 1 / sum of each
 * position, is left to the narrow matrices. The -1 of "probability minus one-hot" is added apart.
 */
struct block {
	struct array *hidden, *items, *bias;
	float *dhidden, *ditems, *dbias; /* their gradients; NULL where not wanted */
	float scale, softcap;            /* 0: none */
	int64_t n, tile;                 /* positions; items at a time */
	const int32_t *row, *target;
	float *h;           /* n x d: their hidden states */
	bool keep;          /* p is of all tiles, end to end; else each takes the place of the one before */
	float *p;           /* by tile: n x items, or transposed */
	float *slope;       /* n x tile, with a softcap: of scores, then P times it */
	float *dh, *factor; /* n x d, n; scratch */
	/* n each: largest score, sum of P, for earlier tiles; the target's score */
	float *max, *sum, *rescale, *of_target;
	float *shift; /* by tile, n each */
	float *nll;   /* of all positions, by row; may be NULL */
	bool *said;
};

static void targets_backward(const struct block *b)
{
	int64_t d = b->items->columns;
	for (int64_t r = 0; r < b->n; r++) {
		const float *next = b->items->value + b->target[r] * b->items->stride;
		float share = b->softcap > 0 ? b->of_target[r] / b->softcap : 0;
		if (b->dhidden)
			vec_axpy(-b->scale * (1 - share * share), next, b->dhidden + b->row[r] * b->hidden->stride, d);
		if (b->ditems)
			vec_axpy(-b->scale, b->h + r * d, b->ditems + b->target[r] * b->items->stride, d);
		if (b->dbias)
			b->dbias[b->target[r]] -= b->scale;
	}
}

static double losses_of(const struct block *b)
{
	double loss = 0;
	for (int64_t r = 0; r < b->n; r++) {
		double nll = log((double)b->sum[r]) + (double)b->max[r] - (double)b->of_target[r];
		loss += nll;
		b->factor[r] = b->scale / b->sum[r];
		if (b->nll)
			b->nll[b->row[r]] = (float)nll;
		if (b->said)
			b->said[b->row[r]] = b->of_target[r] >= b->max[r];
	}
	return loss;
}

static void start_sums(const struct block *b, int64_t count)
{
	for (int64_t r = 0; r < count; r++) {
		b->max[r] = -FLT_MAX;
		b->sum[r] = 0;
	}
}

/* By matrix products, rows for positions. */
#define GEMM_TILE 1024 /* a multiple of MULTIPLY_ROWS */
#define GEMM_ROWS 512

/* Caps a tile's scores, and notes by how much less they grow now. */
static void cap_scores(const struct block *b, int64_t n, float *p)
{
	vec_softcap(p, b->n * n, 1, b->softcap);
	for (int64_t i = 0; i < b->n * n; i++)
		b->slope[i] = 1 - p[i] / b->softcap * (p[i] / b->softcap);
}

static void rows_forward(const struct block *b)
{
	int64_t d = b->items->columns, n_items = b->items->rows;
	start_sums(b, b->n);
	memset(b->dh, 0, (size_t)(b->n * d) * sizeof *b->dh);
	for (int64_t from = 0; from < n_items; from += b->tile) {
		int64_t n = n_items - from < b->tile ? n_items - from : b->tile;
		float *p = b->keep ? b->p + from * b->n : b->p;
		for (int64_t r = 0; b->bias && r < b->n; r++)
			memcpy(p + r * n, b->bias->value + from, (size_t)n * sizeof *p);
		multiply(b->items, from, n, true, b->n, b->h, d, b->bias, p, n);
		if (b->softcap > 0)
			cap_scores(b, n, p);
		for (int64_t r = 0; r < b->n; r++)
			if (b->target[r] >= from && b->target[r] < from + n)
				b->of_target[r] = p[r * n + b->target[r] - from];
		vec_exp_rows(p, b->n, n, b->max, b->sum, b->rescale);
		memcpy(b->shift + from / b->tile * b->n, b->max, (size_t)b->n * sizeof *b->shift);
		if (!b->dhidden)
			continue;
		scale_rows(b->dh, b->rescale, b->n, d);
		for (int64_t i = 0; b->softcap > 0 && i < b->n * n; i++)
			b->slope[i] *= p[i];
		multiply(b->items, from, n, false, b->n, b->softcap > 0 ? b->slope : p, n, true, b->dh, d);
	}
}

static void rows_backward(const struct block *b)
{
	int64_t d = b->items->columns, n_items = b->items->rows, stride = b->items->stride;
	for (int64_t r = 0; b->dhidden && r < b->n; r++)
		vec_axpy(b->factor[r], b->dh + r * d, b->dhidden + b->row[r] * b->hidden->stride, d);
	for (int64_t from = 0; (b->ditems || b->dbias) && from < n_items; from += b->tile) {
		int64_t n = n_items - from < b->tile ? n_items - from : b->tile;
		const float *p = b->p + from * b->n, *shift = b->shift + from / b->tile * b->n;
		for (int64_t r = 0; b->dbias && r < b->n; r++)
			vec_axpy(b->factor[r] * expf(shift[r] - b->max[r]), p + r * n, b->dbias + from, n);
		if (!b->ditems)
			continue;
		vec_reweigh(b->h, b->dh, b->n, d, b->factor, shift, b->max);
		gemm(true, false, n, d, b->n, 1, p, n, b->dh, d, 1, b->ditems + from * stride, stride);
	}
}

static double block_by_gemm(const struct block *b)
{
	rows_forward(b);
	double loss = losses_of(b);
	targets_backward(b);
	rows_backward(b);
	return loss;
}

/* In bfloat16, where the processor is so fast at it. */
static double block_by_softmax(const struct block *b, struct softmax *softmax)
{
	const int64_t d = b->items->columns;
	softmax_forward(softmax, b->n, b->h, b->target, b->max, b->sum, b->of_target);
	double loss = losses_of(b);
	if (!b->dhidden && !b->ditems)
		return loss;
	targets_backward(b);
	softmax_backward(softmax, b->max, b->factor, b->dh, b->ditems, b->items->stride);
	for (int64_t r = 0; b->dhidden && r < b->n; r++)
		vec_axpy(1, b->dh + r * d, b->dhidden + b->row[r] * b->hidden->stride, d);
	return loss;
}

/* The same in floats for narrow vectors, everything transposed, a lane for a position: by kernel_product(). */
#define TILE 256
#define MAX_LANES 64

struct lanes {
	int64_t count;   /* positions, up to the next multiple of KERNEL_LANE: the rest are zeros */
	float *ht, *dht; /* d x lanes */
};

static struct lanes lanes_of(struct tape *tape, const struct block *b)
{
	struct lanes l = {.count = (b->n + KERNEL_LANE - 1) / KERNEL_LANE * KERNEL_LANE};
	int64_t d = b->items->columns;
	l.ht = tape_take(tape, d, l.count);
	l.dht = tape_take(tape, d, l.count);
	memset(l.ht, 0, (size_t)(d * l.count) * sizeof *l.ht);
	memset(l.dht, 0, (size_t)(d * l.count) * sizeof *l.dht);
	for (int64_t r = 0; r < b->n; r++)
		for (int64_t i = 0; i < d; i++)
			l.ht[i * l.count + r] = b->h[r * d + i];
	return l;
}

static void lanes_forward(const struct block *b, const struct lanes *l)
{
	int64_t d = b->items->columns, n_items = b->items->rows, stride = b->items->stride;
	start_sums(b, l->count);
	for (int64_t from = 0; from < n_items; from += b->tile) {
		int64_t n = n_items - from < b->tile ? n_items - from : b->tile;
		const float *items = b->items->value + from * stride;
		float *p = b->keep ? b->p + from * l->count : b->p;
		kernel_product(n, l->count, d, items, stride, 1, l->ht, l->count, p, l->count, false);
		for (int64_t r = 0; r < b->n; r++)
			if (b->target[r] >= from && b->target[r] < from + n)
				b->of_target[r] = p[(b->target[r] - from) * l->count + r];
		vec_exp_lanes(p, n, l->count, b->max, b->sum, b->rescale);
		memcpy(b->shift + from / b->tile * l->count, b->max, (size_t)l->count * sizeof *b->shift);
		if (!b->dhidden)
			continue;
		vec_scale_rows(l->dht, d, l->count, b->rescale);
		kernel_product(d, l->count, n, items, 1, stride, p, l->count, l->dht, l->count, true);
	}
}

static void lanes_backward(const struct block *b, const struct lanes *l)
{
	int64_t d = b->items->columns, n_items = b->items->rows, stride = b->items->stride;
	for (int64_t r = 0; b->dhidden && r < b->n; r++)
		for (int64_t i = 0; i < d; i++)
			b->dhidden[b->row[r] * b->hidden->stride + i] += b->factor[r] * l->dht[i * l->count + r];
	for (int64_t from = 0; b->ditems && from < n_items; from += b->tile) {
		int64_t n = n_items - from < b->tile ? n_items - from : b->tile;
		vec_reweigh(b->h, b->dh, b->n, d, b->factor, b->shift + from / b->tile * l->count, b->max);
		kernel_product(n, d, b->n, b->p + from * l->count, l->count, 1, b->dh, d, b->ditems + from * stride, stride,
			true);
	}
}

static double block_by_lanes(struct tape *tape, const struct block *b)
{
	struct lanes l = lanes_of(tape, b);
	lanes_forward(b, &l);
	double loss = losses_of(b);
	targets_backward(b);
	lanes_backward(b, &l);
	tape_give(tape, l.ht, b->items->columns, l.count);
	tape_give(tape, l.dht, b->items->columns, l.count);
	return loss;
}

/* Blocks of scores are kept below about this size. */
#define BLOCK_BYTES (64 << 20)
/* Wider vectors are worth packing, for many positions at a time. */
#define NARROW 256
/* In bfloat16 as many numbers of items, so that they do not fill the memory twice. */
#define MOST_PACKED (32 << 20)

/* The items for the softmax in bfloat16, for `size` positions at a time at most; NULL: in floats. */
static struct softmax *softmax_of(struct tape *tape, const struct block *b, int64_t size)
{
	const int64_t n = b->items->rows, d = b->items->columns;
	if (b->bias || b->softcap > 0 || b->items->packed || d > SOFTMAX_WIDTH || n * d > MOST_PACKED)
		return NULL;
	int parts = product_parts(size, n, d);
	return parts ? softmax_new(tape, b->items, parts, size, b->dhidden || b->ditems) : NULL;
}

/* How many positions of n to take at a time: `most`, or less by halves. */
static int64_t positions_at_once(const struct block *b, int64_t n, int64_t most, bool keeps)
{
	while (most > KERNEL_LANE && (most / 2 >= n || (keeps && most * b->items->rows * 4 > BLOCK_BYTES)))
		most /= 2;
	return most;
}

static double cross_entropy(struct tape *tape, struct array *hidden, struct array *items, struct array *bias,
	const int32_t *target, float scale, float softcap, float *nll, bool *said)
{
	int64_t d = items->columns;
	struct positions positions = positions_of(tape, target, hidden->rows);
	struct block block = {.hidden = hidden,
		.items = items,
		.bias = bias,
		.scale = scale,
		.softcap = softcap,
		.nll = nll,
		.said = said,
		.dhidden = started_gradient(tape, hidden),
		.ditems = started_gradient(tape, items),
		.dbias = bias ? started_gradient(tape, bias) : NULL};
	block.keep = block.ditems || block.dbias;
	int64_t size = positions_at_once(&block, positions.n, softmax_positions(), false);
	struct softmax *softmax = positions.n ? softmax_of(tape, &block, size) : NULL;
	bool by_lanes = !bias && softcap <= 0 && !items->packed && d <= NARROW && d % KERNEL_LANE == 0 &&
		kernel_available();
	int64_t tile = block.tile = by_lanes ? TILE : GEMM_TILE;
	if (!softmax) {
		size = positions_at_once(&block, positions.n, by_lanes ? MAX_LANES : GEMM_ROWS, block.keep);
		block.p = arena_take(&tape->arena, size, block.keep ? items->rows : tile, sizeof *block.p);
	}
	float *h = gather(tape, hidden, positions.row, positions.n);
	block.dh = arena_take(&tape->arena, size, d, sizeof *block.dh);
	block.slope = softcap > 0 ? arena_take(&tape->arena, size, tile, sizeof(float)) : NULL;
	block.shift = arena_take(&tape->arena, size, items->rows / tile + 1, sizeof *block.shift);
	float **const each[] = {&block.factor, &block.max, &block.sum, &block.rescale, &block.of_target};
	for (size_t i = 0; i < COUNT_OF(each); i++)
		*each[i] = arena_take(&tape->arena, size, 1, sizeof(float));
	double loss = 0;
	for (int64_t from = 0; from < positions.n; from += size) {
		block.n = positions.n - from < size ? positions.n - from : size;
		block.row = positions.row + from;
		block.target = positions.target + from;
		block.h = h + from * d;
		loss += softmax ? block_by_softmax(&block, softmax) :
			by_lanes    ? block_by_lanes(tape, &block) :
						  block_by_gemm(&block);
	}
	return loss;
}

double full_cross_entropy(struct tape *tape, struct array *hidden, struct array *items, const int32_t *target,
	float scale)
{
	return cross_entropy(tape, hidden, items, NULL, target, scale, 0, NULL, NULL);
}

double biased_cross_entropy(struct tape *tape, struct array *hidden, struct array *items, struct array *bias,
	const int32_t *target, float scale)
{
	return cross_entropy(tape, hidden, items, bias, target, scale, 0, NULL, NULL);
}

double full_cross_entropy_each(struct tape *tape, struct array *hidden, struct array *items, const int32_t *target,
	float scale, float softcap, float *nll, bool *said)
{
	for (int64_t t = 0; t < hidden->rows; t++) {
		nll[t] = 0;
		said[t] = false;
	}
	return cross_entropy(tape, hidden, items, NULL, target, scale, softcap, nll, said);
}

static void add_to_items(struct array *items, float *ditems, const int32_t *row, int64_t n, const float *de)
{
	for (int64_t j = 0; j < n; j++)
		vec_axpy(1, de + j * items->columns, ditems + row[j] * items->stride, items->columns);
}

/* The gradient of n rows that a product is about to make: in the list's own memory where there is one, else `spare`. */
static float *room_for_rows(struct array *items, const int32_t *row, int64_t n, float *spare)
{
	if (!items->by_rows)
		return spare;
	int64_t first = row_gradient_vectors(items->by_rows, n);
	struct row_term *term = row_gradient_terms(items->by_rows, n);
	for (int64_t j = 0; j < n; j++)
		term[j] = (struct row_term){row[j], (int32_t)(first + j), 1};
	return items->by_rows->vector + first * items->columns;
}

/* c = a x b: element (i, k) of a is a[i * step_i + k * step_k], one of the steps being 1; b and c have n columns. */
static void product(int64_t m, int64_t n, int64_t k, const float *a, int64_t step_i, int64_t step_k, const float *b,
	float *c)
{
	if (kernel_available() && n % KERNEL_LANE == 0 && !product_parts(m, n, k))
		kernel_product(m, n, k, a, step_i, step_k, b, n, c, n, false);
	else
		gemm(step_i == 1, false, m, n, k, 1, a, step_i == 1 ? step_k : step_i, b, n, 0, c, n);
}

/* A sequence's positions, `lanes` of them with those that only fill up, and the negatives that they share. */
struct shared {
	struct array *hidden, *items;
	struct positions positions;
	int64_t lanes, n_negatives;
	float *h;         /* lanes x columns */
	float *e;         /* negatives x columns */
	float *score;     /* negatives x lanes */
	float *max, *sum; /* lanes: of exp(score - max) */
	float *factor;    /* lanes: of exp(score - max) in the gradient of the score */
};

static void shared_scores(struct tape *tape, struct shared *s)
{
	const int64_t d = s->items->columns, lanes = s->lanes;
	float *transposed = tape_take(tape, d, lanes), *rescale = tape_take(tape, lanes, 1);
	for (int64_t r = 0; r < lanes; r++) {
		for (int64_t i = 0; i < d; i++)
			transposed[i * lanes + r] = s->h[r * d + i];
		s->max[r] = -FLT_MAX;
		s->sum[r] = 0;
	}
	product(s->n_negatives, lanes, d, s->e, d, 1, transposed, s->score);
	vec_exp_lanes(s->score, s->n_negatives, lanes, s->max, s->sum, rescale);
	tape_give(tape, transposed, d, lanes);
	tape_give(tape, rescale, lanes, 1);
}

/* The target joins the sum; where its score is the largest, shift by that instead. Returns the loss of position r. */
static double shared_target(struct tape *tape, struct shared *s, int64_t r, float *dhidden, double scale)
{
	const int64_t d = s->items->columns;
	const int32_t *target = s->positions.target + r;
	const float *h = s->h + r * d, *next = s->items->value + *target * s->items->stride;
	const double of_target = (double)vec_dot(h, next, d), max = (double)s->max[r];
	const double top = of_target > max ? of_target : max;
	const double all = (double)s->sum[r] * exp(max - top) + exp(of_target - top);
	const float of_positive = (float)(scale * (exp(of_target - top) / all - 1));
	s->factor[r] = (float)(scale * exp(max - top) / all);
	if (dhidden)
		vec_axpy(of_positive, next, dhidden + s->positions.row[r] * s->hidden->stride, d);
	if (s->items->wanted)
		tape_add_rows(tape, s->items, target, h, 1, d, of_positive);
	return log(all) + top - of_target;
}

static void shared_backward(struct tape *tape, const struct shared *s, const int32_t *negative, float *dhidden)
{
	const int64_t d = s->items->columns, lanes = s->lanes;
	if (dhidden) {
		float *dh = tape_take(tape, d, lanes);
		product(d, lanes, s->n_negatives, s->e, 1, d, s->score, dh);
		for (int64_t r = 0; r < s->positions.n; r++)
			for (int64_t i = 0; i < d; i++)
				dhidden[s->positions.row[r] * s->hidden->stride + i] += s->factor[r] * dh[i * lanes + r];
		tape_give(tape, dh, d, lanes);
	}
	if (s->items->wanted) {
		float *de = room_for_rows(s->items, negative, s->n_negatives, s->e);
		scale_rows(s->h, s->factor, s->positions.n, d);
		product(s->n_negatives, d, lanes, s->score, lanes, 1, s->h, de);
		if (!s->items->by_rows)
			add_to_items(s->items, started_gradient(tape, s->items), negative, s->n_negatives, de);
	}
}

double sampled_cross_entropy(struct tape *tape, struct array *hidden, int64_t first, int64_t n, struct array *items,
	const int32_t *target, const int32_t *negative, int64_t n_negatives, float scale)
{
	const int64_t d = items->columns;
	struct shared s = {.hidden = hidden, .items = items, .n_negatives = n_negatives};
	s.positions = positions_of(tape, target, n);
	float *dhidden = started_gradient(tape, hidden);
	if (!n_negatives || !s.positions.n) /* the sequence holds every item: the softmax over the target alone */
		return 0;
	const int64_t lanes = s.lanes = (s.positions.n + KERNEL_LANE - 1) / KERNEL_LANE * KERNEL_LANE;
	s.h = tape_take(tape, lanes, d);
	memset(s.h, 0, (size_t)(lanes * d) * sizeof *s.h);
	for (int64_t r = 0; r < s.positions.n; r++) {
		s.positions.row[r] += (int32_t)first;
		memcpy(s.h + r * d, hidden->value + s.positions.row[r] * hidden->stride, (size_t)d * sizeof *s.h);
	}
	s.e = tape_take(tape, n_negatives, d);
	copy_rows(items, negative, n_negatives, s.e);
	s.score = tape_take(tape, n_negatives, lanes);
	float **const each[] = {&s.max, &s.sum, &s.factor};
	for (size_t i = 0; i < COUNT_OF(each); i++)
		*each[i] = tape_take(tape, lanes, 1);
	shared_scores(tape, &s);
	double loss = 0;
	for (int64_t r = 0; r < s.positions.n; r++)
		loss += shared_target(tape, &s, r, dhidden, (double)scale);
	shared_backward(tape, &s, negative, dhidden);
	for (size_t i = 0; i < COUNT_OF(each); i++)
		tape_give(tape, *each[i], lanes, 1);
	tape_give(tape, s.score, n_negatives, lanes);
	tape_give(tape, s.e, n_negatives, d);
	tape_give(tape, s.h, lanes, d);
	return loss;
}

/* log(1 + exp(x)) without overflow */
static double softplus(double x)
{
	return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

/* Items that a position is paired with at a time: their vectors stay in the nearest cache from scores to gradients. */
#define PAIRS 64

struct pairs {
	struct array *items;
	const float *h; /* of the position */
	float *dh, *ditems;
	int64_t of_list; /* h in the list of the items' gradient */
};

/* Adds factor[i] x the gradient of the score of item id[i] to both. */
static void pairs_backward(const struct pairs *p, const int32_t *id, const float *factor, int64_t n)
{
	struct array *items = p->items;
	if (p->dh)
		vec_sum_weighted(factor, items->value, items->stride, id, n, items->columns, p->dh);
	if (items->by_rows) {
		struct row_term *term = row_gradient_terms(items->by_rows, n);
		for (int64_t i = 0; i < n; i++)
			term[i] = (struct row_term){id[i], (int32_t)p->of_list, factor[i]};
	} else if (p->ditems) {
		for (int64_t i = 0; i < n; i++)
			vec_axpy(factor[i], p->h, p->ditems + id[i] * items->stride, items->columns);
	}
}

/* Of the position's negatives, of which `known` are there to be fetched ahead; returns the sum of their losses. */
static double negatives_loss(const struct pairs *p, const int32_t *negative, int64_t n, int64_t known, float factor)
{
	float score[PAIRS];
	double loss = 0;
	for (int64_t from = 0; from < n; from += PAIRS) {
		const int64_t some = n - from < PAIRS ? n - from : PAIRS;
		vec_dot_rows(p->h, p->items->value, p->items->stride, negative + from, some, known - from, p->items->columns,
			score);
		loss += (double)vec_softplus_sum(score, some);
		for (int64_t i = 0; i < some; i++)
			score[i] *= factor;
		pairs_backward(p, negative + from, score, some);
	}
	return loss;
}

double binary_cross_entropy(struct tape *tape, struct array *hidden, struct array *items, const int32_t *target,
	const int32_t *negative, int64_t n_negatives, double beta, double weight, float scale)
{
	const int64_t d = items->columns;
	float *dhidden = started_gradient(tape, hidden);
	struct pairs pairs = {.items = items};
	pairs.ditems = items->by_rows ? NULL : started_gradient(tape, items);
	double loss = 0;
	for (int64_t t = 0; t < hidden->rows; t++) {
		if (target[t] < 0)
			continue;
		pairs.h = hidden->value + t * hidden->stride;
		pairs.dh = dhidden ? dhidden + t * hidden->stride : NULL;
		if (items->by_rows) {
			pairs.of_list = row_gradient_vectors(items->by_rows, 1);
			memcpy(items->by_rows->vector + pairs.of_list * d, pairs.h, (size_t)d * sizeof *pairs.h);
		}
		const double score = vec_dot(pairs.h, items->value + target[t] * items->stride, d);
		const float factor = (float)(-scale * weight * beta * sigmoid(-score));
		loss += weight * beta * softplus(-score);
		pairs_backward(&pairs, target + t, &factor, 1);
		loss += weight *
			negatives_loss(&pairs, negative + t * n_negatives, n_negatives, (hidden->rows - t) * n_negatives,
				(float)(scale * weight));
	}
	return loss;
}

double gbce_beta(int64_t n_negatives, int64_t n_items, double t)
{
	double alpha = (double)n_negatives / (double)(n_items > 1 ? n_items - 1 : 1);
	return alpha * t - t + 1;
}
