#include "task/like.h"

#include <stdlib.h>
#include <string.h>

/* Dies where the options are not those of the training. */
static void check_options(const struct like *like)
{
	char *where = xasprintf("%s: model/training.json", like->path);
	json_t *options = json_copy(like->options);
	void *values = xcalloc(1, like->training->size + 1);
	options_read(like->training->options, options, values, where);
	free(values);
	json_decref(options);
	free(where);
}

void like_read(struct like *like, const char *path)
{
	*like = (struct like){.path = path};
	struct bag *bag = bag_open((char *const[]){(char *)(uintptr_t)path, NULL});
	bag_take(bag, &model_group, &like->model);
	bag_read(bag);
	if (!like->model.group.complete)
		die("--like %s: no model in it; seq-train trains one", path);
	const struct architecture *architecture = like->model.model->architecture;
	const json_t *record = like->model.training;
	if (!record)
		die("--like %s: the model does not say how it was trained, as those of older versions; "
			"train it again, or give the options",
			path);
	const char *task = json_string_value(json_object_get(record, "task"));
	for (int i = 0; trainings[i] && !like->training; i++)
		if (trainings[i]->suits(architecture) && !strcmp(trainings[i]->task, task))
			like->training = trainings[i];
	if (!like->training)
		die("%s: model/training.json: \"task\" is \"%s\", and none that %s is trained for", path, task,
			architecture->name);
	like->options = json_copy(json_object_get(record, "options"));
	json_object_update(like->options, json_object_get(record, "best"));
	check_options(like);
	like->config = architecture->size ? options_to_repeat(architecture->options, like->model.model->config) :
										json_object();
}

void like_require(const struct like *like, const struct architecture *architecture, const struct training *training)
{
	const struct architecture *own = like->model.model->architecture;
	if (architecture != own)
		die_usage("--arch %s: the model of --like %s is %s", architecture->name, like->path, own->name);
	if (training != like->training)
		die_usage("--task %s: the model of --like %s was trained by --task %s", training->task, like->path,
			like->training->task);
}

void like_free(struct like *like)
{
	model_group_free(&like->model);
	json_decref(like->options);
	json_decref(like->config);
	*like = (struct like){.path = NULL};
}

json_t *like_record(const struct training_job *job, json_t *best)
{
	json_t *record = json_build("{s:s, s:o}", "task", job->training->task, "options",
		options_to_repeat(job->training->options, job->options));
	if (best)
		json_set(record, "best", best);
	return record;
}
