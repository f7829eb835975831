/*
 * Times of events, however they are written: numbers of seconds, or of a finer unit, and dates.
 */
#ifndef RECPIPE_TIMES_H
#define RECPIPE_TIMES_H

#include "data/table.h"

struct time {
	int64_t seconds;      /* since 1970 */
	uint32_t nanoseconds; /* below a thousand million */
};

enum time_unit { UNIT_UNKNOWN, UNIT_SECONDS, UNIT_MILLISECONDS, UNIT_MICROSECONDS, UNIT_NANOSECONDS };

/*
 * A number, whole or decimal, or an ISO 8601 date with or without time and zone (2011-11-21, 2011/11/21 08:26,
 * 2011-11-21T08:26:07.5+01:00; Z, UTC, GMT and " +0100" too; 24:00:00 ends the day; UTC where no zone is given). A
 * number's unit is told by its size: from 10^11 on it is milliseconds, from 10^14 microseconds, from 10^17 nanoseconds.
 * *unit (may be NULL) says which; UNIT_UNKNOWN for numbers below 10^8, which any of them may be, and count as seconds.
 */
bool parse_time(const char *text, struct time *time, enum time_unit *unit) MUST_USE;

/*
 * A time in a given form: "s", "ms", "us" or "ns", numbers of these; anything else is a form of strptime(3) in the C
 * locale, with %f for decimals of a second, and %z and %Z for a zone (+hhmm, Z, UTC, GMT).
 */
bool parse_time_as(const char *format, const char *text, struct time *time) MUST_USE;
/* NULL: it may be used with parse_time_as(); else what is wrong with it. */
const char *time_format_problem(const char *format);

/* The column of the time in tables that are read one after the other; zeroed, but for the format, is a new one. */
struct time_column {
	const char *format;  /* NULL: by parse_time() */
	enum time_unit unit; /* of the first time that tells it */
	char *first;         /* where that was: "line 2 of sales.csv" */
	bool of_day;         /* some time is no whole day */
	int64_t n_times;

	struct odd_times {
		int64_t n;
		char *first;          /* "line 3 of sales.csv: '-1'" */
	} before_1970, from_2100; /* which may stand for none: 9999-12-31 */

	/* of the table being read */
	int64_t n_numbers, n_compact; /* of these, those that are dates as well, as 20191001 */
	int64_t compact_line;
	char *compact;
	size_t shortest; /* bytes */
};
/* Reads the row's time. A row whose time is none, or in another unit than those before, is rejected: false. */
bool time_column_read(struct time_column *times, struct table *table, int column, struct time *time) MUST_USE;
/* The table is read: dies where its numbers may as well be dates. */
void time_column_end_table(struct time_column *times, const struct table *table, int column);
/* "milliseconds", or what else finer than seconds its numbers were taken for; NULL: they were not. */
const char *time_column_unit(const struct time_column *times);
/* Whether the table being read has numbers for times. */
bool time_column_is_number(const struct time_column *times);
void time_column_free(struct time_column *times);

#endif
