/* rec-eval: rankings in, figures out. */
#include <stdlib.h>
#include <string.h>

#include "rank/report.h"
#include "stream/bag.h"
#include "stream/cli.h"
#include "stream/output.h"
#include "stream/process.h"

struct settings {
	const char *measures;
	int64_t *cuts, *bounds;
	int n_cuts, n_bounds;
	enum ties ties;
	double head;
	char **versus; /* streams; NULL: none */
	int n_versus;
	int resamples;
	bool per_user, by_slices, curve, json;
	int format; /* in report_formats; -1: a table on a terminal, lines otherwise */
	int digits;
};

/* Numbers between commas; ascending where it must be. */
static int64_t *parse_list(const char *option, const char *text, int64_t high, int limit, bool ascending, int *count)
{
	int64_t *list = NULL;
	char *copy = xstrdup(text), *rest = copy;
	*count = 0;
	for (char *entry; (entry = strsep(&rest, ","));) {
		list = xreallocarray(list, (size_t)*count + 1, sizeof *list);
		if (!parse_int(entry, 1, high, &list[*count]))
			die_usage("%s %s: whole numbers from 1 to %lld were expected", option, text, (long long)high);
		if (ascending && *count && list[*count] <= list[*count - 1])
			die_usage("%s %s: ascending numbers were expected", option, text);
		if (++*count > limit)
			die_usage("%s %s: more than %d numbers", option, text, limit);
	}
	free(copy);
	return list;
}

static void read_cuts(const char *option, const char *value, void *values)
{
	struct settings *settings = values;
	free(settings->cuts);
	settings->cuts = parse_list(option, value, METRIC_MAX_CUT, 64, false, &settings->n_cuts);
}

static void read_bounds(const char *option, const char *value, void *values)
{
	struct settings *settings = values;
	free(settings->bounds);
	settings->bounds = parse_list(option, value, INT32_MAX, SLICES_MAX_BOUNDS, true, &settings->n_bounds);
}

static void read_versus(const char *option, const char *value, void *values)
{
	struct settings *settings = values;
	(void)option;
	settings->versus = xreallocarray(settings->versus, (size_t)settings->n_versus + 2, sizeof *settings->versus);
	settings->versus[settings->n_versus++] = (char *)(uintptr_t)value;
	settings->versus[settings->n_versus] = NULL;
}

static const struct option options[] = {
	{"measures", .letter = 'm', .argument = "LIST", TEXT_OPTION(struct settings, measures),
		.help = "Measures, as ndcg,recall@50,mrr; or all (default ndcg,recall,mrr,coverage)"},
	{"cutoff", .letter = 'k', .argument = "LIST", OWN_OPTION(read_cuts), .fallback = "5,10,20",
		.help = "Cut-offs of measures that name none"},
	{"ties", .argument = "RULE", CHOICE_OPTION(struct settings, ties, ties_names), .fallback = "average",
		.help = "Rank among items of the target's score: average, best or worst"},
	{"per-user", .letter = 'u', FLAG_OPTION(struct settings, per_user), .only = "format!=tsv|table",
		.help = "Lines for each user too"},
	{"versus", .argument = "STREAM", OWN_OPTION(read_versus), .may_be_stdin = true, .only = "!per-user",
		.help = "Difference to the ranking in STREAM, with interval and p-value; again for more of its runs"},
	{"curve", FLAG_OPTION(struct settings, curve),
		.help = "The curves of the trainings that made the streams, as TSV: epoch, loss, what was validated"},
	{"resamples", .argument = "N", WHOLE_OPTION(struct settings, resamples, 1, 10000000), .fallback = "10000",
		.only = "versus", .help = "Of the bootstrap"},
	{"head", .argument = "PERCENT", REAL_OPTION(struct settings, head, 0, 100), .fallback = "20",
		.help = "Share of the trained items that is called the head"},
	{"history", .argument = "LIST", OWN_OPTION(read_bounds), .fallback = "5,10,20,50",
		.help = "Where the slices by history length end"},
	{"no-slices", FLAG_OPTION(struct settings, by_slices), .fallback = "yes", .help = "All users only"},
	{"format", .argument = "FORMAT", CHOICE_OPTION(struct settings, format, report_formats),
		.help = "table (default on a terminal), lines (default elsewhere), tsv or json"},
	{"json", FLAG_OPTION(struct settings, json), .help = "The same as --format json"},
	{"digits", .argument = "N", WHOLE_OPTION(struct settings, digits, 1, 15), .fallback = "4",
		.only = "format!=json; !json", .help = "Decimals of table and lines"},
	{0},
};

static const char examples[] = "  seq-rank catalog.tar.zst model.tar.zst | rec-eval\n"
							   "  rec-eval -k 1,10,100 -m ndcg,hr,mrr@k sasrec.tar.zst\n"
							   "  rec-eval -u -m mrr run.tar.zst | sort -gk3 |\n"
							   "    head      # the users served worst\n"
							   "  rec-eval sasrec.tar.zst --versus popular.tar.zst\n"
							   "  rec-eval gru-seed?.tar.zst sasrec-seed?.tar.zst markov.tar.zst\n"
							   "  rec-eval --curve gru.tar.zst sasrec.tar.zst > curves.tsv\n";

static void print_measures(void)
{
	printf("\nMeasures, of a user whose target has rank r (at cut-offs: ndcg@10, or -k):\n");
	for (const struct metric *metric = metrics; metric->name; metric++)
		printf("  %-10s %s\n", metric->name, metric->formula);
}

static struct report report_of(const struct settings *settings, const struct cli *cli, const struct measures *measures,
	const struct runs *runs)
{
	enum report_format format = report_default_format(cli->output || settings->per_user);
	if (settings->json || settings->format >= 0)
		format = settings->json ? REPORT_JSON : (enum report_format)settings->format;
	return (struct report){
		.format = format,
		.ties = settings->ties,
		.per_user = settings->per_user,
		.digits = settings->digits,
		.columns = report_columns(),
		.resamples = settings->resamples,
		.seed = cli->seed,
		.measures = measures,
		.runs = runs,
	};
}

static void check_curve(const struct settings *settings, const struct cli *cli)
{
	const char *given;
	json_t *value;
	json_object_foreach (cli->given, given, value)
		if (strcmp(given, "--curve") != 0 && strcmp(given, "--format") != 0)
			die_usage("--curve prints what trainings left in the streams: no %s", given);
	if (settings->format >= 0 && settings->format != REPORT_TSV)
		die_usage("--curve prints TSV: no other --format");
}

/* --- what is printed --- */

static void write_curves(FILE *out, const struct cli *cli)
{
	struct bag *bag = bag_open(cli->inputs);
	json_t *history = json_array();
	bag_take_history(bag, history);
	bag_read(bag);
	report_curves(out, history);
	json_decref(history);
}

static void write_figures(FILE *out, const struct cli *cli, const struct settings *settings, struct measures *measures)
{
	struct runs runs = {0}, versus = {0};
	runs_read(&runs, cli->inputs);
	if (settings->per_user && runs.count > 1)
		die_usage("-u takes one ranking; there are %d", runs.count);
	for (int i = 0; i < runs.count; i++)
		measures_fit_lists(measures, &runs.run[i].ranking, settings->measures ? run_source(&runs.run[i]) : NULL);
	runs_slice(&runs, settings->by_slices, settings->head / 100, settings->bounds, settings->n_bounds);
	const struct report report = report_of(settings, cli, measures, &runs);
	if (settings->versus) {
		runs_read(&versus, settings->versus);
		report_versus(out, &report, &versus);
	} else {
		report_write(out, &report);
	}
	runs_free(&runs);
	runs_free(&versus);
}

int main(int argc, char **argv)
{
	process_begin();
	struct settings settings = {0};
	const struct cli_tool tool = {
		.name = "rec-eval",
		.arguments = "[STREAM...]",
		.summary =
			"Measures rankings by seq-rank: how high the held-out items stand in the whole catalog, for all users, "
			"by popularity of the item and by length of the history. Several rankings stand side by side, and those "
			"of the same options and other seeds are one column.",
		.examples = examples,
		.print_more = print_measures,
		.table = options,
		.usage_without_input = true,
	};
	struct cli cli;
	cli_parse(&tool, argc, argv, &cli, &settings);
	if (settings.curve)
		check_curve(&settings, &cli);
	const char *list = settings.measures ? settings.measures : "ndcg,recall,mrr,coverage";
	struct measures measures;
	const char *wrong = measures_parse(list, settings.cuts, settings.n_cuts, &measures);
	if (wrong)
		die_usage("-m %s", wrong);

	struct output *output = output_open(cli.output);
	FILE *out = output_file(output);
	if (settings.curve)
		write_curves(out, &cli);
	else
		write_figures(out, &cli, &settings, &measures);
	output_file_close(output, out);
	output_commit(output);

	measures_free(&measures);
	free(settings.cuts);
	free(settings.bounds);
	free(settings.versus);
	return cli_done(&cli);
}
