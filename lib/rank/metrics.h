/*
 * What a server counts, as text that Prometheus reads (exposition format 0.0.4).
 */
#ifndef RECPIPE_METRICS_H
#define RECPIPE_METRICS_H

#include <stdatomic.h>

#include "stream/util.h"

#define METRICS_PATHS 16
/* clang-format off */
#define METRICS_CODES {200, 400, 404, 405, 413, 431, 500, 503}
#define METRICS_BUCKETS {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
/* clang-format on */
enum { METRICS_N_CODES = 8, METRICS_N_BUCKETS = 14 };

/* Zeroed: nothing happened yet. Any thread may count. */
struct metrics {
	atomic_llong requests[METRICS_PATHS][METRICS_N_CODES];
	atomic_llong faster[METRICS_PATHS][METRICS_N_BUCKETS + 1]; /* the last: all others */
	atomic_llong nanoseconds[METRICS_PATHS];
	atomic_llong connections, closed; /* open now; closed for being slow or the oldest of too many */
	atomic_llong taken, refused;      /* new models */
	atomic_llong unknown;             /* ids in questions */
};

/* A request was answered. path: any number below METRICS_PATHS, the same for the same path. */
void metrics_count(struct metrics *metrics, int path, unsigned code, double seconds);
/* Appends the counters. paths: by number, NULL-terminated. */
void metrics_write(struct metrics *metrics, const char *const paths[], struct buffer *text);
/* A line "name{labels} value" with its type; labels may be "". */
void metrics_gauge(struct buffer *text, const char *name, const char *labels, double value);

#endif
