/*
 * The tables that tools exchange, in memory: catalog, sequences and embedding
 * (tensor-stream(5)). A loader takes the pieces of its own group from a bag
 * and leaves others alone; zeroed is empty.
 */
#ifndef RECPIPE_TABLES_H
#define RECPIPE_TABLES_H

#include "data/strings.h"
#include "stream/bag.h"

/* Items. Without text, indptr and what follows are NULL. */
struct catalog {
	bool complete;
	char fingerprint[17]; /* of the item ids in order: what id-based models belong to */
	/* its meta.json: with text, also "attributes" (names) and "tokenizer" (fingerprint) */
	json_t *meta;
	struct strings item_id;
	int64_t n_items;
	int64_t *indptr; /* n_items + 1: tokens of item i are [indptr[i], indptr[i + 1]) */
	int32_t *input_ids;
	uint8_t *token_type_ids; /* 1 key, 2 value */
	uint8_t *attribute;      /* which attribute a token belongs to, from 0 */
	int64_t n_tokens;
};
/* Takes the piece if it is of the group "catalog". */
bool catalog_take(struct catalog *catalog, const struct piece *piece);
/* Dies, naming both, unless `fingerprint` (of a group called `what` in messages) is this catalog's. */
void catalog_require(const struct catalog *catalog, const char *fingerprint, const char *what);
void catalog_free(struct catalog *catalog);

/* Users and the items they met, oldest first. */
struct sequences {
	bool complete;
	char catalog[17]; /* fingerprint of the catalog the rows belong to */
	char id[17];      /* of this table */
	json_t *meta;     /* its meta.json: how it was made (k-core, ties, split) */
	struct strings user_id;
	int64_t n_users;
	int64_t *indptr;    /* n_users + 1 */
	int32_t *item;      /* rows of the catalog */
	int64_t *timestamp; /* or NULL */
	int64_t n_events;
	int64_t split_time; /* of a global time split; INT64_MIN: leave-one-out */
};
/* Takes the piece if it is of the group "sequences". Item rows are checked by sequences_check(). */
bool sequences_take(struct sequences *sequences, const struct piece *piece);
/* Dies unless both tables are complete, belong together, and every item is a row of the catalog. */
void sequences_check(const struct sequences *sequences, const struct catalog *catalog);
void sequences_free(struct sequences *sequences);

/* A vector for each item of a catalog. */
struct embedding {
	bool complete;
	char catalog[17]; /* fingerprint of the catalog whose rows these are */
	char id[17];      /* of this table */
	json_t *meta;     /* its meta.json: "source", and how it was made */
	int64_t rows, width;
	float *vector; /* rows x width, finite */
};
/* Takes the piece if it is of the group "embedding". */
bool embedding_take(struct embedding *embedding, const struct piece *piece);
/* Dies unless both tables are complete, belong together, and there is a vector for every item. */
void embedding_check(const struct embedding *embedding, const struct catalog *catalog);
void embedding_free(struct embedding *embedding);

/*
 * The split, the same in every tool. Leave-one-out: of a user's n >= 3 events the last is the test target, the one
 * before it the validation target, the rest is training; users with fewer events are training only. Global time split
 * at T: the test target is the user's first event at or after T, the validation target the last before T, training what
 * came before that; users with a single event before T keep it as training, users with none have no part.
 */
enum part { PART_TRAIN, PART_VALID, PART_TEST };
/* How many of the user's first events are training. */
int64_t train_length(const struct sequences *sequences, int64_t user);
/* Users with at least so many of them, to be freed; their number. */
int64_t *training_users(const struct sequences *sequences, int64_t least, int64_t *n);
/*
 * The target's index among the user's events, and so the length of its history; -1 where the user has no target of
 * this part. The history of the test target includes the validation item.
 */
int64_t target_index(const struct sequences *sequences, int64_t user, enum part part);

#endif
