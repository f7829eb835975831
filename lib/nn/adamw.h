/*
 * AdamW (Loshchilov & Hutter 2019; without decay Adam, Kingma & Ba 2015),
 * as torch.optim.AdamW, over the flat block of a model's parameters.
 */
#ifndef RECPIPE_ADAMW_H
#define RECPIPE_ADAMW_H

#include "nn/optimiser.h"
#include "nn/params.h"
#include "nn/vec.h"

struct adamw_options {
	double rate, beta1, beta2, epsilon;
	double weight_decay; /* decoupled; 0: plain Adam */
};
/* As PyTorch's. */
#define ADAMW_RATE 0.001
#define ADAMW_BETA1 0.9
#define ADAMW_BETA2 0.999
#define ADAMW_EPSILON 1e-8
#define ADAMW_DEFAULTS                                                                                                 \
	{                                                                                                                  \
		.rate = ADAMW_RATE, .beta1 = ADAMW_BETA1, .beta2 = ADAMW_BETA2, .epsilon = ADAMW_EPSILON                       \
	}

struct adamw {
	struct optimiser optimiser;
	struct adamw_options options;
	struct params *params;
	int64_t step;          /* updates made */
	float *first, *second; /* moments, [params->trainable] each */
	/* of the steps that some rows of lazy tables (nn/lazy.h) have yet to make */
	struct adam_factors *passed;
	int64_t n_passed, passed_capacity;
};

/* The moments start at zero. params is borrowed. */
struct adamw *adamw_new(const struct adamw_options *options, struct params *params);
/*
 * The part [from, to) of an update, number `step` from 1, along gradient (of that part) x gradient_scale; parts may be
 * made in parallel. False where a parameter is not finite afterwards.
 */
bool adamw_update(struct adamw *adamw, double rate, const float *gradient, float gradient_scale, int64_t from,
	int64_t to);
/* What the update does, for vec_adam() and, with gradient_scale 1, for vec_adam_idle(). */
struct adam_factors adamw_factors(const struct adamw *adamw, double rate, float gradient_scale);
/* The step is made, by all but rows of lazy tables; and those have made all that there were. */
void adamw_passed(struct adamw *adamw, double rate);
void adamw_forget_passed(struct adamw *adamw);

#endif
