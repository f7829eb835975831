#include "task/warm.h"

#include <stdlib.h>
#include <string.h>

#include "model/carry.h"
#include "model/items.h"
#include "rank/assortment.h"
#include "stream/progress.h"

/* Of a new item's vector from the mean of all. */
#define NEW_DEVIATION .02

void warm_require_architecture(const struct training_job *job)
{
	const struct model_group *start = &job->inputs.start;
	if (start->model->architecture != job->architecture)
		die("--arch %s: the model of %s is %s, and goes on as that", job->architecture->name,
			group_source(&start->group), start->model->architecture->name);
}

json_t *warm_config(const struct model_group *start)
{
	const struct architecture *architecture = start->model->architecture;
	if (!architecture->size)
		return json_object();
	json_t *config = options_to_repeat(architecture->options, start->model->config);
	struct option *rows = options_of(architecture->options);
	for (const struct option *row = rows; row->kind; row++)
		if (option_is_value(row) && row->going_on == VALUE_BEGINS_ANEW)
			json_object_del(config, option_key(row));
	free(rows);
	return config;
}

/* Models that count do so anew. */
static bool may_change(const struct architecture *architecture, const struct option *row)
{
	return !architecture->hidden || row->going_on != VALUE_STAYS;
}

void warm_require(const struct training_job *job)
{
	const struct model_group *start = &job->inputs.start;
	struct option *rows = options_of(job->architecture->options);
	for (const struct option *row = rows; row->kind; row++) {
		const json_t *is = option_is_value(row) ? json_object_get(job->config, option_key(row)) : NULL;
		const json_t *was = is ? json_object_get(start->model->config, option_key(row)) : NULL;
		if (was && !may_change(job->architecture, row) && row->help && !json_equal(is, was))
			die("%s %s: the model of %s has %s, and goes on with that", option_spelt(row), option_text(is),
				group_source(&start->group), option_text(was));
	}
	free(rows);
}

/* By item of the catalog: which one of the model that goes on it is; to be freed. Counts are told. */
static int32_t *rows_before(struct training_job *job, const char *of_new)
{
	struct model_group *start = &job->inputs.start;
	const struct catalog *catalog = &job->inputs.catalog;
	struct assortment assortment = {0};
	const int64_t n_new = assortment_match(&assortment, start, catalog), known = catalog->n_items - n_new;
	int32_t *row = assortment.model_row;
	if (!row) {
		row = xreallocarray(NULL, (size_t)catalog->n_items, sizeof *row);
		for (int64_t item = 0; item < catalog->n_items; item++)
			row[item] = (int32_t)item;
	}
	notice("%s of %s: %s known, %lld new%s, %lld gone", start->model->architecture->name, group_source(&start->group),
		counted(known, "items"), (long long)n_new, n_new ? of_new : "", (long long)(start->model->n_items - known));
	return row;
}

static _Noreturn void die_other_embedding(const struct training_inputs *inputs)
{
	die("the embedding of %s is not the one that the model of %s was trained with: "
		"it makes other vectors of the items that both know",
		group_source(&inputs->embedding.group), group_source(&inputs->start.group));
}

void warm_start(struct training_job *job, struct model *model, struct rng *rng)
{
	struct training_inputs *inputs = &job->inputs;
	const int64_t width = items_kept_feature_size(model);
	int32_t *row = rows_before(job, width ? " (from features)" : " (from the mean)");
	if (width != items_kept_feature_size(inputs->start.model))
		die_other_embedding(inputs);
	model_carry(model, inputs->start.model, row, NEW_DEVIATION, rng);
	model->met = model_met(inputs->start.model, row, model->n_items);
	if (width) {
		if (!items_map_features(model, inputs->embedding.vector, row, job->threads))
			die_other_embedding(inputs);
		items_take_features(model, inputs->embedding.vector, row);
	}
	free(row);
}

void warm_tell(struct training_job *job)
{
	free(rows_before(job, ""));
	notice("%s counts everything anew", job->architecture->name);
}
