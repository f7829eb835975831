/*
 * A model in another catalog: what belongs to its items goes with them, by their ids; the rest stays as it is.
 */
#ifndef RECPIPE_CARRY_H
#define RECPIPE_CARRY_H

#include "model/model.h"

/*
 * The parameters of `from`, of the same architecture and config, but for dropout and the like, into a model of other
 * items: what is of an item comes from row[i] there. New items, row[i] -1, get the mean of all, with normal deviations
 * of this size where rng is not NULL. Dies where the two do not fit, naming the parameter.
 */
void model_carry(struct model *model, const struct model *from, const int32_t row[], double deviation, struct rng *rng);

#endif
