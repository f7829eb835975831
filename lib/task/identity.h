/*
 * What decides the result of a training, each part under a name for people: two trainings of one identity give the same
 * bytes, and where two differ it can be said in what. A JSON object; names of options are as people spell them, and
 * have values; other parts, as "the catalog", have fingerprints.
 */
#ifndef RECPIPE_IDENTITY_H
#define RECPIPE_IDENTITY_H

#include "stream/option.h"

/* The version, and what every training depends on; threads: of each process. */
json_t *identity_new(uint64_t seed, int threads);
/* Of a complete object of the table. */
void identity_add_options(json_t *identity, const struct option *table, const json_t *object);
/* text NULL or empty: nothing. */
void identity_add(json_t *identity, const char *name, const char *text);
/* Where a training was stopped, as run() says it: two that were stopped elsewhere are not the same. */
void identity_add_stop(json_t *identity, const json_t *measured);
uint64_t identity_fingerprint(const json_t *identity);
/* Dies with `path`, and what differs, unless it was the same. */
void identity_require(const json_t *identity, json_t *was, const char *path);

#endif
