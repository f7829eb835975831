/*
 * A warm start: the model of earlier data (seq-train --model) goes on with newer, whose catalog may have grown. Items
 * that it knows, by their ids, go on from where they were; new ones start from their features, or else near the mean of
 * all.
 */
#ifndef RECPIPE_WARM_H
#define RECPIPE_WARM_H

#include "task/training.h"

/* Dies where that model is of another architecture. Before options are read, which would be taken from it. */
void warm_require_architecture(const struct training_job *job);
/*
 * Options of the model that a warm start takes from the one that goes on, for what is not given: all but those that
 * begin anew, as dropout does.
 */
json_t *warm_config(const struct model_group *start);
/* Dies where options ask for another model than goes on, naming both. After the options are read. */
void warm_require(const struct training_job *job);
/* The model's parameters. Dies where no item is known, or the features are not those it was trained with. */
void warm_start(struct training_job *job, struct model *model, struct rng *rng);
/* How many items the model that goes on knows: of one that counts, and counts anew. */
void warm_tell(struct training_job *job);

#endif
