/*
 * What the records of a stream's history (bag_take_history) tell of how its groups came about. A record names the tool,
 * its version, the options that it was given, and the ids of the groups that it read and wrote.
 *
 * records: a JSON array of them. group: "model"; id: of the group, as its meta.json has it.
 */
#ifndef RECPIPE_HISTORY_H
#define RECPIPE_HISTORY_H

#include "stream/json.h"

/* The record of the tool that wrote the group; NULL: there is none. Borrowed. */
const json_t *history_writer(const json_t *records, const char *group, const char *id);
/*
 * Whether two groups are the same, or were made alike: by the same tools in the same version from the same, with the
 * same options but for seeds and threads. False where the history does not tell.
 */
bool history_alike(const json_t *records, const char *group, const char *a, const char *b);
/*
 * The options that a group was made with and that not all of n groups have, as "--arch gru --dropout 0.2", those of
 * earlier tools behind their names; to be freed. Empty: none, or the history does not tell.
 */
char *history_difference(const json_t *records, const char *group, const char *const ids[], int n, int which);

#endif
