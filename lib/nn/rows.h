/*
 * Operations on whole rows: looked up in several tables at once, chosen, dropped, brought to unit length.
 */
#ifndef RECPIPE_ROWS_H
#define RECPIPE_ROWS_H

#include "nn/tape.h"

/* Rows id[0..n) of a table. Ids are checked by the caller and borrowed until backward. */
struct lookup {
	struct array *table;
	const int32_t *id;
	int32_t padding; /* the row that gets no gradient; -1: all do */
};
/* The sum of what is looked up: (n, d). Tables have the same number of columns. */
struct array *embedding_sum(struct tape *tape, const struct lookup lookups[], int count, int64_t n);

/* Rows row[0..n) of x, in any order, each at most once: (n, d). Borrowed until backward. */
struct array *chosen_rows(struct tape *tape, struct array *x, const int64_t *row, int64_t n);

/*
 * Row s: the sum of weight[t] x row t over the rows of sequence s, [indptr[s] - indptr[0], indptr[s + 1] - indptr[0]):
 * (sequences, d). Borrowed until backward.
 */
struct array *weighted_sums(struct tape *tape, struct array *x, const float *weight, const int64_t *indptr,
	int64_t sequences);

/*
 * x + factor x the mean of the rows of its sequence up to it, of which each counts `decay` times as much as the next
 * newer one: (n, d). indptr as above.
 */
struct array *with_history_mean(struct tape *tape, struct array *x, float decay, float factor, const int64_t *indptr,
	int64_t sequences);

/* dropout(x) */
struct array *dropped(struct tape *tape, struct array *x, float dropout);

/* scale x each row / its length; rows shorter than 1e-8 are divided by that. */
struct array *unit_rows(struct tape *tape, struct array *x, float scale);

/* factor x */
struct array *scaled(struct tape *tape, struct array *x, float factor);

/* Each row of x, then that of y: (n, columns of x + those of y). */
struct array *beside(struct tape *tape, struct array *x, struct array *y);

/* x + y, of one shape. */
struct array *add(struct tape *tape, struct array *x, struct array *y);

/*
 * Sequences of which token `place` is a vector of its own, row s of `vectors`, and whose others are rows of `table`,
 * which is as wide and gets no gradient: token t of [indptr[s], indptr[s + 1]) is table[id[t]]. (tokens, d).
 */
struct array *with_vectors(struct tape *tape, struct array *vectors, int64_t place, const float *table,
	const int32_t *id, const int64_t *indptr);

#endif
