/*
 * Recformer's two-stage fine-tuning, algorithm 1 of the paper: the softmax over the whole catalog of the cosine between
 * a history and the items, whose vectors are never trained unless that is asked for. In the first stage they are
 * encoded anew before every epoch; the second goes on from the best model of the first with the items fixed as that
 * model's epoch found them.
 *
 * An example is a user, whose target is drawn anew in each epoch: any training event, given those before it.
 */
#ifndef RECPIPE_FINETUNE_H
#define RECPIPE_FINETUNE_H

#include "model/recformer.h"
#include "task/run.h"
#include "task/validation.h"

struct stages {
	int64_t epochs[2];   /* at most */
	int64_t patience[2]; /* measurements without a better one */
};
struct finetune_options {
	/*
	 * Where the public code differs from the paper: it measures every third epoch, and goes into the second stage with
	 * the first's moments and schedule.
	 */
	bool as_code;
	int64_t second_stop_after; /* epochs of the second stage, at most */
	/*
	 * Not the paper's: in the second stage items get vectors of their own beside those of their texts (item_table.h),
	 * which are trained with the model.
	 */
	enum { VECTORS_ENCODED, VECTORS_LEARNED } item_vectors;
	struct validation_options valid;
};
extern const struct option finetune_options[];

/*
 * The model reads the catalog already (encoder_read). Everything is borrowed. Dies where there is no training event.
 * What the model is worth before training is measured and told.
 */
struct task *finetune_task(struct model *model, struct trainer *trainer, const struct sequences *sequences,
	const struct stages *stages, const struct finetune_options *options);
/* The items as the best model wants them, n_items x width; borrowed. The model has that one's parameters again. */
const float *finetune_items(struct task *task);

#endif
