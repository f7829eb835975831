/*
 * What a server answers to each address: from questions in JSON to replies.
 */
#ifndef RECPIPE_ENDPOINTS_H
#define RECPIPE_ENDPOINTS_H

#include "rank/find_items.h"
#include "rank/http.h"
#include "rank/server.h"
#include "rank/similar.h"

/* What is served, with what is made of it, as long as anybody uses it. */
struct holding {
	struct served *served;
	struct similar *similar;
	struct item_finder *finder;
	char **attributes; /* names, NULL-terminated */
	int users;         /* under the lock of who hands it out */
};

/* The context of the routes. */
struct endpoints {
	struct metrics metrics;
	/* What is served now; to be put back. */
	struct holding *(*take)(struct endpoints *endpoints);
	void (*put_back)(struct endpoints *endpoints, struct holding *holding);
};
extern const struct http_route endpoint_routes[];
extern const struct http_parameter endpoint_parameters[];

/* Takes what was loaded. */
struct holding *holding_new(struct served *served);
void holding_free(struct holding *holding);

/* The page at /: HTML. */
extern const char page_html[];

#endif
