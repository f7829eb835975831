#include "model/interactions.h"

#include <stdlib.h>

static int by_item(const void *a, const void *b)
{
	const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return (x > y) - (x < y);
}

struct sparse interactions_of(const struct histories *histories, int64_t n_items)
{
	const int64_t events = histories->indptr[histories->rows] - histories->indptr[0];
	struct sparse users = {.rows = histories->rows, .columns = n_items};
	users.indptr = xcalloc((size_t)users.rows + 1, sizeof *users.indptr);
	users.column = xreallocarray(NULL, (size_t)events + 1, sizeof *users.column);
	users.value = xreallocarray(NULL, (size_t)events + 1, sizeof *users.value);
	for (int64_t row = 0; row < users.rows; row++) {
		int64_t n = 0, kept = 0;
		int32_t *item = users.column + users.indptr[row];
		for (int64_t i = histories->indptr[row]; i < histories->indptr[row + 1]; i++)
			item[n++] = histories->item[i];
		if (n)
			qsort(item, (size_t)n, sizeof *item, by_item);
		for (int64_t i = 0; i < n; i++)
			if (!kept || item[kept - 1] != item[i])
				item[kept++] = item[i];
		users.indptr[row + 1] = users.indptr[row] + kept;
	}
	for (int64_t i = 0; i < users.indptr[users.rows]; i++)
		users.value[i] = 1;
	return users;
}
