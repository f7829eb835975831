#include "nn/ops.h"

#include <math.h>
#include <string.h>

#include "nn/matrix.h"
#include "nn/vec.h"

const char *const activation_names[] = {"none", "relu", "gelu", "gelu_new", NULL};

/* tokens: what the rows are; NULL: the tape's, one after another. */
static void drop(struct tape *tape, float *values, const struct array *array, const int64_t *tokens, float p,
	uint64_t key)
{
	const int64_t columns = array->columns;
	if (p <= 0 || !tape->training)
		return;
	if (!tokens)
		vec_dropout(values, values, array->rows * columns, p, key, (uint64_t)(tape->first_row * columns));
	for (int64_t r = 0; tokens && r < array->rows; r++)
		vec_dropout(values + r * columns, values + r * columns, columns, p, key,
			(uint64_t)((tape->first_row + tokens[r]) * columns));
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
	float *gradient = tape_gradient(tape, e->out);
	drop(tape, gradient, e->out, NULL, e->dropout, e->mask);
	if (e->table->wanted)
		tape_add_rows(tape, e->table, e->id, gradient, e->out->rows, d, e->scale);
	if (e->positions && e->positions->wanted)
		tape_add_rows(tape, e->positions, e->position, gradient, e->out->rows, d, 1);
}

struct array *embedding(struct tape *tape, struct array *table, const int32_t *id, int64_t n, float scale,
	struct array *positions, const int32_t *position, float dropout)
{
	int64_t d = table->columns;
	struct array *out = tape_array(tape, n, d, table->wanted || (positions && positions->wanted));
	for (int64_t t = 0; t < n; t++) {
		const float *item = table->value + id[t] * table->stride;
		float *row = out->value + t * d;
		for (int64_t i = 0; i < d; i++)
			row[i] = scale * item[i];
		if (positions)
			vec_axpy(1, positions->value + position[t] * positions->stride, row, d);
	}
	uint64_t mask = tape_mask(tape);
	drop(tape, out->value, out, NULL, dropout, mask);
	if (out->wanted)
		RECORD(tape, struct embedding, embedding_backward, .table = table, .positions = positions, .out = out, .id = id,
			.position = position, .scale = scale, .dropout = dropout, .mask = mask);
	return out;
}

/* --- linear --- */

struct linear {
	struct operation operation;
	struct array *x, *weight, *bias, *out;
	float *before; /* the activation, where it is needed: both gelus */
	enum activation activation;
	bool of_gelu; /* of x */
	const int64_t *tokens;
	float dropout;
	uint64_t mask;
};

/* gelu(x), to be given back. */
static float *gelu_of(struct tape *tape, const struct array *x)
{
	float *activated = tape_take(tape, x->rows, x->columns);
	vec_gelu(x->value, activated, x->rows * x->columns);
	return activated;
}

static void weight_backward(struct tape *tape, const struct linear *l, const float *gradient)
{
	struct array *x = l->x, *weight = l->weight;
	tape_restore(tape, x);
	float *activated = l->of_gelu ? gelu_of(tape, x) : NULL;
	gemm(true, false, weight->rows, x->columns, x->rows, 1, gradient, weight->rows, activated ? activated : x->value,
		x->stride, gradient_beta(weight), tape_gradient(tape, weight), weight->stride);
	if (activated)
		tape_give(tape, activated, x->rows, x->columns);
}

static void linear_backward(struct tape *tape, struct operation *operation)
{
	struct linear *l = (struct linear *)operation;
	struct array *x = l->x, *weight = l->weight, *out = l->out;
	int64_t n = out->rows, width = out->columns;
	float *gradient = tape_gradient(tape, out);
	drop(tape, gradient, out, l->tokens, l->dropout, l->mask);
	if (l->activation == ACT_RELU)
		vec_relu_backward(out->value, gradient, n * width);
	else if (l->activation == ACT_GELU)
		vec_gelu_backward(l->before, gradient, n * width);
	else if (l->activation == ACT_GELU_NEW)
		vec_gelu_new_backward(l->before, gradient, n * width);
	if (weight->wanted)
		weight_backward(tape, l, gradient);
	if (l->bias && l->bias->wanted)
		vec_sum_rows(gradient, n, width, width, tape_gradient(tape, l->bias));
	if (x->wanted)
		multiply(weight, 0, width, false, n, gradient, width, gradient_beta(x) > 0, tape_gradient(tape, x), x->stride);
	if (x->wanted && l->of_gelu) {
		tape_restore(tape, x);
		vec_gelu_backward(x->value, tape_gradient(tape, x), n * x->columns);
	}
}

static struct array *product(struct tape *tape, struct array *x, bool of_gelu, struct array *weight, struct array *bias,
	enum activation activation, float dropout)
{
	int64_t n = x->rows, width = weight->rows;
	struct array *out = tape_array(tape, n, width, x->wanted || weight->wanted || (bias && bias->wanted));
	bool apart = activation == ACT_GELU || activation == ACT_GELU_NEW;
	float *before = apart ? tape_take(tape, n, width) : out->value, *activated = of_gelu ? gelu_of(tape, x) : NULL;
	multiply(weight, 0, width, true, n, activated ? activated : x->value, x->stride, false, before, width);
	if (activated)
		tape_give(tape, activated, n, x->columns);
	if (bias)
		vec_add_rows(before, n, width, width, bias->value);
	if (activation == ACT_RELU)
		vec_relu(out->value, n * width);
	else if (activation == ACT_GELU)
		vec_gelu(before, out->value, n * width);
	else if (activation == ACT_GELU_NEW)
		vec_gelu_new(before, out->value, n * width);
	uint64_t mask = tape_mask(tape);
	drop(tape, out->value, out, tape->tokens, dropout, mask);
	if (weight->wanted || (of_gelu && x->wanted))
		tape_keep_restored(x);
	if (activation == ACT_RELU && out->wanted)
		tape_keep(out);
	if (apart && !out->wanted)
		tape_give(tape, before, n, width);
	if (out->wanted)
		RECORD(tape, struct linear, linear_backward, .x = x, .weight = weight, .bias = bias, .out = out,
			.before = before, .activation = activation, .of_gelu = of_gelu, .tokens = tape->tokens, .dropout = dropout,
			.mask = mask);
	return out;
}

struct array *linear(struct tape *tape, struct array *x, struct array *weight, struct array *bias,
	enum activation activation, float dropout)
{
	return product(tape, x, false, weight, bias, activation, dropout);
}

struct array *linear_of_gelu(struct tape *tape, struct array *x, struct array *weight, struct array *bias,
	float dropout)
{
	return product(tape, x, true, weight, bias, ACT_NONE, dropout);
}

/* --- residual and norm --- */

struct norm {
	struct operation operation;
	struct array *x, *update, *weight, *bias, *sum, *out; /* bias NULL: of the root mean square */
	float epsilon;
	float *moments; /* mean and 1 / deviation of each row, or head of it; or 1 / root mean square */
};

/* Adds to n floats of an array's gradient, or sets them. */
static void add_gradient(struct tape *tape, struct array *array, int64_t offset, const float *gradient, int64_t n,
	float beta)
{
	float *to = tape_gradient(tape, array) + offset;
	if (beta)
		vec_axpy(1, gradient, to, n);
	else
		memcpy(to, gradient, (size_t)n * sizeof *to);
}

static void norm_backward(struct tape *tape, struct operation *operation)
{
	struct norm *o = (struct norm *)operation;
	int64_t d = o->weight->columns, heads = o->out->columns / d;
	float *dx = tape_take(tape, 1, d), *dout = tape_gradient(tape, o->out);
	float *dsum = o->update && o->sum->touched ? tape_gradient(tape, o->sum) : NULL;
	float *dweight = o->weight->wanted ? tape_gradient(tape, o->weight) : NULL;
	float *dbias = o->bias && o->bias->wanted ? tape_gradient(tape, o->bias) : NULL;
	float x_beta = o->x->wanted ? gradient_beta(o->x) : 0;
	float update_beta = o->update && o->update->wanted ? gradient_beta(o->update) : 0;
	for (int64_t r = 0; r < o->out->rows * heads; r++) {
		int64_t row = r / heads, column = r % heads * d;
		const float *s = o->sum->value + row * o->sum->stride + column, *ds = dsum ? dsum + r * d : NULL;
		if (o->bias)
			vec_norm_backward(s, dout + r * d, o->weight->value, ds, dx, dweight, dbias, d, o->moments + 2 * r);
		else
			vec_rms_norm_backward(s, dout + r * d, o->weight->value, ds, dx, dweight, d, o->moments[r]);
		if (o->x->wanted)
			add_gradient(tape, o->x, row * o->x->stride + column, dx, d, x_beta);
		if (o->update && o->update->wanted)
			add_gradient(tape, o->update, row * o->update->stride + column, dx, d, update_beta);
	}
	tape_give(tape, dx, 1, d);
}

/* x is what is normalised, or change is added to it for that. */
static void norm_forward(const struct norm *o, const struct array *x, const struct array *change)
{
	int64_t d = o->weight->columns, heads = o->out->columns / d;
	for (int64_t r = 0; r < o->out->rows * heads; r++) {
		int64_t row = r / heads, column = r % heads * d;
		const float *from = x->value + row * x->stride + column;
		const float *update = change ? change->value + row * change->stride + column : NULL;
		float *s = o->sum->value + row * o->sum->stride + column, *y = o->out->value + r * d;
		if (o->bias)
			vec_norm(from, update, s, y, o->weight->value, o->bias->value, o->epsilon, d, o->moments + 2 * r);
		else
			o->moments[r] = vec_rms_norm(from, update, s, y, o->weight->value, o->epsilon, d);
	}
}

static void norm_again(struct operation *operation)
{
	const struct norm *o = (const struct norm *)operation;
	norm_forward(o, o->sum, NULL);
}

static struct array *norm(struct tape *tape, struct array *x, struct array *update, struct array *weight,
	struct array *bias, float epsilon, struct array **sum)
{
	bool gradient = x->wanted || weight->wanted || (update && update->wanted);
	struct norm o = {.operation = {.backward = norm_backward, .again = norm_again},
		.x = x,
		.update = update,
		.weight = weight,
		.bias = bias,
		.epsilon = epsilon};
	o.out = tape_array(tape, x->rows, x->columns, gradient);
	o.sum = update ? tape_array(tape, x->rows, x->columns, gradient) : x;
	o.moments = arena_take(&tape->arena, x->rows * (x->columns / weight->columns), 2, sizeof *o.moments);
	norm_forward(&o, x, update);
	if (o.out->wanted) {
		tape_keep(o.sum);
		tape_record(tape, &o, sizeof o);
		o.out->again = tape->last;
	}
	if (sum)
		*sum = o.sum;
	return o.out;
}

struct array *residual_norm(struct tape *tape, struct array *x, struct array *update, struct array *weight,
	struct array *bias, float epsilon, struct array **sum)
{
	return norm(tape, x, update, weight, bias, epsilon, sum);
}

struct array *residual_rms_norm(struct tape *tape, struct array *x, struct array *update, struct array *weight,
	float epsilon, struct array **sum)
{
	return norm(tape, x, update, weight, NULL, epsilon, sum);
}

/* --- gates --- */

struct gated {
	struct operation operation;
	struct array *gate, *up, *out;
	enum activation activation;
};

static void gelu_rows(const struct gated *o, const float *gate, float *y)
{
	if (o->activation == ACT_GELU)
		vec_gelu(gate, y, o->out->columns);
	else
		vec_gelu_new(gate, y, o->out->columns);
}

/* Of one row, for gelus: the others have it all in one. */
static void gelu_row_backward(const struct gated *o, const float *gate, const float *up, const float *dout,
	float *dgate, float *dup)
{
	int64_t d = o->out->columns;
	gelu_rows(o, gate, dup);
	for (int64_t i = 0; i < d; i++) {
		dup[i] *= dout[i];
		dgate[i] = dout[i] * up[i];
	}
	if (o->activation == ACT_GELU)
		vec_gelu_backward(gate, dgate, d);
	else
		vec_gelu_new_backward(gate, dgate, d);
}

static void gated_backward(struct tape *tape, struct operation *operation)
{
	struct gated *o = (struct gated *)operation;
	int64_t d = o->out->columns;
	const float *dout = tape_gradient(tape, o->out);
	float *dgate = tape_take(tape, 1, d), *dup = tape_take(tape, 1, d);
	float gate_beta = gradient_beta(o->gate), up_beta = gradient_beta(o->up);
	for (int64_t r = 0; r < o->out->rows; r++) {
		const float *gate = o->gate->value + r * o->gate->stride, *up = o->up->value + r * o->up->stride;
		if (o->activation == ACT_SILU)
			vec_swiglu_backward(gate, up, dout + r * d, dgate, dup, d);
		else if (o->activation == ACT_SIGMOID)
			vec_glu_backward(gate, up, dout + r * d, dgate, dup, d);
		else
			gelu_row_backward(o, gate, up, dout + r * d, dgate, dup);
		add_gradient(tape, o->gate, r * o->gate->stride, dgate, d, gate_beta);
		add_gradient(tape, o->up, r * o->up->stride, dup, d, up_beta);
	}
	tape_give(tape, dgate, 1, d);
	tape_give(tape, dup, 1, d);
}

struct array *gated(struct tape *tape, struct array *gate, struct array *up, enum activation activation)
{
	int64_t d = gate->columns;
	struct gated o = {.operation.backward = gated_backward, .gate = gate, .up = up, .activation = activation};
	o.out = tape_array(tape, gate->rows, d, gate->wanted && up->wanted);
	for (int64_t r = 0; r < o.out->rows; r++) {
		const float *from = gate->value + r * gate->stride, *times = up->value + r * up->stride;
		float *y = o.out->value + r * d;
		if (activation == ACT_SILU) {
			vec_swiglu(from, times, y, d);
		} else if (activation == ACT_SIGMOID) {
			vec_glu(from, times, y, d);
		} else {
			gelu_rows(&o, from, y);
			for (int64_t i = 0; i < d; i++)
				y[i] *= times[i];
		}
	}
	if (!o.out->wanted)
		return o.out;
	tape_keep(gate);
	tape_keep(up);
	tape_record(tape, &o, sizeof o);
	return o.out;
}
