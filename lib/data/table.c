#include "data/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/container.h"
#include "data/utf8.h"

#define SHOWN 60      /* bytes of a value in messages */
#define LOOK_LINES 50 /* that tell whether it is a table */
#define LONG_NAME 100 /* bytes: a sentence rather than a column's name */

struct table {
	struct lines *lines;
	struct row_reader *reader;
	struct row row;
	bool skip_bad;
	char **column; /* NULL while the header is read */
	bool *is_sequence;
	int n_columns;
	char *delimiter; /* NULL: JSON */
	bool has_header, header_is_data;
	int looked[LOOK_LINES], n_looked; /* fields of the first lines */

	int64_t skipped;
	char *first_problem;
};

/* --- what is wrong with a row --- */

static void report_line(struct table *table, char *text)
{
	if (!table->skip_bad || !table->column || table->row.is_fatal)
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
	char *place = column < 0 ? xasprintf("line %lld", (long long)line) :
							   xasprintf("line %lld, column %s", (long long)line, name_of(table, column));
	report_line(table, xasprintf("%s: '%.*s%s': %s", place, SHOWN, value, strlen(value) > SHOWN ? "..." : "", problem));
	free(place);
}

static void report_problem(struct table *table)
{
	const struct row *row = &table->row;
	int column = row->problem_column, kept = column < 0 ? 0 : column;
	const char *value = kept < row_kept(row) ? row->text.data + row->start[kept] : "";
	if (row->is_fatal)
		report_line(table,
			xasprintf("line %lld, column %s: %s", (long long)row->problem_line, name_of(table, column), row->problem));
	else
		report_field(table, row->problem_line, column, value, row->problem);
}

static void report_count(struct table *table)
{
	const struct row *row = &table->row;
	char *list = table_column_list(table);
	const char *why = "";
	if (row->open_end && row->n_fields < table->n_columns)
		why = "; the file ends in this line: cut off?";
	if (table->delimiter && !*table->delimiter && row->n_fields > table->n_columns)
		why = "; is the rest a list? a row for each event was expected";
	report_line(table,
		xasprintf("line %lld: %s, %d were expected (%s)%s", (long long)row->line, counted(row->n_fields, "fields"),
			table->n_columns, list, why));
	free(list);
}

/* --- what a good row is --- */

/*
 * The usual character set of bytes that are not UTF-8: single ones between ASCII letters are those of western Europe,
 * whose bytes below 160 are Windows'; where most are beyond ASCII it is one of many.
 */
static const char *charset_of(const char *text)
{
	int ascii = 0, beyond = 0, of_windows = 0;
	for (const unsigned char *byte = (const unsigned char *)text; *byte; byte++) {
		ascii += *byte < 128;
		beyond += *byte >= 128;
		of_windows += *byte >= 128 && *byte < 160;
	}
	return beyond > ascii ? NULL : of_windows ? "cp1252" : "latin1";
}

static void check_text(struct table *table)
{
	struct row *row = &table->row;
	if (utf8_is_valid(row->text.data, row->text.size))
		return;
	int column = 0;
	while (utf8_is_valid(row->text.data + row->start[column], row->start[column + 1] - row->start[column]))
		column++;
	const char *charset = charset_of(row->text.data + row->start[column]);
	char *name = container_shell_name(table_name(table));
	if (charset)
		row_fail(row, row->line, "not UTF-8 but %s? iconv -f %s -t utf8 %s", charset, charset, name);
	else
		row_fail(row, row->line, "not UTF-8; is it cp1251, gb18030, shift_jis? iconv -f CHARSET -t utf8 %s", name);
	row->problem_column = row->is_text ? -1 : column;
	free(name);
}

static bool row_is_good(struct table *table)
{
	struct row *row = &table->row;
	bool right_count = !table->column || row->n_fields == table->n_columns;
	if (!row->problem[0] && (right_count || row->is_text))
		check_text(table);
	if (row->problem[0])
		report_problem(table);
	else if (!right_count)
		report_count(table);
	return right_count && !row->problem[0];
}

bool table_next(struct table *table)
{
	while (table->reader->next(table->reader, &table->row))
		if (row_is_good(table))
			return true;
	return false;
}

const char *table_field(const struct table *table, int column, size_t *length)
{
	const struct row *row = &table->row;
	if (length)
		*length = row->start[column + 1] - row->start[column] - 1;
	return row->text.data + row->start[column];
}

bool table_is_list(const struct table *table, int column)
{
	return table->row.is_list[column];
}

void table_reject(struct table *table, int column, const char *problem)
{
	report_field(table, table->row.line, column, table_field(table, column, NULL), problem);
}

int64_t table_line(const struct table *table)
{
	return table->row.line;
}

bool table_open_end(const struct table *table)
{
	return table->row.open_end;
}

/* --- the format --- */

static const char *const delimiters[] = {"\t", "::", ",", ";", "|", " "};

/* The first of the delimiters that this line has outside quotes; a comma where it has none. */
static const char *guess_delimiter(const char *line, size_t size)
{
	size_t best = COUNT_OF(delimiters);
	bool quoted = false;
	for (size_t i = 0; i < size && !line_ends(line + i, 1); i++) {
		quoted ^= line[i] == '"';
		for (size_t k = 0; k < best && !quoted; k++)
			if (size - i >= strlen(delimiters[k]) && !memcmp(line + i, delimiters[k], strlen(delimiters[k])))
				best = k;
	}
	return best < COUNT_OF(delimiters) ? delimiters[best] : ",";
}

static void choose_reader(struct table *table, const struct table_format *format)
{
	const char *bytes, *delimiter = format->delimiter;
	size_t size;
	if (!lines_peek(table->lines, &bytes, &size))
		die("%s: empty, a header line was expected", table_name(table));
	size_t blank = 0;
	while (blank < size && strchr(" \r\n", bytes[blank]) && bytes[blank])
		blank++;
	char first = blank < size ? bytes[blank] : '\0';
	if (!delimiter && first == '{') {
		table->reader = json_reader(table->lines);
		return;
	}
	if (!delimiter)
		delimiter = guess_delimiter(bytes + blank, size - blank);
	if (!strcmp(delimiter, " "))
		delimiter = "";
	table->delimiter = xstrdup(delimiter);
	if (strlen(delimiter) == 1 && (*delimiter != '\t' || first == '"'))
		table->reader = csv_reader(table->lines, *delimiter);
	else
		table->reader = split_reader(table->lines, delimiter);
}

/* --- whether it is a table --- */

/* Fields of a line, up to its end; its length, with that, into *length; 0: it does not end here. */
static int count_fields(const char *line, size_t size, const char *delimiter, size_t *length)
{
	const size_t width = strlen(delimiter);
	int fields = 1;
	bool quoted = false, blank = true;
	size_t i = 0;
	for (; i < size && (quoted || !line_ends(line + i, 1)); i++) {
		quoted ^= line[i] == '"';
		const bool is_blank = !width && strchr(" \t", line[i]);
		if (width)
			fields += !quoted && size - i >= width && !memcmp(line + i, delimiter, width);
		else
			fields += blank && !is_blank && i;
		blank = is_blank;
	}
	*length = i + 1;
	return i < size ? fields : 0;
}

/* Before anything is taken: how many fields the first lines have. */
static void look_ahead(struct table *table)
{
	const char *bytes;
	size_t size, length;
	if (!table->delimiter || !lines_peek(table->lines, &bytes, &size))
		return;
	while (table->n_looked < LOOK_LINES && size) {
		const int fields = count_fields(bytes, size, table->delimiter, &length);
		if (!fields)
			break;
		if (length > 1)
			table->looked[table->n_looked++] = fields;
		bytes += length;
		size -= length;
	}
}

char *table_doubt(const struct table *table)
{
	int uneven = 0;
	if (!table->delimiter || !table->has_header)
		return NULL;
	if (table->n_columns == 1)
		return xstrdup("it has one column");
	if (table->n_looked < 2)
		return table->header_is_data ? NULL : xstrdup("it has one line");
	for (int i = 0; i < table->n_columns; i++)
		if (strlen(table->column[i]) > LONG_NAME)
			return xstrdup("its first line is no list of names");
	for (int i = 1; i < table->n_looked; i++)
		uneven += table->looked[i] != table->looked[0];
	if (2 * uneven < table->n_looked - 1)
		return NULL;
	struct buffer list = {0};
	for (int i = 0; i < table->n_looked && list.size < 12; i++) {
		bool is_told = false;
		for (int before = 0; before < i; before++)
			is_told |= table->looked[before] == table->looked[i];
		if (is_told)
			continue;
		char *number = xasprintf("%s%d", i ? ", " : "", table->looked[i]);
		buffer_append(&list, number, strlen(number));
		free(number);
	}
	buffer_append(&list, "", 1);
	char *doubt = xasprintf("its first lines have %s fields", list.data);
	buffer_free(&list);
	return doubt;
}

/* --- the columns --- */

/* The type behind a name of RecBole's, ":token_seq"; NULL: none. */
static const char *type_of(const char *name)
{
	static const char *const types[] = {":token", ":token_seq", ":float", ":float_seq"};
	const char *colon = strrchr(name, ':');
	for (size_t i = 0; colon && i < COUNT_OF(types); i++)
		if (!strcmp(colon, types[i]))
			return colon;
	return NULL;
}

/* Takes the names over. */
static void name_columns(struct table *table, char **names, int count)
{
	if (count > COLUMNS_MAX)
		die("%s: a header of %d columns, %d at most were expected", table_name(table), count, COLUMNS_MAX);
	table->is_sequence = xcalloc((size_t)count, sizeof *table->is_sequence);
	for (int i = 0; i < count; i++) {
		char *type = (char *)(uintptr_t)type_of(names[i]);
		if (!type)
			continue;
		table->is_sequence[i] = strstr(type, "_seq");
		*type = '\0';
	}
	table->n_columns = count;
	table->column = names;
}

static bool looks_like_number(const char *text)
{
	return *text && !text[strspn(text, "+-.:/0123456789")] && strpbrk(text, "0123456789");
}

static void read_header(struct table *table)
{
	if (!table_next(table))
		die("%s: empty, a header line was expected", table_name(table));
	table->has_header = true;
	int count = table->row.n_fields < COLUMNS_MAX ? table->row.n_fields : COLUMNS_MAX;
	char **names = xcalloc((size_t)count, sizeof *names);
	for (int i = 0; i < count; i++) {
		names[i] = xstrdup(table_field(table, i, NULL));
		table->header_is_data |= looks_like_number(names[i]);
	}
	name_columns(table, names, table->row.n_fields);
	table->row.n_kept = table->n_columns;
}

/* Names that are known before the first row. */
static void take_names(struct table *table, char *const *given)
{
	int count = 0;
	const struct strings *of_format = table->reader->names;
	while (given && given[count])
		count++;
	if (given && of_format)
		die("%s: its lines name the columns themselves, no names were expected beside them", table_name(table));
	if (of_format)
		count = (int)of_format->count;
	/* a first row that is wrong is told in its own words, as reading it dies */
	if (!count && (!table->reader->first_is_wrong || table_next(table)))
		die("%s: no line with an object of named values; before it is read: jq -c . %s >table.jsonl", table_name(table),
			container_shell_name(table_name(table)));
	char **names = xcalloc((size_t)count, sizeof *names);
	for (int i = 0; i < count; i++)
		names[i] = xstrdup(of_format ? strings_at(of_format, i) : given[i]);
	name_columns(table, names, count);
	table->row.n_kept = count;
}

struct table *table_open(const char *path, const struct table_format *format)
{
	struct table *table = xcalloc(1, sizeof *table);
	table->lines = lines_open(path, "a table as text was expected: CSV, TSV or JSON lines");
	table->skip_bad = format->skip_bad;
	choose_reader(table, format);
	look_ahead(table);
	table->row.n_kept = COLUMNS_MAX;
	table->row.start = xreallocarray(NULL, COLUMNS_MAX + 1, sizeof *table->row.start);
	table->row.is_list = xcalloc(COLUMNS_MAX, sizeof *table->row.is_list);
	if (format->columns || table->reader->names)
		take_names(table, format->columns);
	else
		read_header(table);
	return table;
}

void table_close(struct table *table)
{
	table->reader->free(table->reader);
	lines_close(table->lines);
	for (int i = 0; i < table->n_columns; i++)
		free(table->column[i]);
	free(table->column);
	free(table->delimiter);
	free(table->is_sequence);
	free(table->row.start);
	free(table->row.is_list);
	free(table->first_problem);
	buffer_free(&table->row.text);
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

bool table_is_sequence(const struct table *table, int column)
{
	return table->is_sequence[column];
}

const char *table_delimiter(const struct table *table)
{
	return table->delimiter;
}

bool table_has_header(const struct table *table)
{
	return table->has_header;
}

bool table_header_is_data(const struct table *table)
{
	return table->header_is_data;
}

int table_find(const struct table *table, const char *name)
{
	int found = -1;
	for (int i = 0; i < table->n_columns; i++) {
		if (strcmp(table->column[i], name))
			continue;
		if (found >= 0)
			die("%s: two columns are called %s; rename one of them", table_name(table), name);
		found = i;
	}
	return found;
}

char *table_column_list(const struct table *table)
{
	struct buffer list = {0};
	for (int i = 0; i < table->n_columns; i++) {
		const char *name = *table->column[i] ? table->column[i] : "-";
		buffer_append(&list, ", ", i ? 2 : 0);
		buffer_append(&list, name, strlen(name));
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

const char *table_note(const struct table *table)
{
	return table->reader->note;
}

const char *table_name(const struct table *table)
{
	return lines_name(table->lines);
}

const char *table_unpacker(const struct table *table)
{
	return lines_unpacker(table->lines);
}

void table_progress(const struct table *table, int64_t *done, int64_t *total)
{
	lines_progress(table->lines, done, total);
}
