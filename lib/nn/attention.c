#include "nn/ops.h"

#include <math.h>
#include <string.h>

#include "nn/matrix.h"
#include "nn/vec.h"

/*
 * A sequence's queries are taken in blocks; a block sees the keys up to its own end, so that little more than the
 * lower triangle is computed and kept: per block a matrix of probabilities, queries x visible keys.
 */
#define BLOCK 48

struct attention {
	struct operation operation;
	struct array *q, *k, *v, *out;
	int heads;
	const int64_t *indptr;
	int64_t sequences;
	float *probabilities; /* of all blocks of all heads of all sequences, in the order of the forward pass */
	int64_t longest;
	float dropout;
	uint64_t mask;
};

/* One head of one sequence: columns [column, column + width) of rows [first, first + length); keys and values likewise. */
struct head {
	int64_t first, length, column, key_column, width;
	bool last_of_group;
	uint64_t mask_row; /* dropout mask of query t: from (mask_row + t) * 2^20 */
	float scale;
};

static struct head head_of(const struct tape *tape, const struct attention *a, int64_t sequence, int head)
{
	int64_t first = a->indptr[sequence] - a->indptr[0], width = a->out->columns / a->heads;
	int64_t group = a->out->columns / a->k->columns;
	return (struct head){
		.first = first,
		.length = a->indptr[sequence + 1] - a->indptr[sequence],
		.column = head * width,
		.key_column = head / group * width,
		.last_of_group = head % group == group - 1,
		.width = width,
		.mask_row = (uint64_t)((tape->first_row + first) * a->heads + head),
		.scale = 1 / sqrtf((float)width),
	};
}

static int64_t probabilities_size(const struct attention *a)
{
	int64_t size = 0;
	for (int64_t s = 0; s < a->sequences; s++) {
		int64_t length = a->indptr[s + 1] - a->indptr[s];
		for (int64_t from = 0; from < length; from += BLOCK) {
			int64_t to = from + BLOCK < length ? from + BLOCK : length;
			size += a->heads * (to - from) * to;
		}
	}
	return size;
}

static const float *at(const float *data, const struct array *array, const struct head *h, int64_t t)
{
	return data + (h->first + t) * array->stride + h->column;
}

static const float *key_at(const float *data, const struct array *array, const struct head *h, int64_t t)
{
	return data + (h->first + t) * array->stride + h->key_column;
}

/* to = dropout(from), a block of queries [first, first + n) x keys */
static void drop_block(const struct attention *a, const struct head *h, const float *from, float *to, int64_t first,
	int64_t n, int64_t keys)
{
	for (int64_t r = 0; r < n; r++)
		vec_dropout(from + r * keys, to + r * keys, keys, a->dropout, a->mask,
			(h->mask_row + (uint64_t)((first + r) * a->heads)) << 20);
}

static void head_forward(struct attention *a, const struct head *h, float **probabilities, float *scratch, bool keep)
{
	for (int64_t from = 0; from < h->length; from += BLOCK) {
		int64_t to = from + BLOCK < h->length ? from + BLOCK : h->length, n = to - from;
		float *p = *probabilities;
		gemm(false, true, n, to, h->width, 1, at(a->q->value, a->q, h, from), a->q->stride,
			key_at(a->k->value, a->k, h, 0), a->k->stride, 0, p, to);
		vec_causal_softmax(p, n, to, from + 1, h->scale);
		if (keep)
			*probabilities += n * to;
		if (keep && a->dropout > 0) {
			drop_block(a, h, p, scratch, from, n, to);
			p = scratch;
		}
		gemm(false, false, n, h->width, to, 1, p, to, key_at(a->v->value, a->v, h, 0), a->v->stride, 0,
			(float *)at(a->out->value, a->out, h, from), a->out->stride);
	}
}

struct attention_gradients {
	const float *out;
	float *q, *k, *v;
	float q_beta, k_beta, v_beta;
};

/*
 * From the last block, which touches every key, to the first; heads from the last of a group. *probabilities is the end
 * of this head's.
 */
static void head_backward(struct attention *a, const struct head *h, float **probabilities, float *scratch,
	const struct attention_gradients *g)
{
	float *dropped = scratch + BLOCK * a->longest;
	for (int64_t from = (h->length - 1) / BLOCK * BLOCK; from >= 0; from -= BLOCK) {
		int64_t to = from + BLOCK < h->length ? from + BLOCK : h->length, n = to - from;
		bool set = to == h->length && h->last_of_group;
		const float *dout = at(g->out, a->out, h, from);
		*probabilities -= n * to;
		const float *p = *probabilities, *p_dropped = p;
		float *dp = scratch;
		gemm(false, true, n, to, h->width, 1, dout, a->out->stride, key_at(a->v->value, a->v, h, 0), a->v->stride, 0,
			dp, to);
		if (a->dropout > 0) {
			drop_block(a, h, p, dropped, from, n, to);
			drop_block(a, h, dp, dp, from, n, to);
			p_dropped = dropped;
		}
		gemm(true, false, to, h->width, n, 1, p_dropped, to, dout, a->out->stride, set ? g->v_beta : 1,
			(float *)key_at(g->v, a->v, h, 0), a->v->stride);
		vec_softmax_backward(p, dp, n, to, h->scale);
		gemm(false, false, n, h->width, to, 1, dp, to, key_at(a->k->value, a->k, h, 0), a->k->stride, g->q_beta,
			(float *)at(g->q, a->q, h, from), a->q->stride);
		gemm(true, false, to, h->width, n, 1, dp, to, at(a->q->value, a->q, h, from), a->q->stride, set ? g->k_beta : 1,
			(float *)key_at(g->k, a->k, h, 0), a->k->stride);
	}
}

static void attention_backward(struct tape *tape, struct operation *operation)
{
	struct attention *a = (struct attention *)operation;
	struct attention_gradients g = {tape_gradient(tape, a->out), tape_gradient(tape, a->q), tape_gradient(tape, a->k),
		tape_gradient(tape, a->v), gradient_beta(a->q), gradient_beta(a->k), gradient_beta(a->v)};
	float *scratch = tape_take(tape, 2 * BLOCK, a->longest);
	float *probabilities = a->probabilities + probabilities_size(a);
	for (int64_t s = a->sequences - 1; s >= 0; s--)
		for (int head = a->heads - 1; head >= 0; head--) {
			struct head h = head_of(tape, a, s, head);
			head_backward(a, &h, &probabilities, scratch, &g);
		}
	tape_give(tape, scratch, 2 * BLOCK, a->longest);
}

struct array *causal_attention(struct tape *tape, struct array *q, struct array *k, struct array *v, int heads,
	const int64_t *indptr, int64_t sequences, float dropout)
{
	struct attention a = {.operation.backward = attention_backward,
		.q = q,
		.k = k,
		.v = v,
		.heads = heads,
		.indptr = indptr,
		.sequences = sequences,
		.dropout = dropout,
		.mask = tape_mask(tape)};
	bool gradient = q->wanted && k->wanted && v->wanted;
	a.out = tape_array(tape, q->rows, q->columns, gradient);
	for (int64_t s = 0; s < sequences; s++)
		if (indptr[s + 1] - indptr[s] > a.longest)
			a.longest = indptr[s + 1] - indptr[s];
	bool keep = a.out->wanted;
	float *scratch = tape_take(tape, BLOCK, a.longest);
	a.probabilities = keep ? arena_take(&tape->arena, 1, probabilities_size(&a), sizeof *scratch) : scratch;
	float *probabilities = a.probabilities;
	for (int64_t s = 0; s < sequences; s++)
		for (int head = 0; head < heads; head++) {
			struct head h = head_of(tape, &a, s, head);
			head_forward(&a, &h, &probabilities, scratch, keep);
		}
	tape_give(tape, scratch, BLOCK, a.longest);
	if (!keep)
		return a.out;
	tape_keep(q);
	tape_keep(k);
	tape_keep(v);
	tape_record(tape, &a, sizeof a);
	return a.out;
}
