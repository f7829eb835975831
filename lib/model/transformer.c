/*
 * LLaMA and its like (Touvron et al. 2023): x + Attention(norm(x)), then x + FFN(norm(x)). Families differ in the kind and
 * the places of norms, in what becomes of queries and keys, in whether an FFN has a gate, in biases, in the windows of their
 * layers, and in factors here and there; GPT-NeoX computes both sums from one x (Wang & Komatsuzaki 2021).
 */
#include "model/transformer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/family.h"
#include "data/weights.h"
#include "model/llm.h"
#include "model/rotary.h"
#include "nn/rows.h"

static const char *const pairings[] = {"half", "interleaved", NULL};
static const char *const activations[] = {"silu", "swish", "gelu", "gelu_new", "gelu_pytorch_tanh", "relu", NULL};
static const enum activation activation_of[] = {ACT_SILU, ACT_SILU, ACT_GELU, ACT_GELU_NEW, ACT_GELU_NEW, ACT_RELU};

enum { QUERY, KEY, VALUE };
enum { GATE, UP };

struct affine {
	struct param *weight, *bias; /* NULL: there is none */
};

/* Matrices of one x: one, or several that lie end to end in memory, unless they are mapped from a file. */
struct joined {
	struct param *weight[3], *bias[3];
	int count;
};

struct layer {
	struct affine attention_norm, query_norm, key_norm, post_attention_norm, ffn_norm, post_ffn_norm;
	struct joined qkv, gate_up; /* of a plain FFN: up alone */
	struct affine out, down;
	int64_t window;          /* 0: all that is before a token */
	const struct rope *rope; /* NULL: it does not turn */
};

struct transformer {
	const struct family *family;
	int64_t d, inner, head_width;
	int n_layers, heads, key_heads;
	float epsilon, scale, softcap, embedding_factor, residual_factor, last_factor;
	enum activation activation;
	bool parallel;
	struct rope rope, local_rope;
	struct param *tokens, *positions;
	struct affine last_norm;
	struct layer *layers;
	struct weights *weights; /* what parameters are mapped from; NULL: they are all the model's own */
};

/* --- configuration --- */

static double factor(const struct model *model, const char *key, double neutral, const char *where)
{
	if (!json_object_get(model->config, key))
		return neutral;
	double number = json_get_number(model->config, key, where);
	if (!(number > 0 && isfinite(number)))
		die("%s: \"%s\" is %g, a number above 0 was expected", where, key, number);
	return number;
}

static void declare_sizes(struct model *model, struct transformer *t, const char *where)
{
	bool plain = t->family->plain_ffn;
	t->d = config_int(model, "hidden_size", 256, 1, 1 << 16, where);
	t->n_layers = (int)config_int(model, "num_hidden_layers", 4, 1, 1024, where);
	t->heads = (int)config_int(model, "num_attention_heads", 4, 1, 1024, where);
	t->key_heads = (int)config_int(model, "num_key_value_heads", t->heads, 1, t->heads, where);
	t->head_width = config_int(model, "head_dim", t->d / t->heads, 1, 1 << 12, where);
	t->inner = config_int(model, "intermediate_size", plain ? 4 * t->d : (t->d * 8 / 3 + 63) / 64 * 64, 1, 1 << 18,
		where);
	if (t->heads % t->key_heads)
		die("%s: \"num_attention_heads\" %d is not a multiple of \"num_key_value_heads\" %d", where, t->heads,
			t->key_heads);
	if (t->family->learned_positions && t->d % t->heads)
		die("%s: \"hidden_size\" %lld is not a multiple of \"num_attention_heads\" %d", where, (long long)t->d,
			t->heads);
}

static void declare_facts(struct model *model, struct transformer *t, const char *where)
{
	const char *epsilon = t->family->norm == NORM_RMS ? "rms_norm_eps" : "layer_norm_eps";
	t->epsilon = (float)config_real(model, epsilon, 1e-5, 0, 1, where);
	int fallback = t->family->plain_ffn ? 3 : 0;
	t->activation = activation_of[config_choice(model, "hidden_act", activations, fallback, where)];
	if (!t->family->plain_ffn && t->activation == ACT_RELU)
		die("%s: \"hidden_act\" is \"relu\", silu or a gelu was expected of a gate", where);
	if (t->family->plain_ffn && t->activation == ACT_SILU)
		die("%s: \"hidden_act\" is \"silu\", relu or a gelu was expected", where);
	t->scale = (float)factor(model, "attention_multiplier", 0, where);
	t->softcap = (float)factor(model, "attn_logit_softcapping", 0, where);
	t->embedding_factor = (float)factor(model, "embedding_multiplier", 1, where);
	t->residual_factor = (float)factor(model, "residual_multiplier", 1, where);
	t->last_factor = (float)(1 / factor(model, "logits_scaling", 1, where));
	factor(model, "final_logit_softcapping", 0, where);
	t->parallel = json_is_true(json_object_get(model->config, "use_parallel_residual"));
}

static void declare_rope(struct model *model, struct transformer *t, const char *where)
{
	double share = factor(model, "partial_rotary_factor", 1, where);
	int64_t turned = (int64_t)((double)t->head_width * share);
	if (share == 1 && turned % 2)
		die("%s: \"head_dim\" is %lld, an even number was expected", where, (long long)t->head_width);
	if (turned < 2 || turned % 2 || turned > t->head_width)
		die("%s: \"partial_rotary_factor\" %g of a \"head_dim\" of %lld: an even number from 2 was expected", where,
			share, (long long)t->head_width);
	double base = config_real(model, "rope_theta", 10000, 1, 1e12, where);
	int pairing = config_choice(model, "rope_pairing", pairings, ROPE_HALF, where);
	double local = factor(model, "rope_local_base_freq", base, where);
	t->rope = rotary_of(t->head_width, turned, (enum rope_pairing)pairing, base,
		json_object_get(model->config, "rope_scaling"), where);
	t->local_rope = rotary_of(t->head_width, turned, (enum rope_pairing)pairing, local, NULL, where);
}

static const json_t *of_layer(const json_t *list, const struct transformer *t, int layer, const char *key,
	const char *where)
{
	if (!json_is_array(list) || json_array_size(list) != (size_t)t->n_layers)
		die("%s: \"%s\": a list of one for each of %d layers was expected", where, key, t->n_layers);
	return json_array_get(list, (size_t)layer);
}

/* What layer i sees, and how it turns. */
static void declare_sight(const struct model *model, struct transformer *t, int i, const char *where)
{
	struct layer *layer = &t->layers[i];
	const json_t *types = json_object_get(model->config, "layer_types");
	const json_t *turns = json_object_get(model->config, "no_rope_layers");
	layer->rope = t->family->learned_positions ? NULL : &t->rope;
	if (types) {
		const char *type = json_string_value(of_layer(types, t, i, "layer_types", where));
		bool slides = type && !strcmp(type, "sliding_attention");
		if (!slides && (!type || strcmp(type, "full_attention")))
			die("%s: \"layer_types\": \"%.40s\", sliding_attention or full_attention was expected", where,
				type ? type : "");
		if (slides)
			layer->window = json_get_int(model->config, "sliding_window", 1, INT32_MAX, where);
		if (slides && json_object_get(model->config, "rope_local_base_freq"))
			layer->rope = &t->local_rope;
	}
	if (turns && !json_integer_value(of_layer(turns, t, i, "no_rope_layers", where)))
		layer->rope = NULL;
}

/* --- parameters --- */

/* rows 0: a norm's, or a bias's. NULL where the family has no such part. */
static struct param *param(struct model *model, enum family_part part, int layer, const char *kind, int64_t rows,
	int64_t columns)
{
	const struct transformer *t = model->state;
	if (!family_has(t->family, part))
		return NULL;
	char *name = family_name(t->family, part, layer);
	struct param *param = params_add(&model->params, rows, columns, false, "%s.%s", name, kind);
	free(name);
	return param;
}

static struct affine norm_of(struct model *model, enum family_part part, int layer, int64_t width)
{
	const struct transformer *t = model->state;
	struct affine norm = {param(model, part, layer, "weight", 0, width), NULL};
	if (t->family->norm == NORM_LAYER)
		norm.bias = param(model, part, layer, "bias", 0, width);
	return norm;
}

static struct affine matrix(struct model *model, enum family_part part, int layer, int64_t rows, int64_t columns,
	bool bias)
{
	struct affine matrix = {param(model, part, layer, "weight", rows, columns), NULL};
	if (bias)
		matrix.bias = param(model, part, layer, "bias", 0, rows);
	return matrix;
}

/* Those of the parts that the family has: all weights, then all biases. */
static struct joined joined_of(struct model *model, const enum family_part parts[], const int64_t rows[], int count,
	int layer, bool bias)
{
	const struct transformer *t = model->state;
	struct joined group = {.count = 0};
	for (int i = 0; i < count; i++)
		if (family_has(t->family, parts[i]))
			group.weight[group.count++] = param(model, parts[i], layer, "weight", rows[i], t->d);
	group.count = 0;
	for (int i = 0; i < count; i++)
		if (family_has(t->family, parts[i])) {
			if (bias)
				group.bias[group.count] = param(model, parts[i], layer, "bias", 0, rows[i]);
			group.count++;
		}
	return group;
}

static void declare_layer(struct model *model, struct transformer *t, int i, bool attention_bias, bool ffn_bias)
{
	static const enum family_part qkv[] = {PART_QKV, PART_QUERY, PART_KEY, PART_VALUE};
	static const enum family_part gate_up[] = {PART_GATE_UP, PART_GATE, PART_UP};
	int64_t width = t->heads * t->head_width, key_width = t->key_heads * t->head_width;
	const int64_t qkv_rows[] = {width + 2 * key_width, width, key_width, key_width};
	const int64_t gate_up_rows[] = {2 * t->inner, t->inner, t->inner};
	bool together = t->family->head_norm == HEADS_TOGETHER;
	struct layer *layer = &t->layers[i];
	layer->attention_norm = norm_of(model, PART_ATTENTION_NORM, i, t->d);
	layer->qkv = joined_of(model, qkv, qkv_rows, COUNT_OF(qkv), i, attention_bias);
	layer->query_norm.weight = param(model, PART_QUERY_NORM, i, "weight", 0, together ? width : t->head_width);
	layer->key_norm.weight = param(model, PART_KEY_NORM, i, "weight", 0, together ? key_width : t->head_width);
	layer->out = matrix(model, PART_OUT, i, t->d, width, attention_bias && !t->family->out_unbiased);
	layer->post_attention_norm = norm_of(model, PART_POST_ATTENTION_NORM, i, t->d);
	layer->ffn_norm = norm_of(model, PART_FFN_NORM, i, t->d);
	layer->gate_up = joined_of(model, gate_up, gate_up_rows, COUNT_OF(gate_up), i, ffn_bias);
	layer->down = matrix(model, PART_DOWN, i, t->d, t->inner, ffn_bias);
	layer->post_ffn_norm = norm_of(model, PART_POST_FFN_NORM, i, t->d);
}

static void declare(struct model *model, const char *where, const char *type)
{
	struct transformer *t = model->state = xcalloc(1, sizeof *t);
	type = config_text(model, "model_type", type, where);
	t->family = family_of_type(type);
	if (!t->family || !t->family->names)
		die("%s: \"model_type\" is \"%.40s\", which is no family of language models", where, type);
	config_int(model, "vocab_size", model->n_items, model->n_items, model->n_items, where);
	declare_sizes(model, t, where);
	declare_facts(model, t, where);
	int64_t longest = config_int(model, "max_position_embeddings", 512, 1,
		t->family->learned_positions ? 1 << 20 : INT32_MAX, where);
	config_int(model, "max_length", longest, 1, longest, where);
	bool attention_bias = config_bool(model, "attention_bias", t->family->norm == NORM_LAYER, where);
	bool ffn_bias = config_bool(model, "mlp_bias", t->family->norm == NORM_LAYER, where);
	if (!t->family->learned_positions)
		declare_rope(model, t, where);

	t->tokens = matrix(model, PART_TOKENS, 0, model->n_items, t->d, false).weight;
	t->positions = matrix(model, PART_POSITIONS, 0, longest, t->d, false).weight;
	t->layers = xcalloc((size_t)t->n_layers, sizeof *t->layers);
	for (int i = 0; i < t->n_layers; i++) {
		declare_sight(model, t, i, where);
		declare_layer(model, t, i, attention_bias, ffn_bias);
	}
	t->last_norm = norm_of(model, PART_LAST_NORM, 0, t->d);
	bool tied = config_bool(model, "tie_word_embeddings", true, where);
	model->item_vectors = tied ? t->tokens : matrix(model, PART_HEAD, 0, model->n_items, t->d, false).weight;
}

/* For the command line; declare() reads the config itself. */
static const struct option options[] = {
	{OPTIONS_TITLE("Model:")},
	{"hidden-size", .key = "hidden_size", .argument = "N", .kind = OPTION_WHOLE, .low = 1, .high = 1 << 16,
		.fallback = "256", .help = "Width of the model"},
	{"layers", .key = "num_hidden_layers", .argument = "N", .kind = OPTION_WHOLE, .low = 1, .high = 1024,
		.fallback = "4", .help = "Blocks"},
	{"heads", .key = "num_attention_heads", .argument = "N", .kind = OPTION_WHOLE, .low = 1, .high = 1024,
		.fallback = "4", .help = "Attention heads"},
	{.key = "intermediate_size",
		.kind = OPTION_WHOLE,
		.low = 1,
		.high = 1 << 18,
		.help = "Width inside the feed-forward part"},
	{0},
};

static void declare_llama(struct model *model, const char *where)
{
	declare(model, where, "llama");
}

static void declare_gpt2(struct model *model, const char *where)
{
	declare(model, where, "gpt2");
}

static bool adds_to_residual(const struct transformer *t, const struct param *param)
{
	for (int i = 0; i < t->n_layers; i++)
		if (param == t->layers[i].out.weight || param == t->layers[i].down.weight)
			return true;
	return false;
}

/* As GPT-2's: matrices at random, those that add to the residual stream the smaller the more there are; norms 1. */
static void initialise(struct model *model, struct rng *rng)
{
	const struct transformer *t = model->state;
	if (json_object_get(model->config, "final_logit_softcapping"))
		die("options: %s: scores that are capped are of models read from files", t->family->model_type);
	for (int i = 0; i < model->params.count; i++) {
		struct param *param = model->params.list[i];
		if (param->n_dims == 2)
			param_normal(param, rng, adds_to_residual(t, param) ? .02 / sqrt(2. * t->n_layers) : .02);
		else if (strstr(param->name, ".weight"))
			param_fill(param, 1);
	}
}

void transformer_keep(struct model *model, struct weights *weights)
{
	((struct transformer *)model->state)->weights = weights;
}

static void release(struct model *model)
{
	struct transformer *t = model->state;
	free(t->layers);
	rotary_free(&t->rope);
	rotary_free(&t->local_rope);
	if (t->weights)
		weights_close(t->weights);
	free(t);
}

/* --- products --- */

static bool adjacent(struct param *const params[], int count)
{
	for (int i = 1; params[0] && i < count; i++)
		if (params[i]->value != params[i - 1]->value + param_count(params[i - 1]))
			return false;
	return true;
}

/* Several matrices of one x that lie end to end, biases too, are one. */
static bool are_one(const struct joined *group)
{
	return adjacent(group->weight, group->count) && adjacent(group->bias, group->count);
}

/* One x through a group: products of so many columns, side by side in memory where the group is one. */
static void project(struct tape *tape, struct array *x, const struct joined *group, const int64_t columns[], int count,
	struct array *out[])
{
	if (!are_one(group)) {
		for (int i = 0; i < count; i++)
			out[i] = linear(tape, x, tape_param(tape, group->weight[i]), tape_param(tape, group->bias[i]), ACT_NONE, 0);
		return;
	}
	int last = group->count - 1;
	struct array *all = linear(tape, x, tape_params(tape, group->weight[0], group->weight[last]),
		group->bias[0] ? tape_params(tape, group->bias[0], group->bias[last]) : NULL, ACT_NONE, 0);
	for (int64_t i = 0, at = 0; i < count; at += columns[i++])
		out[i] = tape_columns(tape, all, at, columns[i]);
}

static void pack_group(const struct joined *group, enum packing packing)
{
	bool as_one = are_one(group);
	for (int i = 0; i < (as_one ? 1 : group->count); i++)
		params_pack(group->weight[i], group->weight[as_one ? group->count - 1 : i], packing);
}

void transformer_pack(const struct model *model, enum packing packing)
{
	const struct transformer *t = model->state;
	for (int i = 0; i < t->n_layers; i++) {
		const struct layer *layer = &t->layers[i];
		pack_group(&layer->qkv, packing);
		pack_group(&layer->gate_up, packing);
		params_pack(layer->out.weight, layer->out.weight, packing);
		params_pack(layer->down.weight, layer->down.weight, packing);
	}
}

/* --- forward --- */

/* A batch's sequences, and how layers turn them. */
struct batch {
	const int64_t *indptr;
	int64_t sequences;
	const struct rope_angles *angles, *local_angles;
};

/* The norm of *x + update, which becomes the new *x. */
static struct array *norm(struct tape *tape, const struct transformer *t, const struct affine *weights,
	struct array **x, struct array *update)
{
	struct array *weight = tape_param(tape, weights->weight), *bias = tape_param(tape, weights->bias), *sum;
	struct array *normal = bias ? residual_norm(tape, *x, update, weight, bias, t->epsilon, &sum) :
								  residual_rms_norm(tape, *x, update, weight, t->epsilon, &sum);
	if (update) {
		tape_done(tape, *x);
		tape_done(tape, update);
	}
	*x = sum;
	return normal;
}

/* Before a sublayer: *x takes in the update; what the sublayer reads. */
static struct array *read_stream(struct tape *tape, const struct transformer *t, const struct affine *weights,
	struct array **x, struct array *update)
{
	if (weights->weight)
		return norm(tape, t, weights, x, update);
	if (update) {
		struct array *sum = add(tape, *x, update);
		tape_done(tape, *x);
		tape_done(tape, update);
		*x = sum;
	}
	return *x;
}

/* Behind a sublayer: what is added to the stream. */
static struct array *finish(struct tape *tape, const struct transformer *t, const struct affine *weights,
	struct array *update)
{
	if (weights->weight) {
		struct array *x = update;
		update = norm(tape, t, weights, &x, NULL);
		tape_done(tape, x);
	}
	if (t->residual_factor != 1) {
		struct array *x = update;
		update = scaled(tape, x, t->residual_factor);
		tape_done(tape, x);
	}
	return update;
}

static struct array *attention(struct tape *tape, const struct transformer *t, const struct layer *layer,
	struct array *x, const struct batch *batch, bool keep_x)
{
	const int64_t columns[] = {t->heads * t->head_width, t->key_heads * t->head_width, t->key_heads * t->head_width};
	const struct attention_kind kind = {.heads = t->heads,
		.scale = t->scale,
		.softcap = t->softcap,
		.window = layer->window};
	struct array *qkv[3];
	project(tape, x, &layer->qkv, columns, 3, qkv);
	if (!keep_x)
		tape_done(tape, x);
	struct array *q = qkv[QUERY], *k = qkv[KEY];
	if (layer->query_norm.weight) {
		q = norm(tape, t, &layer->query_norm, &q, NULL);
		k = norm(tape, t, &layer->key_norm, &k, NULL);
	}
	if (layer->rope) {
		const struct rope_angles *angles = layer->rope == &t->rope ? batch->angles : batch->local_angles;
		rotate(tape, q, angles);
		rotate(tape, k, angles);
	}
	struct array *seen = self_attention(tape, q, k, qkv[VALUE], &kind, batch->indptr, batch->sequences);
	struct array *const read[] = {qkv[QUERY], qkv[KEY], qkv[VALUE], q, k};
	for (size_t i = 0; i < COUNT_OF(read); i++)
		tape_done(tape, read[i]);
	struct array *out = linear(tape, seen, tape_param(tape, layer->out.weight), tape_param(tape, layer->out.bias),
		ACT_NONE, 0);
	tape_done(tape, seen);
	return finish(tape, t, &layer->post_attention_norm, out);
}

/* The inner activations of an FFN, with a gate or without. */
static struct array *inner_of(struct tape *tape, const struct transformer *t, const struct joined *group,
	struct array *x, bool keep_x)
{
	const int64_t columns[] = {t->inner, t->inner};
	struct array *gate_up[2], *inner;
	if (t->family->plain_ffn) {
		inner = linear(tape, x, tape_param(tape, group->weight[0]), tape_param(tape, group->bias[0]), t->activation, 0);
		if (!keep_x)
			tape_done(tape, x);
		return inner;
	}
	project(tape, x, group, columns, 2, gate_up);
	if (!keep_x)
		tape_done(tape, x);
	inner = gated(tape, gate_up[GATE], gate_up[UP], t->activation);
	for (int part = GATE; part <= UP; part++)
		tape_done(tape, gate_up[part]);
	return inner;
}

static struct array *ffn(struct tape *tape, const struct transformer *t, const struct layer *layer, struct array *x,
	bool keep_x)
{
	struct array *inner = inner_of(tape, t, &layer->gate_up, x, keep_x);
	struct array *out = linear(tape, inner, tape_param(tape, layer->down.weight), tape_param(tape, layer->down.bias),
		ACT_NONE, 0);
	tape_done(tape, inner);
	return finish(tape, t, &layer->post_ffn_norm, out);
}

/* Takes the update of the layer before into the stream, and returns its own. */
static struct array *pass(struct tape *tape, const struct transformer *t, const struct layer *layer, struct array **x,
	struct array *update, const struct batch *batch)
{
	struct array *read = read_stream(tape, t, &layer->attention_norm, x, update);
	struct array *seen = attention(tape, t, layer, read, batch, read == *x);
	if (t->parallel) {
		read = read_stream(tape, t, &layer->ffn_norm, x, NULL);
		struct array *fed = ffn(tape, t, layer, read, read == *x), *both = add(tape, seen, fed);
		tape_done(tape, seen);
		tape_done(tape, fed);
		return both;
	}
	read = read_stream(tape, t, &layer->ffn_norm, x, seen);
	return ffn(tape, t, layer, read, read == *x);
}

static struct array *positions_of(struct tape *tape, const struct transformer *t, const struct batch *batch)
{
	const int64_t *indptr = batch->indptr;
	int64_t n = indptr[batch->sequences] - indptr[0];
	int32_t *position = arena_take(&tape->arena, n, 1, sizeof *position);
	for (int64_t s = 0; s < batch->sequences; s++)
		for (int64_t i = indptr[s]; i < indptr[s + 1]; i++)
			position[i - indptr[0]] = (int32_t)(i - indptr[s]);
	return embedding(tape, tape_param(tape, t->positions), position, n, 1, NULL, NULL, 0);
}

const struct param *transformer_tokens(const struct model *model)
{
	return ((const struct transformer *)model->state)->tokens;
}

struct array *transformer_states(struct tape *tape, const struct model *model, struct array *embeddings,
	const int64_t *indptr, int64_t sequences)
{
	const struct transformer *t = model->state;
	struct batch batch = {.indptr = indptr, .sequences = sequences};
	struct array *x = embeddings, *update = NULL;
	if (t->family->learned_positions)
		update = positions_of(tape, t, &batch);
	else
		batch.angles = rope_angles(tape, &t->rope, indptr, sequences);
	for (int i = 0; i < t->n_layers && !batch.local_angles; i++)
		if (t->layers[i].rope == &t->local_rope)
			batch.local_angles = rope_angles(tape, &t->local_rope, indptr, sequences);
	if (t->embedding_factor != 1) {
		x = scaled(tape, embeddings, t->embedding_factor);
		tape_done(tape, embeddings);
	}
	for (int i = 0; i < t->n_layers; i++)
		update = pass(tape, t, &t->layers[i], &x, update, &batch);
	struct array *last = norm(tape, t, &t->last_norm, &x, update);
	tape_done(tape, x);
	return t->last_factor == 1 ? last : scaled(tape, last, t->last_factor);
}

const struct architecture llama_architecture = {
	.name = "llama",
	.summary = "a language model (LLaMA: Touvron et al. 2023)",
	.reads_tokens = true,
	.options = options,
	.declare = declare_llama,
	.initialise = initialise,
	.hidden = llm_hidden_of_tokens,
	.tokens_at_once = 256,
	.release = release,
};

const struct architecture gpt2_architecture = {
	.name = "gpt2",
	.summary = "a language model (GPT-2: Radford et al. 2019)",
	.reads_tokens = true,
	.options = options,
	.declare = declare_gpt2,
	.initialise = initialise,
	.hidden = llm_hidden_of_tokens,
	.tokens_at_once = 256,
	.release = release,
};
