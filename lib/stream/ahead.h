/*
 * Work in batches, made by a thread that runs ahead of whoever takes them.
 *
 * What makes the maker die is said when all that was made before
 * has been taken and dealt with, as if there were no thread.
 */
#ifndef RECPIPE_AHEAD_H
#define RECPIPE_AHEAD_H

#include "stream/util.h"

struct ahead_work {
	/* Fills an emptied batch; false: nothing comes behind it. */
	bool (*make)(void *context, void *batch);
	/* Deals with a batch, in the caller's thread. */
	void (*take)(void *context, void *batch);
	void *context;
};

/*
 * Makes and takes batches to the end. batches: n of them, to be filled in turn; each is ready to be taken whenever
 * make() dies. With one there is no thread.
 */
void ahead_run(const struct ahead_work *work, void *const batches[], int n);

#endif
