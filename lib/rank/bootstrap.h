/*
 * Is run A better than run B? The mean of paired differences, a value per
 * user, with a bootstrap over users (Efron & Tibshirani 1993, ch. 13 and 16):
 * a 95 % percentile interval, and the two-sided p-value of the shift method,
 * the share of resamples whose mean is at least as far from the observed mean
 * as that is from 0 (Noreen 1989; Smucker, Allan & Carterette 2007).
 */
#ifndef RECPIPE_BOOTSTRAP_H
#define RECPIPE_BOOTSTRAP_H

#include <stdint.h>

struct comparison {
	double mean, low, high, p;
	int64_t wins, losses, ties; /* users whose difference is above, below, equal to 0 */
};
/* The means over all users of each run of a side: trainings with other seeds. */
struct run_means {
	const double *mean;
	int count;
};
/*
 * n, resamples > 0. The result depends on the seed, not on the number of threads.
 *
 * sides: of whose users the differences are the means over runs. Where a side has several runs each resample draws as
 * many of them too, with replacement, and adds how far their mean is from that of all, times sqrt(count / (count - 1)),
 * as few runs spread less than what they come from (Efron & Tibshirani 1993, ch. 5). NULL: users alone are drawn.
 */
struct comparison bootstrap_paired(const double difference[], int64_t n, const struct run_means sides[2], int resamples,
	uint64_t seed);

#endif
