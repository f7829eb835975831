#include "rank/metric.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream/option.h"

const char *const ties_names[] = {"best", "worst", "average", NULL};

static double one(int64_t rank, int64_t cut)
{
	(void)rank, (void)cut;
	return 1;
}

static double share_of_list(int64_t rank, int64_t cut)
{
	(void)rank;
	return 1 / (double)cut;
}

static double discount(int64_t rank, int64_t cut)
{
	(void)cut;
	return 1 / log2((double)rank + 1);
}

static double reciprocal(int64_t rank, int64_t cut)
{
	(void)cut;
	return 1 / (double)rank;
}

/* The harmonic number H(n); from 64 on its asymptotic series is exact to the last bits. */
static double harmonic(int64_t n)
{
	double sum = 0, x = (double)n;
	if (n >= 64)
		return log(x) + 0.57721566490153286061 + 1 / (2 * x) - 1 / (12 * x * x) + 1 / (120 * x * x * x * x);
	for (int64_t rank = n; rank > 0; rank--)
		sum += 1 / (double)rank;
	return sum;
}

const struct metric metrics[] = {
	{"ndcg", "NDCG", "1 / log2(1 + r) if r <= k, else 0", discount, NULL},
	{"recall", "Recall", "1 if r <= k, else 0", one, NULL},
	{"hr", "HR", "the same as recall, as there is one target", one, NULL},
	{"precision", "Precision", "1 / k if r <= k, else 0", share_of_list, NULL},
	{"mrr", "MRR", "1 / r; mrr@k: 1 / r if r <= k, else 0", reciprocal, harmonic},
	{"coverage", "Coverage", "share of the catalog that is among the top k of any user", NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static void add_measure(struct measures *measures, const struct metric *metric, int64_t cut)
{
	for (int i = 0; i < measures->count; i++)
		if (measures->at[i].metric == metric && measures->at[i].cut == cut)
			return;
	measures->at = xreallocarray(measures->at, (size_t)measures->count + 1, sizeof *measures->at);
	struct measure *measure = &measures->at[measures->count++];
	*measure = (struct measure){.metric = metric, .cut = cut};
	snprintf(measure->name, sizeof measure->name, cut ? "%s@%lld" : "%s", metric->name, (long long)cut);
	if (!cut || !metric->value)
		return;
	measure->sum = xcalloc((size_t)cut + 1, sizeof *measure->sum);
	for (int64_t rank = 1; rank <= cut; rank++)
		measure->sum[rank] = measure->sum[rank - 1] + metric->value(rank, cut);
}

static void add_at_cuts(struct measures *measures, const struct metric *metric, const int64_t cuts[], int n_cuts)
{
	for (int i = 0; i < n_cuts; i++)
		add_measure(measures, metric, cuts[i]);
}

static char *unknown(const char *entry)
{
	const char *names[32], *meant;
	int n = 0;
	for (const struct metric *metric = metrics; metric->name; metric++)
		names[n++] = metric->name;
	meant = nearest_word(entry, names, n);
	return meant ? xasprintf("%s: no such measure; did you mean %s?", entry, meant) :
				   xasprintf("%s: no such measure; --help lists them", entry);
}

/* One entry of the list: NAME, NAME@NUMBER, NAME@k or all. Returns what is wrong with it, or NULL. */
static char *add_entry(struct measures *measures, char *entry, const int64_t cuts[], int n_cuts)
{
	char *at = strchr(entry, '@');
	int64_t cut = 0;
	if (at)
		*at++ = '\0';
	bool all = !at && !strcmp(entry, "all"), at_each = at && !strcmp(at, "k"), known = all;
	if (at && !at_each && !parse_int(at, 1, METRIC_MAX_CUT, &cut))
		return xasprintf("%s@%s: a whole number from 1 to %d, or k, was expected behind the @", entry, at,
			METRIC_MAX_CUT);
	for (const struct metric *metric = metrics; metric->name; metric++) {
		if (!all && strcmp(entry, metric->name))
			continue;
		known = true;
		if (cut) {
			add_measure(measures, metric, cut);
			continue;
		}
		if (metric->uncut && !at_each)
			add_measure(measures, metric, 0);
		if (!metric->uncut || at_each || all)
			add_at_cuts(measures, metric, cuts, n_cuts);
	}
	return known ? NULL : unknown(entry);
}

char *measures_parse(const char *list, const int64_t cuts[], int n_cuts, struct measures *measures)
{
	char *copy = xstrdup(list), *rest = copy, *wrong = NULL;
	*measures = (struct measures){0};
	for (char *entry; !wrong && (entry = strsep(&rest, ","));)
		wrong = add_entry(measures, entry, cuts, n_cuts);
	free(copy);
	return wrong;
}

void measures_free(struct measures *measures)
{
	for (int i = 0; i < measures->count; i++)
		free(measures->at[i].sum);
	free(measures->at);
	*measures = (struct measures){0};
}

static double sum_to(const struct measure *measure, int64_t rank)
{
	if (!measure->cut)
		return measure->metric->uncut(rank);
	return measure->sum[rank < measure->cut ? rank : measure->cut];
}

double measure_value(const struct measure *measure, int64_t greater, int64_t equal, enum ties ties)
{
	if (measure->cut && greater >= measure->cut)
		return 0;
	if (ties == TIES_AVERAGE && equal)
		return (sum_to(measure, greater + equal + 1) - sum_to(measure, greater)) / (double)(equal + 1);
	int64_t rank = greater + 1 + (ties == TIES_WORST ? equal : 0);
	return measure->cut && rank > measure->cut ? 0 : measure->metric->value(rank, measure->cut);
}
