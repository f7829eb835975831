#include "rank/ensemble.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/items.h"
#include "model/unmet.h"
#include "nn/vec.h"
#include "rank/learned.h"
#include "stream/progress.h"

/* --- reading --- */

void ensemble_take(struct ensemble *ensemble, struct bag *bag, const struct ensemble_options *options)
{
	ensemble->paths = options->models;
	ensemble->n = options->n_models ? options->n_models : 1;
	ensemble->history = json_array();
	bag_take_history(bag, ensemble->history);
	if (options->n_models > 1)
		bag_drop(bag, model_group.name);
	else if (options->n_models)
		bag_take_from(bag, &model_group, &ensemble->group[0], options->models[0]);
	else
		bag_take(bag, &model_group, &ensemble->group[0]);
}

void ensemble_read(struct ensemble *ensemble)
{
	for (int i = 0; i < ensemble->n && ensemble->n > 1; i++) {
		struct bag *bag = bag_open((char *const[]){ensemble->paths[i], NULL});
		bag_take(bag, &model_group, &ensemble->group[i]);
		bag_take_history(bag, ensemble->history);
		bag_read(bag);
		if (!ensemble->group[i].group.complete)
			die("%s: no model in it; %s", input_name(ensemble->paths[i]), model_group.writer);
	}
	group_require(&model_group, &ensemble->group[0].group);
}

void ensemble_tell_learned(const struct ensemble *ensemble, const struct group *sequences,
	const struct catalog *catalog)
{
	for (int i = 0; i < ensemble->n; i++) {
		const struct group *model = &ensemble->group[i].group;
		char *whose = xasprintf("the model of %s", group_source(model));
		learned_warn(ensemble->history, model->id, sequences->id, catalog->group.id, whose,
			ensemble->n > 1 ? "figures are too good, and weights are chosen by such" : "figures are too good");
		free(whose);
	}
}

/* --- scores --- */

static bool knows(const struct assortment *part, int64_t item)
{
	return !part->model_row || part->model_row[item] >= 0;
}

/*
 * Over the items that are known. Divided by the deviation, scores would no longer tell for whom a model knows more; as
 * they are, that would decide alone: the root of the deviation lies between.
 */
static void standardise(const struct assortment *part, float *scores, int64_t n)
{
	double mean = 0, squares = 0;
	int64_t known = 0;
	for (int64_t item = 0; item < n; item++)
		if (knows(part, item)) {
			mean += (double)scores[item];
			known++;
		}
	mean /= (double)(known ? known : 1);
	for (int64_t item = 0; item < n; item++)
		if (knows(part, item))
			squares += ((double)scores[item] - mean) * ((double)scores[item] - mean);
	const double deviation = sqrt(squares / (double)(known ? known : 1));
	const double scale = deviation > 1e-12 * fabs(mean) ? 1 / sqrt(deviation) : 0;
	for (int64_t item = 0; item < n; item++)
		scores[item] = knows(part, item) ? (float)(((double)scores[item] - mean) * scale) : 0;
}

/* What validation says of each model by itself: NDCG@10, summed over targets. */
struct alone {
	const struct blend *blend;
	double sum[ENSEMBLE_MOST];
};

/* Of one model, standardised: rows x items of the catalog. As it is, it is judged before; alone NULL: by nothing. */
static void score_part(const struct ensemble *ensemble, int i, const struct histories *histories, float *scores,
	struct alone *alone, const int32_t *target)
{
	const int64_t n = ensemble->model->n_items;
	model_scores(ensemble->group[i].model, histories, scores);
	if (alone)
		alone->sum[i] += blend_of_one(alone->blend, scores, n, ensemble->part[i].model_row, histories, target);
#pragma omp parallel for if (histories->rows > 1)
	for (int64_t row = 0; row < histories->rows; row++)
		standardise(&ensemble->part[i], scores + row * n, n);
}

/* Whether items that a model has never met have scores of their texts. */
static bool reads_texts(const struct model *model)
{
	return model->content || model->architecture->encode;
}

/* What the texts of items say to those that read them, each alike: rows x items; NULL: none does. To be freed. */
static float *scores_of_texts(const struct ensemble *ensemble, const struct histories *histories, float *const scores[])
{
	const int64_t n = ensemble->model->n_items, entries = histories->rows * n;
	float *sum = NULL;
	for (int i = 0; i < ensemble->n; i++) {
		if (!reads_texts(ensemble->group[i].model))
			continue;
		if (!sum) {
			sum = xaligned((size_t)entries, sizeof *sum);
			memset(sum, 0, (size_t)entries * sizeof *sum);
		}
		unmet_add_texts(sum, scores[i], n, histories);
	}
	return sum;
}

/* Of each model, completed: rows x items of the catalog. */
static void score_parts(const struct ensemble *ensemble, const struct histories *histories, float *const scores[],
	struct alone *alone, const int32_t *target)
{
	for (int i = 0; i < ensemble->n; i++)
		score_part(ensemble, i, histories, scores[i], alone, target);
	float *texts = scores_of_texts(ensemble, histories, scores);
	for (int i = 0; texts && i < ensemble->n; i++)
		if (ensemble->unmet[i])
			unmet_complete(scores[i], texts, ensemble->model->n_items, ensemble->unmet[i], UNMET_WORTH, histories);
	free(texts);
}

static void parts_allocate(const struct ensemble *ensemble, int64_t rows, float *scores[])
{
	for (int i = 0; i < ensemble->n; i++)
		scores[i] = xaligned((size_t)(rows * ensemble->model->n_items), sizeof *scores[i]);
}

static void parts_free(const struct ensemble *ensemble, float *const scores[])
{
	for (int i = 0; i < ensemble->n; i++)
		free(scores[i]);
}

static void score(const struct model *model, const struct histories *histories, float *scores)
{
	const struct ensemble *ensemble = model->state;
	const int64_t entries = histories->rows * model->n_items;
	float *of_part[ENSEMBLE_MOST];
	parts_allocate(ensemble, histories->rows, of_part);
	score_parts(ensemble, histories, of_part, NULL, NULL);
	memset(scores, 0, (size_t)entries * sizeof *scores);
	for (int i = 0; i < ensemble->n; i++)
		vec_axpy((float)ensemble->weight[i], of_part[i], scores, entries);
	parts_free(ensemble, of_part);
}

static void release(struct model *model)
{
	(void)model; /* its state is the ensemble, whose owner frees it */
}

/* --- the whole --- */

static char *joined_names(const struct ensemble *ensemble)
{
	struct buffer text = {0};
	for (int i = 0; i < ensemble->n; i++) {
		const char *name = ensemble->group[i].model->architecture->name;
		buffer_append(&text, "+", i ? 1 : 0);
		buffer_append(&text, name, strlen(name));
	}
	buffer_append(&text, "", 1);
	return text.data;
}

static struct model *whole_of(struct ensemble *ensemble, const struct catalog *catalog)
{
	struct model *model = xcalloc(1, sizeof *model);
	ensemble->architecture = (struct architecture){.name = joined_names(ensemble), .score = score, .release = release};
	model->architecture = &ensemble->architecture;
	model->config = json_build("{s:s}", "architecture", ensemble->architecture.name);
	model->n_items = catalog->n_items;
	model->catalog = catalog;
	model->state = ensemble;
	return model;
}

/* Where there is one. */
static void whole_free(struct ensemble *ensemble)
{
	if (!ensemble->architecture.name)
		return;
	model_free(ensemble->model);
	free((char *)(uintptr_t)ensemble->architecture.name);
	ensemble->architecture.name = NULL;
}

/* From now on the model gives rows of scores of the catalog's items; false: it did. */
static bool score_by_catalog(struct model *model, const struct assortment *part, const struct catalog *catalog)
{
	if (model->catalog)
		return false;
	model->catalog = catalog;
	model->own_row = part->model_row;
	return true;
}

/* Features of items tell of those that a model has not met. */
static bool is_completed(const struct model *model)
{
	return !reads_texts(model) && !items_kept_feature_size(model);
}

void ensemble_match(struct ensemble *ensemble, struct assortment *assortment, const struct item_groups *groups)
{
	const struct catalog *catalog = groups->catalog;
	const bool is_single = ensemble->n == 1;
	for (int i = 0; i < ensemble->n; i++) {
		struct assortment *part = is_single ? assortment : &ensemble->part[i];
		const int64_t n_new = assortment_of_model(part, &ensemble->group[i], groups);
		if (n_new)
			notice("%lld of %s %s new to the model of %s and %s not recommended until one is trained with %s",
				(long long)n_new, counted(catalog->n_items, "items"), by_number(n_new, "is", "are"),
				group_source(&ensemble->group[i].group), by_number(n_new, "is", "are"), by_number(n_new, "it", "them"));
		if (is_single)
			continue;
		const struct model *model = ensemble->group[i].model;
		ensemble->unmet[i] = is_completed(model) ? unmet_shares_of(model, part->model_row, catalog->n_items) : NULL;
		ensemble->is_mapped[i] = score_by_catalog(ensemble->group[i].model, part, catalog);
	}
	ensemble->model = is_single ? ensemble->group[0].model : whole_of(ensemble, catalog);
	snprintf(ensemble->id, sizeof ensemble->id, "%s", ensemble->group[0].group.id);
	if (is_single)
		return;
	assortment->n_items = catalog->n_items;
	assortment->model_row = xreallocarray(NULL, (size_t)catalog->n_items, sizeof *assortment->model_row);
	int64_t unknown = 0;
	for (int64_t item = 0; item < catalog->n_items; item++) {
		bool is_known = false;
		for (int i = 0; i < ensemble->n; i++)
			is_known |= knows(&ensemble->part[i], item);
		assortment->model_row[item] = is_known ? (int32_t)item : -1;
		unknown += !is_known;
	}
	if (!unknown) {
		free(assortment->model_row);
		assortment->model_row = NULL;
	}
}

/* --- weights --- */

static void weigh(struct ensemble *ensemble, const double weights[])
{
	uint64_t hash = FINGERPRINT_START;
	for (int i = 0; i < ensemble->n; i++) {
		ensemble->weight[i] = weights[i];
		hash = fingerprint(hash, ensemble->group[i].group.id, strlen(ensemble->group[i].group.id));
		hash = fingerprint(hash, &weights[i], sizeof weights[i]);
	}
	fingerprint_text(hash, ensemble->id);
}

#define SCORES_AT_ONCE ((int64_t)1 << 22)

/* The validation items of every step-th user, the first of whom is user number `first` of the stream. */
static void add_users(const struct ensemble *ensemble, struct blend *blend, struct alone *alone,
	const struct sequences *sequences, int64_t first, int64_t step)
{
	struct ragged packed;
	int32_t *target;
	const int64_t rows = blend_targets(sequences, first, step, &packed, &target), n = ensemble->model->n_items;
	const int64_t at_once = SCORES_AT_ONCE / n + 1;
	const struct histories all = histories_of(&packed);
	float *scores[ENSEMBLE_MOST];
	parts_allocate(ensemble, rows < at_once ? rows : at_once, scores);
	for (int64_t row = 0; row < rows; row += at_once) {
		const struct histories part = histories_part(&all, row, row + at_once < rows ? row + at_once : rows);
		score_parts(ensemble, &part, scores, alone, target + row);
		if (!blend_add(blend, (const float *const *)scores, n, &part, target + row))
			die("models: scores of validation are not finite");
	}
	parts_free(ensemble, scores);
	ragged_free(&packed);
	free(target);
}

/* "0.6 ease (alone 0.0811), 0.4 sasrec (alone 0.0790)"; to be freed. */
static char *told_weights(const struct ensemble *ensemble, const double weights[], const double alone[])
{
	struct buffer text = {0};
	for (int i = 0; i < ensemble->n; i++) {
		char *part = xasprintf("%s%g %s (alone %.4f)", i ? ", " : "", weights[i],
			ensemble->group[i].model->architecture->name, alone[i]);
		buffer_append(&text, part, strlen(part));
		free(part);
	}
	buffer_append(&text, "", 1);
	return text.data;
}

/* Of sum 1, in as few digits as are not worse than at_least; what they measure. */
static double round_weights(const struct ensemble *ensemble, const struct blend *blend, double at_least,
	double weights[])
{
	double exact[ENSEMBLE_MOST], sum = 0, measure = 0;
	for (int i = 0; i < ensemble->n; i++)
		sum += weights[i];
	for (int i = 0; i < ensemble->n; i++)
		exact[i] = weights[i] / sum;
	for (int digits = 3; digits <= 6; digits++) {
		for (int i = 0; i < ensemble->n; i++)
			weights[i] = blend_rounded(exact[i], digits);
		measure = blend_measure(blend, weights);
		if (measure >= at_least)
			break;
	}
	return measure;
}

/* The best weights there are: of all together, where these are no worse than the best model by itself. */
static void fit(const struct ensemble *ensemble, const struct blend *blend, const struct alone *judged,
	double weights[ENSEMBLE_MOST])
{
	double found[BLEND_SOURCES], alone[ENSEMBLE_MOST] = {0};
	const int64_t targets = blend_count(blend);
	int best = 0;
	if (!targets)
		die("sequences: nobody has a validation item to choose the models' weights on; --weights gives them");
	for (int i = 0; i < ensemble->n; i++) {
		alone[i] = judged->sum[i] / (double)targets;
		best = alone[i] > alone[best] ? i : best;
	}
	blend_fit(blend, alone[best], found);
	const double measure = round_weights(ensemble, blend, alone[best], found);
	const bool is_worse = measure < alone[best];
	for (int i = 0; i < ensemble->n; i++)
		weights[i] = is_worse ? i == best : found[i];
	char *told = told_weights(ensemble, weights, alone);
	notice("weights %s: NDCG@10 %.4f of %s", told, is_worse ? alone[best] : measure,
		counted(targets, "validation items"));
	free(told);
}

/* Chosen on the validation items of all users. */
static void choose(const struct ensemble *ensemble, struct kept_sequences *users, const struct sequences *known,
	const struct catalog *catalog, double weights[ENSEMBLE_MOST])
{
	struct blend *blend = blend_new(ensemble->n);
	struct alone alone = {.blend = blend};
	if (known)
		add_users(ensemble, blend, &alone, known, 0, blend_step(known->n_users));
	for (int64_t first = 0; users && sequences_next(users, catalog); first += users->part.n_users)
		add_users(ensemble, blend, &alone, &users->part, first, blend_step(users->n_users));
	fit(ensemble, blend, &alone, weights);
	blend_free(blend);
}

/* The only one that counts; -1: there are several. */
static int only_one(const struct ensemble *ensemble)
{
	int only = -1, n = 0;
	for (int i = 0; i < ensemble->n; i++)
		if (ensemble->weight[i] > 0) {
			only = i;
			n++;
		}
	return n == 1 ? only : -1;
}

/* One of the models ranks as if there were no others. */
static void rank_alone(struct ensemble *ensemble, int i, struct assortment *assortment)
{
	whole_free(ensemble);
	if (ensemble->is_mapped[i]) {
		ensemble->group[i].model->catalog = NULL;
		ensemble->group[i].model->own_row = NULL;
	}
	ensemble->model = ensemble->group[i].model;
	snprintf(ensemble->id, sizeof ensemble->id, "%s", ensemble->group[i].group.id);
	assortment_free(assortment);
	*assortment = ensemble->part[i];
	ensemble->part[i] = (struct assortment){0};
}

void ensemble_choose(struct ensemble *ensemble, const struct ensemble_options *options, struct assortment *assortment,
	struct kept_sequences *users, const struct sequences *known, const struct catalog *catalog)
{
	double chosen[ENSEMBLE_MOST];
	if (ensemble->n == 1)
		return;
	if (!options->n_weights)
		choose(ensemble, users, known, catalog, chosen);
	weigh(ensemble, options->n_weights ? options->weights : chosen);
	const int only = only_one(ensemble);
	if (only < 0)
		return;
	rank_alone(ensemble, only, assortment);
	if (!options->n_weights)
		notice("%s ranks without the others: together they are no better", ensemble->model->architecture->name);
}

json_t *ensemble_describe(const struct ensemble *ensemble)
{
	if (ensemble->n == 1)
		return NULL;
	json_t *models = json_array();
	for (int i = 0; i < ensemble->n; i++)
		json_append(models,
			json_build("{s:o, s:s, s:s, s:f}", "file", json_any_text(ensemble->paths[i]), "architecture",
				ensemble->group[i].model->architecture->name, "id", ensemble->group[i].group.id, "weight",
				ensemble->weight[i]));
	return models;
}

void ensemble_free(struct ensemble *ensemble)
{
	whole_free(ensemble);
	for (int i = 0; i < ensemble->n; i++) {
		model_group_free(&ensemble->group[i]);
		assortment_free(&ensemble->part[i]);
		free(ensemble->unmet[i]);
	}
	json_decref(ensemble->history);
}
