/*
 * item-project: a catalog in, the same and a vector for each item out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "data/embedding.h"
#include "model/item_sources.h"
#include "model/item_vectors.h"
#include "nn/blas.h"
#include "nn/matrix.h"
#include "stream/cli.h"
#include "stream/process.h"

/* --- options --- */

struct settings {
	int from; /* in item_source_names; -1: by what the stream has */
	const char *model;
	bool standardise, whiten, join;
	int whiten_groups; /* 0: not given */
	struct item_vectors_job job;
};

static const struct option options[] = {
	{"from", .argument = "SOURCE", CHOICE_OPTION(struct settings, from, item_source_names),
		.help = "Source, of those below (default projector or recformer, as the stream has it)"},
	{"model", .argument = "STREAM", FILE_OPTION(struct settings, model), .may_be_stdin = true,
		.help = "For model, recformer, llm and tokens: the model of this stream"},
	{"standardise", FLAG_OPTION(struct settings, standardise), .help = "Bring each dimension to mean 0 and variance 1"},
	{"whiten", FLAG_OPTION(struct settings, whiten), .help = "Besides, take away the dimensions' correlations"},
	{"whiten-groups", .argument = "N", WHOLE_OPTION(struct settings, whiten_groups, 2, 4096),
		.help = "The same, and add what it gives within each of N groups of dimensions alone (WhitenRec+)"},
	{"join", FLAG_OPTION(struct settings, join),
		.help = "Put the vectors beside those of the stream's embedding, not in their place"},
	{0},
};

static void choose(void *values, struct cli_choice *choice)
{
	struct settings *settings = values;
	snprintf(choice->of, sizeof choice->of, "a run without --from");
	if (settings->from < 0)
		return;
	snprintf(choice->of, sizeof choice->of, "--from %s", item_source_names[settings->from]);
	choice->section[0].table = item_sources[settings->from].options;
	choice->section[0].values = &settings->job.options;
}

static const struct option *table_at(int i)
{
	return i < N_SOURCES ? item_sources[i].options : NULL;
}

static const char examples[] = "  emb-align-train --llm llm.gguf shop.tar.zst | item-project | seq-train |\n"
							   "    seq-rank | rec-eval\n"
							   "  seq-tokenize --tokenizer recformer.tar.zst --items items.csv events.csv |\n"
							   "    item-project recformer.tar.zst - | seq-rank | rec-eval\n"
							   "  seq-tokenize --items items.csv events.csv | item-project --from tfidf |\n"
							   "    seq-train | seq-rank | rec-eval\n"
							   "  item-project --from llm --llm llm.gguf shop.tar.zst -o items.tar.zst\n"
							   "  item-project --from encoder --encoder all-MiniLM-L6-v2 shop.tar.zst -o \\\n"
							   "    items.tar.zst\n"
							   "  item-project --from tfidf shop.tar.zst |\n"
							   "    item-project --from encoder --encoder all-MiniLM-L6-v2 --join -o \\\n"
							   "    items.tar.zst\n"
							   "  item-project --from model model.tar.zst -o vectors.tar.zst\n"
							   "  item-project --from file --vectors vectors.npy --ids ids.txt shop.tar.zst -o \\\n"
							   "    items.tar.zst\n"
							   "  item-project --from tfidf --width 64 --template '{title}' --standardise \\\n"
							   "    shop.tar.zst -o items.tar.zst\n";

static void print_sources(void)
{
	printf("\nSources (--from SOURCE --help has the options of each):\n");
	for (int i = 0; i < N_SOURCES; i++)
		printf("  %-10s %s\n", item_source_names[i], item_sources[i].summary);
}

static void parse(int argc, char **argv, struct cli *cli, struct settings *settings)
{
	const struct cli_tool tool = {
		.name = "item-project",
		.arguments = "[STREAM...]",
		.summary = "Turns the items of a catalog into vectors, and adds them to the stream as the group embedding.",
		.examples = examples,
		.print_more = print_sources,
		.table = options,
		.choose = choose,
		.table_at = table_at,
		.usage_without_input = true,
		.binary_output = true,
	};
	*settings = (struct settings){0};
	cli_parse(&tool, argc, argv, cli, settings);
	struct item_vectors_job *job = &settings->job;
	job->seed = cli->seed;
	job->threads = cli->threads;
	if (settings->from == SOURCE_ENCODER && !job->options.encoder)
		die_usage("--from encoder needs --encoder PATH");
	if (settings->from == SOURCE_FILE && (!job->options.vectors || !job->options.ids))
		die_usage("--from file needs --vectors FILE and --ids FILE");
	if (settings->model && settings->from >= 0 && !item_sources[settings->from].takes_model)
		die_usage("--model is no option of --from %s", item_source_names[settings->from]);
	if (settings->model && job->options.llm)
		die_usage("--llm and --model both name the LLM");
}

/* --- load --- */

static void load(const struct cli *cli, const struct settings *settings, struct item_vectors_job *job,
	struct bag_out *out)
{
	const struct item_source *source = settings->from >= 0 ? &item_sources[settings->from] : NULL;
	struct bag *bag = bag_open(cli->inputs);
	job->catalog.keeps_text = true;
	bag_take(bag, &catalog_group, &job->catalog);
	bag_take(bag, &tokenizer_group, &job->tokenizer);
	if (!source || source->takes_projector)
		bag_take(bag, &projector_group, &job->projector);
	if (settings->model)
		bag_take_from(bag, &model_group, &job->model, settings->model);
	else if (!source || (source->takes_model && !job->options.llm))
		bag_take(bag, &model_group, &job->model);
	if (settings->join)
		bag_take(bag, &embedding_group, &job->beside);
	bag_drop(bag, "embedding");
	bag_pass_to(bag, out);
	bag_read(bag);
	group_require(&catalog_group, &job->catalog.group);
	if (!job->catalog.n_items)
		die("catalog: no items");
}

static void spread(struct settings *settings)
{
	struct item_vectors_job *job = &settings->job;
	const bool whiten = settings->whiten || settings->whiten_groups, standardise = settings->standardise || whiten;
	if (settings->whiten_groups > job->width)
		die("--whiten-groups %d: the vectors have %s", settings->whiten_groups, counted(job->width, "dimensions"));
	if (standardise)
		standardise_vectors(job->vectors, job->catalog.n_items, job->width,
			settings->whiten_groups ? settings->whiten_groups : whiten, job->threads);
	json_set(job->facts, "standardised", json_boolean(standardise));
	json_set(job->facts, "whitened", json_boolean(whiten));
	if (settings->whiten_groups)
		json_set(job->facts, "whiten_groups", json_integer(settings->whiten_groups));
}

/* For the history. */
static json_t *measured(const struct item_vectors_job *job, const char *source)
{
	json_t *record = json_build("{s:s, s:I, s:I}", "source", source, "items", (json_int_t)job->catalog.n_items, "width",
		(json_int_t)job->width);
	products_describe(record);
	json_object_update(record, job->facts);
	json_object_update(record, job->measured);
	return record;
}

int main(int argc, char **argv)
{
	process_begin();
	blas_init(argv);
	struct cli cli;
	struct settings settings;
	struct item_vectors_job *job = &settings.job;
	parse(argc, argv, &cli, &settings);
	blas_reserve(cli.threads);

	struct bag_out *out = bag_create(cli.output, cli.level);
	load(&cli, &settings, job, out);
	int source = settings.from >= 0 ? settings.from : settings.model ? SOURCE_RECFORMER : item_source_of_stream(job);
	item_vectors_make(job, source);
	if (settings.join)
		item_vectors_join(job);
	spread(&settings);
	embedding_write(out, &job->catalog, job->vectors, job->width, item_source_names[source], job->facts);
	cli_finish(&cli, out, measured(job, item_source_names[source]));
	item_vectors_free(job);
	return cli_done(&cli);
}
