/*
 * seq-rank: catalog, sequences and model in; rankings of the whole catalog, or recommendations, out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/embedding.h"
#include "data/ranking.h"
#include "nn/blas.h"
#include "nn/matrix.h"
#include "rank/answer_lines.h"
#include "rank/asked_users.h"
#include "rank/batch.h"
#include "rank/ensemble.h"
#include "rank/server.h"
#include "rank/similar.h"
#include "stream/cli.h"
#include "stream/output.h"
#include "stream/process.h"

/* --- options --- */

enum { FORMAT_STREAM, FORMAT_LISTINGS }; /* behind it those of listing.h */
static const char *const format_names[] = {"stream", LISTING_FORMATS, NULL};
static const char *const split_names[] = {"test", "valid", "next", NULL};
static const enum part parts[] = {PART_TEST, PART_VALID, PART_NEXT};
enum seen { SEEN_REMOVE, SEEN_KEEP };
static const char *const seen_names[] = {"remove", "keep", NULL};

struct settings {
	int32_t k; /* 0: the default */
	int split; /* in its names; -1: by what is held out */
	enum part part;
	int seen, format;
	int shard, shards;
	int64_t batch;
	const char *run_name, *users, *candidates, *exclude, *items, *listen;
	struct ensemble_options ensemble;
	char **fields;
	bool similar, serve, why;
};

static void read_shard(const char *option, const char *value, void *values)
{
	struct settings *settings = values;
	const char *slash = strchr(value, '/');
	char *part = xstrndup(value, strcspn(value, "/"));
	int64_t shard, shards;
	if (!slash || !parse_int(slash + 1, 1, 999999, &shards) || !parse_int(part, 1, shards, &shard))
		die_usage("%s %s: I/N with 1 <= I <= N was expected", option, value);
	settings->shard = (int)shard;
	settings->shards = (int)shards;
	free(part);
}

static void read_fields(const char *option, const char *value, void *values)
{
	struct settings *settings = values;
	settings->fields = split_list(value);
	if (!*settings->fields)
		die_usage("%s '%s': names of attributes were expected", option, value);
}

static const struct option options[] = {
	{OPTIONS_TITLE("What is asked:")},
	{"split", CHOICE_OPTION(struct settings, split, split_names), .only = "!similar|serve|listen",
		.help = "Where a user's test or valid item stands, or what to recommend next, after all that was met (default "
				"test; next where nothing is held out)"},
	{"top", .letter = 'k', .argument = "N", WHOLE_OPTION(struct settings, k, 1, INT32_MAX - 1),
		.help = "Best items to a user (default 100; 10 with --split next, --similar, --serve and --listen)"},
	{"seen", CHOICE_OPTION(struct settings, seen, seen_names), .only = "!similar", .fallback = "remove",
		.help = "Items of the history: leave them out, or rank them too"},
	{"users", .argument = "FILE", FILE_OPTION(struct settings, users), .may_be_stdin = true,
		.only = "!similar|serve|listen; split!=test|valid",
		.help = "With --split next: for the users in FILE alone, an id a line"},
	{"candidates", .argument = "FILE", FILE_OPTION(struct settings, candidates), .may_be_stdin = true,
		.help = "Recommend only items that are in FILE, an id a line: what is in stock"},
	{"exclude", .argument = "FILE", FILE_OPTION(struct settings, exclude), .may_be_stdin = true,
		.help = "Recommend no item that is in FILE, an id a line"},
	{"similar", FLAG_OPTION(struct settings, similar), .only = "!serve|listen; format!=stream|trec|qrels",
		.help = "For each item of the catalog those most like it, by the cosine of their vectors in the model"},
	{"items", .argument = "FILE", FILE_OPTION(struct settings, items), .may_be_stdin = true, .only = "similar",
		.help = "With --similar: for the items in FILE alone, an id a line"},
	{INCLUDED_OPTIONS(struct settings, ensemble, ensemble_options)},
	{"serve", FLAG_OPTION(struct settings, serve),
		.help = "Answer lines of stdin at once: a user, user<TAB>item item ..., or JSON"},
	{"listen", .argument = "[HOST:]PORT", TEXT_OPTION(struct settings, listen), .only = "!serve|output",
		.help =
			"The same over HTTP, with a page to try it on; only this machine is let in, unless HOST says otherwise. "
			"SIGHUP takes a new model"},
	/* the parts of one ranking are of the same options */
	{"shard", .argument = "I/N", OWN_OPTION(read_shard), .no_effect = true, .only = "!similar|serve|listen",
		.help = "Rank the I-th of N parts of the users; cat joins the parts"},
	{"batch", .argument = "N", WHOLE_OPTION(struct settings, batch, 1, 1 << 24), .fallback = "1024", .no_effect = true,
		.help = "Users at a time: changes memory and speed, never the result"},
	{OPTIONS_TITLE("What comes out:")},
	{"format", CHOICE_OPTION(struct settings, format, format_names), .only = "!serve|listen",
		.help = "stream (default); tsv, csv, json: user, rank, item, score; trec: a run, and qrels: its targets, for "
				"trec_eval"},
	{"fields", .argument = "A,B", OWN_OPTION(read_fields), .only = "format=tsv|csv|json, similar, serve, listen",
		.help = "Attributes of the items beside them, in tsv, csv and json: title,brand"},
	{"why", FLAG_OPTION(struct settings, why), .only = "!similar; format=tsv|csv|json, serve, listen",
		.help = "The two items of the history without which the score would fall most, in tsv, csv and json"},
	{"run", .argument = "NAME", TEXT_OPTION(struct settings, run_name), .only = "format=trec",
		.help = "Name of the run in --format trec (default the model's architecture)"},
	{0},
};

static const char examples[] = "  seq-rank --split next --format csv --fields title -k 10 \\\n"
							   "    model.tar.zst > next.csv\n"
							   "  seq-rank catalog.tar.zst model.tar.zst | rec-eval\n"
							   "  parallel 'seq-rank --shard {}/4 run.tar.zst > part{}' ::: 1 2 3 4; cat part? |\n"
							   "    rec-eval\n"
							   "  printf 'ann\\tB07 B12 B31\\n' | seq-rank --serve model.tar.zst\n"
							   "  seq-rank --model ease.tar.zst --model sasrec.tar.zst shop.tar.zst | rec-eval\n"
							   "  seq-rank --listen 8080 model.tar.zst\n"
							   "  seq-rank --similar --fields title model.tar.zst > alike.tsv\n";

/* Whether users come one at a time, on stdin or over HTTP. */
static bool is_asked(const struct settings *settings)
{
	return settings->serve || settings->listen;
}

static void check_settings(struct settings *settings, const struct cli *cli)
{
	ensemble_check(&settings->ensemble);
	if (settings->similar && settings->ensemble.n_models > 1)
		die_usage("--similar goes by the vectors of one model: --model is given %d times", settings->ensemble.n_models);
	const char *run_name = settings->run_name;
	if (run_name && (!*run_name || run_name[strcspn(run_name, LISTING_BLANKS)]))
		die_usage("--run '%s': a name without blanks was expected", run_name);
	if (is_asked(settings) && cli->of_stdin)
		die_usage("%s cannot be read from stdin: %s", cli->of_stdin,
			settings->listen ? "--listen reads it again on SIGHUP; name a file" :
							   "there --serve reads its questions; name a file");
	if (settings->format < 0)
		settings->format = settings->similar ? FORMAT_LISTINGS + LISTING_TSV : FORMAT_STREAM;
	if (settings->format == FORMAT_STREAM && !is_asked(settings) && !cli->output && isatty(STDOUT_FILENO))
		die_usage("refusing to write a binary stream to a terminal; use -o FILE, a pipe or --format tsv");
}

/* --- groups: users often come before the model, and are kept aside until it is there --- */

struct run {
	struct settings *settings;
	const struct cli *cli;
	struct catalog catalog;
	struct kept_sequences users; /* chunk by chunk */
	struct sequences known;      /* the same, whole, where anybody may be asked for */
	struct ensemble ensemble;
	struct embedding embedding; /* what a text encoder ranks, or items are known by, where the stream has it */
	struct assortment assortment;
	struct recommender *recommender;
	int64_t n_ranked, n_without_target;
};

static void load(struct run *run, struct bag_out *out)
{
	const struct settings *settings = run->settings;
	run->catalog.keeps_text = true;
	struct bag *bag = bag_open(run->cli->inputs);
	bag_take(bag, &catalog_group, &run->catalog);
	bag_take(bag, &embedding_group, &run->embedding);
	if (is_asked(settings))
		bag_take(bag, &sequences_group, &run->known);
	else if (!settings->similar)
		bag_take(bag, &kept_sequences_group, &run->users);
	ensemble_take(&run->ensemble, bag, &settings->ensemble);
	bag_drop(bag, "ranking");
	bag_pass_to(bag, out);
	bag_read(bag);
	ensemble_read(&run->ensemble);
	group_require(&catalog_group, &run->catalog.group);
	if (is_asked(settings) && run->known.group.complete)
		sequences_check(&run->known, &run->catalog);
	else if (!is_asked(settings) && !settings->similar)
		sequences_check(&run->users.part, &run->catalog);
	if (!run->catalog.n_items)
		die("catalog: no items to rank");
}

static enum part part_of(const struct run *run)
{
	const struct settings *settings = run->settings;
	if (settings->split >= 0)
		return parts[settings->split];
	const bool has_targets = !is_asked(settings) && !settings->similar && !settings->users &&
		run->users.part.holdout != HOLDOUT_NONE;
	return has_targets ? PART_TEST : PART_NEXT;
}

/* Of a single model in a stream rec-eval tells it. */
static void tell_learned(const struct run *run)
{
	const struct settings *settings = run->settings;
	const bool is_joined = run->ensemble.n > 1, is_measured = settings->part != PART_NEXT;
	const struct group *sequences = is_asked(settings) ? &run->known.group : &run->users.part.group;
	if (is_joined ? is_measured || !settings->ensemble.n_weights : is_measured && settings->format != FORMAT_STREAM)
		ensemble_tell_learned(&run->ensemble, sequences, &run->catalog);
}

/* What is offered, and what is popular. */
static void stock(struct run *run)
{
	const struct settings *settings = run->settings;
	if (settings->candidates)
		assortment_offer(&run->assortment, &run->catalog, settings->candidates, true);
	if (settings->exclude)
		assortment_offer(&run->assortment, &run->catalog, settings->exclude, false);
	if (run->known.group.complete)
		assortment_count(&run->assortment, &run->known);
	while (settings->part == PART_NEXT && run->users.part.group.complete && sequences_next(&run->users, &run->catalog))
		assortment_count(&run->assortment, &run->users.part);
}

static void prepare(struct run *run)
{
	struct settings *settings = run->settings;
	const struct item_groups groups = {&run->catalog, &run->embedding, run->cli->threads};
	settings->part = part_of(run);
	if (settings->part == PART_NEXT && settings->format == FORMAT_LISTINGS + LISTING_QRELS)
		die_usage("--format qrels writes targets, and what comes next has none");
	ensemble_match(&run->ensemble, &run->assortment, &groups);
	tell_learned(run);
	ensemble_choose(&run->ensemble, &settings->ensemble, &run->assortment, is_asked(settings) ? NULL : &run->users,
		run->known.group.complete ? &run->known : NULL, &run->catalog);
	stock(run);
	run->recommender = recommender_new(run->ensemble.model, &run->assortment, "model");
	const int64_t offers = recommender_offers(run->recommender);
	if (!settings->k)
		settings->k = settings->part == PART_NEXT ? 10 : 100;
	if (!is_asked(settings)) /* a question is answered with what there is */
		settings->k = settings->k < offers ? settings->k : (int32_t)offers;
}

static void run_free(struct run *run)
{
	recommender_free(run->recommender);
	assortment_free(&run->assortment);
	ensemble_free(&run->ensemble);
	embedding_free(&run->embedding);
	kept_sequences_free(&run->users);
	sequences_free(&run->known);
	catalog_free(&run->catalog);
}

/* --- write --- */

struct writer {
	struct bag_out *bag;   /* --format stream */
	struct output *output; /* others */
	struct listing listing;
};

static struct listing listing_of(const struct run *run, FILE *file)
{
	const struct settings *settings = run->settings;
	const struct listing listing = {
		.file = file,
		.format = is_asked(settings) ? LISTING_JSON : (enum listing_format)(settings->format - FORMAT_LISTINGS),
		.whose = settings->similar ? "to" : "user",
		.run_name = settings->run_name ? settings->run_name : run->ensemble.model->architecture->name,
		.catalog = &run->catalog,
		.fields = settings->fields,
		.has_why = settings->why,
	};
	listing_check(&listing);
	return listing;
}

static struct writer writer_open(const struct run *run, struct bag_out *bag)
{
	struct writer writer = {.bag = bag};
	const struct settings *settings = run->settings;
	if (bag) {
		const struct ranking_of of = {
			.catalog = &run->catalog,
			.sequences = &run->users.part,
			.model = run->ensemble.model->architecture->name,
			.model_id = run->ensemble.id,
			.part = settings->part,
			.seen_removed = settings->seen == SEEN_REMOVE,
			.offered = run->assortment.offered,
			.k = settings->k,
		};
		ranking_begin(bag, &of, settings->shard, settings->shards);
		return writer;
	}
	writer.output = output_open(run->cli->output);
	writer.listing = listing_of(run, output_file(writer.output));
	listing_begin(&writer.listing);
	return writer;
}

static void write_lists(const struct writer *writer, const struct run *run, const struct batch *batch)
{
	const char *user = batch->user_id.data;
	const struct histories histories = histories_of(&batch->histories);
	struct why *why = writer->listing.has_why ? xreallocarray(NULL, (size_t)batch->k, sizeof *why) : NULL;
	for (int64_t row = 0; row < batch->rows; row++, user += strlen(user) + 1) {
		const int32_t *item = batch->top_item + row * batch->k;
		if (writer->listing.format == LISTING_QRELS) {
			listing_target(&writer->listing, user, batch->target[row]);
			continue;
		}
		const struct histories history = histories_part(&histories, row, row + 1);
		if (why)
			explain(run->ensemble.model, &run->assortment, &history, item, batch->k, why);
		listing_add(&writer->listing, user, item, batch->top_score + row * batch->k, batch->k, why);
	}
	free(why);
}

static void flush_batch(struct batch *batch, struct run *run, const struct writer *writer)
{
	const struct settings *settings = run->settings;
	if (!batch->rows)
		return;
	const enum batch_targets targets = settings->part == PART_NEXT ? TARGETS_NONE :
		writer->bag                                                ? TARGETS_COUNTED :
																	 TARGETS_KEPT;
	batch_rank(batch, run->recommender, targets, settings->seen == SEEN_KEEP);
	if (writer->bag)
		ranking_add(writer->bag,
			&(struct ranking_rows){batch->rows, batch->user_id.data, batch->target, batch->greater, batch->equal,
				batch->k, batch->top_item, batch->top_score});
	else
		write_lists(writer, run, batch);
	run->n_ranked += batch->rows;
	batch_clear(batch);
}

/* --- all users, a shard of them, or those of --users --- */

static void add_user(struct run *run, struct batch *batch, const struct sequences *users, int64_t user)
{
	const enum part part = run->settings->part;
	int64_t target = target_index(users, user, part);
	if (target < 0)
		run->n_without_target++;
	else
		batch_add(batch, users, user, target, part != PART_NEXT);
}

/* Users of --users that the stream does not have are answered as those who have met nothing. */
static void add_strangers(struct run *run, struct batch *batch, const struct writer *writer, struct asked_users *asked)
{
	const int64_t strangers = asked_users_strangers(asked);
	const char *first = NULL;
	for (const char *id; (id = asked_users_stranger(asked));) {
		first = first ? first : id;
		batch_add_unknown(batch, id);
		if (batch->rows == batch->capacity)
			flush_batch(batch, run, writer);
	}
	if (strangers == asked->ids.count && strangers)
		warn("%s: the stream has none of its %s, the first is \"%.100s\": the most popular items are recommended to "
			 "all; an id a line was expected",
			input_name(asked->path), counted(strangers, "users"), first);
	else if (strangers)
		notice("%s: %" PRId64 " of %s %s no history, the first is \"%.100s\": the most popular items are recommended",
			input_name(asked->path), strangers, counted(asked->ids.count, "users"), by_number(strangers, "has", "have"),
			first);
}

static void rank_users(struct run *run, const struct writer *writer)
{
	const struct settings *settings = run->settings;
	const struct sequences *users = &run->users.part;
	const int64_t n_users = run->users.n_users, first = n_users * (settings->shard - 1) / settings->shards;
	const int64_t end = n_users * settings->shard / settings->shards;
	struct asked_users asked = asked_users_read(settings->users);
	struct batch batch = batch_new(users, settings->batch, settings->k);
	struct progress progress;
	progress_start(&progress, "users", end - first);
	for (int64_t base = 0; sequences_next(&run->users, &run->catalog); base += users->n_users)
		for (int64_t user = 0; user < users->n_users; user++) {
			const bool is_asked = asked_users_meet(&asked, users, user); /* which counts, of other shards too */
			if (base + user < first || base + user >= end || !is_asked)
				continue;
			add_user(run, &batch, users, user);
			if (batch.rows == batch.capacity) {
				flush_batch(&batch, run, writer);
				progress_at(&progress, base + user + 1 - first, NULL);
			}
		}
	if (settings->shard == settings->shards)
		add_strangers(run, &batch, writer, &asked);
	flush_batch(&batch, run, writer);
	progress_end(&progress);
	batch_free(&batch);
	asked_users_free(&asked);
}

static void finish(struct run *run, struct writer *writer, double seconds)
{
	const struct settings *settings = run->settings;
	if (writer->bag) {
		bag_end(writer->bag);
		json_t *measured = json_build("{s:I, s:I, s:I, s:i, s:f}", "users", (json_int_t)run->n_ranked,
			"users_without_target", (json_int_t)run->n_without_target, "n_items", (json_int_t)run->catalog.n_items, "k",
			settings->k, "ranking_seconds", seconds);
		json_t *models = ensemble_describe(&run->ensemble);
		if (models)
			json_set(measured, "models", models);
		products_describe(measured);
		cli_finish(run->cli, writer->bag, measured);
	} else {
		output_file_close(writer->output, writer->listing.file);
		output_commit(writer->output);
	}
	const char *seen = settings->seen == SEEN_KEEP ? "kept" : "removed";
	const char *offers = counted(recommender_offers(run->recommender), "items");
	if (settings->part == PART_NEXT)
		notice("%s, recommendations among %s, seen items %s, %.1f s", counted(run->n_ranked, "users"), offers, seen,
			seconds);
	else
		notice("%s, %s targets among %s, seen items %s, %.1f s; %s without a target", counted(run->n_ranked, "users"),
			part_names[settings->part], run->assortment.offered ? offers : counted(run->catalog.n_items, "items"), seen,
			seconds, counted(run->n_without_target, "users"));
}

static void rank_all(struct run *run)
{
	const struct settings *settings = run->settings;
	struct bag_out *bag = settings->format == FORMAT_STREAM ? bag_create(run->cli->output, run->cli->level) : NULL;
	load(run, bag);
	prepare(run);
	struct writer writer = writer_open(run, bag);
	double started = seconds_now();
	rank_users(run, &writer);
	if (!run->n_ranked && settings->shards == 1)
		die("sequences: none of %s has a %s target%s; --split next ranks without", counted(run->users.n_users, "users"),
			part_names[settings->part],
			run->users.part.holdout == HOLDOUT_LAST ? ", for which one needs three events" : "");
	finish(run, &writer, seconds_now() - started);
}

/* --- serve --- */

/* Of what is loaded and prepared. */
static struct advisor advisor_of(struct run *run)
{
	const struct settings *settings = run->settings;
	struct advisor advisor = {
		.model = run->ensemble.model,
		.assortment = &run->assortment,
		.recommender = run->recommender,
		.catalog = &run->catalog,
		.users = run->known.group.complete ? &run->known : NULL,
		.keep_seen = settings->seen == SEEN_KEEP,
		.wants_why = settings->why,
		.longest = settings->listen ? SERVER_LONGEST : INT32_MAX - 1,
	};
	advisor.k = settings->k < advisor.longest ? settings->k : advisor.longest;
	advisor_begin(&advisor);
	return advisor;
}

static void serve(struct run *run)
{
	load(run, NULL);
	prepare(run);
	struct output *output = output_open(run->cli->output);
	const struct listing listing = listing_of(run, NULL);
	const struct advisor advisor = advisor_of(run);
	notice("ready: %s", counted(run->catalog.n_items, "items"));
	answer_lines(&advisor, &listing, output);
	output_commit(output);
}

/* --- similar items --- */

static void list_similar(struct run *run)
{
	const char *path = run->settings->items;
	load(run, NULL);
	prepare(run);
	struct strings asked = path ? ids_read(path) : (struct strings){.count = 0};
	struct writer writer = writer_open(run, NULL);
	const struct advisor advisor = advisor_of(run);
	similar_list(&advisor, path ? &asked : NULL, run->settings->k, &writer.listing);
	output_file_close(writer.output, writer.listing.file);
	output_commit(writer.output);
	strings_free(&asked);
}

/* --- listen --- */

/* What is served, one for each time that the streams are read. */
struct loaded {
	struct served served; /* first */
	struct settings settings;
	struct run run;
};

static void loaded_free(struct served *served)
{
	struct loaded *loaded = (struct loaded *)served;
	run_free(&loaded->run);
	free(loaded);
}

static struct served *load_served(void *context)
{
	const struct run *run = context;
	struct loaded *loaded = xcalloc(1, sizeof *loaded);
	loaded->settings = *run->settings;
	loaded->run = (struct run){.settings = &loaded->settings, .cli = run->cli};
	load(&loaded->run, NULL);
	prepare(&loaded->run);
	(void)listing_of(&loaded->run, NULL); /* checks the fields */
	loaded->served = (struct served){
		.advisor = advisor_of(&loaded->run),
		.model_id = loaded->run.ensemble.id,
		.fields = loaded->settings.fields,
		.free = loaded_free,
	};
	return &loaded->served;
}

/* The command that loads the same streams and then has no questions. To be freed. */
static const char **trial_of(const struct cli *cli)
{
	const char **command = xcalloc((size_t)(cli->n_words + cli->n_inputs) + 5, sizeof *command);
	int n = 0;
	command[n++] = program_name;
	command[n++] = "--quiet";
	command[n++] = "--serve";
	for (int i = 0; i < cli->n_words; i++)
		if (strncmp(cli->words[i], "--listen=", strlen("--listen=")) != 0)
			command[n++] = cli->words[i];
	command[n++] = "--";
	for (int i = 0; i < cli->n_inputs; i++)
		command[n++] = cli->inputs[i];
	return command;
}

static void serve_http(struct run *run)
{
	const char **trial = trial_of(run->cli);
	const struct server_options server = {
		.address = run->settings->listen,
		.threads = run->cli->threads,
		.load = load_served,
		.context = run,
		.trial = (char **)(uintptr_t)trial,
	};
	server_run(&server);
	free(trial);
}

int main(int argc, char **argv)
{
	process_begin();
	blas_init(argv);
	const struct cli_tool tool = {
		.name = "seq-rank",
		.arguments = "[STREAM...]",
		.summary =
			"Ranks the whole catalog, exactly, for each user's history: what to recommend next, or where the item "
			"stands that was held out.",
		.examples = examples,
		.table = options,
		.usage_without_input = true,
	};
	struct settings settings = {.shard = 1, .shards = 1};
	struct cli cli;
	cli_parse(&tool, argc, argv, &cli, &settings);
	blas_reserve(cli.threads);
	check_settings(&settings, &cli);
	struct run run = {.settings = &settings, .cli = &cli};
	if (settings.similar)
		list_similar(&run);
	else if (settings.listen)
		serve_http(&run);
	else if (settings.serve)
		serve(&run);
	else
		rank_all(&run);
	run_free(&run);
	return cli_done(&cli);
}
