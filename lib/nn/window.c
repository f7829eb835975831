#include "nn/window.h"

#include <math.h>
#include <string.h>

#include "nn/matrix.h"
#include "nn/vec.h"

static int64_t length_of(const struct window *w, int64_t sequence)
{
	return w->indptr[sequence + 1] - w->indptr[sequence];
}

static int64_t first_of(const struct window *w, int64_t sequence)
{
	return w->indptr[sequence] - w->indptr[0];
}

static int64_t longest_of(const struct window *w)
{
	int64_t longest = 0;
	for (int64_t s = 0; s < w->sequences; s++)
		longest = length_of(w, s) > longest ? length_of(w, s) : longest;
	return longest;
}

/* The dropout mask of a token's probabilities begins here: a function of the token and the head alone. */
static uint64_t mask_row(const struct tape *tape, const struct window *w, int64_t token, int head)
{
	return ((uint64_t)(tape->first_row + token) * (uint64_t)w->heads + (uint64_t)head) << 20;
}

/* --- within the window --- */

/*
 * A sequence's queries, from the second token on, are taken in blocks; a block's keys are the first token and all that
 * any of its queries sees. Kept are per block the probabilities, queries x keys.
 */
#define BLOCK 48

struct local {
	struct operation operation;
	struct array *q, *k, *v, *first, *out;
	struct window window;
	int64_t width;        /* of a head */
	float *probabilities; /* of all blocks of all heads of all sequences, in the order of the forward pass */
	uint64_t mask;
};

struct block {
	int64_t sequence; /* its first token */
	int head;
	int64_t from, n;   /* queries, from 1 */
	int64_t low, keys; /* token 0 and [low, low + keys - 1) */
};

static struct block block_at(const struct local *a, int64_t sequence, int head, int64_t from)
{
	int64_t length = length_of(&a->window, sequence), reach = a->window.reach;
	int64_t to = from + BLOCK < length ? from + BLOCK : length;
	int64_t low = from - reach > 1 ? from - reach : 1, high = to + reach < length ? to + reach : length;
	const int32_t *part = a->window.part ? a->window.part + first_of(&a->window, sequence) : NULL;
	while (part && low < from && part[low] != part[from])
		low++;
	while (part && high > to && part[high - 1] != part[to - 1])
		high--;
	return (struct block){first_of(&a->window, sequence), head, from, to - from, low, 1 + high - low};
}

static int64_t probabilities_of(const struct local *a)
{
	int64_t size = 0;
	for (int64_t s = 0; s < a->window.sequences; s++)
		for (int64_t from = 1; from < length_of(&a->window, s); from += BLOCK) {
			struct block b = block_at(a, s, 0, from);
			size += a->window.heads * b.n * b.keys;
		}
	return size;
}

/* The block's head in row `token` of its sequence. */
static float *at(const struct local *a, const struct block *b, const struct array *array, float *data, int64_t token)
{
	return data + (b->sequence + token) * array->stride + b->head * a->width;
}

/* Rows of keys or values; copied to scratch where the first token is not beside the others. */
static const float *gather(const struct local *a, const struct block *b, const struct array *array, float *scratch,
	int64_t *stride)
{
	const float *first = at(a, b, array, array->value, 0);
	*stride = array->stride;
	if (b->low == 1)
		return first;
	*stride = a->width;
	const size_t bytes = (size_t)a->width * sizeof *scratch;
	memcpy(scratch, first, bytes);
	for (int64_t i = 1; i < b->keys; i++)
		memcpy(scratch + i * a->width, first + (b->low + i - 1) * array->stride, bytes);
	return scratch;
}

/* gradient of the block's keys or values += left^T right; left: queries x keys */
static void add_to_keys(const struct local *a, const struct block *b, const struct array *array, float *gradient,
	const float *left, const float *right, int64_t right_stride, float *scratch)
{
	float *first = at(a, b, array, gradient, 0);
	if (b->low == 1) {
		gemm(true, false, b->keys, a->width, b->n, 1, left, b->keys, right, right_stride, 1, first, array->stride);
		return;
	}
	gemm(true, false, b->keys, a->width, b->n, 1, left, b->keys, right, right_stride, 0, scratch, a->width);
	vec_axpy(1, scratch, first, a->width);
	for (int64_t i = 1; i < b->keys; i++)
		vec_axpy(1, scratch + i * a->width, first + (b->low + i - 1) * array->stride, a->width);
}

static void drop_block(const struct tape *tape, const struct local *a, const struct block *b, const float *from,
	float *to)
{
	for (int64_t r = 0; r < b->n; r++)
		vec_dropout(from + r * b->keys, to + r * b->keys, b->keys, a->window.dropout, a->mask,
			mask_row(tape, &a->window, b->sequence + b->from + r, b->head));
}

/* Scratch for a block's queries x keys, twice, and its keys x width. */
struct scratch {
	float *scores, *dropped, *rows;
	int64_t most_keys;
};

static struct scratch scratch_take(struct tape *tape, const struct local *a)
{
	struct scratch s = {.most_keys = BLOCK + 2 * a->window.reach + 1};
	int64_t longest = longest_of(&a->window);
	s.most_keys = s.most_keys < longest ? s.most_keys : longest;
	s.scores = tape_take(tape, BLOCK, s.most_keys);
	s.dropped = tape_take(tape, BLOCK, s.most_keys);
	s.rows = tape_take(tape, s.most_keys, a->width);
	return s;
}

static void scratch_give(struct tape *tape, const struct local *a, const struct scratch *s)
{
	tape_give(tape, s->scores, BLOCK, s->most_keys);
	tape_give(tape, s->dropped, BLOCK, s->most_keys);
	tape_give(tape, s->rows, s->most_keys, a->width);
}

#define HIDDEN (-1e30f) /* a score that no softmax sees */

/* Scores, or probabilities, of keys that are of another part than the query. */
static void set_other_parts(const struct local *a, const struct block *b, float *scores, float value)
{
	const int32_t *part = a->window.part + b->sequence;
	for (int64_t r = 0; r < b->n; r++)
		for (int64_t i = 1; i < b->keys; i++)
			if (part[b->low + i - 1] != part[b->from + r])
				scores[r * b->keys + i] = value;
}

static void block_forward(const struct tape *tape, const struct local *a, const struct block *b, float *p,
	const struct scratch *s)
{
	int64_t stride;
	const float *rows = gather(a, b, a->k, s->rows, &stride);
	gemm(false, true, b->n, b->keys, a->width, 1, at(a, b, a->q, a->q->value, b->from), a->q->stride, rows, stride, 0,
		p, b->keys);
	if (a->window.part)
		set_other_parts(a, b, p, HIDDEN);
	vec_window_softmax(p, b->n, b->keys, 1 + b->from - b->low, a->window.reach, 1 / sqrtf((float)a->width));
	if (a->window.part)
		set_other_parts(a, b, p, 0); /* products with what is left of them, subnormal numbers, take ten times as long */
	if (tape->training && a->window.dropout > 0) {
		drop_block(tape, a, b, p, s->dropped);
		p = s->dropped;
	}
	rows = gather(a, b, a->v, s->rows, &stride);
	gemm(false, false, b->n, a->width, b->keys, 1, p, b->keys, rows, stride, 0,
		at(a, b, a->out, a->out->value, b->from), a->out->stride);
}

struct local_gradients {
	float *q, *k, *v, *out, q_beta;
};

static void block_backward(const struct tape *tape, const struct local *a, const struct block *b, const float *p,
	const struct scratch *s, const struct local_gradients *g)
{
	int64_t stride;
	const float *dout = at(a, b, a->out, g->out, b->from), *p_dropped = p;
	const float *rows = gather(a, b, a->v, s->rows, &stride);
	gemm(false, true, b->n, b->keys, a->width, 1, dout, a->out->stride, rows, stride, 0, s->scores, b->keys);
	if (a->window.dropout > 0) {
		drop_block(tape, a, b, p, s->dropped);
		drop_block(tape, a, b, s->scores, s->scores);
		p_dropped = s->dropped;
	}
	add_to_keys(a, b, a->v, g->v, p_dropped, dout, a->out->stride, s->rows);
	vec_softmax_backward(p, s->scores, b->n, b->keys, 1 / sqrtf((float)a->width));
	rows = gather(a, b, a->k, s->rows, &stride);
	gemm(false, false, b->n, a->width, b->keys, 1, s->scores, b->keys, rows, stride, g->q_beta,
		at(a, b, a->q, g->q, b->from), a->q->stride);
	add_to_keys(a, b, a->k, g->k, s->scores, at(a, b, a->q, a->q->value, b->from), a->q->stride, s->rows);
}

static void zero_rows(float *rows, int64_t n, int64_t columns, int64_t stride)
{
	for (int64_t r = 0; r < n; r++)
		memset(rows + r * stride, 0, (size_t)columns * sizeof *rows);
}

/* The rows of the first tokens: out's gradient is that of `first`, and their local queries have none. */
static void first_backward(struct tape *tape, const struct local *a, const struct local_gradients *g)
{
	int64_t d = a->out->columns;
	float *dfirst = started_gradient(tape, a->first);
	for (int64_t s = 0; s < a->window.sequences; s++) {
		int64_t row = first_of(&a->window, s);
		if (dfirst)
			vec_axpy(1, g->out + row * a->out->stride, dfirst + s * a->first->stride, d);
		if (!g->q_beta)
			zero_rows(g->q + row * a->q->stride, 1, d, a->q->stride);
	}
}

static void window_backward(struct tape *tape, struct operation *operation)
{
	struct local *a = (struct local *)operation;
	struct local_gradients g = {.q_beta = gradient_beta(a->q)};
	g.out = tape_gradient(tape, a->out);
	g.q = tape_gradient(tape, a->q);
	g.k = started_gradient(tape, a->k);
	g.v = started_gradient(tape, a->v);
	first_backward(tape, a, &g);
	struct scratch scratch = scratch_take(tape, a);
	const float *p = a->probabilities;
	for (int64_t s = 0; s < a->window.sequences; s++)
		for (int head = 0; head < a->window.heads; head++)
			for (int64_t from = 1; from < length_of(&a->window, s); from += BLOCK) {
				struct block b = block_at(a, s, head, from);
				block_backward(tape, a, &b, p, &scratch, &g);
				p += b.n * b.keys;
			}
	scratch_give(tape, a, &scratch);
}

struct array *window_attention(struct tape *tape, struct array *q, struct array *k, struct array *v,
	struct array *first, const struct window *window)
{
	struct local a = {.operation.backward = window_backward,
		.q = q,
		.k = k,
		.v = v,
		.first = first,
		.window = *window,
		.width = q->columns / window->heads,
		.mask = tape_mask(tape)};
	a.out = tape_array(tape, q->rows, q->columns, q->wanted && k->wanted && v->wanted);
	bool keep = a.out->wanted;
	struct scratch scratch = scratch_take(tape, &a);
	a.probabilities = keep ? arena_take(&tape->arena, 1, probabilities_of(&a), sizeof(float)) : scratch.scores;
	float *p = a.probabilities;
	for (int64_t s = 0; s < window->sequences; s++) {
		memcpy(a.out->value + first_of(window, s) * a.out->stride, first->value + s * first->stride,
			(size_t)q->columns * sizeof *first->value);
		for (int head = 0; head < window->heads; head++)
			for (int64_t from = 1; from < length_of(window, s); from += BLOCK) {
				struct block b = block_at(&a, s, head, from);
				block_forward(tape, &a, &b, p, &scratch);
				p += keep ? b.n * b.keys : 0;
			}
	}
	scratch_give(tape, &a, &scratch);
	if (!keep)
		return a.out;
	tape_keep(q);
	tape_keep(k);
	tape_keep(v);
	tape_record(tape, &a, sizeof a);
	return a.out;
}

/* --- of the first token --- */

struct global {
	struct operation operation;
	struct array *x, *q, *key_weight, *value_weight, *value_bias, *out;
	struct window window;
	int64_t width, d;     /* of a head, of all */
	float *u;             /* sequences x heads x d: what is multiplied with x for the scores */
	float *c;             /* sequences x heads x d: sum of x weighed by the probabilities */
	float *mass;          /* sequences x heads: sum of the probabilities, 1 but for dropout */
	float *probabilities; /* of a sequence: heads x tokens */
	uint64_t mask;
};

/* Sums over a head's columns [head * width, ...) of (sequences, d) and its rows of (sequences, heads, d). */
static const float *head_rows(const struct global *g, const float *weight, int64_t stride, int head)
{
	return weight + head * g->width * stride;
}

static float *probabilities_at(const struct global *g, int64_t sequence)
{
	return g->probabilities + first_of(&g->window, sequence) * g->window.heads;
}

static void drop_heads(const struct tape *tape, const struct global *g, int64_t sequence, const float *from, float *to)
{
	int64_t n = length_of(&g->window, sequence);
	for (int head = 0; head < g->window.heads; head++)
		vec_dropout(from + head * n, to + head * n, n, g->window.dropout, g->mask,
			mask_row(tape, &g->window, first_of(&g->window, sequence), head));
}

static void softmax_rows(float *scores, int64_t rows, int64_t n)
{
	for (int64_t r = 0; r < rows; r++) {
		float max, factor = 1 / vec_exp_sum(scores + r * n, n, &max);
		for (int64_t i = 0; i < n; i++)
			scores[r * n + i] *= factor;
	}
}

/* From scores to c of one sequence. dropped: scratch */
static void sequence_forward(const struct tape *tape, const struct global *g, int64_t s, float *dropped)
{
	int64_t n = length_of(&g->window, s), heads = g->window.heads, stride = g->x->stride;
	const float *x = g->x->value + first_of(&g->window, s) * stride;
	float *p = probabilities_at(g, s);
	gemm(false, true, heads, n, g->d, 1, g->u + s * heads * g->d, g->d, x, stride, 0, p, n);
	softmax_rows(p, heads, n);
	bool drops = tape->training && g->window.dropout > 0;
	if (drops) {
		drop_heads(tape, g, s, p, dropped);
		p = dropped;
	}
	for (int64_t head = 0; head < heads; head++) {
		float sum = 0;
		for (int64_t i = 0; drops && i < n; i++)
			sum += p[head * n + i];
		g->mass[s * heads + head] = drops ? sum : 1;
	}
	gemm(false, false, heads, g->d, n, 1, p, n, x, stride, 0, g->c + s * heads * g->d, g->d);
}

static void output_bias(const struct global *g)
{
	for (int64_t s = 0; s < g->window.sequences; s++)
		for (int head = 0; head < g->window.heads; head++)
			vec_axpy(g->mass[s * g->window.heads + head], g->value_bias->value + head * g->width,
				g->out->value + s * g->d + head * g->width, g->width);
}

static void bias_backward(struct tape *tape, const struct global *g, const float *dout)
{
	float *dbias = tape_gradient(tape, g->value_bias);
	for (int64_t s = 0; s < g->window.sequences; s++)
		for (int head = 0; head < g->window.heads; head++)
			vec_axpy(g->mass[s * g->window.heads + head], dout + s * g->d + head * g->width, dbias + head * g->width,
				g->width);
}

/*
 * Of one sequence, from dc to du (in place of what dc held) and dx. weights (2 heads x tokens) and vectors
 * (2 heads x d) are scratch: dx is the product of the probabilities and their scores' gradients, below one another,
 * with dc and u.
 */
static void sequence_backward(const struct tape *tape, const struct global *g, int64_t s, const float *dout, float *dc,
	float *weights, float *vectors, float *dx, float dx_beta)
{
	int64_t n = length_of(&g->window, s), heads = g->window.heads, first = first_of(&g->window, s);
	const float *x = g->x->value + first * g->x->stride, *p = probabilities_at(g, s);
	float *dp = weights + heads * n;
	const size_t block = (size_t)(heads * g->d) * sizeof *vectors;
	memcpy(vectors, dc, block);
	memcpy(vectors + heads * g->d, g->u + s * heads * g->d, block);
	memcpy(weights, p, (size_t)(heads * n) * sizeof *weights);
	gemm(false, true, heads, n, g->d, 1, dc, g->d, x, g->x->stride, 0, dp, n);
	if (g->window.dropout > 0) {
		drop_heads(tape, g, s, p, weights);
		for (int64_t head = 0; head < heads; head++) {
			float bias = vec_dot(dout + s * g->d + head * g->width, g->value_bias->value + head * g->width, g->width);
			for (int64_t i = 0; i < n; i++)
				dp[head * n + i] += bias;
		}
		drop_heads(tape, g, s, dp, dp);
	}
	vec_softmax_backward(p, dp, heads, n, 1);
	gemm(false, false, heads, g->d, n, 1, dp, n, x, g->x->stride, 0, dc, g->d);
	if (dx)
		gemm(true, false, n, g->d, 2 * heads, 1, weights, n, vectors, g->d, dx_beta, dx + first * g->x->stride,
			g->x->stride);
}

/* Between (sequences, d) and (sequences, heads, d), head by head: to = scale x from weight, or from weight^T. */
static void through_heads(const struct global *g, const float *from, const struct array *weight, float scale, float *to)
{
	for (int head = 0; head < g->window.heads; head++)
		gemm(false, false, g->window.sequences, g->d, g->width, scale, from + head * g->width, g->d,
			head_rows(g, weight->value, weight->stride, head), weight->stride, 0, to + head * g->d,
			g->window.heads * g->d);
}

static void back_through_heads(const struct global *g, const float *from, const struct array *weight, float scale,
	float beta, float *to, int64_t to_stride)
{
	for (int head = 0; head < g->window.heads; head++)
		gemm(false, true, g->window.sequences, g->width, g->d, scale, from + head * g->d, g->window.heads * g->d,
			head_rows(g, weight->value, weight->stride, head), weight->stride, beta, to + head * g->width, to_stride);
}

/* weight's gradient += scale x narrow^T wide, head by head */
static void weight_backward(struct tape *tape, const struct global *g, struct array *weight, float scale,
	const float *narrow, int64_t narrow_stride, const float *wide)
{
	float beta = gradient_beta(weight), *gradient = tape_gradient(tape, weight);
	for (int head = 0; head < g->window.heads; head++)
		gemm(true, false, g->width, g->d, g->window.sequences, scale, narrow + head * g->width, narrow_stride,
			wide + head * g->d, g->window.heads * g->d, beta, gradient + head * g->width * weight->stride,
			weight->stride);
}

static void global_backward(struct tape *tape, struct operation *operation)
{
	struct global *g = (struct global *)operation;
	int64_t heads = g->window.heads, longest = longest_of(&g->window), all = g->window.sequences * heads;
	const float *dout = tape_gradient(tape, g->out);
	float *dc = tape_take(tape, all, g->d), *weights = tape_take(tape, 2 * heads, longest);
	float *vectors = tape_take(tape, 2 * heads, g->d);
	through_heads(g, dout, g->value_weight, 1, dc);
	if (g->value_weight->wanted)
		weight_backward(tape, g, g->value_weight, 1, dout, g->d, g->c);
	if (g->value_bias->wanted)
		bias_backward(tape, g, dout);
	tape_restore(tape, g->x);
	float dx_beta = g->x->wanted ? gradient_beta(g->x) : 0, *dx = g->x->wanted ? tape_gradient(tape, g->x) : NULL;
	for (int64_t s = 0; s < g->window.sequences; s++)
		sequence_backward(tape, g, s, dout, dc + s * heads * g->d, weights, vectors, dx, dx_beta);
	float scale = 1 / sqrtf((float)g->width);
	if (g->key_weight->wanted)
		weight_backward(tape, g, g->key_weight, scale, g->q->value, g->q->stride, dc);
	if (g->q->wanted) {
		float beta = gradient_beta(g->q);
		back_through_heads(g, dc, g->key_weight, scale, beta, tape_gradient(tape, g->q), g->q->stride);
	}
	tape_give(tape, dc, all, g->d);
	tape_give(tape, weights, 2 * heads, longest);
	tape_give(tape, vectors, 2 * heads, g->d);
}

struct array *global_attention(struct tape *tape, struct array *x, struct array *q, struct array *key_weight,
	struct array *value_weight, struct array *value_bias, const struct window *window)
{
	struct global g = {.operation.backward = global_backward,
		.x = x,
		.q = q,
		.key_weight = key_weight,
		.value_weight = value_weight,
		.value_bias = value_bias,
		.window = *window,
		.width = q->columns / window->heads,
		.d = q->columns,
		.mask = tape_mask(tape)};
	int64_t all = window->sequences * window->heads;
	g.out = tape_array(tape, window->sequences, g.d, x->wanted || q->wanted || value_weight->wanted);
	g.u = tape_take(tape, all, g.d);
	g.c = tape_take(tape, all, g.d);
	g.mass = arena_take(&tape->arena, all, 1, sizeof *g.mass);
	g.probabilities = tape_take(tape, x->rows, window->heads);
	float *dropped = tape_take(tape, window->heads, longest_of(window));
	through_heads(&g, q->value, key_weight, 1 / sqrtf((float)g.width), g.u);
	for (int64_t s = 0; s < window->sequences; s++)
		sequence_forward(tape, &g, s, dropped);
	back_through_heads(&g, g.c, value_weight, 1, 0, g.out->value, g.d);
	output_bias(&g);
	tape_give(tape, dropped, window->heads, longest_of(window));
	if (!g.out->wanted) {
		tape_give(tape, g.u, all, g.d);
		tape_give(tape, g.c, all, g.d);
		tape_give(tape, g.probabilities, x->rows, window->heads);
		return g.out;
	}
	tape_keep_restored(x);
	tape_keep(q);
	tape_record(tape, &g, sizeof g);
	return g.out;
}
