/*
 * The processes of one training, on one machine or several: `mpirun -n N` of a
 * tool built with MPI=1. Everywhere else there is one rank, and all of this is nothing.
 *
 * Every rank runs the same program. Rank 0 alone reads, writes and speaks: what
 * it reads (bytes.h) the others are given, what they write goes nowhere. What ranks
 * compute apart, each its share, they sum or gather; these functions are called by
 * the main thread of all ranks, in the same order, and afterwards all hold the same bits.
 */
#ifndef RECPIPE_RANKS_H
#define RECPIPE_RANKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Before anything is read or said. The end is that of the program, and who dies ends all ranks, wherever they are.
 */
void ranks_begin(void);
/* By mpirun, whose processes cannot tell whether their output is a terminal. */
bool ranks_launched(void);
/*
 * Whether signals may be told: not by processes of mpirun, which it ends by one when any of them goes, whose line is
 * the one that counts. Before ranks_begin() too.
 */
bool ranks_speaks(void);
int ranks_index(void);
int ranks_count(void);
/* This rank's part [*from, *to) of n things alike, in multiples of unit but for the last. */
void ranks_share(int64_t n, int64_t unit, int64_t *from, int64_t *to);

/* Rank 0's bytes become everybody's. */
void ranks_copy(void *data, size_t size);
/* Each number becomes its sum over all ranks. */
void ranks_sum(double *number, int n);
void ranks_sum_floats(float *number, int64_t n);
/* Rows of `width` floats, of which this rank made [from, to) and the next one goes on: all of them. */
void ranks_gather(float *rows, int64_t width, int64_t from, int64_t to);

#endif
