#include "model/sparse.h"

#include <stdlib.h>
#include <string.h>

struct sparse sparse_transpose(const struct sparse *of)
{
	int64_t count = of->indptr[of->rows];
	int64_t *indptr = xcalloc((size_t)of->columns + 2, sizeof *indptr);
	int32_t *column = xreallocarray(NULL, (size_t)count + 1, sizeof *column);
	float *value = xreallocarray(NULL, (size_t)count + 1, sizeof *value);
	for (int64_t i = 0; i < count; i++)
		indptr[of->column[i] + 2]++;
	for (int64_t row = 1; row <= of->columns; row++)
		indptr[row + 1] += indptr[row];
	for (int64_t row = 0; row < of->rows; row++)
		for (int64_t i = of->indptr[row]; i < of->indptr[row + 1]; i++) {
			int64_t at = indptr[of->column[i] + 1]++;
			column[at] = (int32_t)row;
			value[at] = of->value[i];
		}
	return (struct sparse){of->columns, of->rows, indptr, column, value};
}

void sparse_free(struct sparse *sparse)
{
	free(sparse->indptr);
	free(sparse->column);
	free(sparse->value);
	*sparse = (struct sparse){0};
}

/* --- members of a group --- */

static void write_vector(struct bag_out *out, const char *name, const char *part, enum dtype dtype, int64_t n,
	const void *data)
{
	char *member = xasprintf("%s.%s.npy", name, part);
	const struct tensor tensor = tensor_1d(dtype, n, data);
	bag_add_tensor(out, member, &tensor);
	free(member);
}

void sparse_write(struct bag_out *out, const char *name, const struct sparse *sparse)
{
	const int64_t count = sparse->indptr[sparse->rows];
	write_vector(out, name, "indptr", I8, sparse->rows + 1, sparse->indptr);
	write_vector(out, name, "item", I4, count, sparse->column);
	write_vector(out, name, "weight", F4, count, sparse->value);
}

/* One axis of `expected` entries, as memory of our own. */
static void *take_vector(const struct member *member, enum dtype dtype, int64_t expected)
{
	struct tensor tensor;
	npy_parse(member->bytes, member->size, &tensor, member->where);
	if (tensor.n_dims != 1 || tensor.shape[0] != expected) {
		char text[128];
		die("%s: %s, one axis of %lld was expected", member->where, tensor_describe(&tensor, text),
			(long long)expected);
	}
	return tensor_as(&tensor, dtype, member->where);
}

static void take_indptr(struct sparse *sparse, const struct member *member)
{
	sparse->indptr = take_vector(member, I8, sparse->rows + 1);
	for (int64_t row = 0; row < sparse->rows; row++)
		if (sparse->indptr[0] || sparse->indptr[row + 1] < sparse->indptr[row])
			die("%s: row %lld: does not rise from 0", member->where, (long long)row);
}

static void take_columns(struct sparse *sparse, const struct member *member)
{
	const int64_t count = sparse->indptr[sparse->rows];
	sparse->column = take_vector(member, I4, count);
	for (int64_t i = 0; i < count; i++)
		if (sparse->column[i] < 0 || sparse->column[i] >= sparse->columns)
			die("%s: row %lld: item %d, less than %lld was expected", member->where, (long long)i, sparse->column[i],
				(long long)sparse->columns);
}

static void take_values(struct sparse *sparse, const struct sparse_members *members, const struct member *member)
{
	const int64_t count = sparse->indptr[sparse->rows];
	sparse->value = take_vector(member, F4, count);
	for (int64_t i = 0; i < count; i++)
		if (!(sparse->value[i] >= members->least && sparse->value[i] <= members->most))
			die("%s: row %lld: %g, a weight from %g to %g was expected", member->where, (long long)i,
				(double)sparse->value[i], (double)members->least, (double)members->most);
}

bool sparse_take(struct sparse *sparse, const struct sparse_members *members, const struct member *member)
{
	const size_t length = strlen(members->name);
	if (strncmp(member->name, members->name, length) != 0)
		return false;
	const char *part = member->name + length;
	if (!strcmp(part, ".indptr.npy") && !sparse->indptr)
		take_indptr(sparse, member);
	else if (!strcmp(part, ".item.npy") && sparse->indptr && !sparse->column)
		take_columns(sparse, member);
	else if (!strcmp(part, ".weight.npy") && sparse->column && !sparse->value)
		take_values(sparse, members, member);
	else
		return false;
	return true;
}
