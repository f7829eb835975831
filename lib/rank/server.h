/*
 * Recommendations over HTTP (seq-rank --listen): one process, one copy of the model for all threads.
 *
 *     /recommend   {"user": ..., "history": [...], "k": ..., "exclude": [...], "why": true, "fields": [...]}: see
 *                  advisor.h
 *     /similar     {"item": ..., "k": ..., "fields": [...]}
 *     /items       {"q": ..., "k": ..., "fields": [...]}: items by words
 *     /healthz     that it answers, and what it has
 *     /metrics     for Prometheus
 *     /            a page to try it on
 *
 * The first three as JSON in a POST, or as parameters of a GET,
 * where lists are parameters that are there several times.
 */
#ifndef RECPIPE_SERVER_H
#define RECPIPE_SERVER_H

#include "rank/advisor.h"

enum {
	SERVER_LONGEST = 1000, /* answer */
	SERVER_HISTORY = 1000,
	SERVER_EXCLUDE = 10000,
	SERVER_WHY = 200 /* items of a history that are explained with */
};

/* All that a model's answers need; a newer one replaces it whole. */
struct served {
	struct advisor advisor; /* begun */
	const char *model_id;
	char *const *fields; /* where a question does not say; NULL: none */
	void (*free)(struct served *served);
};

struct server_options {
	const char *address; /* [HOST:]PORT */
	int threads;
	struct served *(*load)(void *context); /* dies where it cannot */
	void *context;
	/*
	 * A command, of this program, that ends with 0 if it can load the same; what is wrong is its last line on stderr.
	 */
	char *const *trial;
};

/*
 * Until SIGTERM or SIGINT: then all that was asked is answered. On SIGHUP loads again, beside what goes on: first in
 * another process, since what is broken ends the process that loads it, then here; questions that came before are
 * answered by what was there before. A broken model is told on stderr, and the old one stays.
 */
void server_run(const struct server_options *options);

#endif
