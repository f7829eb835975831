#include "task/training.h"

#include <stdlib.h>
#include <string.h>

#include "model/items.h"
#include "stream/cli.h"
#include "task/identity.h"
#include "task/like.h"

const struct training *const trainings[] = {&next_item_training, &counted_training, &item_training, &language_training,
	&histories_training, &pretraining, &finetuning, NULL};
const char *const task_names[] = {"next", "histories", "pretrain", "finetune", NULL};

/* The first of a task, or of all, that suits the architecture. */
static const struct training *find_training(const struct architecture *architecture, const char *task)
{
	for (int i = 0; trainings[i]; i++)
		if (trainings[i]->suits(architecture) && (!task || !strcmp(trainings[i]->task, task)))
			return trainings[i];
	return NULL;
}

const struct training *training_of(const struct architecture *architecture, const char *task, bool any)
{
	const char *tasks[COUNT_OF(trainings) + 1];
	int n = 0;
	for (int i = 0; trainings[i]; i++)
		if (trainings[i]->suits(architecture))
			tasks[n++] = trainings[i]->task;
	tasks[n] = NULL;
	const struct training *training = find_training(architecture, n == 1 || task || any ? task : task_names[0]);
	if (!training)
		die_usage("--arch %s needs --task %s", architecture->name, list_words(tasks, " or "));
	return training;
}

const struct architecture *architecture_of_task(const char *task)
{
	for (int i = 0; architecture_names[i]; i++)
		if (find_training(architecture_named(architecture_names[i]), task))
			return architecture_named(architecture_names[i]);
	die("no architecture is trained for %s", task);
}

void training_require_epochs(const struct training_job *job, const struct run_options *run)
{
	if (run_length(run) || job->inputs.start.model)
		return;
	if (job->like && !json_object_get(job->said, "epochs"))
		die("%s: model/training.json: no epoch was better than the model that it went on from, and there is none here; "
			"--model goes on from one, --set stop_after= is another number of epochs",
			job->like);
	die_usage("--epochs 0 would learn nothing");
}

/* --- identity --- */

static void require_use(const struct training_job *job, const json_t *config)
{
	struct option *of_training = options_of(job->training->options);
	struct option *of_model = options_of(job->architecture->options);
	const struct option_set sets[] = {{of_training, job->said, job->options, false},
		{of_model, job->said, config, false}};
	options_check(sets, COUNT_OF(sets));
	free(of_training);
	free(of_model);
}

json_t *training_identity(const struct training_job *job, const struct model *model, bool epochs_count)
{
	if (job->architecture->size)
		require_use(job, model->config);
	const struct training_inputs *inputs = &job->inputs;
	json_t *identity = identity_new(job->seed, job->threads);
	identity_add(identity, "--arch", job->architecture->name);
	identity_add(identity, "--task", job->training->task);
	identity_add_options(identity, job->training->options, job->options);
	run_forget_length(identity, epochs_count);
	if (job->architecture->size) {
		json_t *config = json_copy(model->config);
		json_object_del(config, "architecture");
		identity_add_options(identity, job->architecture->options, config);
		json_decref(config);
	} else {
		json_set(identity, "the model's config", json_incref(model->config));
	}
	identity_add(identity, "the catalog", inputs->catalog.fingerprint);
	identity_add(identity, "the tokenizer", model->architecture->reads_tokens ? model->belongs_to : NULL);
	identity_add(identity, "the group sequences", inputs->sequences.group.id);
	bool reads_embedding = items_feature_size(model) || (model->content && inputs->embedding.group.complete);
	identity_add(identity, "the embedding", reads_embedding ? inputs->embedding.group.id : NULL);
	identity_add(identity, "the texts of the items", model->content ? inputs->catalog.group.id : NULL);
	identity_add(identity, "the model in the stream", inputs->start.group.id);
	return identity;
}

uint64_t training_fingerprint(const struct training_job *job, const json_t *identity)
{
	const json_t *epochs = json_object_get(job->options, "epochs"), *stop = json_object_get(job->options, "stop_after");
	json_int_t n = json_integer_value(stop);
	uint64_t id = identity_fingerprint(identity);
	bool is_told = !epochs || (json_object_get(identity, "--epochs") && json_equal(epochs, stop));
	return is_told ? id : fingerprint(id, &n, sizeof n);
}

void training_write_model(const struct training_job *job, const struct model *model, const json_t *identity,
	json_t *best)
{
	json_t *record = like_record(job, best);
	model_write(job->out, model, &job->inputs.catalog, training_fingerprint(job, identity), record);
	json_decref(record);
}

/* Where the training was best, as options that end another one there: of a task with stages, by stage. */
static json_t *best_of(json_t *measured)
{
	json_t *best = json_incref(json_object_get(measured, "best_of_stages"));
	json_object_del(measured, "best_of_stages");
	return best ? best : json_build("{s:O}", "stop_after", json_object_get(measured, "best_epoch"));
}

void training_count_items(const struct training_job *job, struct model *model)
{
	if (model->architecture->reads_tokens)
		return;
	int32_t *met = training_counts(&job->inputs.sequences, model->n_items);
	for (int64_t item = 0; model->met && item < model->n_items; item++)
		if (met[item] < model->met[item])
			met[item] = model->met[item];
	free(model->met);
	model->met = met;
}

json_t *training_run(const struct training_job *job, struct model *model, struct task *task, struct trainer *trainer,
	const struct run_options *options, json_t *identity, const struct rng *rng)
{
	json_t *measured = run(task, trainer, options, identity, rng);
	if (!json_integer_value(json_object_get(measured, "best_epoch")))
		items_refresh(model); /* as no validation did */
	identity_add_stop(identity, measured);
	json_set(measured, "parameters", json_integer(model->params.size));
	training_count_items(job, model);
	training_write_model(job, model, identity, best_of(measured));
	return measured;
}
