/*
 * Items to leave out of a ranking: sorted, without repetitions.
 */
#ifndef RECPIPE_SEEN_H
#define RECPIPE_SEEN_H

#include <stdbool.h>
#include <stdint.h>

/* Sorts items in place, without repetitions and without the target (-1: none); returns how many are left. */
int64_t seen_tidy(int32_t *seen, int64_t n, int32_t target);
/* Whether an item is among such. */
bool seen_has(const int32_t *seen, int64_t n, int32_t item);

#endif
