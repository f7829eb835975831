/*
 * Measures of rankings that have one right answer, the held-out target: a
 * table of name, formula and function, and the rule for equal scores.
 *
 * A target's rank is not read from a list but counted: `greater` items score
 * above it and `equal` other items score the same, so it may stand on any of
 * the places greater + 1 .. greater + equal + 1. Järvelin & Kekäläinen 2002
 * (NDCG, which for one target is the discount alone), Voorhees 1999 (MRR);
 * ties as expectations: McSherry & Najork 2008.
 */
#ifndef RECPIPE_METRIC_H
#define RECPIPE_METRIC_H

#include <stdbool.h>
#include <stdint.h>

#include "stream/util.h"

#define METRIC_MAX_CUT 1000000

/* Where a target stands among items of the same score: before all, behind all, or the mean over every order. */
enum ties { TIES_BEST, TIES_WORST, TIES_AVERAGE };
extern const char *const ties_names[]; /* "best", "worst", "average", NULL */

struct metric {
	const char *name;    /* "ndcg" */
	const char *title;   /* "NDCG" */
	const char *formula; /* of one user's value; r is the rank of the target, from 1 */
	/* The value at a rank within the cut-off; behind it all are 0. NULL: a measure of all lists, not of a rank. */
	double (*value)(int64_t rank, int64_t cut);
	/* Without a cut-off, the sum of the values of ranks 1 .. n. NULL: there must be a cut-off. */
	double (*uncut)(int64_t n);
};
extern const struct metric metrics[]; /* ends with a NULL name */

/* A metric with its cut-off. */
struct measure {
	const struct metric *metric;
	int64_t cut;   /* 0: none */
	char name[40]; /* "ndcg@10", "mrr" */
	double *sum;   /* cut + 1 values: sum[r] of ranks 1 .. r; NULL without a cut-off */
};

struct measures {
	struct measure *at;
	int count;
};
/*
 * Measures from a list as users write it: "ndcg,recall@50,mrr". A name alone is meant at each of `cuts` or, where a
 * metric needs none, without one; "mrr@k" is the latter at each of them; "all" is everything. Returns NULL, or what is
 * wrong with the list, as "ndgc: no such measure; ...", to be freed.
 */
MUST_USE char *measures_parse(const char *list, const int64_t cuts[], int n_cuts, struct measures *measures);
void measures_free(struct measures *measures);

/* One user's value. greater, equal >= 0. Not for measures of lists. */
double measure_value(const struct measure *measure, int64_t greater, int64_t equal, enum ties ties);

#endif
