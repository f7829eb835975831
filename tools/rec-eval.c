/* rec-eval: rankings in, figures out. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "rank/evaluate.h"
#include "stream/cli.h"
#include "stream/output.h"
#include "stream/process.h"

enum format { FORMAT_TABLE, FORMAT_LINES, FORMAT_JSON };
static const char *const format_names[] = {"table", "lines", "json", NULL};

struct settings {
	const char *measures;
	int64_t *cuts, *bounds;
	int n_cuts, n_bounds;
	enum ties ties;
	double head;
	const char *versus;
	int resamples;
	bool per_user, by_slices, json;
	int format; /* -1: a table on a terminal, lines otherwise */
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
	{"format", .argument = "FORMAT", CHOICE_OPTION(struct settings, format, format_names),
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

struct run {
	struct ranking ranking;
	struct catalog catalog;
	struct sequences sequences;
	const char *name; /* for messages */
};

static void load(struct run *run, char *const *paths)
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

static void run_free(struct run *run)
{
	ranking_free(&run->ranking);
	catalog_free(&run->catalog);
	sequences_free(&run->sequences);
}

/* Measures of lists need lists as long as their cut-off: asked for, that is an error; our choice, they are left out. */
static void check_lists(struct measures *measures, const struct run *run, bool chosen)
{
	int kept = 0;
	for (int i = 0; i < measures->count; i++) {
		struct measure *measure = &measures->at[i];
		bool short_lists = !measure->metric->value && measure->cut > run->ranking.list_length;
		if (short_lists && chosen)
			die("%s: %s: the ranking holds the best %lld items of each user; rank with -k %lld or more", run->name,
				measure->name, (long long)run->ranking.list_length, (long long)measure->cut);
		if (!short_lists)
			measures->at[kept++] = *measure;
	}
	measures->count = kept;
}

/* --- what every format says about how the figures came about --- */

/* What a stream's meta.json says, if it does, without what would break a line. */
static void add_text(json_t *protocol, const char *key, const json_t *value)
{
	if (!json_is_string(value))
		return;
	char *text = xstrdup(json_string_value(value));
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	json_set(protocol, key, json_string(text));
	free(text);
}

/* How the targets were held out, and in which order events of one time stand. */
static void add_holdout(json_t *protocol, const struct sequences *sequences)
{
	char *time = xasprintf("time %lld", (long long)sequences->split_time);
	const char *const texts[] =
		{[HOLDOUT_LAST] = "leave-one-out", [HOLDOUT_TIME] = time, [HOLDOUT_NONE] = "nothing held out"};
	json_set(protocol, "holdout", json_string(texts[sequences->holdout]));
	free(time);
	add_text(protocol, "equal_times", json_object_get(sequences->group.meta, "ties"));
}

static json_t *protocol_of(const struct settings *settings, const struct run *run, const struct slices *slices)
{
	const struct ranking *ranking = &run->ranking;
	json_t *protocol = json_object();
	add_text(protocol, "model", json_object_get(ranking->group.meta, "model"));
	json_set(protocol, "split", json_string(ranking->part == PART_TEST ? "test" : "valid"));
	if (run->sequences.group.complete)
		add_holdout(protocol, &run->sequences);
	json_set(protocol, "seen", json_string(ranking->seen_removed ? "removed" : "kept"));
	json_set(protocol, "ties", json_string(ties_names[settings->ties]));
	json_set(protocol, "items", json_integer(ranking->n_items));
	json_set(protocol, "tied", json_integer(slices->tied));
	if (slices->users[SLICE_ALL] != ranking->n_users)
		json_set(protocol, "targetless", json_integer(ranking->n_users - slices->users[SLICE_ALL]));
	if (slices->count > 1) {
		json_set(protocol, "head_items", json_integer(slices->head_items));
		json_set(protocol, "tail_items", json_integer(slices->tail_items));
		json_set(protocol, "cold_items", json_integer(slices->cold_items));
		if (slices->head_items)
			json_set(protocol, "head_events", json_integer(slices->head_events));
	}
	return protocol;
}

/* --- write --- */

struct report {
	FILE *out;
	const struct settings *settings;
	const struct measures *measures;
	struct run *run;
	const struct slices *slices;
	double (*mean)[SLICES_MAX]; /* by measure and slice */
	json_t *protocol;
};

static bool has_figure(const struct report *report, int measure, int slice)
{
	return report->slices->users[slice] && (slice == SLICE_ALL || report->measures->at[measure].metric->value);
}

static double user_value(const struct report *report, int64_t row, int measure)
{
	return evaluate_user(&report->run->ranking, row, &report->measures->at[measure], report->settings->ties);
}

static int terminal_width(void)
{
	struct winsize size;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

static void write_protocol_text(const struct report *report)
{
	const struct slices *slices = report->slices;
	const struct ranking *ranking = &report->run->ranking;
	const char *model = json_string_value(json_object_get(report->protocol, "model"));
	const char *holdout = json_string_value(json_object_get(report->protocol, "holdout"));
	const char *order = json_string_value(json_object_get(report->protocol, "equal_times"));
	char a[32], b[32], c[32];
	fprintf(report->out, "%s%s%s targets of %s users", model ? model : "", model ? ": " : "",
		ranking->part == PART_TEST ? "test" : "validation", number_text(slices->users[SLICE_ALL], a));
	if (slices->users[SLICE_ALL] != ranking->n_users)
		fprintf(report->out, " (%s more have none)", number_text(ranking->n_users - slices->users[SLICE_ALL], a));
	if (holdout)
		fprintf(report->out, ", %s%s%s", holdout, order ? ", equal times: " : "", order ? order : "");
	fprintf(report->out, "\nranks among all %s items, seen items %s\n", number_text(ranking->n_items, a),
		ranking->seen_removed ? "removed" : "kept");
	fprintf(report->out, "equal scores: %s rank; %s targets share theirs\n", ties_names[report->settings->ties],
		number_text(slices->tied, a));
	if (slices->count > 1 && slices->head_items)
		fprintf(report->out, "head: %s training events or more (%s items), tail: fewer (%s), cold: none",
			number_text(slices->head_events, a), number_text(slices->head_items, b),
			number_text(slices->tail_items, c));
	else if (slices->count > 1)
		fprintf(report->out, "tail: any training event (%s items), cold: none", number_text(slices->tail_items, a));
	if (slices->count > 1)
		fprintf(report->out, " (%s)\n", number_text(slices->cold_items, a));
}

/* A name of two words, the first one only where it changes. */
static void write_label(const struct report *report, int slice, int width)
{
	const char *name = report->slices->name[slice];
	const char *before = slice ? report->slices->name[slice - 1] : "";
	const char *colon = strchr(name, ':');
	if (!colon) {
		fprintf(report->out, "%-*s", width, name);
		return;
	}
	int first = (int)(colon - name);
	bool repeated = !strncmp(name, before, (size_t)first + 1);
	fprintf(report->out, "%-8.*s%-*s", repeated ? 0 : first, name, width - 8, colon + 1);
}

static int column_width(const struct report *report, const struct measure *measure)
{
	int title = (int)strlen(measure->metric->title) + 2, cut = snprintf(NULL, 0, "  @%lld", (long long)measure->cut);
	int width = report->settings->digits + 4;
	width = width > title ? width : title;
	return width > cut ? width : cut;
}

static bool starts_group(const struct measures *measures, int i, int first)
{
	return i == first || measures->at[i].metric != measures->at[i - 1].metric;
}

static void write_heads(const struct report *report, int first, int end, int indent)
{
	const struct measures *measures = report->measures;
	int pending = indent;
	for (int i = first; i < end; i++) {
		int width = column_width(report, &measures->at[i]);
		if (starts_group(measures, i, first)) {
			const char *title = measures->at[i].metric->title;
			fprintf(report->out, "%*s%s", pending + 2, "", title);
			pending = -(int)strlen(title) - 2;
		}
		pending += width;
	}
	fprintf(report->out, "\n%*s", indent, "users");
	pending = 0;
	for (int i = first; i < end; i++) {
		pending += column_width(report, &measures->at[i]);
		if (!measures->at[i].cut)
			continue;
		char cut[32];
		snprintf(cut, sizeof cut, "@%lld", (long long)measures->at[i].cut);
		fprintf(report->out, "%*s", pending, cut);
		pending = 0;
	}
	fputc('\n', report->out);
}

static void write_block(const struct report *report, int first, int end, int label)
{
	char number[32];
	write_heads(report, first, end, label + 10);
	for (int slice = 0; slice < report->slices->count; slice++) {
		write_label(report, slice, label);
		fprintf(report->out, "%10s", number_text(report->slices->users[slice], number));
		for (int i = first; i < end; i++) {
			int width = column_width(report, &report->measures->at[i]);
			if (has_figure(report, i, slice))
				fprintf(report->out, "%*.*f", width, report->settings->digits, report->mean[i][slice]);
			else
				fprintf(report->out, "%*s", width, "-");
		}
		fputc('\n', report->out);
	}
}

/* Where the columns from `first` on must end to fit, at a metric's last one if that can be. */
static int fitting(const struct report *report, int first, int room)
{
	const struct measures *measures = report->measures;
	int end = first, whole = first;
	for (; end < measures->count && measures->at[end].metric->value; end++) {
		if (starts_group(measures, end, first))
			whole = end;
		room -= column_width(report, &measures->at[end]);
		if (room < 0 && end > first)
			return whole > first ? whole : end;
	}
	return end;
}

/* As many measures side by side as the terminal has room for; those of lists have no slices and one line. */
static void write_table(const struct report *report)
{
	const struct measures *measures = report->measures;
	int label = 3, room = terminal_width();
	for (int slice = 1; slice < report->slices->count; slice++) {
		int width = 8 + (int)strlen(strchr(report->slices->name[slice], ':') + 1);
		label = width > label ? width : label;
	}
	write_protocol_text(report);
	for (int first = 0, end; first < measures->count; first = end) {
		end = fitting(report, first, room - label - 10);
		if (end > first) {
			fputc('\n', report->out);
			write_block(report, first, end, label);
			continue;
		}
		fprintf(report->out, "\n%s", measures->at[end].metric->title);
		for (; end < measures->count && !measures->at[end].metric->value; end++)
			fprintf(report->out, "  @%lld %.*f", (long long)measures->at[end].cut, report->settings->digits,
				report->mean[end][SLICE_ALL]);
		fputc('\n', report->out);
	}
}

static void write_user_lines(const struct report *report)
{
	const struct ranking *ranking = &report->run->ranking;
	for (int64_t row = 0; row < ranking->n_users; row++)
		for (int i = 0; ranking->target[row] >= 0 && i < report->measures->count; i++)
			if (report->measures->at[i].metric->value)
				fprintf(report->out, "%s\t%s\t%.*f\n", report->measures->at[i].name, strings_at(&ranking->user_id, row),
					report->settings->digits, user_value(report, row, i));
}

static json_t *users_json(const struct report *report)
{
	const struct ranking *ranking = &report->run->ranking;
	json_t *users = json_object();
	for (int64_t row = 0; row < ranking->n_users; row++) {
		if (ranking->target[row] < 0)
			continue;
		json_t *values = json_object();
		for (int i = 0; i < report->measures->count; i++)
			if (report->measures->at[i].metric->value)
				json_set(values, report->measures->at[i].name, json_real(user_value(report, row, i)));
		json_set(users, strings_at(&ranking->user_id, row), values);
	}
	return users;
}

/* {"all": {"users": 6040, "ndcg@5": 0.1, ...}, "target:cold": ...} */
static json_t *figures_json(const struct report *report)
{
	const struct slices *slices = report->slices;
	json_t *figures = json_object();
	for (int slice = 0; slice < slices->count; slice++) {
		json_t *part = json_build("{s:I}", "users", (json_int_t)slices->users[slice]);
		for (int i = 0; i < report->measures->count; i++)
			if (has_figure(report, i, slice))
				json_set(part, report->measures->at[i].name, json_real(report->mean[i][slice]));
		json_set(figures, slices->name[slice], part);
	}
	return figures;
}

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

/* An object's values, a line each. */
static void write_values(const struct report *report, const json_t *values, const char *of)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)values, key, value) {
		if (json_is_string(value))
			fprintf(report->out, "%s\t%s\t%s\n", key, of, json_string_value(value));
		else if (json_is_integer(value))
			fprintf(report->out, "%s\t%s\t%" JSON_INTEGER_FORMAT "\n", key, of, json_integer_value(value));
		else
			fprintf(report->out, "%s\t%s\t%.*f\n", key, of, report->settings->digits, json_real_value(value));
	}
}

/* Lines, or JSON, of the same figures. `figures` is stolen. */
static void write_data(const struct report *report, json_t *figures, bool lines)
{
	if (lines) {
		const char *of;
		json_t *values;
		if (report->settings->per_user)
			write_user_lines(report);
		write_values(report, report->protocol, "all");
		json_object_foreach (figures, of, values)
			write_values(report, values, of);
		json_decref(figures);
		return;
	}
	json_t *document = json_build("{s:O, s:o}", "protocol", report->protocol, "figures", figures);
	if (report->settings->per_user)
		json_set(document, "users", users_json(report));
	json_dumpf(document, report->out, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
	fputc('\n', report->out);
	json_decref(document);
}

static void write_duel_table(const struct report *report, const struct duel duels[], const struct run *versus)
{
	int digits = report->settings->digits, width = digits + 5;
	char wins[32], losses[32], ties[32];
	write_protocol_text(report);
	fprintf(report->out, "A: %s\nB: %s\nintervals of 95 %%, two-sided p; %s paired bootstrap resamples\n\n",
		report->run->name, versus->name, number_text(report->settings->resamples, wins));
	fprintf(report->out, "%-14s%*s%*s%*s  %-*s %*s  %s\n", "", width, "A", width, "B", width, "A - B", 2 * width + 1,
		"interval", width, "p", "A wins / loses / ties");
	for (int i = 0; i < report->measures->count; i++) {
		const struct duel *duel = &duels[i];
		const struct comparison *comparison = &duel->comparison;
		fprintf(report->out, "%-14s%*.*f%*.*f%+*.*f", report->measures->at[i].name, width, digits, duel->here, width,
			digits, duel->there, width, digits, duel->here - duel->there);
		if (report->measures->at[i].metric->value)
			fprintf(report->out, "  [%+.*f,%+*.*f] %*.*f  %s / %s / %s", digits, comparison->low, width, digits,
				comparison->high, width, digits, comparison->p, number_text(comparison->wins, wins),
				number_text(comparison->losses, losses), number_text(comparison->ties, ties));
		fputc('\n', report->out);
	}
}

static void check_comparable(const struct run *run, const struct run *versus)
{
	if (strcmp(run->ranking.catalog, versus->ranking.catalog))
		die("%s ranks the catalog %s, %s ranks %s", run->name, run->ranking.catalog, versus->name,
			versus->ranking.catalog);
	if (run->ranking.part != versus->ranking.part)
		die("%s and %s: one ranks for test targets, the other for validation targets", run->name, versus->name);
	if (run->ranking.seen_removed != versus->ranking.seen_removed)
		warn("%s and %s: one removes seen items, the other keeps them", run->name, versus->name);
}

static void compare_versus(struct report *report, const struct cli *cli, int format)
{
	const struct settings *settings = report->settings;
	struct run *run = report->run, versus = {0};
	load(&versus, (char *[]){(char *)(uintptr_t)settings->versus, NULL});
	check_comparable(run, &versus);
	struct pairs pairs = pairs_make(&run->ranking, &versus.ranking, run->name, versus.name);
	if (pairs.missing_here || pairs.missing_there)
		warn("%lld users of %s are not in %s, %lld the other way; the %lld of both are compared",
			(long long)pairs.missing_there, run->name, versus.name, (long long)pairs.missing_here,
			(long long)pairs.count);
	struct duel *duels = xcalloc((size_t)report->measures->count, sizeof *duels);
	for (int i = 0; i < report->measures->count; i++)
		duels[i] = evaluate_pairs(&run->ranking, &versus.ranking, &pairs, &report->measures->at[i], settings->ties,
			settings->resamples, cli->seed);
	json_set(report->protocol, "versus", json_any_text(versus.name));
	json_set(report->protocol, "compared", json_integer(pairs.count));
	json_set(report->protocol, "resamples", json_integer(settings->resamples));
	json_set(report->protocol, "seed", json_integer((json_int_t)cli->seed));
	if (format == FORMAT_TABLE)
		write_duel_table(report, duels, &versus);
	else
		write_data(report, duels_json(report, duels), format == FORMAT_LINES);
	free(duels);
	pairs_free(&pairs);
	run_free(&versus);
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
	struct run run = {0};
	load(&run, cli.inputs);
	check_lists(&measures, &run, settings.measures != NULL);
	struct sequences *sequences = settings.by_slices && run.sequences.group.complete ? &run.sequences : NULL;
	struct slices slices = slices_make(&run.ranking, sequences, settings.head / 100, settings.bounds,
		settings.n_bounds);
	if (!slices.users[SLICE_ALL])
		die("%s: no user of the ranking has a target", run.name);

	int format = settings.json ? FORMAT_JSON : settings.format;
	if (format < 0)
		format = !cli.output && !settings.per_user && isatty(STDOUT_FILENO) ? FORMAT_TABLE : FORMAT_LINES;
	struct output *output = output_open(cli.output);
	FILE *out = output_file(output);
	double(*mean)[SLICES_MAX] = evaluate(&run.ranking, &measures, settings.ties, &slices);
	struct report report = {out, &settings, &measures, &run, &slices, mean, protocol_of(&settings, &run, &slices)};
	if (settings.versus)
		compare_versus(&report, &cli, format);
	else if (format == FORMAT_TABLE)
		write_table(&report);
	else
		write_data(&report, figures_json(&report), format == FORMAT_LINES);
	output_file_close(output, out);
	output_commit(output);

	json_decref(report.protocol);
	slices_free(&slices);
	free(mean);
	measures_free(&measures);
	run_free(&run);
	free(settings.cuts);
	free(settings.bounds);
	return cli_done(&cli);
}
