/*
 * Rankings measured: the mean of each measure over all users and over slices
 * of them, and the paired comparison of two rankings.
 */
#ifndef RECPIPE_EVALUATE_H
#define RECPIPE_EVALUATE_H

#include "data/ranking.h"
#include "rank/bootstrap.h"
#include "rank/metric.h"
#include "rank/slices.h"

/* A user's value; the user must have a target. Not for measures of lists. */
double evaluate_user(const struct ranking *ranking, int64_t row, const struct measure *measure, enum ties ties);

/*
 * Measures of lists need lists as long as their cut-off: the others of them are left out, or, where `run` names the stream whose
 * measures the user chose, are an error.
 */
void measures_fit_lists(struct measures *measures, const struct ranking *ranking, const char *run);

/*
 * mean[measure][slice], memory the caller frees. Measures of lists have one for SLICE_ALL alone, and lists must be as
 * long as their cut-off. 0 for slices without users.
 */
double (*evaluate(const struct ranking *ranking, const struct measures *measures, enum ties ties,
	const struct slices *slices))[SLICES_MAX];

/* Users with a target in both rankings, and how many are in one alone. */
struct pairs {
	int64_t count, missing_here, missing_there;
	int64_t *here, *there; /* count rows of either */
};
/* Dies, with the names of the runs, where a user has another target or no user is in both. */
struct pairs pairs_make(const struct ranking *here, struct ranking *there, const char *here_name,
	const char *there_name);
void pairs_free(struct pairs *pairs);

struct duel {
	double here, there;           /* means over the pairs; measures of lists: over all lists */
	struct comparison comparison; /* of here - there; zero for measures of lists */
};
struct duel evaluate_pairs(const struct ranking *here, const struct ranking *there, const struct pairs *pairs,
	const struct measure *measure, enum ties ties, int resamples, uint64_t seed);

#endif
