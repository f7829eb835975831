#include "nn/whiten.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/blas.h"
#include "nn/vec.h"
#include "stream/util.h"

#define REFRESH 4 /* steps between two roots of C, once it changes slowly */

struct whitening whitening_new(int64_t width, const struct whitening_options *options)
{
	size_t square = (size_t)(width * width);
	return (struct whitening){ .options = *options, .width = width, .moment = xcalloc(square, sizeof(double)),
		.root = xcalloc(square, sizeof(float)) };
}

void whitening_free(struct whitening *whitening)
{
	free(whitening->moment);
	free(whitening->root);
	free(whitening->rows);
	*whitening = (struct whitening){ 0 };
}

static void make_room(struct whitening *whitening, int64_t n)
{
	if (n <= whitening->room)
		return;
	free(whitening->rows);
	whitening->rows = xaligned((size_t)(4 * n * whitening->width), sizeof *whitening->rows);
	whitening->room = n;
}

/* C = memory C + (1 - memory) d mean u u^T. False where a gradient is not finite. */
static bool observe(struct whitening *whitening, const struct whitened_row row[], int64_t n)
{
	int64_t d = whitening->width;
	double memory = whitening->options.memory, share = sqrt((1 - memory) * (double)d / (double)n);
	for (int64_t i = 0; i < d * d; i++)
		whitening->moment[i] *= memory;
	for (int64_t r = 0; r < n; r++) {
		double norm = sqrt(vec_sum_of_squares(row[r].gradient, d));
		if (!isfinite(norm))
			return false;
		float factor = norm > 0 ? (float)(share / norm) : 0, *unit = whitening->rows + r * d;
		for (int64_t i = 0; i < d; i++)
			unit[i] = factor * row[r].gradient[i];
	}
	gram(whitening->rows, n, d, d, whitening->moment);
	whitening->taken++;
	return true;
}

/* P = U (values + ridge)^(-1/2) U^T */
static void take_root(struct whitening *whitening)
{
	int64_t d = whitening->width;
	double *vectors = xreallocarray(NULL, (size_t)(d * d), sizeof *vectors);
	double *values = xreallocarray(NULL, (size_t)d, sizeof *values);
	float *left = xaligned((size_t)(d * d), sizeof *left), *right = xaligned((size_t)(d * d), sizeof *right);
	double correction = 1 - pow(whitening->options.memory, (double)whitening->taken);
	for (int64_t i = 0; i < d * d; i++)
		vectors[i] = whitening->moment[i] / correction;
	symmetric_eigen(vectors, d, values);
	for (int64_t k = 0; k < d; k++) {
		double factor = 1 / sqrt(fmax(values[k], 0) + whitening->options.ridge);
		for (int64_t i = 0; i < d; i++) {
			left[k * d + i] = (float)(factor * vectors[k * d + i]);
			right[k * d + i] = (float)vectors[k * d + i];
		}
	}
	gemm(true, false, d, d, d, 1, left, d, right, d, 0, whitening->root, d);
	free(vectors);
	free(values);
	free(left);
	free(right);
}

static bool move(const struct whitening *whitening, const struct whitened_row *row, const float *gradient,
	const float *direction)
{
	int64_t d = whitening->width;
	double momentum = whitening->options.momentum, magnitude = 0;
	*row->scale = (float)(momentum * (double)*row->scale + (1 - momentum) * vec_sum_of_squares(gradient, d) / (double)d);
	double correction = 1 - pow(momentum, (double)row->step), scale = sqrt((double)*row->scale / correction);
	double size = sqrt(vec_sum_of_squares(row->vector, d) / (double)d);
	if (scale > 0)
		vec_axpy((float)(-row->rate * size / (correction * scale)), direction, row->vector, d);
	for (int64_t i = 0; i < d; i++)
		magnitude += fabs((double)row->vector[i]);
	return isfinite(magnitude);
}

bool whitening_step(struct whitening *whitening, const struct whitened_row row[], int64_t n)
{
	int64_t d = whitening->width;
	size_t bytes = (size_t)d * sizeof(float);
	float momentum = (float)whitening->options.momentum;
	bool finite = true;
	make_room(whitening, n);
	if (!n)
		return true;
	if (!observe(whitening, row, n))
		return false;
	if (whitening->taken < REFRESH || whitening->taken % REFRESH == 0)
		take_root(whitening);
	float *gradients = whitening->rows, *momenta = gradients + n * d, *out = momenta + n * d;
	for (int64_t r = 0; r < n; r++) {
		for (int64_t i = 0; i < d; i++)
			row[r].momentum[i] = momentum * row[r].momentum[i] + (1 - momentum) * row[r].gradient[i];
		memcpy(gradients + r * d, row[r].gradient, bytes);
		memcpy(momenta + r * d, row[r].momentum, bytes);
	}
	gemm(false, false, 2 * n, d, d, 1, gradients, d, whitening->root, d, 0, out, d);
	for (int64_t r = 0; r < n; r++)
		finite &= move(whitening, &row[r], out + r * d, out + (n + r) * d);
	return finite;
}
