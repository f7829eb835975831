/*
 * The group `projector`: config.json, the ids of its items, and vectors,
 * or a network with the items' texts and the vectors of their words.
 */
#ifndef RECPIPE_PROJECTOR_GROUP_H
#define RECPIPE_PROJECTOR_GROUP_H

#include "model/projector.h"
#include "stream/bag.h"

struct projector_group {
	struct group group;
	struct projector *projector; /* whole where the group is complete */
	unsigned params;             /* which of an mlp's have come, a bit each */
	int64_t n_words;             /* in the items' texts */
};
extern const struct group_kind projector_group;
/* Dies, naming both files, unless its items are this catalog's. */
void projector_require_catalog(const struct projector_group *read, const struct catalog *catalog);
/*
 * A new projector starts from a complete one of the same LLM: a network from its network, a table's rows from those of
 * the same items. Returns which items are new to it, by item and to be freed, where only those are to be trained;
 * otherwise NULL.
 */
bool *projector_start(struct projector *projector, const struct projector_group *group, const struct catalog *catalog,
	bool only_new);
/* The projector too. */
void projector_group_free(struct projector_group *read);

/* Writes the group. Of an mlp: with the token vectors of the words that occur, so that it needs no LLM. */
void projector_write(struct bag_out *out, const struct projector *projector, uint64_t id);

#endif
