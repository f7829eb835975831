#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/python_literal.h"
#include "data/rows.h"
#include "data/utf8.h"
#include "stream/json.h"

#define LINES_AHEAD 1000
#define BYTES_AHEAD (8 << 20)

struct json_reader {
	struct row_reader reader;
	struct lines *lines;
	struct strings keys;
	struct buffer scratch, json, value;
	const json_t **value_of; /* by key, of the line at hand */
	bool goes_on;            /* that line is JSON as far as it goes */

	struct buffer ahead; /* the lines that the keys were taken from, each with a NUL; lines of blanks are left out */
	struct line_ahead {
		size_t start, size;
		int64_t number;
		bool open_end;
	} line[LINES_AHEAD];
	int n_ahead, next_ahead;
};

/* --- values as text --- */

static void put(struct buffer *text, const char *more)
{
	buffer_append(text, more, strlen(more));
}

/* The shortest decimals that are this number. */
static void put_real(struct buffer *text, double value)
{
	char digits[40];
	for (int precision = 15; precision <= 17; precision++) {
		snprintf(digits, sizeof digits, "%.*g", precision, value);
		if (strtod(digits, NULL) == value)
			break;
	}
	put(text, digits);
	if (!strpbrk(digits, ".en"))
		put(text, ".0");
}

static void put_value(struct buffer *text, const json_t *value);

static void put_elements(struct buffer *text, const json_t *list)
{
	size_t i;
	const json_t *element;
	size_t before = text->size;
	json_array_foreach (list, i, element) {
		size_t start = text->size;
		if (start > before)
			put(text, ", ");
		size_t begin = text->size;
		put_value(text, element);
		if (text->size == begin)
			text->size = start;
	}
}

static void put_pairs(struct buffer *text, const json_t *object)
{
	size_t before = text->size;
	for (void *at = json_object_iter((json_t *)(uintptr_t)object); at;
		 at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
		size_t start = text->size;
		if (start > before)
			put(text, ", ");
		put(text, json_object_iter_key(at));
		put(text, ": ");
		size_t begin = text->size;
		put_value(text, json_object_iter_value(at));
		if (text->size == begin)
			text->size = start;
	}
}

static void put_value(struct buffer *text, const json_t *value)
{
	char digits[24];
	switch (json_typeof(value)) {
	case JSON_STRING: buffer_append(text, json_string_value(value), json_string_length(value)); break;
	case JSON_INTEGER:
		snprintf(digits, sizeof digits, "%lld", (long long)json_integer_value(value));
		put(text, digits);
		break;
	case JSON_REAL: put_real(text, json_real_value(value)); break;
	case JSON_TRUE: put(text, "true"); break;
	case JSON_FALSE: put(text, "false"); break;
	case JSON_NULL: break;
	case JSON_ARRAY: put_elements(text, value); break;
	case JSON_OBJECT: put_pairs(text, value); break;
	}
}

/* --- lines --- */

/* The object of a line; NULL with what is wrong, in problem. */
static json_t *parse_line(struct json_reader *reader, const char *line, size_t size, char problem[], size_t room)
{
	json_error_t error;
	bool is_python = python_literal_begins(line, size);
	reader->goes_on = false;
	if (is_python && !python_literal_to_json(line, size, &reader->json)) {
		snprintf(problem, room, "neither JSON nor what Python prints for a dict");
		return NULL;
	}
	if (is_python) {
		line = reader->json.data;
		size = reader->json.size;
	}
	json_t *object = json_loadb(line, size, JSON_ALLOW_NUL, &error);
	reader->goes_on = !object && json_error_code(&error) == json_error_premature_end_of_input;
	if (reader->goes_on)
		snprintf(problem, room,
			"JSON that goes on behind the line's end, an object a line was expected (jq -c . makes them)");
	else if (!object)
		snprintf(problem, room, "not JSON, an object a line was expected: %.100s", json_problem(&error));
	if (object && json_is_object(object))
		return object;
	if (object)
		snprintf(problem, room, "JSON, but not an object");
	json_decref(object);
	return NULL;
}

/* Reads the first lines, and what keys they have. A line that is wrong is said when its turn comes. */
static void look_ahead(struct json_reader *reader)
{
	const char *line;
	size_t size;
	char problem[8];
	while (reader->n_ahead < LINES_AHEAD && reader->ahead.size < BYTES_AHEAD &&
		lines_whole(reader->lines, &reader->scratch, &line, &size)) {
		if (!size)
			continue;
		reader->line[reader->n_ahead++] = (struct line_ahead){reader->ahead.size, size, lines_number(reader->lines),
			lines_open_end(reader->lines)};
		buffer_append(&reader->ahead, line, size);
		json_t *object = parse_line(reader, line, size, problem, sizeof problem);
		reader->reader.first_is_wrong |= !object && reader->n_ahead == 1 && !reader->goes_on;
		for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
			const char *key = json_object_iter_key(at);
			if (strings_find(&reader->keys, key, strlen(key)) < 0 && reader->keys.count < COLUMNS_MAX)
				strings_add(&reader->keys, key, strlen(key));
		}
		json_decref(object);
	}
}

static bool next_line(struct json_reader *reader, struct row *row, const char **line, size_t *size)
{
	if (reader->next_ahead < reader->n_ahead) {
		const struct line_ahead *ahead = &reader->line[reader->next_ahead++];
		*line = reader->ahead.data + ahead->start;
		*size = ahead->size;
		row->line = ahead->number;
		row->open_end = ahead->open_end;
		return true;
	}
	buffer_free(&reader->ahead);
	do
		if (!lines_whole(reader->lines, &reader->scratch, line, size))
			return false;
	while (!*size);
	row->line = lines_number(reader->lines);
	row->open_end = lines_open_end(reader->lines);
	return true;
}

static void find_values(struct json_reader *reader, json_t *object, const struct row *row)
{
	memset(reader->value_of, 0, (size_t)reader->keys.count * sizeof(json_t *));
	for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
		const char *key = json_object_iter_key(at);
		int64_t column = strings_find(&reader->keys, key, strlen(key));
		if (column >= 0)
			reader->value_of[column] = json_object_iter_value(at);
		else if (!reader->reader.note)
			reader->reader.note = xasprintf("line %lld has the key \"%s\", which none of the first %d has: left out",
				(long long)row->line, key, LINES_AHEAD);
	}
}

/* A piece of the line with what is no UTF-8 in it. */
static void add_ill_formed(struct row *row, const char *line, size_t size)
{
	size_t at = 0;
	for (int step; (step = utf8_next(line + at, size - at)) > 0;)
		at += (size_t)step;
	size_t from = at < 24 ? 0 : at - 24;
	while (from && (line[from] & 0xc0) == 0x80)
		from--;
	row->is_text = true;
	row_add(row, line + from, size - from < 48 ? size - from : 48, row->line);
}

static bool next(struct row_reader *base, struct row *row)
{
	struct json_reader *reader = (struct json_reader *)base;
	const char *line;
	size_t size;
	char problem[sizeof row->problem];
	row_begin(row);
	if (!next_line(reader, row, &line, &size))
		return false;
	if (!utf8_is_valid(line, size)) {
		add_ill_formed(row, line, size);
		return true;
	}
	json_t *object = parse_line(reader, line, size, problem, sizeof problem);
	if (!object) {
		row_fail(row, row->line, "%s%s", problem, row->open_end ? "; the file ends in this line: cut off?" : "");
		row->problem_column = -1;
		row_add(row, line, size < 60 ? size : 60, row->line);
		return true;
	}
	find_values(reader, object, row);
	for (int64_t i = 0; i < reader->keys.count; i++) {
		const json_t *value = reader->value_of[i];
		reader->value.size = 0;
		if (value)
			put_value(&reader->value, value);
		row_add(row, reader->value.size ? reader->value.data : "", reader->value.size, row->line);
		if (i < row->n_kept)
			row->is_list[i] = value && (json_is_array(value) || json_is_object(value));
	}
	row->open_end = false; /* the brace that closes it has been seen */
	json_decref(object);
	return true;
}

static void free_reader(struct row_reader *base)
{
	struct json_reader *reader = (struct json_reader *)base;
	strings_free(&reader->keys);
	buffer_free(&reader->scratch);
	buffer_free(&reader->json);
	buffer_free(&reader->value);
	buffer_free(&reader->ahead);
	free(reader->value_of);
	free(reader->reader.note);
	free(reader);
}

struct row_reader *json_reader(struct lines *lines)
{
	struct json_reader *reader = xcalloc(1, sizeof *reader);
	reader->lines = lines;
	reader->reader = (struct row_reader){.next = next, .free = free_reader, .names = &reader->keys};
	look_ahead(reader);
	reader->value_of = xcalloc((size_t)reader->keys.count + 1, sizeof *reader->value_of);
	return &reader->reader;
}
