/*
 * Training by gradients: what workers compute, summed up and applied.
 *
 * Workers (OpenMP threads) take fixed shares of a batch, each with its own
 * tape and gradient block; gradients are added in a fixed order: the same seed
 * and number of threads give the same bytes, however many there really
 * are. Of a model so large that a block for every thread would be most of its memory there is one worker, whose matrix
 * products have all threads. What is computed is a list of phases; every worker has finished one
 * before any begins the next.
 *
 * With several ranks (stream/ranks.h) the workers are those of all ranks, and
 * shares are of that many: every rank is given the whole batch, computes what its own workers
 * have of it, and makes the same update with the gradients of all. What workers of other ranks left in memory is not
 * here, unless it is gathered between two calls of trainer_compute().
 *
 *     static phase_function *const phases[] = { forward_and_backward, NULL };
 *     trainer_begin(trainer);
 *     trainer_compute(trainer, phases, task);     // more than once: gradients add up
 *     trainer_update(trainer, &result);
 *
 * Parameters by rows have no block of gradients, and no work is done for rows that a step does not touch; with several
 * ranks there are none.
 *
 * The whole state of a training: the values of params, the optimiser's states, and the caller's own (order of the data,
 * rng): what an exact checkpoint must hold.
 */
#ifndef RECPIPE_TRAIN_H
#define RECPIPE_TRAIN_H

#include "nn/adamw.h"
#include "nn/lazy.h"
#include "nn/schedule.h"
#include "nn/tape.h"
#include "stream/option.h"

struct optimisation {
	struct adamw_options adamw;
	double clip; /* largest global norm of the gradient; 0: none */
	enum schedule schedule;
	int64_t warmup, total;    /* steps, for the schedule; total is set by run() */
	enum precision precision; /* of products, from trainer_new() to trainer_free() */
};

extern const struct option optimisation_options[];
extern const struct option precision_options[]; /* the last of these alone */

/* What one thread has of its own. */
struct worker {
	struct trainer *trainer;
	int index, count; /* this one, of so many on all ranks */
	int slot;         /* its place among those of this rank */
	struct tape tape;
	float *gradient;              /* of the parameters but those by rows, [by_rows, gradients), added to */
	struct row_gradient *by_rows; /* of those, one each */
	double loss;                  /* added to */
};
typedef void phase_function(void *task, struct worker *worker);

struct trainer {
	struct params *params;
	struct optimisation options;
	struct adamw *adamw;
	int n_workers; /* of this rank */
	struct worker *workers;
	int n_parts;        /* of the parameters, one a thread */
	double *squares;    /* by part, of the summed gradient */
	struct lazy **lazy; /* of parameters by rows */
	int n_lazy;
};

/* threads: of each rank, at least 1. params is borrowed. */
struct trainer *trainer_new(struct params *params, const struct optimisation *options, int threads);
void trainer_free(struct trainer *trainer);

/* Gradients and losses become 0. */
void trainer_begin(struct trainer *trainer);
/*
 * Of parameters by rows (params_by_rows()), in a phase before the one that reads them: rows that the worker's step
 * reads of that one, or, NULL, of all; below 0 there is none. Then, between the two phases, they are caught up with
 * (nn/lazy.h).
 */
void worker_touch(struct worker *worker, const struct param *param, const int32_t *row, int64_t n);
/* And that its gradient will be about so many vectors. */
void worker_expect(struct worker *worker, const struct param *param, int64_t n);
void trainer_catch_up_touched(struct trainer *trainer);
/* All rows: before anybody but a step reads the parameters. */
void trainer_catch_up(struct trainer *trainer);
/* The phases, up to a NULL, in order. */
void trainer_compute(struct trainer *trainer, phase_function *const phases[], void *task);
/* A phase: afterwards the first worker's gradients of derived parameters are the sum of this rank's workers'. */
phase_function trainer_sum_derived;
/* Then, between phases: of all ranks'. */
void trainer_sum_ranks_derived(struct trainer *trainer);

struct step_result {
	double loss;          /* sum of the workers' */
	int64_t positions;    /* the caller's: what the loss is a sum over */
	double gradient_norm; /* before clipping */
	double rate;          /* of this step */
};
/* The update. Dies naming tensor and step where loss, gradient or parameter is not finite. */
void trainer_update(struct trainer *trainer, struct step_result *result);
/* Losses so far of all ranks, where there is no update. */
double trainer_loss(const struct trainer *trainer);
/* Gradients of all, summed, [by_rows, trainable), as the last update left them; for tests. */
const float *trainer_gradient(const struct trainer *trainer);

/*
 * The worker's share of rows that are sequences: adjacent ones, about as many tokens each. indptr: rows + 1, from any
 * base.
 */
void worker_rows(const struct worker *worker, const int64_t *indptr, int64_t rows, int64_t *first, int64_t *end);
/* Its share [*from, *to) of n things alike, in multiples of 16 but for the last. */
void worker_share(const struct worker *worker, int64_t n, int64_t *from, int64_t *to);
/* Between phases: rows x width floats, of which each worker made those of its share, or of its rows: all of them. */
void trainer_gather_shares(const struct trainer *trainer, float *floats, int64_t rows, int64_t width);
void trainer_gather_rows(const struct trainer *trainer, float *floats, const int64_t *indptr, int64_t rows,
	int64_t width);

#endif
