#include "nn/optimise.h"

#include <math.h>

#include "nn/vec.h"

const char *const schedule_names[] = {"constant", "linear", "cosine", NULL};

static struct adam_factors factors_of(const struct adamw *adamw, double rate, int64_t step, float gradient_scale)
{
	return (struct adam_factors){.gradient_scale = gradient_scale,
		.beta1 = (float)adamw->beta1,
		.one_minus_beta1 = (float)(1 - adamw->beta1),
		.beta2 = (float)adamw->beta2,
		.one_minus_beta2 = (float)(1 - adamw->beta2),
		.rate = (float)(rate / (1 - pow(adamw->beta1, (double)step))),
		.root = (float)(1 / sqrt(1 - pow(adamw->beta2, (double)step))),
		.epsilon = (float)adamw->epsilon,
		.decay = (float)(rate * adamw->weight_decay)};
}

bool adamw_update(const struct adamw *adamw, double rate, int64_t step, struct params *params, const float *gradient,
	float gradient_scale, int64_t from, int64_t to)
{
	struct adam_factors factors = factors_of(adamw, rate, step, gradient_scale);
	return isfinite(vec_adam(&factors, gradient + from, params->first + from, params->second + from,
		params->value + from, to - from));
}

double sum_of_squares(const float *value, int64_t n)
{
	return vec_sum_of_squares(value, n);
}

float clip_scale(double norm, double max_norm)
{
	return max_norm > 0 && norm > max_norm ? (float)(max_norm / (norm + 1e-6)) : 1;
}

double schedule_factor(enum schedule schedule, int64_t step, int64_t warmup, int64_t total)
{
	if (step <= warmup)
		return (double)step / (double)warmup;
	if (schedule == SCHEDULE_CONSTANT || total <= warmup)
		return 1;
	double done = step > total ? 1 : (double)(step - 1 - warmup) / (double)(total - warmup);
	return schedule == SCHEDULE_LINEAR ? 1 - done : .5 * (1 + cos(3.141592653589793 * done));
}

void require_finite(const struct params *params, const float *block, const char *what, int64_t step)
{
	for (int i = params->count - 1; i >= 0; i--) {
		const struct param *param = params->list[i];
		if (param->frozen)
			continue;
		for (int64_t j = 0; j < param_count(param); j++)
			if (!isfinite(block[param->offset + j]))
				die("%s %s is not finite at step %lld", what, param->name, (long long)step);
	}
}
