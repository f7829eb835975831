#include "data/rows.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int row_kept(const struct row *row)
{
	return row->n_fields < row->n_kept ? row->n_fields : row->n_kept;
}

void row_begin(struct row *row)
{
	row->text.size = 0;
	row->n_fields = 0;
	row->is_text = row->open_end = row->is_fatal = false;
	row->problem[0] = '\0';
}

void row_fail(struct row *row, int64_t line, const char *format, ...)
{
	if (row->problem[0])
		return;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(row->problem, sizeof row->problem, format, arguments);
	va_end(arguments);
	row->problem_column = row->n_fields;
	row->problem_line = line;
}

void row_add(struct row *row, const char *text, size_t length, int64_t line)
{
	if (row->n_fields >= row->n_kept) {
		row->n_fields++;
		return;
	}
	if (length > FIELD_MAX) {
		row_fail(row, line, "longer than a mebibyte");
		length = 60;
	}
	if (memchr(text, 0, length))
		row_fail(row, line, "a NUL byte inside");
	row->start[row->n_fields] = row->text.size;
	row->is_list[row->n_fields++] = false;
	char *copy = buffer_add(&row->text, length + 1);
	memcpy(copy, text, length);
	copy[length] = '\0';
	row->start[row->n_fields] = row->text.size;
}
