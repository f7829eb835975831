/*
 * GPT-2 (Radford et al. 2019): learned positions are added to the tokens; then
 * x + Attention(norm(x)) and x + FFN(norm(x)) with layer norms, biases everywhere,
 * queries, keys and values from one matrix, and GELU by tanh.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/llm.h"
#include "nn/ops.h"

struct affine {
	struct param *weight, *bias;
};

struct layer {
	struct affine attention_norm, qkv, out, ffn_norm, up, down;
};

struct gpt2 {
	struct llm llm;
	int64_t d;
	int n_layers, heads;
	float epsilon;
	enum activation activation;
	struct param *positions;
	struct affine last_norm;
	struct layer *layers;
};

/* rows 0: a norm */
static struct affine affine(struct model *model, int64_t rows, int64_t columns, int layer, const char *name)
{
	return (struct affine){
		params_add(&model->params, rows, columns, false, "transformer.h.%d.%s.weight", layer, name),
		params_add(&model->params, 0, rows ? rows : columns, false, "transformer.h.%d.%s.bias", layer, name),
	};
}

static struct array *states(struct tape *tape, const struct model *model, struct array *embeddings,
	const int64_t *indptr, int64_t sequences);
static void to_integers(const struct model *model);

static void declare(struct model *model, const char *where)
{
	struct gpt2 *g = model->state = xcalloc(1, sizeof *g);
	config_int(model, "vocab_size", model->n_items, model->n_items, model->n_items, where);
	g->d = config_int(model, "n_embd", 256, 1, 1 << 16, where);
	g->n_layers = (int)config_int(model, "n_layer", 4, 1, 1024, where);
	g->heads = (int)config_int(model, "n_head", 4, 1, 1024, where);
	int64_t inner = config_int(model, "n_inner", 4 * g->d, 1, 1 << 18, where);
	int64_t longest = config_int(model, "n_positions", 512, 1, 1 << 20, where);
	config_int(model, "max_length", longest, 1, longest, where);
	g->epsilon = (float)config_real(model, "layer_norm_epsilon", 1e-5, 0, 1, where);
	g->activation = (enum activation)config_choice(model, "activation_function", activation_names, ACT_GELU_NEW, where);
	if (g->d % g->heads)
		die("%s: \"n_embd\" %lld is not a multiple of \"n_head\" %d", where, (long long)g->d, g->heads);
	if (config_bool(model, "scale_attn_by_inverse_layer_idx", false, where))
		die("%s: \"scale_attn_by_inverse_layer_idx\" is not supported", where);

	g->llm.states = states;
	g->llm.to_integers = to_integers;
	g->llm.tokens = params_add(&model->params, model->n_items, g->d, false, "transformer.wte.weight");
	g->positions = params_add(&model->params, longest, g->d, false, "transformer.wpe.weight");
	g->layers = xcalloc((size_t)g->n_layers, sizeof *g->layers);
	for (int i = 0; i < g->n_layers; i++)
		g->layers[i] = (struct layer){
			.attention_norm = affine(model, 0, g->d, i, "ln_1"),
			.qkv = affine(model, 3 * g->d, g->d, i, "attn.c_attn"),
			.out = affine(model, g->d, g->d, i, "attn.c_proj"),
			.ffn_norm = affine(model, 0, g->d, i, "ln_2"),
			.up = affine(model, inner, g->d, i, "mlp.c_fc"),
			.down = affine(model, g->d, inner, i, "mlp.c_proj"),
		};
	g->last_norm.weight = params_add(&model->params, 0, g->d, false, "transformer.ln_f.weight");
	g->last_norm.bias = params_add(&model->params, 0, g->d, false, "transformer.ln_f.bias");
	bool tied = config_bool(model, "tie_word_embeddings", true, where);
	model->item_vectors = tied ? g->llm.tokens :
								 params_add(&model->params, model->n_items, g->d, false, "lm_head.weight");
}

/* Matrices at random, those that add to the residual stream the smaller the more there are; norms 1. */
static void initialise(struct model *model, struct rng *rng)
{
	const struct gpt2 *g = model->state;
	for (int i = 0; i < model->params.count; i++) {
		struct param *param = model->params.list[i];
		if (param->n_dims == 2)
			param_normal(param, rng, strstr(param->name, "c_proj") ? .02 / sqrt(2. * g->n_layers) : .02);
		else if (strstr(param->name, ".ln_") && strstr(param->name, "weight"))
			param_fill(param, 1);
	}
}

static void release(struct model *model)
{
	free(((struct gpt2 *)model->state)->layers);
	llm_release(model);
}

/* --- forward --- */

static struct array *positions_of(struct tape *tape, const struct gpt2 *g, const int64_t *indptr, int64_t sequences)
{
	int64_t n = indptr[sequences] - indptr[0];
	int32_t *position = arena_take(&tape->arena, n, 1, sizeof *position);
	for (int64_t s = 0; s < sequences; s++)
		for (int64_t t = indptr[s]; t < indptr[s + 1]; t++)
			position[t - indptr[0]] = (int32_t)(t - indptr[s]);
	return embedding(tape, tape_param(tape, g->positions), position, n, 1, NULL, NULL, 0);
}

/* Applies it, and is done with x. */
static struct array *apply(struct tape *tape, const struct affine *affine, struct array *x, enum activation activation)
{
	struct array *out = linear(tape, x, tape_param(tape, affine->weight), tape_param(tape, affine->bias), activation,
		0);
	tape_done(tape, x);
	return out;
}

/* The norm of *x + update, which becomes the new *x. */
static struct array *norm(struct tape *tape, const struct gpt2 *g, const struct affine *norm, struct array **x,
	struct array *update)
{
	struct array *sum,
		*normal = residual_norm(tape, *x, update, tape_param(tape, norm->weight), tape_param(tape, norm->bias),
			g->epsilon, &sum);
	tape_done(tape, *x);
	tape_done(tape, update);
	*x = sum;
	return normal;
}

static struct array *attention(struct tape *tape, const struct gpt2 *g, const struct layer *layer, struct array *x,
	const int64_t *indptr, int64_t sequences)
{
	struct array *qkv = apply(tape, &layer->qkv, x, ACT_NONE);
	struct array *q = tape_columns(tape, qkv, 0, g->d), *k = tape_columns(tape, qkv, g->d, g->d);
	struct array *v = tape_columns(tape, qkv, 2 * g->d, g->d);
	struct array *seen = causal_attention(tape, q, k, v, g->heads, indptr, sequences, 0);
	tape_done(tape, qkv);
	return apply(tape, &layer->out, seen, ACT_NONE);
}

static struct array *states(struct tape *tape, const struct model *model, struct array *embeddings,
	const int64_t *indptr, int64_t sequences)
{
	const struct gpt2 *g = model->state;
	struct array *x = embeddings, *update = positions_of(tape, g, indptr, sequences);
	for (int i = 0; i < g->n_layers; i++) {
		const struct layer *layer = &g->layers[i];
		update = attention(tape, g, layer, norm(tape, g, &layer->attention_norm, &x, update), indptr, sequences);
		struct array *inner = apply(tape, &layer->up, norm(tape, g, &layer->ffn_norm, &x, update), g->activation);
		update = apply(tape, &layer->down, inner, ACT_NONE);
	}
	struct array *last = norm(tape, g, &g->last_norm, &x, update);
	tape_done(tape, x);
	return last;
}

static void to_integers(const struct model *model)
{
	const struct gpt2 *g = model->state;
	for (int i = 0; i < g->n_layers; i++) {
		const struct layer *layer = &g->layers[i];
		struct param *const matrices[] = {layer->qkv.weight, layer->out.weight, layer->up.weight, layer->down.weight};
		for (size_t j = 0; j < COUNT_OF(matrices); j++)
			params_pack(matrices[j], matrices[j], PACKED_INTEGERS);
	}
}

const struct architecture gpt2_architecture = {
	.name = "gpt2",
	.summary = "a language model (GPT-2: Radford et al. 2019)",
	.reads_tokens = true,
	.declare = declare,
	.initialise = initialise,
	.hidden = llm_hidden_of_tokens,
	.tokens_at_once = 256,
	.release = release,
};
