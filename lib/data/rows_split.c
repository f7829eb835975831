#include <stdlib.h>
#include <string.h>

#include "data/rows.h"

struct split_reader {
	struct row_reader reader;
	struct lines *lines;
	char *delimiter; /* "": runs of blanks */
	struct buffer scratch;
};

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

static void split_blanks(struct row *row, const char *line, const char *end)
{
	while (line < end) {
		const char *begin = line;
		while (line < end && !is_blank(*line))
			line++;
		if (line > begin)
			row_add(row, begin, (size_t)(line - begin), row->line);
		while (line < end && is_blank(*line))
			line++;
	}
}

static void split_at(struct row *row, const char *line, const char *end, const char *delimiter)
{
	size_t length = strlen(delimiter);
	const char *border;
	while ((border = length == 1 ? memchr(line, *delimiter, (size_t)(end - line)) :
								   memmem(line, (size_t)(end - line), delimiter, length))) {
		row_add(row, line, (size_t)(border - line), row->line);
		line = border + length;
	}
	row_add(row, line, (size_t)(end - line), row->line);
}

static bool next(struct row_reader *base, struct row *row)
{
	struct split_reader *reader = (struct split_reader *)base;
	const char *line;
	size_t size;
	row_begin(row);
	while (lines_whole(reader->lines, &reader->scratch, &line, &size)) {
		if (!size)
			continue;
		row->line = lines_number(reader->lines);
		row->open_end = lines_open_end(reader->lines);
		if (*reader->delimiter)
			split_at(row, line, line + size, reader->delimiter);
		else
			split_blanks(row, line, line + size);
		if (row->n_fields)
			return true;
	}
	return false;
}

static void free_reader(struct row_reader *base)
{
	struct split_reader *reader = (struct split_reader *)base;
	buffer_free(&reader->scratch);
	free(reader->delimiter);
	free(reader);
}

struct row_reader *split_reader(struct lines *lines, const char *delimiter)
{
	struct split_reader *reader = xcalloc(1, sizeof *reader);
	reader->reader = (struct row_reader){.next = next, .free = free_reader};
	reader->lines = lines;
	reader->delimiter = xstrdup(delimiter);
	return &reader->reader;
}
