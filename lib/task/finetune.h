/*
 * Recformer's two-stage fine-tuning, algorithm 1 of the paper: the softmax over the whole catalog of the cosine between
 * a history and the items, whose vectors are never trained. In the first stage they are encoded anew before every epoch;
 * the second goes on from the best model of the first with the items fixed as that model's epoch found them.
 *
 * An example is a user, whose target is drawn anew in each epoch: any training event, given those before it.
 */
#ifndef RECPIPE_FINETUNE_H
#define RECPIPE_FINETUNE_H

#include "model/recformer.h"
#include "task/run.h"

struct finetune_options {
	int64_t epochs;      /* of a stage, at most */
	int64_t patience[2]; /* of each stage: measurements without a better one */
	/*
	 * Where the public code differs from the paper: it measures every third epoch, and goes into the second stage with the
	 * first's moments and schedule.
	 */
	bool as_code;
	int64_t valid_users; /* measured on the first so many */
	bool keep_seen;      /* items of the history compete there too */
};

/*
 * The model reads the catalog already (encoder_read). Everything is borrowed. Dies where there is no training event. What the
 * model is worth before training is measured and told.
 */
struct task *finetune_task(struct model *model, struct trainer *trainer, const struct sequences *sequences,
	const struct finetune_options *options);
/* The items as the best model wants them, n_items x width; borrowed. */
const float *finetune_items(const struct task *task);

#endif
