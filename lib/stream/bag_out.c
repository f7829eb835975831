#include "stream/bag_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream/frame.h"

struct bag_out {
	struct frame_out *frame;
	int next_log;
	const struct group_kind *kind; /* of the current group */
	int shard, shards;
	int64_t n_chunks, rows, chunk_rows;
	int n_columns;
	struct column *columns; /* those that the table has, as first given */
	struct buffer *data;    /* of each, of the current chunk */
	json_t *read, *wrote;   /* {"model": "0123456789abcdef"}: the ids of groups */
};

struct frame_out *bag_frame(struct bag_out *out)
{
	return out->frame;
}

void bag_note_read(struct bag_out *out, const char *group, const char *id)
{
	json_set(out->read, group, json_string(id));
}

void bag_count_log(struct bag_out *out, const char *member)
{
	int number = atoi(member + strlen("log/"));
	if (number >= out->next_log && number < 1000000)
		out->next_log = number + 1;
}

int64_t bag_first_chunk(int shard, int shards)
{
	return (int64_t)(shard - 1) * (BAG_MAX_SHARDS / shards);
}

struct bag_out *bag_create(const char *path, int level)
{
	struct bag_out *out = xcalloc(1, sizeof *out);
	out->frame = frame_create(path, level);
	out->read = json_object();
	out->wrote = json_object();
	return out;
}

/* --- members --- */

static char *member_name(const struct bag_out *out, const char *name)
{
	return xasprintf("%s/%s", out->kind->name, name);
}

void bag_add_bytes(struct bag_out *out, const char *name, const void *data, size_t size)
{
	char *member = member_name(out, name);
	frame_member(out->frame, member, data, size);
	free(member);
}

void bag_add_json(struct bag_out *out, const char *name, const json_t *document)
{
	char *text = json_text(document);
	bag_add_bytes(out, name, text, strlen(text));
	free(text);
}

void bag_add_tensor(struct bag_out *out, const char *name, const struct tensor *tensor)
{
	char *member = member_name(out, name);
	char header[NPY_HEADER];
	npy_header(tensor, header);
	frame_begin(out->frame, member, sizeof header + tensor_bytes(tensor));
	frame_write(out->frame, header, sizeof header);
	frame_write(out->frame, tensor->data, tensor_bytes(tensor));
	free(member);
}

void bag_begin(struct bag_out *out, const struct group_kind *kind, uint64_t id, int shard, int shards, json_t *details)
{
	char text[17];
	fingerprint_text(id, text);
	json_t *meta = json_build("{s:s, s:i, s:s, s:[i, i]}", "group", kind->name, "format", kind->format, "id", text,
		"shard", shard, shards);
	json_object_update(meta, details);
	json_set(out->wrote, kind->name, json_string(text));
	out->kind = kind;
	out->shard = shard;
	out->shards = shards;
	out->n_chunks = out->rows = out->chunk_rows = 0;
	bag_add_json(out, "meta.json", meta);
	json_decref(meta);
	json_decref(details);
}

/* --- tables --- */

static size_t row_bytes(const struct column *column)
{
	return dtype_size(column->dtype) * (size_t)(column->shape == COLUMN_WIDE ? column->width : 1);
}

static void write_column(struct bag_out *out, const struct column *column, const struct buffer *data)
{
	char name[FIELD_NAME_MAX + 16];
	snprintf(name, sizeof name, "%06lld.%s.%s", (long long)(bag_first_chunk(out->shard, out->shards) + out->n_chunks),
		column->name, column->shape == COLUMN_TEXT ? "txt" : "npy");
	if (column->shape == COLUMN_TEXT) {
		bag_add_bytes(out, name, data->data, data->size);
		return;
	}
	size_t bytes = row_bytes(column);
	int64_t rows = bytes ? (int64_t)(data->size / bytes) : out->chunk_rows;
	struct tensor tensor = column->shape == COLUMN_WIDE ? tensor_2d(column->dtype, rows, column->width, data->data) :
														  tensor_1d(column->dtype, rows, data->data);
	bag_add_tensor(out, name, &tensor);
}

static void write_chunk(struct bag_out *out)
{
	if (!out->chunk_rows)
		return;
	if (out->n_chunks == BAG_MAX_SHARDS / out->shards)
		die("%s: more than %d chunks", out->kind->name, BAG_MAX_SHARDS / out->shards);
	for (int i = 0; i < out->n_columns; i++) {
		write_column(out, &out->columns[i], &out->data[i]);
		out->data[i].size = 0;
	}
	out->n_chunks++;
	out->chunk_rows = 0;
}

/* The strings become lines of the chunk; returns where the next ones are. */
static const char *add_lines(const struct bag_out *out, const struct column *column, struct buffer *data,
	const char *text, int64_t rows)
{
	const char *end = text;
	for (int64_t row = 0; row < rows; row++)
		end += strlen(end) + 1;
	size_t size = (size_t)(end - text);
	char *copy = buffer_add(data, size);
	memcpy(copy, text, size);
	if (memchr(copy, '\n', size))
		die("%s: %s: a line break inside a value", out->kind->name, column->name);
	for (char *nul = copy; (nul = memchr(nul, 0, (size_t)(copy + size - nul)));)
		*nul = '\n';
	return end;
}

/* The ends of rows [from, to), counted within the chunk. */
static void add_ends(struct buffer *data, const int64_t *indptr, int64_t from, int64_t to)
{
	if (!data->size)
		buffer_append(data, &(int64_t){0}, sizeof(int64_t));
	int64_t base = *(int64_t *)(void *)(data->data + data->size - sizeof(int64_t)) - indptr[from];
	int64_t *ends = buffer_add(data, (size_t)(to - from) * sizeof *ends);
	for (int64_t row = from; row < to; row++)
		*ends++ = indptr[row + 1] + base;
}

/* Rows [from, to) of a column are added to the chunk; text moves on behind them. */
static void add_column(struct bag_out *out, int i, const void **at, const int64_t *indptr, int64_t from, int64_t to)
{
	const struct column *column = &out->columns[i];
	struct buffer *data = &out->data[i];
	if (column->shape == COLUMN_TEXT) {
		*at = add_lines(out, column, data, *at, to - from);
	} else if (column->shape == COLUMN_INDPTR) {
		add_ends(data, indptr, from, to);
	} else {
		bool ragged = column->shape == COLUMN_RAGGED;
		size_t bytes = row_bytes(column), first = (size_t)(ragged ? indptr[from] - indptr[0] : from);
		size_t last = (size_t)(ragged ? indptr[to] - indptr[0] : to);
		buffer_append(data, (const char *)*at + first * bytes, (last - first) * bytes);
	}
}

static size_t chunk_bytes(const struct bag_out *out)
{
	size_t bytes = 0;
	for (int i = 0; i < out->n_columns; i++)
		bytes += out->data[i].size;
	return bytes;
}

/* The columns that there are, at the group's first rows. */
static void take_columns(struct bag_out *out, const struct column columns[], const void *const data[], int n_columns)
{
	out->columns = xreallocarray(NULL, (size_t)n_columns, sizeof *out->columns);
	out->data = xcalloc((size_t)n_columns, sizeof *out->data);
	for (int i = 0; i < n_columns; i++)
		if (data[i])
			out->columns[out->n_columns++] = columns[i];
}

void bag_add_rows(struct bag_out *out, int64_t rows, const struct column columns[], const void *const data[],
	int n_columns)
{
	if (!rows)
		return;
	if (!out->columns)
		take_columns(out, columns, data, n_columns);
	const void **at = xreallocarray(NULL, (size_t)n_columns, sizeof *at);
	const int64_t *indptr = NULL;
	for (int i = 0, n = 0; i < n_columns; i++) {
		if (data[i])
			at[n++] = data[i];
		if (columns[i].shape == COLUMN_INDPTR)
			indptr = data[i];
	}
	const int64_t step = 128; /* rows of the table between looks at the chunk's size, however the rows come */
	for (int64_t row = 0, end; row < rows; row = end) {
		end = row + step - out->rows % step;
		end = end < rows ? end : rows;
		for (int i = 0; i < out->n_columns; i++)
			add_column(out, i, &at[i], indptr, row, end);
		out->rows += end - row;
		out->chunk_rows += end - row;
		if (out->rows % step == 0 && chunk_bytes(out) >= CHUNK_BYTES)
			write_chunk(out);
	}
	free(at);
}

void bag_end(struct bag_out *out)
{
	write_chunk(out);
	json_t *end = json_build("{s:[i, i]}", "shard", out->shard, out->shards);
	if (out->kind->chunk) {
		json_set(end, "rows", json_integer(out->rows));
		json_set(end, "chunks", json_integer(out->n_chunks));
	}
	bag_add_json(out, "end.json", end);
	json_decref(end);
	for (int i = 0; i < out->n_columns; i++)
		buffer_free(&out->data[i]);
	free(out->data);
	free(out->columns);
	out->data = NULL;
	out->columns = NULL;
	out->n_columns = 0;
}

void bag_finish(struct bag_out *out, json_t *history)
{
	if (history) {
		char name[MEMBER_NAME_MAX];
		snprintf(name, sizeof name, "log/%02d-%s.json", out->next_log, program_name);
		json_set(history, "read", json_incref(out->read));
		json_set(history, "wrote", json_incref(out->wrote));
		char *text = json_text(history);
		frame_member(out->frame, name, text, strlen(text));
		free(text);
	}
	json_decref(history);
	json_decref(out->read);
	json_decref(out->wrote);
	frame_close(out->frame);
	free(out);
}
