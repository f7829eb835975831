#include "nn/schedule.h"

#include <math.h>
#include <stddef.h>

const char *const schedule_names[] = {"constant", "linear", "cosine", NULL};

double schedule_factor(enum schedule schedule, int64_t step, int64_t warmup, int64_t total)
{
	if (step <= warmup)
		return (double)step / (double)warmup;
	if (schedule == SCHEDULE_CONSTANT || total <= warmup)
		return 1;
	double done = step > total ? 1 : (double)(step - 1 - warmup) / (double)(total - warmup);
	return schedule == SCHEDULE_LINEAR ? 1 - done : .5 * (1 + cos(3.141592653589793 * done));
}

float clip_scale(double norm, double max_norm)
{
	return max_norm > 0 && norm > max_norm ? (float)(max_norm / (norm + 1e-6)) : 1;
}
