/* The training of models of what comes next in a user's sequence, by gradients. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/items.h"
#include "stream/progress.h"
#include "task/next_item.h"
#include "task/training.h"
#include "task/warm.h"

struct next_item_training {
	struct next_item_options next;
	struct optimisation optimisation;
	struct run_options run;
};

static const struct option next_item_options[] = {
	{OPTIONS_TITLE("Training:")},
	{.key = "epochs", OTHER_DEFAULT("200")},
	{.key = "batch-size", OTHER_DEFAULT("128")},
	{.key = "patience", OTHER_DEFAULT("10")},
	{INCLUDED_OPTIONS(struct next_item_training, next.loss, loss_options)},
	{INCLUDED_OPTIONS(struct next_item_training, next.augmentation, augmentation_options)},
	{INCLUDED_OPTIONS(struct next_item_training, optimisation, optimisation_options)},
	{INCLUDED_OPTIONS(struct next_item_training, run, run_options)},
	{INCLUDED_OPTIONS(struct next_item_training, run, average_options)},
	{INCLUDED_OPTIONS(struct next_item_training, next.valid, validation_options)},
	{0},
};

static bool by_gradients(const struct architecture *architecture)
{
	return architecture->hidden && !architecture->reads_tokens;
}

static void check(const struct training_job *job)
{
	const struct next_item_training *training = job->values;
	training_require_epochs(job, &training->run);
	die_status = 2;
	architecture_check(job->architecture, job->config, OPTIONS_GIVEN);
	die_status = 1;
}

/* --- what options leave open, by the data --- */

static bool is_given(const struct training_job *job, const char *key)
{
	return json_object_get(job->config, key);
}

/* The first option given that only features have a use for; NULL. */
static char *option_of_features(const struct training_job *job)
{
	struct option *rows = options_of(item_options);
	char *spelt = NULL;
	for (const struct option *row = rows; row->kind && !spelt; row++)
		if (option_is_value(row) && row->only && strncmp(row->only, "score", 5) && is_given(job, option_key(row)))
			spelt = option_spelt(row);
	free(rows);
	return spelt;
}

static bool features_are(const struct training_job *job, const char *how)
{
	const char *features = json_string_value(json_object_get(job->config, "features"));
	return features && !strcmp(features, how);
}

/* Where they are columns of what is learned, measured on validation: large ones hold up what has to move. */
#define SCALE_OF_COLUMNS .1

static void choose_scale(struct training_job *job)
{
	if ((features_are(job, "initial") || features_are(job, "alphafuse")) && !is_given(job, "feature_scale"))
		json_set(job->config, "feature_scale", json_real(SCALE_OF_COLUMNS));
}

/* Item features are used where the stream has them, unless told otherwise. */
static bool choose_features(struct training_job *job)
{
	const struct embedding *embedding = &job->inputs.embedding;
	const char *features = json_string_value(json_object_get(job->config, "features")), *spelt;
	if (features_are(job, "none"))
		return false;
	if (features_are(job, "initial") && job->inputs.start.model) {
		json_set(job->config, "feature_size", json_integer(items_feature_size(job->inputs.start.model)));
		return true; /* where its items started is past */
	}
	if (!embedding->group.complete && features)
		die("--features %s: no embedding in the stream; item-project adds one", features);
	if (!embedding->group.complete && (spelt = option_of_features(job)))
		die("%s: no embedding in the stream; item-project adds one", spelt);
	if (!embedding->group.complete)
		return false;
	if (!features)
		json_set(job->config, "features", json_string("frozen"));
	json_set(job->config, "feature_size", json_integer(embedding->width));
	if (json_object_get(embedding->group.meta, "whiten_groups") && !is_given(job, "feature_whiten"))
		json_set(job->config, "feature_whiten", json_false());
	choose_scale(job);
	return true;
}

/* On average of all users, in training events. */
#define SHORT_HISTORY 20

static bool are_histories_short(const struct training_job *job)
{
	const struct sequences *sequences = &job->inputs.sequences;
	int64_t events = 0;
	for (int64_t user = 0; user < sequences->n_users; user++)
		events += train_length(sequences, user);
	return events < SHORT_HISTORY * sequences->n_users;
}

/* Where the architecture has such an option and none was given. */
static void choose(struct training_job *job, const char *key, double value)
{
	struct option *rows = options_of(job->architecture->options);
	if (option_keyed(rows, key) && !is_given(job, key))
		json_set(job->config, key, json_real(value));
	free(rows);
}

/*
 * Short histories overfit: measured on validation, they want more dropout than long ones, learned vectors most; and as
 * few events do not teach attention to average, a mean that it need not learn.
 */
static void choose_for_short_histories(struct training_job *job, bool are_learned)
{
	choose(job, "dropout", are_learned ? .5 : .3);
	choose(job, "history_mean", 4);
}

/* Of average_options, which leave it to the data. */
static struct run_options run_of(struct training_job *job, bool is_short)
{
	const struct next_item_training *training = job->values;
	struct run_options run = training->run;
	if (isnan(run.average)) {
		run.average = training->next.loss.loss == LOSS_CE && is_short ? .99 : 0;
		json_set(job->options, "average", json_real(run.average));
	}
	return run;
}

static struct model *new_model(const struct training_job *job)
{
	return model_new(json_deep_copy(job->config), job->inputs.catalog.n_items, job->inputs.catalog.fingerprint,
		OPTIONS_GIVEN);
}

/* An LLM's vectors share a few large directions, beside which those that tell items apart would hardly be heard. */
static void start(struct training_job *job, struct model *model, struct rng *rng)
{
	if (job->inputs.start.model) {
		warm_start(job, model, rng);
		return;
	}
	if (items_feature_size(model))
		items_fit_features(model, job->inputs.embedding.vector, job->threads);
	model_initialise(model, rng);
}

/* --- training --- */

static void tell(const struct task *task, const struct model *model)
{
	int64_t users, positions, validated;
	next_item_counts(task, &users, &positions, &validated);
	char *of_validation = validated ? xasprintf(", validated on %s", counted(validated, "users")) : xstrdup("");
	notice("%s: %s, %s, %s, %s%s%s", model->architecture->name, counted(model->params.trainable, "parameters"),
		counted(users, "users"), counted(positions, "positions"), counted(model->n_items, "items"),
		items_feature_size(model) ? " with features" : "", of_validation);
	free(of_validation);
}

static json_t *train(struct training_job *job)
{
	const struct next_item_training *training = job->values;
	if (job->inputs.start.model)
		warm_require(job);
	const bool is_short = are_histories_short(job), are_learned = !choose_features(job) || features_are(job, "initial");
	if (is_short)
		choose_for_short_histories(job, are_learned);
	const struct run_options run = run_of(job, is_short);
	struct model *model = new_model(job);
	json_t *identity = training_identity(job, model, training->optimisation.schedule != SCHEDULE_CONSTANT);
	struct rng rng;
	rng_seed(&rng, job->seed);
	start(job, model, &rng);
	struct task *task = next_item_task(model, &job->inputs.sequences, &training->next, job->threads);
	if (!(run.average > 0)) /* which is of all rows, step by step */
		next_item_by_rows(task, run.batch_size);
	struct trainer *trainer = trainer_new(&model->params, &training->optimisation, job->threads);
	task->start = job->inputs.start.model ? TRAINING_START : NULL;
	tell(task, model);
	json_t *measured = training_run(job, model, task, trainer, &run, identity, &rng);
	task->free(task);
	trainer_free(trainer);
	model_free(model);
	json_decref(identity);
	return measured;
}

const struct training next_item_training = {
	.task = "next",
	.summary = "the next item of users' sequences",
	.suits = by_gradients,
	.options = next_item_options,
	.size = sizeof(struct next_item_training),
	.needs_sequences = true,
	.takes_embedding = true,
	.goes_on = true,
	.check = check,
	.train = train,
};
