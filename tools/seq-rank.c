/*
 * seq-rank: catalog, sequences and model in, rankings of the whole catalog out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/embedding.h"
#include "data/ranking.h"
#include "model/encoder.h"
#include "model/model_group.h"
#include "rank/recommend.h"
#include "nn/blas.h"
#include "nn/matrix.h"
#include "stream/cli.h"
#include "stream/descriptor.h"
#include "stream/output.h"
#include "stream/process.h"

#define LINE_BYTES (1 << 20)   /* longest request of --serve */
#define LIST_ENTRIES (1 << 23) /* of best items at a time */

/* --- options --- */

enum format { FORMAT_STREAM, FORMAT_TSV, FORMAT_TREC, FORMAT_QRELS };
static const char *const format_names[] = {"stream", "tsv", "trec", "qrels", NULL};
static const char *const split_names[] = {"test", "valid", NULL};
static const char *const seen_names[] = {"remove", "keep", NULL};

struct settings {
	int32_t k;       /* 0: the default */
	int split, seen; /* in split_names, seen_names */
	int format;      /* -1: not given */
	int shard, shards;
	int64_t batch;
	const char *run_name, *model;
	bool serve;
};

enum { KEY_SPLIT = 0x2000, KEY_SEEN, KEY_FORMAT, KEY_SHARD, KEY_BATCH, KEY_RUN, KEY_SERVE, KEY_MODEL };

static const struct argp_option options[] = {
	{"top", 'k', "N", 0, "Best items to a user (default 100; with --serve 10)", 0},
	{"model", KEY_MODEL, "STREAM", 0, "Rank with the model of this stream", 0},
	{"split", KEY_SPLIT, "test|valid", 0, "Target: the test item (default) or the validation item", 0},
	{"seen", KEY_SEEN, "remove|keep", 0, "Items of the history: leave them out (default) or rank them too", 0},
	{"format", KEY_FORMAT, "FORMAT", 0,
		"stream (default); tsv: user, rank, item, score; trec: a run, and qrels: its targets, "
		"for trec_eval",
		0},
	{"run", KEY_RUN, "NAME", 0, "Name of the run in --format trec (default the model's architecture)", 0},
	{"shard", KEY_SHARD, "I/N", 0, "Rank the I-th of N parts of the users; cat joins the parts", 0},
	{"batch", KEY_BATCH, "N", 0, "Users at a time (default 1024): changes memory and speed, never the result", 0},
	{"serve", KEY_SERVE, NULL, 0, "Answer lines \"user<TAB>item item ...\" of stdin at once", 0}, {0}};

static const char examples[] =
	"  seq-rank catalog.tar.zst model.tar.zst | rec-eval\n"
	"  seq-rank -k 10 --format tsv run.tar.zst | head\n"
	"  parallel 'seq-rank -j1 --shard {}/4 run.tar.zst > part{}' ::: 1 2 3 4; cat part? | rec-eval\n"
	"  printf 'ann\\tB07 B12 B31\\n' | seq-rank --serve model.tar.zst";

static void parse_shard(const char *value, struct settings *settings)
{
	char rest;
	if (sscanf(value, "%6d/%6d%c", &settings->shard, &settings->shards, &rest) != 2 || settings->shard < 1 ||
		settings->shard > settings->shards)
		die_usage("--shard %s: I/N with 1 <= I <= N was expected", value);
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct settings *settings = state->input;
	switch (key) {
	case 'k': settings->k = (int32_t)option_int("-k", value, 1, INT32_MAX - 1); return 0;
	case KEY_SPLIT: settings->split = option_choice("--split", value, split_names); return 0;
	case KEY_SEEN: settings->seen = option_choice("--seen", value, seen_names); return 0;
	case KEY_FORMAT: settings->format = option_choice("--format", value, format_names); return 0;
	case KEY_SHARD: parse_shard(value, settings); return 0;
	case KEY_BATCH: settings->batch = option_int("--batch", value, 1, 1 << 24); return 0;
	case KEY_MODEL: settings->model = value; return 0;
	case KEY_RUN: settings->run_name = value; return 0;
	case KEY_SERVE: settings->serve = true; return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static enum part part_of(const struct settings *settings)
{
	return settings->split ? PART_VALID : PART_TEST;
}

static void check_settings(struct settings *settings, const struct cli *cli)
{
	cli_check_stdin(cli, "--model", settings->model);
	if (settings->serve) {
		if (settings->format >= 0 || settings->shards > 1)
			die_usage("--serve has its own format and no shards");
		if (!cli->n_inputs)
			die_usage("--serve reads requests from stdin: name the streams as arguments");
		if (settings->model && !strcmp(settings->model, "-"))
			die_usage("--serve reads requests from stdin: a model cannot come from there too");
		for (int i = 0; i < cli->n_inputs; i++)
			if (!strcmp(cli->inputs[i], "-"))
				die_usage("--serve reads requests from stdin: a stream cannot come from there too");
	} else if (settings->format <= FORMAT_STREAM && !cli->output && isatty(STDOUT_FILENO))
		die_usage("refusing to write a binary stream to a terminal; use -o FILE, a pipe or --format tsv");
	if (settings->format < 0)
		settings->format = FORMAT_STREAM;
	if (!settings->k)
		settings->k = settings->serve ? 10 : 100;
}

/* --- load: the users often come before the model, and are kept aside until it is there --- */

struct run {
	const struct settings *settings;
	const struct cli *cli;
	struct catalog catalog;
	struct kept_sequences users;
	struct model_group model;
	struct embedding embedding; /* what a text encoder ranks, where the stream has it */
	struct recommender *recommender;
	int32_t k;
	int64_t n_ranked, n_without_target;
};

/* Whether the stream's embedding is what this model makes of this catalog. */
static bool is_own_embedding(const struct run *run)
{
	const struct embedding *embedding = &run->embedding;
	const char *model = json_string_value(json_object_get(embedding->group.meta, "model"));
	return embedding->group.complete && model && !strcmp(model, run->model.group.id) &&
		!strcmp(embedding->catalog, run->catalog.fingerprint);
}

/* A text encoder ranks whatever has text: by the vectors in the stream, or else encoded here. */
static void read_items(struct run *run)
{
	struct model *model = run->model.model;
	model_require_tokenizer(&run->model, &run->catalog);
	encoder_read(model, &run->catalog);
	if (is_own_embedding(run)) {
		embedding_check(&run->embedding, &run->catalog);
		if (run->embedding.width != model->width)
			die("embedding: %" PRId64 " wide, the model's %" PRId64 " was expected", run->embedding.width,
				model->width);
		encoder_rank_by(model, run->embedding.vector);
		return;
	}
	double started = seconds_now();
	float *vectors = xaligned((size_t)(run->catalog.n_items * model->width), sizeof *vectors);
	encoder_items(model, vectors);
	encoder_rank_by(model, vectors);
	free(vectors);
	notice("%" PRId64 " items encoded in %.1f s", run->catalog.n_items, seconds_now() - started);
}

static void load(struct run *run, struct bag_out *out)
{
	const struct settings *settings = run->settings;
	struct bag *bag = bag_open(run->cli->inputs);
	bag_take(bag, &catalog_group, &run->catalog);
	bag_take(bag, &embedding_group, &run->embedding);
	if (!settings->serve)
		bag_take(bag, &kept_sequences_group, &run->users);
	if (settings->model)
		bag_take_from(bag, &model_group, &run->model, settings->model);
	else
		bag_take(bag, &model_group, &run->model);
	bag_drop(bag, "ranking");
	bag_pass_to(bag, out);
	bag_read(bag);

	group_require(&model_group, &run->model.group);
	group_require(&catalog_group, &run->catalog.group);
	if (!settings->serve)
		sequences_check(&run->users.part, &run->catalog);
	if (!run->catalog.n_items)
		die("catalog: no items to rank");
	struct model *model = run->model.model;
	if (model->architecture->encode)
		read_items(run);
	else
		model_require_catalog(&run->model, &run->catalog);
	if (model_ranked(model) != run->catalog.n_items)
		die("model: made for %" PRId64 " items, the catalog has %" PRId64, model->n_items, run->catalog.n_items);
	run->recommender = recommender_new(model, NULL, "model");
	run->k = run->settings->k < run->catalog.n_items ? run->settings->k : (int32_t)run->catalog.n_items;
}

static void run_free(struct run *run)
{
	recommender_free(run->recommender);
	model_group_free(&run->model);
	embedding_free(&run->embedding);
	kept_sequences_free(&run->users);
	catalog_free(&run->catalog);
}

/* --- batches of users with a target --- */

struct batch {
	int64_t rows, capacity;
	struct buffer user_id; /* NUL-terminated, one after another */
	struct ragged packed;  /* histories */
	int32_t *target, *greater, *equal, *top_item;
	float *top_score;
};

static void batch_new(struct batch *batch, const struct run *run)
{
	int64_t most = LIST_ENTRIES / run->k < 1 ? 1 : LIST_ENTRIES / run->k;
	batch->capacity = run->settings->batch < most ? run->settings->batch : most;
	size_t rows = (size_t)batch->capacity, entries = rows * (size_t)run->k;
	batch->packed = histories_new(&run->users.part);
	batch->target = xcalloc(rows, sizeof *batch->target);
	batch->greater = xcalloc(rows, sizeof *batch->greater);
	batch->equal = xcalloc(rows, sizeof *batch->equal);
	batch->top_item = xcalloc(entries, sizeof *batch->top_item);
	batch->top_score = xcalloc(entries, sizeof *batch->top_score);
}

static void batch_free(struct batch *batch)
{
	buffer_free(&batch->user_id);
	ragged_free(&batch->packed);
	free(batch->target);
	free(batch->greater);
	free(batch->equal);
	free(batch->top_item);
	free(batch->top_score);
}

static void batch_add(struct batch *batch, const struct sequences *users, int64_t user, int64_t target)
{
	const char *name = strings_at(&users->user_id, user);
	const int64_t first = users->indptr[user];
	buffer_append(&batch->user_id, name, strlen(name) + 1);
	histories_append(&batch->packed, users, first, target);
	batch->target[batch->rows++] = users->item[first + target];
}

static const char *nth_string(const char *text, int64_t n)
{
	for (; n; n--)
		text += strlen(text) + 1;
	return text;
}

static void batch_rank(struct batch *batch, const struct run *run)
{
	const struct histories histories = histories_of(&batch->packed);
	struct ranks ranks = {.rows = batch->rows,
		.target = batch->target,
		.k = run->k,
		.greater = batch->greater,
		.equal = batch->equal,
		.top_item = batch->top_item,
		.top_score = batch->top_score};
	if (!run->settings->seen) {
		ranks.seen_indptr = histories.indptr;
		ranks.seen_item = histories.item;
	}
	int64_t bad = recommend(run->recommender, &histories, &ranks);
	if (bad >= 0)
		die("model: the scores for user %s are not finite", nth_string(batch->user_id.data, bad));
}

/* --- write --- */

struct writer {
	struct bag_out *bag;   /* --format stream */
	struct output *output; /* others */
	FILE *file;
	const char *run_name;
};

static struct writer writer_open(const struct run *run, struct bag_out *bag)
{
	struct writer writer = {.bag = bag};
	const struct settings *settings = run->settings;
	writer.run_name = settings->run_name ? settings->run_name : run->model.model->architecture->name;
	if (bag) {
		const struct ranking_of of = {.catalog = &run->catalog,
			.sequences = &run->users.part,
			.model = run->model.model->architecture->name,
			.model_id = run->model.group.id,
			.part = part_of(settings),
			.seen_removed = !settings->seen,
			.k = run->k};
		ranking_begin(bag, &of, settings->shard, settings->shards);
		return writer;
	}
	writer.output = output_open(run->cli->output);
	writer.file = output_file(writer.output);
	return writer;
}

/* An id with a separator inside would be read as something else. */
static const char *plain_id(const char *id, const char *separators, const char *format)
{
	if (!*id || id[strcspn(id, separators)])
		die("id \"%s\": --format %s cannot hold an id that is empty or has blanks", id, format);
	return id;
}

static void write_text(const struct writer *writer, const struct run *run, const struct batch *batch)
{
	const enum format format = (enum format)run->settings->format;
	const char *user = batch->user_id.data, *name = format_names[format],
			   *separators = format == FORMAT_TSV ? "\t" : " \t\v\f\r";
	for (int64_t row = 0; row < batch->rows; row++, user += strlen(user) + 1) {
		plain_id(user, separators, name);
		if (format == FORMAT_QRELS) {
			const char *item = strings_at(&run->catalog.item_id, batch->target[row]);
			fprintf(writer->file, "%s 0 %s 1\n", user, plain_id(item, separators, name));
			continue;
		}
		for (int32_t place = 0; place < run->k && batch->top_item[row * run->k + place] >= 0; place++) {
			const char *item = strings_at(&run->catalog.item_id, batch->top_item[row * run->k + place]);
			float score = batch->top_score[row * run->k + place];
			plain_id(item, separators, name);
			if (format == FORMAT_TSV)
				fprintf(writer->file, "%s\t%d\t%s\t%.9g\n", user, place + 1, item, score);
			else
				fprintf(writer->file, "%s Q0 %s %d %.9g %s\n", user, item, place + 1, score, writer->run_name);
		}
	}
}

static void flush_batch(struct batch *batch, struct run *run, const struct writer *writer)
{
	if (!batch->rows)
		return;
	batch_rank(batch, run);
	if (writer->bag)
		ranking_add(writer->bag,
			&(struct ranking_rows){batch->rows, batch->user_id.data, batch->target, batch->greater, batch->equal,
				run->k, batch->top_item, batch->top_score});
	else
		write_text(writer, run, batch);
	run->n_ranked += batch->rows;
	batch->rows = 0;
	batch->user_id.size = 0;
	ragged_clear(&batch->packed);
}

/* --- all users, or a shard of them --- */

static void rank_users(struct run *run, const struct writer *writer)
{
	const struct settings *settings = run->settings;
	const enum part part = part_of(settings);
	const struct sequences *users = &run->users.part;
	const int64_t n_users = run->users.n_users, first = n_users * (settings->shard - 1) / settings->shards;
	const int64_t end = n_users * settings->shard / settings->shards;
	struct batch batch = {0};
	struct progress progress;
	progress_start(&progress, "users", end - first);
	for (int64_t base = 0; sequences_next(&run->users, &run->catalog); base += users->n_users) {
		if (!batch.capacity)
			batch_new(&batch, run);
		for (int64_t user = 0; user < users->n_users; user++) {
			if (base + user < first || base + user >= end)
				continue;
			int64_t target = target_index(users, user, part);
			if (target < 0)
				run->n_without_target++;
			else
				batch_add(&batch, users, user, target);
			if (batch.rows == batch.capacity) {
				flush_batch(&batch, run, writer);
				progress_at(&progress, base + user + 1 - first, NULL);
			}
		}
	}
	flush_batch(&batch, run, writer);
	progress_end(&progress);
	batch_free(&batch);
}

static void rank_all(struct run *run)
{
	const struct settings *settings = run->settings;
	struct bag_out *bag = settings->format == FORMAT_STREAM ? bag_create(run->cli->output, run->cli->level) : NULL;
	load(run, bag);
	struct writer writer = writer_open(run, bag);
	double started = seconds_now();
	rank_users(run, &writer);
	double seconds = seconds_now() - started;
	if (!run->n_ranked && settings->shards == 1)
		die("sequences: none of %" PRId64 " users has a %s target", run->users.n_users, split_names[settings->split]);
	if (bag) {
		bag_end(bag);
		json_t *measured = json_build("{s:I, s:I, s:I, s:i, s:f}", "users", (json_int_t)run->n_ranked,
			"users_without_target", (json_int_t)run->n_without_target, "n_items", (json_int_t)run->catalog.n_items, "k",
			run->k, "ranking_seconds", seconds);
		products_describe(measured);
		cli_finish(run->cli, bag, measured);
	} else {
		output_file_close(writer.output, writer.file);
		output_commit(writer.output);
	}
	notice("%" PRId64 " users, %s targets among %" PRId64 " items, seen items %s, %.1f s; %" PRId64
		   " users without a target",
		run->n_ranked, split_names[settings->split], run->catalog.n_items, settings->seen ? "kept" : "removed", seconds,
		run->n_without_target);
}

/* --- serve --- */

struct request {
	char input[1 << 16]; /* of stdin, read and not yet taken: [taken, filled) */
	size_t taken, filled;
	char *line; /* LINE_BYTES */
	size_t length;
	int64_t number;
	bool too_long;
	struct buffer item; /* the history */
};

/* The next byte of stdin; EOF at its end. */
static int next_byte(struct request *request)
{
	if (request->taken == request->filled) {
		ssize_t got = descriptor_read(STDIN_FILENO, request->input, sizeof request->input);
		if (got < 0)
			die_errno("stdin");
		request->taken = 0;
		request->filled = (size_t)got;
		if (!got)
			return EOF;
	}
	return (unsigned char)request->input[request->taken++];
}

/* The next line of stdin; false at the end. Of an over-long line the rest is skipped. */
static bool read_request(struct request *request)
{
	int byte;
	request->length = 0;
	request->too_long = false;
	while ((byte = next_byte(request)) != EOF && byte != '\n') {
		if (request->length < LINE_BYTES)
			request->line[request->length++] = (char)byte;
		else
			request->too_long = true;
	}
	if (request->length && request->line[request->length - 1] == '\r')
		request->length--;
	request->number++;
	return byte != EOF || request->length;
}

/* The known items of the line behind its tab; the others are counted on stderr, and the first is named. */
static void read_history(struct request *request, struct strings *item_id, size_t user_length)
{
	const char *at = request->line + user_length, *end = request->line + request->length;
	int64_t unknown = 0, first_length = 0;
	const char *first = NULL;
	request->item.size = 0;
	if (request->too_long) {
		warn("stdin: line %" PRId64 ": longer than %d bytes: not answered", request->number, LINE_BYTES);
		return;
	}
	if (at == end)
		warn("stdin: line %" PRId64 ": no tab: \"user<TAB>item item ...\" was expected", request->number);
	while (at < end) {
		const char *word = at + 1;
		const char *blank = memchr(word, ' ', (size_t)(end - word));
		at = blank ? blank : end;
		size_t length = (size_t)(at - word);
		int64_t row = length ? strings_find(item_id, word, length) : -1;
		if (row >= 0)
			buffer_append(&request->item, &(int32_t){(int32_t)row}, sizeof(int32_t));
		else if (length && !unknown++) {
			first = word;
			first_length = length < 200 ? (int64_t)length : 200;
		}
	}
	if (unknown == 1)
		warn("stdin: line %" PRId64 ": unknown item \"%.*s\"", request->number, (int)first_length, first);
	else if (unknown)
		warn("stdin: line %" PRId64 ": %" PRId64 " unknown items, the first is \"%.*s\"", request->number, unknown,
			(int)first_length, first);
}

static void add_answer(struct buffer *answer, const struct run *run, const int32_t *item, const float *score)
{
	for (int32_t i = 0; i < run->k && item[i] >= 0; i++) {
		const char *id = strings_at(&run->catalog.item_id, item[i]);
		size_t length = strlen(id);
		char *text = buffer_add(answer, length + 32);
		int used = snprintf(text, length + 32, "%s%s:%.9g", i ? " " : "", id, score[i]);
		answer->size -= length + 32 - (size_t)used;
	}
	buffer_append(answer, "\n", 1);
}

static void serve(struct run *run)
{
	load(run, NULL);
	struct output *output = output_open(run->cli->output);
	struct request request = {.line = xmalloc(LINE_BYTES)};
	struct buffer answer = {0};
	int32_t *item = xcalloc((size_t)run->k, sizeof *item);
	float *score = xcalloc((size_t)run->k, sizeof *score);
	notice("ready: %" PRId64 " items", run->catalog.n_items);
	while (read_request(&request)) {
		const char *tab = memchr(request.line, '\t', request.length);
		size_t user_length = tab ? (size_t)(tab - request.line) : request.length;
		read_history(&request, &run->catalog.item_id, user_length);
		const int64_t indptr[] = {0, (int64_t)(request.item.size / sizeof(int32_t))};
		const struct histories histories = {.rows = 1, .indptr = indptr, .item = (const void *)request.item.data};
		struct ranks ranks = {.rows = 1, .k = run->k, .top_item = item, .top_score = score};
		if (!run->settings->seen) {
			ranks.seen_indptr = indptr;
			ranks.seen_item = histories.item;
		}
		item[0] = -1; /* the answer to an empty history is empty */
		if (indptr[1] && recommend(run->recommender, &histories, &ranks) >= 0)
			die("model: the scores for user %.*s are not finite", (int)user_length, request.line);
		answer.size = 0;
		buffer_append(&answer, request.line, user_length);
		buffer_append(&answer, "\t", 1);
		add_answer(&answer, run, item, score);
		output_write(output, answer.data, answer.size);
	}
	output_commit(output);
	buffer_free(&answer);
	buffer_free(&request.item);
	free(request.line);
	free(item);
	free(score);
}

int main(int argc, char **argv)
{
	process_begin();
	blas_init(argv);
	const struct cli_tool tool = {
		.name = "seq-rank",
		.arguments = "[STREAM...]",
		.summary =
			"Ranks the whole catalog, exactly, for each user's history: the best items, and how many items score above, "
			"and the same as, the one that was held out.",
		.examples = examples,
		.options = options,
		.option = parse_option,
		.usage_without_input = true,
	};
	struct settings settings = {.format = -1, .shard = 1, .shards = 1, .batch = 1024};
	struct cli cli;
	cli_parse(&tool, argc, argv, &cli, &settings);
	blas_reserve(cli.threads);
	check_settings(&settings, &cli);
	struct run run = {.settings = &settings, .cli = &cli};
	if (settings.serve)
		serve(&run);
	else
		rank_all(&run);
	run_free(&run);
	return cli_done(&cli);
}
