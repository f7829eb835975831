/*
 * Learning what follows each position of packed sequences: the step that
 * training on users' items and on words of text have in common.
 *
 *     struct next *next = next_new(model, &options, trainer->n_workers);
 *     next_step(next, trainer, &histories, targets, rng_next(&rng), &result);
 */
#ifndef RECPIPE_NEXT_H
#define RECPIPE_NEXT_H

#include "model/model.h"
#include "nn/train.h"

enum loss { LOSS_CE, LOSS_SAMPLED, LOSS_BCE, LOSS_GBCE };
extern const char *const loss_names[]; /* "ce", "sampled", "bce", "gbce", NULL */

struct loss_options {
	enum loss loss;
	/* sampled: shared by a sequence, outside it, distinct; bce: outside it; gbce: any, a position's own */
	int64_t negatives;
	double gbce_t; /* 0 (BCE) to 1; .75 recommended */
};

extern const struct option loss_options[];

/*
 * Before trainer_new(), for steps of about so many examples and positions: where the loss reads few rows of the tables
 * of items, their gradients are by rows (nn/train.h) and the others cost nothing. Not for items with features or
 * cosines, which are made of all parameters in each step, nor with several ranks.
 */
void next_by_rows(struct model *model, const struct loss_options *options, int64_t examples, int64_t positions);

struct next;
/* Dies where the model is not trained by gradients or negatives are too few. The model is borrowed. */
struct next *next_new(struct model *model, const struct loss_options *options, int workers);
void next_free(struct next *next);
/*
 * Items that nobody met (met: by item) are no negatives: for a catalog whose items are made of features, as all that a
 * model could learn of them is to rank them behind the others.
 */
void next_leave_out_unmet(struct next *next, const int32_t met[]);

/*
 * One update by the mean loss. targets[i] is what follows histories->item[i], -1 for no loss. Sequences are at most
 * model_max_length() long. seed: of dropout and negatives of this batch, drawn anew by the caller for every step.
 * Without any target nothing happens.
 */
void next_step(struct next *next, struct trainer *trainer, const struct histories *histories, const int32_t *targets,
	uint64_t seed, struct step_result *result);
/* Loss (a sum) and positions without dropout and without update, for validation; negatives from seed. */
void next_loss(struct next *next, struct trainer *trainer, const struct histories *histories, const int32_t *targets,
	uint64_t seed, struct step_result *result);

#endif
