/* Two rankings compared, user by user. */
#include <stdlib.h>
#include <string.h>

#include "rank/report_parts.h"

/* {"all": {"ndcg@5": 0.1, ...}, "versus": ..., "difference": ..., "low": ...} */
static json_t *duels_json(const struct report *report, const struct duel duels[])
{
	static const char *const parts[] = {"all", "versus", "difference", "low", "high", "p", "wins", "losses", "ties"};
	json_t *figures = json_object();
	for (int part = 0; part < (int)COUNT_OF(parts); part++) {
		json_t *values = json_object();
		for (int i = 0; i < report->measures->count; i++) {
			const struct measure *measure = &report->measures->at[i];
			const struct comparison *comparison = &duels[i].comparison;
			const double real[] = {duels[i].here, duels[i].there, duels[i].here - duels[i].there, comparison->low,
				comparison->high, comparison->p};
			const int64_t whole[] = {comparison->wins, comparison->losses, comparison->ties};
			if (part < 3 || measure->metric->value)
				json_set(values, measure->name, part < 6 ? json_real(real[part]) : json_integer(whole[part - 6]));
		}
		json_set(figures, parts[part], values);
	}
	return figures;
}

static void write_duels(FILE *out, const struct report *report, const json_t *protocol, const struct duel duels[],
	const struct ranked *versus)
{
	int digits = report->digits, width = digits + 5;
	char wins[32], losses[32], ties[32];
	report_write_protocol(out, report, protocol);
	fprintf(out, "A: %s\nB: %s\nintervals of 95 %%, two-sided p; %s paired bootstrap resamples\n\n",
		report->ranked->name, versus->name, number_text(report->resamples, wins));
	fprintf(out, "%-14s%*s%*s%*s  %-*s %*s  %s\n", "", width, "A", width, "B", width, "A - B", 2 * width + 1,
		"interval", width, "p", "A wins / loses / ties");
	for (int i = 0; i < report->measures->count; i++) {
		const struct duel *duel = &duels[i];
		const struct comparison *comparison = &duel->comparison;
		fprintf(out, "%-14s%*.*f%*.*f%+*.*f", report->measures->at[i].name, width, digits, duel->here, width, digits,
			duel->there, width, digits, duel->here - duel->there);
		if (report->measures->at[i].metric->value)
			fprintf(out, "  [%+.*f,%+*.*f] %*.*f  %s / %s / %s", digits, comparison->low, width, digits,
				comparison->high, width, digits, comparison->p, number_text(comparison->wins, wins),
				number_text(comparison->losses, losses), number_text(comparison->ties, ties));
		fputc('\n', out);
	}
}

static void check_comparable(const struct ranked *run, const struct ranked *versus)
{
	if (strcmp(run->ranking.catalog, versus->ranking.catalog))
		die("%s ranks the catalog %s, %s ranks %s", run->name, run->ranking.catalog, versus->name,
			versus->ranking.catalog);
	if (run->ranking.part != versus->ranking.part)
		die("%s and %s: one ranks for test targets, the other for validation targets", run->name, versus->name);
	if (run->ranking.seen_removed != versus->ranking.seen_removed)
		warn("%s and %s: one removes seen items, the other keeps them", run->name, versus->name);
}

void report_versus(FILE *out, const struct report *report, struct ranked *versus)
{
	const struct ranked *run = report->ranked;
	check_comparable(run, versus);
	struct pairs pairs = pairs_make(&run->ranking, &versus->ranking, run->name, versus->name);
	if (pairs.missing_here || pairs.missing_there)
		warn("%lld users of %s are not in %s, %lld the other way; the %lld of both are compared",
			(long long)pairs.missing_there, run->name, versus->name, (long long)pairs.missing_here,
			(long long)pairs.count);
	struct duel *duels = xcalloc((size_t)report->measures->count, sizeof *duels);
	for (int i = 0; i < report->measures->count; i++)
		duels[i] = evaluate_pairs(&run->ranking, &versus->ranking, &pairs, &report->measures->at[i], report->ties,
			report->resamples, report->seed);
	json_t *protocol = report_protocol(report);
	json_set(protocol, "versus", json_any_text(versus->name));
	json_set(protocol, "compared", json_integer(pairs.count));
	json_set(protocol, "resamples", json_integer(report->resamples));
	json_set(protocol, "seed", json_integer((json_int_t)report->seed));
	if (report->format == REPORT_TABLE)
		write_duels(out, report, protocol, duels, versus);
	else
		report_write_data(out, report, protocol, duels_json(report, duels));
	free(duels);
	pairs_free(&pairs);
	json_decref(protocol);
}
