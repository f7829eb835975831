/*
 * A table in a file: named columns, and rows of as many fields, whatever the format (rows.h) and the container
 * (container.h).
 *
 * JSON lines are told by the brace that the file begins with; anything else is text with a delimiter. With a delimiter
 * of one character it is CSV, but with a tab only where the first name stands in quotes: a tab never does, nor does a
 * delimiter of several characters or blanks. The first line names the columns, unless the caller does.
 *
 * Every row handed out has as many fields as there are columns, all of them UTF-8 without NUL and at most FIELD_MAX
 * bytes. A row that is not so, or that the caller rejects, dies with "file: line, column: 'value': problem", or is
 * counted and left out (skip_bad). Lines are those of the file: a line break inside quotes counts.
 */
#ifndef RECPIPE_TABLE_H
#define RECPIPE_TABLE_H

#include "data/rows.h"
#include "stream/util.h"

struct table;

struct table_format {
	/*
	 * "\t", ",", "::"; "": runs of blanks; NULL: by the first line, of a
	 * tab, "::", comma, semicolon, bar and blanks the first that it has
	 */
	const char *delimiter;
	/* Names of the columns of a file whose first line does not name them, NULL-terminated; "": no column to find */
	char *const *columns;
	bool skip_bad;
};

/* path "-" is stdin. */
struct table *table_open(const char *path, const struct table_format *format);
void table_close(struct table *table);

int table_columns(const struct table *table);
/* Name of a column; RecBole's types (":token", ":float_seq") are taken off. Borrowed. */
const char *table_column(const struct table *table, int column);
/* Whether RecBole's type says that its fields are lists (":token_seq"). */
bool table_is_sequence(const struct table *table, int column);
/* The column of this name, exactly; -1: none. Dies where there are two. */
int table_find(const struct table *table, const char *name);
/* "user_id, item_id, timestamp" for messages; to be freed by the caller. */
char *table_column_list(const struct table *table);
/* As in table_format, given or found; NULL: lines of JSON. Borrowed. */
const char *table_delimiter(const struct table *table);
/* Whether a line of the file names the columns. */
bool table_has_header(const struct table *table);
/* Whether the first line, taken for names, looks like a row of the table. */
bool table_header_is_data(const struct table *table);

/*
 * Why it is hardly a table, where none of the columns is called as usual: "it has one column", or lines of ever so many
 * fields; NULL: it looks like one. To be freed.
 */
char *table_doubt(const struct table *table);

/* The next good row; false at the end of the file. */
bool table_next(struct table *table) MUST_USE;
/* A field of the row: NUL-terminated, borrowed until table_next(). length may be NULL. */
const char *table_field(const struct table *table, int column, size_t *length);
/* Whether a field of the row was a list or an object of JSON. */
bool table_is_list(const struct table *table, int column);
/* The row is wrong in this column: dies, or counts it as left out. problem: "a number was expected" */
void table_reject(struct table *table, int column, const char *problem);
/* Where the row begins. */
int64_t table_line(const struct table *table);
/* Whether the row ended with the file, without a line break: it may have been cut off. */
bool table_open_end(const struct table *table);

int64_t table_skipped(const struct table *table);
/* What was wrong with the first row left out, with its line; NULL: nothing. Borrowed. */
const char *table_first_problem(const struct table *table);
/* What else is worth telling when all rows are read, or NULL. Borrowed. */
const char *table_note(const struct table *table);
/* The path, or "stdin". */
const char *table_name(const struct table *table);
/* As container_unpacker(). */
const char *table_unpacker(const struct table *table);
/* Bytes of the file read and in all (0: unknown). */
void table_progress(const struct table *table, int64_t *done, int64_t *total);

#endif
