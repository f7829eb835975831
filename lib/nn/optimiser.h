/*
 * What an optimiser remembers of a training, as one thing: what a checkpoint holds of it, and how it starts anew. AdamW
 * (nn/adamw.h) changes a block of parameters along one gradient, descent (nn/descent.h) many vectors along theirs; a
 * struct of either begins with this one.
 */
#ifndef RECPIPE_OPTIMISER_H
#define RECPIPE_OPTIMISER_H

#include "stream/npy.h"

/* Memory that changes in training: a member of the checkpoint. */
struct state {
	const char *name; /* the member's: "adamw.first.npy" */
	enum dtype dtype;
	int64_t count;
	void *data;
	bool grows; /* a checkpoint may have fewer, the first of them */
};

#define OPTIMISER_STATES 10
struct optimiser {
	struct state states[OPTIMISER_STATES + 1];  /* end with one without a name */
	void (*reset)(struct optimiser *optimiser); /* the states, as they were at the start */
	void (*free)(struct optimiser *optimiser);
};

#endif
