/* What becomes of learning rate and gradient before an update. */
#ifndef RECPIPE_SCHEDULE_H
#define RECPIPE_SCHEDULE_H

#include <stdint.h>

enum schedule { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE };
extern const char *const schedule_names[]; /* "constant", "linear", "cosine", NULL */
/* The factor of the rate at step (from 1) of total: linear warm-up, then constant or decay to 0. */
double schedule_factor(enum schedule schedule, int64_t step, int64_t warmup, int64_t total);

/* What a gradient is multiplied with so that its norm is at most max_norm (0: no limit); as torch's clip_grad_norm_. */
float clip_scale(double norm, double max_norm);

#endif
