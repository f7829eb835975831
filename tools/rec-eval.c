/* rec-eval: rankings in, figures out. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "rank/report.h"
#include "stream/cli.h"
#include "stream/output.h"
#include "stream/process.h"

struct settings {
	const char *measures;
	int64_t *cuts, *bounds;
	int n_cuts, n_bounds;
	enum ties ties;
	double head;
	const char *versus;
	int resamples;
	bool per_user, by_slices, json;
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

static const struct option options[] = {
	{"measures", .letter = 'm', .argument = "LIST", TEXT_OPTION(struct settings, measures),
		.help = "Measures, as ndcg,recall@50,mrr; or all (default ndcg,recall,mrr,coverage)"},
	{"cutoff", .letter = 'k', .argument = "LIST", OWN_OPTION(read_cuts), .fallback = "5,10,20",
		.help = "Cut-offs of measures that name none"},
	{"ties", .argument = "RULE", CHOICE_OPTION(struct settings, ties, ties_names), .fallback = "average",
		.help = "Rank among items of the target's score: average, best or worst"},
	{"per-user", .letter = 'u', FLAG_OPTION(struct settings, per_user), .help = "Lines for each user too"},
	{"versus", .argument = "STREAM", FILE_OPTION(struct settings, versus),
		.help = "Difference to the ranking in STREAM, with interval and p-value"},
	{"resamples", .argument = "N", WHOLE_OPTION(struct settings, resamples, 1, 10000000), .fallback = "10000",
		.help = "Of the bootstrap"},
	{"head", .argument = "PERCENT", REAL_OPTION(struct settings, head, 0, 100), .fallback = "20",
		.help = "Share of the trained items that is called the head"},
	{"history", .argument = "LIST", OWN_OPTION(read_bounds), .fallback = "5,10,20,50",
		.help = "Where the slices by history length end"},
	{"no-slices", FLAG_OPTION(struct settings, by_slices), .fallback = "yes", .help = "All users only"},
	{"format", .argument = "FORMAT", CHOICE_OPTION(struct settings, format, report_formats),
		.help = "table (default on a terminal), lines (default elsewhere) or json"},
	{"json", FLAG_OPTION(struct settings, json), .help = "The same as --format json"},
	{"digits", .argument = "N", WHOLE_OPTION(struct settings, digits, 1, 15), .fallback = "4",
		.help = "Decimals of table and lines"},
	{0},
};

static const char examples[] = "  seq-rank catalog.tar.zst model.tar.zst | rec-eval\n"
							   "  rec-eval -k 1,10,100 -m ndcg,hr,mrr@k sasrec.tar.zst\n"
							   "  rec-eval -u -m mrr run.tar.zst | sort -gk3 | head      # the users served worst\n"
							   "  rec-eval sasrec.tar.zst --versus popular.tar.zst\n";

static void print_measures(void)
{
	printf("\nMeasures, of a user whose target has rank r (at a cut-off k: ndcg@10, or at those of -k):\n");
	for (const struct metric *metric = metrics; metric->name; metric++)
		printf("  %-10s %s\n", metric->name, metric->formula);
}

/* --- load --- */

static void load(struct ranked *run, char *const *paths)
{
	struct bag *bag = bag_open(paths);
	run->name = paths[0] ? paths[0] : "stdin";
	bag_take(bag, &ranking_group, &run->ranking);
	bag_take(bag, &catalog_group, &run->catalog);
	bag_take(bag, &sequences_group, &run->sequences);
	bag_read(bag);
	ranking_check(&run->ranking, &run->catalog, run->name);
	if (run->sequences.group.complete)
		sequences_check(&run->sequences, &run->catalog);
}

static int terminal_width(void)
{
	struct winsize size;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

static struct report report_of(const struct settings *settings, const struct cli *cli, const struct measures *measures,
	const struct ranked *run, const struct slices *slices)
{
	bool to_people = !cli->output && !settings->per_user && isatty(STDOUT_FILENO);
	enum report_format format = to_people ? REPORT_TABLE : REPORT_LINES;
	if (settings->json || settings->format >= 0)
		format = settings->json ? REPORT_JSON : (enum report_format)settings->format;
	return (struct report){
		.format = format,
		.ties = settings->ties,
		.per_user = settings->per_user,
		.digits = settings->digits,
		.columns = terminal_width(),
		.resamples = settings->resamples,
		.seed = cli->seed,
		.measures = measures,
		.ranked = run,
		.slices = slices,
	};
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
			"by popularity of the item and by length of the history.",
		.examples = examples,
		.print_more = print_measures,
		.table = options,
		.usage_without_input = true,
	};
	struct cli cli;
	cli_parse(&tool, argc, argv, &cli, &settings);
	if (settings.versus && settings.per_user)
		die_usage("-u and --versus do not go together; join the lines of two runs with -u");

	const char *list = settings.measures ? settings.measures : "ndcg,recall,mrr,coverage";
	struct measures measures;
	const char *wrong = measures_parse(list, settings.cuts, settings.n_cuts, &measures);
	if (wrong)
		die_usage("-m %s", wrong);
	struct ranked run = {0}, versus = {0};
	load(&run, cli.inputs);
	measures_fit_lists(&measures, &run.ranking, settings.measures ? run.name : NULL);
	struct sequences *sequences = settings.by_slices && run.sequences.group.complete ? &run.sequences : NULL;
	struct slices slices = slices_make(&run.ranking, sequences, settings.head / 100, settings.bounds,
		settings.n_bounds);
	if (!slices.users[SLICE_ALL])
		die("%s: no user of the ranking has a target", run.name);
	if (settings.versus)
		load(&versus, (char *[]){(char *)(uintptr_t)settings.versus, NULL});

	struct report report = report_of(&settings, &cli, &measures, &run, &slices);
	struct output *output = output_open(cli.output);
	FILE *out = output_file(output);
	if (settings.versus)
		report_versus(out, &report, &versus);
	else
		report_write(out, &report);
	output_file_close(output, out);
	output_commit(output);

	slices_free(&slices);
	measures_free(&measures);
	ranked_free(&run);
	ranked_free(&versus);
	free(settings.cuts);
	free(settings.bounds);
	return cli_done(&cli);
}
