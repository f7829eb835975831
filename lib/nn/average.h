/*
 * The moving average of what a training changes, which often ranks better than where its last steps left it (Polyak &
 * Juditsky 1992):
 *
 *     average = average + (1 - decay) x (value - average)        after every step
 *
 * At step t of the training the decay is at most t / (t + 10), so that the start is soon forgotten.
 */
#ifndef RECPIPE_AVERAGE_H
#define RECPIPE_AVERAGE_H

#include "nn/optimiser.h"
#include "nn/params.h"

struct average {
	struct params *params;
	double decay;
	float *value;           /* [params->trainable] */
	struct state states[2]; /* for a checkpoint; end with one without a name */
};

/* Of the values as they are. params is borrowed. */
struct average *average_new(struct params *params, double decay);
void average_free(struct average *average);
/* After step number `step`, from 1. */
void average_step(struct average *average, int64_t step);
/* Parameters and average change places: before somebody is to look at the average, and again afterwards. */
void average_exchange(struct average *average);

#endif
