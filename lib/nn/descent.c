#include "nn/descent.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/blas.h"
#include "nn/vec.h"
#include "stream/util.h"

#define PAIRS DESCENT_PAIRS
#define REFRESH 4  /* steps between two roots of C, once it changes slowly */
#define GROWTH 1.5 /* of a radius that cut short a step that led down */
#define LARGEST_RADIUS .5
#define SMALLEST_RADIUS 1e-4
#define CURVED 1e-3 /* least cosine of s and y that says something of the curvature */

/* Nothing is known of any problem. Pairs are read as far as they are kept. */
static void reset(struct optimiser *optimiser)
{
	struct descent *descent = (struct descent *)optimiser;
	size_t n = (size_t)descent->n, d = (size_t)descent->width;
	memset(descent->gradient, 0, n * d * sizeof *descent->gradient);
	memset(descent->step, 0, n * d * sizeof *descent->step);
	memset(descent->kept, 0, n * sizeof *descent->kept);
	memset(descent->moment, 0, d * d * sizeof *descent->moment);
	memset(descent->root, 0, d * d * sizeof *descent->root);
	descent->taken = 0;
	for (int64_t i = 0; i < descent->n; i++) {
		descent->value[i] = INFINITY;
		descent->radius[i] = descent->options.radius;
	}
}

static void free_descent(struct optimiser *optimiser)
{
	for (const struct state *state = optimiser->states; state->name; state++)
		if (state->data != &((struct descent *)optimiser)->taken)
			free(state->data);
	free(optimiser);
}

struct descent *descent_new(int64_t problems, int64_t width, const struct descent_options *options)
{
	struct descent *descent = xcalloc(1, sizeof *descent);
	size_t n = (size_t)problems, d = (size_t)width;
	*descent = (struct descent){.options = *options,
		.n = problems,
		.width = width,
		.gradient = xaligned(n * d, sizeof(float)),
		.step = xaligned(n * d, sizeof(float)),
		.pairs = xcalloc(n * d, 2 * PAIRS * sizeof(float)),
		.kept = xcalloc(n, sizeof(int32_t)),
		.value = xcalloc(n, sizeof(double)),
		.radius = xcalloc(n, sizeof(double)),
		.moment = xcalloc(d * d, sizeof(double)),
		.root = xcalloc(d * d, sizeof(float))};
	descent->optimiser = (struct optimiser){
		.states = {{"descent.gradient.npy", F4, problems * width, descent->gradient},
			{"descent.step.npy", F4, problems * width, descent->step},
			{"descent.pairs.npy", F4, problems * width * 2 * PAIRS, descent->pairs},
			{"descent.kept.npy", I4, problems, descent->kept}, {"descent.value.npy", F8, problems, descent->value},
			{"descent.radius.npy", F8, problems, descent->radius},
			{"descent.moment.npy", F8, width * width, descent->moment},
			{"descent.root.npy", F4, width * width, descent->root}, {"descent.taken.npy", I8, 1, &descent->taken}},
		.reset = reset,
		.free = free_descent};
	reset(&descent->optimiser);
	return descent;
}

/* --- the matrix that all share --- */

static bool is_finite(const struct visit *visit, int64_t d)
{
	return isfinite(visit->value) && isfinite(vec_sum_of_squares(visit->gradient, d));
}

/* C = memory C + (1 - memory) d mean u u^T. */
static void observe(struct descent *descent, const struct visit visit[], int64_t n)
{
	int64_t d = descent->width, used = 0;
	double memory = descent->options.memory;
	float *unit = xaligned((size_t)(n * d), sizeof *unit);
	for (int64_t i = 0; i < n; i++) {
		double norm = is_finite(&visit[i], d) ? sqrt(vec_sum_of_squares(visit[i].gradient, d)) : 0;
		if (norm > 0)
			vec_axpy((float)(1 / norm), visit[i].gradient, unit + used++ * d, d);
	}
	if (used) {
		double share = sqrt((1 - memory) * (double)d / (double)used);
		for (int64_t i = 0; i < used * d; i++)
			unit[i] *= (float)share;
		for (int64_t i = 0; i < d * d; i++)
			descent->moment[i] *= memory;
		gram(unit, used, d, d, descent->moment);
		descent->taken++;
	}
	free(unit);
}

static void take_root(struct descent *descent)
{
	int64_t n = descent->width * descent->width;
	double *moment = xreallocarray(NULL, (size_t)n, sizeof *moment);
	double correction = 1 - pow(descent->options.memory, (double)descent->taken);
	for (int64_t i = 0; i < n; i++)
		moment[i] = descent->moment[i] / correction;
	inverse_root(moment, descent->width, descent->options.ridge, 0, descent->root);
	free(moment);
}

static void apply_root(const struct descent *descent, const float *x, float *out)
{
	int64_t d = descent->width;
	blas_gemm(false, false, 1, d, d, 1, x, d, descent->root, d, 0, out, d);
}

/* --- a problem's pairs, the latest first: pair(.., 1) --- */

static float *pair(const struct descent *descent, int64_t problem, int32_t back)
{
	/* whatever a checkpoint says */
	uint32_t slot = ((uint32_t)descent->kept[problem] + PAIRS - (uint32_t)back) % PAIRS;
	return descent->pairs + (problem * PAIRS + slot) * 2 * descent->width;
}

static int32_t pairs_of(const struct descent *descent, int64_t problem)
{
	return descent->kept[problem] < PAIRS ? descent->kept[problem] : PAIRS;
}

static void keep_pair(struct descent *descent, const struct visit *visit)
{
	int64_t d = descent->width, problem = visit->problem;
	const float *before = descent->gradient + problem * d, *step = descent->step + problem * d;
	float *s = pair(descent, problem, 0), *y = s + d;
	float *change = xaligned((size_t)d, sizeof *change);
	for (int64_t i = 0; i < d; i++)
		change[i] = visit->gradient[i] - before[i];
	double curvature = (double)vec_dot(step, change, d);
	double lengths = sqrt(vec_sum_of_squares(step, d) * vec_sum_of_squares(change, d));
	if (curvature > CURVED * lengths) {
		memcpy(s, step, (size_t)d * sizeof *s);
		memcpy(y, change, (size_t)d * sizeof *y);
		descent->kept[problem] = descent->kept[problem] < 2 * PAIRS - 1 ? descent->kept[problem] + 1 : PAIRS;
	}
	free(change);
}

/* p = -H g */
static void quasi_newton(const struct descent *descent, int64_t problem, float *p)
{
	int64_t d = descent->width;
	int32_t n = pairs_of(descent, problem);
	float alpha[PAIRS + 1], *scaled = xaligned((size_t)d, sizeof *scaled);
	double gamma = 1;
	for (int64_t i = 0; i < d; i++)
		p[i] = -descent->gradient[problem * d + i];
	for (int32_t back = 1; back <= n; back++) {
		const float *s = pair(descent, problem, back), *y = s + d;
		alpha[back] = vec_dot(s, p, d) / vec_dot(s, y, d);
		vec_axpy(-alpha[back], y, p, d);
	}
	if (n) {
		const float *s = pair(descent, problem, 1), *y = s + d;
		apply_root(descent, y, scaled);
		gamma = (double)(vec_dot(s, y, d) / vec_dot(y, scaled, d));
	}
	apply_root(descent, p, scaled);
	for (int64_t i = 0; i < d; i++)
		p[i] = (float)gamma * scaled[i];
	for (int32_t back = n; back >= 1; back--) {
		const float *s = pair(descent, problem, back), *y = s + d;
		vec_axpy(alpha[back] - vec_dot(y, p, d) / vec_dot(s, y, d), s, p, d);
	}
	free(scaled);
}

/* --- steps --- */

static double length_of(const float *x, int64_t d)
{
	return sqrt(vec_sum_of_squares(x, d));
}

/* What is remembered leads nowhere. */
static void start_anew(struct descent *descent, int64_t problem)
{
	descent->kept[problem] = 0;
	descent->radius[problem] = descent->options.radius;
}

/* The step on trial is taken, or taken back. */
static void judge(struct descent *descent, struct visit *visit)
{
	int64_t d = descent->width, problem = visit->problem;
	float *step = descent->step + problem * d;
	double *radius = &descent->radius[problem], reach = *radius * length_of(visit->vector, d),
		   length = length_of(step, d);
	visit->taken = is_finite(visit, d) && visit->value < descent->value[problem];
	if (!visit->taken) {
		*radius *= length < reach ? length / reach / 2 : .5; /* half of the step, where that was shorter */
		if (*radius < SMALLEST_RADIUS)
			start_anew(descent, problem);
		return;
	}
	if (length > .9 * reach)
		*radius = fmin(GROWTH * *radius, LARGEST_RADIUS);
	vec_axpy(1, step, visit->vector, d);
	memcpy(descent->gradient + problem * d, visit->gradient, (size_t)d * sizeof(float));
	descent->value[problem] = visit->value;
}

/* Before it has a pair, a problem knows a direction and no length: it goes as far as the radius. */
static void propose(struct descent *descent, const struct visit *visit)
{
	int64_t d = descent->width, problem = visit->problem;
	float *step = descent->step + problem * d;
	quasi_newton(descent, problem, step);
	double length = length_of(step, d), limit = descent->radius[problem] * length_of(visit->vector, d);
	if (!(length > 0) || (length <= limit && descent->kept[problem]))
		return;
	for (int64_t i = 0; i < d; i++)
		step[i] *= (float)(limit / length);
}

void descent_step(struct descent *descent, struct visit visit[], int64_t n)
{
	observe(descent, visit, n);
	if (descent->taken && (descent->taken < REFRESH || descent->taken % REFRESH == 0))
		take_root(descent);
	for (int64_t i = 0; i < n; i++) {
		if (is_finite(&visit[i], descent->width) && isfinite(descent->value[visit[i].problem]))
			keep_pair(descent, &visit[i]);
		judge(descent, &visit[i]);
		propose(descent, &visit[i]);
	}
}
