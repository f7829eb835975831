#include "rank/evaluate.h"

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
			die("%s: %s: the ranking holds the best %lld items of each user; rank with -k %lld or more", run,
				measure->name, (long long)ranking->list_length, (long long)measure->cut);
		if (!short_lists)
			measures->at[kept++] = *measure;
	}
	measures->count = kept;
}

double (*evaluate(const struct ranking *ranking, const struct measures *measures, enum ties ties,
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

struct pairs pairs_make(const struct ranking *here, struct ranking *there, const char *here_name,
	const char *there_name)
{
	struct pairs pairs = {0};
	pairs.here = xcalloc((size_t)here->n_users, sizeof *pairs.here);
	pairs.there = xcalloc((size_t)here->n_users, sizeof *pairs.there);
	for (int64_t row = 0; row < there->n_users; row++)
		pairs.missing_here += there->target[row] >= 0;
	for (int64_t row = 0; row < here->n_users; row++) {
		if (here->target[row] < 0)
			continue;
		const char *user = strings_at(&here->user_id, row);
		int64_t other = strings_find(&there->user_id, user, strlen(user));
		if (other < 0 || there->target[other] < 0) {
			pairs.missing_there++;
			continue;
		}
		if (there->target[other] != here->target[row])
			die("%s and %s: user %s has another target", here_name, there_name, user);
		pairs.here[pairs.count] = row;
		pairs.there[pairs.count++] = other;
	}
	pairs.missing_here -= pairs.count;
	if (!pairs.count)
		die("%s and %s: no user is in both", here_name, there_name);
	return pairs;
}

void pairs_free(struct pairs *pairs)
{
	free(pairs->here);
	free(pairs->there);
}

struct duel evaluate_pairs(const struct ranking *here, const struct ranking *there, const struct pairs *pairs,
	const struct measure *measure, enum ties ties, int resamples, uint64_t seed)
{
	struct duel duel = {0};
	if (!measure->metric->value) {
		duel.here = reach_share(here, measure->cut);
		duel.there = reach_share(there, measure->cut);
		return duel;
	}
	double *difference = xcalloc((size_t)pairs->count, sizeof *difference);
	for (int64_t i = 0; i < pairs->count; i++) {
		double a = evaluate_user(here, pairs->here[i], measure, ties);
		double b = evaluate_user(there, pairs->there[i], measure, ties);
		duel.here += a / (double)pairs->count;
		duel.there += b / (double)pairs->count;
		difference[i] = a - b;
	}
	duel.comparison = bootstrap_paired(difference, pairs->count, resamples, seed);
	free(difference);
	return duel;
}
