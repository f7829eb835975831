#include "rank/assortment.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "data/lines.h"
#include "model/carry.h"
#include "model/encoder.h"
#include "model/items.h"
#include "nn/vec.h"
#include "stream/progress.h"

int64_t assortment_match(struct assortment *assortment, struct model_group *model, const struct catalog *catalog)
{
	int64_t n_new;
	assortment->n_items = catalog->n_items;
	assortment->model_row = model_match_items(model, catalog, &n_new);
	return n_new;
}

/*
 * Such a model ranks items of the catalog: those that it knows by
 * their ids, and those whose texts or vectors say something.
 */
static int64_t match_content(struct assortment *assortment, struct model_group *group, const struct item_groups *groups)
{
	const struct catalog *catalog = groups->catalog;
	struct model *model = group->model;
	int64_t n_new, n_told = 0;
	assortment->own_row = model_rows_by_id(group, catalog, &n_new);
	content_read(model, groups, assortment->own_row);
	if (!assortment->own_row)
		return 0;
	n_new = 0;
	assortment->model_row = xreallocarray(NULL, (size_t)catalog->n_items, sizeof *assortment->model_row);
	for (int64_t item = 0; item < catalog->n_items; item++) {
		const bool is_own = assortment->own_row[item] >= 0, is_told = !is_own && content_knows(model->content, item);
		assortment->model_row[item] = is_own || is_told ? (int32_t)item : -1;
		n_new += !is_own && !is_told;
		n_told += is_told;
	}
	if (n_new == catalog->n_items)
		model_require_catalog(group, catalog);
	if (n_told)
		notice("%" PRId64 " of %s %s new to the model of %s and ranked by %s %s", n_told,
			counted(catalog->n_items, "items"), by_number(n_told, "is", "are"), group_source(&group->group),
			by_number(n_told, "its", "their"), json_string_value(json_object_get(model->config, "text")));
	return n_new;
}

/* The model in this catalog, where its features tell of items that are new to it. */
static int64_t match_features(struct assortment *assortment, struct model_group *group,
	const struct item_groups *groups)
{
	const struct catalog *catalog = groups->catalog;
	const struct embedding *embedding = groups->embedding;
	const int64_t n_new = assortment_match(assortment, group, catalog), width = items_kept_feature_size(group->model);
	int64_t told = 0;
	if (!n_new || !embedding->group.complete || strcmp(embedding->catalog, catalog->fingerprint))
		return n_new; /* an embedding of the model's own catalog says nothing of these */
	embedding_check(embedding, catalog);
	struct model *model = model_new(json_deep_copy(group->model->config), catalog->n_items, catalog->fingerprint,
		"model");
	float *features = xreallocarray(NULL, (size_t)(catalog->n_items * embedding->width), sizeof *features);
	memcpy(features, embedding->vector, (size_t)(catalog->n_items * embedding->width) * sizeof *features);
	model_carry(model, group->model, assortment->model_row, 0, NULL);
	model->met = model_met(group->model, assortment->model_row, model->n_items);
	if (embedding->width != width || !items_map_features(model, features, assortment->model_row, groups->threads)) {
		warn("the embedding of %s is not the one that the model of %s was trained with: it tells nothing of new items",
			group_source(&embedding->group), group_source(&group->group));
		model_free(model);
		free(features);
		return n_new;
	}
	items_derive_new(model, features, assortment->model_row);
	for (int64_t item = 0; item < catalog->n_items; item++) {
		const bool is_new = assortment->model_row[item] < 0;
		const bool is_told = is_new && vec_sum_of_squares(features + item * width, width) > 0;
		assortment->model_row[item] = is_new && !is_told ? -1 : (int32_t)item;
		told += is_told;
	}
	notice("%" PRId64 " of %s %s new to the model of %s and ranked by %s embedding", told,
		counted(catalog->n_items, "items"), by_number(told, "is", "are"), group_source(&group->group),
		by_number(told, "its", "their"));
	model_free(group->model);
	group->model = model;
	free(features);
	return n_new - told;
}

int64_t assortment_of_model(struct assortment *assortment, struct model_group *group, const struct item_groups *groups)
{
	struct model *model = group->model;
	assortment->n_items = groups->catalog->n_items;
	if (model->architecture->reads_tokens && !model->architecture->encode)
		die("model of %s: %s learned texts and ranks no items; seq-train --arch sasrec, say, trains a model that does",
			group_source(&group->group), model->architecture->name);
	if (model->architecture->encode) {
		model_require_tokenizer(group, groups->catalog);
		encoder_rank_catalog(model, groups->catalog, groups->embedding, group->group.id);
		return 0;
	}
	if (model->content)
		return match_content(assortment, group, groups);
	return items_kept_feature_size(model) ? match_features(assortment, group, groups) :
											assortment_match(assortment, group, groups->catalog);
}

/* The lines of a file of ids; empty ones are left out. */
static struct strings read_ids(const char *path)
{
	struct strings ids = {0}, lines = lines_ids(path);
	for (int64_t i = 0; i < lines.count; i++) {
		const char *id = strings_at(&lines, i);
		if (*id)
			strings_intern(&ids, id, strlen(id));
	}
	strings_free(&lines);
	return ids;
}

struct strings ids_read(const char *path)
{
	struct strings ids = read_ids(path);
	if (!ids.count)
		die("%s: no ids; one a line was expected", input_name(path));
	return ids;
}

void assortment_offer(struct assortment *assortment, struct catalog *catalog, const char *path, bool only)
{
	struct strings ids = only ? ids_read(path) : read_ids(path); /* nothing may be sold out */
	const char *name = input_name(path), *first = NULL;
	int64_t unknown = 0;
	assortment->n_items = catalog->n_items;
	bool *listed = xcalloc((size_t)catalog->n_items, sizeof *listed);
	for (int64_t i = 0; i < ids.count; i++) {
		const char *id = strings_at(&ids, i);
		int64_t item = strings_find(&catalog->item_id, id, strlen(id));
		if (item >= 0)
			listed[item] = true;
		else if (!unknown++)
			first = id;
	}
	if (unknown && unknown == ids.count && only)
		die("%s: its %s %s of the catalog; the first is \"%.100s\"", name, counted(unknown, "ids"),
			by_number(unknown, "is no item", "are no items"), first);
	if (!ids.count)
		notice("%s: no ids; nothing is excluded", name);
	else if (unknown)
		warn("%s: %" PRId64 " of %s %s of the catalog, the first is \"%.100s\"", name, unknown,
			counted(ids.count, "ids"), by_number(unknown, "is no item", "are no items"), first);
	const bool had_any = assortment->offered;
	if (!had_any) {
		assortment->offered = xcalloc((size_t)catalog->n_items, sizeof *assortment->offered);
		memset(assortment->offered, true, (size_t)catalog->n_items * sizeof *assortment->offered);
	}
	bool any = false;
	for (int64_t item = 0; item < catalog->n_items; item++)
		any |= assortment->offered[item] = assortment->offered[item] && listed[item] == only;
	if (!any)
		die("%s: %s, and nothing is left to recommend", name,
			only        ? "all its items are excluded" :
				had_any ? "it excludes all candidates" :
						  "it excludes the whole catalog");
	free(listed);
	strings_free(&ids);
}

void assortment_count(struct assortment *assortment, const struct sequences *sequences)
{
	if (!assortment->popularity)
		assortment->popularity = xcalloc((size_t)assortment->n_items, sizeof *assortment->popularity);
	for (int64_t i = 0; i < sequences->n_events; i++)
		assortment->popularity[sequences->item[i]]++;
}

void assortment_free(struct assortment *assortment)
{
	free(assortment->own_row);
	free(assortment->model_row);
	free(assortment->offered);
	free(assortment->popularity);
	*assortment = (struct assortment){0};
}
