/* Gradients of operations against finite differences. With dropout too: the same key is the same mask. */
#ifndef RECPIPE_TEST_DIFFERENCES_H
#define RECPIPE_TEST_DIFFERENCES_H

#include "golden.h"
#include "nn/params.h"
#include "nn/tape.h"

struct shape {
	int64_t rows, columns; /* rows 0: a vector */
};
/* What is checked: an operation, or several, of p[0], p[1], ... */
typedef struct array *build(struct tape *tape, struct array *const p[]);

struct differences {
	const struct shape *shapes; /* of p */
	int count;                  /* 16 at most */
	double tolerance;           /* of the largest gradient */
	int64_t fixed, n_fixed;     /* numbers, counted through all of p, that are used but never learned */
};

/* A fixed random weighting of the output, as a loss; adds its gradient, where one is asked for. */
static double weigh(build *forward, struct params *params, float *gradient)
{
	struct tape tape = {0};
	float *scratch = xaligned((size_t)params->trainable, sizeof *scratch);
	struct array *p[16];
	assert_true(params->count <= (int)COUNT_OF(p));
	tape_begin(&tape, gradient ? gradient : scratch, 77, 3);
	for (int i = 0; i < params->count; i++)
		p[i] = tape_param(&tape, params->list[i]);
	struct array *out = forward(&tape, p);
	struct rng rng;
	rng_seed(&rng, 5);
	double sum = 0;
	float *dout = tape_gradient(&tape, out);
	for (int64_t i = 0; i < out->rows * out->columns; i++) {
		dout[i] = (float)rng_normal(&rng);
		sum += (double)dout[i] * (double)out->value[i];
	}
	out->touched = true;
	if (gradient)
		tape_backward(&tape);
	tape_free(&tape);
	free(scratch);
	return sum;
}

static float slope(build *forward, struct params *params, int64_t i)
{
	float held = params->value[i], step = 4e-3f;
	params->value[i] = held + step;
	double above = weigh(forward, params, NULL);
	params->value[i] = held - step;
	double below = weigh(forward, params, NULL);
	params->value[i] = held;
	return (float)((above - below) / (2 * (double)step));
}

static void differences_of(const struct differences *d, build *forward, const char *what)
{
	struct params params = {0};
	struct rng rng;
	rng_seed(&rng, 3);
	for (int i = 0; i < d->count; i++)
		params_add(&params, d->shapes[i].rows, d->shapes[i].columns, false, "p%d", i);
	params_allocate(&params);
	for (int64_t i = 0; i < params.size; i++)
		params.value[i] = (float)(.6 * rng_normal(&rng));
	float *gradient = xaligned((size_t)params.trainable, sizeof *gradient);
	float *numeric = xaligned((size_t)params.trainable, sizeof *numeric);
	weigh(forward, &params, gradient);
	for (int64_t i = 0; i < params.trainable; i++)
		if (i < d->fixed || i >= d->fixed + d->n_fixed)
			numeric[i] = slope(forward, &params, i);
	assert_near(gradient, numeric, params.trainable, d->tolerance, what);
	gradient[0] += .1f * (1 + fabsf(gradient[0])); /* the check can fail */
	assert_true(relative_difference(gradient, numeric, params.trainable) > d->tolerance);
	free(gradient);
	free(numeric);
	params_free(&params);
}

#endif
