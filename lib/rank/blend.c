#include "rank/blend.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rank/metric.h"
#include "rank/selection.h"

#define KEPT 200 /* best items of a history, by each source */
#define MEASURES "ndcg@10,ndcg@200"

enum which { JUDGED, FURTHER };

struct blend {
	int sources;
	int64_t rows;
	struct buffer indptr; /* int64_t: where each row's candidates begin; one more than rows */
	struct buffer scores; /* float, a candidate after another, all sources of each; a row begins with its target */
	double deviation[BLEND_SOURCES]; /* summed over rows */
	struct measures measures;
};

struct blend *blend_new(int sources)
{
	struct blend *blend = xcalloc(1, sizeof *blend);
	blend->sources = sources;
	const int64_t none = 0;
	buffer_append(&blend->indptr, &none, sizeof none);
	if (measures_parse(MEASURES, NULL, 0, &blend->measures))
		die(MEASURES ": not among the measures");
	return blend;
}

void blend_free(struct blend *blend)
{
	if (!blend)
		return;
	buffer_free(&blend->indptr);
	buffer_free(&blend->scores);
	measures_free(&blend->measures);
	free(blend);
}

int64_t blend_count(const struct blend *blend)
{
	return blend->rows;
}

int64_t blend_step(int64_t n_users)
{
	return (n_users + BLEND_USERS - 1) / BLEND_USERS;
}

int64_t blend_targets(const struct sequences *sequences, int64_t first, int64_t step, struct ragged *packed,
	int32_t **target)
{
	int64_t rows = 0;
	*packed = histories_new(sequences);
	ragged_clear(packed);
	*target = xreallocarray(NULL, (size_t)sequences->n_users + 1, sizeof **target);
	for (int64_t user = 0; user < sequences->n_users; user++) {
		const int64_t length = target_index(sequences, user, PART_VALID), at = sequences->indptr[user];
		if ((first + user) % step || length < 1)
			continue;
		histories_append(packed, sequences, at, length);
		(*target)[rows++] = sequences->item[at + length];
	}
	return rows;
}

/* --- what is kept --- */

static double deviation_of(const float *scores, int64_t n)
{
	double mean = 0, squares = 0;
	for (int64_t i = 0; i < n; i++)
		mean += (double)scores[i];
	mean /= (double)n;
	for (int64_t i = 0; i < n; i++)
		squares += ((double)scores[i] - mean) * ((double)scores[i] - mean);
	return sqrt(squares / (double)n);
}

static int by_item(const void *a, const void *b)
{
	const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return (x > y) - (x < y);
}

/* The target, then all others that are among the best of a source; their number. best[source] are lists of k. */
static int64_t candidates_of(int sources, int32_t *const best[], int32_t k, int64_t row, int32_t target,
	int32_t *candidate)
{
	int64_t n = 0, kept = 0;
	for (int source = 0; source < sources; source++)
		for (int32_t i = 0; i < k && best[source][row * k + i] >= 0; i++)
			candidate[1 + n++] = best[source][row * k + i];
	if (n)
		qsort(candidate + 1, (size_t)n, sizeof *candidate, by_item);
	for (int64_t i = 1; i <= n; i++)
		if (candidate[i] != target && (!kept || candidate[kept] != candidate[i]))
			candidate[++kept] = candidate[i];
	candidate[0] = target;
	return kept + 1;
}

static void append(struct blend *blend, const float *const scores[], int64_t offset, const int32_t *candidate,
	int64_t n)
{
	float *values = buffer_add(&blend->scores, (size_t)(n * blend->sources) * sizeof *values);
	for (int64_t i = 0; i < n; i++)
		for (int source = 0; source < blend->sources; source++)
			*values++ = scores[source][offset + candidate[i]];
	const int64_t end = (int64_t)(blend->scores.size / sizeof *values) / blend->sources;
	buffer_append(&blend->indptr, &end, sizeof end);
	blend->rows++;
}

bool blend_add(struct blend *blend, const float *const scores[], int64_t n_items, const struct histories *histories,
	const int32_t *target)
{
	const int32_t k = n_items < KEPT ? (int32_t)n_items : KEPT;
	const size_t entries = (size_t)(histories->rows * k);
	int32_t *best[BLEND_SOURCES], *candidate = xreallocarray(NULL, (size_t)(blend->sources * k) + 1, sizeof *candidate);
	float *unused = xreallocarray(NULL, entries + 1, sizeof *unused);
	bool is_finite = true;
	for (int source = 0; source < blend->sources; source++) {
		best[source] = xreallocarray(NULL, entries + 1, sizeof *best[source]);
		const struct ranks ranks = {.rows = histories->rows,
			.seen_indptr = histories->indptr,
			.seen_item = histories->item,
			.k = k,
			.top_item = best[source],
			.top_score = unused};
		is_finite = is_finite && rank_scores(scores[source], n_items, &ranks) < 0;
	}
	for (int64_t row = 0; row < histories->rows && is_finite; row++) {
		for (int source = 0; source < blend->sources; source++)
			blend->deviation[source] += deviation_of(scores[source] + row * n_items, n_items);
		const int64_t n = candidates_of(blend->sources, best, k, row, target[row], candidate);
		append(blend, scores, row * n_items, candidate, n);
	}
	for (int source = 0; source < blend->sources; source++)
		free(best[source]);
	free(candidate);
	free(unused);
	return is_finite;
}

/* --- weights --- */

static double sum_of(const struct blend *blend, const double weights[], const float *scores)
{
	double sum = 0;
	for (int source = 0; source < blend->sources; source++)
		sum += weights[source] * (double)scores[source];
	return sum;
}

/*
 * NDCG of weights for each history, and their mean. Not all items are candidates, so those that are equal to a target
 * far down count as before it.
 */
static double values_of(const struct blend *blend, enum which which, const double weights[], double value[])
{
	const int64_t *indptr = (const void *)blend->indptr.data;
	const float *scores = (const void *)blend->scores.data;
	const struct measure *measure = &blend->measures.at[which];
	const enum ties ties = which == JUDGED ? TIES_AVERAGE : TIES_WORST;
	double sum = 0;
#pragma omp parallel for schedule(static)
	for (int64_t row = 0; row < blend->rows; row++) {
		const double target = sum_of(blend, weights, scores + indptr[row] * blend->sources);
		struct standing standing = {0, 0};
		for (int64_t i = indptr[row] + 1; i < indptr[row + 1] && standing.greater < measure->cut; i++)
			standing_meet(&standing, sum_of(blend, weights, scores + i * blend->sources), target);
		value[row] = measure_value(measure, standing.greater, standing.equal, ties);
	}
	for (int64_t row = 0; row < blend->rows; row++)
		sum += value[row];
	return blend->rows ? sum / (double)blend->rows : 0;
}

double blend_measure(const struct blend *blend, const double weights[])
{
	double *value = xcalloc((size_t)blend->rows + 1, sizeof *value);
	const double mean = values_of(blend, JUDGED, weights, value);
	free(value);
	return mean;
}

/* Of shares, by the units of the sources' scores; those of one that never tells items apart have none. */
static void weights_of(const struct blend *blend, const double shares[], double weights[])
{
	for (int source = 0; source < blend->sources; source++) {
		const double unit = blend->deviation[source] / (double)(blend->rows ? blend->rows : 1);
		weights[source] = shares[source] / (unit > 0 ? unit : 1);
	}
}

/* The shares with one of them changed to `share`, the others in proportion. */
static void with_share(const struct blend *blend, const double shares[], int source, double share, double changed[])
{
	const double others = 1 - shares[source];
	for (int i = 0; i < blend->sources; i++)
		changed[i] = others > 0 ? shares[i] * (1 - share) / others : (1 - share) / (blend->sources - 1);
	changed[source] = share;
}

/* --- the best shares --- */

struct search {
	const struct blend *blend;
	double at_least;     /* NDCG@10 */
	const double *found; /* by history, of the best there are; NULL: they are looked for */
	double *value;       /* room for as many */
};

/* Whether histories tell the two apart: the first is better by more than the standard error of the difference. */
static bool are_told_apart(const double *one, const double *other, int64_t rows)
{
	double sum = 0, squares = 0;
	for (int64_t row = 0; row < rows; row++) {
		sum += one[row] - other[row];
		squares += (one[row] - other[row]) * (one[row] - other[row]);
	}
	return sum > 0 && sum * sum > squares - sum * sum / (double)rows;
}

/* NDCG@10; once the best is found, NDCG@200 of what is as good, and less than any of what is not. */
static double worth_of(const struct search *search, const double shares[])
{
	double weights[BLEND_SOURCES];
	weights_of(search->blend, shares, weights);
	const double judged = values_of(search->blend, JUDGED, weights, search->value);
	if (!search->found)
		return judged;
	if (judged < search->at_least || are_told_apart(search->found, search->value, search->blend->rows))
		return -1;
	return values_of(search->blend, FURTHER, weights, search->value);
}

static double worth_at(const struct search *search, const double shares[], int source, int hundredths)
{
	double changed[BLEND_SOURCES];
	with_share(search->blend, shares, source, hundredths / 100.0, changed);
	return worth_of(search, changed);
}

/* Of n shares from `from` on, `step` apart, seen from number `now`: behind one that is not as good none is, -1. */
static void find_worths(const struct search *search, const double shares[], int source, int from, int step, int n,
	int now, double worth[])
{
	for (int i = now; i < n; i++)
		worth[i] = i > now && worth[i - 1] < 0 ? -1 : worth_at(search, shares, source, from + i * step);
	for (int i = now - 1; i >= 0; i--)
		worth[i] = worth[i + 1] < 0 ? -1 : worth_at(search, shares, source, from + i * step);
}

/*
 * Of shares of one source `step` hundredths apart, as far as `reach` of them from where it is, takes the one of the
 * greatest worth, if it is more than `worth`; whether there is one.
 */
static bool improve(const struct search *search, int source, int step, int reach, double shares[], double *worth)
{
	const int least = source ? 0 : 1, most = source ? 99 : 100, rounded = (int)lround(shares[source] * 100);
	const int now = rounded < least ? least : rounded > most ? most : rounded;
	const int down = (now - least) / step < reach ? (now - least) / step : reach;
	const int up = (most - now) / step < reach ? (most - now) / step : reach;
	const int from = now - down * step, n = down + up + 1;
	double found[101], start[BLEND_SOURCES];
	int best = -1;
	memcpy(start, shares, sizeof start);
	find_worths(search, start, source, from, step, n, down, found);
	for (int i = 0; i < n; i++)
		if (found[i] > *worth) {
			*worth = found[i];
			best = i;
		}
	if (best >= 0)
		with_share(search->blend, start, source, (from + best * step) / 100.0, shares);
	return best >= 0;
}

/* To the largest NDCG@10, in ever smaller steps. */
static void climb(const struct search *search, double shares[])
{
	static const struct {
		int step, reach;
	} passes[] = {{10, 10}, {3, 5}, {1, 3}};
	double worth = worth_of(search, shares);
	for (size_t pass = 0; pass < COUNT_OF(passes); pass++) {
		bool is_better = true;
		for (int round = 0; round < 10 && is_better; round++) {
			is_better = false;
			for (int source = search->blend->sources - 1; source >= 0; source--)
				is_better |= improve(search, source, passes[pass].step, passes[pass].reach, shares, &worth);
		}
	}
}

/* Each share but the first becomes the one, of those that are as good, that ranks the targets best among more items. */
static void settle(struct search *search, double shares[])
{
	double weights[BLEND_SOURCES], *found = xcalloc((size_t)search->blend->rows + 1, sizeof *found);
	weights_of(search->blend, shares, weights);
	values_of(search->blend, JUDGED, weights, found);
	search->found = found;
	for (int source = 1; source < search->blend->sources && search->blend->rows; source++) {
		double worth = -1;
		improve(search, source, 1, 100, shares, &worth);
	}
	search->found = NULL;
	free(found);
}

double blend_fit(const struct blend *blend, double at_least, double weights[])
{
	double shares[BLEND_SOURCES] = {1}, *value = xcalloc((size_t)blend->rows + 1, sizeof *value);
	struct search search = {.blend = blend, .at_least = at_least, .value = value};
	climb(&search, shares);
	settle(&search, shares);
	weights_of(blend, shares, weights);
	free(value);
	return blend_measure(blend, weights);
}

/* Scores of the items that a source knows; the others stand behind all of them. */
static void known_scores(const float *scores, int64_t n_items, const int32_t *row, float *known)
{
	for (int64_t item = 0; item < n_items; item++)
		known[item] = row[item] < 0 ? -FLT_MAX : scores[item];
}

double blend_of_one(const struct blend *blend, const float *scores, int64_t n_items, const int32_t *row,
	const struct histories *histories, const int32_t *target)
{
	double sum = 0;
	float *known = row ? xreallocarray(NULL, (size_t)n_items, sizeof *known) : NULL;
	for (int64_t at = 0; at < histories->rows; at++, scores += n_items) {
		int32_t greater, equal;
		const struct ranks ranks = {.rows = 1,
			.seen_indptr = histories->indptr + at,
			.seen_item = histories->item,
			.target = target + at,
			.greater = &greater,
			.equal = &equal};
		if (row && row[target[at]] < 0)
			continue;
		if (row)
			known_scores(scores, n_items, row, known);
		if (rank_scores(row ? known : scores, n_items, &ranks) < 0) /* else blend_add() refuses them */
			sum += measure_value(&blend->measures.at[JUDGED], greater, equal, TIES_AVERAGE);
	}
	free(known);
	return sum;
}

double blend_rounded(double weight, int digits)
{
	if (weight <= 0)
		return 0;
	const double unit = pow(10, floor(log10(weight)) - digits + 1);
	return round(weight / unit) * unit;
}
