/*
 * Trainings without gradients: models that count what follows or
 * goes with what, and those that know items by their texts.
 */
#include <math.h>
#include <stdlib.h>

#include "model/content.h"
#include "nn/blas.h"
#include "rank/blend.h"
#include "stream/progress.h"
#include "task/training.h"
#include "task/validation.h"
#include "task/warm.h"

static bool has_no_gradients(const struct architecture *architecture)
{
	return !architecture->hidden && !architecture->encode;
}

static bool by_counting(const struct architecture *architecture)
{
	return has_no_gradients(architecture) && !architecture->reads_items;
}

static bool by_items(const struct architecture *architecture)
{
	return has_no_gradients(architecture) && architecture->reads_items;
}

/* Everybody's whole training part; returns the events. */
static int64_t count_events(struct model *model, const struct sequences *sequences)
{
	struct ragged packed = histories_new(sequences);
	for (int64_t user = 0; user < sequences->n_users; user++)
		histories_append(&packed, sequences, sequences->indptr[user], train_length(sequences, user));
	const struct histories histories = histories_of(&packed);
	const int64_t events = ragged_count(&packed);
	if (model->architecture->count)
		model->architecture->count(model, &histories);
	ragged_free(&packed);
	return events;
}

static struct item_groups groups_of(const struct training_job *job)
{
	return (struct item_groups){&job->inputs.catalog, &job->inputs.embedding, job->threads};
}

/* --- what is told --- */

/* Of the model as it is now; NaN where nobody has a validation item. */
static double validate(const struct training_job *job, const struct model *model)
{
	const struct validation_options *options = job->values;
	struct validation validation = validation_new(&job->inputs.sequences, options);
	double measured[VALIDATION_MEASURES] = {NAN};
	if (validation.rows && !validation_measure(&validation, model, measured))
		die("%s: scores of validation are not finite", model->architecture->name);
	validation_free(&validation);
	return measured[0];
}

static void tell(const struct training_job *job, const struct model *model, json_t *measured)
{
	const double value = validate(job, model);
	if (isnan(value)) {
		notice("%s: %s; nobody has a validation item", model->architecture->name, counted(model->n_items, "items"));
		return;
	}
	notice("%s: %s, valid NDCG@10 %.4f", model->architecture->name, counted(model->n_items, "items"), value);
	json_set(measured, "ndcg@10", json_real(value));
}

/* --- the weight of what items are like --- */

/* The scores of a model's own, and the cosines that are added to them, of the same histories. */
static void add_scores(const struct model *model, struct blend *blend, const struct histories *histories,
	const int32_t *target)
{
	const size_t entries = (size_t)(histories->rows * model->n_items);
	float *own = xaligned(entries, sizeof *own), *content = xaligned(entries, sizeof *content);
	model->architecture->score(model, histories, own);
	content_scores(model->content, histories, content);
	content_complete(model->content, histories, content, own);
	if (!blend_add(blend, (const float *const[]){own, content}, model->n_items, histories, target))
		die("%s: scores of validation are not finite", model->architecture->name);
	free(own);
	free(content);
}

#define SCORES_AT_ONCE ((int64_t)1 << 22)

/* Without validation items, text counts nothing. */
static void choose_weight(const struct training_job *job, struct model *model, json_t *measured)
{
	struct ragged packed;
	int32_t *target;
	const struct sequences *sequences = &job->inputs.sequences;
	const int64_t rows = blend_targets(sequences, 0, blend_step(sequences->n_users), &packed, &target);
	int64_t at_once = SCORES_AT_ONCE / model->n_items + 1;
	double weights[2] = {1, 0};
	struct blend *blend = blend_new(2);
	const struct histories all = histories_of(&packed);
	for (int64_t row = 0; row < rows; row += at_once) {
		const struct histories part = histories_part(&all, row, row + at_once < rows ? row + at_once : rows);
		add_scores(model, blend, &part, target + row);
	}
	const double without = blend_measure(blend, weights);
	blend_fit(blend, without, weights);
	double weight = rows ? blend_rounded(weights[1] / weights[0], 2) : 0;
	if (blend_measure(blend, (double[]){1, weight}) < without)
		weight = 0;
	content_set_weight(model, weight);
	json_set(measured, "text_weight", json_real(weight));
	if (rows)
		notice("%s: text_weight %g chosen on %s: NDCG@10 %.4f, %.4f with 0", model->architecture->name, weight,
			counted(rows, "validation items"), blend_measure(blend, (double[]){1, weight}), without);
	else
		warn("nobody has a validation item to choose text_weight on: it is 0; "
			 "--set text_weight=, or --like a model that has one");
	blend_free(blend);
	ragged_free(&packed);
	free(target);
}

/* --- training --- */

static json_t *train(struct training_job *job)
{
	const struct item_groups groups = groups_of(job);
	const struct catalog *catalog = groups.catalog;
	if (job->inputs.start.model) {
		warm_require(job);
		warm_tell(job);
	}
	const bool has_content = !job->architecture->reads_items || content_choose(job->config, &groups);
	blas_set_threads(job->threads);
	struct model *model = model_new(json_deep_copy(job->config), catalog->n_items, catalog->fingerprint, OPTIONS_GIVEN);
	if (!has_content)
		notice("%s: there is no word in the texts of the items: it goes by events alone", model->architecture->name);
	json_t *identity = training_identity(job, model, false);
	training_count_items(job, model);
	if (model->content)
		content_learn(model, &groups);
	json_t *measured = json_build("{s:I}", "events", (json_int_t)count_events(model, &job->inputs.sequences));
	if (model->content && isnan(content_weight(model->content)))
		choose_weight(job, model, measured);
	if (job->architecture->reads_items)
		tell(job, model, measured);
	json_set(measured, "parameters", json_integer(model->params.size));
	training_write_model(job, model, identity, NULL);
	model_free(model);
	json_decref(identity);
	return measured;
}

static const struct option no_options[] = {{0}};

const struct training counted_training = {
	.task = "next",
	.summary = "the next item, by counting",
	.suits = by_counting,
	.options = no_options,
	.needs_sequences = true,
	.goes_on = true,
	.train = train,
};

const struct training item_training = {
	.task = "next",
	.summary = "the next item, by counting or by what items are like",
	.suits = by_items,
	.options = validation_options,
	.size = sizeof(struct validation_options),
	.needs_sequences = true,
	.takes_embedding = true,
	.goes_on = true,
	.train = train,
};
