/*
 * seq-train: sequences in, the same and a model that recommends the next item out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/blas.h"
#include "nn/matrix.h"
#include "rank/learned.h"
#include "stream/cli.h"
#include "stream/process.h"
#include "stream/ranks.h"
#include "task/like.h"
#include "task/warm.h"

/* --- options --- */

struct settings {
	int architecture, task; /* in their names; -1: follows from the other */
	const char *model, *like;
	struct like pattern; /* of --like */
	json_t *warm_config; /* of a model that goes on */
	json_t *history;     /* of its stream, and of the others */
	struct training_job job;
};

static const struct option options[] = {
	{"arch", .argument = "NAME", CHOICE_OPTION(struct settings, architecture, architecture_names),
		.help = "Architecture, of those below (default sasrec, or the first of the task)"},
	{"task", .argument = "NAME", CHOICE_OPTION(struct settings, task, task_names),
		.help = "What to train it for (default next)"},
	{"model", .argument = "STREAM", FILE_OPTION(struct settings, model), .no_effect = true, .may_be_stdin = true,
		.help = "Go on from the model of this stream, of which nothing else is taken; new items are added to it"},
	{"like", .argument = "STREAM", FILE_OPTION(struct settings, like), .may_be_stdin = true,
		.help = "Train as the model of this stream was, for as many epochs as validated best"},
	{"set", .argument = "KEY=VALUE", SET_OPTION,
		.help = "Any other option, by its key in the model's config.json; see below"},
	{0},
};

/* The model of --model, whose architecture is the default. */
static const struct architecture *read_start(struct settings *settings, struct training_inputs *inputs)
{
	struct bag *bag = bag_open((char *const[]){(char *)(uintptr_t)settings->model, NULL});
	bag_take(bag, &model_group, &inputs->start);
	bag_take_history(bag, settings->history);
	bag_read(bag);
	if (!inputs->start.group.complete)
		die("--model %s: no model in it; seq-train trains one", settings->model);
	return inputs->start.model->architecture;
}

/* What the model that goes on was made with; wrong usage where the training cannot go on from one. */
static void choose_start(struct settings *settings)
{
	const struct training_job *job = &settings->job;
	if (!job->training->takes_model && !job->training->goes_on)
		die_usage("--model is no option of --arch %s", job->architecture->name);
	if (!job->inputs.start.model || !job->training->goes_on)
		return;
	warm_require_architecture(job);
	settings->warm_config = settings->like ? NULL : warm_config(&job->inputs.start);
}

static void choose(void *values, struct cli_choice *choice)
{
	struct settings *settings = values;
	struct training_job *job = &settings->job;
	struct like *like = &settings->pattern;
	if (settings->like && !choice->for_help)
		like_read(like, settings->like);
	const struct architecture *of_start = settings->model && !choice->for_help ? read_start(settings, &job->inputs) :
																				 NULL;
	const char *task = settings->task >= 0 ? task_names[settings->task] : like->training ? like->training->task : NULL;
	job->architecture = settings->architecture >= 0 ? architecture_named(architecture_names[settings->architecture]) :
		like->training                              ? like->model.model->architecture :
		of_start && !task                           ? of_start :
													  architecture_of_task(task);
	job->training = training_of(job->architecture, task, choice->for_help);
	if (like->training)
		like_require(like, job->architecture, job->training);
	job->config = json_build("{s:s}", "architecture", job->architecture->name);
	job->options = json_object();
	job->values = xcalloc(1, job->training->size + 1);
	if (settings->model)
		choose_start(settings);
	job->said = json_object();
	choice->section[0] = (struct cli_section){job->training->options, job->values, job->options, true, like->options,
		settings->like, .said = job->said};
	choice->section[1] = (struct cli_section){job->architecture->options, NULL, job->config, true,
		like->training ? like->config : settings->warm_config, settings->like, .is_open = job->training->takes_model,
		.said = job->said};
	snprintf(choice->of, sizeof choice->of, "--arch %s%s%s", job->architecture->name, task ? " --task " : "",
		task ? task : "");
}

/* All tables that there are to choose from, one after another. */
static const struct option *table_at(int i)
{
	for (int training = 0; trainings[training]; training++)
		if (i-- == 0)
			return trainings[training]->options;
	return architecture_names[i] ? architecture_named(architecture_names[i])->options : NULL;
}

static const char *const examples = "  seq-tokenize events.csv | seq-train | seq-rank | rec-eval\n"
									"  seq-train --arch gru -o gru.tar.zst sequences.tar.zst\n"
									"  seq-train --loss gbce --checkpoint run.ckpt --resume -o model.tar.zst \\\n"
									"    sequences.tar.zst\n"
									"  seq-tokenize --holdout none events.csv | seq-train --like tuned.tar.zst |\n"
									"    seq-rank\n"
									"  seq-train --arch markov sequences.tar.zst | seq-rank | rec-eval\n"
									"  seq-train --task pretrain domains.tar.zst -o recformer.tar.zst\n"
									"  seq-tokenize --tokenizer recformer.tar.zst --items items.csv events.csv |\n"
									"    seq-train --task finetune recformer.tar.zst - | seq-rank | rec-eval\n";

/* "sasrec, gru: the next item of users' sequences" */
static char *trained_by(const struct training *training)
{
	const char *names[N_ARCHITECTURES + 1];
	int n = 0;
	for (int i = 0; architecture_names[i]; i++)
		if (training->suits(architecture_named(architecture_names[i])))
			names[n++] = architecture_names[i];
	names[n] = NULL;
	char *list = list_words(names, ", ");
	char *line = xasprintf("%s: %s", list, training->summary);
	free(list);
	return line;
}

static void print_choices(void)
{
	printf("\nArchitectures (--arch NAME --help has the options of each):\n");
	for (int i = 0; architecture_names[i]; i++)
		printf("  %-10s %s\n", architecture_names[i], architecture_named(architecture_names[i])->summary);
	printf("\nTasks (--task NAME), and whom they train:\n");
	for (int i = 0; trainings[i]; i++) {
		char *trained = trained_by(trainings[i]);
		int column = printf("  %-10s ", trainings[i]->task);
		write_wrapped(stdout, trained, column, column);
		free(trained);
	}
}

static void parse(int argc, char **argv, struct cli *cli, struct settings *settings)
{
	const struct cli_tool tool = {
		.name = "seq-train",
		.arguments = "[STREAM...]",
		.summary =
			"Trains a model of what comes next in a user's sequence, and adds it to the stream. Early stop on the "
			"validation item's NDCG@10 over the whole catalog; the test item is never looked at.",
		.examples = examples,
		.print_more = print_choices,
		.table = options,
		.choose = choose,
		.table_at = table_at,
		.usage_without_input = true,
		.binary_output = true,
	};
	*settings = (struct settings){.history = json_array()};
	cli_parse(&tool, argc, argv, cli, settings);
	settings->job.like = settings->like;
	settings->job.seed = cli->seed;
	settings->job.threads = cli->threads;
	if (settings->job.training->check)
		settings->job.training->check(&settings->job);
}

/* --- load --- */

/* files: whose models are not gone on from, as one may have hoped */
static void tell_left_behind(const json_t *files)
{
	const json_t *file;
	size_t i;
	json_array_foreach (files, i, file)
		if (!i || !json_equal(file, json_array_get(files, i - 1))) /* a file may be given twice */
			notice("model of %s replaced by a new one; --model goes on from one", json_string_value(file));
}

/* A model that went on where what it had learned is held out seems better, and may be stopped too late. */
static void tell_learned(const struct settings *settings)
{
	const struct training_inputs *inputs = &settings->job.inputs;
	const struct group *start = &inputs->start.group, *sequences = &inputs->sequences.group;
	/* what counts does so anew */
	if (!start->complete || !sequences->complete || inputs->start.model->architecture->count)
		return;
	char *whose = xasprintf("the model of %s", group_source(start));
	learned_warn(settings->history, start->id, sequences->id, inputs->catalog.group.id, whose, "figures are too good");
	free(whose);
}

static void load(const struct cli *cli, struct settings *settings)
{
	struct training_job *job = &settings->job;
	const struct training *training = job->training;
	struct training_inputs *inputs = &job->inputs;
	struct bag *bag = bag_open(cli->inputs);
	inputs->catalog.keeps_text = training->needs_text || job->architecture->reads_items;
	bag_take(bag, &catalog_group, &inputs->catalog);
	bag_take(bag, &sequences_group, &inputs->sequences);
	bag_take(bag, &embedding_group, &inputs->embedding);
	bag_take(bag, &tokenizer_group, &inputs->tokenizer);
	json_t *with_model = json_array();
	bag_drop(bag, MODEL_GROUP);
	bag_drop(bag, "ranking");
	if (training->takes_model) {
		if (!inputs->start.group.complete)
			bag_take(bag, &model_group, &inputs->start);
		bag_drop(bag, "embedding");
	} else if (!inputs->start.group.complete) {
		bag_take_sources(bag, MODEL_GROUP, with_model);
	}
	bag_take_history(bag, settings->history);
	bag_pass_to(bag, job->out);
	bag_read(bag);
	if (training->needs_text && (!inputs->catalog.indptr || !inputs->tokenizer.tokenizer))
		die("%s: the stream has no items with text; seq-tokenize --items gives them one", job->architecture->name);
	if (training->needs_sequences)
		sequences_check(&inputs->sequences, &inputs->catalog);
	if (inputs->embedding.group.complete && training->takes_embedding)
		embedding_check(&inputs->embedding, &inputs->catalog);
	tell_left_behind(with_model);
	tell_learned(settings);
	json_decref(with_model);
}

static void free_job(struct training_job *job)
{
	struct training_inputs *inputs = &job->inputs;
	sequences_free(&inputs->sequences);
	embedding_free(&inputs->embedding);
	tokenizer_group_free(&inputs->tokenizer);
	model_group_free(&inputs->start);
	catalog_free(&inputs->catalog);
	json_decref(job->config);
	json_decref(job->options);
	json_decref(job->said);
	free(job->values);
}

static void free_settings(struct settings *settings)
{
	free_job(&settings->job);
	like_free(&settings->pattern);
	json_decref(settings->warm_config);
	json_decref(settings->history);
}

int main(int argc, char **argv)
{
	process_begin();
	blas_init(argv);
	ranks_begin();
	struct cli cli;
	struct settings settings;
	struct training_job *job = &settings.job;
	parse(argc, argv, &cli, &settings);
	blas_reserve(cli.threads);

	job->out = bag_create(cli.output, cli.level);
	load(&cli, &settings);
	json_t *measured = job->training->train(job);
	products_describe(measured);
	cli_finish(&cli, job->out, measured);
	free_settings(&settings);
	return cli_done(&cli);
}
