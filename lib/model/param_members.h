/*
 * Parameters as members of a group of the stream: NAME.npy for each.
 */
#ifndef RECPIPE_PARAM_MEMBERS_H
#define RECPIPE_PARAM_MEMBERS_H

#include "nn/params.h"
#include "stream/bag_out.h"

void params_write(struct bag_out *out, const struct params *params);
/* The index of the parameter that the member is named after, or -1. */
int params_named(const struct params *params, const char *member) MUST_USE;
/*
 * The values of the parameter that the member is named after; its index, or -1: none is. Dies where the shape differs.
 */
int params_read(struct params *params, const struct member *member) MUST_USE;

#endif
