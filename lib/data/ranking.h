/*
 * The table `ranking` in memory, as rec-eval asks it: where each user's target
 * stands among all items, and how much of the catalog the lists reach.
 */
#ifndef RECPIPE_RANKING_H
#define RECPIPE_RANKING_H

#include "data/tables.h"

struct ranking {
	bool complete;
	char catalog[17];  /* fingerprint of the catalog it ranks */
	json_t *meta;      /* its meta.json */
	enum part part;    /* "split": "valid" or "test" */
	bool seen_removed; /* "seen": "remove" or "keep" */
	int64_t n_items;   /* of the catalog */
	struct strings user_id;
	int64_t n_users;     /* rows */
	int32_t *target;     /* row of the catalog; -1: the user has no target */
	int32_t *greater;    /* items that score above the target */
	int32_t *equal;      /* other items that score the same */
	int64_t list_length; /* entries of each user's list of best items; 0: there are no lists */
	int32_t *best_place; /* n_items: the item's best place in any list, from 1; 0: in none */
};
/* Takes the piece if it is of the group "ranking". */
bool ranking_take(struct ranking *ranking, const struct piece *piece);
/* Dies, naming the run, unless it is complete, has users, each once, and ranks this catalog if there is one. */
void ranking_check(struct ranking *ranking, const struct catalog *catalog, const char *run);
/* How many items are among the first `cut` of any list; cut <= list_length. */
int64_t ranking_reach(const struct ranking *ranking, int64_t cut);
void ranking_free(struct ranking *ranking);

#endif
