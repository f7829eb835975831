#include "nn/adamw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/vec.h"

static void reset(struct optimiser *optimiser)
{
	struct adamw *adamw = (struct adamw *)optimiser;
	size_t bytes = (size_t)adamw->params->trainable * sizeof(float);
	adamw->step = 0;
	memset(adamw->first, 0, bytes);
	memset(adamw->second, 0, bytes);
}

static void free_adamw(struct optimiser *optimiser)
{
	struct adamw *adamw = (struct adamw *)optimiser;
	free(adamw->first);
	free(adamw->second);
	free(adamw);
}

struct adamw *adamw_new(const struct adamw_options *options, struct params *params)
{
	struct adamw *adamw = xcalloc(1, sizeof *adamw);
	int64_t n = params->trainable;
	adamw->options = *options;
	adamw->params = params;
	adamw->first = xaligned((size_t)n, sizeof *adamw->first);
	adamw->second = xaligned((size_t)n, sizeof *adamw->second);
	adamw->optimiser = (struct optimiser){.states = {{"adamw.step.npy", I8, 1, &adamw->step},
											  {"adamw.first.npy", F4, n, adamw->first},
											  {"adamw.second.npy", F4, n, adamw->second}},
		.reset = reset,
		.free = free_adamw};
	return adamw;
}

bool adamw_update(struct adamw *adamw, double rate, const float *gradient, float gradient_scale, int64_t from,
	int64_t to)
{
	const struct adamw_options *options = &adamw->options;
	const double step = (double)adamw->step;
	const struct adam_factors factors = {.gradient_scale = gradient_scale,
		.beta1 = (float)options->beta1,
		.one_minus_beta1 = (float)(1 - options->beta1),
		.beta2 = (float)options->beta2,
		.one_minus_beta2 = (float)(1 - options->beta2),
		.rate = (float)(rate / (1 - pow(options->beta1, step))),
		.root = (float)(1 / sqrt(1 - pow(options->beta2, step))),
		.epsilon = (float)options->epsilon,
		.decay = (float)(rate * options->weight_decay)};
	return isfinite(vec_adam(&factors, gradient + from, adamw->first + from, adamw->second + from,
		adamw->params->value + from, to - from));
}
