/*
 * The state of a training in a file: a stream with one group, `checkpoint`, and a member for each state.
 */
#ifndef RECPIPE_CHECKPOINT_H
#define RECPIPE_CHECKPOINT_H

#include "nn/optimiser.h"
#include "stream/json.h"

/* lists: of states, each ending with one without a name; the lists end with NULL. identity: see identity.h. */
void checkpoint_write(const char *path, const json_t *identity, const struct state *const lists[]);
/*
 * Into the memory of the states. Dies where the checkpoint has another identity, naming what differs, lacks a state or
 * has one that is not listed or of another size, unless it is one that grows and is shorter there.
 */
void checkpoint_read(const char *path, const json_t *identity, const struct state *const lists[]);

#endif
