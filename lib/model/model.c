#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/tables.h"
#include "model/encoder.h"
#include "model/items.h"

static const struct architecture *const architectures[] = {&sasrec_architecture, &gru_architecture,
	&popular_architecture, &markov_architecture, &recformer_architecture, &llama_architecture, &gpt2_architecture};
const char *const architecture_names[] = {"sasrec", "gru", "popular", "markov", "recformer", "llama", "gpt2", NULL};

const struct architecture *architecture_named(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(architectures); i++)
		if (!strcmp(architectures[i]->name, name))
			return architectures[i];
	return NULL;
}

/* --- config --- */

static json_t *config_value(struct model *model, const char *key, json_t *fallback)
{
	json_t *value = json_object_get(model->config, key);
	if (!value) {
		json_set(model->config, key, fallback);
		return fallback;
	}
	json_decref(fallback);
	return value;
}

int64_t config_int(struct model *model, const char *key, int64_t fallback, int64_t low, int64_t high, const char *where)
{
	config_value(model, key, json_integer(fallback));
	return json_get_int(model->config, key, low, high, where);
}

double config_real(struct model *model, const char *key, double fallback, double low, double high, const char *where)
{
	config_value(model, key, json_real(fallback));
	double value = json_get_number(model->config, key, where);
	if (!(value >= low && value <= high))
		die("%s: \"%s\" is %g, from %g to %g was expected", where, key, value, low, high);
	return value;
}

bool config_bool(struct model *model, const char *key, bool fallback, const char *where)
{
	config_value(model, key, json_boolean(fallback));
	return json_get_bool(model->config, key, where);
}

const char *config_text(struct model *model, const char *key, const char *fallback, const char *where)
{
	config_value(model, key, json_string(fallback));
	return json_get_string(model->config, key, where);
}

int config_choice(struct model *model, const char *key, const char *const names[], int fallback, const char *where)
{
	config_value(model, key, json_string(names[fallback]));
	const char *name = json_get_string(model->config, key, where);
	struct buffer known = {0};
	for (int i = 0; names[i]; i++) {
		if (!strcmp(names[i], name)) {
			buffer_free(&known);
			return i;
		}
		buffer_append(&known, i ? ", " : "", i ? 2 : 0);
		buffer_append(&known, names[i], strlen(names[i]));
	}
	buffer_append(&known, "", 1);
	die("%s: \"%s\" is \"%s\", one of %s was expected", where, key, name, known.data);
}

/* --- models --- */

static const struct architecture *architecture_of(struct model *model, const char *where)
{
	json_get_string(model->config, "architecture", where);
	return architectures[config_choice(model, "architecture", architecture_names, 0, where)];
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
		die("out of memory");
	json_decref(model->config);
	model->config = config;
}

struct model *model_declared(json_t *config, int64_t n_items, const char *belongs_to, const char *where)
{
	if (n_items < 1 || n_items > INT32_MAX)
		die("%s: %lld items, 1 to %d were expected", where, (long long)n_items, INT32_MAX);
	struct model *model = xcalloc(1, sizeof *model);
	model->config = config;
	model->n_items = n_items;
	strncpy(model->belongs_to, belongs_to, sizeof model->belongs_to - 1);
	model->architecture = architecture_of(model, where);
	if (model->architecture->options) /* families of LLMs read theirs themselves */
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

void model_free(struct model *model)
{
	if (!model)
		return;
	if (model->architecture->release)
		model->architecture->release(model);
	else
		free(model->state);
	items_free(model->items);
	free(model->candidates);
	params_free(&model->params);
	json_decref(model->config);
	free(model);
}

int64_t model_max_length(const struct model *model)
{
	return json_integer_value(json_object_get(model->config, "max_length"));
}

const float *model_item_vectors(const struct model *model)
{
	return model->candidates ? model->candidates : model->item_vectors->value;
}

int64_t model_ranked(const struct model *model)
{
	return model->catalog ? model->catalog->n_items : model->n_items;
}

void model_initialise(struct model *model, struct rng *rng)
{
	model->architecture->initialise(model, rng);
	items_initialise(model, rng);
}

struct array *model_hidden(struct tape *tape, const struct model *model, const struct histories *histories)
{
	return items_query(tape, model, model->architecture->hidden(tape, model, histories));
}

static void query(struct tape *tape, const struct model *model, const struct histories *histories, int64_t row,
	float *query)
{
	int64_t indptr[2] = {histories->indptr[row], histories->indptr[row + 1]}, longest = model_max_length(model);
	struct histories one = *histories;
	one.rows = 1;
	one.indptr = indptr;
	if (model->architecture->encode) {
		model->architecture->encode(tape, model, &one, query);
		unit_length(query, 1, model->width);
		return;
	}
	if (longest && indptr[1] - indptr[0] > longest)
		indptr[0] = indptr[1] - longest;
	if (indptr[1] == indptr[0]) {
		memset(query, 0, (size_t)model->width * sizeof *query);
		return;
	}
	tape_begin(tape, NULL, 0, 0);
	const struct array *hidden = model_hidden(tape, model, &one);
	memcpy(query, hidden->value + (hidden->rows - 1) * hidden->stride, (size_t)model->width * sizeof *query);
}

void model_queries(const struct model *model, const struct histories *histories, float *queries)
{
/* for a few, waking a team takes longer than the work */
#pragma omp parallel if (histories->rows > 16)
	{
		struct tape tape = {0};
#pragma omp for schedule(dynamic, 16)
		for (int64_t row = 0; row < histories->rows; row++)
			query(&tape, model, histories, row, queries + row * model->width);
		tape_free(&tape);
	}
}

/* --- streams --- */

/* What a model's meta.json calls the fingerprint of what it belongs to, and the number of what it tells apart. */
static const char *belongs_key(const struct architecture *architecture)
{
	return architecture->reads_tokens ? "tokenizer" : "catalog";
}

static const char *count_key(const struct architecture *architecture)
{
	return architecture->reads_tokens ? "tokens" : "items";
}

void model_write(struct bag_out *out, const struct model *model, uint64_t id)
{
	const struct architecture *architecture = model->architecture;
	json_t *details = json_build("{s:s, s:s, s:I}", "architecture", architecture->name, belongs_key(architecture),
		model->belongs_to, count_key(architecture), (json_int_t)model->n_items);
	bag_begin(out, "model", id, 1, 1, details);
	bag_add_json(out, "config.json", model->config);
	for (int i = 0; i < model->params.count; i++) {
		char name[sizeof model->params.list[i]->name + 4];
		snprintf(name, sizeof name, "%s.npy", model->params.list[i]->name);
		struct tensor tensor = param_tensor(model->params.list[i]);
		bag_add_tensor(out, name, &tensor);
	}
	if (model->architecture->write)
		model->architecture->write(out, model);
	bag_end(out);
}

static void take_meta(struct model_loader *loader, const struct piece *piece)
{
	model_free(loader->model);
	json_decref(loader->meta);
	free(loader->loaded);
	*loader = (struct model_loader){.meta = json_incref(piece->json)};
	strncpy(loader->id, json_get_string(piece->json, "id", piece->where), sizeof loader->id - 1);
}

static void take_config(struct model_loader *loader, const struct piece *piece)
{
	if (loader->model)
		die("%s: a second config.json", piece->where);
	bool tokens = !json_object_get(loader->meta, "catalog");
	const char *belongs_to = json_get_string(loader->meta, tokens ? "tokenizer" : "catalog", piece->where);
	int64_t n_items = json_get_int(loader->meta, tokens ? "tokens" : "items", 1, INT32_MAX, piece->where);
	loader->model = model_new(json_parse(piece->bytes, piece->size, piece->where), n_items, belongs_to, piece->where);
	if (loader->model->architecture->reads_tokens != tokens)
		die("%s: %s belongs to a %s, meta.json names none", piece->where, loader->model->architecture->name,
			belongs_key(loader->model->architecture));
	loader->loaded = xcalloc((size_t)loader->model->params.count, sizeof *loader->loaded);
}

static struct param *param_of(const struct model_loader *loader, const struct piece *piece, int *index)
{
	const struct params *params = &loader->model->params;
	for (int i = 0; i < params->count; i++) {
		size_t length = strlen(params->list[i]->name);
		if (!strncmp(piece->name, params->list[i]->name, length) && !strcmp(piece->name + length, ".npy")) {
			*index = i;
			return params->list[i];
		}
	}
	return NULL;
}

static void take_param(struct model_loader *loader, const struct piece *piece)
{
	int index;
	struct param *param = param_of(loader, piece, &index);
	if (!param)
		die("%s: not a parameter of %s", piece->where, loader->model->architecture->name);
	struct tensor tensor, expected = param_tensor(param);
	npy_parse(piece->bytes, piece->size, &tensor, piece->where);
	if (tensor.n_dims != expected.n_dims ||
		memcmp(tensor.shape, expected.shape, (size_t)tensor.n_dims * sizeof *tensor.shape) != 0) {
		char is[128], should_be[128];
		die("%s: %s, %s was expected", piece->where, tensor_describe(&tensor, is),
			tensor_describe(&expected, should_be));
	}
	float *values = tensor_as(&tensor, F4, piece->where);
	memcpy(param->value, values, tensor_bytes(&expected));
	free(values);
	loader->loaded[index] = true;
}

static void take_member(struct model_loader *loader, const struct piece *piece)
{
	if (!strcmp(piece->name, "config.json")) {
		take_config(loader, piece);
		return;
	}
	if (!loader->model)
		die("%s: a member before config.json", piece->where);
	const struct architecture *architecture = loader->model->architecture;
	if (!architecture->take || !architecture->take(loader->model, piece))
		take_param(loader, piece);
}

static void take_end(struct model_loader *loader, const struct piece *piece)
{
	const struct model *model = loader->model;
	if (!model)
		die("%s: the model has no config.json", piece->where);
	for (int i = 0; i < model->params.count; i++)
		if (!loader->loaded[i])
			die("%s: %s.npy is missing", piece->where, model->params.list[i]->name);
	if (model->architecture->is_complete && !model->architecture->is_complete(model))
		die("%s: parts of the model are missing", piece->where);
	loader->complete = true;
	json_decref(loader->meta);
	free(loader->loaded);
	loader->meta = NULL;
	loader->loaded = NULL;
}

bool model_take(struct model_loader *loader, const struct piece *piece)
{
	if (strcmp(piece->group, "model"))
		return false;
	switch (piece->kind) {
	case PIECE_META: take_meta(loader, piece); break;
	case PIECE_MEMBER: take_member(loader, piece); break;
	case PIECE_END: take_end(loader, piece); break;
	case PIECE_CHUNK: die("%s: a table's chunk in a model", piece->where);
	}
	return true;
}
