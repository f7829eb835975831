/*
 * Gated recurrent units over the history: GRU4Rec (Hidasi et al. 2016) as it is
 * trained today, on whole sequences with a softmax over the catalog. The defaults
 * are Klenitskiy & Vasilev's (2023); RecBole's GRU4Rec is hidden_size 128, bias false,
 * dense_size 64, embedding_dropout .3, initialiser xavier.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/items.h"
#include "nn/ops.h"

static const char *const initialisers[] = {"uniform", "normal", "xavier", NULL};

struct layer {
	struct param *weight_ih, *weight_hh, *bias_ih, *bias_hh;
};

struct gru {
	enum { UNIFORM, NORMAL, XAVIER } initialiser;
	int64_t embedding, h, dense_size, max_length;
	int n_layers;
	bool bias;
	float dropout, embedding_dropout;
	struct item_options item_options;
	struct param *items, *dense, *dense_bias;
	struct layer layers[16];
};

static int64_t width_of(const struct gru *g)
{
	return g->dense_size ? g->dense_size : g->h;
}

static void width_of_items(void *values)
{
	struct gru *g = values;
	g->embedding = width_of(g);
}

static const struct option options[] = {
	{OPTIONS_TITLE("Model:")},
	{"hidden-size", .key = "hidden_size", .argument = "N", WHOLE_OPTION(struct gru, h, 1, 1 << 14), .fallback = "64",
		.help = "Width of the units"},
	{"layers", .key = "num_hidden_layers", .argument = "N",
		WHOLE_OPTION(struct gru, n_layers, 1, COUNT_OF(((struct gru *)0)->layers)), .fallback = "1", .help = "Layers"},
	{"dense-size", .key = "dense_size", .argument = "N", WHOLE_OPTION(struct gru, dense_size, 0, 1 << 14),
		.fallback = "0", .help = "Width of a dense layer behind the units; 0: none"},
	{"max-length", .key = "max_length", .argument = "N", WHOLE_OPTION(struct gru, max_length, 0, 1 << 16),
		.fallback = "200", .help = "Latest items of a history that are looked at"},
	{"dropout", .argument = "P", REAL_OPTION(struct gru, dropout, 0, .99), .fallback = "0.2", .depends = "features",
		.going_on = VALUE_BEGINS_ANEW,
		.help = "Dropout of the embedded input; with less than 20 training events a user 0.5, with features 0.3"},
	{.key = "embedding_size",
		WHOLE_OPTION(struct gru, embedding, 1, 1 << 14),
		.derive = width_of_items,
		.fallback = "that of the output",
		.help = "Width of the item vectors"},
	{.key = "bias", YES_NO_OPTION(struct gru, bias), .fallback = "yes", .help = "Biases of the units"},
	{.key = "embedding_dropout",
		REAL_OPTION(struct gru, embedding_dropout, 0, .99),
		.going_on = VALUE_BEGINS_ANEW,
		.fallback = "=dropout",
		.help = "The same as dropout"},
	{.key = "initialiser",
		CHOICE_OPTION(struct gru, initialiser, initialisers),
		.fallback = "uniform",
		.only = "!model",
		.help = "Matrices at the start: uniform, normal (deviation 0.02) or xavier"},
	/* measured on validation: by dot products, learning ends where popular items have high scores */
	{.key = "score", OTHER_DEFAULT("cosine")},
	{.key = "temperature", OTHER_DEFAULT("0.1")},
	{.key = "feature_scale", OTHER_DEFAULT("1")},
	{INCLUDED_OPTIONS(struct gru, item_options, item_options)},
	{0},
};

static void check(const void *state, const char *where)
{
	const struct gru *g = state;
	if (g->item_options.tied && g->embedding != width_of(g))
		die("%s: \"embedding_size\" is %lld; tied to the output it must be %lld", where, (long long)g->embedding,
			(long long)width_of(g));
}

static void declare(struct model *model, const char *where)
{
	struct gru *g = model->state;
	struct params *params = &model->params;
	g->items = items_declare(model, &g->item_options, g->embedding, width_of(g), where);
	for (int i = 0; i < g->n_layers; i++) {
		struct layer *layer = &g->layers[i];
		layer->weight_ih = params_add(params, 3 * g->h, i ? g->h : g->embedding, false, "gru.weight_ih_l%d", i);
		layer->weight_hh = params_add(params, 3 * g->h, g->h, false, "gru.weight_hh_l%d", i);
		if (g->bias) {
			layer->bias_ih = params_add(params, 0, 3 * g->h, false, "gru.bias_ih_l%d", i);
			layer->bias_hh = params_add(params, 0, 3 * g->h, false, "gru.bias_hh_l%d", i);
		}
	}
	if (g->dense_size) {
		g->dense = params_add(params, g->dense_size, g->h, false, "dense.weight");
		g->dense_bias = params_add(params, 0, g->dense_size, false, "dense.bias");
	}
}

/* uniform: the units in +-1 / sqrt(h) as PyTorch's, tables normal. Biases of others are 0. */
static void initialise(struct model *model, struct rng *rng)
{
	const struct gru *g = model->state;
	for (int i = 0; i < model->params.count; i++) {
		struct param *param = model->params.list[i];
		if (param->frozen)
			continue;
		bool table = param == g->items || param == model->item_vectors;
		if (g->initialiser == UNIFORM && !table)
			param_uniform(param, rng, 1 / sqrt((double)g->h));
		else if (param->n_dims == 2 && g->initialiser == XAVIER)
			param_xavier(param, rng);
		else if (param->n_dims == 2)
			param_normal(param, rng, .02);
	}
}

static struct array *hidden(struct tape *tape, const struct model *model, const struct histories *histories)
{
	const struct gru *g = model->state;
	int64_t n = histories->indptr[histories->rows] - histories->indptr[0];
	struct array *x = embedding(tape, tape_param(tape, g->items), histories->item + histories->indptr[0], n, 1, NULL,
		NULL, g->embedding_dropout);
	for (int i = 0; i < g->n_layers; i++) {
		const struct layer *layer = &g->layers[i];
		struct array *read = x;
		x = gru_layer(tape, read, tape_param(tape, layer->weight_ih), tape_param(tape, layer->weight_hh),
			tape_param(tape, layer->bias_ih), tape_param(tape, layer->bias_hh), histories->indptr, histories->rows);
		tape_done(tape, read);
	}
	return g->dense ? linear(tape, x, tape_param(tape, g->dense), tape_param(tape, g->dense_bias), ACT_NONE, 0) : x;
}

const struct architecture gru_architecture = {
	.name = "gru",
	.summary = "gated recurrent units over the history (Hidasi et al. 2016)",
	.options = options,
	.size = sizeof(struct gru),
	.check = check,
	.declare = declare,
	.initialise = initialise,
	.hidden = hidden,
	.tokens_at_once = 4096,
};
