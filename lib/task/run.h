/*
 * A training from its first step to early stop: epochs over shuffled examples,
 * a validation after each, the best parameters kept; and a checkpoint from
 * which it goes on exactly, whenever it was killed. What an example, a step and
 * a validation is says the task.
 *
 *     struct task *task = next_item_task(model, ...);
 *     json_t *measured = run(task, trainer, &options, identity, &rng);
 */
#ifndef RECPIPE_RUN_H
#define RECPIPE_RUN_H

#include "nn/train.h"
#include "stream/option.h"

#define RUN_MEASURES 4
/* A task's struct begins with this one. */
struct task {
	int64_t examples; /* at most, in an epoch */
	/*
	 * what validate() measures, for people: "NDCG@10", ..., NULL; the
	 * first decides. None at all: there is nothing to validate on
	 */
	const char *measures[RUN_MEASURES + 1];
	const char *keys[RUN_MEASURES + 1]; /* the same for the history: "ndcg@10" */
	bool lower_is_better;
	/*
	 * What the training goes on from, for people: "zero-shot". It is measured before the first epoch, and kept where no
	 * epoch is better. NULL: values at random, which are worth nothing
	 */
	const char *start;
	/* that epochs are divided into, for the schedule of the learning rate; 0 and 1: one */
	int64_t stages;
	const float *best; /* set by run(): parameters of the best epoch so far */
	/*
	 * What changes in training beside the parameters and the trainer's optimiser, for the checkpoint; each may be NULL.
	 */
	const struct state *states;  /* end with one without a name */
	struct optimiser *optimiser; /* the task's own */
	/*
	 * Which examples epoch `epoch` (from 0) has, in a fixed order that depends on the state alone; returns their
	 * number, 0: the training is over. Called again where it resumes within the epoch. NULL: all of them, in every
	 * epoch.
	 */
	int64_t (*begin_epoch)(struct task *task, int64_t epoch, int64_t example[]);
	/* One update; result->loss is a sum over result->positions. Seed: of all that is random in this step. */
	void (*step)(struct task *task, struct trainer *trainer, const int64_t example[], int64_t n, uint64_t seed,
		struct step_result *result);
	/*
	 * False: nothing was measured, the latest epoch is the best. epoch: as above, for messages and state; -1: the
	 * start.
	 */
	bool (*validate)(struct task *task, struct trainer *trainer, int64_t epoch, double measured[]);
	/* What is true of all epochs, for the history; may be NULL. */
	void (*describe)(struct task *task, json_t *history);
	void (*free)(struct task *task);
};

struct run_options {
	int64_t epochs, stop_after, batch_size, patience;
	const char *checkpoint; /* file; NULL: none */
	double every;           /* seconds between checkpoints within an epoch */
	double average; /* decay of the average (nn/average.h) that is validated and kept; 0: the values themselves */
	bool resume;
};
extern const struct option
	run_options[]; /* without defaults of epochs, batch-size and patience, which a training has */
/* Of the same struct: for trainings that have a use for it. Without a default where that depends on the data: NaN. */
extern const struct option average_options[];
/* How many epochs there are to be at most. */
int64_t run_length(const struct run_options *options);
/*
 * Takes out of an identity what only says how long a training goes on: it may go on longer later. epochs_count: where a
 * single epoch does something else when --epochs is another, as by the schedule of the learning rate.
 */
void run_forget_length(json_t *identity, bool epochs_count);

/*
 * Trains; params hold the best epoch's values afterwards, or those of a start that is better. rng: draws order and
 * seeds from here on, as left by the initialisation. identity: all that decides the result, each under a name for
 * people; a checkpoint where any of it is different is refused, by these names. Returns the curve and best epoch, for
 * the history.
 *
 * The first SIGINT or SIGTERM ends it behind its step, with what
 * was best so far; then "stopped" is in what is returned.
 */
json_t *run(struct task *task, struct trainer *trainer, const struct run_options *options, const json_t *identity,
	const struct rng *rng);

#endif
