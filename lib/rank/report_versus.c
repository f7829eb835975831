/* Systems compared with another, user by user and, where there are several, run by run. */
#include <stdlib.h>
#include <string.h>

#include "rank/report_parts.h"

/* A system against the other. */
struct match {
	const struct system *system;
	int n_here, n_there;
	struct pairs pairs;
	struct duel *duels; /* by measure */
};

static struct match match_of(const struct report *report, const struct system *system, const struct runs *versus)
{
	struct match match = {system, system->count, versus->count};
	const int n = match.n_here + match.n_there;
	struct ranking **ranking = xcalloc((size_t)n, sizeof *ranking);
	for (int i = 0; i < n; i++)
		ranking[i] = i < match.n_here ? &report->runs->run[system->first + i].ranking :
										&versus->run[i - match.n_here].ranking;
	runs_check_comparable(ranking[0], ranking[match.n_here]);
	match.pairs = pairs_make(ranking, n);
	const int64_t here = match.pairs.left_out[0], there = match.pairs.left_out[match.n_here];
	if (here || there)
		warn("%s of %s %s not in %s, %lld the other way; the %lld of both are compared", counted(here, "users"),
			group_source(&ranking[0]->group), by_number(here, "is", "are"), group_source(&ranking[match.n_here]->group),
			(long long)there, (long long)match.pairs.count);
	match.duels = xcalloc((size_t)report->measures->count, sizeof *match.duels);
	for (int i = 0; i < report->measures->count; i++)
		match.duels[i] = evaluate_pairs(ranking, match.n_here, &match.pairs, &report->measures->at[i], report->ties,
			report->resamples, report->seed);
	free(ranking);
	return match;
}

/* --- as data --- */

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

static json_t *protocol_of(const struct report *report, const struct match *match, const struct runs *versus)
{
	json_t *protocol = report_protocol(report, &report->runs->run[match->system->first]);
	json_set(protocol, "runs", json_integer(match->n_here));
	json_set(protocol, "versus", json_any_text(run_source(versus->run)));
	json_set(protocol, "versus_runs", json_integer(match->n_there));
	json_set(protocol, "compared", json_integer(match->pairs.count));
	json_set(protocol, "resamples", json_integer(report->resamples));
	json_set(protocol, "seed", json_integer((json_int_t)report->seed));
	return protocol;
}

/* A TSV has a line for each measure, and what lines and JSON call all, versus, difference ... as its fields. */
static void write_tsv(FILE *out, const struct report *report, const struct match *match, json_t *figures, bool first)
{
	const char *part;
	json_t *values;
	if (first) {
		fputs("name\tmeasure", out);
		json_object_foreach (figures, part, values)
			fprintf(out, "\t%s", part);
		fputc('\n', out);
	}
	for (int i = 0; i < report->measures->count; i++) {
		const char *name = report->measures->at[i].name;
		fprintf(out, "%s\t%s", match->system->name, name);
		json_object_foreach (figures, part, values) {
			const json_t *value = json_object_get(values, name);
			fputc('\t', out);
			if (json_is_integer(value))
				fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
			else if (value)
				fprintf(out, "%.*f", report->digits, json_real_value(value));
		}
		fputc('\n', out);
	}
}

static void write_lines(FILE *out, const struct report *report, const json_t *protocol, json_t *figures,
	const char *behind)
{
	const char *of;
	json_t *values;
	report_write_lines(out, report, protocol, "all", behind);
	json_object_foreach (figures, of, values)
		report_write_lines(out, report, values, of, behind);
}

static void write_data(FILE *out, const struct report *report, const struct match matches[], const struct runs *versus)
{
	const int n = report->runs->n_systems;
	json_t *systems = json_array();
	for (int i = 0; i < n; i++) {
		json_t *protocol = protocol_of(report, &matches[i], versus), *figures = duels_json(report, matches[i].duels);
		const char *name = matches[i].system->name;
		char *behind = n > 1 ? xasprintf("\t%s", name) : xstrdup("");
		if (report->format == REPORT_LINES)
			write_lines(out, report, protocol, figures, behind);
		else if (report->format == REPORT_TSV)
			write_tsv(out, report, &matches[i], figures, !i);
		json_append(systems,
			json_build("{s:o, s:o, s:o}", "name", json_any_text(name), "protocol", protocol, "figures", figures));
		free(behind);
	}
	if (report->format == REPORT_JSON) {
		json_t *document = n > 1 ? json_build("{s:O}", "systems", systems) : json_incref(json_array_get(systems, 0));
		report_write_json(out, document);
		json_decref(document);
	}
	json_decref(systems);
}

/* --- for people --- */

/* What the intervals are about. */
static void write_covered(FILE *out, const struct report *report, const struct match *match)
{
	char users[32], resamples[32];
	fprintf(out, "95 %% intervals, two-sided p; %s paired bootstrap resamples of %s %s",
		number_text(report->resamples, resamples), number_text(match->pairs.count, users),
		by_number(match->pairs.count, "user", "users"));
	if (match->n_here > 1)
		fprintf(out, ",\nof %d runs of A", match->n_here);
	if (match->n_there > 1)
		fprintf(out, "%s %d runs of B", match->n_here > 1 ? " and" : ",\nof", match->n_there);
	const char *single = match->n_here > 1 && match->n_there > 1 ? NULL :
		match->n_here > 1                                        ? "B" :
		match->n_there > 1                                       ? "A" :
																   "A and B";
	if (single)
		fprintf(out, ";\n%s: one run, so how %s differ with the seed is not covered", single,
			strlen(single) > 1 ? "they" : "its figures");
	fputs("\n\n", out);
}

static void write_duels(FILE *out, const struct report *report, const struct duel duels[])
{
	const int digits = report->digits, width = digits + 4;
	fprintf(out, "%-12s%*s%*s%*s  %-*s%*s  %s\n", "", width, "A", width, "B", width + 1, "A - B", 2 * width + 2,
		"interval", width - 1, "p", "won/lost/tied");
	for (int i = 0; i < report->measures->count; i++) {
		const struct duel *duel = &duels[i];
		const struct comparison *comparison = &duel->comparison;
		fprintf(out, "%-12s%*.*f%*.*f%+*.*f", report->measures->at[i].name, width, digits, duel->here, width, digits,
			duel->there, width + 1, digits, duel->here - duel->there);
		if (report->measures->at[i].metric->value)
			fprintf(out, "  [%+.*f,%+*.*f]%*.*f  %lld/%lld/%lld", digits, comparison->low, width, digits,
				comparison->high, width - 1, digits, comparison->p, (long long)comparison->wins,
				(long long)comparison->losses, (long long)comparison->ties);
		fputc('\n', out);
	}
}

static void write_table(FILE *out, const struct report *report, const struct match matches[], const struct runs *versus)
{
	report_write_protocol(out, report, report->runs->run);
	for (int i = 0; i < report->runs->n_systems; i++) {
		fputs(i ? "\nA: " : "A: ", out);
		report_write_system(out, report->runs, matches[i].system);
		fputs("B: ", out);
		report_write_system(out, versus, versus->system);
		write_covered(out, report, &matches[i]);
		write_duels(out, report, matches[i].duels);
	}
}

void report_versus(FILE *out, const struct report *report, const struct runs *versus)
{
	const int n = report->runs->n_systems;
	if (versus->n_systems > 1)
		die("%s and %s: --versus takes runs of one system, of the same options and other seeds",
			run_source(&versus->run[versus->system[0].first]), run_source(&versus->run[versus->system[1].first]));
	struct match *matches = xcalloc((size_t)n, sizeof *matches);
	for (int i = 0; i < n; i++)
		matches[i] = match_of(report, &report->runs->system[i], versus);
	if (report->format == REPORT_TABLE)
		write_table(out, report, matches, versus);
	else
		write_data(out, report, matches, versus);
	for (int i = 0; i < n; i++) {
		pairs_free(&matches[i].pairs);
		free(matches[i].duels);
	}
	free(matches);
}
