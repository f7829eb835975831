#include "model/model.h"

#include <stdlib.h>
#include <string.h>

#include "model/content.h"
#include "model/items.h"
#include "model/sparse.h"

/* --- what there is --- */

#define ADDRESS(name) &name##_architecture,
static const struct architecture *const architectures[] = {ARCHITECTURES(ADDRESS)};
#define NAME(name) #name,
const char *const architecture_names[] = {ARCHITECTURES(NAME) NULL};

const struct architecture *architecture_named(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(architectures); i++)
		if (!strcmp(architectures[i]->name, name))
			return architectures[i];
	return NULL;
}

/* --- making one --- */

static const struct architecture *architecture_of(struct model *model, const char *where)
{
	const char *name = json_get_string(model->config, "architecture", where);
	const struct architecture *architecture = architecture_named(name);
	if (!architecture)
		die("%s: \"architecture\" is \"%s\", one of %s was expected", where, name,
			list_words(architecture_names, ", "));
	return architecture;
}

void architecture_check(const struct architecture *architecture, const json_t *options, const char *where)
{
	json_t *config = json_deep_copy(options);
	json_object_del(config, "architecture");
	void *state = xcalloc(1, architecture->size + 1);
	options_read(architecture->options, config, state, where);
	if (architecture->check)
		architecture->check(state, where);
	free(state);
	json_decref(config);
}

/* The state from the config, which is complete then. */
static void read_config(struct model *model, const char *where)
{
	const struct architecture *architecture = model->architecture;
	json_t *name = json_incref(json_object_get(model->config, "architecture"));
	json_t *config = json_build("{s:o}", "architecture", name);
	json_object_del(model->config, "architecture");
	model->state = xcalloc(1, architecture->size + 1);
	options_read(architecture->options, model->config, model->state, where);
	if (architecture->check)
		architecture->check(model->state, where);
	if (json_object_update(config, model->config))
		die_memory(0, 0);
	json_decref(model->config);
	model->config = config;
}

struct model *model_declared(json_t *config, int64_t n_items, const char *belongs_to, const char *where)
{
	if (n_items < 1 || n_items > INT32_MAX)
		die("%s: %s, 1 to %d were expected", where, counted(n_items, "items"), INT32_MAX);
	struct model *model = xcalloc(1, sizeof *model);
	model->config = config;
	model->n_items = n_items;
	strncpy(model->belongs_to, belongs_to, sizeof model->belongs_to - 1);
	model->architecture = architecture_of(model, where);
	read_config(model, where);
	model->architecture->declare(model, where);
	if (model->item_vectors)
		model->width = model->item_vectors->columns;
	return model;
}

struct model *model_new(json_t *config, int64_t n_items, const char *belongs_to, const char *where)
{
	struct model *model = model_declared(config, n_items, belongs_to, where);
	params_allocate(&model->params);
	return model;
}

struct sparse *model_matrix(const struct model *model)
{
	const struct sparse_members *members = model->architecture->matrix;
	return members ? (void *)((char *)model->state + members->offset) : NULL;
}

int32_t *model_met(const struct model *model, const int32_t *row, int64_t n_items)
{
	if (!model->met)
		return NULL;
	int32_t *met = xcalloc((size_t)n_items, sizeof *met);
	for (int64_t item = 0; item < n_items; item++) {
		const int64_t own = row ? row[item] : item;
		met[item] = own < 0 ? 0 : model->met[own];
	}
	return met;
}

void model_free(struct model *model)
{
	if (!model)
		return;
	if (model_matrix(model))
		sparse_free(model_matrix(model));
	if (model->architecture->release)
		model->architecture->release(model);
	else
		free(model->state);
	items_free(model->items);
	content_free(model->content);
	free(model->candidates);
	free(model->met);
	params_free(&model->params);
	json_decref(model->config);
	free(model);
}

void model_initialise(struct model *model, struct rng *rng)
{
	model->architecture->initialise(model, rng);
	items_initialise(model, rng);
}
