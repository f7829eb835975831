/*
 * emb-align-train: a catalog in, the same and a projector out, whose vectors make a frozen LLM say the items' texts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/tokenizer_group.h"
#include "model/llm.h"
#include "model/model_group.h"
#include "model/projector_group.h"
#include "nn/blas.h"
#include "nn/matrix.h"
#include "stream/cli.h"
#include "stream/process.h"
#include "stream/version.h"
#include "task/align.h"

/* --- options --- */

enum {
	KEY_LLM = 0x2000,
	KEY_PROJECTOR,
	KEY_TEMPLATE,
	KEY_MAX_TOKENS,
	KEY_MOMENTS,
	KEY_HIDDEN,
	KEY_RATE,
	KEY_SCHEDULE,
	KEY_SHOW,
	KEY_ONLY_NEW,
	KEY_START,
	KEY_SAMPLE,
	KEY_INTEGERS
};

struct settings {
	const char *llm, *template;
	int projector; /* enum projector_kind */
	int64_t max_tokens, moments, hidden, sample, show;
	bool start;   /* the LLM's start token stands before the vector */
	double rate;  /* 0: by the kind of projector */
	int schedule; /* enum schedule; -1: not given */
	bool only_new, integers;
	struct run_options run;
};

static const char *const no_yes[] = {"no", "yes", NULL};

static const struct argp_option options[] = {
	{"llm", KEY_LLM, "PATH", 0, "The frozen LLM: a GGUF file or a Hugging Face folder (default: the stream's model)",
		1},
	{"projector", KEY_PROJECTOR, "KIND", 0, "mlp, shared by all items (default), or table, a vector for each", 1},
	{"integers", KEY_INTEGERS, NULL, 0, "Learn from the LLM with its matrices in integers: faster, and nearly the same",
		1},
	{"template", KEY_TEMPLATE, "TEXT", 0,
		"An item's text, with attributes in braces (default: 'Brand {brand} ... Title {title}' of all attributes)", 1},
	{"max-tokens", KEY_MAX_TOKENS, "N", 0, "Cut texts to N tokens (default 32)", 1},
	{"start-token", KEY_START, "yes|no", 0,
		"The LLM's start token before the vector (default yes), or the vector alone", 1},
	{"moments", KEY_MOMENTS, "N", 0, "mlp: moments of a text's token vectors that it reads (default 8)", 1},
	{"hidden-size", KEY_HIDDEN, "N", 0, "mlp: its width (default 1024)", 1},
	{"sample", KEY_SAMPLE, "ITEMS", 0,
		"mlp: learn from so many items of all over the catalog (default all); it serves the others as well", 1},
	{NULL, 0, NULL, 0, "Training:", 2},
	{"epochs", RUN_EPOCHS, "N", 0, "At most so many (default: mlp 4, table 120)", 2},
	{"batch-size", RUN_BATCH_SIZE, "ITEMS", 0, "Items of a step (default 16)", 2},
	{"learning-rate", KEY_RATE, "R", 0,
		"mlp: of Adam (default 0.0003); table: how far the first step goes, of a vector's length (default 0.1)", 2},
	{"schedule", KEY_SCHEDULE, "NAME", 0, "mlp: constant, linear or cosine (default) decay over all epochs", 2},
	{"patience", RUN_PATIENCE, "N", 0, "mlp: stop after N epochs without a better NLL of held-out items (default 3)",
		2},
	RUN_OPTIONS(2),
	{"only-new", KEY_ONLY_NEW, NULL, 0,
		"Keep the vectors of items that the stream's projector has, train those of the others", 2},
	{NULL, 0, NULL, 0, "Looking:", 3},
	{"show", KEY_SHOW, "N", 0, "Print N items, their texts, and what the LLM says from the vector alone", 3},
	{0},
};

static const char examples[] =
	"  seq-tokenize --tokenizer llm.gguf --items items.csv events.csv |\n"
	"    emb-align-train --llm llm.gguf | item-project | seq-train | seq-rank | rec-eval\n"
	"  emb-align-train --llm llm.gguf --projector table --checkpoint a.ckpt --resume --show 5 shop.tar.zst -o said.tar.zst\n"
	"  seq-tokenize --items items.csv events.csv | seq-train --arch llama | emb-align-train | item-project | seq-train | ...\n";

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct settings *settings = state->input;
	switch (key) {
	case KEY_LLM: settings->llm = value; return 0;
	case KEY_PROJECTOR: settings->projector = option_choice("--projector", value, projector_names); return 0;
	case KEY_INTEGERS: settings->integers = true; return 0;
	case KEY_TEMPLATE: settings->template = value; return 0;
	case KEY_MAX_TOKENS: settings->max_tokens = option_int("--max-tokens", value, 1, 4096); return 0;
	case KEY_MOMENTS: settings->moments = option_int("--moments", value, 1, 1024); return 0;
	case KEY_HIDDEN: settings->hidden = option_int("--hidden-size", value, 1, 1 << 20); return 0;
	case KEY_SAMPLE: settings->sample = option_int("--sample", value, 2, INT32_MAX); return 0;
	case KEY_RATE: settings->rate = option_float("--learning-rate", value, 0, 10); return 0;
	case KEY_SCHEDULE: settings->schedule = option_choice("--schedule", value, schedule_names); return 0;
	case KEY_START: settings->start = option_choice("--start-token", value, no_yes) == 1; return 0;
	case KEY_SHOW: settings->show = option_int("--show", value, 0, 1000000); return 0;
	case KEY_ONLY_NEW: settings->only_new = true; return 0;
	default: return run_option(key, value, &settings->run);
	}
}

static void parse(int argc, char **argv, struct cli *cli, struct settings *settings)
{
	const struct cli_tool tool = {
		.name = "emb-align-train",
		.arguments = "[STREAM...]",
		.summary =
			"Trains a projector from items to vectors that, each given to a frozen LLM as its only input, make it say "
			"the item's text (SAID, WWW 2024), and adds it to the stream. item-project turns it into item vectors.",
		.examples = examples,
		.options = options,
		.option = parse_option,
		.usage_without_input = true,
		.binary_output = true,
	};
	*settings = (struct settings){.projector = PROJECTOR_MLP,
		.max_tokens = 32,
		.start = true,
		.schedule = -1,
		.run = {.epochs = -1, .batch_size = 16, .every = 60}};
	cli_parse(&tool, argc, argv, cli, settings);
	if (settings->run.epochs == 0)
		die_usage("--epochs 0 would learn nothing");
	if (settings->projector == PROJECTOR_TABLE &&
		(settings->moments || settings->hidden || settings->sample || settings->run.patience ||
			settings->schedule >= 0))
		die_usage("--moments, --hidden-size, --sample, --schedule and --patience are no options of --projector table");
	if (settings->only_new && settings->sample)
		die_usage("--only-new of an mlp trains nothing: there is no --sample to learn from");
	if (settings->rate <= 0)
		settings->rate = settings->projector == PROJECTOR_MLP ? 3e-4 : .1;
	if (settings->schedule < 0)
		settings->schedule = SCHEDULE_COSINE;
	settings->moments = settings->moments ? settings->moments : 8;
	settings->hidden = settings->hidden ? settings->hidden : 1024;
	settings->run.patience = settings->run.patience ? settings->run.patience : 3;
	if (settings->run.epochs < 0)
		settings->run.epochs = settings->projector == PROJECTOR_MLP ? 4 : 120;
}

/* --- load --- */

struct inputs {
	struct catalog catalog;
	struct tokenizer_group tokenizer;
	struct model_group model;
	struct projector_group projector; /* an earlier one */
	struct model *llm;
};

static void load(const struct cli *cli, const struct settings *settings, struct bag_out *out, struct inputs *inputs)
{
	struct bag *bag = bag_open(cli->inputs);
	bag_take(bag, &catalog_group, &inputs->catalog);
	bag_take(bag, &tokenizer_group, &inputs->tokenizer);
	if (!settings->llm)
		bag_take(bag, &model_group, &inputs->model);
	bag_take(bag, &projector_group, &inputs->projector);
	bag_drop(bag, "projector");
	bag_pass_to(bag, out);
	bag_read(bag);
	group_require(&catalog_group, &inputs->catalog.group);
	if (!inputs->catalog.indptr || !inputs->tokenizer.tokenizer)
		die("catalog: its items have no text; seq-tokenize --items gives them one");
}

/* The LLM of --llm, or the stream's; its tokens must be the catalog's. */
static void open_llm(const struct settings *settings, struct inputs *inputs)
{
	if (settings->llm) {
		inputs->llm = llm_open(settings->llm, LLM_SAYS);
	} else {
		if (!inputs->model.group.complete || !is_llm(inputs->model.model))
			die("no LLM: neither --llm PATH, nor a model of arch llama or gpt2 in the stream (seq-train --arch llama trains one)");
		inputs->llm = inputs->model.model;
		llm_freeze(inputs->llm);
	}
	tokenizer_require(inputs->tokenizer.tokenizer, inputs->llm->belongs_to, settings->llm ? settings->llm : "model");
}

static void free_inputs(struct inputs *inputs)
{
	projector_group_free(&inputs->projector);
	if (inputs->model.model != inputs->llm)
		model_free(inputs->llm);
	model_group_free(&inputs->model);
	tokenizer_group_free(&inputs->tokenizer);
	catalog_free(&inputs->catalog);
}

/* --- the projector, and where it starts --- */

static struct projector *new_projector(const struct settings *settings, const struct inputs *inputs,
	const struct item_tokens *texts, struct rng *rng)
{
	const struct model *llm = inputs->llm;
	const float *token_vectors = llm_token_vectors(llm);
	if (settings->projector == PROJECTOR_TABLE)
		return projector_table(&inputs->catalog, llm->belongs_to, texts, token_vectors, llm->n_items, llm->width);
	return projector_mlp(&inputs->catalog, llm->belongs_to, texts, token_vectors, llm->n_items, llm->width,
		settings->moments, settings->hidden, rng);
}

/* A network goes on as it is; items are known to it by their texts alone. */
static void start_network(struct projector *projector, const struct projector *earlier)
{
	if (earlier->kind != PROJECTOR_MLP || earlier->params.size != projector->params.size ||
		earlier->moments != projector->moments)
		die("projector: the stream's is another kind or size than the mlp to be trained");
	memcpy(projector->params.value, earlier->params.value, (size_t)projector->params.size * sizeof(float));
	projector->scale = earlier->scale;
}

/* Rows of items that the earlier projector has; which items it has not. Returns the number of those. */
static int64_t start_rows(struct projector *projector, struct projector *earlier, bool *is_new)
{
	size_t d = (size_t)projector->width;
	float *vectors = xaligned((size_t)earlier->n_items * d, sizeof *vectors);
	int64_t n_new = 0;
	projector_vectors(earlier, vectors);
	for (int64_t item = 0; item < projector->n_items; item++) {
		const char *id = strings_at(&projector->item_id, item);
		int64_t row = strings_find(&earlier->item_id, id, strlen(id));
		is_new[item] = row < 0;
		n_new += row < 0;
		if (row >= 0)
			memcpy(projector->vectors + (size_t)item * d, vectors + (size_t)row * d, d * sizeof *vectors);
	}
	free(vectors);
	return n_new;
}

/* From the stream's projector, if there is one. Returns which items are new to it where only those are to be trained. */
static bool *start(const struct settings *settings, const struct inputs *inputs, struct projector *projector)
{
	struct projector *earlier = inputs->projector.group.complete ? inputs->projector.projector : NULL;
	if (!earlier && settings->only_new)
		die("--only-new: no projector in the stream");
	if (!earlier)
		return NULL;
	if (strcmp(earlier->tokenizer, projector->tokenizer) || earlier->width != projector->width)
		die("projector: the stream's is of another LLM (tokenizer %s, width %lld; the LLM's: %s, %lld)",
			earlier->tokenizer, (long long)earlier->width, projector->tokenizer, (long long)projector->width);
	if (!settings->only_new && earlier->kind == PROJECTOR_TABLE)
		projector_require_catalog(&inputs->projector, &inputs->catalog);
	bool *is_new = xcalloc((size_t)projector->n_items, sizeof *is_new);
	if (projector->kind == PROJECTOR_MLP) {
		start_network(projector, earlier);
	} else {
		int64_t n_new = start_rows(projector, earlier, is_new);
		notice("%lld of %lld items start from the stream's projector", (long long)(projector->n_items - n_new),
			(long long)projector->n_items);
	}
	if (settings->only_new)
		return is_new;
	free(is_new);
	return NULL;
}

/* --- compute --- */

/*
 * Two trainings with the same id give the same bytes: of a table those of as many epochs, as nothing it does depends on how
 * many are to come, and more may be asked for later.
 */
static uint64_t training_id(const struct settings *settings, const struct cli *cli, const struct inputs *inputs,
	const struct projector *projector, const struct item_texts *texts)
{
	const struct model *llm = inputs->llm;
	char *config = json_text(projector->config), *llm_config = json_text(llm->config);
	char *rest = xasprintf(
		"%s %s %s %s %s from %s new %d tokens %lld seed %llu threads %d rate %.17g schedule %d epochs %lld "
		"batch %lld patience %lld sample %lld integers %d template %s",
		recpipe_version, config, llm_config, projector->catalog, projector->tokenizer,
		inputs->projector.group.complete ? inputs->projector.group.id : "-", settings->only_new,
		(long long)settings->max_tokens, (unsigned long long)cli->seed, cli->threads, settings->rate,
		settings->schedule, projector->kind == PROJECTOR_TABLE ? 0 : (long long)settings->run.epochs,
		(long long)settings->run.batch_size, (long long)settings->run.patience, (long long)settings->sample,
		settings->integers, item_texts_template(texts));
	uint64_t id = fingerprint(FINGERPRINT_START, rest, strlen(rest));
	id = fingerprint(id, llm_token_vectors(llm), (size_t)(llm->n_items * llm->width) * sizeof(float));
	free(config);
	free(llm_config);
	free(rest);
	return id;
}

static json_t *result_json(const struct align_result *result)
{
	return json_build("{s:I, s:I, s:f, s:f, s:f}", "items", (json_int_t)result->items, "tokens",
		(json_int_t)result->tokens, "nll", result->nll, "accuracy", result->accuracy, "exact", result->exact);
}

static void tell_result(const char *which, const struct align_result *result)
{
	if (result->items)
		notice("%s: %lld items, %lld tokens, NLL %.4f, token accuracy %.4f, said exactly %.4f", which,
			(long long)result->items, (long long)result->tokens, result->nll, result->accuracy, result->exact);
}

static json_t *train(const struct cli *cli, const struct settings *settings, const struct inputs *inputs,
	struct projector *projector, const struct item_tokens *tokens, struct text_ends ends, const bool *only,
	const struct rng *rng)
{
	bool table = projector->kind == PROJECTOR_TABLE;
	struct align_options align = {.descent = DESCENT_DEFAULTS,
		.lead = settings->start,
		.only = only,
		.sample = settings->sample};
	align.descent.radius = settings->rate;
	struct optimisation optimisation = {.adamw = ADAMW_DEFAULTS,
		.clip = 1,
		.schedule = (enum schedule)settings->schedule};
	optimisation.adamw.rate = settings->rate;
	struct task *task = align_task(projector, inputs->llm, tokens, ends, &align);
	struct trainer *trainer = trainer_new(&projector->params, &optimisation, cli->threads);
	llm_in_integers(inputs->llm, settings->integers);
	json_t *measured = run(task, trainer, &settings->run, rng);
	llm_in_integers(inputs->llm, false);
	struct align_result learned, held_out;
	align_measure(task, trainer, &learned, &held_out);
	tell_result(table ? "all" : "learned", &learned);
	tell_result("held out", &held_out);
	json_set(measured, table ? "all" : "learned", result_json(&learned));
	if (held_out.items)
		json_set(measured, "held_out", result_json(&held_out));
	trainer_free(trainer);
	task->free(task);
	return measured;
}

/* --- looking --- */

static void show(const struct settings *settings, const struct inputs *inputs, const struct projector *projector,
	const struct item_tokens *tokens, struct text_ends ends)
{
	int64_t n = settings->show < projector->n_items ? settings->show : projector->n_items, d = projector->width;
	int64_t longest = settings->max_tokens + 1;
	float *vectors = xaligned((size_t)(projector->n_items * d), sizeof *vectors);
	float *shown = xaligned((size_t)(n * d), sizeof *shown);
	int32_t *said = xcalloc((size_t)(n * longest), sizeof *said);
	int64_t *length = xcalloc((size_t)n, sizeof *length);
	projector_vectors(projector, vectors);
	for (int64_t i = 0; i < n; i++) /* from all over the catalog */
		memcpy(shown + i * d, vectors + i * projector->n_items / n * d, (size_t)d * sizeof *shown);
	llm_say(inputs->llm, settings->start ? ends.start : -1, shown, n, ends.end, longest, said, length);
	for (int64_t i = 0; i < n; i++) {
		int64_t item = i * projector->n_items / n, from = tokens->indptr[item];
		struct buffer text = {0}, saying = {0};
		tokenizer_decode(inputs->tokenizer.tokenizer, tokens->ids + from, tokens->indptr[item + 1] - from, &text);
		tokenizer_decode(inputs->tokenizer.tokenizer, said + i * longest, length[i], &saying);
		fprintf(stderr, "item  %s\ntext  %.*s\nsays  %.*s\n\n", strings_at(&projector->item_id, item), (int)text.size,
			text.data ? text.data : "", (int)saying.size, saying.data ? saying.data : "");
		buffer_free(&text);
		buffer_free(&saying);
	}
	free(vectors);
	free(shown);
	free(said);
	free(length);
}

int main(int argc, char **argv)
{
	process_begin();
	blas_init(argv);
	struct cli cli;
	struct settings settings;
	parse(argc, argv, &cli, &settings);
	blas_reserve(cli.threads);

	struct inputs inputs = {0};
	struct bag_out *out = bag_create(cli.output, cli.level);
	load(&cli, &settings, out, &inputs);
	open_llm(&settings, &inputs);
	struct text_ends ends = text_ends_of(inputs.tokenizer.tokenizer, "tokenizer");
	struct item_texts *texts = item_texts_new(&inputs.catalog, inputs.tokenizer.tokenizer, settings.template);
	struct item_tokens tokens = item_texts_encode(texts, inputs.tokenizer.tokenizer, settings.max_tokens, false,
		cli.threads);

	struct rng rng;
	rng_seed(&rng, cli.seed);
	struct projector *projector = new_projector(&settings, &inputs, &tokens, &rng);
	json_object_update_new(projector->config,
		json_build("{s:s, s:I, s:b}", "template", item_texts_template(texts), "max_tokens",
			(json_int_t)settings.max_tokens, "start_token", settings.start));
	settings.run.id = training_id(&settings, &cli, &inputs, projector, texts);
	bool *only = start(&settings, &inputs, projector);
	notice("%s for %lld items, LLM %s: %lld parameters, width %lld; %lld texts cut to %lld tokens",
		projector_names[projector->kind], (long long)projector->n_items, inputs.llm->architecture->name,
		(long long)inputs.llm->params.size, (long long)inputs.llm->width, (long long)tokens.n_cut,
		(long long)settings.max_tokens);
	/* a network that is kept as it is knows new items by their texts */
	bool nothing_to_train = settings.only_new && projector->kind == PROJECTOR_MLP;
	json_t *measured = nothing_to_train ? json_object() :
										  train(&cli, &settings, &inputs, projector, &tokens, ends, only, &rng);
	if (settings.show)
		show(&settings, &inputs, projector, &tokens, ends);
	projector_write(out, projector, fingerprint(settings.run.id, &settings.run.epochs, sizeof settings.run.epochs));

	json_set(measured, "llm_parameters", json_integer(inputs.llm->params.size));
	products_describe(measured);
	cli_finish(&cli, out, measured);
	free(only);
	projector_free(projector);
	item_tokens_free(&tokens);
	item_texts_free(texts);
	free_inputs(&inputs);
	return cli_done(&cli);
}
