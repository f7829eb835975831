/* Trainings of text encoders: Recformer's pre-training, and its fine-tuning in two stages. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/encoder.h"
#include "model/recformer_start.h"
#include "stream/progress.h"
#include "task/finetune.h"
#include "task/pretrain.h"
#include "task/training.h"

static bool is_encoder(const struct architecture *architecture)
{
	return architecture->encode;
}

/* What both have in common, at the beginning of their structs. */
struct encoder_training {
	struct recformer_from from;
	struct optimisation optimisation;
	struct run_options run;
};

#define ENCODER_RATE                                                                                                   \
	.key = "learning-rate", .derive = option_depends, .depends = "size|hidden_size",                                   \
	OTHER_DEFAULT("0.0005; of models 256 wide and more 0.00005")

static struct optimisation optimisation_of(struct training_job *job, const struct model *model)
{
	struct optimisation optimisation = ((const struct encoder_training *)job->values)->optimisation;
	if (isnan(optimisation.adamw.rate)) {
		optimisation.adamw.rate = model->width < 256 ? 5e-4 : 5e-5;
		json_set(job->options, "learning-rate", json_real(optimisation.adamw.rate));
	}
	return optimisation;
}

static void check(const struct training_job *job, bool learns_vectors)
{
	const struct encoder_training *options = job->values;
	const char *histories = json_string_value(json_object_get(job->said, "histories"));
	if (histories && !strcmp(histories, "items") && !learns_vectors)
		die_usage("--set histories=items trains items' own vectors alone: it needs --task finetune --set "
				  "item_vectors=learned");
	json_t *config = json_deep_copy(job->config);
	if (options->from.size >= 0)
		recformer_size(config, options->from.size);
	if (!json_object_get(config, "hidden_size") != !json_object_get(config, "num_attention_heads")) {
		json_object_del(config, "hidden_size"); /* the other one is that of a model that there is */
		json_object_del(config, "num_attention_heads");
	}
	die_status = 2;
	architecture_check(job->architecture, config, OPTIONS_GIVEN);
	die_status = 1;
	json_decref(config);
}

static void check_pretraining(const struct training_job *job)
{
	check(job, false);
}

/* own: of each item a vector of its own, too. */
static struct model *start(const struct training_job *job, bool anew, bool own, struct rng *rng)
{
	json_set(job->config, "item_table", json_integer(own ? job->inputs.catalog.n_items : 0));
	json_set(job->config, "item_catalog", json_string(own ? job->inputs.catalog.fingerprint : ""));
	const struct recformer_start start = {.config = json_deep_copy(job->config),
		.tokenizer = job->inputs.tokenizer.tokenizer,
		.rng = rng,
		.from = &((const struct encoder_training *)job->values)->from,
		.model = job->inputs.start.group.complete ? job->inputs.start.model : NULL,
		.catalog = &job->inputs.catalog,
		.threads = job->threads};
	if (start.model && !is_encoder(start.model->architecture) && !start.from->weights)
		die("model of %s: %s, where recformer was expected", group_source(&job->inputs.start.group),
			start.model->architecture->name);
	if (start.model && !start.from->weights)
		model_require_tokenizer(&job->inputs.start, &job->inputs.catalog);
	struct model *model = recformer_started(&start, anew);
	encoder_read(model, &job->inputs.catalog);
	return model;
}

static json_t *run_and_tell(struct training_job *job, struct model *model, struct task *task, struct trainer *trainer,
	const struct run_options *options, json_t *identity, const struct rng *rng)
{
	notice("%s: %s, %s, %s", model->architecture->name, counted(model->params.trainable, "parameters"),
		counted(task->examples, "users"), counted(job->inputs.catalog.n_items, "items"));
	return training_run(job, model, task, trainer, options, identity, rng);
}

/* --- pre-training --- */

struct pretraining {
	struct encoder_training encoder;
	struct pretrain_options pretrain;
};

static const struct option pretraining_options[] = {
	{OPTIONS_TITLE("Training:")},
	{.key = "epochs", OTHER_DEFAULT("32")},
	{.key = "batch-size", OTHER_DEFAULT("64")},
	{.key = "patience", OTHER_DEFAULT("5")},
	{.key = "warmup", OTHER_DEFAULT("100")},
	{.key = "schedule", OTHER_DEFAULT("linear")},
	{.key = "clip", OTHER_DEFAULT("1")},
	{ENCODER_RATE},
	{INCLUDED_OPTIONS(struct pretraining, encoder.optimisation, optimisation_options)},
	{INCLUDED_OPTIONS(struct pretraining, encoder.run, run_options)},
	{INCLUDED_OPTIONS(struct pretraining, pretrain, pretrain_options)},
	{INCLUDED_OPTIONS(struct pretraining, encoder.from, recformer_from_options)},
	{0},
};

static json_t *pretrain(struct training_job *job)
{
	const struct pretraining *options = job->values;
	struct run_options run = options->encoder.run;
	struct rng rng;
	rng_seed(&rng, job->seed);
	json_set(job->config, "word_head", json_boolean(options->pretrain.words_weight > 0));
	struct model *model = start(job, true, false, &rng);
	const struct optimisation optimisation = optimisation_of(job, model);
	recformer_by_rows(model);
	struct trainer *trainer = trainer_new(&model->params, &optimisation, job->threads);
	struct task *task = pretrain_task(model, &job->inputs.sequences, job->inputs.tokenizer.tokenizer, run.batch_size,
		&options->pretrain, trainer->n_workers);
	task->start = job->inputs.start.model || options->encoder.from.weights ? TRAINING_START : NULL;
	run.batch_size *= options->pretrain.accumulate;
	json_t *identity = training_identity(job, model, optimisation.schedule != SCHEDULE_CONSTANT);
	json_t *measured = run_and_tell(job, model, task, trainer, &run, identity, &rng);
	task->free(task);
	trainer_free(trainer);
	model_free(model);
	json_decref(identity);
	return measured;
}

const struct training pretraining = {
	.task = "pretrain",
	.summary = "masked words, and histories with the items that follow",
	.suits = is_encoder,
	.options = pretraining_options,
	.size = sizeof(struct pretraining),
	.needs_sequences = true,
	.needs_text = true,
	.takes_model = true,
	.check = check_pretraining,
	.train = pretrain,
};

/* --- fine-tuning --- */

struct finetuning {
	struct encoder_training encoder;
	struct finetune_options finetune;
};

static const struct option finetuning_options[] = {
	{OPTIONS_TITLE("Training:")},
	{.key = "epochs", OTHER_DEFAULT("32")},
	{.key = "batch-size", OTHER_DEFAULT("128")},
	{.key = "patience", OTHER_DEFAULT("5")},
	{.key = "warmup", OTHER_DEFAULT("100")},
	{.key = "schedule", OTHER_DEFAULT("linear")},
	{ENCODER_RATE},
	{INCLUDED_OPTIONS(struct finetuning, encoder.optimisation, optimisation_options)},
	{INCLUDED_OPTIONS(struct finetuning, encoder.run, run_options)},
	{INCLUDED_OPTIONS(struct finetuning, finetune, finetune_options)},
	{INCLUDED_OPTIONS(struct finetuning, encoder.from, recformer_from_options)},
	{0},
};

static void check_finetuning(const struct training_job *job)
{
	check(job, ((const struct finetuning *)job->values)->finetune.item_vectors == VECTORS_LEARNED);
}

static void write_items(const struct training_job *job, const struct model *model, const float *vectors,
	uint64_t model_id)
{
	char text[17];
	fingerprint_text(model_id, text);
	json_t *facts = json_build("{s:s}", "model", text);
	embedding_write(job->out, model->catalog, vectors, model->width, "recformer", facts);
	json_decref(facts);
}

static json_t *finetune(struct training_job *job)
{
	const struct finetuning *options = job->values;
	struct run_options run = options->encoder.run;
	const int64_t epochs = run.epochs, second = options->finetune.second_stop_after;
	const struct stages stages = {{run_length(&run), second < epochs ? second : epochs},
		{run.patience, run.patience > 2 ? run.patience - 2 : 1}};
	struct rng rng;
	rng_seed(&rng, job->seed);
	json_set(job->config, "word_head", json_false());
	struct model *model = start(job, options->encoder.from.size >= 0, options->finetune.item_vectors == VECTORS_LEARNED,
		&rng);
	const struct optimisation optimisation = optimisation_of(job, model);
	recformer_by_rows(model);
	struct trainer *trainer = trainer_new(&model->params, &optimisation, job->threads);
	struct task *task = finetune_task(model, trainer, &job->inputs.sequences, &stages, &options->finetune);
	run.epochs *= 2;
	run.stop_after = stages.epochs[0] + stages.epochs[1];
	run.patience = INT64_MAX; /* the task ends its stages itself */
	json_t *identity = training_identity(job, model, true);
	json_t *measured = run_and_tell(job, model, task, trainer, &run, identity, &rng);
	write_items(job, model, finetune_items(task), training_fingerprint(job, identity));
	task->free(task);
	trainer_free(trainer);
	model_free(model);
	json_decref(identity);
	return measured;
}

const struct training finetuning = {
	.task = "finetune",
	.summary = "a model in the stream, in two stages",
	.suits = is_encoder,
	.options = finetuning_options,
	.size = sizeof(struct finetuning),
	.needs_sequences = true,
	.needs_text = true,
	.takes_model = true,
	.check = check_finetuning,
	.train = finetune,
};
