#include "nn/ops.h"

#include <math.h>
#include <string.h>

#include "nn/blas.h"
#include "nn/vec.h"

const char *const activation_names[] = { "none", "relu", "gelu", NULL };

static void drop(struct tape *tape, float *values, const struct array *array, float p, uint64_t key)
{
	if (p > 0 && tape->training)
		vec_dropout(values, values, array->rows * array->columns, p, key,
			(uint64_t)(tape->first_row * array->columns));
}

/* --- embedding --- */

struct embedding {
	struct operation operation;
	struct array *table, *positions, *out;
	const int32_t *id, *position;
	float scale, dropout;
	uint64_t mask;
};

static void embedding_backward(struct tape *tape, struct operation *operation)
{
	struct embedding *e = (struct embedding *)operation;
	int64_t d = e->out->columns;
	drop(tape, e->out->gradient, e->out, e->dropout, e->mask);
	for (int64_t t = 0; t < e->out->rows; t++) {
		const float *gradient = e->out->gradient + t * d;
		if (e->table->gradient)
			vec_axpy(e->scale, gradient, e->table->gradient + e->id[t] * e->table->stride, d);
		if (e->positions && e->positions->gradient)
			vec_axpy(1, gradient, e->positions->gradient + e->position[t] * e->positions->stride, d);
	}
}

struct array *embedding(struct tape *tape, struct array *table, const int32_t *id, int64_t n, float scale,
	struct array *positions, const int32_t *position, float dropout)
{
	int64_t d = table->columns;
	struct array *out = tape_array(tape, n, d, table->gradient || (positions && positions->gradient));
	for (int64_t t = 0; t < n; t++) {
		const float *item = table->value + id[t] * table->stride;
		float *row = out->value + t * d;
		for (int64_t i = 0; i < d; i++)
			row[i] = scale * item[i];
		if (positions)
			vec_axpy(1, positions->value + position[t] * positions->stride, row, d);
	}
	uint64_t mask = tape_mask(tape);
	drop(tape, out->value, out, dropout, mask);
	if (out->gradient)
		RECORD(tape, struct embedding, embedding_backward, .table = table, .positions = positions, .out = out,
			.id = id, .position = position, .scale = scale, .dropout = dropout, .mask = mask);
	return out;
}

/* --- linear --- */

struct linear {
	struct operation operation;
	struct array *x, *weight, *bias, *out;
	float *before; /* the activation, where it is needed: gelu */
	enum activation activation;
	float dropout;
	uint64_t mask;
};

static void linear_backward(struct tape *tape, struct operation *operation)
{
	struct linear *l = (struct linear *)operation;
	struct array *x = l->x, *weight = l->weight, *out = l->out;
	int64_t n = out->rows, width = out->columns;
	drop(tape, out->gradient, out, l->dropout, l->mask);
	if (l->activation == ACT_RELU)
		vec_relu_backward(out->value, out->gradient, n * width);
	else if (l->activation == ACT_GELU)
		vec_gelu_backward(l->before, out->gradient, n * width);
	if (weight->gradient)
		gemm(true, false, width, x->columns, n, 1, out->gradient, width, x->value, x->stride,
			gradient_beta(weight), weight->gradient, weight->stride);
	if (l->bias && l->bias->gradient)
		vec_sum_rows(out->gradient, n, width, width, l->bias->gradient);
	if (x->gradient)
		gemm(false, false, n, x->columns, width, 1, out->gradient, width, weight->value, weight->stride,
			gradient_beta(x), x->gradient, x->stride);
}

struct array *linear(struct tape *tape, struct array *x, struct array *weight, struct array *bias,
	enum activation activation, float dropout)
{
	int64_t n = x->rows, width = weight->rows;
	struct array *out = tape_array(tape, n, width, x->gradient || weight->gradient || (bias && bias->gradient));
	float *before = out->value;
	if (activation == ACT_GELU)
		before = arena_take(&tape->arena, n, width, sizeof *before);
	gemm(false, true, n, width, x->columns, 1, x->value, x->stride, weight->value, weight->stride, 0, before, width);
	if (bias)
		vec_add_rows(before, n, width, width, bias->value);
	if (activation == ACT_RELU)
		vec_relu(out->value, n * width);
	else if (activation == ACT_GELU)
		vec_gelu(before, out->value, n * width);
	uint64_t mask = tape_mask(tape);
	drop(tape, out->value, out, dropout, mask);
	if (out->gradient)
		RECORD(tape, struct linear, linear_backward, .x = x, .weight = weight, .bias = bias, .out = out,
			.before = before, .activation = activation, .dropout = dropout, .mask = mask);
	return out;
}

/* --- residual and norm --- */

struct norm {
	struct operation operation;
	struct array *x, *update, *weight, *bias, *sum, *out;
	float *moments; /* mean and 1 / deviation of each row */
};

static void add_gradient(struct array *array, int64_t row, const float *gradient, float beta)
{
	float *to = array->gradient + row * array->stride;
	if (beta)
		vec_axpy(1, gradient, to, array->columns);
	else
		memcpy(to, gradient, (size_t)array->columns * sizeof *to);
}

static void norm_backward(struct tape *tape, struct operation *operation)
{
	struct norm *o = (struct norm *)operation;
	int64_t d = o->out->columns;
	float *gradient = arena_take(&tape->arena, 1, d, sizeof *gradient);
	float x_beta = o->x->gradient ? gradient_beta(o->x) : 0;
	float update_beta = o->update && o->update->gradient ? gradient_beta(o->update) : 0;
	for (int64_t r = 0; r < o->out->rows; r++) {
		const float *dsum = o->update && o->sum->touched ? o->sum->gradient + r * d : NULL;
		vec_norm_backward(o->sum->value + r * o->sum->stride, o->out->gradient + r * d, o->weight->value, dsum,
			gradient, o->weight->gradient, o->bias->gradient, d, o->moments + 2 * r);
		if (o->x->gradient)
			add_gradient(o->x, r, gradient, x_beta);
		if (o->update && o->update->gradient)
			add_gradient(o->update, r, gradient, update_beta);
	}
}

struct array *residual_norm(struct tape *tape, struct array *x, struct array *update, struct array *weight,
	struct array *bias, float epsilon, struct array **sum)
{
	int64_t n = x->rows, d = x->columns;
	bool gradient = x->gradient || weight->gradient || (update && update->gradient);
	struct array *out = tape_array(tape, n, d, gradient);
	struct array *added = update ? tape_array(tape, n, d, gradient) : x;
	float *moments = arena_take(&tape->arena, n, 2, sizeof *moments);
	for (int64_t r = 0; r < n; r++)
		vec_norm(x->value + r * x->stride, update ? update->value + r * update->stride : NULL,
			added->value + r * added->stride, out->value + r * d, weight->value, bias->value, epsilon, d,
			moments + 2 * r);
	if (out->gradient)
		RECORD(tape, struct norm, norm_backward, .x = x, .update = update, .weight = weight, .bias = bias,
			.sum = added, .out = out, .moments = moments);
	if (sum)
		*sum = added;
	return out;
}
