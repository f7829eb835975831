#include "model/item_vectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/vec.h"

float *token_vectors(const struct weights *weights, const char *path, int64_t *vocabulary, int64_t *width)
{
	static const char *const names[] = {"model.embed_tokens.weight", "transformer.wte.weight"};
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		int n_dims;
		int64_t shape[WEIGHTS_MAX_DIMS];
		if (!weights_shape(weights, names[i], &n_dims, shape) || n_dims != 2)
			continue;
		*vocabulary = shape[0];
		*width = shape[1];
		float *table = xreallocarray(NULL, (size_t)(shape[0] * shape[1]) + 1, sizeof *table);
		weights_read(weights, names[i], table);
		return table;
	}
	die("%s: no token vectors: %s or %s, of two axes, was expected", path, names[0], names[1]);
}

void mean_token_vectors(const float *table, int64_t width, const struct item_tokens *tokens, float *vectors,
	int threads)
{
#pragma omp parallel for schedule(dynamic, 64) num_threads(threads)
	for (int64_t item = 0; item < tokens->rows; item++) {
		int64_t first = tokens->indptr[item], end = tokens->indptr[item + 1];
		float *vector = vectors + item * width;
		memset(vector, 0, (size_t)width * sizeof *vector);
		for (int64_t i = first; i < end; i++)
			vec_axpy(1 / (float)(end - first), table + tokens->ids[i] * width, vector, width);
	}
}

/* --- standardisation --- */

#define COLUMNS_AT_ONCE 16 /* by a thread: a cache line of floats */

static void standardise_columns(float *vectors, int64_t items, int64_t width, int64_t columns, const bool *has_text)
{
	double mean[COLUMNS_AT_ONCE] = {0}, squares[COLUMNS_AT_ONCE] = {0};
	int64_t count = 0;
	for (int64_t item = 0; item < items; item++) {
		if (has_text && !has_text[item])
			continue;
		count++;
		for (int64_t i = 0; i < columns; i++)
			mean[i] += (double)vectors[item * width + i];
	}
	for (int64_t i = 0; i < columns; i++)
		mean[i] /= (double)count;
	for (int64_t item = 0; item < items; item++)
		for (int64_t i = 0; i < columns && (!has_text || has_text[item]); i++) {
			double distance = (double)vectors[item * width + i] - mean[i];
			squares[i] += distance * distance;
		}
	for (int64_t i = 0; i < columns; i++) {
		double deviation = sqrt(squares[i] / (double)count);
		bool is_constant = deviation <= 1e-6 * fabs(mean[i]); /* but for rounding */
		for (int64_t item = 0; item < items; item++) {
			float *value = &vectors[item * width + i];
			if (!has_text || has_text[item])
				*value = is_constant ? 0 : (float)(((double)*value - mean[i]) / deviation);
		}
	}
}

void standardise_vectors(float *vectors, int64_t items, int64_t width, const bool *has_text, int threads)
{
#pragma omp parallel for num_threads(threads)
	for (int64_t from = 0; from < width; from += COLUMNS_AT_ONCE) {
		int64_t columns = width - from < COLUMNS_AT_ONCE ? width - from : COLUMNS_AT_ONCE;
		standardise_columns(vectors + from, items, width, columns, has_text);
	}
}
