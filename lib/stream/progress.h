/*
 * What is said to people while something runs: a line of progress, and notices. On stderr, and by whoever knows; the
 * tool's -q silences all of it.
 */
#ifndef RECPIPE_PROGRESS_H
#define RECPIPE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "stream/util.h"

extern bool progress_quiet; /* nothing is said */

/*
 * On a terminal one line redrawn a few times a second with rate and time left; otherwise a plain line
 * every half minute. `what` names the unit ("users"); total 0 means unknown.
 */
struct progress {
	const char *what;
	int64_t total;
	double started, last;
	bool drawn;
};
void progress_start(struct progress *progress, const char *what, int64_t total);
void progress_at(struct progress *progress, int64_t done, const char *note); /* note may be NULL */
void progress_end(struct progress *progress);
/* A line for people ("epoch 3 ..."); replaces a drawn progress line. */
void notice(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
