/*
 * AdamW (Loshchilov & Hutter 2019; without decay Adam, Kingma & Ba 2015), as torch.optim.AdamW, over the flat block of a
 * model's parameters.
 */
#ifndef RECPIPE_ADAMW_H
#define RECPIPE_ADAMW_H

#include "nn/optimiser.h"
#include "nn/params.h"

struct adamw_options {
	double rate, beta1, beta2, epsilon; /* defaults as PyTorch's: 1e-3, .9, .999, 1e-8 */
	double weight_decay;                /* decoupled; 0: plain Adam */
};
#define ADAMW_DEFAULTS                                                                                                 \
	{                                                                                                                  \
		.rate = 1e-3, .beta1 = .9, .beta2 = .999, .epsilon = 1e-8                                                      \
	}

struct adamw {
	struct optimiser optimiser;
	struct adamw_options options;
	struct params *params;
	int64_t step;          /* updates made */
	float *first, *second; /* moments, [params->trainable] each */
};

/* The moments start at zero. params is borrowed. */
struct adamw *adamw_new(const struct adamw_options *options, struct params *params);
/*
 * The part [from, to) of an update, number `step` from 1, along gradient x gradient_scale; parts may be made in parallel.
 * False where a parameter is not finite afterwards.
 */
bool adamw_update(struct adamw *adamw, double rate, const float *gradient, float gradient_scale, int64_t from,
	int64_t to);

#endif
