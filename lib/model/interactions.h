/*
 * Who met what: users by items, each item of a history once.
 */
#ifndef RECPIPE_INTERACTIONS_H
#define RECPIPE_INTERACTIONS_H

#include "data/histories.h"
#include "model/sparse.h"

/* Ones, in rows of rising items; freed by sparse_free(). */
struct sparse interactions_of(const struct histories *histories, int64_t n_items);

#endif
