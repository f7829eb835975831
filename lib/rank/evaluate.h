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
 * Measures of lists need lists as long as their cut-off: the others of them are left out, or, where `run` names the
 * stream whose measures the user chose, are an error.
 */
void measures_fit_lists(struct measures *measures, const struct ranking *ranking, const char *run);

/*
 * The figures of n runs of one system: [measure][slice], memory that figures_free() frees. Measures of lists have one
 * for SLICE_ALL alone, and lists must be as long as their cut-off. 0 for slices without users.
 */
struct figures {
	double (*mean)[SLICES_MAX];
	double (*deviation)[SLICES_MAX]; /* of the runs, by n - 1; NULL: there is one */
};
struct figures figures_of(const struct ranking *const ranking[], const struct slices *const slices[], int n,
	const struct measures *measures, enum ties ties);
void figures_free(struct figures *figures);

/* Users with a target in all of n rankings, and how many more each has. */
struct pairs {
	int n;
	int64_t count;
	int64_t **row;     /* of each ranking: count rows */
	int64_t *left_out; /* of each ranking: users with a target that are not in all */
};
/* Dies, with the names of the streams, where a user has another target or no user is in all. */
struct pairs pairs_make(struct ranking *const ranking[], int n);
void pairs_free(struct pairs *pairs);

struct duel {
	double here, there;           /* means over pairs and runs; measures of lists: over all lists, and runs */
	struct comparison comparison; /* of here - there; zero for measures of lists */
};
/*
 * The first n_here rankings that the pairs were made of, which are runs of one system, against the others, of another.
 */
struct duel evaluate_pairs(struct ranking *const ranking[], int n_here, const struct pairs *pairs,
	const struct measure *measure, enum ties ties, int resamples, uint64_t seed);

#endif
