#include "model/recformer_encoder.h"

#include <stdlib.h>
#include <string.h>

#include "data/catalog.h"
#include "model/encoder.h"
#include "model/item_vectors.h"
#include "model/recformer.h"
#include "model/transformer_parts.h"
#include "nn/vec.h"
#include "stream/progress.h"

#define WHITENED_BY 8192 /* items, or eight a dimension, are enough */

#define ATTRIBUTES 3 /* of an item, by default */

/* --- what fits --- */

/* Recformer's layers are Longformer's: norms of sums, learned positions, nothing that is added to scores, no gate. */
static bool has_its_layers(const struct family *family)
{
	return family->both_ways && family->norm == NORM_LAYER && family->norm_place == NORM_OF_SUM &&
		family->learned_positions && !family->distances && family->plain_ffn;
}

static void require_fit(const struct text_encoder *encoder, const char *where)
{
	const struct transformer *t = text_encoder_transformer(encoder);
	if (!has_its_layers(t->family))
		die("%s: a Recformer cannot go on from \"%s\", whose layers are others: longformer, %s are supported", where,
			t->model_type, family_list_of(has_its_layers));
	if (t->activation != ACT_GELU)
		die("%s: \"hidden_act\" is not \"gelu\", which a Recformer has", where);
	if (t->key_heads != t->heads || t->head_width * t->heads != t->d)
		die("%s: heads of keys and values, or their width, are not those of a Recformer", where);
	const char *pooling = text_encoder_pooling(encoder);
	if (strcmp(pooling, "mean") != 0 && strcmp(pooling, "cls") != 0)
		die("%s: pooling by \"%s\" is not supported for a Recformer: mean and cls are", where, pooling);
	if (text_encoder_has_dense(encoder))
		die("%s: a Dense behind the pooling is not supported for a Recformer", where);
	if (*text_encoder_prompt(encoder))
		warn("%s: its prompt \"%.40s\" is left out", where, text_encoder_prompt(encoder));
}

/* --- config --- */

static void add_word(json_t *config, const char *key, const char *value)
{
	json_set(config, key, json_string(value));
}

static void add_number(json_t *config, const char *key, int64_t value)
{
	json_set(config, key, json_integer(value));
}

/* Attributes as long as the encoder reads whole items, and a window in which a token sees all of its item. */
static void add_room(json_t *known, const json_t *given, const struct text_encoder *encoder)
{
	const struct transformer *t = text_encoder_transformer(encoder);
	const json_t *number = json_object_get(given, "max_attr_num"), *length = json_object_get(given, "max_attr_length");
	const int64_t attributes = number ? json_integer_value(number) : ATTRIBUTES;
	const int64_t positions = t->longest - t->position_offset, longest = text_encoder_longest(encoder);
	const int64_t room = (positions < longest ? positions : longest) - 2;
	const int64_t tokens = length ? json_integer_value(length) : room > attributes ? room / attributes : 1;
	add_number(known, "max_attr_length", tokens);
	add_number(known, "attention_window", 2 * (attributes * tokens + 2));
}

void recformer_config_of_encoder(json_t *config, const struct text_encoder *encoder, const char *where)
{
	const struct transformer *t = text_encoder_transformer(encoder);
	require_fit(encoder, where);
	json_t *known = json_object();
	add_number(known, "hidden_size", t->d);
	add_number(known, "num_hidden_layers", t->n_layers);
	add_number(known, "num_attention_heads", t->heads);
	add_number(known, "intermediate_size", t->inner);
	add_number(known, "max_position_embeddings", t->longest);
	add_number(known, "position_offset", t->position_offset);
	add_number(known, "sep_token_id", tokenizer_special(text_encoder_tokenizer(encoder), SPECIAL_EOS));
	add_room(known, config, encoder);
	json_set(known, "layer_norm_eps", json_real((double)t->layer_epsilon));
	add_word(known, "pooling", strcmp(text_encoder_pooling(encoder), "mean") ? "first" : "mean");
	add_word(known, "positions", "item");
	add_word(known, "attention", "item");
	json_set(known, "attribute_names", json_false());
	json_set(known, "pooler", json_true());
	add_word(known, "initialiser", "normal"); /* of the little that is new */
	options_inherit(recformer_architecture.options, config, known, DERIVED_KEPT);
	json_decref(known);
}

/* --- parameters --- */

/* As many rows as the model has: the encoder's table of words may be padded. NULL: zeros. */
static void take(struct param *to, const struct param *from, const char *where)
{
	char text[2][128];
	if (!from) {
		param_fill(to, 0);
		return;
	}
	struct tensor is = param_tensor(from), should_be = param_tensor(to);
	if (from->n_dims != to->n_dims || from->columns != to->columns || from->rows < to->rows)
		die("%s: %s is %s, %s was expected", where, from->name, tensor_describe(&is, text[0]),
			tensor_describe(&should_be, text[1]));
	memcpy(to->value, from->value, (size_t)param_count(to) * sizeof *to->value);
}

static void take_affine(const struct model *model, const char *name, const struct affine *from, const char *where)
{
	static const char *const parts[] = {"weight", "bias"};
	const struct param *const both[] = {from->weight, from->bias};
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		char full[96];
		snprintf(full, sizeof full, "longformer.%s.%s", name, parts[i]);
		take(params_find(&model->params, full), both[i], where);
	}
}

static void take_layer(const struct model *model, const struct layer *layer, int i, const char *where)
{
	static const char *const projections[] = {"query", "key", "value"};
	char name[64];
	for (int j = 0; j < 3; j++) {
		const struct affine affine = {layer->qkv.weight[j], layer->qkv.bias[j]};
		snprintf(name, sizeof name, "encoder.layer.%d.attention.self.%s", i, projections[j]);
		take_affine(model, name, &affine, where);
		strcat(name, "_global");
		take_affine(model, name, &affine, where);
	}
	const struct affine up = {layer->gate_up.weight[0], layer->gate_up.bias[0]};
	const struct {
		const char *name;
		const struct affine *affine;
	} rest[] = {
		{"attention.output.dense", &layer->out},
		{"attention.output.LayerNorm", &layer->attention_sum_norm},
		{"intermediate.dense", &up},
		{"output.dense", &layer->down},
		{"output.LayerNorm", &layer->ffn_sum_norm},
	};
	for (size_t j = 0; j < COUNT_OF(rest); j++) {
		snprintf(name, sizeof name, "encoder.layer.%d.%s", i, rest[j].name);
		take_affine(model, name, rest[j].affine, where);
	}
}

/* The encoder knows one kind of token here, Recformer four. */
static void take_types(struct param *to, const struct param *from, const char *where)
{
	struct param first = *to;
	first.rows = 1;
	param_fill(to, 0);
	if (!from)
		return;
	take(&first, from, where);
	for (int64_t row = 1; row < to->rows; row++)
		memcpy(to->value + row * to->columns, to->value, (size_t)to->columns * sizeof *to->value);
}

void recformer_take_encoder(struct model *model, const struct text_encoder *encoder, const char *where)
{
	const struct transformer *t = text_encoder_transformer(encoder);
	const struct params *params = &model->params;
	struct param *words = params_find(params, "longformer.embeddings.word_embeddings.weight");
	struct param *head = params_find(params, "lm_head.decoder.weight");
	take(words, t->tokens, where);
	take(params_find(params, "longformer.embeddings.position_embeddings.weight"), t->positions, where);
	take_types(params_find(params, "longformer.embeddings.token_type_embeddings.weight"), t->token_types, where);
	take(params_find(params, "longformer.embeddings.item_position_embeddings.weight"), NULL, where);
	take_affine(model, "embeddings.LayerNorm", &t->embedding_norm, where);
	for (int i = 0; i < t->n_layers; i++)
		take_layer(model, &t->layers[i], i, where);
	if (head)
		memcpy(head->value, words->value, (size_t)param_count(words) * sizeof *words->value);
}

/* From weight x + bias to (weight x + bias - mean) map. */
static void append_map(const float *mean, const float *map, int64_t width, float *weight, float *bias)
{
	float *before = xaligned((size_t)(width * width), sizeof *before);
	double *offset = xcalloc((size_t)width, sizeof *offset);
	memcpy(before, weight, (size_t)(width * width) * sizeof *before);
	memset(weight, 0, (size_t)(width * width) * sizeof *weight);
	for (int64_t from = 0; from < width; from++)
		for (int64_t to = 0; to < width; to++) {
			const float factor = map[from * width + to];
			vec_axpy(factor, before + from * width, weight + to * width, width);
			offset[to] += (double)factor * ((double)bias[from] - (double)mean[from]);
		}
	for (int64_t to = 0; to < width; to++)
		bias[to] = (float)offset[to];
	free(offset);
	free(before);
}

void recformer_whiten(struct model *model, int threads)
{
	struct param *matrix = params_find(&model->params, "pooler.dense.weight");
	struct param *offset = params_find(&model->params, "pooler.dense.bias");
	const int64_t width = model->width;
	if (!matrix || model->catalog->n_items < 2 * width)
		return;
	double started = seconds_now();
	struct item_table *own = recformer_own(model);
	struct param *beside = own->vectors;
	int64_t items;
	own->vectors = NULL; /* texts alone go through the pooler */
	float *vectors = encoder_sample(model, WHITENED_BY > 8 * width ? WHITENED_BY : 8 * width, &items);
	own->vectors = beside;
	float *map = xcalloc((size_t)(width * width), sizeof *map), *mean = xcalloc((size_t)width, sizeof *mean);
	whiten_vectors(vectors, items, width, threads, mean, map);
	append_map(mean, map, width, matrix->value, offset->value);
	free(vectors);
	free(map);
	free(mean);
	notice("%s encoded and whitened in %.1f s", counted(items, "items"), seconds_now() - started);
}
