/*
 * What rec-eval says: the figures of a ranking, or of two compared, and how they came about, as a table for people, as lines or as
 * JSON.
 */
#ifndef RECPIPE_REPORT_H
#define RECPIPE_REPORT_H

#include <stdio.h>

#include "rank/evaluate.h"

/* A ranking with what it ranks. */
struct ranked {
	struct ranking ranking;
	struct catalog catalog;
	struct sequences sequences; /* not complete: there are none, and no slices */
	const char *name;           /* of the stream, for messages */
};
void ranked_free(struct ranked *ranked);

enum report_format { REPORT_TABLE, REPORT_LINES, REPORT_JSON };
extern const char *const report_formats[]; /* "table", "lines", "json", NULL */

struct report {
	enum report_format format;
	enum ties ties;
	bool per_user; /* lines and JSON: each user's values too */
	int digits;    /* decimals of table and lines */
	int columns;   /* that a table has room for */
	int resamples; /* of the bootstrap that compares */
	uint64_t seed; /* of that */
	const struct measures *measures;
	const struct ranked *ranked;
	const struct slices *slices;
};

/* The means of each measure, over all users and by slices. */
void report_write(FILE *out, const struct report *report);
/* The difference to another ranking, over the users of both. Dies where the two do not rank the same. */
void report_versus(FILE *out, const struct report *report, struct ranked *versus);

#endif
