#include "nn/average.h"

#include <stdlib.h>
#include <string.h>

#include "stream/util.h"

struct average *average_new(struct params *params, double decay)
{
	struct average *average = xcalloc(1, sizeof *average);
	const int64_t n = params->trainable;
	*average = (struct average){.params = params, .decay = decay, .value = xaligned((size_t)n, sizeof(float))};
	average->states[0] = (struct state){"average.npy", F4, n, average->value};
	if (n)
		memcpy(average->value, params->value, (size_t)n * sizeof *average->value);
	return average;
}

void average_free(struct average *average)
{
	if (!average)
		return;
	free(average->value);
	free(average);
}

void average_step(struct average *average, int64_t step)
{
	const double least = (double)step / ((double)step + 10);
	const float share = (float)(1 - (average->decay < least ? average->decay : least));
	const float *value = average->params->value;
	for (int64_t i = 0; i < average->params->trainable; i++)
		average->value[i] += share * (value[i] - average->value[i]);
}

void average_exchange(struct average *average)
{
	float *value = average->params->value;
	for (int64_t i = 0; i < average->params->trainable; i++) {
		const float held = value[i];
		value[i] = average->value[i];
		average->value[i] = held;
	}
}
