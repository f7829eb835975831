/*
 * Parameters' initial values: those of numbers drawn one by one, to the last bit.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/params.h"
#include "nn/vec.h"

static void normal_values_are_those_drawn_one_by_one(void **state)
{
	(void)state;
	static const double deviations[] = {.02, 1, 1 / 3.0, 1e-30};
	for (enum cpu level = CPU_NONE; level < N_CPU && cpu_use(level); level++)
		for (size_t i = 0; i < COUNT_OF(deviations); i++) {
			struct params params = {0};
			struct rng rng, other;
			rng_seed(&rng, i);
			other = rng;
			const struct param *param = params_add(&params, 9973, 7, false, "x");
			params_allocate(&params);
			param_normal(params.list[0], &rng, deviations[i]);
			for (int64_t j = 0; j < param_count(param); j++) {
				const float one = (float)(deviations[i] * rng_normal(&other));
				assert_memory_equal(&param->value[j], &one, sizeof one);
			}
			assert_memory_equal(&rng, &other, sizeof rng);
			params_free(&params);
		}
	cpu_use(cpu_best());
}

/* Deviations that bring numbers to the middle of two floats, where the last bit of a double decides. */
static void what_could_be_rounded_otherwise_is_not_sure(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, 5);
	for (enum cpu level = CPU_NONE; level < N_CPU && cpu_use(level); level++)
		for (int i = 0; i < 2000; i++) {
			const double u = rng_uniform(&rng), v = rng_uniform(&rng), normal = normal_of(u, v);
			const float below = 1.5f, above = nextafterf(below, 2);
			float value;
			vec_normal(&u, &v, ((double)below + (double)above) / 2 / normal, &value, 1);
			assert_true(value == VEC_NORMAL_UNSURE);
			vec_normal(&u, &v, (double)below / normal, &value, 1);
			assert_true(value == below || fabs(normal) < .02);
		}
	cpu_use(cpu_best());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normal_values_are_those_drawn_one_by_one),
		cmocka_unit_test(what_could_be_rounded_otherwise_is_not_sure),
	};
	return cmocka_run_group_tests_name("params", tests, NULL, NULL);
}
