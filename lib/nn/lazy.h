/*
 * AdamW of a table of which a step touches few rows, without work for the others: what AdamW does to a row without a
 * gradient (its moments decay, and go on moving it) is made up for when the row is touched again, step by step with
 * those steps' factors. So every row has, whenever it is looked at, the values that the update of the whole table gives
 * it, but for the last bits where the compiler rounds the two loops differently.
 *
 *     lazy_begin(lazy);
 *     lazy_touch(lazy, slot, row, n);          // every row that the step reads, by every worker
 *     lazy_catch_up_touched(lazy);             // now they may be read
 *     ...                                      // the step's gradients, of these rows alone
 *     lazy_gather(lazy, gradients, workers);
 *     lazy_update(lazy, rate, scale, &squares);
 *     adamw_passed(adamw, rate);               // when all tables are updated
 *
 * Moments of wide rows take memory from their first gradient on alone.
 *
 * How soon it is made up for decides nothing: catching up in between, for a validation or a checkpoint, leaves every
 * later bit as it would have been.
 */
#ifndef RECPIPE_LAZY_H
#define RECPIPE_LAZY_H

#include <stdbool.h>

#include "nn/adamw.h"
#include "nn/row_gradient.h"

struct lazy;
/* param and adamw are borrowed. threads: that share the work, as many workers at most. */
struct lazy *lazy_new(struct adamw *adamw, const struct param *param, int threads);
void lazy_free(struct lazy *lazy);

/* Nothing is touched. */
void lazy_begin(struct lazy *lazy);
/* By several workers at once, each with its own slot below `threads`. Rows below 0 are left out. */
void lazy_touch(struct lazy *lazy, int slot, const int32_t *row, int64_t n);
/* Values and moments of the rows touched, up to now. Returns how many there are. */
int64_t lazy_catch_up_touched(struct lazy *lazy);
/* And of all; adamw_forget_passed() follows, when all tables are. */
void lazy_catch_up(struct lazy *lazy);
/* Puts the workers' gradients in the order of rows, earlier workers' first. They are borrowed until the update. */
void lazy_gather(struct lazy *lazy, const struct row_gradient *const gradients[], int workers);
/* Their sum's squares. */
double lazy_squares(struct lazy *lazy);
/* adamw_update() of the rows touched. Adds their gradient's squares to *squares. False where a value is not finite. */
bool lazy_update(struct lazy *lazy, double rate, float gradient_scale, double *squares);
#endif
