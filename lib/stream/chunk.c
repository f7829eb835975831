#include "stream/chunk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- taking members --- */

bool chunk_parse_name(const char *name, int64_t *number, char field[FIELD_NAME_MAX + 1], bool *is_text)
{
	const size_t length = strlen(name), around = strlen("NNNNNN.") + strlen(".npy");
	if (strspn(name, "0123456789") != 6 || name[6] != '.' || length <= around || length - around > FIELD_NAME_MAX)
		return false;
	*is_text = !strcmp(name + length - 4, ".txt");
	if (!*is_text && strcmp(name + length - 4, ".npy"))
		return false;
	*number = atoi(name);
	snprintf(field, FIELD_NAME_MAX + 1, "%.*s", (int)(length - around), name + 7);
	return true;
}

static struct field *find_field(const struct chunk *chunk, const char *name)
{
	for (int i = 0; i < chunk->n_fields; i++)
		if (!strcmp(chunk->fields[i].name, name))
			return &chunk->fields[i];
	return NULL;
}

static struct field *new_field(struct chunk *chunk, const char *name, bool is_text, const char *where)
{
	if (chunk->n_fields == CHUNK_MAX_FIELDS)
		die("%s: more than %d fields in a chunk", where, CHUNK_MAX_FIELDS);
	if (find_field(chunk, name))
		die("%s: the field comes twice", where);
	if (chunk->n_fields == chunk->room) {
		chunk->room = 2 * chunk->room + 8;
		chunk->fields = xreallocarray(chunk->fields, (size_t)chunk->room, sizeof *chunk->fields);
	}
	struct field *field = &chunk->fields[chunk->n_fields++];
	*field = (struct field){.is_text = is_text};
	snprintf(field->name, sizeof field->name, "%s", name);
	return field;
}

/* Lines become NUL-terminated strings. */
static int64_t split_lines(char *text, size_t size, const char *where)
{
	if (memchr(text, 0, size))
		die("%s: a NUL byte, lines of text were expected", where);
	if (size && text[size - 1] != '\n')
		die("%s: the last line has no end", where);
	int64_t lines = 0;
	for (char *end = text; (end = memchr(end, '\n', (size_t)(text + size - end))); lines++)
		*end++ = '\0';
	return lines;
}

/* Behind another writer's header data may stand anywhere: they are moved to where they are aligned. */
static void align(struct field *field, size_t size, const char *where)
{
	const size_t offset = (size_t)((char *)field->tensor.data - field->memory), aligned = (offset + 63) / 64 * 64;
	if (offset == aligned)
		return;
	char *moved = aligned_alloc(64, (size - offset + aligned + 64) / 64 * 64);
	if (!moved)
		die("%s: out of memory", where);
	memcpy(moved + aligned, field->memory + offset, size - offset);
	free(field->memory);
	field->memory = moved;
	field->tensor.data = moved + aligned;
}

void chunk_add(struct chunk *chunk, const char *name, bool is_text, char *bytes, size_t size, const char *where)
{
	struct field *field = new_field(chunk, name, is_text, where);
	field->memory = bytes;
	free(chunk->where);
	chunk->where = xstrdup(where);
	if (is_text) {
		field->text = bytes;
		field->tensor.n_dims = 1;
		field->tensor.shape[0] = split_lines(bytes, size, where);
		return;
	}
	npy_parse(bytes, size, &field->tensor, where);
	if (field->tensor.n_dims == 0)
		die("%s: a scalar, rows were expected", where);
	align(field, size, where);
}

/* The ragged axis starts at 0, never falls, and its end is the length of the ragged fields. */
static int64_t check_indptr(const struct field *indptr, const char *where)
{
	if (indptr->is_text || indptr->tensor.n_dims != 1 || indptr->tensor.dtype != I8 || indptr->tensor.shape[0] < 1)
		die("%s: indptr: one axis of <i8 with rows + 1 entries was expected", where);
	const int64_t *at = indptr->tensor.data;
	int64_t rows = indptr->tensor.shape[0] - 1;
	if (at[0])
		die("%s: indptr: starts at %lld, 0 was expected", where, (long long)at[0]);
	for (int64_t row = 0; row < rows; row++)
		if (at[row + 1] < at[row])
			die("%s: indptr, row %lld: falls from %lld to %lld", where, (long long)row, (long long)at[row],
				(long long)at[row + 1]);
	return at[rows];
}

void chunk_check(struct chunk *chunk)
{
	const struct field *indptr = find_field(chunk, "indptr");
	int64_t ragged = indptr ? check_indptr(indptr, chunk->where) : -1;
	chunk->rows = indptr ? indptr->tensor.shape[0] - 1 : chunk->fields[0].tensor.shape[0];
	for (int i = 0; i < chunk->n_fields; i++) {
		const struct field *field = &chunk->fields[i];
		int64_t length = field->tensor.shape[0];
		if (field != indptr && length != chunk->rows && length != ragged)
			die("%s: %s has %s, %lld%s were expected", chunk->where, field->name, counted(length, "rows"),
				(long long)chunk->rows, indptr ? " (or as indptr says)" : "");
	}
}

char *chunk_describe(const struct chunk *chunk)
{
	struct buffer list = {0};
	for (int i = 0; i < chunk->n_fields; i++) {
		const struct field *field = &chunk->fields[i];
		char text[128];
		struct tensor row = field->tensor;
		row.shape[0] = 0;
		char *entry = xasprintf("%s%s %s", i ? ", " : "", field->name,
			field->is_text ? "text" : tensor_describe(&row, text));
		buffer_append(&list, entry, strlen(entry));
		free(entry);
	}
	buffer_append(&list, "", 1);
	return list.data;
}

void chunk_clear(struct chunk *chunk)
{
	for (int i = 0; i < chunk->n_fields; i++)
		free(chunk->fields[i].memory);
	chunk->n_fields = 0;
}

void chunk_free(struct chunk *chunk)
{
	chunk_clear(chunk);
	free(chunk->fields);
	free(chunk->where);
	*chunk = (struct chunk){0};
}

/* --- columns --- */

bool chunk_has(const struct chunk *chunk, const struct column *column)
{
	return find_field(chunk, column->name) != NULL;
}

static struct field *required(const struct chunk *chunk, const struct column *column)
{
	struct field *field = find_field(chunk, column->name);
	if (!field)
		die("%s: the chunk has no field \"%s\"", chunk->where, column->name);
	if (field->is_text != (column->shape == COLUMN_TEXT))
		die("%s: %s: %s was expected", chunk->where, column->name, field->is_text ? "an array" : "text");
	return field;
}

const char *chunk_text(const struct chunk *chunk, const struct column *column)
{
	const struct field *field = required(chunk, column);
	if (field->tensor.shape[0] != chunk->rows)
		die("%s: %s has %s, %lld were expected", chunk->where, column->name, counted(field->tensor.shape[0], "lines"),
			(long long)chunk->rows);
	return field->text;
}

static int64_t ragged_length(const struct chunk *chunk)
{
	const struct field *indptr = find_field(chunk, "indptr");
	if (!indptr)
		die("%s: the chunk has no field \"indptr\"", chunk->where);
	return ((const int64_t *)indptr->tensor.data)[chunk->rows];
}

/* Dies unless the tensor has the shape that the column is to have. */
static void check_shape(const struct chunk *chunk, const struct column *column, const struct tensor *tensor)
{
	int64_t length = column->shape == COLUMN_RAGGED ? ragged_length(chunk) :
		column->shape == COLUMN_INDPTR              ? chunk->rows + 1 :
													  chunk->rows;
	bool is_wide = column->shape == COLUMN_WIDE;
	char text[128];
	if (is_wide && tensor->n_dims != 2)
		die("%s: %s: %s, two axes were expected", chunk->where, column->name, tensor_describe(tensor, text));
	if (is_wide && (tensor->shape[0] != length || (column->width && tensor->shape[1] != column->width)))
		die("%s: %s: %s, (%lld, %lld) was expected", chunk->where, column->name, tensor_describe(tensor, text),
			(long long)length, (long long)column->width);
	if (!is_wide && (tensor->n_dims != 1 || tensor->shape[0] != length))
		die("%s: %s: %s, (%lld,) was expected", chunk->where, column->name, tensor_describe(tensor, text),
			(long long)length);
}

/* The field's numbers become those of another type. */
static void convert(struct field *field, enum dtype dtype, const char *where)
{
	char *values = tensor_as(&field->tensor, dtype, where);
	free(field->memory);
	field->memory = values;
	field->tensor.data = values;
	field->tensor.dtype = dtype;
}

const void *chunk_numbers(const struct chunk *chunk, const struct column *column)
{
	struct field *field = required(chunk, column);
	struct tensor *tensor = &field->tensor;
	char *where = xasprintf("%s: %s", chunk->where, column->name);
	check_shape(chunk, column, tensor);
	if (tensor->dtype != column->dtype)
		convert(field, column->dtype, where);
	else if (tensor->dtype == F4)
		floats_check(tensor, tensor->data, where);
	free(where);
	return tensor->data;
}

int64_t chunk_width(const struct chunk *chunk, const struct column *column)
{
	const struct field *field = required(chunk, column);
	check_shape(chunk, column, &field->tensor);
	return field->tensor.shape[1];
}

void chunk_append_ragged(const struct chunk *chunk, const struct column *indptr, const struct column columns[],
	struct ragged *ragged)
{
	const void *numbers[RAGGED_FIELDS];
	for (int i = 0; i < ragged->n_fields; i++)
		numbers[i] = chunk_numbers(chunk, &columns[i]);
	ragged_append_rows(ragged, chunk->rows, chunk_numbers(chunk, indptr), numbers);
}
