/*
 * Quasi-Newton steps of many problems: where they have to end, and what they do with a step that leads up.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/descent.h"
#include "stream/util.h"

#define PROBLEMS 5
#define WIDTH 6

/* (v - centre) A (v - centre) / 2, A of condition 10^4: a turned diagonal. */
static double quadratic(const float *v, const double *centre, float *gradient)
{
	double value = 0, along[WIDTH], normal[WIDTH], overlap = 0;
	for (int i = 0; i < WIDTH; i++) {
		normal[i] = (i % 3 - 1.3) / 2.5;
		along[i] = (double)v[i] - centre[i];
	}
	double length = 0;
	for (int i = 0; i < WIDTH; i++)
		length += normal[i] * normal[i];
	for (int i = 0; i < WIDTH; i++)
		overlap += 2 * normal[i] * along[i] / length;
	for (int i = 0; i < WIDTH; i++)
		along[i] -= overlap * normal[i];
	double scaled[WIDTH], back = 0;
	for (int i = 0; i < WIDTH; i++) {
		scaled[i] = pow(10, 2 - .8 * i) * along[i];
		value += scaled[i] * along[i] / 2;
		back += 2 * normal[i] * scaled[i] / length;
	}
	for (int i = 0; i < WIDTH; i++)
		gradient[i] = (float)(scaled[i] - back * normal[i]);
	return value;
}

static void start(float *vector, double *centre)
{
	for (int i = 0; i < PROBLEMS * WIDTH; i++) {
		vector[i] = (float)(1 + .1 * (i * 7 % 11));
		centre[i] = (double)vector[i] + .2 * ((i * 5) % 13 - 6);
	}
}

static void test_ends_at_the_minimum(void **state)
{
	(void)state;
	const struct descent_options options = DESCENT_DEFAULTS;
	struct descent *descent = descent_new(PROBLEMS, WIDTH, &options);
	float vector[PROBLEMS * WIDTH], gradient[PROBLEMS * WIDTH];
	double centre[PROBLEMS * WIDTH], first[PROBLEMS] = {0}, before[PROBLEMS];
	start(vector, centre);
	for (int round = 0; round < 60; round++) {
		struct visit visit[PROBLEMS];
		for (int p = 0; p < PROBLEMS; p++) {
			float at[WIDTH];
			for (int i = 0; i < WIDTH; i++)
				at[i] = vector[p * WIDTH + i] + descent->step[p * WIDTH + i];
			double value = quadratic(at, centre + p * WIDTH, gradient + p * WIDTH);
			visit[p] = (struct visit){.problem = p,
				.value = value,
				.gradient = gradient + p * WIDTH,
				.vector = vector + p * WIDTH};
			if (!round)
				first[p] = value;
			before[p] = descent->value[p];
		}
		descent_step(descent, visit, PROBLEMS);
		for (int p = 0; p < PROBLEMS; p++) {
			assert_int_equal(visit[p].taken, visit[p].value < before[p]);
			assert_true(descent->value[p] <= before[p]);
		}
	}
	for (int p = 0; p < PROBLEMS; p++) {
		assert_true(descent->value[p] < 1e-7 * first[p]);
		assert_true(
			fabs(quadratic(vector + p * WIDTH, centre + p * WIDTH, gradient) - descent->value[p]) < 1e-6 * first[p]);
	}
	descent->optimiser.free(&descent->optimiser);
}

static void visit_once(struct descent *descent, double value, const float *gradient, float *vector, bool taken)
{
	struct visit visit = {.problem = 1, .value = value, .gradient = gradient, .vector = vector};
	descent_step(descent, &visit, 1);
	assert_int_equal(visit.taken, taken);
}

static double step_length(const struct descent *descent)
{
	double squares = 0;
	for (int i = 0; i < WIDTH; i++)
		squares += (double)descent->step[WIDTH + i] * (double)descent->step[WIDTH + i];
	return sqrt(squares);
}

/*
 * The first step is as long as the radius says; one that led up,
 * or to no number, is halved; too many, and all starts anew.
 */
static void test_takes_back(void **state)
{
	(void)state;
	const struct descent_options options = {.radius = .25, .memory = .98, .ridge = .03};
	struct descent *descent = descent_new(2, WIDTH, &options);
	float vector[WIDTH] = {0, 4, 0, 0, 0, 0}, downhill[WIDTH] = {1, 1, 0, 0, 0, 0}, unknown[WIDTH] = {NAN};
	visit_once(descent, 1, downhill, vector, true);
	assert_float_equal(step_length(descent), 1, 1e-5);
	assert_float_equal(vector[1], 4, 0);
	assert_float_equal(descent->step[WIDTH], descent->step[WIDTH + 1], 1e-6);
	assert_true(descent->step[WIDTH] < 0);
	visit_once(descent, 2, downhill, vector, false);
	assert_float_equal(step_length(descent), .5, 1e-5);
	visit_once(descent, .5, unknown, vector, false);
	assert_float_equal(step_length(descent), .25, 1e-5);
	visit_once(descent, NAN, downhill, vector, false);
	assert_float_equal(step_length(descent), .125, 1e-5);
	assert_float_equal(vector[1], 4, 0);
	visit_once(descent, .9, downhill, vector, true);
	assert_float_equal(vector[1], 4 - .125 / sqrt(2), 1e-5);
	double reach = sqrt((double)(vector[0] * vector[0] + vector[1] * vector[1]));
	assert_float_equal(descent->radius[1], .25 / 8 * 1.5, 1e-6);
	assert_float_equal(step_length(descent), .25 / 8 * 1.5 * reach, 1e-5);
	double shortest = 1, longest = 0;
	for (int i = 0; i < 12; i++) {
		visit_once(descent, 3, downhill, vector, false);
		shortest = fmin(shortest, step_length(descent));
		longest = fmax(longest, step_length(descent));
	}
	assert_true(shortest < 1e-3);
	assert_float_equal(longest, .25 * reach, 1e-5);
	assert_float_equal(descent->radius[0], .25, 0);
	descent->optimiser.free(&descent->optimiser);
}

/* Nothing is known yet, and the first visit sees no number. */
static void test_begins_with_no_number(void **state)
{
	(void)state;
	const struct descent_options options = DESCENT_DEFAULTS;
	struct descent *descent = descent_new(2, WIDTH, &options);
	float vector[WIDTH] = {0, 4, 0, 0, 0, 0}, downhill[WIDTH] = {1, 1, 0, 0, 0, 0}, unknown[WIDTH] = {NAN};
	visit_once(descent, 1, unknown, vector, false);
	assert_float_equal(step_length(descent), 0, 0);
	visit_once(descent, 1, downhill, vector, true);
	assert_float_equal(step_length(descent), .4, 1e-5);
	descent->optimiser.free(&descent->optimiser);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends_at_the_minimum),
		cmocka_unit_test(test_takes_back),
		cmocka_unit_test(test_begins_with_no_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
