/*
 * Users ranked some at a time: their histories packed, and the answers for all of them.
 */
#ifndef RECPIPE_BATCH_H
#define RECPIPE_BATCH_H

#include "data/histories.h"
#include "rank/recommend.h"

struct batch {
	int64_t rows, capacity;
	int32_t k;
	struct buffer user_id; /* NUL-terminated, one after another */
	struct ragged histories;
	int32_t *target;                     /* -1: there is none */
	int32_t *greater, *equal, *top_item; /* of targets; rows x k */
	float *top_score;
};

/* Room for as many users as fit into bounded memory, at most `users`. The sequences say whether there are times. */
struct batch batch_new(const struct sequences *sequences, int64_t users, int32_t k);
void batch_free(struct batch *batch);
/* A user's first `length` events. with_target: the event behind them is the one to be found. */
void batch_add(struct batch *batch, const struct sequences *sequences, int64_t user, int64_t length, bool with_target);
/* Somebody of whom nothing is known. */
void batch_add_unknown(struct batch *batch, const char *user_id);
/*
 * Where all users of a batch have targets: these are never left
 * out, and what is above them is counted where it is asked for.
 */
enum batch_targets { TARGETS_NONE, TARGETS_KEPT, TARGETS_COUNTED };
/* Answers. Dies, naming the user, on scores not finite. */
void batch_rank(struct batch *batch, const struct recommender *recommender, enum batch_targets targets, bool keep_seen);
void batch_clear(struct batch *batch);

#endif
