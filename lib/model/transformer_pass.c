/*
 * x + Attention(norm(x)), then x + FFN(norm(x)), as LLaMA has it (Touvron et al. 2023). Families differ in the kind and
 * the places of norms, in what becomes of queries and keys, in whether an FFN has a gate, in the windows of their
 * layers, and in factors here and there; GPT-NeoX computes both sums from one x (Wang & Komatsuzaki 2021); encoders
 * look both ways, and BERT's kin have norms of the sums (Devlin et al. 2019).
 */
#include <math.h>

#include "model/transformer_parts.h"
#include "nn/rows.h"

enum { QUERY, KEY, VALUE };
enum { GATE, UP };

/* One x through a group: products of so many columns, side by side in memory where the group is one. */
static void project(struct tape *tape, struct array *x, const struct joined *joined, const int64_t columns[], int count,
	struct array *out[])
{
	if (!joined_is_one(joined)) {
		for (int i = 0; i < count; i++)
			out[i] = linear(tape, x, tape_param(tape, joined->weight[i]), tape_param(tape, joined->bias[i]), ACT_NONE,
				0);
		return;
	}
	int last = joined->count - 1;
	struct array *all = linear(tape, x, tape_params(tape, joined->weight[0], joined->weight[last]),
		joined->bias[0] ? tape_params(tape, joined->bias[0], joined->bias[last]) : NULL, ACT_NONE, 0);
	for (int64_t i = 0, at = 0; i < count; at += columns[i++])
		out[i] = tape_columns(tape, all, at, columns[i]);
}

/* A batch's sequences, and how layers turn them. */
struct batch {
	const int64_t *indptr;
	int64_t sequences;
	const struct rope_angles *angles, *local_angles;
	const float *distances; /* heads x (2 reach + 1): what is added to scores; NULL: nothing */
	int64_t reach;
};

/* The norm of *x + update, which becomes the new *x. */
static struct array *norm(struct tape *tape, const struct transformer *t, const struct affine *weights,
	struct array **x, struct array *update)
{
	struct array *weight = tape_param(tape, weights->weight), *bias = tape_param(tape, weights->bias), *sum;
	if (t->no_bias && !bias)
		bias = tape_constant(tape, t->no_bias, 1, t->d);
	struct array *normal = bias ? residual_norm(tape, *x, update, weight, bias, t->epsilon, &sum) :
								  residual_rms_norm(tape, *x, update, weight, t->epsilon, &sum);
	if (update) {
		tape_done(tape, *x);
		tape_done(tape, update);
	}
	*x = sum;
	return normal;
}

/* Before a sublayer: *x takes in the update; what the sublayer reads. */
static struct array *read_stream(struct tape *tape, const struct transformer *t, const struct affine *weights,
	struct array **x, struct array *update)
{
	if (weights->weight)
		return norm(tape, t, weights, x, update);
	if (update) {
		struct array *sum = add(tape, *x, update);
		tape_done(tape, *x);
		tape_done(tape, update);
		*x = sum;
	}
	return *x;
}

/* Behind a sublayer: what is added to the stream. */
static struct array *finish(struct tape *tape, const struct transformer *t, const struct affine *weights,
	struct array *update)
{
	if (weights->weight) {
		struct array *x = update;
		update = norm(tape, t, weights, &x, NULL);
		tape_done(tape, x);
	}
	if (t->residual_factor != 1) {
		struct array *x = update;
		update = scaled(tape, x, t->residual_factor);
		tape_done(tape, x);
	}
	return update;
}

static struct array *attention(struct tape *tape, const struct transformer *t, const struct layer *layer,
	struct array *x, const struct batch *batch, bool keep_x)
{
	const int64_t columns[] = {t->heads * t->head_width, t->key_heads * t->head_width, t->key_heads * t->head_width};
	const struct attention_kind kind = {.heads = t->heads,
		.scale = t->scale,
		.softcap = t->softcap,
		.both_ways = t->family->both_ways,
		.window = layer->window,
		.distances = batch->distances,
		.reach = batch->reach};
	struct array *qkv[3];
	project(tape, x, &layer->qkv, columns, 3, qkv);
	if (!keep_x)
		tape_done(tape, x);
	struct array *q = qkv[QUERY], *k = qkv[KEY];
	if (layer->query_norm.weight) {
		q = norm(tape, t, &layer->query_norm, &q, NULL);
		k = norm(tape, t, &layer->key_norm, &k, NULL);
	}
	if (layer->rope) {
		const struct rope_angles *angles = layer->rope == &t->rope ? batch->angles : batch->local_angles;
		rotate(tape, q, angles);
		rotate(tape, k, angles);
	}
	struct array *seen = self_attention(tape, q, k, qkv[VALUE], &kind, batch->indptr, batch->sequences);
	struct array *const read[] = {qkv[QUERY], qkv[KEY], qkv[VALUE], q, k};
	for (size_t i = 0; i < COUNT_OF(read); i++)
		tape_done(tape, read[i]);
	struct array *out = linear(tape, seen, tape_param(tape, layer->out.weight), tape_param(tape, layer->out.bias),
		ACT_NONE, 0);
	tape_done(tape, seen);
	return finish(tape, t, &layer->post_attention_norm, out);
}

/* The inner activations of an FFN, with a gate or without. */
static struct array *inner_of(struct tape *tape, const struct transformer *t, const struct joined *joined,
	struct array *x, bool keep_x)
{
	const int64_t columns[] = {t->inner, t->inner};
	struct array *gate_up[2], *inner;
	if (t->family->plain_ffn) {
		inner = linear(tape, x, tape_param(tape, joined->weight[0]), tape_param(tape, joined->bias[0]), t->activation,
			0);
		if (!keep_x)
			tape_done(tape, x);
		return inner;
	}
	project(tape, x, joined, columns, 2, gate_up);
	if (!keep_x)
		tape_done(tape, x);
	inner = gated(tape, gate_up[GATE], gate_up[UP], t->activation);
	for (int part = GATE; part <= UP; part++)
		tape_done(tape, gate_up[part]);
	return inner;
}

static struct array *ffn(struct tape *tape, const struct transformer *t, const struct layer *layer, struct array *x,
	bool keep_x)
{
	struct array *inner = inner_of(tape, t, &layer->gate_up, x, keep_x);
	struct array *out = linear(tape, inner, tape_param(tape, layer->down.weight), tape_param(tape, layer->down.bias),
		ACT_NONE, 0);
	tape_done(tape, inner);
	return finish(tape, t, &layer->post_ffn_norm, out);
}

/* The norm of *x + update is the new *x. */
static void take_sum(struct tape *tape, const struct transformer *t, const struct affine *weights, struct array **x,
	struct array *update)
{
	struct array *sum = *x, *normal = norm(tape, t, weights, &sum, update);
	tape_done(tape, sum);
	*x = normal;
}

/* Takes the update of the layer before into the stream, and returns its own; NULL: it has taken it in already. */
static struct array *pass(struct tape *tape, const struct transformer *t, const struct layer *layer, struct array **x,
	struct array *update, const struct batch *batch)
{
	struct array *read = read_stream(tape, t, &layer->attention_norm, x, update);
	struct array *seen = attention(tape, t, layer, read, batch, read == *x);
	if (t->family->norm_place == NORM_OF_SUM) {
		take_sum(tape, t, &layer->attention_sum_norm, x, seen);
		take_sum(tape, t, &layer->ffn_sum_norm, x, ffn(tape, t, layer, *x, true));
		return NULL;
	}
	if (t->parallel) {
		read = read_stream(tape, t, &layer->ffn_norm, x, NULL);
		struct array *fed = ffn(tape, t, layer, read, read == *x), *both = add(tape, seen, fed);
		tape_done(tape, seen);
		tape_done(tape, fed);
		return both;
	}
	read = read_stream(tape, t, &layer->ffn_norm, x, seen);
	return ffn(tape, t, layer, read, read == *x);
}

/* What is added to the tokens: positions, and, all of one kind, that kind. */
static struct array *positions_of(struct tape *tape, const struct transformer *t, const struct batch *batch)
{
	const int64_t *indptr = batch->indptr;
	int64_t n = indptr[batch->sequences] - indptr[0];
	int32_t *position = arena_take(&tape->arena, n, 1, sizeof *position);
	int32_t *type = arena_take(&tape->arena, n, 1, sizeof *type);
	for (int64_t s = 0; s < batch->sequences; s++)
		for (int64_t i = indptr[s]; i < indptr[s + 1]; i++) {
			position[i - indptr[0]] = (int32_t)(i - indptr[s] + t->position_offset);
			type[i - indptr[0]] = 0;
		}
	const struct lookup lookups[] = {{tape_param(tape, t->positions), position, -1},
		{tape_param(tape, t->token_types), type, -1}};
	return embedding_sum(tape, lookups, t->token_types ? 2 : 1, n);
}

/* MPNet's, which are T5's (Raffel et al. 2020): near distances one by one, farther ones together, up to 128. */
static int64_t bucket_of(int64_t distance, int64_t buckets)
{
	int64_t half = buckets / 2, exact = half / 2, far = distance < 0 ? -distance : distance;
	int64_t bucket = far;
	if (far >= exact)
		bucket = exact + (int64_t)(logf((float)far / (float)exact) / logf(128 / (float)exact) * (float)(half - exact));
	bucket = bucket < half ? bucket : half - 1;
	return bucket + (distance > 0 ? half : 0);
}

static void spread_distances(struct tape *tape, const struct transformer *t, struct batch *batch)
{
	int64_t longest = 1;
	for (int64_t s = 0; s < batch->sequences; s++)
		if (batch->indptr[s + 1] - batch->indptr[s] > longest)
			longest = batch->indptr[s + 1] - batch->indptr[s];
	batch->reach = longest - 1;
	float *spread = arena_take(&tape->arena, t->heads, 2 * batch->reach + 1, sizeof *spread);
	for (int head = 0; head < t->heads; head++)
		for (int64_t distance = -batch->reach; distance <= batch->reach; distance++)
			spread[head * (2 * batch->reach + 1) + batch->reach + distance] =
				t->distances->value[bucket_of(distance, t->buckets) * t->heads + head];
	batch->distances = spread;
}

static struct batch batch_of(struct tape *tape, const struct transformer *t, const int64_t *indptr, int64_t sequences)
{
	struct batch batch = {.indptr = indptr, .sequences = sequences};
	if (!t->family->learned_positions)
		batch.angles = rope_angles(tape, &t->rope, indptr, sequences);
	for (int i = 0; i < t->n_layers && !batch.local_angles; i++)
		if (t->layers[i].rope == &t->local_rope)
			batch.local_angles = rope_angles(tape, &t->local_rope, indptr, sequences);
	if (t->distances)
		spread_distances(tape, t, &batch);
	return batch;
}

struct array *transformer_states(struct tape *tape, const struct transformer *t, struct array *embeddings,
	const int64_t *indptr, int64_t sequences)
{
	const struct batch batch = batch_of(tape, t, indptr, sequences);
	struct array *x = embeddings, *update = t->family->learned_positions ? positions_of(tape, t, &batch) : NULL;
	if (t->embedding_factor != 1) {
		x = scaled(tape, embeddings, t->embedding_factor);
		tape_done(tape, embeddings);
	}
	if (t->embedding_norm.weight) {
		take_sum(tape, t, &t->embedding_norm, &x, update);
		update = NULL;
	}
	for (int i = 0; i < t->n_layers; i++)
		update = pass(tape, t, &t->layers[i], &x, update, &batch);
	if (!t->last_norm.weight)
		return read_stream(tape, t, &t->last_norm, &x, update);
	struct array *last = norm(tape, t, &t->last_norm, &x, update);
	tape_done(tape, x);
	return t->logit_divisor == 1 ? last : scaled(tape, last, 1 / t->logit_divisor);
}
