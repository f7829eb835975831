/*
 * What rec-eval says: the figures of rankings, or of two systems compared, and how they came about, as a table for
 * people, as lines, as a table of fields with tabs between (TSV), or as JSON.
 */
#ifndef RECPIPE_REPORT_H
#define RECPIPE_REPORT_H

#include <stdio.h>

#include "rank/evaluate.h"
#include "rank/runs.h"

enum report_format { REPORT_TABLE, REPORT_LINES, REPORT_TSV, REPORT_JSON };
extern const char *const report_formats[]; /* "table", "lines", "tsv", "json", NULL */

struct report {
	enum report_format format;
	enum ties ties;
	bool per_user; /* of a single run, in lines and JSON: each user's values too */
	int digits;    /* decimals of table, lines and TSV */
	int columns;   /* that a table has room for */
	int resamples; /* of the bootstrap that compares */
	uint64_t seed; /* of that */
	const struct measures *measures;
	const struct runs *runs;
};

/* A table on a terminal, unless the output is meant for elsewhere, or else lines. */
enum report_format report_default_format(bool elsewhere);
/* How wide a table may be: as the terminal is, or 80. */
int report_columns(void);

/* The means of each measure over all users and by slices: of a run, or of systems side by side. */
void report_write(FILE *out, const struct report *report);
/*
 * The difference of each system to another, whose runs these are,
 * over users and runs. Dies where they do not rank the same.
 */
void report_versus(FILE *out, const struct report *report, const struct runs *versus);
/*
 * The curves of trainings in the records of a history, as TSV: name of the stream, log, epoch, whether it was the best,
 * loss, what was measured, seconds. Dies where there is none.
 */
void report_curves(FILE *out, const json_t *history);

#endif
