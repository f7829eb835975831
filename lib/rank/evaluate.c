#include "rank/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double evaluate_user(const struct ranking *ranking, int64_t row, const struct measure *measure, enum ties ties)
{
	return measure_value(measure, ranking->greater[row], ranking->equal[row], ties);
}

static double reach_share(const struct ranking *ranking, int64_t cut)
{
	return (double)ranking_reach(ranking, cut) / (double)ranking->n_items;
}

static void mean_by_slice(const struct ranking *ranking, const struct measure *measure, enum ties ties,
	const struct slices *slices, double mean[SLICES_MAX])
{
	for (int64_t row = 0; row < ranking->n_users; row++) {
		if (ranking->target[row] < 0)
			continue;
		double value = evaluate_user(ranking, row, measure, ties);
		mean[SLICE_ALL] += value;
		if (slices->count == 1)
			continue;
		mean[slices->by_target[row]] += value;
		mean[slices->by_history[row]] += value;
		if (slices->by_target[row] != SLICE_COLD)
			mean[SLICE_IN_SET] += value;
	}
	for (int slice = 0; slice < slices->count; slice++)
		if (slices->users[slice])
			mean[slice] /= (double)slices->users[slice];
}

void measures_fit_lists(struct measures *measures, const struct ranking *ranking, const char *run)
{
	int kept = 0;
	for (int i = 0; i < measures->count; i++) {
		struct measure *measure = &measures->at[i];
		bool short_lists = !measure->metric->value && measure->cut > ranking->list_length;
		if (short_lists && run)
			die("%s: %s: the ranking holds the best %s of each user; rank with -k %lld or more", run, measure->name,
				counted(ranking->list_length, "items"), (long long)measure->cut);
		if (!short_lists)
			measures->at[kept++] = *measure;
	}
	measures->count = kept;
}

static double (*evaluate(const struct ranking *ranking, const struct measures *measures, enum ties ties,
	const struct slices *slices))[SLICES_MAX]
{
	double(*mean)[SLICES_MAX] = xcalloc((size_t)measures->count, sizeof *mean);
	for (int i = 0; i < measures->count; i++) {
		const struct measure *measure = &measures->at[i];
		if (measure->metric->value)
			mean_by_slice(ranking, measure, ties, slices, mean[i]);
		else
			mean[i][SLICE_ALL] = reach_share(ranking, measure->cut);
	}
	return mean;
}

struct figures figures_of(const struct ranking *const ranking[], const struct slices *const slices[], int n,
	const struct measures *measures, enum ties ties)
{
	struct figures figures = {.mean = evaluate(ranking[0], measures, ties, slices[0])};
	if (n == 1)
		return figures;
	figures.deviation = xcalloc((size_t)measures->count, sizeof *figures.deviation);
	/* Welford's: mean and sum of squares around it, run by run */
	for (int run = 1; run < n; run++) {
		double(*more)[SLICES_MAX] = evaluate(ranking[run], measures, ties, slices[run]);
		for (int i = 0; i < measures->count; i++)
			for (int slice = 0; slice < SLICES_MAX; slice++) {
				double before = more[i][slice] - figures.mean[i][slice];
				figures.mean[i][slice] += before / (run + 1);
				figures.deviation[i][slice] += before * (more[i][slice] - figures.mean[i][slice]);
			}
		free(more);
	}
	for (int i = 0; i < measures->count; i++)
		for (int slice = 0; slice < SLICES_MAX; slice++)
			figures.deviation[i][slice] = sqrt(figures.deviation[i][slice] / (n - 1));
	return figures;
}

void figures_free(struct figures *figures)
{
	free(figures->mean);
	free(figures->deviation);
}

/* --- pairs --- */

/* The user's row in another ranking, where it has a target; -1: it has none, or is not there. */
static int64_t same_user(const struct ranking *first, int64_t row, struct ranking *other)
{
	const char *user = strings_at(&first->user_id, row);
	int64_t found = strings_find(&other->user_id, user, strlen(user));
	if (found < 0 || other->target[found] < 0)
		return -1;
	if (other->target[found] != first->target[row])
		die("%s and %s: user %s has another target", group_source(&first->group), group_source(&other->group), user);
	return found;
}

struct pairs pairs_make(struct ranking *const ranking[], int n)
{
	const struct ranking *first = ranking[0];
	struct pairs pairs = {.n = n, .row = xcalloc((size_t)n, sizeof *pairs.row)};
	pairs.left_out = xcalloc((size_t)n, sizeof *pairs.left_out);
	for (int i = 0; i < n; i++) {
		pairs.row[i] = xcalloc((size_t)first->n_users, sizeof **pairs.row);
		for (int64_t row = 0; row < ranking[i]->n_users; row++)
			pairs.left_out[i] += ranking[i]->target[row] >= 0;
	}
	for (int64_t row = 0; row < first->n_users; row++) {
		bool everywhere = first->target[row] >= 0;
		pairs.row[0][pairs.count] = row;
		for (int i = 1; i < n && everywhere; i++) {
			pairs.row[i][pairs.count] = same_user(first, row, ranking[i]);
			everywhere = pairs.row[i][pairs.count] >= 0;
		}
		pairs.count += everywhere;
	}
	for (int i = 0; i < n; i++)
		pairs.left_out[i] -= pairs.count;
	if (!pairs.count)
		die("%s and %s: no user is in both", group_source(&first->group), group_source(&ranking[n - 1]->group));
	return pairs;
}

void pairs_free(struct pairs *pairs)
{
	for (int i = 0; i < pairs->n; i++)
		free(pairs->row[i]);
	free(pairs->row);
	free(pairs->left_out);
}

/*
 * The mean over the runs [from, to) of each pair is added to difference,
 * times sign; that over the pairs, of each run, to mean.
 */
static void add_side(double difference[], double mean[], struct ranking *const ranking[], int from, int to,
	const struct pairs *pairs, const struct measure *measure, enum ties ties, double sign)
{
	for (int run = from; run < to; run++)
		for (int64_t i = 0; i < pairs->count; i++) {
			double value = evaluate_user(ranking[run], pairs->row[run][i], measure, ties);
			difference[i] += sign * value / (to - from);
			mean[run] += value / (double)pairs->count;
		}
}

static double mean_of(const double *values, int n)
{
	double sum = 0;
	for (int i = 0; i < n; i++)
		sum += values[i];
	return sum / n;
}

struct duel evaluate_pairs(struct ranking *const ranking[], int n_here, const struct pairs *pairs,
	const struct measure *measure, enum ties ties, int resamples, uint64_t seed)
{
	struct duel duel = {0};
	const int n = pairs->n, n_there = n - n_here;
	double *mean = xcalloc((size_t)n, sizeof *mean);
	if (measure->metric->value) {
		double *difference = xcalloc((size_t)pairs->count, sizeof *difference);
		const struct run_means sides[2] = {{mean, n_here}, {mean + n_here, n_there}};
		add_side(difference, mean, ranking, 0, n_here, pairs, measure, ties, 1);
		add_side(difference, mean, ranking, n_here, n, pairs, measure, ties, -1);
		duel.comparison = bootstrap_paired(difference, pairs->count, sides, resamples, seed);
		free(difference);
	} else {
		for (int run = 0; run < n; run++)
			mean[run] = reach_share(ranking[run], measure->cut);
	}
	duel.here = mean_of(mean, n_here);
	duel.there = mean_of(mean + n_here, n_there);
	free(mean);
	return duel;
}
