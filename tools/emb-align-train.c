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
#include "task/identity.h"

/* --- options --- */

struct settings {
	const char *llm, *model, *start_of, *template;
	enum projector_kind projector;
	int64_t max_tokens, show;
	bool start; /* the LLM's start token stands before the vector */
	bool only_new, integers;
	struct align_training training;
	json_t *given; /* options of the training */
};

static const struct option options[] = {
	{"llm", .argument = "PATH", FILE_OPTION(struct settings, llm),
		.help = "The frozen LLM: a GGUF file or a Hugging Face folder (default the stream's model)"},
	{"model", .argument = "STREAM", FILE_OPTION(struct settings, model), .no_effect = true, .may_be_stdin = true,
		.only = "!llm", .help = "The frozen LLM is the model of this stream; nothing else of it is taken"},
	{"start", .argument = "STREAM", FILE_OPTION(struct settings, start_of), .no_effect = true, .may_be_stdin = true,
		.help = "Start from the projector of this stream, and say texts by its model where no other LLM is given; "
				"nothing else of it is taken"},
	{"projector", .argument = "KIND", CHOICE_OPTION(struct settings, projector, projector_names), .fallback = "mlp",
		.help = "mlp, shared by all items, or table, a vector for each; --help shows the options of the one chosen"},
	{"integers", FLAG_OPTION(struct settings, integers),
		.help = "Learn from the LLM with its matrices in integers: faster, and nearly the same"},
	{"template", .argument = "TEXT", TEXT_OPTION(struct settings, template),
		.help =
			"An item's text, with attributes in braces (default 'Title {title} Brand {brand} ...' of all attributes)"},
	{"max-tokens", .argument = "N", WHOLE_OPTION(struct settings, max_tokens, 1, 4096), .fallback = "32",
		.help = "Cut texts to N tokens"},
	{"start-token", YES_NO_OPTION(struct settings, start), .fallback = "yes",
		.help = "The LLM's start token before the vector, or the vector alone"},
	{"only-new", FLAG_OPTION(struct settings, only_new),
		.help = "Keep the vectors of items that the stream's projector has, train those of the others"},
	{"show", .argument = "N", WHOLE_OPTION(struct settings, show, 0, 1000000), .fallback = "0", .no_effect = true,
		.help = "Print N items, their texts, and what the LLM says from the vector alone"},
	{"set", .argument = "KEY=VALUE", SET_OPTION, .help = "Any other option of the training; see below"},
	{0},
};

static const char examples[] = "  seq-tokenize --tokenizer llm.gguf --items items.csv events.csv |\n"
							   "    emb-align-train --llm llm.gguf | item-project | seq-train | seq-rank |\n"
							   "    rec-eval\n"
							   "  emb-align-train --llm llm.gguf --projector table --checkpoint a.ckpt \\\n"
							   "    --resume --show 5 shop.tar.zst -o said.tar.zst\n"
							   "  seq-train --task histories --weights llm.gguf shop.tar.zst -o tuned.tar.zst\n"
							   "  emb-align-train --model tuned.tar.zst shop.tar.zst -o said.tar.zst\n"
							   "  seq-tokenize --items items.csv events.csv | seq-train --arch llama |\n"
							   "    emb-align-train | item-project | seq-train | ...\n";

static const struct option *const tables[] =
	{[PROJECTOR_MLP] = align_network_options, [PROJECTOR_TABLE] = align_table_options};

static const struct option *table_at(int i)
{
	return i < (int)COUNT_OF(tables) ? tables[i] : NULL;
}

static void choose(void *values, struct cli_choice *choice)
{
	struct settings *settings = values;
	snprintf(choice->of, sizeof choice->of, "--projector %s", projector_names[settings->projector]);
	choice->section[0] = (struct cli_section){tables[settings->projector], &settings->training, settings->given, true};
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
		.table = options,
		.choose = choose,
		.table_at = table_at,
		.usage_without_input = true,
		.binary_output = true,
	};
	*settings = (struct settings){.given = json_object()};
	cli_parse(&tool, argc, argv, cli, settings);
	if (!run_length(&settings->training.run))
		die_usage("--epochs 0 would learn nothing");
	if (settings->only_new && settings->training.sample)
		die_usage("--only-new of an mlp trains nothing: there is no --sample to learn from");
}

/* --- load --- */

struct inputs {
	struct catalog catalog;
	struct tokenizer_group tokenizer;
	struct model_group model;
	struct projector_group projector; /* an earlier one */
	struct model *llm;
};

/* Of the streams at hand, or of another one. */
static void take(struct bag *bag, const struct group_kind *kind, void *group, const char *from)
{
	if (from)
		bag_take_from(bag, kind, group, from);
	else
		bag_take(bag, kind, group);
}

static void load(const struct cli *cli, const struct settings *settings, struct bag_out *out, struct inputs *inputs)
{
	struct bag *bag = bag_open(cli->inputs);
	struct group_kind llm_group = model_group;
	llm_group.writer = "--llm names a language model, seq-train --arch llama trains one";
	inputs->catalog.keeps_text = true;
	bag_take(bag, &catalog_group, &inputs->catalog);
	bag_take(bag, &tokenizer_group, &inputs->tokenizer);
	if (!settings->llm)
		take(bag, &llm_group, &inputs->model, settings->model ? settings->model : settings->start_of);
	take(bag, &projector_group, &inputs->projector, settings->start_of);
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
		tokenizer_require(inputs->tokenizer.tokenizer, inputs->llm->belongs_to, settings->llm);
	} else {
		const struct group *group = &inputs->model.group;
		if (!group->complete || !is_llm(inputs->model.model))
			die("%s: no LLM: neither --llm PATH, nor a model of arch llama or gpt2 there (seq-train --arch llama "
				"trains one)",
				group->complete ? group_source(group) : "stream");
		inputs->llm = inputs->model.model;
		llm_freeze(inputs->llm);
		model_require_tokenizer(&inputs->model, &inputs->catalog);
	}
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

static struct projector *new_projector(const struct settings *settings, const struct inputs *inputs,
	const struct item_tokens *texts, struct rng *rng)
{
	const struct model *llm = inputs->llm;
	const float *token_vectors = llm_token_vectors(llm);
	if (settings->projector == PROJECTOR_TABLE)
		return projector_table(&inputs->catalog, llm->belongs_to, texts, token_vectors, llm->n_items, llm->width);
	return projector_mlp(&inputs->catalog, llm->belongs_to, texts, token_vectors, llm->n_items, llm->width,
		settings->training.moments, settings->training.hidden_size, rng);
}

/* --- compute --- */

/*
 * Of a table as many epochs as are done decide, as nothing it does depends
 * on how many are to come, and more may be asked for later.
 */
static json_t *identity_of(const struct settings *settings, const struct cli *cli, const struct inputs *inputs,
	const struct projector *projector, const struct item_texts *texts)
{
	char *llm_config = json_text(inputs->llm->config);
	json_t *identity = identity_new(cli->seed, cli->threads);
	identity_add_options(identity, options, json_array_get(cli->options, 0));
	identity_add_options(identity, tables[settings->projector], settings->given);
	run_forget_length(identity, projector->kind != PROJECTOR_TABLE);
	identity_add(identity, "--template", item_texts_template(texts));
	identity_add(identity, "the catalog", projector->catalog);
	identity_add(identity, "the tokenizer", projector->tokenizer);
	identity_add(identity, "the stream's projector", inputs->projector.group.id);
	if (inputs->llm == inputs->model.model)
		identity_add(identity, "the stream's LLM", inputs->model.group.id);
	identity_add(identity, "the LLM's config", llm_config);
	char vectors[17];
	fingerprint_text(fingerprint(FINGERPRINT_START, llm_token_vectors(inputs->llm),
						 (size_t)(inputs->llm->n_items * inputs->llm->width) * sizeof(float)),
		vectors);
	identity_add(identity, "the table of the LLM's token vectors", vectors);
	free(llm_config);
	return identity;
}

static json_t *train(const struct cli *cli, const struct settings *settings, const struct inputs *inputs,
	struct projector *projector, const struct item_tokens *tokens, struct text_ends ends, const bool *only,
	const json_t *identity, const struct rng *rng)
{
	bool table = projector->kind == PROJECTOR_TABLE;
	struct align_options align = {.descent = DESCENT_DEFAULTS,
		.lead = settings->start,
		.only = only,
		.sample = settings->training.sample};
	align.descent.radius = settings->training.radius;
	struct task *task = align_task(projector, inputs->llm, tokens, ends, &align);
	struct trainer *trainer = trainer_new(&projector->params, &settings->training.optimisation, cli->threads);
	llm_pack(inputs->llm, settings->integers ? PACKED_INTEGERS : packing_of(settings->training.optimisation.precision));
	json_t *measured = run(task, trainer, &settings->training.run, identity, rng);
	llm_pack(inputs->llm, PACKED_NOT);
	align_tell(task, trainer, table ? "all" : "learned", measured);
	trainer_free(trainer);
	task->free(task);
	return measured;
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
	item_tokens_tell(&tokens);

	struct rng rng;
	rng_seed(&rng, cli.seed);
	struct projector *projector = new_projector(&settings, &inputs, &tokens, &rng);
	json_object_update_new(projector->config,
		json_build("{s:s, s:I, s:b}", "template", item_texts_template(texts), "max_tokens",
			(json_int_t)settings.max_tokens, "start_token", settings.start));
	json_t *identity = identity_of(&settings, &cli, &inputs, projector, texts);
	if (!inputs.projector.group.complete && settings.only_new)
		die("--only-new: no projector in the stream");
	bool *only = inputs.projector.group.complete ?
		projector_start(projector, &inputs.projector, &inputs.catalog, settings.only_new) :
		NULL;
	notice("%s for %s, LLM %s: %s, width %lld", projector_names[projector->kind], counted(projector->n_items, "items"),
		inputs.llm->architecture->name, counted(inputs.llm->params.size, "parameters"), (long long)inputs.llm->width);
	/* a network that is kept as it is knows new items by their texts */
	bool nothing_to_train = settings.only_new && projector->kind == PROJECTOR_MLP;
	json_t *measured = nothing_to_train ?
		json_object() :
		train(&cli, &settings, &inputs, projector, &tokens, ends, only, identity, &rng);
	if (settings.show)
		align_show(projector, inputs.llm, inputs.tokenizer.tokenizer, &tokens, ends, settings.start, settings.show,
			settings.max_tokens + 1);
	identity_add_stop(identity, measured);
	const int64_t epochs = run_length(&settings.training.run);
	projector_write(out, projector, fingerprint(identity_fingerprint(identity), &epochs, sizeof epochs));

	json_set(measured, "llm_parameters", json_integer(inputs.llm->params.size));
	products_describe(measured);
	cli_finish(&cli, out, measured);
	free(only);
	json_decref(identity);
	json_decref(settings.given);
	projector_free(projector);
	item_tokens_free(&tokens);
	item_texts_free(texts);
	free_inputs(&inputs);
	return cli_done(&cli);
}
