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
	int64_t embedding, h;
	int n_layers;
	float embedding_dropout;
	struct param *items, *dense, *dense_bias;
	struct layer layers[16];
};

static void declare(struct model *model, const char *where)
{
	struct gru *g = model->state = xcalloc(1, sizeof *g);
	struct params *params = &model->params;
	g->h = config_int(model, "hidden_size", 64, 1, 1 << 14, where);
	g->n_layers = (int)config_int(model, "num_hidden_layers", 1, 1, COUNT_OF(g->layers), where);
	int64_t dense = config_int(model, "dense_size", 0, 0, 1 << 14, where);
	bool tied = config_bool(model, "tied", true, where);
	int64_t width = dense ? dense : g->h;
	g->embedding = config_int(model, "embedding_size", width, 1, 1 << 14, where);
	if (tied && g->embedding != width)
		die("%s: \"embedding_size\" is %lld; tied to the output it must be %lld", where, (long long)g->embedding,
			(long long)width);
	bool bias = config_bool(model, "bias", true, where);
	config_int(model, "max_length", 200, 0, 1 << 16, where);
	double dropout = config_real(model, "dropout", 0, 0, .99, where);
	g->embedding_dropout = (float)config_real(model, "embedding_dropout", dropout, 0, .99, where);
	g->initialiser = config_choice(model, "initialiser", initialisers, UNIFORM, where);

	g->items = items_declare(model, g->embedding, width, where);
	for (int i = 0; i < g->n_layers; i++) {
		struct layer *layer = &g->layers[i];
		layer->weight_ih = params_add(params, 3 * g->h, i ? g->h : g->embedding, false, "gru.weight_ih_l%d", i);
		layer->weight_hh = params_add(params, 3 * g->h, g->h, false, "gru.weight_hh_l%d", i);
		if (bias) {
			layer->bias_ih = params_add(params, 0, 3 * g->h, false, "gru.bias_ih_l%d", i);
			layer->bias_hh = params_add(params, 0, 3 * g->h, false, "gru.bias_hh_l%d", i);
		}
	}
	if (dense) {
		g->dense = params_add(params, dense, g->h, false, "dense.weight");
		g->dense_bias = params_add(params, 0, dense, false, "dense.bias");
	}
}

/* uniform: the units in +-1 / sqrt(h) as PyTorch's, tables normal. Biases of others are 0. */
static void initialise(struct model *model, struct rng *rng)
{
	const struct gru *g = model->state;
	for (int i = 0; i < model->params.count; i++) {
		struct param *param = model->params.list[i];
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
		x = gru_layer(tape, x, tape_param(tape, layer->weight_ih), tape_param(tape, layer->weight_hh),
			tape_param(tape, layer->bias_ih), tape_param(tape, layer->bias_hh), histories->indptr, histories->rows);
	}
	return g->dense ? linear(tape, x, tape_param(tape, g->dense), tape_param(tape, g->dense_bias), ACT_NONE, 0) : x;
}

const struct architecture gru_architecture = {
	.name = "gru",
	.summary = "gated recurrent units over the history (GRU4Rec, Hidasi et al. 2016)",
	.declare = declare,
	.initialise = initialise,
	.hidden = hidden,
	.tokens_at_once = 4096,
};
