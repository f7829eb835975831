#include "nn/row_gradient.h"

#include <stdlib.h>
#include <string.h>

#include "nn/vec.h"
#include "stream/util.h"

void row_gradient_sum(struct row_gradient *gradient, int64_t rows)
{
	gradient->vector_of = xcalloc((size_t)rows, sizeof *gradient->vector_of);
}

void row_gradient_clear(struct row_gradient *gradient)
{
	for (int64_t i = 0; gradient->vector_of && i < gradient->n_terms; i++)
		gradient->vector_of[gradient->term[i].row] = 0;
	gradient->n_vectors = gradient->n_terms = 0;
}

void row_gradient_free(struct row_gradient *gradient)
{
	free(gradient->vector);
	free(gradient->term);
	free(gradient->vector_of);
}

/* An eighth more than there was, or what is needed: steps are of about the same size. */
static int64_t grown(int64_t capacity, int64_t needed)
{
	return capacity + capacity / 8 > needed ? capacity + capacity / 8 : needed;
}

/* Aligned, which takes large pages where it is large: vectors are read in the order of their rows. */
void row_gradient_expect(struct row_gradient *gradient, int64_t n)
{
	if (n <= gradient->vector_capacity)
		return;
	const int64_t capacity = grown(n, n), columns = gradient->columns;
	if (!gradient->n_vectors) {
		free(gradient->vector); /* rather than have both */
		gradient->vector = NULL;
	}
	float *vector = xaligned_room((size_t)capacity, (size_t)columns * sizeof *vector);
	if (gradient->n_vectors)
		memcpy(vector, gradient->vector, (size_t)(gradient->n_vectors * columns) * sizeof *vector);
	free(gradient->vector);
	gradient->vector = vector;
	gradient->vector_capacity = capacity;
}

int64_t row_gradient_vectors(struct row_gradient *gradient, int64_t n)
{
	const int64_t first = gradient->n_vectors;
	if (first + n > INT32_MAX)
		die("a step of more than %d vectors: make --batch-size smaller", INT32_MAX);
	row_gradient_expect(gradient, first + n);
	gradient->n_vectors += n;
	return first;
}

struct row_term *row_gradient_terms(struct row_gradient *gradient, int64_t n)
{
	const int64_t first = gradient->n_terms;
	gradient->n_terms += n;
	if (gradient->n_terms > gradient->term_capacity) {
		gradient->term_capacity = grown(gradient->term_capacity, gradient->n_terms);
		gradient->term = xreallocarray(gradient->term, (size_t)gradient->term_capacity, sizeof *gradient->term);
	}
	return gradient->term + first;
}

static float *sum_of(struct row_gradient *gradient, int32_t row)
{
	const int64_t columns = gradient->columns;
	if (gradient->vector_of[row])
		return gradient->vector + (gradient->vector_of[row] - 1) * columns;
	const int64_t vector = row_gradient_vectors(gradient, 1);
	*row_gradient_terms(gradient, 1) = (struct row_term){row, (int32_t)vector, 1};
	gradient->vector_of[row] = (int32_t)vector + 1;
	return memset(gradient->vector + vector * columns, 0, (size_t)columns * sizeof(float));
}

void row_gradient_add(struct row_gradient *gradient, const int32_t *row, const float *vectors, int64_t n,
	int64_t stride, float factor)
{
	for (int64_t i = 0; gradient->vector_of && i < n; i++)
		vec_axpy(factor, vectors + i * stride, sum_of(gradient, row[i]), gradient->columns);
	if (gradient->vector_of)
		return;
	const int64_t columns = gradient->columns, first = row_gradient_vectors(gradient, n);
	struct row_term *term = row_gradient_terms(gradient, n);
	for (int64_t i = 0; i < n; i++) {
		memcpy(gradient->vector + (first + i) * columns, vectors + i * stride,
			(size_t)columns * sizeof *gradient->vector);
		term[i] = (struct row_term){row[i], (int32_t)(first + i), factor};
	}
}
