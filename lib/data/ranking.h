/*
 * The group `ranking`: where each user's target stands among all items, and the best items. In memory, as rec-eval asks
 * it: of the lists it keeps how much of the catalog they reach.
 */
#ifndef RECPIPE_RANKING_H
#define RECPIPE_RANKING_H

#include "data/sequences.h"

struct ranking {
	struct group group;
	char catalog[17];  /* fingerprint of the catalog it ranks */
	enum part part;    /* "split": "valid" or "test" */
	bool seen_removed; /* "seen": "remove" or "keep" */
	int64_t n_items;   /* of the catalog */
	int64_t n_offered; /* "offered": of these, where some were left out */
	char offered[17];  /* "offered_items": a fingerprint of which; "": all */
	struct strings user_id;
	int64_t n_users;     /* rows */
	int32_t *target;     /* row of the catalog; -1: the user has no target */
	int32_t *greater;    /* items that score above the target */
	int32_t *equal;      /* other items that score the same */
	int64_t list_length; /* entries of each user's list of best items; 0: there are no lists */
	int32_t *best_place; /* n_items: the item's best place in any list, from 1; 0: in none */
};
extern const struct group_kind ranking_group;
/* Dies, naming the run, unless it is complete, has users, each once, and ranks this catalog if there is one. */
void ranking_check(struct ranking *ranking, const struct catalog *catalog, const char *run);
/* How many items are among the first `cut` of any list; cut <= list_length. */
int64_t ranking_reach(const struct ranking *ranking, int64_t cut);
void ranking_free(struct ranking *ranking);

/* What is ranked, by what. */
struct ranking_of {
	const struct catalog *catalog;
	const struct sequences *sequences; /* its meta */
	const char *model, *model_id;      /* its architecture, its group's id */
	enum part part;
	bool seen_removed;
	const bool *offered; /* by item; others stand behind all of these; NULL: all are */
	int k;               /* entries of the lists */
};
/* Of consecutive users. */
struct ranking_rows {
	int64_t rows;
	const char *user_id; /* NUL-terminated, one after another */
	const int32_t *target, *greater, *equal;
	int k;
	const int32_t *top_item; /* rows x k; -1: there are no more */
	const float *top_score;
};
/* Writes the group, or a shard of it: begin, rows as often as there are, then bag_end(). */
void ranking_begin(struct bag_out *out, const struct ranking_of *of, int shard, int shards);
void ranking_add(struct bag_out *out, const struct ranking_rows *rows);

#endif
