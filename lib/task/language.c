#include "task/language.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stream/progress.h"
#include "task/training.h"

#define HELD_OUT 20 /* every so manieth text */

enum { INPUT, TARGET };

struct language {
	struct task task;
	struct next *next;
	struct ragged texts, batch; /* INPUT, with its start token, and TARGET, which follows it */
	int64_t *learned, *valid;   /* texts */
	int64_t n_valid;
};

struct text_ends text_ends_of(const struct tokenizer *tokenizer, const char *where)
{
	int32_t start = tokenizer_special(tokenizer, SPECIAL_BOS), end = tokenizer_special(tokenizer, SPECIAL_EOS);
	if (start < 0 && end < 0)
		die("%s: no token that begins or ends a text is known by name", where);
	return (struct text_ends){start < 0 ? end : start, end < 0 ? start : end};
}

static void add_text(struct ragged *texts, const int32_t *token, int64_t n, struct text_ends ends)
{
	int64_t at = ragged_add(texts, n + 1);
	int32_t *input = texts->field[INPUT], *target = texts->field[TARGET];
	input[at] = ends.start;
	memcpy(input + at + 1, token, (size_t)n * sizeof *token);
	memcpy(target + at, token, (size_t)n * sizeof *token);
	target[at + n] = ends.end;
}

/* Texts that are empty teach nothing. */
static void list_texts(struct language *task, const struct item_tokens *texts, struct text_ends ends)
{
	int64_t rows = texts->rows, n = 0;
	task->learned = xreallocarray(NULL, (size_t)rows, sizeof *task->learned);
	task->valid = xreallocarray(NULL, (size_t)rows, sizeof *task->valid);
	for (int64_t row = 0; row < rows; row++) {
		int64_t from = texts->indptr[row], length = texts->indptr[row + 1] - from;
		if (!length)
			continue;
		add_text(&task->texts, texts->ids + from, length, ends);
		if (n % HELD_OUT == HELD_OUT - 1)
			task->valid[task->n_valid++] = n;
		else
			task->learned[task->task.examples++] = n;
		n++;
	}
	if (!n)
		die("catalog: its items have no text, there is nothing to learn");
}

/* Texts as histories of tokens. */
static struct histories fill_batch(struct language *task, const int64_t texts[], const int64_t *of, int64_t n)
{
	struct ragged *batch = &task->batch;
	ragged_clear(batch);
	for (int64_t row = 0; row < n; row++)
		ragged_append_row(batch, &task->texts, of ? of[texts[row]] : texts[row]);
	return (struct histories){.rows = n, .indptr = batch->indptr, .item = batch->field[INPUT]};
}

static void step(struct task *base, struct trainer *trainer, const int64_t example[], int64_t n, uint64_t seed,
	struct step_result *result)
{
	struct language *task = (struct language *)base;
	const struct histories texts = fill_batch(task, example, task->learned, n);
	next_step(task->next, trainer, &texts, task->batch.field[TARGET], seed, result);
}

static bool validate(struct task *base, struct trainer *trainer, int64_t epoch, double measured[])
{
	struct language *task = (struct language *)base;
	(void)epoch;
	if (!task->n_valid)
		return false;
	const struct histories texts = fill_batch(task, task->valid, NULL, task->n_valid);
	language_measure(task->next, trainer, &texts, task->batch.field[TARGET], measured);
	return true;
}

static void free_task(struct task *base)
{
	struct language *task = (struct language *)base;
	next_free(task->next);
	ragged_free(&task->texts);
	ragged_free(&task->batch);
	free(task->learned);
	free(task->valid);
	free(task);
}

struct task *language_task(struct model *model, const struct item_tokens *texts, struct text_ends ends, int workers)
{
	struct language *task = xcalloc(1, sizeof *task);
	*task = (struct language){.task = {.step = step, .validate = validate, .free = free_task},
		.texts = RAGGED(I4, I4),
		.batch = RAGGED(I4, I4)};
	list_texts(task, texts, ends);
	if (task->n_valid)
		language_measures(&task->task);
	task->next = next_new(model, &(struct loss_options){.loss = LOSS_CE}, workers);
	return &task->task;
}

/* --- what such trainings share --- */

void language_measures(struct task *task)
{
	memcpy(task->measures, (const char *[]){"valid NLL", "perplexity"}, 2 * sizeof *task->measures);
	memcpy(task->keys, (const char *[]){"nll", "perplexity"}, 2 * sizeof *task->keys);
	task->lower_is_better = true;
}

void language_measure(struct next *next, struct trainer *trainer, const struct histories *texts, const int32_t *targets,
	double measured[2])
{
	struct step_result result = {0};
	next_loss(next, trainer, texts, targets, 0, &result);
	measured[0] = result.loss / (double)result.positions;
	measured[1] = exp(measured[0]);
}

bool language_suits(const struct architecture *architecture)
{
	return architecture->reads_tokens && architecture->hidden;
}

void language_check(const struct training_job *job, const struct run_options *run)
{
	training_require_epochs(job, run);
	die_status = 2;
	architecture_check(job->architecture, job->config, OPTIONS_GIVEN);
	die_status = 1;
}

/* --- training --- */

struct language_training {
	const char *template;
	int64_t max_tokens;
	struct optimisation optimisation;
	struct run_options run;
};

static const struct option options[] = {
	{OPTIONS_TITLE("Training:")},
	{"template", .argument = "TEXT", TEXT_OPTION(struct language_training, template),
		.help = "An item's text, with attributes in braces (default all attributes by name)"},
	{"max-tokens", .argument = "N", WHOLE_OPTION(struct language_training, max_tokens, 1, 1 << 16), .fallback = "32",
		.help = "Cut texts to N tokens"},
	{.key = "epochs", OTHER_DEFAULT("200")},
	{.key = "batch-size", OTHER_DEFAULT("128")},
	{.key = "patience", OTHER_DEFAULT("10")},
	{INCLUDED_OPTIONS(struct language_training, optimisation, optimisation_options)},
	{INCLUDED_OPTIONS(struct language_training, run, run_options)},
	{0},
};

static void check(const struct training_job *job)
{
	language_check(job, &((const struct language_training *)job->values)->run);
}

static json_t *train(struct training_job *job)
{
	const struct language_training *training = job->values;
	const struct tokenizer *tokenizer = job->inputs.tokenizer.tokenizer;
	struct item_texts *texts = item_texts_new(&job->inputs.catalog, tokenizer, training->template);
	struct item_tokens tokens = item_texts_encode(texts, tokenizer, training->max_tokens, false, job->threads);
	item_tokens_tell(&tokens);
	char of_tokenizer[17];
	fingerprint_text(tokenizer_fingerprint(tokenizer), of_tokenizer);
	struct model *model = model_new(json_deep_copy(job->config), tokenizer_vocab_size(tokenizer), of_tokenizer,
		OPTIONS_GIVEN);
	json_t *identity = training_identity(job, model, training->optimisation.schedule != SCHEDULE_CONSTANT);
	struct rng rng;
	rng_seed(&rng, job->seed);
	model_initialise(model, &rng);
	struct trainer *trainer = trainer_new(&model->params, &training->optimisation, job->threads);
	struct task *task = language_task(model, &tokens, text_ends_of(tokenizer, "tokenizer"), job->threads);
	notice("%s: %s, vocabulary of %lld, %s", model->architecture->name, counted(model->params.trainable, "parameters"),
		(long long)model->n_items, counted(task->examples, "texts"));
	json_t *measured = training_run(job, model, task, trainer, &training->run, identity, &rng);
	task->free(task);
	trainer_free(trainer);
	model_free(model);
	item_tokens_free(&tokens);
	item_texts_free(texts);
	json_decref(identity);
	return measured;
}

const struct training language_training = {
	.task = "next",
	.summary = "the next token of the items' texts",
	.suits = language_suits,
	.options = options,
	.size = sizeof(struct language_training),
	.needs_text = true,
	.check = check,
	.train = train,
};
