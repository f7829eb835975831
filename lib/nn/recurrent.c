#include "nn/ops.h"

#include <stdlib.h>
#include <string.h>

#include "nn/matrix.h"
#include "nn/vec.h"

/*
 * Sequences sorted by falling length, and tokens by step: step t is a block of the running[t] sequences longer than t,
 * and its previous states are the first running[t] rows of the block before.
 */
struct steps {
	int64_t n, count; /* steps; tokens of all */
	int64_t *running;
	int64_t *token; /* [count]: the packed row of each */
};

struct gru {
	struct operation operation;
	struct array *x, *weight_ih, *weight_hh, *bias_ih, *bias_hh, *out;
	struct steps steps;
	float *input;     /* x by step */
	float *gates;     /* r, z, n by step */
	float *recurrent; /* products with the previous state, by step */
	float *state;     /* by step */
};

struct ordered {
	int64_t first, length;
};

static int longer_first(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;
	if (x->length != y->length)
		return x->length < y->length ? 1 : -1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static struct steps steps_of(struct tape *tape, const int64_t *indptr, int64_t sequences)
{
	struct ordered *order = arena_take(&tape->arena, sequences, 1, sizeof *order);
	for (int64_t s = 0; s < sequences; s++)
		order[s] = (struct ordered){indptr[s] - indptr[0], indptr[s + 1] - indptr[s]};
	qsort(order, (size_t)sequences, sizeof *order, longer_first);
	struct steps steps = {.n = sequences ? order[0].length : 0};
	steps.running = arena_take(&tape->arena, steps.n, 1, sizeof *steps.running);
	steps.token = arena_take(&tape->arena, indptr[sequences] - indptr[0], 1, sizeof *steps.token);
	int64_t running = sequences;
	for (int64_t t = 0; t < steps.n; t++) {
		while (order[running - 1].length <= t)
			running--;
		steps.running[t] = running;
		for (int64_t s = 0; s < running; s++)
			steps.token[steps.count++] = order[s].first + t;
	}
	return steps;
}

/* by_step[i] = packed[token[i]], and back */
static void gather(const struct steps *steps, const float *packed, int64_t stride, float *by_step, int64_t columns)
{
	for (int64_t i = 0; i < steps->count; i++)
		memcpy(by_step + i * columns, packed + steps->token[i] * stride, (size_t)columns * sizeof *packed);
}

static void scatter(const struct steps *steps, const float *by_step, struct array *array, float *packed, bool add)
{
	for (int64_t i = 0; i < steps->count; i++) {
		float *to = packed + steps->token[i] * array->stride;
		if (add)
			vec_axpy(1, by_step + i * array->columns, to, array->columns);
		else
			memcpy(to, by_step + i * array->columns, (size_t)array->columns * sizeof *to);
	}
}

/*
 * Back through the steps: gates and recurrent products become their gradients, dstate by the way all that the states
 * have. scratch: 6h floats for each sequence.
 */
static void steps_backward(const struct gru *g, float *dstate, float *scratch)
{
	int64_t h = g->out->columns, end = g->steps.count;
	float *dinput = scratch, *drecurrent = scratch + g->steps.running[0] * 3 * h;
	for (int64_t t = g->steps.n - 1; t >= 0; t--) {
		int64_t rows = g->steps.running[t], at = end - rows;
		int64_t before = t ? at - g->steps.running[t - 1] : 0;
		vec_gru_backward(g->gates + at * 3 * h, g->recurrent + at * 3 * h, t ? g->state + before * h : NULL,
			dstate + at * h, dinput, drecurrent, rows, h);
		memcpy(g->gates + at * 3 * h, dinput, (size_t)(rows * 3 * h) * sizeof *dinput);
		memcpy(g->recurrent + at * 3 * h, drecurrent, (size_t)(rows * 3 * h) * sizeof *drecurrent);
		if (t) {
			gemm(false, false, rows, h, 3 * h, 1, drecurrent, 3 * h, g->weight_hh->value, h, 1, dstate + at * h, h);
			vec_axpy(1, dstate + at * h, dstate + before * h, rows * h);
		}
		end = at;
	}
}

/* The previous states of all tokens that have one, end to end in the place of `state`; returns their number. */
static int64_t previous_states(const struct gru *g, float *previous)
{
	int64_t h = g->out->columns, count = 0, before = 0;
	for (int64_t t = 1; t < g->steps.n; t++) {
		memcpy(previous + count * h, g->state + before * h, (size_t)(g->steps.running[t] * h) * sizeof *previous);
		count += g->steps.running[t];
		before += g->steps.running[t - 1];
	}
	return count;
}

static void gru_backward(struct tape *tape, struct operation *operation)
{
	struct gru *g = (struct gru *)operation;
	int64_t h = g->out->columns, n = g->steps.count, in = g->x->columns;
	if (!n)
		return;
	const int64_t sequences = g->steps.running[0];
	float *dstate = tape_take(tape, n, h), *scratch = tape_take(tape, sequences, 6 * h);
	const float *dinput = g->gates, *drecurrent = g->recurrent;
	gather(&g->steps, tape_gradient(tape, g->out), h, dstate, h);
	steps_backward(g, dstate, scratch);
	if (g->weight_hh->wanted) {
		int64_t later = previous_states(g, dstate);
		gemm(true, false, 3 * h, h, later, 1, drecurrent + (n - later) * 3 * h, 3 * h, dstate, h, 1,
			tape_gradient(tape, g->weight_hh), h);
	}
	if (g->weight_ih->wanted)
		gemm(true, false, 3 * h, in, n, 1, dinput, 3 * h, g->input, in, 1, tape_gradient(tape, g->weight_ih), in);
	if (g->bias_ih && g->bias_ih->wanted)
		vec_sum_rows(dinput, n, 3 * h, 3 * h, tape_gradient(tape, g->bias_ih));
	if (g->bias_hh && g->bias_hh->wanted)
		vec_sum_rows(drecurrent, n, 3 * h, 3 * h, tape_gradient(tape, g->bias_hh));
	if (g->x->wanted) {
		gemm(false, false, n, in, 3 * h, 1, dinput, 3 * h, g->weight_ih->value, in, 0, g->input, in);
		scatter(&g->steps, g->input, g->x, tape_gradient(tape, g->x), gradient_beta(g->x));
	}
	tape_give(tape, dstate, n, h);
	tape_give(tape, scratch, sequences, 6 * h);
}

static void steps_forward(const struct gru *g)
{
	int64_t h = g->out->columns, at = 0, before = 0;
	for (int64_t t = 0; t < g->steps.n; t++) {
		int64_t rows = g->steps.running[t];
		float *recurrent = g->recurrent + at * 3 * h;
		if (t)
			gemm(false, true, rows, 3 * h, h, 1, g->state + before * h, h, g->weight_hh->value, h, 0, recurrent, 3 * h);
		else
			memset(recurrent, 0, (size_t)(rows * 3 * h) * sizeof *recurrent);
		if (g->bias_hh)
			vec_add_rows(recurrent, rows, 3 * h, 3 * h, g->bias_hh->value);
		vec_gru(g->gates + at * 3 * h, recurrent, t ? g->state + before * h : NULL, g->state + at * h, rows, h);
		before = at;
		at += rows;
	}
}

struct array *gru_layer(struct tape *tape, struct array *x, struct array *weight_ih, struct array *weight_hh,
	struct array *bias_ih, struct array *bias_hh, const int64_t *indptr, int64_t sequences)
{
	int64_t n = x->rows, in = x->columns, h = weight_hh->columns;
	struct gru g = {.operation.backward = gru_backward,
		.x = x,
		.weight_ih = weight_ih,
		.weight_hh = weight_hh,
		.bias_ih = bias_ih,
		.bias_hh = bias_hh,
		.steps = steps_of(tape, indptr, sequences)};
	g.out = tape_array(tape, n, h, x->wanted || weight_ih->wanted || weight_hh->wanted);
	g.input = arena_take(&tape->arena, n, in, sizeof *g.input);
	g.gates = arena_take(&tape->arena, n, 3 * h, sizeof *g.gates);
	g.recurrent = arena_take(&tape->arena, n, 3 * h, sizeof *g.recurrent);
	g.state = arena_take(&tape->arena, n, h, sizeof *g.state);
	gather(&g.steps, x->value, x->stride, g.input, in);
	gemm(false, true, n, 3 * h, in, 1, g.input, in, weight_ih->value, in, 0, g.gates, 3 * h);
	if (bias_ih)
		vec_add_rows(g.gates, n, 3 * h, 3 * h, bias_ih->value);
	steps_forward(&g);
	scatter(&g.steps, g.state, g.out, g.out->value, false);
	if (g.out->wanted)
		tape_record(tape, &g, sizeof g);
	return g.out;
}
