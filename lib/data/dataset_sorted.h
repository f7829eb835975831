/*
 * Events that are sorted by user and time, as they come: whose
 * sequence has ended is known, and what is not sorted is told.
 */
#ifndef RECPIPE_DATASET_SORTED_H
#define RECPIPE_DATASET_SORTED_H

#include "data/dataset.h"

/*
 * Before an event is added. False: it cannot be the next: its user had events, but not the last, or its time is
 * earlier. A new user's id is added; the event's user is dataset->n_users - 1.
 */
bool sorted_follow(struct dataset *dataset, const char *id, size_t length, const struct time *time) MUST_USE;
/* Says so of a line of the table, and how to sort it. has_numbers: for times. */
_Noreturn void die_unsorted(const struct dataset *dataset, const struct table *table, const struct columns *columns,
	int64_t line, const char *id, size_t length, bool has_numbers);

#endif
