/*
 * Sparse matrices by rows: words of items, and what follows or resembles what.
 */
#ifndef RECPIPE_SPARSE_H
#define RECPIPE_SPARSE_H

#include "stream/bag_out.h"

/* Row r is at [indptr[r], indptr[r + 1]). All NULL: there is none yet. */
struct sparse {
	int64_t rows, columns;
	int64_t *indptr; /* rows + 1, from 0 */
	int32_t *column;
	float *value;
};
/* With rows of rising columns, in memory of its own. */
struct sparse sparse_transpose(const struct sparse *of);
void sparse_free(struct sparse *sparse);

/* A matrix of items by items as members of a group: NAME.indptr.npy, NAME.item.npy and NAME.weight.npy. */
struct sparse_members {
	const char *name;
	size_t offset;     /* of the struct sparse, in the state of the model that keeps it */
	float least, most; /* of a weight that is read */
};
void sparse_write(struct bag_out *out, const char *name, const struct sparse *sparse);
/*
 * Takes one of these of a matrix whose rows and columns are set, in the order they were written in; false: it is none
 * of them. Dies where it does not fit the matrix.
 */
bool sparse_take(struct sparse *sparse, const struct sparse_members *members, const struct member *member) MUST_USE;

#endif
