#include "nn/loss.h"

#include <math.h>
#include <string.h>

#include "nn/blas.h"
#include "nn/vec.h"

/* The rows of array named by `row`, end to end. */
static float *gather(struct tape *tape, const struct array *array, const int32_t *row, int64_t n)
{
	float *rows = arena_take(&tape->arena, n, array->columns, sizeof *rows);
	for (int64_t i = 0; i < n; i++)
		memcpy(rows + i * array->columns, array->value + row[i] * array->stride,
			(size_t)array->columns * sizeof *rows);
	return rows;
}

/* Positions with a target, and those targets. */
struct positions {
	int64_t n;
	int32_t *row, *target;
};

static struct positions positions_of(struct tape *tape, const int32_t *target, int64_t n)
{
	struct positions positions = { 0 };
	positions.row = arena_take(&tape->arena, n, 1, sizeof *positions.row);
	positions.target = arena_take(&tape->arena, n, 1, sizeof *positions.target);
	for (int64_t t = 0; t < n; t++)
		if (target[t] >= 0) {
			positions.row[positions.n] = (int32_t)t;
			positions.target[positions.n++] = target[t];
		}
	return positions;
}

static void start_gradient(struct array *array)
{
	if (array->gradient && !gradient_beta(array))
		for (int64_t r = 0; r < array->rows; r++)
			memset(array->gradient + r * array->stride, 0, (size_t)array->columns * sizeof *array->gradient);
}

/*
 * What remains of softmax cross-entropy once each of n rows of h has its unnormalised probabilities and their
 * sum: the products with E and h. Normalising is moved from the wide rows to the narrow ones.
 */
static void normalise_rows(float *rows, const float *factor, int64_t n, int64_t d)
{
	for (int64_t r = 0; r < n; r++)
		for (int64_t i = 0; i < d; i++)
			rows[r * d + i] *= factor[r];
}

/* Logits of about this size at a time, and at least so many rows. */
#define BLOCK_BYTES (2 << 20)
#define BLOCK_ROWS 32

double full_cross_entropy(struct tape *tape, struct array *hidden, struct array *items, const int32_t *target,
	float scale)
{
	int64_t d = items->columns, n_items = items->rows;
	struct positions positions = positions_of(tape, target, hidden->rows);
	start_gradient(hidden);
	start_gradient(items);
	int64_t block = BLOCK_BYTES / 4 / n_items / BLOCK_ROWS * BLOCK_ROWS;
	block = block < BLOCK_ROWS ? BLOCK_ROWS : block > 512 ? 512 : block;
	block = block < positions.n ? block : positions.n;
	float *logits = arena_take(&tape->arena, block, n_items, sizeof *logits);
	float *dh = arena_take(&tape->arena, block, d, sizeof *dh);
	float *factor = arena_take(&tape->arena, block, 1, sizeof *factor);
	float *h_all = gather(tape, hidden, positions.row, positions.n);
	double loss = 0;
	for (int64_t from = 0; from < positions.n; from += block) {
		int64_t n = positions.n - from < block ? positions.n - from : block;
		const int32_t *row = positions.row + from, *next = positions.target + from;
		float *h = h_all + from * d;
		gemm(false, true, n, n_items, d, 1, h, d, items->value, items->stride, 0, logits, n_items);
		for (int64_t r = 0; r < n; r++) {
			float max, of_target = logits[r * n_items + next[r]];
			float sum = vec_exp_sum(logits + r * n_items, n_items, &max);
			loss += log((double)sum) + (double)max - (double)of_target;
			factor[r] = scale / sum;
		}
		if (hidden->gradient) {
			gemm(false, false, n, d, n_items, 1, logits, n_items, items->value, items->stride, 0, dh, d);
			for (int64_t r = 0; r < n; r++) {
				float *gradient = hidden->gradient + row[r] * hidden->stride;
				vec_axpy(factor[r], dh + r * d, gradient, d);
				vec_axpy(-scale, items->value + next[r] * items->stride, gradient, d);
			}
		}
		if (items->gradient) {
			for (int64_t r = 0; r < n; r++)
				vec_axpy(-scale, h + r * d, items->gradient + next[r] * items->stride, d);
			normalise_rows(h, factor, n, d);
			gemm(true, false, n_items, d, n, 1, logits, n_items, h, d, 1, items->gradient, items->stride);
		}
	}
	return loss;
}

double sampled_cross_entropy(struct tape *tape, struct array *hidden, int64_t first, int64_t n, struct array *items,
	const int32_t *target, const int32_t *negative, int64_t n_negatives, float scale)
{
	int64_t d = items->columns;
	struct positions positions = positions_of(tape, target, n);
	start_gradient(hidden);
	start_gradient(items);
	for (int64_t i = 0; i < positions.n; i++)
		positions.row[i] += (int32_t)first;
	float *h = gather(tape, hidden, positions.row, positions.n);
	float *e = gather(tape, items, negative, n_negatives);
	float *logits = arena_take(&tape->arena, positions.n, n_negatives, sizeof *logits);
	float *dh = arena_take(&tape->arena, positions.n, d, sizeof *dh);
	float *factor = arena_take(&tape->arena, positions.n, 1, sizeof *factor);
	gemm(false, true, positions.n, n_negatives, d, 1, h, d, e, d, 0, logits, n_negatives);
	double loss = 0;
	for (int64_t r = 0; r < positions.n; r++) {
		const float *next = items->value + positions.target[r] * items->stride;
		float max, of_target = vec_dot(h + r * d, next, d);
		float sum = vec_exp_sum(logits + r * n_negatives, n_negatives, &max);
		/* the target joins the sum; where it is the largest, shift by it instead */
		double top = of_target > max ? of_target : max;
		double all = (double)sum * exp((double)max - top) + exp((double)of_target - top);
		loss += log(all) + top - (double)of_target;
		factor[r] = (float)(scale * exp((double)max - top) / all);
		float of_positive = (float)(scale * (exp((double)of_target - top) / all - 1));
		if (hidden->gradient)
			vec_axpy(of_positive, next, hidden->gradient + positions.row[r] * hidden->stride, d);
		if (items->gradient)
			vec_axpy(of_positive, h + r * d, items->gradient + positions.target[r] * items->stride, d);
	}
	if (hidden->gradient) {
		gemm(false, false, positions.n, d, n_negatives, 1, logits, n_negatives, e, d, 0, dh, d);
		for (int64_t r = 0; r < positions.n; r++)
			vec_axpy(factor[r], dh + r * d, hidden->gradient + positions.row[r] * hidden->stride, d);
	}
	if (items->gradient) {
		normalise_rows(h, factor, positions.n, d);
		gemm(true, false, n_negatives, d, positions.n, 1, logits, n_negatives, h, d, 0, e, d);
		for (int64_t j = 0; j < n_negatives; j++)
			vec_axpy(1, e + j * d, items->gradient + negative[j] * items->stride, d);
	}
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

/* Adds factor x the gradient of the score h . e to both. */
static void score_backward(struct array *hidden, int64_t row, struct array *items, int64_t item, double factor)
{
	if (hidden->gradient)
		vec_axpy((float)factor, items->value + item * items->stride, hidden->gradient + row * hidden->stride,
			items->columns);
	if (items->gradient)
		vec_axpy((float)factor, hidden->value + row * hidden->stride, items->gradient + item * items->stride,
			items->columns);
}

double binary_cross_entropy(struct tape *tape, struct array *hidden, struct array *items, const int32_t *target,
	const int32_t *negative, int64_t n_negatives, double beta, double weight, float scale)
{
	(void)tape;
	double loss = 0;
	start_gradient(hidden);
	start_gradient(items);
	for (int64_t t = 0; t < hidden->rows; t++) {
		if (target[t] < 0)
			continue;
		const float *h = hidden->value + t * hidden->stride;
		double score = vec_dot(h, items->value + target[t] * items->stride, items->columns);
		loss += weight * beta * softplus(-score);
		score_backward(hidden, t, items, target[t], -scale * weight * beta * sigmoid(-score));
		for (int64_t j = 0; j < n_negatives; j++) {
			int64_t item = negative[t * n_negatives + j];
			score = vec_dot(h, items->value + item * items->stride, items->columns);
			loss += weight * softplus(score);
			score_backward(hidden, t, items, item, scale * weight * sigmoid(score));
		}
	}
	return loss;
}

double gbce_beta(int64_t n_negatives, int64_t n_items, double t)
{
	double alpha = (double)n_negatives / (double)(n_items > 1 ? n_items - 1 : 1);
	return alpha * t - t + 1;
}
