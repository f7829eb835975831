/*
 * The task of sequence models: from a user's training events up to each, the
 * next one. Validated by ranking the whole catalog for the validation item;
 * the test item is never looked at (the split: data/sequences.h).
 */
#ifndef RECPIPE_NEXT_ITEM_H
#define RECPIPE_NEXT_ITEM_H

#include "data/sequences.h"
#include "stream/option.h"
#include "task/next.h"
#include "task/run.h"
#include "task/validation.h"

/* What becomes of a history anew in every step; all 0: nothing. */
struct augmentation {
	double item_dropout; /* probability of each event to be left out; where less than two would stay, none is */
	double reversal;     /* of the history to be read from its end (as Jiang et al., BiCAT, arXiv 2112.06460) */
};
extern const struct option augmentation_options[];

struct next_item_options {
	struct loss_options loss;
	struct augmentation augmentation;
	struct validation_options valid;
};

/* Dies where nobody has two training events. Everything is borrowed. */
struct task *next_item_task(struct model *model, const struct sequences *sequences,
	const struct next_item_options *options, int workers);
/* Before trainer_new(): see next_by_rows(). */
void next_item_by_rows(struct task *task, int64_t batch_size);
/* Users and positions there are to learn from, and users validated on. */
void next_item_counts(const struct task *task, int64_t *users, int64_t *positions, int64_t *validated);

#endif
