/*
 * SASRec: self-attentive sequential recommendation (Kang & McAuley, ICDM 2018).
 *
 * Items and positions are embedded; blocks of causal self-attention and a
 * point-wise feed-forward network follow; the last hidden state is the query. Its
 * implementations disagree on where the norms stand, and more; with the config
 * each of them is met exactly:
 *
 *   norm "original"  the authors' code, and Klenitskiy & Vasilev 2023: queries from the normalised input, keys and
 *                    values from the input as it is; the residual starts from the *normalised* input; final norm
 *   norm "pre"       the paper's formula: x + Attention(norm(x)), x + FFN(norm(x)); final norm
 *   gates            with "pre": each update of x is multiplied by sigmoid(linear(x)) first: LiGR (LinkedIn, arXiv
 *                    2502.03417); with swiglu, an FFN four times as wide and positions from the end it is eSASRec
 *                    (Tikhonovich et al., RecSys 2025), which --arch esasrec stands for
 *   norm "post"      norm(x + Attention(x)), norm(x + FFN(x)); RecBole (with gelu, FFN of 256, a norm of the input,
 *                    no sqrt(d), dropout of the attention's output)
 *
 * There is no padding, and so no row for it in any table.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/items.h"
#include "nn/ops.h"
#include "nn/rows.h"

static const char *const norm_names[] = {"original", "pre", "post", NULL};
static const char *const ffn_names[] = {"relu", "gelu", "gelu_new", "swiglu", NULL};
enum { SWIGLU = 3 };
static const char *const position_names[] = {"start", "end", "none", NULL};
static const char *const initialisers[] = {"normal", "xavier", NULL};

struct norm {
	struct param *weight, *bias;
};

struct layer {
	struct norm attention_norm, ffn_norm;
	struct param *query, *key, *value; /* each followed in memory by the next */
	struct param *query_bias, *key_bias, *value_bias;
	struct param *out, *out_bias;
	struct param *up, *up_bias, *down, *down_bias; /* no biases with swiglu */
	struct param *ffn_gate;                        /* of swiglu */
	struct param *gate[2], *gate_bias[2];          /* of the updates by attention and FFN; NULL: there are none */
};

struct sasrec {
	enum { ORIGINAL, PRE, POST } norm;
	enum { FROM_START, FROM_END, NO_POSITIONS } positions;
	enum { NORMAL, XAVIER } initialiser;
	int activation; /* in ffn_names */
	int64_t d, inner, max_length;
	int n_layers, heads;
	float epsilon, history_mean, history_decay;
	bool gates, input_norm, final_norm, scale_embedding;
	struct item_options item_options;
	float dropout, embedding_dropout, attention_dropout, attention_output_dropout, activation_dropout, hidden_dropout;
	struct param *items, *position;
	struct norm first, last;
	struct layer layers[64];
};

static void declare_norm(struct model *model, struct norm *norm, const char *name)
{
	int64_t d = ((struct sasrec *)model->state)->d;
	norm->weight = params_add(&model->params, 0, d, false, "%s.weight", name);
	norm->bias = params_add(&model->params, 0, d, false, "%s.bias", name);
}

static void declare_ffn(struct model *model, struct layer *layer, int i)
{
	struct params *params = &model->params;
	const struct sasrec *s = model->state;
	bool gated = s->activation == SWIGLU;
	if (gated)
		layer->ffn_gate = params_add(params, s->inner, s->d, false, "layers.%d.ffn.gate.weight", i);
	layer->up = params_add(params, s->inner, s->d, false, "layers.%d.ffn.intermediate.weight", i);
	if (!gated)
		layer->up_bias = params_add(params, 0, s->inner, false, "layers.%d.ffn.intermediate.bias", i);
	layer->down = params_add(params, s->d, s->inner, false, "layers.%d.ffn.output.weight", i);
	if (!gated)
		layer->down_bias = params_add(params, 0, s->d, false, "layers.%d.ffn.output.bias", i);
}

static void declare_layer(struct model *model, struct layer *layer, int i)
{
	struct params *params = &model->params;
	const struct sasrec *s = model->state;
	int64_t d = s->d;
	char name[64];
	snprintf(name, sizeof name, "layers.%d.attention_norm", i);
	declare_norm(model, &layer->attention_norm, name);
	layer->query = params_add(params, d, d, false, "layers.%d.attention.query.weight", i);
	layer->key = params_add(params, d, d, false, "layers.%d.attention.key.weight", i);
	layer->value = params_add(params, d, d, false, "layers.%d.attention.value.weight", i);
	layer->query_bias = params_add(params, 0, d, false, "layers.%d.attention.query.bias", i);
	layer->key_bias = params_add(params, 0, d, false, "layers.%d.attention.key.bias", i);
	layer->value_bias = params_add(params, 0, d, false, "layers.%d.attention.value.bias", i);
	layer->out = params_add(params, d, d, false, "layers.%d.attention.output.weight", i);
	layer->out_bias = params_add(params, 0, d, false, "layers.%d.attention.output.bias", i);
	snprintf(name, sizeof name, "layers.%d.ffn_norm", i);
	declare_norm(model, &layer->ffn_norm, name);
	declare_ffn(model, layer, i);
	static const char *const updates[] = {"attention", "ffn"};
	for (int j = 0; s->gates && s->norm == PRE && j < 2; j++) {
		layer->gate[j] = params_add(params, d, d, false, "layers.%d.%s_gate.weight", i, updates[j]);
		layer->gate_bias[j] = params_add(params, 0, d, false, "layers.%d.%s_gate.bias", i, updates[j]);
	}
}

static void norm_behind_all(void *values)
{
	struct sasrec *s = values;
	s->final_norm = s->norm != POST;
}

static void no_history_mean(void *values)
{
	((struct sasrec *)values)->history_mean = 0;
}

static const struct option options[] = {
	{OPTIONS_TITLE("Model:")},
	{"hidden-size", .key = "hidden_size", .argument = "N", WHOLE_OPTION(struct sasrec, d, 1, 1 << 14), .fallback = "64",
		.help = "Width of the model"},
	{"layers", .key = "num_hidden_layers", .argument = "N",
		WHOLE_OPTION(struct sasrec, n_layers, 1, COUNT_OF(((struct sasrec *)0)->layers)), .fallback = "2",
		.help = "Blocks"},
	{"heads", .key = "num_attention_heads", .argument = "N", WHOLE_OPTION(struct sasrec, heads, 1, 256),
		.fallback = "2", .help = "Attention heads"},
	{"max-length", .key = "max_length", .argument = "N", WHOLE_OPTION(struct sasrec, max_length, 1, 1 << 16),
		.fallback = "200", .help = "Latest items of a history that are looked at"},
	{"dropout", .argument = "P", REAL_OPTION(struct sasrec, dropout, 0, .99), .fallback = "0.2", .depends = "features",
		.going_on = VALUE_BEGINS_ANEW,
		.help = "Dropout where it is not set by key; with less than 20 training events a user 0.5, with features 0.3"},
	{.key = "intermediate_size",
		WHOLE_OPTION(struct sasrec, inner, 1, 1 << 16),
		.fallback = "=hidden_size",
		.help = "Width inside the feed-forward part"},
	{.key = "hidden_act",
		CHOICE_OPTION(struct sasrec, activation, ffn_names),
		.fallback = "relu",
		.help = "Activation of the feed-forward part; gelu is the erf form, swiglu without biases"},
	{.key = "norm",
		CHOICE_OPTION(struct sasrec, norm, norm_names),
		.fallback = "pre",
		.help = "Layer norm: pre, post, or original (the authors' code)"},
	{.key = "input_norm",
		YES_NO_OPTION(struct sasrec, input_norm),
		.fallback = "no",
		.help = "Layer norm on the embedded input"},
	{.key = "final_norm",
		YES_NO_OPTION(struct sasrec, final_norm),
		.derive = norm_behind_all,
		.fallback = "but for norm=post",
		.help = "Layer norm behind all blocks"},
	{.key = "layer_norm_eps",
		REAL_OPTION(struct sasrec, epsilon, 0, 1),
		.fallback = "1e-8",
		.help = "Added to variances"},
	{.key = "positions",
		CHOICE_OPTION(struct sasrec, positions, position_names),
		.fallback = "start",
		.help = "Positions counted from start, from end, or none"},
	{.key = "scale_embedding",
		YES_NO_OPTION(struct sasrec, scale_embedding),
		.fallback = "yes",
		.help = "Multiply item vectors by sqrt(width) at the input"},
	{.key = "history_mean",
		REAL_OPTION(struct sasrec, history_mean, 0, 1000),
		.derive = no_history_mean,
		.fallback = "0; with less than 20 training events a user 4",
		.help = "Add to each embedded item so many times the mean of the history up to it"},
	{.key = "history_decay",
		REAL_OPTION(struct sasrec, history_decay, 0, 1),
		.fallback = "0.7",
		.only = "history_mean!=0",
		.help = "How much an item counts in that mean, of what the next newer one does"},
	{.key = "initialiser",
		CHOICE_OPTION(struct sasrec, initialiser, initialisers),
		.fallback = "normal",
		.only = "!model",
		.help = "Matrices at the start: normal (deviation 0.02) or xavier"},
	{.key = "embedding_dropout",
		REAL_OPTION(struct sasrec, embedding_dropout, 0, .99),
		.going_on = VALUE_BEGINS_ANEW,
		.fallback = "=dropout",
		.help = "Dropout of the embedded input"},
	{.key = "attention_dropout",
		REAL_OPTION(struct sasrec, attention_dropout, 0, .99),
		.going_on = VALUE_BEGINS_ANEW,
		.fallback = "=dropout",
		.help = "Dropout of attention probabilities"},
	{.key = "hidden_dropout",
		REAL_OPTION(struct sasrec, hidden_dropout, 0, .99),
		.going_on = VALUE_BEGINS_ANEW,
		.fallback = "=dropout",
		.help = "Dropout behind the feed-forward part"},
	{.key = "attention_output_dropout",
		REAL_OPTION(struct sasrec, attention_output_dropout, 0, .99),
		.going_on = VALUE_BEGINS_ANEW,
		.fallback = "0",
		.help = "Dropout behind the attention"},
	{.key = "activation_dropout",
		REAL_OPTION(struct sasrec, activation_dropout, 0, .99),
		.going_on = VALUE_BEGINS_ANEW,
		.fallback = "=hidden_dropout",
		.help = "Dropout inside the feed-forward part"},
	{INCLUDED_OPTIONS(struct sasrec, item_options, item_options)},
	{0},
};

static void check(const void *state, const char *where)
{
	const struct sasrec *s = state;
	option_require_multiple(options, where, "hidden_size", s->d, "num_attention_heads", s->heads);
}

static void declare(struct model *model, const char *where)
{
	struct sasrec *s = model->state;
	s->items = items_declare(model, &s->item_options, s->d, s->d, where);
	if (s->positions != NO_POSITIONS)
		s->position = params_add(&model->params, s->max_length, s->d, false, "position_embedding.weight");
	if (s->input_norm)
		declare_norm(model, &s->first, "input_norm");
	for (int i = 0; i < s->n_layers; i++)
		declare_layer(model, &s->layers[i], i);
	if (s->final_norm)
		declare_norm(model, &s->last, "final_norm");
}

/* Matrices at random, biases 0, norms 1. */
static void initialise(struct model *model, struct rng *rng)
{
	const struct sasrec *s = model->state;
	for (int i = 0; i < model->params.count; i++) {
		struct param *param = model->params.list[i];
		if (param->frozen)
			continue;
		if (param->n_dims == 2 && s->initialiser == NORMAL)
			param_normal(param, rng, .02);
		else if (param->n_dims == 2)
			param_xavier(param, rng);
		else if (strstr(param->name, "norm.weight"))
			param_fill(param, 1);
	}
}

/* --- forward --- */

static struct array *embed_items(struct tape *tape, const struct sasrec *s, const struct histories *histories)
{
	int64_t base = histories->indptr[0], n = histories->indptr[histories->rows] - base;
	int32_t *position = NULL;
	if (s->position) {
		position = arena_take(&tape->arena, n, 1, sizeof *position);
		for (int64_t row = 0; row < histories->rows; row++) {
			int64_t from = histories->indptr[row], to = histories->indptr[row + 1];
			int64_t first = s->positions == FROM_END ? s->max_length - (to - from) : 0;
			for (int64_t t = from; t < to; t++)
				position[t - base] = (int32_t)(first + t - from);
		}
	}
	return embedding(tape, tape_param(tape, s->items), histories->item + histories->indptr[0], n,
		s->scale_embedding ? sqrtf((float)s->d) : 1, tape_param(tape, s->position), position, s->embedding_dropout);
}

static struct array *embed(struct tape *tape, const struct sasrec *s, const struct histories *histories)
{
	struct array *x = embed_items(tape, s, histories);
	if (!(s->history_mean > 0))
		return x;
	struct array *with_mean = with_history_mean(tape, x, s->history_decay, s->history_mean, histories->indptr,
		histories->rows);
	tape_done(tape, x);
	return with_mean;
}

static struct array *norm(struct tape *tape, const struct sasrec *s, const struct norm *norm, struct array *x,
	struct array *update, struct array **sum)
{
	return residual_norm(tape, x, update, tape_param(tape, norm->weight), tape_param(tape, norm->bias), s->epsilon,
		sum);
}

static struct array *attention(struct tape *tape, const struct sasrec *s, const struct layer *layer,
	struct array *for_query, struct array *for_key, const struct histories *histories)
{
	int64_t d = s->d;
	struct array *q, *kv;
	if (for_query == for_key) {
		kv = linear(tape, for_key, tape_params(tape, layer->query, layer->value),
			tape_params(tape, layer->query_bias, layer->value_bias), ACT_NONE, 0);
		q = tape_columns(tape, kv, 0, d);
	} else {
		q = linear(tape, for_query, tape_param(tape, layer->query), tape_param(tape, layer->query_bias), ACT_NONE, 0);
		kv = linear(tape, for_key, tape_params(tape, layer->key, layer->value),
			tape_params(tape, layer->key_bias, layer->value_bias), ACT_NONE, 0);
	}
	struct array *k = tape_columns(tape, kv, kv->columns - 2 * d, d), *v = tape_columns(tape, kv, kv->columns - d, d);
	const struct attention_kind kind = {.heads = s->heads, .dropout = s->attention_dropout};
	struct array *seen = self_attention(tape, q, k, v, &kind, histories->indptr, histories->rows);
	return linear(tape, seen, tape_param(tape, layer->out), tape_param(tape, layer->out_bias), ACT_NONE,
		s->attention_output_dropout);
}

static struct array *ffn(struct tape *tape, const struct sasrec *s, const struct layer *layer, struct array *x)
{
	const bool is_gated = s->activation == SWIGLU;
	struct array *inner = linear(tape, x, tape_param(tape, layer->up), tape_param(tape, layer->up_bias),
		is_gated ? ACT_NONE : (enum activation)(s->activation + ACT_RELU), s->activation_dropout);
	if (is_gated)
		inner = gated(tape, linear(tape, x, tape_param(tape, layer->ffn_gate), NULL, ACT_NONE, 0), inner, ACT_SILU);
	return linear(tape, inner, tape_param(tape, layer->down), tape_param(tape, layer->down_bias), ACT_NONE,
		s->hidden_dropout);
}

/* The update as it is added to x: 0 by attention, 1 by the FFN. */
static struct array *through_gate(struct tape *tape, const struct layer *layer, int which, struct array *x,
	struct array *update)
{
	if (!layer->gate[which])
		return update;
	struct array *gate = linear(tape, x, tape_param(tape, layer->gate[which]),
		tape_param(tape, layer->gate_bias[which]), ACT_NONE, 0);
	return gated(tape, gate, update, ACT_SIGMOID);
}

static struct array *hidden(struct tape *tape, const struct model *model, const struct histories *histories)
{
	const struct sasrec *s = model->state;
	struct array *x = embed(tape, s, histories), *update = NULL, *sum = NULL;
	if (s->input_norm)
		x = norm(tape, s, &s->first, x, NULL, NULL);
	for (int i = 0; i < s->n_layers; i++) {
		const struct layer *layer = &s->layers[i];
		switch (s->norm) {
		case ORIGINAL: {
			struct array *normal = norm(tape, s, &layer->attention_norm, x, update, &sum);
			update = attention(tape, s, layer, normal, sum, histories);
			x = norm(tape, s, &layer->ffn_norm, normal, update, NULL);
			update = ffn(tape, s, layer, x);
			break;
		}
		case PRE: {
			struct array *normal = norm(tape, s, &layer->attention_norm, x, update, &x);
			update = through_gate(tape, layer, 0, x, attention(tape, s, layer, normal, normal, histories));
			normal = norm(tape, s, &layer->ffn_norm, x, update, &x);
			update = through_gate(tape, layer, 1, x, ffn(tape, s, layer, normal));
			break;
		}
		case POST:
			x = norm(tape, s, &layer->attention_norm, x, attention(tape, s, layer, x, x, histories), NULL);
			x = norm(tape, s, &layer->ffn_norm, x, ffn(tape, s, layer, x), NULL);
			break;
		}
	}
	if (s->final_norm)
		return norm(tape, s, &s->last, x, update, NULL);
	return update ? add(tape, x, update) : x;
}

#define SASREC_OF(rows)                                                                                                \
	.options = (rows), .size = sizeof(struct sasrec), .check = check, .declare = declare, .initialise = initialise,    \
	.hidden = hidden, .tokens_at_once = 1024

const struct architecture sasrec_architecture = {
	.name = "sasrec",
	.summary = "self-attention over the history (Kang & McAuley 2018)",
	SASREC_OF(options),
};

static void inner_of_esasrec(void *values)
{
	struct sasrec *s = values;
	s->inner = 4 * s->d;
}

static const struct option esasrec_options[] = {
	{.key = "gates",
		YES_NO_OPTION(struct sasrec, gates),
		.fallback = "yes",
		.only = "norm=pre",
		.help = "Multiply what a part adds by a learned sigmoid of what it is added to (LiGR)"},
	{.key = "hidden_act", OTHER_DEFAULT("swiglu")},
	{.key = "intermediate_size", .derive = inner_of_esasrec, OTHER_DEFAULT("4 x hidden_size")},
	{.key = "positions", OTHER_DEFAULT("end")},
	{.key = "final_norm", OTHER_DEFAULT("no")},
	{.key = "layer_norm_eps", OTHER_DEFAULT("1e-5")},
	{.key = "attention_output_dropout", OTHER_DEFAULT("=dropout")},
	{.key = "initialiser", OTHER_DEFAULT("xavier")},
	{.kind = OPTION_INCLUDE, .included = options},
	{0},
};

const struct architecture esasrec_architecture = {
	.name = "esasrec",
	.summary = "sasrec of gated blocks, LiGR, as eSASRec (Tikhonovich et al. 2025)",
	SASREC_OF(esasrec_options),
};
