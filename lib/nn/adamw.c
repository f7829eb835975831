#include "nn/adamw.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/vec.h"

static void reset(struct optimiser *optimiser)
{
	struct adamw *adamw = (struct adamw *)optimiser;
	size_t bytes = (size_t)adamw->params->trainable * sizeof(float);
	adamw->step = 0;
	adamw->n_passed = 0;
	memset(adamw->first, 0, bytes);
	memset(adamw->second, 0, bytes);
}

static void free_adamw(struct optimiser *optimiser)
{
	struct adamw *adamw = (struct adamw *)optimiser;
	free(adamw->first);
	free(adamw->second);
	free(adamw->passed);
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

/*
 * A later step without a gradient moves a value by no more than `ahead` x |first| / (root(second) + epsilon) x 2^-26 of
 * this one's: the rate is at most its largest, corrections of bias shrink, and the mean of gradients decays faster than
 * the root of the mean of squares. A value of 2^26 times as much stays as it is. With weight decay none does.
 */
static float ahead_of(const struct adamw_options *options, double correction, double root)
{
	if (options->weight_decay > 0 || options->beta1 * options->beta1 > options->beta2)
		return 0;
	double ahead = options->rate * correction * root * (1 << 26);
	return ahead < (double)FLT_MAX ? (float)ahead : 0;
}

struct adam_factors adamw_factors(const struct adamw *adamw, double rate, float gradient_scale)
{
	const struct adamw_options *options = &adamw->options;
	const double step = (double)adamw->step;
	const double correction = 1 / (1 - pow(options->beta1, step)), root = 1 / sqrt(1 - pow(options->beta2, step));
	return (struct adam_factors){.gradient_scale = gradient_scale,
		.beta1 = (float)options->beta1,
		.one_minus_beta1 = (float)(1 - options->beta1),
		.beta2 = (float)options->beta2,
		.one_minus_beta2 = (float)(1 - options->beta2),
		.rate = (float)(rate / (1 - pow(options->beta1, step))),
		.root = (float)root,
		.epsilon = (float)options->epsilon,
		.decay = (float)(rate * options->weight_decay),
		.ahead = ahead_of(options, correction, root)};
}

bool adamw_update(struct adamw *adamw, double rate, const float *gradient, float gradient_scale, int64_t from,
	int64_t to)
{
	const struct adam_factors factors = adamw_factors(adamw, rate, gradient_scale);
	return isfinite(vec_adam(&factors, gradient, adamw->first + from, adamw->second + from, adamw->params->value + from,
		to - from));
}

void adamw_passed(struct adamw *adamw, double rate)
{
	if (adamw->n_passed == adamw->passed_capacity) {
		adamw->passed_capacity = adamw->passed_capacity ? 2 * adamw->passed_capacity : 256;
		adamw->passed = xreallocarray(adamw->passed, (size_t)adamw->passed_capacity, sizeof *adamw->passed);
	}
	adamw->passed[adamw->n_passed++] = adamw_factors(adamw, rate, 1);
}

void adamw_forget_passed(struct adamw *adamw)
{
	adamw->n_passed = 0;
}
