/*
 * seq-tokenize: events and items from CSV, TSV or JSON lines into a tensor stream: tokenizer, catalog and sequences.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset_tables.h"
#include "data/sequences.h"
#include "data/tokenizer_group.h"
#include "stream/cli.h"
#include "stream/process.h"

static const char *const ties_names[] = {"file", "shuffle", NULL};
enum { TIES_FILE, TIES_SHUFFLE };
static const char *const kept_names[] = {"last", "none", NULL};
enum { KEPT_LAST, KEPT_NONE };

struct settings {
	struct tables tables;
	const char *tokenizer;
	int64_t vocab_size; /* 0: not given */
	bool is_sorted;
	int64_t min_user, min_item;
	int duplicates, ties, holdout; /* in their names */
	const char *split;             /* --split-time, or NULL */
	int64_t split_time;
};

/* --- options --- */

static void read_delimiter(const char *option, const char *value, void *values)
{
	const char **delimiter = &((struct settings *)values)->tables.reading.format.delimiter;
	if (!*value || strpbrk(value, "\"\r\n"))
		die_usage("%s '%s': characters between fields, tab or blanks were expected", option, value);
	bool is_tab = !strcmp(value, "tab") || !strcmp(value, "\\t");
	*delimiter = is_tab ? "\t" : !strcmp(value, "blanks") ? "" : value;
}

static void read_list(const char *option, const char *value, char ***list)
{
	free(*list);
	*list = split_list(value);
	if (!**list)
		die_usage("%s '%s': names of columns were expected, as user,item,time", option, value);
}

static void read_attributes(const char *option, const char *value, void *values)
{
	read_list(option, value, &((struct settings *)values)->tables.attributes);
}

/* "user,-,time": names without a column's are "" */
static void read_columns(const char *option, const char *value, char ***list)
{
	read_list(option, value, list);
	for (char **name = *list; *name; name++)
		if (!strcmp(*name, "-") || !strcmp(*name, "_"))
			*name = "";
}

static void read_events_columns(const char *option, const char *value, void *values)
{
	read_columns(option, value, &((struct settings *)values)->tables.events_columns);
}

static void read_items_columns(const char *option, const char *value, void *values)
{
	read_columns(option, value, &((struct settings *)values)->tables.items_columns);
}

static void read_domain(const char *option, const char *value, void *values)
{
	const char *problem = tables_add_domain(&((struct settings *)values)->tables, value);
	if (problem)
		die_usage("%s '%s': %s", option, value, problem);
}

/* clang-format off */
#define COLUMN_OPTION(role) .argument = "NAME", TEXT_OPTION(struct settings, tables.reading.column[role])
/* clang-format on */
#define WITH_ITEMS "items, domain"

static const struct option options[] = {
	{OPTIONS_TITLE("Events:")},
	{"user-column", COLUMN_OPTION(ROLE_USER), .help = "Column of the user (default the usual names)"},
	{"item-column", COLUMN_OPTION(ROLE_ITEM), .help = "Column of the item"},
	{"time-column", COLUMN_OPTION(ROLE_TIME), .help = "Column of the time"},
	{"columns", .argument = "A,B,...", OWN_OPTION(read_events_columns),
		.help =
			"Names of the columns in files whose first line does not name them: user,item,rating,time; - for others"},
	{"time-format", .argument = "FORMAT", TEXT_OPTION(struct settings, tables.time_format),
		.help = "s, ms, us, ns or a form of strptime, like %d.%m.%Y (default by size; ISO 8601 dates)"},
	{"rating-column", COLUMN_OPTION(ROLE_RATING), .only = "min-rating", .help = "Column of the rating"},
	{"min-rating", .argument = "X", REAL_OPTION(struct settings, tables.reading.min_rating, -1e300, 1e300),
		.help = "Only events rated X and higher"},
	{"sorted", FLAG_OPTION(struct settings, is_sorted), .only = "min-item=0|1",
		.help = "The events are sorted by user and time: as many as there are on disk, in the memory of the ids"},
	{"duplicates", .argument = "WHICH", CHOICE_OPTION(struct settings, duplicates, duplicates_names),
		.fallback = "keep", .help = "Of a user's events with one item: keep, exact (once at one time), first, last"},
	{"min-user", .argument = "N", WHOLE_OPTION(struct settings, min_user, 0, INT64_MAX), .fallback = "0",
		.help = "k-core: only users with N events and more"},
	{"min-item", .argument = "N", WHOLE_OPTION(struct settings, min_item, 0, INT64_MAX), .fallback = "0",
		.help = "k-core: only items with N events and more"},
	{"ties", .argument = "ORDER", CHOICE_OPTION(struct settings, ties, ties_names), .fallback = "file",
		.help = "Events of one time: file (as they stand), shuffle (by --seed)"},
	{"holdout", .argument = "WHAT", CHOICE_OPTION(struct settings, holdout, kept_names), .fallback = "last",
		.help = "What is kept from training: last (each user's last two events), none"},
	{"split-time", .argument = "TIME", TEXT_OPTION(struct settings, split), .only = "holdout!=none",
		.help = "Split by time, not leave-one-out: the test event is the first from TIME on"},
	{OPTIONS_TITLE("Items:")},
	{"items", .argument = "FILE", FILE_OPTION(struct settings, tables.items), .may_be_stdin = true,
		.help = "Texts of the items: an id and attributes"},
	{"item-id-column", COLUMN_OPTION(ROLE_ITEM_ID), .only = WITH_ITEMS, .help = "Column of the id in FILE"},
	{"items-columns", .argument = "A,B,...", OWN_OPTION(read_items_columns), .only = WITH_ITEMS,
		.help = "Names of FILE's columns, where its first line does not name them"},
	{"attributes", .argument = "A,B,...", OWN_OPTION(read_attributes), .only = WITH_ITEMS,
		.help = "Text columns, in this order (default all, the title first)"},
	{"keep-entities", FLAG_OPTION(struct settings, tables.reading.text.keep_entities), .only = WITH_ITEMS,
		.help = "Do not decode HTML entities"},
	{"normal-form", .argument = "FORM",
		CHOICE_OPTION(struct settings, tables.reading.text.normal_form, text_normal_forms), .fallback = "nfc",
		.only = WITH_ITEMS, .help = "Unicode's normal form of the texts: nfc, nfkc, none"},
	{"tokenizer", .argument = "FILE", FILE_OPTION(struct settings, tokenizer), .only = WITH_ITEMS,
		.help = "tokenizer.json, GGUF, folder, vocab.json,merges.txt or stream (default byte-level BPE learned from "
				"the texts)"},
	{"vocab-size", .argument = "N", WHOLE_OPTION(struct settings, vocab_size, LEARNED_VOCAB_MIN, 1 << 24),
		.only = "!tokenizer; " WITH_ITEMS, .derive = option_depends, .fallback = NUMBER_TEXT(LEARNED_VOCAB_DEFAULT),
		.help = "Size of the vocabulary learned"},
	{OPTIONS_TITLE("Both:")},
	{"domain", .argument = "NAME=ITEMS,EVENTS,...", OWN_OPTION(read_domain), .only = "!items",
		.help = "In place of --items and EVENTS, and more than once: the tables of a domain, whose ids become NAME:id"},
	{"delimiter", .argument = "TEXT", OWN_OPTION(read_delimiter),
		.help = "Between fields: a character, ::, tab or blanks (default as in the first line)"},
	{"skip-bad", FLAG_OPTION(struct settings, tables.reading.format.skip_bad),
		.help = "Count and leave out wrong rows, of which the first is fatal otherwise"},
	{0},
};

static const struct cli_tool tool = {
	.name = "seq-tokenize",
	.arguments = "[EVENTS...]",
	.summary =
		"Reads events (who met what, when) and the texts of items from CSV, TSV or JSON lines, plain or compressed "
		"by gzip or zstd, and writes the groups tokenizer, catalog and sequences of a tensor stream.",
	.examples = "  seq-tokenize --items items.csv events.csv | seq-train --arch sasrec |\n"
				"    seq-rank | rec-eval\n"
				"  seq-tokenize --items items.csv --attributes title,brand \\\n"
				"    --tokenizer llm.gguf events.tsv -o s.tar.zst\n"
				"  seq-tokenize --domain shop=shop.csv,sales.csv \\\n"
				"    --domain film=films.csv,views.csv -o both.tar.zst\n"
				"  { head -n 1 e.csv; tail -n +2 e.csv | sort -t, -k1,1 -k3,3n; } |\n"
				"    seq-tokenize --sorted -o s.tar.zst\n"
				"  seq-tokenize --min-user 5 --min-item 5 --duplicates first ratings.csv |\n"
				"    tar --zstd -t\n",
	.table = options,
	.usage_without_input = true,
	.binary_output = true,
};

/* As the events' times are written, or as they may be. */
static int64_t time_of(const char *text, const char *format)
{
	struct time time;
	if (!(format && parse_time_as(format, text, &time)) && !parse_time(text, &time, NULL))
		die_usage("--split-time %s: whole seconds or a date like 2011-11-21 was expected", text);
	if (time.nanoseconds)
		die_usage("--split-time %s: a whole second was expected", text);
	return time.seconds;
}

static void parse(int argc, char **argv, struct cli *cli, struct settings *settings)
{
	static char *from_stdin[] = {"-", NULL};
	*settings = (struct settings){0};
	cli_parse(&tool, argc, argv, cli, settings);
	struct tables *tables = &settings->tables;
	struct reading *reading = &tables->reading;
	tables->events = cli->n_inputs ? cli->inputs : from_stdin;
	reading->has_min_rating = !isnan(reading->min_rating);
	const char *wrong = tables->time_format ? time_format_problem(tables->time_format) : NULL;
	if (wrong)
		die_usage("--time-format %s: %s", tables->time_format, wrong);
	if (settings->split)
		settings->split_time = time_of(settings->split, tables->time_format);
	if (tables->n_domains && cli->n_inputs)
		die_usage("--domain names its events itself: no %s beside it", cli->inputs[0]);
}

/* --- compute --- */

static struct dataset_rules rules_of(const struct settings *settings, const struct cli *cli)
{
	return (struct dataset_rules){.duplicates = (enum duplicates)settings->duplicates,
		.shuffle_ties = settings->ties == TIES_SHUFFLE,
		.seed = cli->seed,
		.min_user = settings->min_user,
		.min_item = settings->min_item,
		.is_sorted = settings->is_sorted};
}

static struct tokenizer *find_tokenizer(const struct settings *settings, const struct dataset *dataset)
{
	if (!tables_have_items(&settings->tables))
		return NULL;
	if (settings->tokenizer)
		return tokenizer_read(settings->tokenizer);
	return catalog_learn_tokenizer(dataset, settings->vocab_size ? settings->vocab_size : LEARNED_VOCAB_DEFAULT);
}

/* --- what was found --- */

static void tell(const struct settings *settings, const struct dataset *dataset, const struct dataset_facts *facts,
	int64_t tokens, int64_t split_users)
{
	dataset_tell(dataset, facts);
	if (dataset->n_repeated)
		notice("%s%s %s an earlier one's user, item and time%s",
			settings->duplicates == DUPLICATES_KEEP ? "warning: " : "", counted(dataset->n_repeated, "events"),
			by_number(dataset->n_repeated, "repeats", "repeat"),
			settings->duplicates == DUPLICATES_KEEP ? " (--duplicates exact drops them)" : "");
	if (tables_have_items(&settings->tables))
		notice("%s, %.1f an item", counted(tokens, "tokens"), (double)tokens / (double)dataset->item_id.count);
	if (facts->textless_items)
		notice("warning: no text in %s for %lld of the items",
			settings->tables.items ? settings->tables.items : "the domains", (long long)facts->textless_items);
	if (facts->tied_share > 0.01 && settings->holdout != KEPT_NONE)
		notice("%.1f %% of the users have %s; the order of these: %s%s", 100 * facts->tied_share,
			dataset->has_fractions ? "their last two events in one second" : "one timestamp for their last two events",
			dataset->has_fractions ? "by its fractions, then " : "",
			settings->ties == TIES_SHUFFLE ? "shuffled" : "the file's");
	if (settings->split)
		notice("%s %s events before and after the split", counted(split_users, "users"),
			by_number(split_users, "has", "have"));
	else if (settings->holdout == KEPT_NONE)
		notice("nothing is held out: all events are for training");
	else if (facts->future_share > 0)
		notice("warning: leave-one-out trains on the future: %.1f %% of the training events are later than the test "
			   "event of the average user (see --split-time)",
			100 * facts->future_share);
}

static enum holdout holdout_of(const struct settings *settings)
{
	return settings->split ? HOLDOUT_TIME : settings->holdout == KEPT_NONE ? HOLDOUT_NONE : HOLDOUT_LAST;
}

/* For the sequences' meta.json. */
static json_t *how_made(const struct settings *settings)
{
	return json_build("{s:s, s:s, s:I, s:I}", "ties", ties_names[settings->ties], "duplicates",
		duplicates_names[settings->duplicates], "min_user", (json_int_t)settings->min_user, "min_item",
		(json_int_t)settings->min_item);
}

static json_t *measured(const struct dataset *dataset, const struct dataset_facts *facts,
	const struct tokenizer *tokenizer, int64_t tokens)
{
	json_t *found = dataset_facts_json(dataset, facts);
	if (tokenizer) {
		json_set(found, "textless_items", json_integer(facts->textless_items));
		json_set(found, "tokens", json_integer(tokens));
		json_set(found, "vocab_size", json_integer(tokenizer_vocab_size(tokenizer)));
	}
	return found;
}

static int64_t users_of_split(const struct settings *settings, struct dataset *dataset)
{
	char *option = xasprintf("--split-time %s", settings->split);
	const int64_t users = dataset_split_users(dataset, settings->split_time, option);
	free(option);
	return users;
}

int main(int argc, char **argv)
{
	process_begin();
	struct cli cli;
	struct settings settings;
	parse(argc, argv, &cli, &settings);

	struct dataset dataset = {.rules = rules_of(&settings, &cli)};
	dataset_read_tables(&dataset, &settings.tables, settings.split ? "--split-time" : NULL);
	/* without an items file every item came with an event, and goes with its last one */
	dataset_filter(&dataset, settings.min_item > 0 || !tables_have_items(&settings.tables));
	struct dataset_facts facts;
	dataset_describe(&dataset, &facts);
	const int64_t split_users = settings.split ? users_of_split(&settings, &dataset) : 0;
	struct tokenizer *tokenizer = find_tokenizer(&settings, &dataset);

	struct bag_out *out = bag_create(cli.output, cli.level);
	if (tokenizer)
		tokenizer_write(out, tokenizer);
	int64_t tokens = catalog_write(out, &dataset, tokenizer, cli.threads);
	sequences_write(out, &dataset, &facts, holdout_of(&settings), settings.split_time, how_made(&settings));
	cli_finish(&cli, out, measured(&dataset, &facts, tokenizer, tokens));

	tell(&settings, &dataset, &facts, tokens, split_users);
	if (tokenizer)
		tokenizer_free(tokenizer);
	dataset_free(&dataset);
	tables_free(&settings.tables);
	return cli_done(&cli);
}
