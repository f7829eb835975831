#include "stream/ragged.h"

#include <stdlib.h>
#include <string.h>

int64_t ragged_count(const struct ragged *ragged)
{
	return ragged->rows ? ragged->indptr[ragged->rows] : 0;
}

static void make_room(struct ragged *ragged, int64_t rows, int64_t entries)
{
	if (!ragged->indptr || ragged->rows + rows > ragged->row_room) {
		ragged->row_room = (ragged->row_room > rows ? 2 * ragged->row_room : ragged->rows + rows) + 16;
		ragged->indptr = xreallocarray(ragged->indptr, (size_t)ragged->row_room + 1, sizeof *ragged->indptr);
		ragged->indptr[0] = 0;
	}
	const int64_t count = ragged_count(ragged);
	if (ragged->room && count + entries <= ragged->room)
		return;
	ragged->room = (ragged->room > entries ? 2 * ragged->room : count + entries) + 16;
	for (int i = 0; i < ragged->n_fields; i++)
		ragged->field[i] = xreallocarray(ragged->field[i], (size_t)ragged->room, dtype_size(ragged->dtype[i]));
}

void ragged_clear(struct ragged *ragged)
{
	ragged->rows = 0;
	make_room(ragged, 0, 0);
}

int64_t ragged_add(struct ragged *ragged, int64_t length)
{
	make_room(ragged, 1, length);
	const int64_t at = ragged->indptr[ragged->rows];
	ragged->indptr[++ragged->rows] = at + length;
	return at;
}

static void copy(struct ragged *ragged, int64_t at, int64_t count, const void *const source[])
{
	for (int i = 0; i < ragged->n_fields && count; i++) {
		const size_t size = dtype_size(ragged->dtype[i]);
		memcpy((char *)ragged->field[i] + (size_t)at * size, source[i], (size_t)count * size);
	}
}

void ragged_append(struct ragged *ragged, int64_t length, const void *const source[])
{
	copy(ragged, ragged_add(ragged, length), length, source);
}

void ragged_append_row(struct ragged *ragged, const struct ragged *from, int64_t row)
{
	const void *source[RAGGED_FIELDS];
	for (int i = 0; i < from->n_fields; i++)
		source[i] = (const char *)from->field[i] + (size_t)from->indptr[row] * dtype_size(from->dtype[i]);
	ragged_append(ragged, from->indptr[row + 1] - from->indptr[row], source);
}

void ragged_append_rows(struct ragged *ragged, int64_t rows, const int64_t indptr[], const void *const source[])
{
	const int64_t count = indptr[rows] - indptr[0];
	make_room(ragged, rows, count);
	const int64_t at = ragged_count(ragged), base = at - indptr[0];
	copy(ragged, at, count, source);
	for (int64_t row = 1; row <= rows; row++)
		ragged->indptr[ragged->rows + row] = indptr[row] + base;
	ragged->rows += rows;
}

void ragged_shorten(struct ragged *ragged, int64_t length)
{
	ragged->indptr[ragged->rows] = ragged->indptr[ragged->rows - 1] + length;
}

void ragged_free(struct ragged *ragged)
{
	free(ragged->indptr);
	for (int i = 0; i < ragged->n_fields; i++) {
		free(ragged->field[i]);
		ragged->field[i] = NULL;
	}
	ragged->indptr = NULL;
	ragged->rows = ragged->row_room = ragged->room = 0;
}
