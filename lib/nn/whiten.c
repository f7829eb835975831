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

/* C = memory C + (1 - memory) d mean u u^T. Returns -1, or a row whose gradient is not finite. */
static int64_t observe(struct whitening *whitening, const struct whitened_row row[], int64_t n)
{
	int64_t d = whitening->width;
	double memory = whitening->options.memory, share = sqrt((1 - memory) * (double)d / (double)n);
	for (int64_t i = 0; i < d * d; i++)
		whitening->moment[i] *= memory;
	for (int64_t r = 0; r < n; r++) {
		double norm = sqrt(vec_sum_of_squares(row[r].gradient, d));
		if (!isfinite(norm))
			return r;
		float factor = norm > 0 ? (float)(share / norm) : 0, *unit = whitening->rows + r * d;
		for (int64_t i = 0; i < d; i++)
			unit[i] = factor * row[r].gradient[i];
	}
	gram(whitening->rows, n, d, d, whitening->moment);
	whitening->taken++;
	return -1;
}

static void take_root(struct whitening *whitening)
{
	int64_t n = whitening->width * whitening->width;
	double *moment = xreallocarray(NULL, (size_t)n, sizeof *moment);
	double correction = 1 - pow(whitening->options.memory, (double)whitening->taken);
	for (int64_t i = 0; i < n; i++)
		moment[i] = whitening->moment[i] / correction;
	inverse_root(moment, whitening->width, whitening->options.ridge, 0, whitening->root);
	free(moment);
}

static bool move(const struct whitening *whitening, const struct whitened_row *row, const float *gradient,
	const float *direction)
{
	int64_t d = whitening->width;
	double momentum = whitening->options.momentum;
	*row->scale = (float)(momentum * (double)*row->scale + (1 - momentum) * vec_sum_of_squares(gradient, d) / (double)d);
	double correction = 1 - pow(momentum, (double)row->step), scale = sqrt((double)*row->scale / correction);
	double size = sqrt(vec_sum_of_squares(row->vector, d) / (double)d);
	if (scale > 0)
		vec_axpy((float)(-row->rate * size / (correction * scale)), direction, row->vector, d);
	return isfinite(vec_sum_of_squares(row->vector, d));
}

int64_t whitening_step(struct whitening *whitening, const struct whitened_row row[], int64_t n)
{
	int64_t d = whitening->width;
	size_t bytes = (size_t)d * sizeof(float);
	float momentum = (float)whitening->options.momentum;
	if (!n)
		return -1;
	make_room(whitening, n);
	int64_t bad = observe(whitening, row, n);
	if (bad >= 0)
		return bad;
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
		if (!move(whitening, &row[r], out + r * d, out + (n + r) * d))
			bad = r;
	return bad;
}
