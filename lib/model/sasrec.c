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

static const char *const norm_names[] = {"original", "pre", "post", NULL};
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
	struct param *up, *up_bias, *down, *down_bias;
};

struct sasrec {
	enum { ORIGINAL, PRE, POST } norm;
	enum { FROM_START, FROM_END, NO_POSITIONS } positions;
	enum { NORMAL, XAVIER } initialiser;
	enum activation activation;
	int64_t d, max_length;
	int n_layers, heads;
	float scale, epsilon;
	bool input_norm, final_norm;
	float embedding_dropout, attention_dropout, attention_output_dropout, activation_dropout, hidden_dropout;
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

static void declare_layer(struct model *model, struct layer *layer, int i, int64_t inner)
{
	struct params *params = &model->params;
	int64_t d = ((struct sasrec *)model->state)->d;
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
	layer->up = params_add(params, inner, d, false, "layers.%d.ffn.intermediate.weight", i);
	layer->up_bias = params_add(params, 0, inner, false, "layers.%d.ffn.intermediate.bias", i);
	layer->down = params_add(params, d, inner, false, "layers.%d.ffn.output.weight", i);
	layer->down_bias = params_add(params, 0, d, false, "layers.%d.ffn.output.bias", i);
}

static void read_dropout(struct model *model, struct sasrec *s, const char *where)
{
	double p = config_real(model, "dropout", .1, 0, .99, where);
	s->embedding_dropout = (float)config_real(model, "embedding_dropout", p, 0, .99, where);
	s->attention_dropout = (float)config_real(model, "attention_dropout", p, 0, .99, where);
	s->hidden_dropout = (float)config_real(model, "hidden_dropout", p, 0, .99, where);
	s->attention_output_dropout = (float)config_real(model, "attention_output_dropout", 0, 0, .99, where);
	s->activation_dropout = (float)config_real(model, "activation_dropout", s->hidden_dropout, 0, .99, where);
}

static void declare(struct model *model, const char *where)
{
	struct sasrec *s = model->state = xcalloc(1, sizeof *s);
	struct params *params = &model->params;
	s->d = config_int(model, "hidden_size", 64, 1, 1 << 14, where);
	s->n_layers = (int)config_int(model, "num_hidden_layers", 2, 1, COUNT_OF(s->layers), where);
	s->heads = (int)config_int(model, "num_attention_heads", 2, 1, 256, where);
	if (s->d % s->heads)
		die("%s: \"hidden_size\" %lld is not a multiple of \"num_attention_heads\" %d", where, (long long)s->d,
			s->heads);
	int64_t inner = config_int(model, "intermediate_size", s->d, 1, 1 << 16, where);
	s->activation = (enum activation)config_choice(model, "hidden_act", activation_names, ACT_RELU, where);
	s->norm = config_choice(model, "norm", norm_names, PRE, where);
	s->input_norm = config_bool(model, "input_norm", false, where);
	s->final_norm = config_bool(model, "final_norm", s->norm != POST, where);
	s->epsilon = (float)config_real(model, "layer_norm_eps", 1e-8, 0, 1, where);
	s->positions = config_choice(model, "positions", position_names, FROM_START, where);
	s->max_length = config_int(model, "max_length", 200, 1, 1 << 16, where);
	s->scale = config_bool(model, "scale_embedding", true, where) ? sqrtf((float)s->d) : 1;
	s->initialiser = config_choice(model, "initialiser", initialisers, NORMAL, where);
	read_dropout(model, s, where);
	if (s->norm != POST && !s->final_norm)
		die("%s: \"final_norm\" is false, with \"norm\" \"%s\" it cannot be", where, norm_names[s->norm]);

	s->items = items_declare(model, s->d, s->d, where);
	if (s->positions != NO_POSITIONS)
		s->position = params_add(params, s->max_length, s->d, false, "position_embedding.weight");
	if (s->input_norm)
		declare_norm(model, &s->first, "input_norm");
	for (int i = 0; i < s->n_layers; i++)
		declare_layer(model, &s->layers[i], i, inner);
	if (s->final_norm)
		declare_norm(model, &s->last, "final_norm");
}

/* Matrices at random, biases 0, norms 1. */
static void initialise(struct model *model, struct rng *rng)
{
	const struct sasrec *s = model->state;
	for (int i = 0; i < model->params.count; i++) {
		struct param *param = model->params.list[i];
		if (param->n_dims == 2 && s->initialiser == NORMAL)
			param_normal(param, rng, .02);
		else if (param->n_dims == 2)
			param_xavier(param, rng);
		else if (strstr(param->name, "norm.weight"))
			param_fill(param, 1);
	}
}

/* --- forward --- */

static struct array *embed(struct tape *tape, const struct sasrec *s, const struct histories *histories)
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
	return embedding(tape, tape_param(tape, s->items), histories->item + histories->indptr[0], n, s->scale,
		tape_param(tape, s->position), position, s->embedding_dropout);
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
	struct array *seen = causal_attention(tape, q, k, v, s->heads, histories->indptr, histories->rows,
		s->attention_dropout);
	return linear(tape, seen, tape_param(tape, layer->out), tape_param(tape, layer->out_bias), ACT_NONE,
		s->attention_output_dropout);
}

static struct array *ffn(struct tape *tape, const struct sasrec *s, const struct layer *layer, struct array *x)
{
	struct array *inner = linear(tape, x, tape_param(tape, layer->up), tape_param(tape, layer->up_bias), s->activation,
		s->activation_dropout);
	return linear(tape, inner, tape_param(tape, layer->down), tape_param(tape, layer->down_bias), ACT_NONE,
		s->hidden_dropout);
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
			update = attention(tape, s, layer, normal, normal, histories);
			normal = norm(tape, s, &layer->ffn_norm, x, update, &x);
			update = ffn(tape, s, layer, normal);
			break;
		}
		case POST:
			x = norm(tape, s, &layer->attention_norm, x, attention(tape, s, layer, x, x, histories), NULL);
			x = norm(tape, s, &layer->ffn_norm, x, ffn(tape, s, layer, x), NULL);
			break;
		}
	}
	return s->final_norm ? norm(tape, s, &s->last, x, update, NULL) : x;
}

const struct architecture sasrec_architecture = {
	.name = "sasrec",
	.summary = "self-attention over the history (Kang & McAuley 2018)",
	.declare = declare,
	.initialise = initialise,
	.hidden = hidden,
	.tokens_at_once = 1024,
};
