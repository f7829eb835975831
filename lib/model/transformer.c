#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/weights.h"
#include "model/rotary.h"
#include "model/transformer_parts.h"

/* --- configuration --- */

static const char *const pairings[] = {"half", "interleaved", NULL};
static const char *const activations[] = {"silu", "swish", "gelu", "gelu_new", "gelu_pytorch_tanh", "relu", NULL};
static const enum activation activation_of[] = {ACT_SILU, ACT_SILU, ACT_GELU, ACT_GELU_NEW, ACT_GELU_NEW, ACT_RELU};

static const struct family *family_of(const struct transformer *t)
{
	const struct family *family = t->model_type ? family_of_type(t->model_type) : NULL;
	return family && family->names ? family : NULL;
}

static void derive_head_width(void *values)
{
	struct transformer *t = values;
	t->head_width = t->d / t->heads;
}

static void derive_inner(void *values)
{
	struct transformer *t = values;
	bool plain = family_of(t) && family_of(t)->plain_ffn;
	t->inner = plain ? 4 * t->d : (t->d * 8 / 3 + 63) / 64 * 64;
}

static void derive_act(void *values)
{
	struct transformer *t = values;
	t->act = family_of(t) && family_of(t)->plain_ffn ? 3 : 0;
}

static void derive_attention_bias(void *values)
{
	struct transformer *t = values;
	t->attention_bias = family_of(t) && family_of(t)->norm == NORM_LAYER;
}

static void derive_ffn_bias(void *values)
{
	struct transformer *t = values;
	t->ffn_bias = family_of(t) && family_of(t)->norm == NORM_LAYER;
}

static void derive_max_length(void *values)
{
	struct transformer *t = values;
	t->max_length = t->longest - t->position_offset;
}

#define T struct transformer
#define FACTOR(field) REAL_OPTION(T, field, 0, 1e9) /* 0, or not there: neutral */

const struct option transformer_options[] = {
	{OPTIONS_TITLE("Model:")},
	{.key = "model_type", TEXT_OPTION(T, model_type), .fallback = "llama"},
	{.key = "vocab_size", WHOLE_OPTION(T, vocabulary, 1, INT32_MAX)},
	{"hidden-size", .key = "hidden_size", .argument = "N", WHOLE_OPTION(T, d, 1, 1 << 16), .fallback = "256",
		.help = "Width of the model"},
	{"layers", .key = "num_hidden_layers", .argument = "N", WHOLE_OPTION(T, n_layers, 1, 1024), .fallback = "4",
		.help = "Blocks"},
	{"heads", .key = "num_attention_heads", .argument = "N", WHOLE_OPTION(T, heads, 1, 1024), .fallback = "4",
		.help = "Attention heads"},
	{.key = "num_key_value_heads",
		WHOLE_OPTION(T, key_heads, 1, 1024),
		.fallback = "=num_attention_heads",
		.help = "Heads of keys and values, each for a group of queries"},
	{.key = "head_dim",
		WHOLE_OPTION(T, head_width, 1, 1 << 12),
		.derive = derive_head_width,
		.fallback = "hidden_size / num_attention_heads",
		.help = "Width of a head"},
	{.key = "intermediate_size",
		WHOLE_OPTION(T, inner, 1, 1 << 18),
		.derive = derive_inner,
		.fallback = "by hidden_size",
		.help = "Width inside the feed-forward part"},
	{.key = "hidden_act", CHOICE_OPTION(T, act, activations), .derive = derive_act, .fallback = "the family's"},
	{.key = "max_position_embeddings",
		WHOLE_OPTION(T, longest, 1, INT32_MAX),
		.fallback = "512",
		.help = "The longest text"},
	{.key = "position_offset", WHOLE_OPTION(T, position_offset, 0, 1 << 20)},
	{.key = "max_length",
		WHOLE_OPTION(T, max_length, 1, INT32_MAX),
		.derive = derive_max_length,
		.fallback = "max_position_embeddings"},
	{.key = "rms_norm_eps", REAL_OPTION(T, rms_epsilon, 0, 1)},
	{.key = "layer_norm_eps", REAL_OPTION(T, layer_epsilon, 0, 1)},
	{.key = "attention_bias",
		YES_NO_OPTION(T, attention_bias),
		.derive = derive_attention_bias,
		.fallback = "the family's"},
	{.key = "mlp_bias", YES_NO_OPTION(T, ffn_bias), .derive = derive_ffn_bias, .fallback = "the family's"},
	{.key = "tie_word_embeddings",
		YES_NO_OPTION(T, tied),
		.fallback = "yes",
		.help = "The token vectors are the head, too"},
	{.key = "rope_theta", REAL_OPTION(T, rope_base, 1, 1e12)},
	{.key = "rope_pairing", CHOICE_OPTION(T, pairing, pairings)},
	{.key = "rope_scaling", JSON_OPTION(T, rope_scaling)},
	{.key = "rope_local_base_freq", REAL_OPTION(T, local_rope_base, 1, 1e12)},
	{.key = "partial_rotary_factor", FACTOR(turned_share)},
	{.key = "no_rope_layers", JSON_OPTION(T, rope_layers)},
	{.key = "sliding_window", WHOLE_OPTION(T, window, 1, INT32_MAX)},
	{.key = "layer_types", JSON_OPTION(T, layer_types)},
	{.key = "embedding_multiplier", FACTOR(embedding_factor)},
	{.key = "residual_multiplier", FACTOR(residual_factor)},
	{.key = "logits_scaling", FACTOR(logit_divisor)},
	{.key = "attention_multiplier", FACTOR(scale)},
	{.key = "attn_logit_softcapping", FACTOR(softcap)},
	{.key = "final_logit_softcapping", FACTOR(last_softcap)},
	{.key = "use_parallel_residual", YES_NO_OPTION(T, parallel)},
	{.key = "type_vocab_size", WHOLE_OPTION(T, types, 0, 1 << 16)},
	{.key = "relative_attention_num_buckets", WHOLE_OPTION(T, buckets, 4, 1 << 16)},
	{0},
};

static void check_heads(const struct transformer *t, const char *where)
{
	const struct family *family = family_of(t);
	const char *heads = "num_attention_heads";
	option_require_multiple(transformer_options, where, heads, t->heads, "num_key_value_heads", t->key_heads);
	if (family->learned_positions)
		option_require_multiple(transformer_options, where, "hidden_size", t->d, heads, t->heads);
	if (t->max_length > t->longest - t->position_offset)
		die("%s: \"max_length\" is %lld, at most %lld was expected", where, (long long)t->max_length,
			(long long)(t->longest - t->position_offset));
	if (family->learned_positions && t->longest > 1 << 20)
		die("%s: \"max_position_embeddings\" is %lld, at most %d was expected", where, (long long)t->longest, 1 << 20);
	if (family->distances && t->buckets < 4)
		die("%s: no \"relative_attention_num_buckets\", a whole number was expected", where);
}

/* Columns of a head that are turned. */
static int64_t turned(const struct transformer *t)
{
	return t->turned_share > 0 ? (int64_t)((double)t->head_width * t->turned_share) : t->head_width;
}

static void check_rope(const struct transformer *t, const char *where)
{
	int64_t columns = turned(t);
	if (columns == t->head_width && columns % 2)
		die("%s: \"head_dim\" is %lld, an even number was expected", where, (long long)t->head_width);
	if (columns < 2 || columns % 2 || columns > t->head_width)
		die("%s: \"partial_rotary_factor\" %g of a \"head_dim\" of %lld: an even number from 2 was expected", where,
			t->turned_share, (long long)t->head_width);
	if (!(t->rope_base >= 1))
		die("%s: no \"rope_theta\", a number was expected", where);
}

void transformer_check(const void *transformer, const char *where)
{
	const struct transformer *t = transformer;
	const struct family *family = family_of(t);
	if (!family)
		die("%s: \"model_type\" is \"%.40s\", which is not supported", where, t->model_type);
	check_heads(t, where);
	if (!family->learned_positions)
		check_rope(t, where);
	if (!family->plain_ffn && activation_of[t->act] == ACT_RELU)
		die("%s: \"hidden_act\" is \"relu\", silu or a gelu was expected of a gate", where);
	if (family->plain_ffn && activation_of[t->act] == ACT_SILU)
		die("%s: \"hidden_act\" is \"silu\", relu or a gelu was expected", where);
}

static float or_else(float factor, float neutral)
{
	return factor > 0 ? factor : neutral;
}

static void settle(struct transformer *t, const char *where)
{
	const struct family *family = t->family = family_of(t);
	t->epsilon = family->norm == NORM_RMS ? t->rms_epsilon : t->layer_epsilon;
	t->activation = activation_of[t->act];
	t->scale = or_else(t->scale, 0);
	t->softcap = or_else(t->softcap, 0);
	t->last_softcap = or_else(t->last_softcap, 0);
	t->embedding_factor = or_else(t->embedding_factor, 1);
	t->residual_factor = or_else(t->residual_factor, 1);
	t->logit_divisor = or_else(t->logit_divisor, 1);
	if (family->norm == NORM_LAYER_UNBIASED)
		t->no_bias = xcalloc((size_t)t->d, sizeof *t->no_bias);
	if (family->learned_positions)
		return;
	enum rope_pairing pairing = t->pairing > 0 ? ROPE_INTERLEAVED : ROPE_HALF;
	double local = t->local_rope_base > 0 ? t->local_rope_base : t->rope_base;
	t->rope = rotary_of(t->head_width, turned(t), pairing, t->rope_base, t->rope_scaling, where);
	t->local_rope = rotary_of(t->head_width, turned(t), pairing, local, NULL, where);
}

static const json_t *of_layer(const json_t *list, const struct transformer *t, int layer, const char *key,
	const char *where)
{
	if (!json_is_array(list) || json_array_size(list) != (size_t)t->n_layers)
		die("%s: \"%s\": a list of one for each of %d layers was expected", where, key, t->n_layers);
	return json_array_get(list, (size_t)layer);
}

/* What layer i sees, and how it turns. */
static void settle_layer(struct transformer *t, int i, const char *where)
{
	struct layer *layer = &t->layers[i];
	layer->rope = t->family->learned_positions ? NULL : &t->rope;
	if (t->layer_types) {
		const char *type = json_string_value(of_layer(t->layer_types, t, i, "layer_types", where));
		bool slides = type && !strcmp(type, "sliding_attention");
		if (!slides && (!type || strcmp(type, "full_attention")))
			die("%s: \"layer_types\": \"%.40s\", sliding_attention or full_attention was expected", where,
				type ? type : "");
		if (slides && t->window < 1)
			die("%s: no \"sliding_window\", a whole number was expected", where);
		layer->window = slides ? t->window : 0;
		if (slides && t->local_rope_base > 0)
			layer->rope = &t->local_rope;
	}
	if (t->rope_layers && !json_integer_value(of_layer(t->rope_layers, t, i, "no_rope_layers", where)))
		layer->rope = NULL;
}

/* --- parameters --- */

/* What declares them. */
struct maker {
	struct transformer *t;
	struct params *params;
};

/* rows 0: a norm's, or a bias's. NULL where the family has no such part. */
static struct param *param(const struct maker *m, enum family_part part, int layer, const char *kind, int64_t rows,
	int64_t columns)
{
	if (!family_has(m->t->family, part, layer))
		return NULL;
	char *name = family_name(m->t->family, part, layer);
	struct param *param = params_add(m->params, rows, columns, false, "%s.%s", name, kind);
	free(name);
	return param;
}

static struct affine norm_of(const struct maker *m, enum family_part part, int layer, int64_t width)
{
	struct affine norm = {param(m, part, layer, "weight", 0, width), NULL};
	if (m->t->family->norm == NORM_LAYER)
		norm.bias = param(m, part, layer, "bias", 0, width);
	return norm;
}

static struct affine matrix(const struct maker *m, enum family_part part, int layer, int64_t rows, int64_t columns,
	bool bias)
{
	struct affine matrix = {param(m, part, layer, "weight", rows, columns), NULL};
	if (bias)
		matrix.bias = param(m, part, layer, "bias", 0, rows);
	return matrix;
}

/* Those of the parts that the family has: all weights, then all biases. */
static struct joined joined_of(const struct maker *m, const enum family_part parts[], const int64_t rows[], int count,
	int layer, bool bias)
{
	struct joined joined = {.count = 0};
	for (int i = 0; i < count; i++)
		if (family_has(m->t->family, parts[i], layer))
			joined.weight[joined.count++] = param(m, parts[i], layer, "weight", rows[i], m->t->d);
	joined.count = 0;
	for (int i = 0; i < count; i++)
		if (family_has(m->t->family, parts[i], layer)) {
			if (bias)
				joined.bias[joined.count] = param(m, parts[i], layer, "bias", 0, rows[i]);
			joined.count++;
		}
	return joined;
}

static void declare_layer(const struct maker *m, int i)
{
	static const enum family_part qkv[] = {PART_QKV, PART_QUERY, PART_KEY, PART_VALUE};
	static const enum family_part gate_up[] = {PART_GATE_UP, PART_GATE, PART_UP};
	struct transformer *t = m->t;
	struct layer *layer = &t->layers[i];
	int64_t width = t->heads * t->head_width, key_width = t->key_heads * t->head_width;
	const int64_t qkv_rows[] = {width + 2 * key_width, width, key_width, key_width};
	const int64_t gate_up_rows[] = {2 * t->inner, t->inner, t->inner};
	bool together = t->family->head_norm == HEADS_TOGETHER;
	layer->attention_norm = norm_of(m, PART_ATTENTION_NORM, i, t->d);
	layer->qkv = joined_of(m, qkv, qkv_rows, COUNT_OF(qkv), i, t->attention_bias);
	layer->query_norm.weight = param(m, PART_QUERY_NORM, i, "weight", 0, together ? width : t->head_width);
	layer->key_norm.weight = param(m, PART_KEY_NORM, i, "weight", 0, together ? key_width : t->head_width);
	layer->out = matrix(m, PART_OUT, i, t->d, width, t->attention_bias && !t->family->out_unbiased);
	layer->post_attention_norm = norm_of(m, PART_POST_ATTENTION_NORM, i, t->d);
	layer->attention_sum_norm = norm_of(m, PART_ATTENTION_SUM_NORM, i, t->d);
	layer->ffn_norm = norm_of(m, PART_FFN_NORM, i, t->d);
	layer->gate_up = joined_of(m, gate_up, gate_up_rows, COUNT_OF(gate_up), i, t->ffn_bias);
	layer->down = matrix(m, PART_DOWN, i, t->d, t->inner, t->ffn_bias);
	layer->post_ffn_norm = norm_of(m, PART_POST_FFN_NORM, i, t->d);
	layer->ffn_sum_norm = norm_of(m, PART_FFN_SUM_NORM, i, t->d);
}

void transformer_declare(struct transformer *t, struct params *params, int64_t vocabulary, const char *where)
{
	const struct maker m = {t, params};
	if (t->vocabulary && t->vocabulary != vocabulary)
		die("%s: \"vocab_size\" is %lld, %lld was expected", where, (long long)t->vocabulary, (long long)vocabulary);
	settle(t, where);
	t->tokens = matrix(&m, PART_TOKENS, 0, vocabulary, t->d, false).weight;
	t->positions = matrix(&m, PART_POSITIONS, 0, t->longest, t->d, false).weight;
	t->token_types = t->types ? matrix(&m, PART_TYPES, 0, t->types, t->d, false).weight : NULL;
	t->embedding_norm = norm_of(&m, PART_EMBEDDING_NORM, 0, t->d);
	t->distances = matrix(&m, PART_DISTANCES, 0, t->buckets, t->heads, false).weight;
	t->layers = xcalloc((size_t)t->n_layers, sizeof *t->layers);
	for (int i = 0; i < t->n_layers; i++) {
		settle_layer(t, i, where);
		declare_layer(&m, i);
	}
	t->last_norm = norm_of(&m, PART_LAST_NORM, 0, t->d);
	t->head = t->tied && !t->family->both_ways ? t->tokens : matrix(&m, PART_HEAD, 0, vocabulary, t->d, false).weight;
}

static bool adds_to_residual(const struct transformer *t, const struct param *param)
{
	for (int i = 0; i < t->n_layers; i++)
		if (param == t->layers[i].out.weight || param == t->layers[i].down.weight)
			return true;
	return false;
}

void transformer_initialise(struct transformer *t, struct params *params, struct rng *rng)
{
	if (t->last_softcap > 0 || t->family->both_ways)
		die("options: \"model_type\" \"%s\" is read from files, not trained", t->model_type);
	for (int i = 0; i < params->count; i++) {
		struct param *param = params->list[i];
		if (param->n_dims == 2)
			param_normal(param, rng, adds_to_residual(t, param) ? .02 / sqrt(2. * t->n_layers) : .02);
		else if (strstr(param->name, ".weight"))
			param_fill(param, 1);
	}
}

/* --- published weights --- */

static void check_shape(const struct weights *weights, const struct param *param, const char *path)
{
	int n_dims;
	int64_t shape[WEIGHTS_MAX_DIMS];
	if (!weights_shape(weights, param->name, &n_dims, shape))
		die("%s: tensor %s is missing", path, param->name);
	struct tensor is = {.dtype = F4, .n_dims = n_dims}, should_be = param_tensor(param);
	if (n_dims > 0 && n_dims <= (int)COUNT_OF(is.shape))
		memcpy(is.shape, shape, (size_t)n_dims * sizeof *shape);
	if (n_dims != should_be.n_dims || memcmp(is.shape, should_be.shape, (size_t)n_dims * sizeof *shape) != 0) {
		char text[2][128];
		die("%s: tensor %s is %s, %s was expected", path, param->name, tensor_describe(&is, text[0]),
			tensor_describe(&should_be, text[1]));
	}
}

void transformer_load(struct transformer *t, struct params *params, struct weights *weights, bool frozen,
	const char *path)
{
	t->weights = weights;
	for (int i = 0; i < params->count; i++) {
		check_shape(weights, params->list[i], path);
		if (frozen)
			param_freeze(params->list[i], weights_map(weights, params->list[i]->name));
	}
	params_allocate(params);
	for (int i = 0; i < params->count; i++)
		if (!params->list[i]->borrowed)
			weights_read(weights, params->list[i]->name, params->list[i]->value);
}

void transformer_release(struct transformer *t)
{
	free(t->layers);
	free(t->no_bias);
	rotary_free(&t->rope);
	rotary_free(&t->local_rope);
	if (t->weights)
		weights_close(t->weights);
}

/* --- what others ask --- */

struct param *transformer_tokens(const struct transformer *t)
{
	return t->tokens;
}

struct param *transformer_head(const struct transformer *t)
{
	return t->head;
}

int64_t transformer_longest(const struct transformer *t)
{
	return t->max_length;
}

float transformer_softcap(const struct transformer *t)
{
	return t->last_softcap;
}

int transformer_layers(const struct transformer *t)
{
	return t->n_layers;
}

void transformer_cut(struct transformer *t, int layers)
{
	t->n_layers = layers;
	t->last_norm = (struct affine){NULL, NULL};
}

static bool adjacent(struct param *const params[], int count)
{
	for (int i = 1; params[0] && i < count; i++)
		if (params[i]->value != params[i - 1]->value + param_count(params[i - 1]))
			return false;
	return true;
}

bool joined_is_one(const struct joined *joined)
{
	return adjacent(joined->weight, joined->count) && adjacent(joined->bias, joined->count);
}

static void pack(struct param *first, const struct param *last, enum packing packing, bool only_packed)
{
	params_pack(first, last, packing);
	if (first->packed && only_packed)
		params_drop(first, last);
}

static void pack_joined(const struct joined *joined, enum packing packing, bool only_packed)
{
	bool as_one = joined_is_one(joined);
	for (int i = 0; i < (as_one ? 1 : joined->count); i++)
		pack(joined->weight[i], joined->weight[as_one ? joined->count - 1 : i], packing, only_packed);
}

void transformer_pack(const struct transformer *t, enum packing packing, bool only_packed)
{
	for (int i = 0; i < t->n_layers; i++) {
		const struct layer *layer = &t->layers[i];
		pack_joined(&layer->qkv, packing, only_packed);
		pack_joined(&layer->gate_up, packing, only_packed);
		pack(layer->out.weight, layer->out.weight, packing, only_packed);
		pack(layer->down.weight, layer->down.weight, packing, only_packed);
	}
}
