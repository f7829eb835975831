#include "nn/ops.h"

#include <math.h>
#include <string.h>

#include "nn/matrix.h"
#include "nn/vec.h"

/*
 * A sequence's queries are taken in blocks; a block sees the keys that any of its queries sees, so that little more
 * than what is visible is computed and kept: per block a matrix of probabilities, queries x keys.
 */
#define BLOCK 48

struct attention {
	struct operation operation;
	struct array *q, *k, *v, *out;
	struct attention_kind kind;
	const int64_t *indptr;
	int64_t sequences;
	float *probabilities; /* of all blocks of all heads of all sequences, in the order of the forward pass */
	int64_t longest;
	uint64_t mask;
};

/*
 * One head of one sequence: columns [column, column + width) of rows [first, first + length); keys and values likewise.
 */
struct head {
	int64_t first, length, column, key_column, width;
	const float *distances; /* of a token from itself; NULL: none */
	uint64_t mask_row;      /* dropout mask of query t: from (mask_row + t) * 2^20 */
	float scale;
};

static struct head head_of(const struct tape *tape, const struct attention *a, int64_t sequence, int head)
{
	int64_t first = a->indptr[sequence] - a->indptr[0], width = a->out->columns / a->kind.heads;
	int64_t group = a->out->columns / a->k->columns;
	return (struct head){
		.first = first,
		.length = a->indptr[sequence + 1] - a->indptr[sequence],
		.column = head * width,
		.key_column = head / group * width,
		.width = width,
		.distances = a->kind.distances ? a->kind.distances + head * (2 * a->kind.reach + 1) + a->kind.reach : NULL,
		.mask_row = (uint64_t)((tape->first_row + first) * a->kind.heads + head),
		.scale = a->kind.scale > 0 ? a->kind.scale : 1 / sqrtf((float)width),
	};
}

/* Queries [from, to) of a sequence, and the keys [low, high) that any of them sees. */
struct block {
	int64_t from, to, low, high;
};

static struct block block_at(const struct attention_kind *kind, int64_t length, int64_t from)
{
	struct block b = {from, from + BLOCK < length ? from + BLOCK : length, 0, length};
	if (kind->window && from >= kind->window)
		b.low = from - kind->window + 1;
	if (!kind->both_ways)
		b.high = b.to;
	else if (kind->window && b.to - 1 < length - kind->window)
		b.high = b.to + kind->window - 1;
	return b;
}

static int64_t probabilities_size(const struct attention *a)
{
	int64_t size = 0;
	for (int64_t s = 0; s < a->sequences; s++) {
		int64_t length = a->indptr[s + 1] - a->indptr[s];
		for (int64_t from = 0; from < length; from += BLOCK) {
			struct block b = block_at(&a->kind, length, from);
			size += a->kind.heads * (b.to - b.from) * (b.high - b.low);
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

/* to = dropout(from), a block of queries x keys */
static void drop_block(const struct attention *a, const struct head *h, const struct block *b, const float *from,
	float *to)
{
	int64_t keys = b->high - b->low;
	for (int64_t r = 0; r < b->to - b->from; r++)
		vec_dropout(from + r * keys, to + r * keys, keys, a->kind.dropout, a->mask,
			(h->mask_row + (uint64_t)((b->from + r) * a->kind.heads)) << 20);
}

/* Products of a block's queries and keys. */
static void scores_of(const struct attention *a, const struct head *h, const struct block *b, float *scores)
{
	int64_t keys = b->high - b->low;
	gemm(false, true, b->to - b->from, keys, h->width, 1, at(a->q->value, a->q, h, b->from), a->q->stride,
		key_at(a->k->value, a->k, h, b->low), a->k->stride, 0, scores, keys);
}

static void softmax_of(const struct attention *a, const struct head *h, const struct block *b, float *p)
{
	int64_t n = b->to - b->from, keys = b->high - b->low;
	const struct attention_kind *kind = &a->kind;
	int64_t first = kind->window ? b->from - kind->window + 1 - b->low : -b->to;
	int64_t end = !kind->both_ways ? b->from + 1 - b->low : kind->window ? b->from + kind->window - b->low : keys;
	for (int64_t r = 0; h->distances && r < n; r++)
		vec_axpy(1 / h->scale, h->distances + b->low - b->from - r, p + r * keys, keys);
	if (kind->softcap > 0)
		vec_softcap(p, n * keys, h->scale, kind->softcap);
	vec_band_softmax(p, n, keys, first, end, kind->softcap > 0 ? 1 : h->scale);
}

static void head_forward(struct attention *a, const struct head *h, float **probabilities, float *scratch, bool keep)
{
	for (int64_t from = 0; from < h->length; from += BLOCK) {
		struct block b = block_at(&a->kind, h->length, from);
		int64_t n = b.to - b.from, keys = b.high - b.low;
		float *p = *probabilities;
		scores_of(a, h, &b, p);
		softmax_of(a, h, &b, p);
		if (keep)
			*probabilities += n * keys;
		if (keep && a->kind.dropout > 0) {
			drop_block(a, h, &b, p, scratch);
			p = scratch;
		}
		gemm(false, false, n, h->width, keys, 1, p, keys, key_at(a->v->value, a->v, h, b.low), a->v->stride, 0,
			(float *)at(a->out->value, a->out, h, from), a->out->stride);
	}
}

struct attention_gradients {
	const float *out;
	float *q, *k, *v, q_beta;
};

/* From a block's probabilities and their gradients to those of its products, in place of the latter. */
static void softmax_back(const struct attention *a, const struct head *h, const struct block *b, const float *p,
	float *dp, float *scratch)
{
	int64_t n = b->to - b->from, keys = b->high - b->low;
	vec_softmax_backward(p, dp, n, keys, a->kind.softcap > 0 ? 1 : h->scale);
	if (a->kind.softcap <= 0)
		return;
	scores_of(a, h, b, scratch);
	vec_softcap_backward(scratch, dp, n * keys, h->scale, a->kind.softcap);
}

/* From the last block to the first. *probabilities is the end of this head's. */
static void head_backward(struct attention *a, const struct head *h, float **probabilities, float *scratch,
	const struct attention_gradients *g)
{
	float *dropped = scratch + BLOCK * a->longest;
	for (int64_t from = (h->length - 1) / BLOCK * BLOCK; from >= 0; from -= BLOCK) {
		struct block b = block_at(&a->kind, h->length, from);
		int64_t n = b.to - b.from, keys = b.high - b.low;
		const float *dout = at(g->out, a->out, h, from);
		*probabilities -= n * keys;
		const float *p = *probabilities, *p_dropped = p;
		float *dp = scratch;
		gemm(false, true, n, keys, h->width, 1, dout, a->out->stride, key_at(a->v->value, a->v, h, b.low), a->v->stride,
			0, dp, keys);
		if (a->kind.dropout > 0) {
			drop_block(a, h, &b, p, dropped);
			drop_block(a, h, &b, dp, dp);
			p_dropped = dropped;
		}
		gemm(true, false, keys, h->width, n, 1, p_dropped, keys, dout, a->out->stride, 1,
			(float *)key_at(g->v, a->v, h, b.low), a->v->stride);
		softmax_back(a, h, &b, p, dp, dropped);
		gemm(false, false, n, h->width, keys, 1, dp, keys, key_at(a->k->value, a->k, h, b.low), a->k->stride, g->q_beta,
			(float *)at(g->q, a->q, h, from), a->q->stride);
		gemm(true, false, keys, h->width, n, 1, dp, keys, at(a->q->value, a->q, h, from), a->q->stride, 1,
			(float *)key_at(g->k, a->k, h, b.low), a->k->stride);
	}
}

static void attention_backward(struct tape *tape, struct operation *operation)
{
	struct attention *a = (struct attention *)operation;
	struct attention_gradients g = {tape_gradient(tape, a->out), tape_gradient(tape, a->q),
		started_gradient(tape, a->k), started_gradient(tape, a->v), gradient_beta(a->q)};
	float *scratch = tape_take(tape, 2 * BLOCK, a->longest);
	float *probabilities = a->probabilities + probabilities_size(a);
	for (int64_t s = a->sequences - 1; s >= 0; s--)
		for (int head = a->kind.heads - 1; head >= 0; head--) {
			struct head h = head_of(tape, a, s, head);
			head_backward(a, &h, &probabilities, scratch, &g);
		}
	tape_give(tape, scratch, 2 * BLOCK, a->longest);
}

struct array *self_attention(struct tape *tape, struct array *q, struct array *k, struct array *v,
	const struct attention_kind *kind, const int64_t *indptr, int64_t sequences)
{
	struct attention a = {.operation.backward = attention_backward,
		.q = q,
		.k = k,
		.v = v,
		.kind = *kind,
		.indptr = indptr,
		.sequences = sequences,
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
		for (int head = 0; head < kind->heads; head++) {
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
