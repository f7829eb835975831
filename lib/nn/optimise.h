/*
 * AdamW, clipping by the global norm, and schedules of the learning rate, over
 * flat blocks. Every function works on a part [from, to) of the block, so that
 * workers share it.
 */
#ifndef RECPIPE_OPTIMISE_H
#define RECPIPE_OPTIMISE_H

#include "nn/params.h"

struct adamw {
	double rate, beta1, beta2, epsilon; /* defaults as PyTorch's: 1e-3, .9, .999, 1e-8 */
	double weight_decay;                /* decoupled; 0: plain Adam */
};
#define ADAMW_DEFAULTS                                                                                                 \
	{                                                                                                                  \
		.rate = 1e-3, .beta1 = .9, .beta2 = .999, .epsilon = 1e-8                                                      \
	}

/*
 * Step number `step`, from 1, with gradient x gradient_scale. As torch.optim.AdamW. False where a parameter is not finite
 * afterwards.
 */
bool adamw_update(const struct adamw *adamw, double rate, int64_t step, struct params *params, const float *gradient,
	float gradient_scale, int64_t from, int64_t to);

/* Sum of squares, in double. */
double sum_of_squares(const float *value, int64_t n);
/* What gradients are multiplied with so that their norm is at most max_norm (0: no limit); as torch's clip_grad_norm_. */
float clip_scale(double norm, double max_norm);

enum schedule { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE };
extern const char *const schedule_names[];
/* The factor of the rate at step (from 1) of total: linear warm-up, then constant or decay to 0. */
double schedule_factor(enum schedule schedule, int64_t step, int64_t warmup, int64_t total);

/*
 * Dies "WHAT NAME is not finite at step N" for the last parameter with a NaN or infinity in `block`: backward passes
 * spread it to those before.
 */
void require_finite(const struct params *params, const float *block, const char *what, int64_t step);

#endif
