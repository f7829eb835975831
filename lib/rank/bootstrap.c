#include "rank/bootstrap.h"

#include <math.h>
#include <stdlib.h>

#include "stream/util.h"

/* Below this many equal values, drawing them one by one is cheaper than one binomial number. */
#define CELL_MIN 48
/* Different values are drawn a block at a time, from the first-level cache, five places to a random number. */
#define BLOCK_BITS 12
#define BLOCK (1 << BLOCK_BITS)

/*
 * The users, in parts. How many of a part a resample holds is a binomial number. Where the values of a part are all
 * equal that number is all there is to know: differences of measures at a cut-off take few values.
 */
struct part {
	const double *values;
	int64_t count;
	bool equal;
};

struct sample {
	double *values;
	struct part *parts;
	int64_t n_parts, n;
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Long runs of equal values come first, then blocks of the others. */
static struct sample sample_of(const double *difference, int64_t n)
{
	struct sample sample = {.n = n};
	sample.values = xreallocarray(NULL, (size_t)n, 2 * sizeof *sample.values);
	sample.parts = xcalloc((size_t)(n / CELL_MIN + n / BLOCK + 1), sizeof *sample.parts);
	double *sorted = sample.values + n, *others = sample.values;
	for (int64_t i = 0; i < n; i++)
		sorted[i] = difference[i];
	qsort(sorted, (size_t)n, sizeof *sorted, by_value);
	int64_t n_others = 0;
	for (int64_t from = 0, to; from < n; from = to) {
		for (to = from + 1; to < n && sorted[to] <= sorted[from];)
			to++;
		if (to - from >= CELL_MIN)
			sample.parts[sample.n_parts++] = (struct part){sorted + from, to - from, true};
		else
			for (int64_t i = from; i < to; i++)
				others[n_others++] = sorted[i];
	}
	for (int64_t i = 0; i < n_others; i += BLOCK)
		sample.parts[sample.n_parts++] = (struct part){others + i, n_others - i < BLOCK ? n_others - i : BLOCK, false};
	return sample;
}

static double log_factorial(int64_t n)
{
	int sign;
	return lgamma_r((double)n + 1, &sign); /* lgamma() writes a global */
}

/* Binomial by inversion, for n p below 10. */
static int64_t binomial_small(struct rng *rng, int64_t n, double p)
{
	double odds = p / (1 - p), start = pow(1 - p, (double)n);
	for (;;) {
		double u = rng_uniform(rng), mass = start;
		for (int64_t k = 0; k <= n; k++) {
			if (u < mass)
				return k;
			u -= mass;
			mass *= odds * (double)(n - k) / (double)(k + 1);
		}
	}
}

/* Hörmann 1993, algorithm BTRS: transformed rejection with a squeeze, for p <= 1/2 and n p of 10 or more. */
static int64_t binomial_large(struct rng *rng, int64_t n, double p)
{
	double spread = sqrt((double)n * p * (1 - p)), b = 1.15 + 2.53 * spread, a = -0.0873 + 0.0248 * b + 0.01 * p;
	double centre = (double)n * p + 0.5, squeeze = 0.92 - 4.2 / b, alpha = (2.83 + 5.1 / b) * spread;
	int64_t mode = (int64_t)(((double)n + 1) * p);
	for (;;) {
		double v = rng_uniform(rng), u = rng_uniform(rng) - 0.5, us = 0.5 - fabs(u);
		double place = floor((2 * a / us + b) * u + centre);
		if (!(place >= 0 && place <= (double)n))
			continue;
		int64_t k = (int64_t)place;
		if (us >= 0.07 && v <= squeeze)
			return k;
		double bound = log_factorial(mode) + log_factorial(n - mode) - log_factorial(k) - log_factorial(n - k) +
			(double)(k - mode) * log(p / (1 - p));
		if (log(v * alpha / (a / (us * us) + b)) <= bound)
			return k;
	}
}

static int64_t binomial(struct rng *rng, int64_t n, double p)
{
	if (n == 0 || p >= 1)
		return n;
	if (p > 0.5)
		return n - binomial(rng, n, 1 - p);
	return (double)n * p < 10 ? binomial_small(rng, n, p) : binomial_large(rng, n, p);
}

static double draw_values(const struct part *part, int64_t draws, struct rng *rng)
{
	double sum = 0;
	const double *value = part->values;
	const uint64_t mask = BLOCK - 1;
	for (; part->count == BLOCK && draws >= 5; draws -= 5) {
		uint64_t bits = rng_next(rng);
		sum += value[bits & mask] + value[bits >> BLOCK_BITS & mask] + value[bits >> 2 * BLOCK_BITS & mask] +
			(value[bits >> 3 * BLOCK_BITS & mask] + value[bits >> 4 * BLOCK_BITS & mask]);
	}
	for (; draws > 0; draws--)
		sum += value[rng_below(rng, (uint64_t)part->count)];
	return sum;
}

/* The mean of n users drawn with replacement. */
static double resample(const struct sample *sample, struct rng *rng)
{
	double sum = 0;
	int64_t draws = sample->n, users = sample->n;
	for (int64_t i = 0; i < sample->n_parts; i++) {
		const struct part *part = &sample->parts[i];
		int64_t drawn = binomial(rng, draws, (double)part->count / (double)users);
		sum += part->equal ? (double)drawn * part->values[0] : draw_values(part, drawn, rng);
		draws -= drawn;
		users -= part->count;
	}
	return sum / (double)sample->n;
}

/* How far the mean of the drawn runs is from that of all. */
static double draw_runs(const struct run_means *side, struct rng *rng)
{
	double all = 0, drawn = 0;
	if (side->count < 2)
		return 0;
	for (int i = 0; i < side->count; i++) {
		all += side->mean[i];
		drawn += side->mean[rng_below(rng, (uint64_t)side->count)];
	}
	return (drawn - all) / side->count * sqrt((double)side->count / (side->count - 1));
}

/* Linear between the two nearest of the sorted values. */
static double quantile(const double *sorted, int n, double share)
{
	double place = share * (n - 1);
	int below = (int)place;
	return below + 1 < n ? sorted[below] + (place - below) * (sorted[below + 1] - sorted[below]) : sorted[n - 1];
}

struct comparison bootstrap_paired(const double difference[], int64_t n, const struct run_means sides[2], int resamples,
	uint64_t seed)
{
	struct comparison result = {0};
	double sum = 0;
	for (int64_t i = 0; i < n; i++) {
		sum += difference[i];
		*(difference[i] > 0 ? &result.wins : difference[i] < 0 ? &result.losses : &result.ties) += 1;
	}
	result.mean = sum / (double)n;

	struct sample sample = sample_of(difference, n);
	double *means = xreallocarray(NULL, (size_t)resamples, sizeof *means);
#pragma omp parallel for schedule(static)
	for (int r = 0; r < resamples; r++) {
		struct rng rng; /* of this resample alone, whichever thread draws it */
		rng_seed(&rng, seed ^ ((uint64_t)r + 1) * UINT64_C(0xd1342543de82ef95));
		means[r] = resample(&sample, &rng);
		if (sides) {
			means[r] += draw_runs(&sides[0], &rng);
			means[r] -= draw_runs(&sides[1], &rng);
		}
	}
	int64_t farther = 0;
	for (int r = 0; r < resamples; r++)
		/* equal but for rounding counts */
		farther += fabs(means[r] - result.mean) >= fabs(result.mean) - 1e-12;
	result.p = (1 + (double)farther) / (1 + (double)resamples);
	qsort(means, (size_t)resamples, sizeof *means, by_value);
	result.low = quantile(means, resamples, 0.025);
	result.high = quantile(means, resamples, 0.975);
	free(means);
	free(sample.parts);
	free(sample.values);
	return result;
}
