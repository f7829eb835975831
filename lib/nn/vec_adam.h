/*
 * The part of vec.c that makes Adam's steps: built with it, once for each level.
 */
#ifndef RECPIPE_VEC_ADAM_H
#define RECPIPE_VEC_ADAM_H

/* FLT_MIN: with an epsilon of 0, what never had a gradient moves by 0 and not by 0 / 0. */
float VEC(vec_adam)(const struct adam_factors *factors, const float *restrict gradient, float *restrict first,
	float *restrict second, float *restrict value, int64_t n)
{
	struct adam_factors f = *factors;
	float sum = 0;
	for (int64_t i = 0; i < n; i++) {
		float g = gradient[i] * f.gradient_scale;
		first[i] = f.beta1 * first[i] + f.one_minus_beta1 * g;
		second[i] = f.beta2 * second[i] + f.one_minus_beta2 * g * g;
		value[i] -= f.decay * value[i] + f.rate * first[i] / (sqrtf(second[i] + FLT_MIN) * f.root + f.epsilon);
		sum += fabsf(value[i]);
	}
	return sum;
}

/* So many parameters at a time that what a step needs stays in registers. */
enum { LANES = 16 };

/* Whether no later step without a gradient changes any of the values: see adamw.c. */
static inline bool is_still(const struct adam_factors *f, const float first[], const float second[],
	const float value[])
{
	float most = -1;
	for (int r = 0; r < LANES; r++) {
		float moves = f->ahead * fabsf(first[r]),
			  bears = fabsf(value[r]) * (sqrtf(second[r] + FLT_MIN) * f->root + f->epsilon);
		most = moves - bears > most ? moves - bears : most;
	}
	return f->ahead > 0 && most <= 0;
}

static inline __attribute__((always_inline)) void idle_step(const struct adam_factors f, const float *first,
	const float *second, const float *value, float *m, float *v, float *x)
{
	for (int r = 0; r < LANES; r++) {
		m[r] = f.beta1 * first[r];
		v[r] = f.beta2 * second[r];
		x[r] = value[r] - (f.decay * value[r] + f.rate * m[r] / (sqrtf(v[r] + FLT_MIN) * f.root + f.epsilon));
	}
}

/* Most of many steps differ by decay alone. */
static inline __attribute__((always_inline)) void idle_lanes(const struct adam_factors *restrict factors, int64_t steps,
	float *restrict first, float *restrict second, float *restrict value)
{
	enum { UNTIL_ASKED = 16 };
	float m[LANES], v[LANES], x[LANES];
	idle_step(factors[0], first, second, value, m, v, x);
	int64_t s = 1;
	while (s < steps) {
		const int64_t end = s + UNTIL_ASKED < steps ? s + UNTIL_ASKED : steps;
		for (; s < end; s++)
			idle_step(factors[s], m, v, x, m, v, x);
		if (s < steps && is_still(&factors[s - 1], m, v, x))
			break;
	}
	for (; s < steps; s++)
		for (int r = 0; r < LANES; r++) {
			m[r] *= factors->beta1;
			v[r] *= factors->beta2;
		}
	memcpy(first, m, sizeof m);
	memcpy(second, v, sizeof v);
	memcpy(value, x, sizeof x);
}

void VEC(vec_adam_idle)(const struct adam_factors *restrict factors, int64_t steps, float *restrict first,
	float *restrict second, float *restrict value, int64_t n)
{
	int64_t i = 0;
	for (; i + LANES <= n; i += LANES)
		idle_lanes(factors, steps, first + i, second + i, value + i);
	if (i == n)
		return;
	float m[LANES] = {0}, v[LANES] = {0}, x[LANES] = {0};
	const size_t bytes = (size_t)(n - i) * sizeof *m;
	memcpy(m, first + i, bytes);
	memcpy(v, second + i, bytes);
	memcpy(x, value + i, bytes);
	idle_lanes(factors, steps, m, v, x);
	memcpy(first + i, m, bytes);
	memcpy(second + i, v, bytes);
	memcpy(value + i, x, bytes);
}

#endif
