#include "data/table.h"

#include <csv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream/bytes.h"

#define READ_BYTES (256 << 10)
#define CSV_BLOCK (64 << 10)
#define ROW_MAX (64 << 20)

struct table {
	struct source *source;
	char delimiter;
	bool skip_bad;
	char **column; /* NULL while the header is read */
	int n_columns;

	char *bytes; /* what was read of the file; [at, filled) is still to be parsed */
	size_t at, filled;
	bool at_end, after_return;
	int64_t line; /* of the byte at `at`; from 1 */

	struct csv_parser csv;
	struct buffer row; /* the fields, each with a NUL */
	size_t *start;     /* of each field in row; one more than there are fields */
	int n_fields;      /* of the row; may exceed n_columns, whose fields alone are kept */
	int64_t row_line, field_line;
	bool row_begun, row_ended;
	const char *problem; /* of the row, in problem_column */
	int problem_column;

	int64_t skipped;
	char *first_problem;
};

/* --- what is wrong with a row --- */

static int kept_fields(const struct table *table)
{
	int most = table->column ? table->n_columns : COLUMNS_MAX;
	return table->n_fields < most ? table->n_fields : most;
}

static void report_line(struct table *table, char *text)
{
	if (!table->skip_bad || !table->column)
		die("%s: %s", table_name(table), text);
	table->skipped++;
	if (table->first_problem) {
		free(text);
		return;
	}
	table->first_problem = text;
	for (; *text; text++) /* it will be part of a line */
		if ((unsigned char)*text < ' ' || *text == 127)
			*text = '?';
}

static const char *name_of(const struct table *table, int column)
{
	return table->column && column < table->n_columns ? table->column[column] : "?";
}

/* line: where to look; the row may have begun before. */
static void report_field(struct table *table, int64_t line, int column, const char *value, const char *problem)
{
	const size_t shown = 60;
	report_line(table,
		xasprintf("line %lld, column %s: '%.*s%s': %s", (long long)line, name_of(table, column), (int)shown, value,
			strlen(value) > shown ? "..." : "", problem));
}

static _Noreturn void die_unclosed(const struct table *table)
{
	die("%s: line %lld, column %s: a quote opened here is not closed %s", table_name(table),
		(long long)table->field_line, name_of(table, table->n_fields),
		table->at_end ? "by the end of the file" : "within a mebibyte");
}

/* --- pieces of the file: at most a line, its end included --- */

static bool refill(struct table *table)
{
	if (!table->at_end) {
		table->at = 0;
		table->filled = source_read(table->source, table->bytes, READ_BYTES);
		table->at_end = table->filled < READ_BYTES;
	}
	return table->at < table->filled;
}

static bool next_piece(struct table *table, const char **piece, size_t *size)
{
	if (table->at == table->filled && !refill(table))
		return false;
	const char *begin = table->bytes + table->at;
	size_t left = table->filled - table->at;
	const char *end = memchr(begin, '\n', left);
	size_t length = end ? (size_t)(end - begin) + 1 : left;
	/* a CR that no LF follows ends a line, too */
	const char *carriage_return = memchr(begin, '\r', length);
	if (carriage_return && !(end && carriage_return + 1 == end))
		length = (size_t)(carriage_return - begin) + 1;
	*piece = begin;
	*size = length;
	table->at += length;
	return true;
}

static bool ends_line(const char *piece, size_t size)
{
	return size && (piece[size - 1] == '\n' || piece[size - 1] == '\r');
}

static void count_line(struct table *table, const char *piece, size_t size)
{
	bool second_half = table->after_return && size == 1 && *piece == '\n'; /* of a CRLF cut in two */
	if (ends_line(piece, size) && !second_half)
		table->line++;
	table->after_return = piece[size - 1] == '\r';
}

static void discard_line(struct table *table, const char *piece, size_t size)
{
	count_line(table, piece, size);
	while (!ends_line(piece, size) && next_piece(table, &piece, &size))
		count_line(table, piece, size);
}

/* --- rows --- */

static void begin_row(struct table *table)
{
	table->row.size = 0;
	table->n_fields = 0;
	table->row_begun = table->row_ended = false;
	table->problem = NULL;
}

static _Noreturn void die_long_row(const struct table *table)
{
	die("%s: line %lld: a row longer than 64 mebibytes", table_name(table), (long long)table->row_line);
}

static void set_problem(struct table *table, int column, const char *problem)
{
	if (table->problem)
		return;
	table->problem = problem;
	table->problem_column = column;
}

static void add_field(struct table *table, const char *text, size_t length)
{
	int column = table->n_fields++;
	if (kept_fields(table) <= column)
		return;
	if (length > FIELD_MAX) {
		set_problem(table, column, "longer than a mebibyte");
		length = 60;
	}
	if (memchr(text, 0, length))
		set_problem(table, column, "a NUL byte inside");
	table->start[column] = table->row.size;
	char *copy = buffer_add(&table->row, length + 1);
	memcpy(copy, text, length);
	copy[length] = '\0';
	table->start[column + 1] = table->row.size;
	if (table->row.size > ROW_MAX)
		die_long_row(table);
}

static void on_field(void *text, size_t length, void *data)
{
	struct table *table = data;
	add_field(table, text ? text : "", length);
	table->field_line = table->line;
}

static void on_row(int terminator, void *data)
{
	(void)terminator;
	((struct table *)data)->row_ended = true;
}

static void csv_reset(struct table *table)
{
	csv_free(&table->csv);
	if (csv_init(&table->csv, CSV_STRICT | CSV_STRICT_FINI))
		die("out of memory");
	csv_set_delim(&table->csv, (unsigned char)table->delimiter);
	csv_set_blk_size(&table->csv, CSV_BLOCK);
}

static void note_begin(struct table *table, const char *piece, size_t size)
{
	for (size_t i = 0; i < size && !table->row_begun; i++)
		table->row_begun = piece[i] != ' ' && piece[i] != '\t' && piece[i] != '\r' && piece[i] != '\n';
	table->row_line = table->field_line = table->line;
}

/* libcsv stopped at a quote where none may be: the line is lost, but not the file. */
static void reject_quote(struct table *table, const char *piece, size_t size, size_t parsed)
{
	if (csv_error(&table->csv) != CSV_EPARSE)
		die("%s: line %lld: %s", table_name(table), (long long)table->line, csv_strerror(csv_error(&table->csv)));
	size_t before = parsed < 20 ? parsed : 20, after = size - parsed < 20 ? size - parsed : 20;
	while (after && ends_line(piece + parsed, after))
		after--;
	char near[41];
	memcpy(near, piece + parsed - before, before + after);
	near[before + after] = '\0';
	report_field(table, table->field_line, table->n_fields, near,
		"a quote inside a field is two quotes, in a quoted field");
	table->skipped += table->line - table->field_line;
	discard_line(table, piece, size);
	csv_reset(table);
	begin_row(table);
}

/* A field that does not end: beyond its line it can only be a quote never closed, and nothing after it can be told. */
static void reject_endless(struct table *table, const char *piece, size_t size)
{
	if (table->line != table->field_line)
		die_unclosed(table);
	report_field(table, table->line, table->n_fields, "...", "longer than a mebibyte");
	discard_line(table, piece, size);
	csv_reset(table);
	begin_row(table);
}

static bool read_csv_row(struct table *table)
{
	const char *piece;
	size_t size;
	begin_row(table);
	while (!table->row_ended) {
		if (!next_piece(table, &piece, &size)) {
			if (csv_fini(&table->csv, on_field, on_row, table))
				die_unclosed(table);
			return table->row_ended;
		}
		if (!table->row_begun)
			note_begin(table, piece, size);
		size_t parsed = csv_parse(&table->csv, piece, size, on_field, on_row, table);
		if (parsed < size) {
			reject_quote(table, piece, size, parsed);
		} else if (csv_get_buffer_size(&table->csv) > FIELD_MAX + CSV_BLOCK && !table->row_ended && !table->problem) {
			reject_endless(table, piece, size);
		} else {
			count_line(table, piece, size);
		}
		if (csv_get_buffer_size(&table->csv) > ROW_MAX)
			die_long_row(table);
	}
	if (csv_get_buffer_size(&table->csv) > FIELD_MAX + CSV_BLOCK)
		csv_reset(table);
	return true;
}

static void split_tabs(struct table *table, const char *line, size_t length)
{
	while (length && (line[length - 1] == '\n' || line[length - 1] == '\r'))
		length--;
	const char *end = line + length;
	for (const char *tab; (tab = memchr(line, '\t', (size_t)(end - line))); line = tab + 1)
		add_field(table, line, (size_t)(tab - line));
	add_field(table, line, (size_t)(end - line));
}

static bool blank_line(const char *line, size_t size)
{
	return size == 0 || (size == 1 && ends_line(line, size)) || (size == 2 && line[0] == '\r' && line[1] == '\n');
}

/* A line is in one piece but where it crosses the border of what was read at once. */
static bool read_tsv_row(struct table *table)
{
	struct buffer line = {0};
	const char *piece;
	size_t size;
	begin_row(table);
	while (!table->row_ended && next_piece(table, &piece, &size)) {
		table->row_line = table->field_line = table->line;
		count_line(table, piece, size);
		if (!line.size && blank_line(piece, size))
			continue;
		if (line.size || !ends_line(piece, size)) {
			buffer_append(&line, piece, size);
			if (line.size > ROW_MAX)
				die_long_row(table);
			if (!ends_line(piece, size) && !(table->at_end && table->at == table->filled))
				continue;
		}
		split_tabs(table, line.size ? line.data : piece, line.size ? line.size : size);
		table->row_ended = true;
	}
	if (line.size && !table->row_ended) {
		split_tabs(table, line.data, line.size);
		table->row_ended = true;
	}
	buffer_free(&line);
	return table->row_ended;
}

/* --- what a good row is --- */

/* Length of the longest prefix that is UTF-8 (RFC 3629: no surrogates, nothing overlong). */
static size_t utf8_prefix(const char *text, size_t size)
{
	const unsigned char *byte = (const unsigned char *)text;
	size_t i = 0;
	while (i < size) {
		uint64_t eight;
		if (i + 8 <= size && (memcpy(&eight, byte + i, 8), !(eight & UINT64_C(0x8080808080808080)))) {
			i += 8;
			continue;
		}
		unsigned char lead = byte[i];
		size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
		if (!length || length > size - i)
			return i;
		unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
		unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
		for (size_t k = 1; k < length; k++, low = 0x80, high = 0xbf)
			if (byte[i + k] < low || byte[i + k] > high)
				return i;
		i += length;
	}
	return size;
}

static void check_text(struct table *table)
{
	size_t valid = utf8_prefix(table->row.data, table->row.size);
	if (valid == table->row.size)
		return;
	int column = 0;
	while (table->start[column + 1] <= valid)
		column++;
	set_problem(table, column, "not UTF-8");
}

static bool row_is_good(struct table *table)
{
	if (table->column && table->n_fields != table->n_columns) {
		char *list = table_column_list(table);
		report_line(table,
			xasprintf("line %lld: %d field%s, %d were expected (%s)", (long long)table->row_line, table->n_fields,
				table->n_fields == 1 ? "" : "s", table->n_columns, list));
		free(list);
		return false;
	}
	if (!table->problem)
		check_text(table);
	if (!table->problem)
		return true;
	report_field(table, table->row_line, table->problem_column, table->row.data + table->start[table->problem_column],
		table->problem);
	return false;
}

bool table_next(struct table *table)
{
	while (table->delimiter == '\t' ? read_tsv_row(table) : read_csv_row(table))
		if (row_is_good(table))
			return true;
	return false;
}

const char *table_field(const struct table *table, int column, size_t *length)
{
	if (length)
		*length = table->start[column + 1] - table->start[column] - 1;
	return table->row.data + table->start[column];
}

void table_reject(struct table *table, int column, const char *problem)
{
	report_field(table, table->row_line, column, table_field(table, column, NULL), problem);
}

/* --- the header --- */

/* The first of tab, comma, semicolon and bar in the first line, outside quotes; a comma where there is none. */
static char guess_delimiter(const char *text, size_t size)
{
	const char known[] = "\t,;|";
	size_t best = sizeof known - 1;
	bool quoted = false;
	for (size_t i = 0; i < size && (quoted || !ends_line(text + i, 1)); i++) {
		if (text[i] == '"')
			quoted = !quoted;
		const char *found = quoted || !text[i] ? NULL : strchr(known, text[i]);
		if (found && (size_t)(found - known) < best)
			best = (size_t)(found - known);
	}
	return best < sizeof known - 1 ? known[best] : ',';
}

static void start_of_file(struct table *table)
{
	if (!refill(table))
		die("%s: empty, a header line was expected", table_name(table));
	const char *bytes = table->bytes;
	if (table->filled >= 2 && (!memcmp(bytes, "\xff\xfe", 2) || !memcmp(bytes, "\xfe\xff", 2)))
		die("%s: UTF-16, UTF-8 was expected", table_name(table));
	if (table->filled >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3))
		table->at = 3;
	while (table->at < table->filled && ends_line(bytes + table->at, 1))
		count_line(table, bytes + table->at++, 1);
	if (!table->delimiter)
		table->delimiter = guess_delimiter(bytes + table->at, table->filled - table->at);
}

/* "user_id:token" is user_id */
static size_t name_length(const char *name)
{
	static const char *const types[] = {"token", "token_seq", "float", "float_seq"};
	const char *colon = strrchr(name, ':');
	for (size_t i = 0; colon && i < COUNT_OF(types); i++)
		if (!strcmp(colon + 1, types[i]))
			return (size_t)(colon - name);
	return strlen(name);
}

static void read_header(struct table *table)
{
	table->start = xreallocarray(NULL, COLUMNS_MAX + 1, sizeof *table->start);
	if (!table_next(table))
		die("%s: empty, a header line was expected", table_name(table));
	if (table->n_fields > COLUMNS_MAX)
		die("%s: a header of %d columns, %d at most were expected", table_name(table), table->n_fields, COLUMNS_MAX);
	char **column = xcalloc((size_t)table->n_fields, sizeof *column);
	for (int i = 0; i < table->n_fields; i++) {
		const char *name = table_field(table, i, NULL);
		column[i] = xstrndup(name, name_length(name));
	}
	table->n_columns = table->n_fields;
	table->column = column;
}

struct table *table_open(const char *path, char delimiter, bool skip_bad)
{
	struct table *table = xcalloc(1, sizeof *table);
	table->source = source_open(path);
	table->delimiter = delimiter;
	table->skip_bad = skip_bad;
	table->bytes = xmalloc(READ_BYTES);
	table->line = 1;
	start_of_file(table);
	csv_reset(table);
	read_header(table);
	return table;
}

void table_close(struct table *table)
{
	source_close(table->source);
	csv_free(&table->csv);
	for (int i = 0; i < table->n_columns; i++)
		free(table->column[i]);
	free(table->column);
	free(table->bytes);
	free(table->start);
	free(table->first_problem);
	buffer_free(&table->row);
	free(table);
}

int table_columns(const struct table *table)
{
	return table->n_columns;
}

const char *table_column(const struct table *table, int column)
{
	return table->column[column];
}

int table_find(const struct table *table, const char *name)
{
	int found = -1;
	for (int i = 0; i < table->n_columns; i++) {
		if (strcmp(table->column[i], name))
			continue;
		if (found >= 0)
			die("%s: two columns are called %s", table_name(table), name);
		found = i;
	}
	return found;
}

char *table_column_list(const struct table *table)
{
	struct buffer list = {0};
	for (int i = 0; i < table->n_columns; i++) {
		buffer_append(&list, ", ", i ? 2 : 0);
		buffer_append(&list, table->column[i], strlen(table->column[i]));
	}
	buffer_append(&list, "", 1);
	return list.data;
}

int64_t table_skipped(const struct table *table)
{
	return table->skipped;
}

const char *table_first_problem(const struct table *table)
{
	return table->first_problem;
}

const char *table_name(const struct table *table)
{
	return source_name(table->source);
}

void table_progress(const struct table *table, int64_t *done, int64_t *total)
{
	long long bytes, all;
	source_progress(table->source, &bytes, &all);
	*done = bytes;
	*total = all;
}
