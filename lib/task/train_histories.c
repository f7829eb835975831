/* The training of language models on the texts of users' histories: published ones, the stream's, or new ones. */
#include <stdlib.h>

#include "model/llm.h"
#include "stream/progress.h"
#include "task/history_texts.h"
#include "task/language.h"
#include "task/training.h"

struct histories_training {
	const char *weights, *template;
	int64_t max_tokens, last, valid_users;
	struct optimisation optimisation;
	struct run_options run;
};

static const struct option options[] = {
	{OPTIONS_TITLE("Training:")},
	{"weights", .argument = "LLM", FILE_OPTION(struct histories_training, weights), .only = "!model",
		.help = "Start from this LLM: a GGUF file or a Hugging Face folder (default the stream's, or a new one)"},
	{"template", .argument = "TEXT", TEXT_OPTION(struct histories_training, template),
		.help = "An item's text, with attributes in braces (default all attributes by name)"},
	{"max-tokens", .argument = "N", WHOLE_OPTION(struct histories_training, max_tokens, 1, 1 << 16), .fallback = "32",
		.help = "Cut texts to N tokens"},
	{"last", .argument = "N", WHOLE_OPTION(struct histories_training, last, 2, 1 << 16), .fallback = "8",
		.help = "Read the last N items of a history"},
	{.key = "valid_users",
		WHOLE_OPTION(struct histories_training, valid_users, 1, INT32_MAX),
		.fallback = "1000",
		.help = "Validate on so many users"},
	{.key = "epochs", OTHER_DEFAULT("1")},
	{.key = "batch-size", OTHER_DEFAULT("16")},
	{.key = "patience", OTHER_DEFAULT("2")},
	{.key = "learning-rate", OTHER_DEFAULT("0.0001")},
	{.key = "warmup", OTHER_DEFAULT("20")},
	{.key = "clip", OTHER_DEFAULT("1")},
	{INCLUDED_OPTIONS(struct histories_training, optimisation, optimisation_options)},
	{INCLUDED_OPTIONS(struct histories_training, run, run_options)},
	{0},
};

static void check(const struct training_job *job)
{
	language_check(job, &((const struct histories_training *)job->values)->run);
}

/* A model that there is has its own options; others cannot be had of it. */
static void require_own_options(const struct training_job *job, const struct model *model, const char *of)
{
	const char *key;
	json_t *value;
	if (model->architecture != job->architecture)
		die("%s: the model is %s; --arch %s was expected", of, model->architecture->name, model->architecture->name);
	json_object_foreach (job->config, key, value)
		if (!json_equal(value, json_object_get(model->config, key)))
			die("%s: its \"%s\" is %s, and stays so", of, key, option_text(json_object_get(model->config, key)));
}

/* To be freed, unless it is the stream's. */
static struct model *start(struct training_job *job, struct rng *rng)
{
	const struct histories_training *training = job->values;
	const struct tokenizer *tokenizer = job->inputs.tokenizer.tokenizer;
	struct model_group *stream = &job->inputs.start;
	struct model *model = stream->model;
	if (training->weights) {
		model = llm_open(training->weights, LLM_LEARNS);
		tokenizer_require(tokenizer, model->belongs_to, training->weights);
		require_own_options(job, model, training->weights);
	} else if (model) {
		if (!is_llm(model))
			die("model of %s: %s, where a language model was expected", group_source(&stream->group),
				model->architecture->name);
		model_require_tokenizer(stream, &job->inputs.catalog);
		require_own_options(job, model, group_source(&stream->group));
	} else {
		char of_tokenizer[17];
		fingerprint_text(tokenizer_fingerprint(tokenizer), of_tokenizer);
		model = model_new(json_deep_copy(job->config), tokenizer_vocab_size(tokenizer), of_tokenizer, OPTIONS_GIVEN);
		model_initialise(model, rng);
		notice("no LLM in the stream and no --weights: a new one, of %s, is trained on these histories alone",
			counted(model->params.trainable, "parameters"));
	}
	if (model->n_items < tokenizer_vocab_size(tokenizer))
		die("the LLM has %lld token vectors, its tokenizer %s", (long long)model->n_items,
			counted(tokenizer_vocab_size(tokenizer), "tokens"));
	return model;
}

/* The end of a line behind each item's text; of a tokenizer that makes nothing of it, the end of a text. */
static void encode_separator(const struct tokenizer *tokenizer, struct text_ends ends, struct buffer *ids)
{
	struct tokenize_worker *worker = tokenize_worker_new(tokenizer, (struct tokenize_options){0});
	tokenize(worker, "\n", 1, -1, ids);
	if (!ids->size)
		buffer_append(ids, &ends.end, sizeof ends.end);
	tokenize_worker_free(worker);
}

static void tell(const struct task *task, const struct model *model)
{
	int64_t tokens, validated;
	history_texts_counts(task, &tokens, &validated);
	notice("%s: %s, %s, %s, validated on %s", model->architecture->name, counted(model->params.trainable, "parameters"),
		counted(task->examples, "users"), counted(tokens, "tokens"), counted(validated, "users"));
}

static json_t *train(struct training_job *job)
{
	const struct histories_training *training = job->values;
	const struct tokenizer *tokenizer = job->inputs.tokenizer.tokenizer;
	const struct text_ends ends = text_ends_of(tokenizer, "tokenizer");
	struct item_texts *texts = item_texts_new(&job->inputs.catalog, tokenizer, training->template);
	struct item_tokens tokens = item_texts_encode(texts, tokenizer, training->max_tokens, false, job->threads);
	struct buffer separator = {0};
	struct rng rng;
	item_tokens_tell(&tokens);
	encode_separator(tokenizer, ends, &separator);
	rng_seed(&rng, job->seed);
	struct model *model = start(job, &rng);
	json_t *identity = training_identity(job, model, training->optimisation.schedule != SCHEDULE_CONSTANT);
	const struct history_form form = {.start = ends.start,
		.separator = (const int32_t *)(const void *)separator.data,
		.n_separator = (int64_t)(separator.size / sizeof(int32_t)),
		.items = training->last,
		.valid_users = training->valid_users};
	struct trainer *trainer = trainer_new(&model->params, &training->optimisation, job->threads);
	struct task *task = history_texts_task(model, &job->inputs.sequences, &tokens, &form, trainer->n_workers);
	task->start = job->inputs.start.model || training->weights ? TRAINING_START : NULL;
	tell(task, model);
	json_t *measured = training_run(job, model, task, trainer, &training->run, identity, &rng);
	task->free(task);
	trainer_free(trainer);
	if (model != job->inputs.start.model)
		model_free(model);
	buffer_free(&separator);
	item_tokens_free(&tokens);
	item_texts_free(texts);
	json_decref(identity);
	return measured;
}

const struct training histories_training = {
	.task = "histories",
	.summary = "the texts of users' items, each behind those before it",
	.suits = language_suits,
	.options = options,
	.size = sizeof(struct histories_training),
	.needs_sequences = true,
	.needs_text = true,
	.takes_model = true,
	.check = check,
	.train = train,
};
