#include "model/item_vectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/blas.h"
#include "nn/vec.h"
#include "stream/progress.h"

float *token_vectors(const struct weights *weights, const char *path, int64_t *vocabulary, int64_t *width)
{
	const char *name = weights_token_vectors(weights);
	int n_dims;
	int64_t shape[WEIGHTS_MAX_DIMS];
	if (!name || !weights_shape(weights, name, &n_dims, shape))
		die("%s: no token vectors, of two axes, in it", path);
	*vocabulary = shape[0];
	*width = shape[1];
	float *table = xreallocarray(NULL, (size_t)(shape[0] * shape[1]) + 1, sizeof *table);
	weights_read(weights, name, table);
	return table;
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

/* --- hidden states --- */

/* Where batches of whole items begin, of about `at_once` tokens each, and the end; to be freed. */
static int64_t *batches_of(const struct item_tokens *tokens, int64_t at_once, int64_t *n_batches)
{
	int64_t *first = xreallocarray(NULL, (size_t)tokens->rows + 1, sizeof *first);
	*n_batches = 0;
	for (int64_t item = 0, end; item < tokens->rows; item = end) {
		first[(*n_batches)++] = item;
		end = sequences_at_once(tokens->indptr, item, tokens->rows, at_once);
	}
	first[*n_batches] = tokens->rows;
	return first;
}

/* The means of a batch of items. */
static void pool_batch(struct tape *tape, const void *context, const struct item_tokens *tokens, int64_t from,
	int64_t to, float *vectors)
{
	const struct model *model = context;
	const struct histories histories = {.rows = to - from, .indptr = tokens->indptr + from, .item = tokens->ids};
	int64_t base = tokens->indptr[from], width = model->width;
	memset(vectors + from * width, 0, (size_t)((to - from) * width) * sizeof *vectors);
	if (tokens->indptr[to] == base)
		return;
	tape_begin(tape, NULL, 0, 0);
	const struct array *states = model_hidden(tape, model, &histories);
	for (int64_t item = from; item < to; item++) {
		int64_t first = tokens->indptr[item], end = tokens->indptr[item + 1];
		for (int64_t i = first; i < end; i++)
			vec_axpy(1 / (float)(end - first), states->value + (i - base) * states->stride, vectors + item * width,
				width);
	}
}

void vectors_of_batches(const struct item_tokens *tokens, int64_t at_once, compute_vectors *compute, const void *model,
	float *vectors, int threads)
{
	int64_t n_batches, done = 0, *first = batches_of(tokens, at_once, &n_batches);
	struct progress progress;
	progress_start(&progress, "items", tokens->rows);
#pragma omp parallel num_threads(threads)
	{
		struct tape tape = {0};
#pragma omp for schedule(dynamic)
		for (int64_t batch = 0; batch < n_batches; batch++) {
			compute(&tape, model, tokens, first[batch], first[batch + 1], vectors);
#pragma omp critical
			progress_at(&progress, done += first[batch + 1] - first[batch], NULL);
		}
		tape_free(&tape);
	}
	progress_end(&progress);
	free(first);
}

void mean_hidden_states(const struct model *model, const struct item_tokens *tokens, float *vectors, int threads)
{
	vectors_of_batches(tokens, model->architecture->tokens_at_once, pool_batch, model, vectors, threads);
}

/* --- standardisation --- */

#define COLUMNS_AT_ONCE 16 /* by a thread: a cache line of floats */
#define ROWS_AT_ONCE 256
#define ROUNDING 1e-6 /* of a column's mean, or of the largest deviation: below, a column is constant */
#define FLAT 1e-5     /* of the largest eigenvalue: below, a direction is rounding */

/* Vectors, and which of them are not zero. */
struct known {
	float *vectors;
	int64_t items, width, count;
	bool *is_known;
	double *mean, *factor; /* of each column: subtracted, and multiplied with then */
};

/* Of a few columns from `first` on: mean and deviation, which goes where the factor will be. */
static void measure_columns(const struct known *known, int64_t first, int64_t columns)
{
	double mean[COLUMNS_AT_ONCE] = {0}, squares[COLUMNS_AT_ONCE] = {0};
	const float *vectors = known->vectors + first;
	for (int64_t item = 0; item < known->items; item++)
		for (int64_t i = 0; i < columns && known->is_known[item]; i++)
			mean[i] += (double)vectors[item * known->width + i];
	for (int64_t i = 0; i < columns; i++)
		mean[i] /= (double)known->count;
	for (int64_t item = 0; item < known->items; item++)
		for (int64_t i = 0; i < columns && known->is_known[item]; i++) {
			double distance = (double)vectors[item * known->width + i] - mean[i];
			squares[i] += distance * distance;
		}
	for (int64_t i = 0; i < columns; i++) {
		known->mean[first + i] = mean[i];
		known->factor[first + i] = sqrt(squares[i] / (double)known->count);
	}
}

/* Some encoders never use a few dimensions, whose values are rounding: beside `largest`, their deviation is nothing. */
static void standardise_columns(const struct known *known, int64_t first, int64_t columns, double largest)
{
	float *vectors = known->vectors + first;
	for (int64_t i = 0; i < columns; i++) {
		const double mean = known->mean[first + i], deviation = known->factor[first + i];
		bool is_constant = deviation <= ROUNDING * fmax(fabs(mean), largest);
		known->factor[first + i] = is_constant ? 0 : 1 / deviation;
		for (int64_t item = 0; item < known->items; item++) {
			float *value = &vectors[item * known->width + i];
			if (known->is_known[item])
				*value = is_constant ? 0 : (float)(((double)*value - mean) / deviation);
		}
	}
}

static int64_t columns_from(const struct known *known, int64_t first)
{
	return known->width - first < COLUMNS_AT_ONCE ? known->width - first : COLUMNS_AT_ONCE;
}

/* The columns' mean products, width x width; to be freed. */
static double *moment_of_known(const struct known *known)
{
	const int64_t width = known->width;
	double *moment = xcalloc((size_t)(width * width), sizeof *moment);
	gram(known->vectors, known->items, width, width, moment);
	for (int64_t i = 0; i < width * width; i++)
		moment[i] /= (double)known->count;
	return moment;
}

/* Adds the inverse root of the correlations of columns [first, end) alone. */
static void add_root_of_group(const double *moment, int64_t width, int64_t first, int64_t end, float *root)
{
	const int64_t n = end - first;
	double *part = xcalloc((size_t)(n * n) + 1, sizeof *part);
	float *of_part = xaligned((size_t)(n * n) + 1, sizeof *of_part);
	for (int64_t i = 0; i < n; i++)
		memcpy(part + i * n, moment + (first + i) * width + first, (size_t)n * sizeof *part);
	inverse_root(part, n, 0, FLAT, of_part);
	for (int64_t i = 0; i < n; i++)
		vec_axpy(1, of_part + i * n, root + (first + i) * width + first, n);
	free(part);
	free(of_part);
}

/* The inverse root of the columns' correlations, width x width, and those of groups of them; to be freed. */
static float *whitening_of_known(const struct known *known, int groups)
{
	const int64_t width = known->width;
	double *moment = moment_of_known(known);
	float *root = xcalloc((size_t)(width * width), sizeof *root);
	add_root_of_group(moment, width, 0, width, root);
	for (int group = 0; group < groups && groups > 1; group++)
		add_root_of_group(moment, width, group * width / groups, (group + 1) * width / groups, root);
	free(moment);
	return root;
}

/* Each row times a matrix, width x width, and `scale`. */
static void multiply_rows(float *vectors, int64_t items, int64_t width, const float *matrix, float scale, int threads)
{
#pragma omp parallel for num_threads(threads)
	for (int64_t from = 0; from < items; from += ROWS_AT_ONCE) {
		int64_t rows = items - from < ROWS_AT_ONCE ? items - from : ROWS_AT_ONCE;
		float *some = vectors + from * width, *before = thread_scratch(SCRATCH_LEFT, rows * width);
		memcpy(before, some, (size_t)(rows * width) * sizeof *before);
		blas_gemm(false, false, rows, width, width, scale, before, width, matrix, width, 0, some, width);
	}
}

/* With the columns' means and deviations; where none is known there is nothing to do. */
static struct known known_of(float *vectors, int64_t items, int64_t width, int threads)
{
	struct known known = {.vectors = vectors, .items = items, .width = width};
	known.is_known = xcalloc((size_t)items, sizeof *known.is_known);
	known.mean = xcalloc((size_t)width, sizeof *known.mean);
	known.factor = xcalloc((size_t)width, sizeof *known.factor);
	for (int64_t item = 0; item < items; item++)
		known.count += known.is_known[item] = vec_sum_of_squares(vectors + item * width, width) > 0;
	if (!known.count)
		return known;
#pragma omp parallel for num_threads(threads)
	for (int64_t from = 0; from < width; from += COLUMNS_AT_ONCE)
		measure_columns(&known, from, columns_from(&known, from));
	return known;
}

static struct known standardised(float *vectors, int64_t items, int64_t width, int threads)
{
	struct known known = known_of(vectors, items, width, threads);
	if (!known.count)
		return known;
	double largest = 0;
	for (int64_t i = 0; i < width; i++)
		largest = fmax(largest, known.factor[i]);
#pragma omp parallel for num_threads(threads)
	for (int64_t from = 0; from < width; from += COLUMNS_AT_ONCE)
		standardise_columns(&known, from, columns_from(&known, from), largest);
	return known;
}

static void known_free(struct known *known)
{
	free(known->is_known);
	free(known->mean);
	free(known->factor);
}

void standardise_vectors(float *vectors, int64_t items, int64_t width, int groups, int threads)
{
	struct known known = standardised(vectors, items, width, threads);
	if (groups && known.count) {
		float *root = whitening_of_known(&known, groups);
		multiply_rows(vectors, items, width, root, 1, threads);
		free(root);
	}
	known_free(&known);
}

void whiten_vectors(float *vectors, int64_t items, int64_t width, int threads, float *mean, float *matrix)
{
	struct known known = standardised(vectors, items, width, threads);
	if (known.count) {
		float *root = whitening_of_known(&known, 1);
		multiply_rows(vectors, items, width, root, 1, threads);
		for (int64_t i = 0; i < width; i++)
			for (int64_t j = 0; j < width; j++)
				matrix[i * width + j] = (float)(known.factor[i] * (double)root[i * width + j]);
		free(root);
	}
	for (int64_t i = 0; i < width; i++)
		mean[i] = (float)known.mean[i];
	known_free(&known);
}

/* --- principal axes --- */

/* By columns: the first `axes` eigenvectors of the covariances, each over the root of its value if `whiten`. */
static float *axes_of_known(const struct known *known, int64_t axes, bool whiten)
{
	const int64_t width = known->width;
	double *moment = moment_of_known(known), *values = xcalloc((size_t)width, sizeof *values);
	float *matrix = xcalloc((size_t)(width * width), sizeof *matrix);
	symmetric_eigen(moment, width, values);
	for (int64_t axis = 0; axis < axes; axis++) {
		const double *vector = moment + (width - 1 - axis) * width, value = values[width - 1 - axis];
		int64_t largest = 0;
		for (int64_t i = 1; i < width; i++)
			largest = fabs(vector[i]) > fabs(vector[largest]) ? i : largest;
		double factor = vector[largest] < 0 ? -1 : 1;
		if (whiten)
			factor = value > FLAT * values[width - 1] ? factor / sqrt(value) : 0;
		for (int64_t i = 0; i < width; i++)
			matrix[i * width + axis] = (float)(factor * vector[i]);
	}
	free(moment);
	free(values);
	return matrix;
}

void principal_axis_vectors(float *vectors, int64_t items, int64_t width, int64_t axes, bool whiten, int threads,
	float *mean, float *matrix)
{
	struct known known = known_of(vectors, items, width, threads);
	for (int64_t item = 0; item < items; item++)
		for (int64_t i = 0; i < width && known.is_known[item]; i++)
			vectors[item * width + i] = (float)((double)vectors[item * width + i] - known.mean[i]);
	if (known.count) {
		float *of_known = axes_of_known(&known, axes, whiten);
		multiply_rows(vectors, items, width, of_known, 1, threads);
		if (matrix)
			memcpy(matrix, of_known, (size_t)(width * width) * sizeof *matrix);
		free(of_known);
	}
	for (int64_t i = 0; i < width && mean; i++)
		mean[i] = (float)known.mean[i];
	known_free(&known);
}

void map_vectors(float *vectors, int64_t items, int64_t width, const float *mean, const float *matrix, float scale,
	int threads)
{
	for (int64_t item = 0; item < items; item++) {
		float *vector = vectors + item * width;
		const bool is_known = vec_sum_of_squares(vector, width) > 0;
		for (int64_t i = 0; i < width && is_known; i++)
			vector[i] = mean ? vector[i] - mean[i] : scale * vector[i];
	}
	if (matrix)
		multiply_rows(vectors, items, width, matrix, scale, threads);
}
