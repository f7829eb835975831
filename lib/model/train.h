/*
 * Training by gradients: batches in, better parameters out.
 *
 * Workers (OpenMP threads) take fixed shares of a batch's sequences, each with
 * its own tape and gradient block; gradients are added in a fixed order: the
 * same seed and number of threads give the same bytes. Within a share a
 * worker goes through as many sequences at a time as suit the processor's caches,
 * so memory does not grow with the batch.
 *
 *     struct trainer *trainer = trainer_new(model, &options, cli.threads);
 *     trainer_step(trainer, &histories, targets, rng_next(&rng), &result);
 *
 * The whole state of a training: model->params (value, first, second), trainer->step, and the caller's own (order of
 * the data, rng): what an exact checkpoint must hold.
 */
#ifndef RECPIPE_TRAIN_H
#define RECPIPE_TRAIN_H

#include "model/model.h"
#include "nn/optimise.h"

enum loss { LOSS_CE, LOSS_SAMPLED, LOSS_BCE, LOSS_GBCE };
extern const char *const loss_names[]; /* "ce", "sampled", "bce", "gbce", NULL */

struct training_options {
	enum loss loss;
	int64_t negatives;     /* sampled: shared by a sequence, outside it, distinct; bce: outside it; gbce: any, a position's own */
	double gbce_t;         /* 0 (BCE) to 1; .75 recommended */
	struct adamw adamw;
	double clip;           /* largest global norm of the gradient; 0: none */
	enum schedule schedule;
	int64_t warmup, total; /* steps, for the schedule */
};

struct trainer {
	struct model *model;
	struct training_options options;
	int64_t step;          /* updates made; set it when resuming */
	struct trainer_state *state;
};

/* Allocates the moments where missing. Dies where the model is not trained by gradients or negatives are too many. */
struct trainer *trainer_new(struct model *model, const struct training_options *options, int threads);

struct training_result {
	double loss;           /* sum over positions; mean is loss / positions */
	int64_t positions;     /* with a target */
	double gradient_norm;  /* before clipping */
	double rate;           /* of this step */
};
/*
 * One update. targets[i] is what follows histories->item[i], -1 for no loss. Sequences are at most
 * model_max_length() long. seed: of dropout and negatives of this batch, drawn anew by the caller for every step.
 * Dies naming tensor and step where loss, gradient or parameter is not finite. Without any target nothing happens.
 */
void trainer_step(struct trainer *trainer, const struct histories *histories, const int32_t *targets, uint64_t seed,
	struct training_result *result);
/* Loss without dropout and without update, for validation; negatives from seed. */
void trainer_loss(struct trainer *trainer, const struct histories *histories, const int32_t *targets, uint64_t seed,
	struct training_result *result);
/* Floats of all gradients, summed over workers, [params->trainable], as the last step left them; for tests. */
const float *trainer_gradient(const struct trainer *trainer);
void trainer_free(struct trainer *trainer);

#endif
