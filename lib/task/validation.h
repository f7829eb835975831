/*
 * What a training is measured on after each epoch: the first users' events before the validation item, and that item.
 * Where there are several ranks (stream/ranks.h) each measures its part.
 */
#ifndef RECPIPE_VALIDATION_H
#define RECPIPE_VALIDATION_H

#include "data/sequences.h"
#include "model/model.h"
#include "rank/metric.h"
#include "stream/option.h"
#include "task/run.h"

struct validation_options {
	int64_t users;                        /* the first so many */
	enum { SEEN_REMOVE, SEEN_KEEP } seen; /* whether items of the history compete too */
};
extern const struct option validation_options[];

#define VALIDATION_MEASURES 2
#define VALIDATION_CUT 10
struct validation {
	struct validation_options options;
	struct measures measures;            /* NDCG@10 and recall@10 */
	char title[VALIDATION_MEASURES][32]; /* for people */
	int64_t rows;
	struct ragged packed; /* their histories */
	int32_t *target;      /* of each */
	/* of each: items that score above, and the same as, the target, where it is within the cut-off */
	int32_t *greater, *equal;
};

struct validation validation_new(const struct sequences *sequences, const struct validation_options *options);
void validation_free(struct validation *validation);
/* The histories of rows [from, to); borrowed. */
struct histories validation_part(const struct validation *validation, int64_t from, int64_t to);
/* The means of the measures, of the targets among all that the model ranks. False where a score is not finite. */
MUST_USE bool validation_measure(const struct validation *validation, const struct model *model,
	double measured[VALIDATION_MEASURES]);
/* How a task is to call them, if there is anything to measure; names are borrowed from the validation. */
void validation_name(const struct validation *validation, struct task *task);

#endif
