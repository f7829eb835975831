/*
 * Rows of fields out of a file: the border between the formats, a file each
 * (rows_csv.c, rows_split.c, rows_json.c), and what reads tables (table.h).
 */
#ifndef RECPIPE_ROWS_H
#define RECPIPE_ROWS_H

#include "data/lines.h"
#include "data/strings.h"

#define FIELD_MAX (1 << 20) /* bytes */
#define ROW_MAX (64 << 20)
#define COLUMNS_MAX 4096

struct row {
	struct buffer text; /* the fields, each with a NUL */
	size_t *start;      /* of each field in text; one more than are kept; room for COLUMNS_MAX + 1 */
	bool *is_list;      /* by field: it was a list or an object of JSON */
	int n_fields;       /* may exceed n_kept: further ones are counted alone */
	int n_kept;         /* how many are kept */
	int64_t line;       /* where it begins */
	bool is_text;       /* it was not taken apart, as it is no text of its format: a piece of it is its one field */
	bool open_end;      /* it ends with the file, without a line break */

	char problem[160];    /* "": none that the format knows of */
	int problem_column;   /* -1: in the whole row, whose first field is a piece of it */
	bool is_fatal;        /* where the next row begins cannot be told */
	int64_t problem_line; /* where to look; the row may have begun before */
};

/* Empties the row, for the next one. */
void row_begin(struct row *row);
/* Appends a field. One that is too long, or holds a NUL, is a problem of the row. */
void row_add(struct row *row, const char *text, size_t length, int64_t line);
/* The row is not what the format asks for, in the column that would come next; the first problem stays. */
void row_fail(struct row *row, int64_t line, const char *format, ...) PRINTF_LIKE(3, 4);
int row_kept(const struct row *row);

/* A format's reader, made on a file's lines that nothing was taken of; they are borrowed. */
struct row_reader {
	/* The next row; false at the end of the file. One with a problem is handed out, too; reading goes on behind it. */
	bool (*next)(struct row_reader *reader, struct row *row);
	void (*free)(struct row_reader *reader);
	const struct strings *names; /* of the columns, where the format has them; NULL: in the first row */
	char *note;                  /* what is worth telling when all is read, or NULL */
	bool first_is_wrong;         /* where there are no names: the first row has a problem */
};

/*
 * CSV as in RFC 4180, with leniencies: blanks around unquoted fields are dropped; a quote inside a field that does not
 * begin with one is a character; what follows a closing quote belongs to the field, without that quote, as far as the
 * line goes (as Python's csv module reads both). Quoted fields may hold line breaks.
 */
struct row_reader *csv_reader(struct lines *lines, char delimiter);
/*
 * Every delimiter is a border, whatever its length; "": runs of blanks and tabs are, and those at the ends are dropped.
 */
struct row_reader *split_reader(struct lines *lines, const char *delimiter);
/*
 * An object a line, JSON or as Python prints a dict. The columns are the keys of the first thousand lines, in the order
 * of their appearance; what a line lacks is empty, and the first of the keys that come later is noted. Lists are their
 * elements joined by ", ", objects the same of "key: value".
 */
struct row_reader *json_reader(struct lines *lines);

#endif
