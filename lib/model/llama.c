/*
 * The LLaMA family (Touvron et al. 2023): x + Attention(norm(x)), then
 * x + SwiGLU(norm(x)), with RMSNorm, rotary positions on queries and keys, and
 * groups of query heads that share keys and values (Ainslie et al. 2023). Members
 * differ in sizes, in the scaling of rotary positions, in biases, and in whether
 * the head is the token embedding.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/llm.h"
#include "nn/ops.h"

static const char *const families[] = {"llama", "qwen2", NULL};
static const char *const pairings[] = {"half", "interleaved", NULL};
static const char *const activations[] = {"silu", NULL};

enum { QUERY, KEY, VALUE };
enum { GATE, UP };

struct layer {
	struct param *attention_norm, *ffn_norm;
	struct param *qkv[3], *qkv_bias[3]; /* in memory end to end, unless mapped from a file */
	struct param *out, *out_bias;
	struct param *gate_up[2], *gate_up_bias[2];
	struct param *down, *down_bias;
};

struct llama {
	struct llm llm;
	int64_t d, inner, head_width;
	int n_layers, heads, key_heads;
	float epsilon;
	struct rope rope;
	float *frequency;
	struct param *last_norm;
	struct layer *layers;
};

/* --- rotary positions --- */

/* LLaMA 3.1: long waves are slowed down by the factor, short ones kept, those between blended. */
static double blend(double frequency, const json_t *scaling, double factor, const char *where)
{
	double low = json_get_number(scaling, "low_freq_factor", where),
		   high = json_get_number(scaling, "high_freq_factor", where);
	double length = json_get_number(scaling, "original_max_position_embeddings", where);
	double turns = length * frequency / (2 * acos(-1)), share = (turns - low) / (high - low);
	if (!(high > low))
		die("%s: rope_scaling: \"high_freq_factor\" is not above \"low_freq_factor\"", where);
	share = share < 0 ? 0 : share > 1 ? 1 : share;
	return (1 - share) * frequency / factor + share * frequency;
}

static void scale_frequencies(float *frequency, int64_t pairs, const json_t *scaling, const char *where)
{
	const char *type = json_get_string(scaling, "rope_type", where);
	bool linear = !strcmp(type, "linear"), llama3 = !strcmp(type, "llama3"), factors = !strcmp(type, "factors");
	if (!strcmp(type, "dynamic")) /* no change within max_position_embeddings */
		return;
	if (!linear && !llama3 && !factors)
		die("%s: \"rope_type\" is \"%.40s\", linear, llama3, factors or dynamic was expected", where, type);
	const json_t *list = json_object_get(scaling, "factors");
	if (factors && json_array_size(list) != (size_t)pairs)
		die("%s: rope_scaling: \"factors\" are %zu, %lld were expected", where, json_array_size(list),
			(long long)pairs);
	double one = factors ? 1 : json_get_number(scaling, "factor", where);
	for (int64_t m = 0; m < pairs; m++) {
		double factor = factors ? json_number_value(json_array_get(list, (size_t)m)) : one;
		if (!(factor > 0))
			die("%s: rope_scaling: a factor of %g", where, factor);
		frequency[m] = (float)(llama3 ? blend((double)frequency[m], scaling, factor, where) :
										(double)frequency[m] / factor);
	}
}

static void declare_rope(struct model *model, struct llama *l, const char *where)
{
	int64_t pairs = l->head_width / 2;
	double base = config_real(model, "rope_theta", 10000, 1, 1e12, where);
	int pairing = config_choice(model, "rope_pairing", pairings, ROPE_HALF, where);
	l->frequency = xaligned((size_t)pairs, sizeof *l->frequency);
	for (int64_t m = 0; m < pairs; m++)
		l->frequency[m] = (float)pow(base, -2 * (double)m / (double)l->head_width);
	l->rope = (struct rope){l->head_width, (enum rope_pairing)pairing, l->frequency};
	const json_t *scaling = json_object_get(model->config, "rope_scaling");
	if (scaling && !json_is_null(scaling))
		scale_frequencies(l->frequency, pairs, scaling, where);
}

/* --- parameters --- */

static struct param *matrix(struct model *model, int64_t rows, int64_t columns, int layer, const char *name)
{
	return params_add(&model->params, rows, columns, false, "model.layers.%d.%s.weight", layer, name);
}

static struct param *bias(struct model *model, bool wanted, int64_t columns, int layer, const char *name)
{
	return wanted ? params_add(&model->params, 0, columns, false, "model.layers.%d.%s.bias", layer, name) : NULL;
}

struct biases {
	bool attention, attention_out, ffn;
};

static void declare_layer(struct model *model, struct llama *l, int i, struct biases has)
{
	static const char *const qkv[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"};
	static const char *const gate_up[] = {"mlp.gate_proj", "mlp.up_proj"};
	struct layer *layer = &l->layers[i];
	int64_t width = l->heads * l->head_width, key_width = l->key_heads * l->head_width;
	layer->attention_norm = matrix(model, 0, l->d, i, "input_layernorm");
	for (int part = QUERY; part <= VALUE; part++)
		layer->qkv[part] = matrix(model, part == QUERY ? width : key_width, l->d, i, qkv[part]);
	for (int part = QUERY; part <= VALUE; part++)
		layer->qkv_bias[part] = bias(model, has.attention, part == QUERY ? width : key_width, i, qkv[part]);
	layer->out = matrix(model, l->d, width, i, "self_attn.o_proj");
	layer->out_bias = bias(model, has.attention_out, l->d, i, "self_attn.o_proj");
	layer->ffn_norm = matrix(model, 0, l->d, i, "post_attention_layernorm");
	for (int part = GATE; part <= UP; part++)
		layer->gate_up[part] = matrix(model, l->inner, l->d, i, gate_up[part]);
	for (int part = GATE; part <= UP; part++)
		layer->gate_up_bias[part] = bias(model, has.ffn, l->inner, i, gate_up[part]);
	layer->down = matrix(model, l->d, l->inner, i, "mlp.down_proj");
	layer->down_bias = bias(model, has.ffn, l->d, i, "mlp.down_proj");
}

static struct array *states(struct tape *tape, const struct model *model, struct array *embeddings,
	const int64_t *indptr, int64_t sequences);
static void to_integers(const struct model *model);

static void declare(struct model *model, const char *where)
{
	struct llama *l = model->state = xcalloc(1, sizeof *l);
	bool qwen2 = config_choice(model, "model_type", families, 0, where);
	config_int(model, "vocab_size", model->n_items, model->n_items, model->n_items, where);
	l->d = config_int(model, "hidden_size", 256, 1, 1 << 16, where);
	l->n_layers = (int)config_int(model, "num_hidden_layers", 4, 1, 1024, where);
	l->heads = (int)config_int(model, "num_attention_heads", 4, 1, 1024, where);
	l->key_heads = (int)config_int(model, "num_key_value_heads", l->heads, 1, l->heads, where);
	l->head_width = config_int(model, "head_dim", l->d / l->heads, 2, 1 << 12, where);
	l->inner = config_int(model, "intermediate_size", (l->d * 8 / 3 + 63) / 64 * 64, 1, 1 << 18, where);
	l->epsilon = (float)config_real(model, "rms_norm_eps", 1e-5, 0, 1, where);
	int64_t longest = config_int(model, "max_position_embeddings", 512, 1, INT32_MAX, where);
	config_int(model, "max_length", longest, 1, longest, where);
	config_choice(model, "hidden_act", activations, 0, where);
	if (l->heads % l->key_heads)
		die("%s: \"num_attention_heads\" %d is not a multiple of \"num_key_value_heads\" %d", where, l->heads,
			l->key_heads);
	if (l->head_width % 2)
		die("%s: \"head_dim\" is %lld, an even number was expected", where, (long long)l->head_width);
	bool attention_bias = config_bool(model, "attention_bias", qwen2, where);
	struct biases has = {attention_bias, attention_bias && !qwen2, config_bool(model, "mlp_bias", false, where)};
	declare_rope(model, l, where);

	l->llm.states = states;
	l->llm.to_integers = to_integers;
	l->llm.tokens = params_add(&model->params, model->n_items, l->d, false, "model.embed_tokens.weight");
	l->layers = xcalloc((size_t)l->n_layers, sizeof *l->layers);
	for (int i = 0; i < l->n_layers; i++)
		declare_layer(model, l, i, has);
	l->last_norm = params_add(&model->params, 0, l->d, false, "model.norm.weight");
	bool tied = config_bool(model, "tie_word_embeddings", true, where);
	model->item_vectors = tied ? l->llm.tokens :
								 params_add(&model->params, model->n_items, l->d, false, "lm_head.weight");
}

/* As GPT-2's: matrices at random, those that add to the residual stream the smaller the more there are; norms 1. */
static void initialise(struct model *model, struct rng *rng)
{
	const struct llama *l = model->state;
	for (int i = 0; i < model->params.count; i++) {
		struct param *param = model->params.list[i];
		bool residual = strstr(param->name, "o_proj") || strstr(param->name, "down_proj");
		if (param->n_dims == 2)
			param_normal(param, rng, residual ? .02 / sqrt(2. * l->n_layers) : .02);
		else if (strstr(param->name, "norm"))
			param_fill(param, 1);
	}
}

static void release(struct model *model)
{
	struct llama *l = model->state;
	free(l->layers);
	free(l->frequency);
	llm_release(model);
}

/* --- forward --- */

static bool adjacent(struct param *const params[], int count)
{
	for (int i = 1; params[0] && i < count; i++)
		if (params[i]->value != params[i - 1]->value + param_count(params[i - 1]))
			return false;
	return true;
}

/* Several matrices of one x that lie end to end, biases too, are one. */
static bool are_one(struct param *const weights[], struct param *const biases[], int count)
{
	return adjacent(weights, count) && adjacent(biases, count);
}

/* One x through several matrices, the columns of the product side by side where they are one. */
static void project(struct tape *tape, struct array *x, struct param *const weights[], struct param *const biases[],
	int count, struct array *out[])
{
	if (!are_one(weights, biases, count)) {
		for (int i = 0; i < count; i++)
			out[i] = linear(tape, x, tape_param(tape, weights[i]), tape_param(tape, biases[i]), ACT_NONE, 0);
		return;
	}
	struct array *all = linear(tape, x, tape_params(tape, weights[0], weights[count - 1]),
		biases[0] ? tape_params(tape, biases[0], biases[count - 1]) : NULL, ACT_NONE, 0);
	int64_t at = 0;
	for (int i = 0; i < count; i++) {
		out[i] = tape_columns(tape, all, at, weights[i]->rows);
		at += weights[i]->rows;
	}
}

static void group_to_integers(struct param *const weights[], struct param *const biases[], int count)
{
	bool as_one = are_one(weights, biases, count);
	for (int i = 0; i < (as_one ? 1 : count); i++)
		params_pack(weights[i], weights[as_one ? count - 1 : i], PACKED_INTEGERS);
}

static void to_integers(const struct model *model)
{
	const struct llama *l = model->state;
	for (int i = 0; i < l->n_layers; i++) {
		const struct layer *layer = &l->layers[i];
		group_to_integers(layer->qkv, layer->qkv_bias, 3);
		group_to_integers(&layer->out, &layer->out_bias, 1);
		group_to_integers(layer->gate_up, layer->gate_up_bias, 2);
		group_to_integers(&layer->down, &layer->down_bias, 1);
	}
}

/* The norm of *x + update, which becomes the new *x. */
static struct array *norm(struct tape *tape, const struct llama *l, const struct param *weight, struct array **x,
	struct array *update)
{
	struct array *sum, *normal = residual_rms_norm(tape, *x, update, tape_param(tape, weight), l->epsilon, &sum);
	if (update) {
		tape_done(tape, *x);
		tape_done(tape, update);
	}
	*x = sum;
	return normal;
}

static struct array *attention(struct tape *tape, const struct llama *l, const struct layer *layer, struct array *x,
	const struct rope_angles *angles, const int64_t *indptr, int64_t sequences)
{
	struct array *qkv[3];
	project(tape, x, layer->qkv, layer->qkv_bias, 3, qkv);
	tape_done(tape, x);
	rotate(tape, qkv[QUERY], angles);
	rotate(tape, qkv[KEY], angles);
	struct array *seen = causal_attention(tape, qkv[QUERY], qkv[KEY], qkv[VALUE], l->heads, indptr, sequences, 0);
	for (int part = QUERY; part <= VALUE; part++)
		tape_done(tape, qkv[part]);
	struct array *out = linear(tape, seen, tape_param(tape, layer->out), tape_param(tape, layer->out_bias), ACT_NONE,
		0);
	tape_done(tape, seen);
	return out;
}

static struct array *ffn(struct tape *tape, const struct layer *layer, struct array *x)
{
	struct array *gate_up[2];
	project(tape, x, layer->gate_up, layer->gate_up_bias, 2, gate_up);
	tape_done(tape, x);
	struct array *inner = swiglu(tape, gate_up[GATE], gate_up[UP]);
	for (int part = GATE; part <= UP; part++)
		tape_done(tape, gate_up[part]);
	struct array *out = linear(tape, inner, tape_param(tape, layer->down), tape_param(tape, layer->down_bias), ACT_NONE,
		0);
	tape_done(tape, inner);
	return out;
}

static struct array *states(struct tape *tape, const struct model *model, struct array *embeddings,
	const int64_t *indptr, int64_t sequences)
{
	const struct llama *l = model->state;
	const struct rope_angles *angles = rope_angles(tape, &l->rope, indptr, sequences);
	struct array *x = embeddings, *update = NULL;
	for (int i = 0; i < l->n_layers; i++) {
		const struct layer *layer = &l->layers[i];
		update = attention(tape, l, layer, norm(tape, l, layer->attention_norm, &x, update), angles, indptr, sequences);
		update = ffn(tape, layer, norm(tape, l, layer->ffn_norm, &x, update));
	}
	struct array *last = norm(tape, l, l->last_norm, &x, update);
	tape_done(tape, x);
	return last;
}

const struct architecture llama_architecture = {
	.name = "llama",
	.summary = "a language model (LLaMA: Touvron et al. 2023)",
	.reads_tokens = true,
	.declare = declare,
	.initialise = initialise,
	.hidden = llm_hidden_of_tokens,
	.tokens_at_once = 256,
	.release = release,
};
