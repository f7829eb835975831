/*
 * The group `sequences`: users and the items they met, oldest first; and which of these are held out.
 */
#ifndef RECPIPE_SEQUENCES_H
#define RECPIPE_SEQUENCES_H

#include "data/catalog.h"
#include "stream/spool.h"

/* What is kept from training: each user's last events, those from a time on, or nothing. */
enum holdout { HOLDOUT_LAST, HOLDOUT_TIME, HOLDOUT_NONE };
extern const char *const holdout_names[]; /* "last", "time", "none" */

struct sequences {
	struct group group; /* meta: how they were made (k-core, ties, split) */
	char catalog[17];   /* fingerprint of the catalog the rows belong to */
	struct strings user_id;
	int64_t n_users;
	int64_t *indptr;      /* n_users + 1 */
	int32_t *item;        /* rows of the catalog */
	int64_t *timestamp;   /* or NULL */
	struct ragged events; /* how those three grow */
	int64_t n_events;
	enum holdout holdout;
	int64_t split_time; /* of HOLDOUT_TIME */
};
/* Item rows are checked by sequences_check(). */
extern const struct group_kind sequences_group;
/* Dies unless both groups are complete, belong together, and every item is a row of the catalog. */
void sequences_check(const struct sequences *sequences, const struct catalog *catalog);
void sequences_free(struct sequences *sequences);

/*
 * The same, for whoever takes users chunk by chunk, but must read the rest of the stream first: chunks are kept aside
 * (stream/spool.h) as they come.
 */
struct kept_sequences {
	struct sequences part; /* the chunk at hand */
	int64_t n_users;       /* of all chunks */
	struct spool spool;
	bool is_replayed;
};
extern const struct group_kind kept_sequences_group;
/* The next chunk, checked as by sequences_check(); false after the last, behind which the first one comes again. */
bool sequences_next(struct kept_sequences *kept, const struct catalog *catalog) MUST_USE;
void kept_sequences_free(struct kept_sequences *kept);

struct dataset;
struct dataset_facts;
/*
 * Writes the group. facts: dataset_describe()'s. split_time is for HOLDOUT_TIME. `how` they were made goes into
 * meta.json (reference stolen).
 */
void sequences_write(struct bag_out *out, struct dataset *dataset, const struct dataset_facts *facts,
	enum holdout holdout, int64_t split_time, json_t *how);

/*
 * The split, the same in every tool. Leave-one-out: of a user's n >= 3 events the last is the test target, the one
 * before it the validation target, the rest is training; users with fewer events are training only. Global time split
 * at T: the test target is the user's first event at or after T, the validation target the last before T, training what
 * came before that; users with a single event before T keep it as training, users with none have no part. With nothing
 * held out all events are training, and nobody has a target.
 */
enum part { PART_TRAIN, PART_VALID, PART_TEST, PART_NEXT };
extern const char *const part_names[]; /* "train", "valid", "test", "next" */
/* How many of the user's first events are training. */
int64_t train_length(const struct sequences *sequences, int64_t user);
/* By item of n_items, how many training events have it; to be freed. */
int32_t *training_counts(const struct sequences *sequences, int64_t n_items);
/* Users with at least so many of them, to be freed; their number. */
int64_t *training_users(const struct sequences *sequences, int64_t least, int64_t *n);
/*
 * The target's index among the user's events, and so the length of its history; -1 where the user has no target of
 * this part. The history of the test target includes the validation item. What is next stands behind all events.
 */
int64_t target_index(const struct sequences *sequences, int64_t user, enum part part);

#endif
