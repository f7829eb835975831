/*
 * The gradient of a table of which a step touches few rows: no block, but a list of what is to be added to which row,
 * factor x vector. Its size is that of the step, whatever the table's. What of it belongs to one row is added in the
 * order it came in.
 */
#ifndef RECPIPE_ROW_GRADIENT_H
#define RECPIPE_ROW_GRADIENT_H

#include <stdint.h>

/* row += factor x vector */
struct row_term {
	int32_t row, vector;
	float factor;
};

struct row_gradient {
	int64_t offset, columns; /* of the parameter */
	float *vector;           /* n_vectors x columns */
	int64_t n_vectors, vector_capacity;
	struct row_term *term;
	int64_t n_terms, term_capacity;
	int32_t *vector_of; /* by row, of a list that has each at most once: 1 + its vector, or 0; else NULL */
};

/* From here on row_gradient_add() adds to what a row has already. */
void row_gradient_sum(struct row_gradient *gradient, int64_t rows);
void row_gradient_clear(struct row_gradient *gradient);
void row_gradient_free(struct row_gradient *gradient);
/* Memory for n vectors at least: once, where more and more would be taken. Pointers to earlier ones die. */
void row_gradient_expect(struct row_gradient *gradient, int64_t n);
/* Room for n more vectors, uninitialised: returns the place of the first. Pointers to earlier ones die. */
int64_t row_gradient_vectors(struct row_gradient *gradient, int64_t n);
/* n more terms, to be filled in. Pointers to earlier ones die. */
struct row_term *row_gradient_terms(struct row_gradient *gradient, int64_t n);
/* To row row[i] factor x vector i of n (columns of them, stride floats apart). */
void row_gradient_add(struct row_gradient *gradient, const int32_t *row, const float *vectors, int64_t n,
	int64_t stride, float factor);

#endif
