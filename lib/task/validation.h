/*
 * What a training is measured on after each epoch: the first users' events before the validation item, and that item.
 * Where there are several ranks (stream/ranks.h) each measures its part.
 */
#ifndef RECPIPE_VALIDATION_H
#define RECPIPE_VALIDATION_H

#include "data/sequences.h"
#include "model/model.h"

struct validation {
	int64_t rows;
	struct ragged packed;     /* their histories */
	int32_t *target;          /* of each */
	int32_t *greater, *equal; /* of each: items that score above, and the same as, the target */
};

/* Of the first `users` users that have one. */
struct validation validation_new(const struct sequences *sequences, int64_t users);
void validation_free(struct validation *validation);
/* The histories of rows [from, to); borrowed. */
struct histories validation_part(const struct validation *validation, int64_t from, int64_t to);
/*
 * NDCG@10 and recall@10, in that order, of the targets among all that the model ranks; keep_seen: items of the history
 * compete too. False where a score is not finite.
 */
MUST_USE bool validation_measure(const struct validation *validation, const struct model *model, bool keep_seen,
	double measured[2]);

#endif
