#include "nn/rows.h"

#include <math.h>
#include <string.h>

#include "nn/vec.h"

/* --- embedding_sum --- */

#define LOOKUPS_MAX 4

struct sum {
	struct operation operation;
	struct lookup lookups[LOOKUPS_MAX];
	int count;
	struct array *out;
};

static void sum_backward(struct tape *tape, struct operation *operation)
{
	struct sum *s = (struct sum *)operation;
	int64_t d = s->out->columns;
	const float *gradient = tape_gradient(tape, s->out);
	for (int i = 0; i < s->count; i++) {
		const struct lookup *lookup = &s->lookups[i];
		if (!lookup->table->wanted)
			continue;
		for (int64_t t = 0; t < s->out->rows; t++)
			if (lookup->id[t] != lookup->padding)
				tape_add_rows(tape, lookup->table, lookup->id + t, gradient + t * d, 1, d, 1);
	}
}

struct array *embedding_sum(struct tape *tape, const struct lookup lookups[], int count, int64_t n)
{
	int64_t d = lookups[0].table->columns;
	struct sum s = {.operation.backward = sum_backward, .count = count};
	bool wanted = false;
	for (int i = 0; i < count; i++) {
		s.lookups[i] = lookups[i];
		wanted |= lookups[i].table->wanted;
	}
	s.out = tape_array(tape, n, d, wanted);
	for (int64_t t = 0; t < n; t++) {
		float *row = s.out->value + t * d;
		memcpy(row, lookups[0].table->value + lookups[0].id[t] * lookups[0].table->stride, (size_t)d * sizeof *row);
		for (int i = 1; i < count; i++)
			vec_axpy(1, lookups[i].table->value + lookups[i].id[t] * lookups[i].table->stride, row, d);
	}
	if (s.out->wanted)
		tape_record(tape, &s, sizeof s);
	return s.out;
}

/* --- chosen_rows --- */

struct chosen {
	struct operation operation;
	struct array *x, *out;
	const int64_t *row;
};

static void chosen_backward(struct tape *tape, struct operation *operation)
{
	struct chosen *c = (struct chosen *)operation;
	const float *gradient = tape_gradient(tape, c->out);
	float *dx = started_gradient(tape, c->x);
	for (int64_t r = 0; r < c->out->rows; r++)
		vec_axpy(1, gradient + r * c->out->columns, dx + c->row[r] * c->x->stride, c->out->columns);
}

struct array *chosen_rows(struct tape *tape, struct array *x, const int64_t *row, int64_t n)
{
	struct array *out = tape_array(tape, n, x->columns, x->wanted);
	for (int64_t r = 0; r < n; r++)
		memcpy(out->value + r * x->columns, x->value + row[r] * x->stride, (size_t)x->columns * sizeof *out->value);
	if (out->wanted)
		RECORD(tape, struct chosen, chosen_backward, .x = x, .out = out, .row = row);
	return out;
}

/* --- weighted_sums --- */

struct sums {
	struct operation operation;
	struct array *x, *out;
	const float *weight;
	const int64_t *indptr;
};

static void sums_backward(struct tape *tape, struct operation *operation)
{
	struct sums *s = (struct sums *)operation;
	const float *gradient = tape_gradient(tape, s->out);
	float *dx = started_gradient(tape, s->x);
	for (int64_t row = 0; row < s->out->rows; row++)
		for (int64_t t = s->indptr[row] - s->indptr[0]; t < s->indptr[row + 1] - s->indptr[0]; t++)
			vec_axpy(s->weight[t], gradient + row * s->out->columns, dx + t * s->x->stride, s->out->columns);
}

struct array *weighted_sums(struct tape *tape, struct array *x, const float *weight, const int64_t *indptr,
	int64_t sequences)
{
	struct array *out = tape_array(tape, sequences, x->columns, x->wanted);
	memset(out->value, 0, (size_t)(sequences * x->columns) * sizeof *out->value);
	for (int64_t row = 0; row < sequences; row++)
		for (int64_t t = indptr[row] - indptr[0]; t < indptr[row + 1] - indptr[0]; t++)
			vec_axpy(weight[t], x->value + t * x->stride, out->value + row * x->columns, x->columns);
	if (out->wanted)
		RECORD(tape, struct sums, sums_backward, .x = x, .out = out, .weight = weight, .indptr = indptr);
	return out;
}

/* --- with_history_mean --- */

struct history_mean {
	struct operation operation;
	struct array *x, *out;
	float decay, factor;
	const int64_t *indptr;
	int64_t sequences;
};

/* What the sum up to a row, the first of a sequence or one further on, is multiplied by. */
static float next_factor(const struct history_mean *m, float *total, bool first)
{
	*total = first ? 1 : *total * m->decay + 1;
	return m->factor / *total;
}

static void history_mean_forward(struct tape *tape, const struct history_mean *m)
{
	const int64_t d = m->out->columns, base = m->indptr[0];
	float *sum = tape_take(tape, 1, d), total = 0;
	for (int64_t s = 0; s < m->sequences; s++) {
		memset(sum, 0, (size_t)d * sizeof *sum);
		for (int64_t t = m->indptr[s] - base; t < m->indptr[s + 1] - base; t++) {
			const float *x = m->x->value + t * m->x->stride;
			const float factor = next_factor(m, &total, t == m->indptr[s] - base);
			for (int64_t i = 0; i < d; i++) {
				sum[i] = sum[i] * m->decay + x[i];
				m->out->value[t * d + i] = x[i] + factor * sum[i];
			}
		}
	}
	tape_give(tape, sum, 1, d);
}

/* A row gets what the sums of all rows from it on get. */
static void history_mean_backward(struct tape *tape, struct operation *operation)
{
	struct history_mean *m = (struct history_mean *)operation;
	const float *gradient = tape_gradient(tape, m->out);
	const int64_t d = m->out->columns, base = m->indptr[0];
	float *dx = started_gradient(tape, m->x), *sum = tape_take(tape, 1, d);
	float *factor = tape_take(tape, 1, m->out->rows), total = 0;
	for (int64_t s = 0; s < m->sequences; s++) {
		const int64_t first = m->indptr[s] - base, end = m->indptr[s + 1] - base;
		for (int64_t t = first; t < end; t++)
			factor[t] = next_factor(m, &total, t == first);
		memset(sum, 0, (size_t)d * sizeof *sum);
		for (int64_t t = end - 1; t >= first; t--) {
			for (int64_t i = 0; i < d; i++)
				sum[i] = sum[i] * m->decay + factor[t] * gradient[t * d + i];
			vec_axpy(1, gradient + t * d, dx + t * m->x->stride, d);
			vec_axpy(1, sum, dx + t * m->x->stride, d);
		}
	}
	tape_give(tape, factor, 1, m->out->rows);
	tape_give(tape, sum, 1, d);
}

struct array *with_history_mean(struct tape *tape, struct array *x, float decay, float factor, const int64_t *indptr,
	int64_t sequences)
{
	struct history_mean m = {.operation.backward = history_mean_backward,
		.x = x,
		.decay = decay,
		.factor = factor,
		.indptr = indptr,
		.sequences = sequences};
	m.out = tape_array(tape, x->rows, x->columns, x->wanted);
	history_mean_forward(tape, &m);
	if (m.out->wanted)
		tape_record(tape, &m, sizeof m);
	return m.out;
}

/* --- dropped --- */

struct drop {
	struct operation operation;
	struct array *x, *out;
	float dropout;
	uint64_t mask;
};

static void drop_rows(const struct tape *tape, const struct drop *d, const float *from, int64_t from_stride, float *to,
	int64_t to_stride)
{
	int64_t columns = d->out->columns;
	for (int64_t r = 0; r < d->out->rows; r++)
		vec_dropout(from + r * from_stride, to + r * to_stride, columns, d->dropout, d->mask,
			(uint64_t)((tape->first_row + r) * columns));
}

static void drop_backward(struct tape *tape, struct operation *operation)
{
	struct drop *d = (struct drop *)operation;
	float *gradient = tape_gradient(tape, d->out), *dx = started_gradient(tape, d->x);
	drop_rows(tape, d, gradient, d->out->columns, gradient, d->out->columns);
	for (int64_t r = 0; r < d->out->rows; r++)
		vec_axpy(1, gradient + r * d->out->columns, dx + r * d->x->stride, d->out->columns);
}

struct array *dropped(struct tape *tape, struct array *x, float dropout)
{
	uint64_t mask = tape_mask(tape);
	if (!tape->training || dropout <= 0)
		return x;
	struct drop d = {.operation.backward = drop_backward, .x = x, .dropout = dropout, .mask = mask};
	d.out = tape_array(tape, x->rows, x->columns, x->wanted);
	drop_rows(tape, &d, x->value, x->stride, d.out->value, x->columns);
	if (d.out->wanted)
		tape_record(tape, &d, sizeof d);
	return d.out;
}

/* --- unit_rows --- */

#define SHORTEST 1e-8f

struct unit {
	struct operation operation;
	struct array *x, *out;
	float *factor, scale; /* of each row */
};

/* y = f x with f = scale / |x|: dx = f (dy - y (y . dy) / scale^2) */
static void unit_backward(struct tape *tape, struct operation *operation)
{
	struct unit *u = (struct unit *)operation;
	int64_t d = u->out->columns;
	const float *dout = tape_gradient(tape, u->out);
	float *dx = started_gradient(tape, u->x);
	for (int64_t r = 0; r < u->out->rows; r++) {
		const float *y = u->out->value + r * d, *dy = dout + r * d;
		float *to = dx + r * u->x->stride, along = vec_dot(y, dy, d) / (u->scale * u->scale);
		vec_axpy(u->factor[r], dy, to, d);
		vec_axpy(-u->factor[r] * along, y, to, d);
	}
}

struct array *unit_rows(struct tape *tape, struct array *x, float scale)
{
	int64_t d = x->columns;
	struct array *out = tape_array(tape, x->rows, d, x->wanted);
	float *factor = arena_take(&tape->arena, x->rows, 1, sizeof *factor);
	for (int64_t r = 0; r < x->rows; r++) {
		const float *row = x->value + r * x->stride;
		float length = (float)sqrt(vec_sum_of_squares(row, d));
		factor[r] = scale / (length > SHORTEST ? length : SHORTEST);
		for (int64_t i = 0; i < d; i++)
			out->value[r * d + i] = factor[r] * row[i];
	}
	if (out->wanted)
		tape_keep(out);
	if (out->wanted)
		RECORD(tape, struct unit, unit_backward, .x = x, .out = out, .factor = factor, .scale = scale);
	return out;
}

/* --- scaled --- */

struct scaled {
	struct operation operation;
	struct array *x, *out;
	float factor;
};

static void scaled_backward(struct tape *tape, struct operation *operation)
{
	struct scaled *s = (struct scaled *)operation;
	const float *gradient = tape_gradient(tape, s->out);
	float *dx = started_gradient(tape, s->x);
	for (int64_t r = 0; r < s->out->rows; r++)
		vec_axpy(s->factor, gradient + r * s->out->columns, dx + r * s->x->stride, s->out->columns);
}

struct array *scaled(struct tape *tape, struct array *x, float factor)
{
	struct array *out = tape_array(tape, x->rows, x->columns, x->wanted);
	for (int64_t r = 0; r < out->rows; r++)
		for (int64_t i = 0; i < out->columns; i++)
			out->value[r * out->columns + i] = factor * x->value[r * x->stride + i];
	if (out->wanted)
		RECORD(tape, struct scaled, scaled_backward, .x = x, .out = out, .factor = factor);
	return out;
}

/* --- add --- */

struct add {
	struct operation operation;
	struct array *x, *y, *out;
};

static void add_backward(struct tape *tape, struct operation *operation)
{
	struct add *a = (struct add *)operation;
	const float *gradient = tape_gradient(tape, a->out);
	struct array *terms[] = {a->x, a->y};
	for (int i = 0; i < 2; i++) {
		if (!terms[i]->wanted)
			continue;
		float *to = started_gradient(tape, terms[i]);
		for (int64_t r = 0; r < a->out->rows; r++)
			vec_axpy(1, gradient + r * a->out->columns, to + r * terms[i]->stride, a->out->columns);
	}
}

struct array *add(struct tape *tape, struct array *x, struct array *y)
{
	struct array *out = tape_array(tape, x->rows, x->columns, x->wanted || y->wanted);
	for (int64_t r = 0; r < out->rows; r++) {
		float *row = out->value + r * out->columns;
		memcpy(row, x->value + r * x->stride, (size_t)out->columns * sizeof *row);
		vec_axpy(1, y->value + r * y->stride, row, out->columns);
	}
	if (out->wanted)
		RECORD(tape, struct add, add_backward, .x = x, .y = y, .out = out);
	return out;
}

/* --- beside --- */

struct beside {
	struct operation operation;
	struct array *part[2], *out;
};

static void beside_backward(struct tape *tape, struct operation *operation)
{
	struct beside *b = (struct beside *)operation;
	const float *gradient = tape_gradient(tape, b->out);
	for (int i = 0; i < 2; gradient += b->part[i]->columns, i++) {
		struct array *part = b->part[i];
		float *to = started_gradient(tape, part);
		for (int64_t r = 0; r < part->rows && to; r++)
			vec_axpy(1, gradient + r * b->out->columns, to + r * part->stride, part->columns);
	}
}

struct array *beside(struct tape *tape, struct array *x, struct array *y)
{
	struct array *out = tape_array(tape, x->rows, x->columns + y->columns, x->wanted || y->wanted);
	for (int64_t r = 0; r < out->rows; r++) {
		float *row = out->value + r * out->columns;
		memcpy(row, x->value + r * x->stride, (size_t)x->columns * sizeof *row);
		memcpy(row + x->columns, y->value + r * y->stride, (size_t)y->columns * sizeof *row);
	}
	if (out->wanted)
		RECORD(tape, struct beside, beside_backward, .part = {x, y}, .out = out);
	return out;
}

/* --- with_vectors --- */

struct with_vectors {
	struct operation operation;
	struct array *vectors, *out;
	int64_t place;
	const int64_t *indptr;
};

static void with_vectors_backward(struct tape *tape, struct operation *operation)
{
	struct with_vectors *w = (struct with_vectors *)operation;
	const float *gradient = tape_gradient(tape, w->out);
	float *to = started_gradient(tape, w->vectors);
	for (int64_t s = 0; s < w->vectors->rows; s++)
		vec_axpy(1, gradient + (w->indptr[s] - w->indptr[0] + w->place) * w->out->columns, to + s * w->vectors->stride,
			w->out->columns);
}

struct array *with_vectors(struct tape *tape, struct array *vectors, int64_t place, const float *table,
	const int32_t *id, const int64_t *indptr)
{
	int64_t d = vectors->columns, base = indptr[0];
	struct array *out = tape_array(tape, indptr[vectors->rows] - base, d, vectors->wanted);
	for (int64_t s = 0; s < vectors->rows; s++)
		for (int64_t t = indptr[s]; t < indptr[s + 1]; t++)
			memcpy(out->value + (t - base) * d,
				t == indptr[s] + place ? vectors->value + s * vectors->stride : table + id[t] * d,
				(size_t)d * sizeof *table);
	if (out->wanted)
		RECORD(tape, struct with_vectors, with_vectors_backward, .vectors = vectors, .out = out, .place = place,
			.indptr = indptr);
	return out;
}
