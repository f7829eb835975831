/*
 * Lists of recommendations as text: for people, with what the catalog says of the items, and for programs.
 *
 *     tsv    user <tab> rank <tab> item <tab> score [<tab> field ...]
 *     csv    the same behind a line of names, quoted where needed (RFC 4180)
 *     json   a line for each user: {"user": ..., "items": [{"rank": 1, "item": ..., "score": ..., field: ...}]}
 *     trec   a run for trec_eval: user Q0 item rank score run
 *     qrels  what it compares runs with, the item to be found: user 0 item 1
 */
#ifndef RECPIPE_LISTING_H
#define RECPIPE_LISTING_H

#include <stdio.h>

#include "data/catalog.h"
#include "rank/why.h"

enum listing_format { LISTING_TSV, LISTING_CSV, LISTING_JSON, LISTING_TREC, LISTING_QRELS };
#define LISTING_FORMATS "tsv", "csv", "json", "trec", "qrels" /* their names */

#define LISTING_BLANKS " \t\v\f\r\n" /* what trec and qrels have between fields */

struct listing {
	FILE *file;
	enum listing_format format;
	const char *whose;             /* what a list is for: "user"; of similar items "to" */
	const char *run_name;          /* trec */
	const struct catalog *catalog; /* with its texts where there are fields */
	char *const *fields;           /* names of attributes, NULL-terminated; NULL: none */
	bool has_why;
};

/* Dies, naming those there are, unless the catalog has the text of every field. */
void listing_check(const struct listing *listing);
/* Names of the columns, where the format has them. */
void listing_begin(const struct listing *listing);
/*
 * One list, of k places at most: items of the catalog, best first, up to the first -1. why: of each place; NULL without
 * has_why. Dies on an id that the format cannot hold.
 */
void listing_add(const struct listing *listing, const char *id, const int32_t *item, const float *score, int32_t k,
	const struct why *why);
/* The same of the item to be found, where the format is qrels. */
void listing_target(const struct listing *listing, const char *id, int32_t item);
/* What the fields say of an item of the catalog, as members of its entry; where that has the name, as NAME-2. */
void listing_set_fields(const struct listing *listing, json_t *entry, int32_t item);
/* The same list as JSON, as a server answers it. */
json_t *listing_json(const struct listing *listing, const int32_t *item, const float *score, int32_t k,
	const struct why *why);

#endif
