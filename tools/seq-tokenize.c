/*
 * seq-tokenize: events and items from CSV or TSV into a tensor stream:
 * tokenizer, catalog and sequences.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/dataset.h"
#include "data/sequences.h"
#include "data/tokenizer_group.h"
#include "data/utf8.h"
#include "stream/bytes.h"
#include "stream/cli.h"
#include "stream/process.h"

#define DEFAULT_VOCAB 8192

/* --domain NAME=ITEMS,EVENTS,... */
struct domain {
	char *name, *items;
	char **events; /* NULL-terminated */
};

struct settings {
	struct domain *domains;
	int n_domains;
	const char *items, *tokenizer;
	char **attributes, **items_columns;
	int64_t vocab_size, min_user, min_item;
	int duplicates, ties;
	int holdout;       /* in kept_names */
	const char *split; /* --split-time, or NULL */
	int64_t split_time;
	struct reading reading;
	const char *time_format;
};

static const char *const duplicates_names[] = {"keep", "exact", "first", "last", NULL};
static const char *const ties_names[] = {"file", "shuffle", NULL};
enum { TIES_FILE, TIES_SHUFFLE };
static const char *const kept_names[] = {"last", "none", NULL};
enum { KEPT_LAST, KEPT_NONE };

enum {
	KEY_ITEMS = 256,
	KEY_TOKENIZER,
	KEY_VOCAB_SIZE,
	KEY_ATTRIBUTES,
	KEY_KEEP_ENTITIES,
	KEY_NORMAL_FORM,
	KEY_USER_COLUMN,
	KEY_ITEM_COLUMN,
	KEY_TIME_COLUMN,
	KEY_ITEM_ID_COLUMN,
	KEY_DELIMITER,
	KEY_COLUMNS,
	KEY_ITEMS_COLUMNS,
	KEY_TIME_FORMAT,
	KEY_RATING_COLUMN,
	KEY_MIN_RATING,
	KEY_SKIP_BAD,
	KEY_MIN_USER,
	KEY_MIN_ITEM,
	KEY_DUPLICATES,
	KEY_TIES,
	KEY_SPLIT_TIME,
	KEY_HOLDOUT,
	KEY_DOMAIN
};

static const struct argp_option options[] = {{NULL, 0, NULL, 0, "Events:", 1},
	{"user-column", KEY_USER_COLUMN, "NAME", 0, "Column of the user (default: the usual names)", 1},
	{"item-column", KEY_ITEM_COLUMN, "NAME", 0, "Column of the item", 1},
	{"time-column", KEY_TIME_COLUMN, "NAME", 0, "Column of the time", 1},
	{"columns", KEY_COLUMNS, "A,B,...", 0,
		"Names of the columns in files whose first line does not name them: user,item,rating,time; - for others", 1},
	{"time-format", KEY_TIME_FORMAT, "FORMAT", 0,
		"s, ms, us, ns or a form of strptime, like %d.%m.%Y (default: by size; ISO 8601 dates)", 1},
	{"rating-column", KEY_RATING_COLUMN, "NAME", 0, "Column of the rating", 1},
	{"min-rating", KEY_MIN_RATING, "X", 0, "Only events rated X and higher", 1},
	{"duplicates", KEY_DUPLICATES, "WHICH", 0,
		"Of a user's events with one item: keep (default), exact (once at one time), first, last", 1},
	{"min-user", KEY_MIN_USER, "N", 0, "k-core: only users with N events and more", 1},
	{"min-item", KEY_MIN_ITEM, "N", 0, "k-core: only items with N events and more", 1},
	{"ties", KEY_TIES, "ORDER", 0, "Events of one time: file (default: as they stand), shuffle (by --seed)", 1},
	{"holdout", KEY_HOLDOUT, "WHAT", 0, "What is kept from training: last (default: each user's last two events), none",
		1},
	{"split-time", KEY_SPLIT_TIME, "TIME", 0,
		"Split by time, not leave-one-out: the test event is the first from TIME on", 1},
	{NULL, 0, NULL, 0, "Items:", 2}, {"items", KEY_ITEMS, "FILE", 0, "Texts of the items: an id and attributes", 2},
	{"item-id-column", KEY_ITEM_ID_COLUMN, "NAME", 0, "Column of the id in FILE", 2},
	{"items-columns", KEY_ITEMS_COLUMNS, "A,B,...", 0,
		"Names of FILE's columns, where its first line does not name them", 2},
	{"attributes", KEY_ATTRIBUTES, "A,B,...", 0, "Text columns, in this order (default: all)", 2},
	{"keep-entities", KEY_KEEP_ENTITIES, NULL, 0, "Do not decode HTML entities", 2},
	{"normal-form", KEY_NORMAL_FORM, "FORM", 0, "Unicode's normal form of the texts: nfc (default), nfkc, none", 2},
	{"tokenizer", KEY_TOKENIZER, "FILE", 0,
		"tokenizer.json, GGUF, folder, vocab.json,merges.txt or stream (default: byte-level BPE learned from the texts)",
		2},
	{"vocab-size", KEY_VOCAB_SIZE, "N", 0, "Size of the vocabulary learned (default 8192)", 2},
	{NULL, 0, NULL, 0, "Both:", 3},
	{"domain", KEY_DOMAIN, "NAME=ITEMS,EVENTS,...", 0,
		"In place of --items and EVENTS, and more than once: the tables of a domain, whose ids become NAME:id", 3},
	{"delimiter", KEY_DELIMITER, "TEXT", 0,
		"Between fields: a character, ::, tab or blanks (default: as in the first line)", 3},
	{"skip-bad", KEY_SKIP_BAD, NULL, 0, "Count and leave out wrong rows (default: the first one is fatal)", 3}, {0}};

static const char *delimiter_option(const char *value)
{
	if (!strcmp(value, "tab") || !strcmp(value, "\\t"))
		return "\t";
	if (!strcmp(value, "blanks"))
		return "";
	if (!*value || strpbrk(value, "\"\r\n"))
		die_usage("--delimiter '%s': characters between fields, tab or blanks were expected", value);
	return value;
}

static char **attributes_option(const char *value)
{
	char **list = split_list(value);
	if (!*list)
		die_usage("--attributes '%s': names of columns were expected", value);
	return list;
}

/* "user,-,time": names without a column's are "" */
static char **columns_option(const char *option, const char *value)
{
	char **list = split_list(value);
	for (int i = 0; list[i]; i++)
		if (!strcmp(list[i], "-") || !strcmp(list[i], "_"))
			list[i] = "";
	if (!*list)
		die_usage("%s '%s': names of columns were expected, as user,item,time", option, value);
	return list;
}

static const char *time_format_option(const char *value)
{
	const char *problem = time_format_problem(value);
	if (problem)
		die_usage("--time-format %s: %s", value, problem);
	return value;
}

static void domain_option(struct settings *settings, const char *value)
{
	const char *equals = strchr(value, '=');
	char **files = equals ? split_list(equals + 1) : NULL;
	if (!equals || equals == value || !files[0] || !files[1])
		die_usage("--domain '%s': NAME=ITEMS,EVENTS was expected", value);
	struct domain domain = {.name = xstrndup(value, (size_t)(equals - value)), .items = files[0], .events = files + 1};
	for (int i = 0; i < settings->n_domains; i++)
		if (!strcmp(settings->domains[i].name, domain.name))
			die_usage("--domain %s was given before", domain.name);
	for (const char *byte = domain.name; *byte; byte++)
		if ((unsigned char)*byte <= ' ' || *byte == ':' || *byte == 127)
			die_usage("--domain '%s': a name without blanks and colons was expected", domain.name);
	if (!utf8_is_valid(domain.name, strlen(domain.name)))
		die_usage("--domain '%s': a name in UTF-8 was expected", domain.name);
	settings->domains = xreallocarray(settings->domains, (size_t)settings->n_domains + 1, sizeof domain);
	settings->domains[settings->n_domains++] = domain;
}

/* As the events' times are written, or as they may be. */
static int64_t time_of(const struct settings *settings)
{
	struct time time;
	const char *text = settings->split, *format = settings->time_format;
	if (!(format && parse_time_as(format, text, &time)) && !parse_time(text, &time, NULL))
		die_usage("--split-time %s: whole seconds or a date like 2011-11-21 was expected", text);
	if (time.nanoseconds)
		die_usage("--split-time %s: a whole second was expected", text);
	return time.seconds;
}

static error_t option(int key, char *value, struct argp_state *state)
{
	struct settings *settings = state->input;
	struct reading *reading = &settings->reading;
	switch (key) {
	case KEY_ITEMS: settings->items = value; return 0;
	case KEY_TOKENIZER: settings->tokenizer = value; return 0;
	case KEY_VOCAB_SIZE: settings->vocab_size = option_int("--vocab-size", value, LEARNED_VOCAB_MIN, 1 << 24); return 0;
	case KEY_ATTRIBUTES: settings->attributes = attributes_option(value); return 0;
	case KEY_DOMAIN: domain_option(settings, value); return 0;
	case KEY_KEEP_ENTITIES: reading->text.keep_entities = true; return 0;
	case KEY_NORMAL_FORM:
		reading->text.normal_form = option_choice("--normal-form", value, text_normal_forms);
		return 0;
	case KEY_USER_COLUMN: reading->column[ROLE_USER] = value; return 0;
	case KEY_ITEM_COLUMN: reading->column[ROLE_ITEM] = value; return 0;
	case KEY_TIME_COLUMN: reading->column[ROLE_TIME] = value; return 0;
	case KEY_ITEM_ID_COLUMN: reading->column[ROLE_ITEM_ID] = value; return 0;
	case KEY_DELIMITER: reading->format.delimiter = delimiter_option(value); return 0;
	case KEY_COLUMNS: reading->format.columns = columns_option("--columns", value); return 0;
	case KEY_ITEMS_COLUMNS: settings->items_columns = columns_option("--items-columns", value); return 0;
	case KEY_TIME_FORMAT: settings->time_format = time_format_option(value); return 0;
	case KEY_RATING_COLUMN: reading->column[ROLE_RATING] = value; return 0;
	case KEY_MIN_RATING:
		reading->has_min_rating = true;
		reading->min_rating = option_float("--min-rating", value, -1e300, 1e300);
		return 0;
	case KEY_SKIP_BAD: reading->format.skip_bad = true; return 0;
	case KEY_MIN_USER: settings->min_user = option_int("--min-user", value, 0, INT64_MAX); return 0;
	case KEY_MIN_ITEM: settings->min_item = option_int("--min-item", value, 0, INT64_MAX); return 0;
	case KEY_DUPLICATES: settings->duplicates = option_choice("--duplicates", value, duplicates_names); return 0;
	case KEY_TIES: settings->ties = option_choice("--ties", value, ties_names); return 0;
	case KEY_SPLIT_TIME: settings->split = value; return 0;
	case KEY_HOLDOUT: settings->holdout = option_choice("--holdout", value, kept_names); return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static const struct cli_tool tool = {
	.name = "seq-tokenize",
	.arguments = "[EVENTS...]",
	.summary =
		"Reads events (who met what, when) and the texts of items from CSV, TSV or JSON lines, plain or compressed "
		"by gzip or zstd, and writes the groups tokenizer, catalog and sequences of a tensor stream.",
	.examples =
		"  seq-tokenize --items items.csv events.csv | seq-train --arch sasrec | seq-rank | rec-eval\n"
		"  seq-tokenize --items items.csv --attributes title,brand --tokenizer llm.gguf events.tsv -o s.tar.zst\n"
		"  seq-tokenize --domain shop=shop.csv,sales.csv --domain film=films.csv,views.csv -o both.tar.zst\n"
		"  seq-tokenize --min-user 5 --min-item 5 --duplicates first ratings.csv | tar --zstd -t\n",
	.options = options,
	.option = option,
	.usage_without_input = true,
	.binary_output = true,
};

static void check_settings(struct settings *settings, const struct cli *cli)
{
	if (settings->split)
		settings->split_time = time_of(settings);
	if (settings->tokenizer && settings->vocab_size)
		die_usage("--vocab-size is for a learned vocabulary, not for --tokenizer");
	bool for_items = settings->tokenizer || settings->vocab_size || settings->attributes ||
		settings->reading.column[ROLE_ITEM_ID] || settings->items_columns;
	if (settings->n_domains && (settings->items || cli->n_inputs))
		die_usage("--domain names its items and events itself: no --items and no events beside it");
	if (for_items && !settings->items && !settings->n_domains)
		die_usage("--tokenizer, --vocab-size, --attributes, --item-id-column and --items-columns need --items");
	if (settings->reading.column[ROLE_RATING] && !settings->reading.has_min_rating)
		die_usage("--rating-column is for --min-rating");
	if (settings->split && settings->holdout == KEPT_NONE)
		die_usage("--split-time holds out what is later: no --holdout none beside it");
	bool items_stdin = settings->items && !strcmp(settings->items, "-"), events_stdin = !cli->n_inputs;
	for (int i = 0; i < cli->n_inputs; i++)
		events_stdin |= !strcmp(cli->inputs[i], "-");
	if (items_stdin && events_stdin)
		die_usage("events and items cannot both be read from stdin");
}

/* --- reading --- */

static void read_items(struct dataset *dataset, const char *path, const char *domain, const struct settings *settings)
{
	struct reading reading = settings->reading;
	reading.format.columns = settings->items_columns;
	reading.domain = domain;
	dataset_read_items(dataset, path, &reading, settings->attributes);
	if (!dataset->attributes.n)
		die("%s: no text column beside the id", path);
}

static void read_events(struct dataset *dataset, char *const paths[], const char *domain, const char *items,
	const struct settings *settings)
{
	struct reading reading = settings->reading;
	int64_t before = dataset->n_read;
	reading.domain = domain;
	for (char *const *path = paths; *path; path++)
		dataset_read_events(dataset, *path, &reading);
	const char *name = strcmp(*paths, "-") ? *paths : "stdin";
	if (dataset->n_read == before && dataset->first_problem)
		die("no events but %lld wrong rows, the first: %s", (long long)dataset->n_skipped, dataset->first_problem);
	if (dataset->n_read == before)
		die("%s: no events", name);
	if (settings->split && !dataset->has_time)
		die("%s: --split-time without a time column", name);
	if (items)
		dataset_require_overlap(dataset, items, before);
}

/* All items before all events: the catalog begins with those that have texts. */
static void read_tables(struct dataset *dataset, const struct settings *settings, const struct cli *cli)
{
	char *const from_stdin[] = {"-", NULL};
	dataset->times.format = settings->time_format;
	dataset->has_domains = settings->n_domains;
	for (int i = 0; i < settings->n_domains; i++)
		read_items(dataset, settings->domains[i].items, settings->domains[i].name, settings);
	for (int i = 0; i < settings->n_domains; i++)
		read_events(dataset, settings->domains[i].events, settings->domains[i].name, settings->domains[i].items,
			settings);
	if (settings->items)
		read_items(dataset, settings->items, NULL, settings);
	if (!settings->n_domains)
		read_events(dataset, cli->n_inputs ? cli->inputs : from_stdin, NULL, settings->items, settings);
	dataset_check(dataset);
}

static bool has_items(const struct settings *settings)
{
	return settings->items || settings->n_domains;
}

/* What dropped how much, for the history. */
static json_t *filter(struct dataset *dataset, const struct settings *settings, const struct cli *cli)
{
	struct rng rng;
	rng_seed(&rng, cli->seed);
	dataset_order(dataset, settings->ties == TIES_SHUFFLE ? &rng : NULL, settings->duplicates == DUPLICATES_EXACT);
	dataset_deduplicate(dataset, (enum duplicates)settings->duplicates);
	int64_t duplicates = dataset->n_read - dataset->n_events, before = dataset->n_events;
	int64_t users = dataset->user_id.count, items = dataset->item_id.count;
	int rounds = 0;
	if (settings->min_user > 1 || settings->min_item > 1)
		rounds = dataset_core(dataset, settings->min_user, settings->min_item);
	/* without an items file every item came with an event, and goes with its last one */
	dataset_compact(dataset, settings->min_item > 0 || !has_items(settings));
	if (!dataset->n_events)
		die("--min-user %lld --min-item %lld leave no events of %lld", (long long)settings->min_user,
			(long long)settings->min_item, (long long)before);
	return json_build("{s:I, s:I, s:I, s:I, s:i}", "duplicate_events", (json_int_t)duplicates, "core_events",
		(json_int_t)(before - dataset->n_events), "users", (json_int_t)(users - dataset->user_id.count), "items",
		(json_int_t)(items - dataset->item_id.count), "core_rounds", rounds);
}

/* How many users the split can test. A time of another unit, or beyond the data, would leave none. */
static int64_t require_split(const struct dataset *dataset, const struct settings *settings)
{
	if (!settings->split)
		return 0;
	int64_t users = dataset_split_users(dataset, settings->split_time), first = dataset->time[0], last = first;
	for (int64_t i = 0; i < dataset->n_events; i++) {
		first = dataset->time[i] < first ? dataset->time[i] : first;
		last = dataset->time[i] > last ? dataset->time[i] : last;
	}
	if (!users)
		die("--split-time %lld: no user has events both before and after; the times run from %lld to %lld",
			(long long)settings->split_time, (long long)first, (long long)last);
	return users;
}

/* --- tokenizer --- */

static bool is_stream(const char *path)
{
	struct stat status;
	if (stat(path, &status) || !S_ISREG(status.st_mode))
		return false;
	char head[512];
	struct source *source = source_open(path);
	size_t size = source_read(source, head, sizeof head);
	bool stream = source_is_compressed(source) || (size == sizeof head && !memcmp(head + 257, "ustar", 5));
	source_close(source);
	return stream;
}

static struct tokenizer *learn(const struct dataset *dataset, int64_t vocab_size)
{
	struct learner *learner = learner_new();
	for (int64_t item = 0; item < dataset->attributes.n_items; item++)
		for (int i = 0; i < dataset->attributes.n; i++) {
			const char *name = dataset->attributes.name[i], *text = dataset_text(dataset, item, i);
			if (!*text)
				continue;
			learner_add(learner, name, strlen(name));
			learner_add(learner, text, strlen(text));
		}
	return learner_finish(learner, vocab_size ? vocab_size : DEFAULT_VOCAB);
}

static struct tokenizer *find_tokenizer(const struct settings *settings, const struct dataset *dataset)
{
	if (!has_items(settings))
		return NULL;
	if (!settings->tokenizer)
		return learn(dataset, settings->vocab_size);
	return is_stream(settings->tokenizer) ? tokenizer_of_stream(settings->tokenizer) :
											tokenizer_load(settings->tokenizer);
}

/* --- what was found --- */

static void tell(const struct settings *settings, const struct dataset *dataset, const struct dataset_facts *facts,
	int64_t tokens, int64_t split_users)
{
	for (int64_t i = 0; i < dataset->notes.count; i++)
		notice("%s", strings_at(&dataset->notes, i));
	if (dataset->n_repeated)
		notice("%s%lld events repeat an earlier one's user, item and time%s",
			settings->duplicates == DUPLICATES_KEEP ? "warning: " : "", (long long)dataset->n_repeated,
			settings->duplicates == DUPLICATES_KEEP ? " (--duplicates exact drops them)" : "");
	notice("%lld users, %lld items, %lld events; %.1f events a user (median %lld)", (long long)dataset->user_id.count,
		(long long)dataset->item_id.count, (long long)dataset->n_events, facts->mean_length,
		(long long)facts->median_length);
	if (has_items(settings))
		notice("%lld tokens, %.1f an item", (long long)tokens, (double)tokens / (double)dataset->item_id.count);
	if (dataset->n_skipped)
		notice("%lld wrong rows left out, the first: %s", (long long)dataset->n_skipped, dataset->first_problem);
	if (facts->textless_items)
		notice("warning: no text in %s for %lld of the items", settings->items ? settings->items : "the domains",
			(long long)facts->textless_items);
	if (facts->tied_share > 0.01 && settings->holdout != KEPT_NONE)
		notice("%.1f %% of the users have one timestamp for their last two events; the order of these: %s",
			100 * facts->tied_share, settings->ties == TIES_SHUFFLE ? "shuffled" : "the file's");
	if (settings->split)
		notice("%lld users have events before and after the split", (long long)split_users);
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

static json_t *measured(const struct dataset *dataset, const struct dataset_facts *facts, json_t *dropped,
	const struct tokenizer *tokenizer, int64_t tokens)
{
	json_t *found = json_build("{s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:f, s:f, s:o}", "events_read",
		(json_int_t)dataset->n_read, "rows_skipped", (json_int_t)dataset->n_skipped, "users",
		(json_int_t)dataset->user_id.count, "items", (json_int_t)dataset->item_id.count, "events",
		(json_int_t)dataset->n_events, "mean_length", facts->mean_length, "median_length",
		(json_int_t)facts->median_length, "longest", (json_int_t)facts->longest, "unseen_items",
		(json_int_t)facts->unseen_items, "tied_share", facts->tied_share, "future_share", facts->future_share,
		"dropped", dropped);
	if (tokenizer) {
		json_set(found, "textless_items", json_integer(facts->textless_items));
		json_set(found, "tokens", json_integer(tokens));
		json_set(found, "vocab_size", json_integer(tokenizer_vocab_size(tokenizer)));
	}
	return found;
}

int main(int argc, char **argv)
{
	process_begin();
	struct cli cli;
	struct settings settings = {0};
	cli_parse(&tool, argc, argv, &cli, &settings);
	check_settings(&settings, &cli);

	struct dataset dataset = {0};
	read_tables(&dataset, &settings, &cli);
	json_t *dropped = filter(&dataset, &settings, &cli);
	struct dataset_facts facts;
	dataset_describe(&dataset, &facts);
	int64_t split_users = require_split(&dataset, &settings);
	struct tokenizer *tokenizer = find_tokenizer(&settings, &dataset);

	struct bag_out *out = bag_create(cli.output, cli.level);
	if (tokenizer)
		tokenizer_write(out, tokenizer);
	int64_t tokens = catalog_write(out, &dataset, tokenizer, cli.threads);
	sequences_write(out, &dataset, holdout_of(&settings), settings.split_time, how_made(&settings));
	cli_finish(&cli, out, measured(&dataset, &facts, dropped, tokenizer, tokens));

	tell(&settings, &dataset, &facts, tokens, split_users);
	if (tokenizer)
		tokenizer_free(tokenizer);
	dataset_free(&dataset);
	return cli_done(&cli);
}
