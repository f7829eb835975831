/*
 * Rows of a CSV or TSV file with a header line. The only file that knows
 * libcsv.
 *
 * CSV as in RFC 4180: fields may be quoted, quoted ones may hold line breaks, blanks around unquoted ones are
 * dropped. TSV has no quoting: a tab is always a border. Lines end with LF, CRLF or CR; blank ones are no rows; a byte
 * order mark is dropped; zstd-compressed files are read as they are.
 *
 * Every row handed out has as many fields as the header, all of them UTF-8 without NUL and at most FIELD_MAX bytes.
 * A row that is not so, or that the caller rejects, dies with "file: line, column: 'value': problem", or is counted
 * and left out (skip_bad). Lines are those of the file: a line break inside quotes counts.
 */
#ifndef RECPIPE_TABLE_H
#define RECPIPE_TABLE_H

#include "stream/util.h"

#define FIELD_MAX (1 << 20)
#define COLUMNS_MAX 4096

struct table;

/* path "-" is stdin. delimiter 0: a tab, comma, semicolon or bar, the first of these that the header has. */
struct table *table_open(const char *path, char delimiter, bool skip_bad);
void table_close(struct table *table);

int table_columns(const struct table *table);
/* Name of a column; RecBole's types (":token", ":float_seq") are taken off. Borrowed. */
const char *table_column(const struct table *table, int column);
/* The column of this name, exactly; -1: none. Dies where there are two. */
int table_find(const struct table *table, const char *name);
/* "user_id, item_id, timestamp" for messages; to be freed by the caller. */
char *table_column_list(const struct table *table);

/* The next good row; false at the end of the file. */
bool table_next(struct table *table) MUST_USE;
/* A field of the row: NUL-terminated, borrowed until table_next(). length may be NULL. */
const char *table_field(const struct table *table, int column, size_t *length);
/* The row is wrong in this column: dies, or counts it as left out. problem: "a number was expected" */
void table_reject(struct table *table, int column, const char *problem);

int64_t table_skipped(const struct table *table);
/* What was wrong with the first row left out, with its line; NULL: nothing. Borrowed. */
const char *table_first_problem(const struct table *table);
/* The path, or "stdin". */
const char *table_name(const struct table *table);
/* Bytes of the file read and in all (0: unknown). */
void table_progress(const struct table *table, int64_t *done, int64_t *total);

#endif
