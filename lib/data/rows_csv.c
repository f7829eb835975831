#include <csv.h>
#include <stdlib.h>
#include <string.h>

#include "data/rows.h"

#define CSV_BLOCK (64 << 10)

struct csv_reader {
	struct row_reader reader;
	struct lines *lines;
	struct csv_parser csv;
	char delimiter;
	struct row *row;
	int64_t field_line; /* where the field at hand begins */
	bool begun, ended;
};

static void on_field(void *text, size_t length, void *data)
{
	struct csv_reader *reader = data;
	int64_t line = lines_number(reader->lines);
	row_add(reader->row, text ? text : "", length, reader->row->line);
	reader->field_line = line;
	if (reader->row->text.size > ROW_MAX)
		die("%s: line %lld: a row longer than 64 mebibytes", lines_name(reader->lines), (long long)reader->row->line);
}

static void on_row(int terminator, void *data)
{
	struct csv_reader *reader = data;
	reader->ended = true;
	reader->row->open_end = terminator < 0;
}

static void reset(struct csv_reader *reader)
{
	csv_free(&reader->csv);
	if (csv_init(&reader->csv, CSV_STRICT | CSV_STRICT_FINI))
		die_memory(0, 0);
	csv_set_delim(&reader->csv, (unsigned char)reader->delimiter);
	csv_set_blk_size(&reader->csv, CSV_BLOCK);
}

/* Nothing behind it can be told. */
static void fail_unclosed(struct csv_reader *reader, const char *by)
{
	row_fail(reader->row, reader->field_line, "a quote opened here is not closed %s", by);
	reader->row->is_fatal = true;
	reader->ended = true;
}

/* The rest of the line is lost, but not the file, if the line ends. */
static void give_up(struct csv_reader *reader, const char *piece, size_t size)
{
	if (!lines_skip_rest(reader->lines, piece, size))
		reader->row->is_fatal = true;
	reset(reader);
	reader->ended = true;
}

/* A field that does not end: beyond its line it can only be a quote never closed, and nothing after it can be told. */
static void reject_endless(struct csv_reader *reader, const char *piece, size_t size)
{
	if (lines_number(reader->lines) != reader->field_line) {
		fail_unclosed(reader, "within a mebibyte");
		return;
	}
	row_fail(reader->row, reader->field_line, "longer than a mebibyte");
	row_add(reader->row, "...", 3, reader->field_line);
	give_up(reader, piece, size);
}

/* The quote that libcsv stopped at would have closed a field of an earlier line: somewhere a quote is missing. */
static void reject_late_quote(struct csv_reader *reader, const char *piece, size_t size, size_t parsed)
{
	size_t before = parsed < 20 ? parsed : 20;
	row_fail(reader->row, reader->field_line,
		"a quote opened here is closed in line %lld, but not at the end of a field",
		(long long)lines_number(reader->lines));
	row_add(reader->row, piece + parsed - before, before, reader->field_line);
	give_up(reader, piece, size);
}

/*
 * libcsv stopped at a byte: a quote inside an unquoted field, or what follows a closing quote. It is a character like
 * any other; after a closing quote the field goes on unquoted, and that quote is none of its characters.
 */
static void take_literally(struct csv_reader *reader, const char *byte)
{
	struct csv_parser *csv = &reader->csv;
	bool was_quoted = csv->quoted;
	size_t blanks = csv->spaces;
	csv_set_quote(csv, *byte ? '\0' : CSV_QUOTE); /* any character but this one */
	csv_set_opts(csv, 0);
	csv_parse(csv, byte, 1, on_field, on_row, reader);
	csv_set_quote(csv, CSV_QUOTE);
	csv_set_opts(csv, CSV_STRICT | CSV_STRICT_FINI);
	if (!was_quoted)
		return;
	unsigned char *quote = csv->entry_buf + csv->entry_pos - blanks - 2;
	memmove(quote, quote + 1, blanks + 1);
	csv->entry_pos--;
	csv->quoted = 0;
}

/* Feeds a piece to libcsv. */
static void parse(struct csv_reader *reader, const char *piece, size_t size)
{
	size_t at = 0;
	while (at < size && !reader->ended) {
		at += csv_parse(&reader->csv, piece + at, size - at, on_field, on_row, reader);
		if (at == size)
			break;
		if (csv_error(&reader->csv) != CSV_EPARSE)
			die_memory(0, 0); /* the only other one */
		if (reader->csv.quoted && lines_number(reader->lines) != reader->field_line)
			reject_late_quote(reader, piece, size, at);
		else
			take_literally(reader, piece + at++);
	}
	size_t held = csv_get_buffer_size(&reader->csv);
	if (held > FIELD_MAX + CSV_BLOCK && !reader->ended && !reader->row->problem[0])
		reject_endless(reader, piece, size);
}

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

static bool begins_row(const char *piece, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!is_blank(piece[i]) && piece[i] != '\r' && piece[i] != '\n')
			return true;
	return false;
}

/* A whole line without quotes needs no parser: its fields are what stands between delimiters, without blanks around. */
static void split_line(struct csv_reader *reader, const char *line, size_t size)
{
	const char *end = line + size;
	while (line_ends(line, (size_t)(end - line)))
		end--;
	for (const char *border = line; border;) {
		border = memchr(line, reader->delimiter, (size_t)(end - line));
		const char *stop = border ? border : end, *next = border ? border + 1 : end;
		while (line < stop && is_blank(*line))
			line++;
		while (stop > line && is_blank(stop[-1]))
			stop--;
		row_add(reader->row, line, (size_t)(stop - line), reader->row->line);
		line = next;
	}
}

static bool next(struct row_reader *base, struct row *row)
{
	struct csv_reader *reader = (struct csv_reader *)base;
	const char *piece;
	size_t size;
	row_begin(row);
	reader->row = row;
	reader->begun = reader->ended = false;
	while (!reader->ended) {
		if (!lines_piece(reader->lines, &piece, &size)) {
			if (csv_fini(&reader->csv, on_field, on_row, reader))
				fail_unclosed(reader, "by the end of the file");
			return reader->ended;
		}
		bool is_first = !reader->begun;
		if (is_first) {
			reader->begun = begins_row(piece, size);
			row->line = reader->field_line = lines_number(reader->lines);
		}
		if (is_first && line_ends(piece, size) && !memchr(piece, CSV_QUOTE, size)) {
			if (!reader->begun)
				continue;
			split_line(reader, piece, size);
			return true;
		}
		parse(reader, piece, size);
	}
	if (csv_get_buffer_size(&reader->csv) > FIELD_MAX + CSV_BLOCK)
		reset(reader);
	return true;
}

static void free_reader(struct row_reader *base)
{
	csv_free(&((struct csv_reader *)base)->csv);
	free(base);
}

struct row_reader *csv_reader(struct lines *lines, char delimiter)
{
	struct csv_reader *reader = xcalloc(1, sizeof *reader);
	reader->reader = (struct row_reader){.next = next, .free = free_reader};
	reader->lines = lines;
	reader->delimiter = delimiter;
	reset(reader);
	return &reader->reader;
}
