#include "model/model_group.h"

#include <stdlib.h>
#include <string.h>

#include "model/param_members.h"
#include "model/sparse.h"

/* What a model's meta.json calls the fingerprint of what it belongs to, and the number of what it tells apart. */
static const char *belongs_key(const struct architecture *architecture)
{
	return architecture->reads_tokens ? "tokenizer" : "catalog";
}

static const char *count_key(const struct architecture *architecture)
{
	return architecture->reads_tokens ? "tokens" : "items";
}

#define ITEM_EVENTS "item_events.npy"

/* --- reading --- */

static void take_config(struct model_group *read, const struct member *member)
{
	const json_t *meta = read->group.meta;
	if (read->model)
		die("%s: a second config.json", member->where);
	bool tokens = !json_object_get(meta, "catalog");
	const char *belongs_to = json_get_string(meta, tokens ? "tokenizer" : "catalog", member->where);
	int64_t n_items = json_get_int(meta, tokens ? "tokens" : "items", 1, INT32_MAX, member->where);
	read->model = model_new(json_parse(member->bytes, member->size, member->where), n_items, belongs_to, member->where);
	if (read->model->architecture->reads_tokens != tokens)
		die("%s: %s belongs to a %s, meta.json names none", member->where, read->model->architecture->name,
			belongs_key(read->model->architecture));
	read->loaded = xcalloc((size_t)read->model->params.count, sizeof *read->loaded);
}

static void take_training(struct model_group *read, const struct member *member)
{
	if (read->training)
		die("%s: a second training.json", member->where);
	read->training = json_parse(member->bytes, member->size, member->where);
	json_get_string(read->training, "task", member->where);
	if (!json_is_object(json_object_get(read->training, "options")))
		die("%s: \"options\" is not an object", member->where);
	const json_t *best = json_object_get(read->training, "best");
	if (best && !json_is_object(best))
		die("%s: \"best\" is not an object", member->where);
}

static void take_events(struct model *model, const struct member *member)
{
	struct tensor tensor;
	npy_parse(member->bytes, member->size, &tensor, member->where);
	if (model->met)
		die("%s: a second " ITEM_EVENTS, member->where);
	if (tensor.n_dims != 1 || tensor.shape[0] != model->n_items) {
		char text[128];
		die("%s: %s, one axis of %lld was expected", member->where, tensor_describe(&tensor, text),
			(long long)model->n_items);
	}
	model->met = tensor_as(&tensor, I4, member->where);
	for (int64_t item = 0; item < model->n_items; item++)
		if (model->met[item] < 0)
			die("%s: row %lld: %d events, 0 or more were expected", member->where, (long long)item, model->met[item]);
}

static void member(void *group, const struct member *member)
{
	struct model_group *read = group;
	if (!strcmp(member->name, "config.json")) {
		take_config(read, member);
		return;
	}
	if (!strcmp(member->name, "training.json")) {
		take_training(read, member);
		return;
	}
	if (!read->model)
		die("%s: a member before config.json", member->where);
	if (!strcmp(member->name, ITEM_IDS) && !read->model->architecture->reads_tokens) {
		item_ids_read(&read->item_id, member, read->model->n_items, read->model->belongs_to);
		return;
	}
	if (!strcmp(member->name, ITEM_EVENTS) && !read->model->architecture->reads_tokens) {
		take_events(read->model, member);
		return;
	}
	const struct architecture *architecture = read->model->architecture;
	if (architecture->matrix && sparse_take(model_matrix(read->model), architecture->matrix, member))
		return;
	if (architecture->take && architecture->take(read->model, member))
		return;
	int i = params_read(&read->model->params, member);
	if (i < 0)
		die("%s: not a parameter of %s", member->where, architecture->name);
	read->loaded[i] = true;
}

static struct tensor place(void *group, const char *name)
{
	struct model_group *read = group;
	const int i = read->model ? params_named(&read->model->params, name) : -1;
	if (i < 0)
		return (struct tensor){0};
	read->loaded[i] = true;
	return param_tensor(read->model->params.list[i]);
}

static void end(void *group, const char *where)
{
	const struct model_group *read = group;
	const struct model *model = read->model;
	if (!model)
		die("%s: the model has no config.json", where);
	for (int i = 0; i < model->params.count; i++)
		if (!read->loaded[i] && !model->params.list[i]->optional)
			die("%s: %s.npy is missing", where, model->params.list[i]->name);
	const struct sparse *matrix = model_matrix(model);
	const struct architecture *architecture = model->architecture;
	if ((matrix && !matrix->value) || (architecture->is_complete && !architecture->is_complete(model)))
		die("%s: parts of the model are missing", where);
}

void model_group_free(struct model_group *read)
{
	group_free(&read->group);
	model_free(read->model);
	strings_free(&read->item_id);
	free(read->loaded);
	json_decref(read->training);
	*read = (struct model_group){.model = NULL};
}

static void free_group(void *group)
{
	model_group_free(group);
}

const struct group_kind model_group = {
	.name = MODEL_GROUP,
	.writer = "seq-train trains one",
	.format = 1,
	.member = member,
	.place = place,
	.end = end,
	.free = free_group,
};

void model_require_catalog(const struct model_group *read, const struct catalog *catalog)
{
	catalog_require(catalog, &model_group, &read->group, read->model->belongs_to, &read->item_id);
	if (read->model->n_items != catalog->n_items)
		die("model of %s: made for %s, the catalog has %lld", group_source(&read->group),
			counted(read->model->n_items, "items"), (long long)catalog->n_items);
}

int32_t *model_rows_by_id(struct model_group *read, const struct catalog *catalog, int64_t *n_new)
{
	*n_new = 0;
	if (!strcmp(read->model->belongs_to, catalog->fingerprint) || !read->item_id.count) {
		model_require_catalog(read, catalog);
		return NULL;
	}
	int32_t *rows = xreallocarray(NULL, (size_t)catalog->n_items, sizeof *rows);
	for (int64_t item = 0; item < catalog->n_items; item++) {
		const char *id = strings_at(&catalog->item_id, item);
		rows[item] = (int32_t)strings_find(&read->item_id, id, strlen(id));
		*n_new += rows[item] < 0;
	}
	return rows;
}

int32_t *model_match_items(struct model_group *read, const struct catalog *catalog, int64_t *n_new)
{
	int32_t *rows = model_rows_by_id(read, catalog, n_new);
	if (*n_new == catalog->n_items)
		model_require_catalog(read, catalog);
	return rows;
}

void model_require_tokenizer(const struct model_group *read, const struct catalog *catalog)
{
	const char *tokenizer = json_string_value(json_object_get(catalog->group.meta, "tokenizer"));
	if (!tokenizer)
		die("catalog of %s: no text of the items, which %s reads; seq-tokenize --items gives it",
			group_source(&catalog->group), read->model->architecture->name);
	if (strcmp(tokenizer, read->model->belongs_to))
		die("model of %s: its tokenizer is not the one that the items of %s were read with; "
			"seq-tokenize --tokenizer takes it",
			group_source(&read->group), group_source(&catalog->group));
}

/* --- writing --- */

void model_write(struct bag_out *out, const struct model *model, const struct catalog *catalog, uint64_t id,
	const json_t *training)
{
	const struct architecture *architecture = model->architecture;
	json_t *details = json_build("{s:s, s:s, s:I}", "architecture", architecture->name, belongs_key(architecture),
		model->belongs_to, count_key(architecture), (json_int_t)model->n_items);
	bag_begin(out, &model_group, id, 1, 1, details);
	bag_add_json(out, "config.json", model->config);
	bag_add_json(out, "training.json", training);
	if (!architecture->reads_tokens)
		item_ids_write(out, &catalog->item_id);
	if (model->met) {
		const struct tensor events = tensor_1d(I4, model->n_items, model->met);
		bag_add_tensor(out, ITEM_EVENTS, &events);
	}
	params_write(out, &model->params);
	if (architecture->matrix)
		sparse_write(out, architecture->matrix->name, model_matrix(model));
	if (architecture->write)
		architecture->write(out, model);
	bag_end(out);
}
