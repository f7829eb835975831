/*
 * Events to sequences, and what is left out of them: the steps of dataset_filter()
 * and of dataset_end_part(), on what is in memory.
 */
#ifndef RECPIPE_DATASET_ORDER_H
#define RECPIPE_DATASET_ORDER_H

#include "data/dataset.h"

/*
 * The events held become dataset->part, of the users from first_user to dataset->n_users. Events of the same user, item
 * and time are counted; by DUPLICATES_EXACT the first of them alone stays.
 */
void part_order(struct dataset *dataset, int64_t first_user);
/* FIRST and LAST. */
void part_deduplicate(struct dataset *dataset);
/* Drops events of users and items that have too few, over and over. Returns how often something went. */
int part_core(struct dataset *dataset);
/* Forgets users without events. */
void part_skip_users(struct dataset_part *part);
void part_free(struct dataset_part *part);

#endif
