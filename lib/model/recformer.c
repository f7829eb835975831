#include "model/recformer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/ops.h"
#include "nn/rows.h"
#include "nn/window.h"

static const char *const initialisers[] = {"normal", "words", NULL};

#define KEPT_FLOATS ((int64_t)1 << 26) /* of a worker, for the backward pass */

struct affine {
	struct param *weight, *bias;
};

struct layer {
	struct affine query, key, value; /* weights and biases each followed in memory by the next */
	struct affine query_global, key_global, value_global;
	struct affine output, output_norm, up, down, norm;
};

struct recformer {
	int64_t d, n_layers, vocab, positions, item_positions;
	int heads;
	int64_t reach;
	float epsilon, hidden_dropout, attention_dropout;
	double temperature;
	int32_t bos, pad;
	struct sentence_limits limits;
	struct param *words, *position, *type, *item;
	struct affine norm;
	struct affine head, head_norm, word_vectors; /* .weight is `words` where tied; NULL without the head */
	struct layer layers[64];
};

/* --- declaration --- */

static struct affine declare(struct model *model, int64_t out, int64_t in, const char *name)
{
	struct affine affine;
	affine.weight = params_add(&model->params, out, in, false, "%s.weight", name);
	affine.bias = params_add(&model->params, 0, out ? out : in, false, "%s.bias", name);
	return affine;
}

static struct affine declare_norm(struct model *model, const char *name)
{
	return declare(model, 0, ((struct recformer *)model->state)->d, name);
}

/* The weights of the three local projections, then their biases. */
static void declare_projections(struct model *model, struct layer *layer, int64_t i)
{
	static const char *const names[] = {"query", "key", "value"};
	struct affine *const affines[] = {&layer->query, &layer->key, &layer->value};
	int64_t d = ((struct recformer *)model->state)->d;
	const char *prefix = "longformer.encoder.layer";
	for (size_t j = 0; j < COUNT_OF(names); j++)
		affines[j]->weight = params_add(&model->params, d, d, false, "%s.%lld.attention.self.%s.weight", prefix,
			(long long)i, names[j]);
	for (size_t j = 0; j < COUNT_OF(names); j++)
		affines[j]->bias = params_add(&model->params, 0, d, false, "%s.%lld.attention.self.%s.bias", prefix,
			(long long)i, names[j]);
}

static void declare_layer(struct model *model, struct layer *layer, int64_t i, int64_t inner)
{
	int64_t d = ((struct recformer *)model->state)->d;
	const struct {
		struct affine *affine;
		const char *name;
		int64_t out, in; /* out 0: a norm */
	} rest[] = {
		{&layer->query_global, "attention.self.query_global", d, d},
		{&layer->key_global, "attention.self.key_global", d, d},
		{&layer->value_global, "attention.self.value_global", d, d},
		{&layer->output, "attention.output.dense", d, d},
		{&layer->output_norm, "attention.output.LayerNorm", 0, d},
		{&layer->up, "intermediate.dense", inner, d},
		{&layer->down, "output.dense", d, inner},
		{&layer->norm, "output.LayerNorm", 0, d},
	};
	declare_projections(model, layer, i);
	for (size_t j = 0; j < COUNT_OF(rest); j++) {
		char name[64];
		snprintf(name, sizeof name, "longformer.encoder.layer.%lld.%s", (long long)i, rest[j].name);
		*rest[j].affine = declare(model, rest[j].out, rest[j].in, name);
	}
}

/* The head's parameters; word vectors of its own, or those of the input. */
static void declare_head(struct model *model, struct recformer *r, bool tied)
{
	r->head = declare(model, r->d, r->d, "lm_head.dense");
	r->head_norm = declare_norm(model, "lm_head.layer_norm");
	r->word_vectors.weight = tied ? r->words :
									params_add(&model->params, r->vocab, r->d, false, "lm_head.decoder.weight");
	r->word_vectors.bias = params_add(&model->params, 0, r->vocab, false, "lm_head.bias");
}

/* One number for all layers, or a list of equal ones as in published checkpoints. */
static int64_t window_of(struct model *model, int64_t n_layers, const char *where)
{
	json_t *list = json_object_get(model->config, "attention_window"), *one;
	if (json_is_array(list)) {
		size_t i;
		json_array_foreach (list, i, one)
			if (!json_equal(one, json_array_get(list, 0)))
				die("%s: \"attention_window\": windows that differ by layer are not supported", where);
		if (json_array_size(list) != (size_t)n_layers)
			die("%s: \"attention_window\" has %zu entries, %lld were expected", where, json_array_size(list),
				(long long)n_layers);
		json_object_set(model->config, "attention_window", json_array_get(list, 0));
	}
	int64_t window = config_int(model, "attention_window", 64, 2, 1 << 20, where);
	if (window % 2)
		die("%s: \"attention_window\" is %lld, an even number was expected", where, (long long)window);
	return window;
}

static void declare_limits(struct model *model, struct recformer *r, const char *where)
{
	int64_t items = json_integer_value(json_object_get(model->config, "max_items"));
	int64_t tokens = json_integer_value(json_object_get(model->config, "max_token_num"));
	r->item_positions = config_int(model, "max_item_embeddings", items > 0 ? items + 1 : 51, 2, 1 << 16, where);
	int64_t room = (tokens > 0 ? tokens : 1024) + r->pad + 1;
	r->positions = config_int(model, "max_position_embeddings", room, r->pad + 2, 1 << 20, where);
	room = r->positions - r->pad - 1;
	r->limits.tokens = config_int(model, "max_token_num", room < 1024 ? room : 1024, 1, room, where);
	r->limits.items = config_int(model, "max_items", r->item_positions - 1, 1, r->item_positions - 1, where);
	r->limits.attributes = config_int(model, "max_attr_num", 3, 1, 256, where);
	r->limits.attribute_tokens = config_int(model, "max_attr_length", 32, 1, 1 << 16, where);
}

static void declare_recformer(struct model *model, const char *where)
{
	struct recformer *r = model->state = xcalloc(1, sizeof *r);
	r->vocab = config_int(model, "vocab_size", model->n_items, 5, INT32_MAX, where);
	if (r->vocab != model->n_items)
		die("%s: \"vocab_size\" is %lld, the tokenizer has %lld tokens", where, (long long)r->vocab,
			(long long)model->n_items);
	r->d = config_int(model, "hidden_size", 128, 1, 1 << 14, where);
	r->n_layers = config_int(model, "num_hidden_layers", 4, 1, COUNT_OF(r->layers), where);
	r->heads = (int)config_int(model, "num_attention_heads", 4, 1, 256, where);
	if (r->d % r->heads)
		die("%s: \"hidden_size\" %lld is not a multiple of \"num_attention_heads\" %d", where, (long long)r->d,
			r->heads);
	int64_t inner = config_int(model, "intermediate_size", 4 * r->d, 1, 1 << 16, where);
	r->reach = window_of(model, r->n_layers, where) / 2;
	r->epsilon = (float)config_real(model, "layer_norm_eps", 1e-5, 0, 1, where);
	r->hidden_dropout = (float)config_real(model, "hidden_dropout_prob", .1, 0, .99, where);
	r->attention_dropout = (float)config_real(model, "attention_probs_dropout_prob", .1, 0, .99, where);
	config_choice(model, "initialiser", initialisers, 0, where); /* how a new model starts: recformer_anew() */
	r->temperature = config_real(model, "temperature", .05, 1e-4, 1e4, where);
	r->bos = (int32_t)config_int(model, "bos_token_id", 0, 0, r->vocab - 1, where);
	r->pad = (int32_t)config_int(model, "pad_token_id", 1, -1, r->vocab - 1, where);
	declare_limits(model, r, where);
	bool tied = config_bool(model, "tie_word_embeddings", false, where);
	bool frozen = config_bool(model, "frozen_words", false, where);
	int64_t types = config_int(model, "token_type_size", 4, 3, 256, where);

	const char *prefix = "longformer.embeddings";
	r->words = params_add(&model->params, r->vocab, r->d, frozen, "%s.word_embeddings.weight", prefix);
	r->position = params_add(&model->params, r->positions, r->d, false, "%s.position_embeddings.weight", prefix);
	r->type = params_add(&model->params, types, r->d, false, "%s.token_type_embeddings.weight", prefix);
	r->item = params_add(&model->params, r->item_positions, r->d, false, "%s.item_position_embeddings.weight", prefix);
	r->norm = declare_norm(model, "longformer.embeddings.LayerNorm");
	for (int64_t i = 0; i < r->n_layers; i++)
		declare_layer(model, &r->layers[i], i, inner);
	if (config_bool(model, "word_head", true, where))
		declare_head(model, r, tied);
	model->width = r->d;
}

/* Matrices normal, norms 1, biases 0; the head's word vectors start as the input's. For words: recformer_words.h. */
static void initialise(struct model *model, struct rng *rng)
{
	const struct recformer *r = model->state;
	for (int i = 0; i < model->params.count; i++) {
		struct param *param = model->params.list[i];
		if (param->n_dims == 2)
			param_normal(param, rng, .02);
		else if (strstr(param->name, "orm.weight"))
			param_fill(param, 1);
	}
	if (r->word_vectors.weight)
		memcpy(r->word_vectors.weight->value, r->words->value, (size_t)param_count(r->words) * sizeof(float));
}

/* --- what tasks ask --- */

const struct sentence_limits *recformer_limits(const struct model *model)
{
	return &((const struct recformer *)model->state)->limits;
}

int32_t recformer_bos(const struct model *model)
{
	return ((const struct recformer *)model->state)->bos;
}

double recformer_temperature(const struct model *model)
{
	return ((const struct recformer *)model->state)->temperature;
}

int64_t recformer_tokens_at_once(const struct model *model)
{
	const struct recformer *r = model->state;
	/* of a layer about 16 vectors of a token are kept, and its probabilities */
	int64_t floats = r->n_layers * (16 * r->d + r->heads * (2 * r->reach + 50));
	return KEPT_FLOATS / floats + 1;
}

bool recformer_has_words(const struct model *model)
{
	return ((const struct recformer *)model->state)->head.weight;
}

/* --- forward: sections 2.2.2 and 2.2.3 of the paper, and Longformer's layers --- */

static struct array *apply(struct tape *tape, const struct affine *affine, struct array *x, enum activation activation,
	float dropout)
{
	return linear(tape, x, tape_param(tape, affine->weight), tape_param(tape, affine->bias), activation, dropout);
}

/* Of x, or of x + update; both are done with. */
static struct array *normalise(struct tape *tape, const struct recformer *r, const struct affine *norm, struct array *x,
	struct array *update)
{
	struct array *sum;
	struct array *result = residual_norm(tape, x, update, tape_param(tape, norm->weight), tape_param(tape, norm->bias),
		r->epsilon, &sum);
	tape_done(tape, sum);
	if (update) {
		tape_done(tape, x);
		tape_done(tape, update);
	}
	return result;
}

/* Counted from the padding's id on; a token that is <pad> has that position and is not counted. */
static int32_t *positions(struct tape *tape, const struct recformer *r, const struct sentences *text)
{
	int64_t base = text->indptr[0];
	int32_t *position = arena_take(&tape->arena, text->tokens, 1, sizeof *position);
	for (int64_t row = 0; row < text->rows; row++) {
		int32_t count = r->pad;
		for (int64_t t = text->indptr[row]; t < text->indptr[row + 1]; t++)
			position[t - base] = text->token[t] == r->pad ? r->pad : ++count;
	}
	return position;
}

/* Equation 2: words, positions, token types and item positions. */
static struct array *embed(struct tape *tape, const struct recformer *r, const struct sentences *text)
{
	int64_t base = text->indptr[0];
	const struct lookup lookups[] = {
		{tape_param(tape, r->words), text->token + base, r->pad},
		{tape_param(tape, r->position), positions(tape, r, text), r->pad},
		{tape_param(tape, r->type), text->type + base, -1},
		{tape_param(tape, r->item), text->item + base, -1},
	};
	struct array *sum = embedding_sum(tape, lookups, COUNT_OF(lookups), text->tokens);
	return dropped(tape, normalise(tape, r, &r->norm, sum, NULL), r->hidden_dropout);
}

/* Rows of the sequences' first tokens. */
static int64_t *firsts_of(struct tape *tape, const struct sentences *text)
{
	int64_t *first = arena_take(&tape->arena, text->rows, 1, sizeof *first);
	for (int64_t row = 0; row < text->rows; row++)
		first[row] = text->indptr[row] - text->indptr[0];
	return first;
}

static struct array *local_attention(struct tape *tape, const struct recformer *r, const struct layer *layer,
	struct array *x, struct array *of_first, const struct window *window)
{
	struct array *qkv = linear(tape, x, tape_params(tape, layer->query.weight, layer->value.weight),
		tape_params(tape, layer->query.bias, layer->value.bias), ACT_NONE, 0);
	struct array *q = tape_columns(tape, qkv, 0, r->d), *k = tape_columns(tape, qkv, r->d, r->d);
	struct array *seen = window_attention(tape, q, k, tape_columns(tape, qkv, 2 * r->d, r->d), of_first, window);
	tape_done(tape, of_first);
	tape_done(tape, qkv);
	return seen;
}

/* Which rows of a layer's output are wanted. */
enum rows { ALL_ROWS, FIRST_ROWS, CHOSEN_ROWS };
struct wanted {
	enum rows rows;
	const int64_t *chosen;
	int64_t n;
};

static struct array *encode_layer(struct tape *tape, const struct recformer *r, const struct layer *layer,
	struct array *x, const int64_t *firsts, const struct window *window, struct wanted wanted)
{
	struct array *first = chosen_rows(tape, x, firsts, window->sequences);
	struct array *query = apply(tape, &layer->query_global, first, ACT_NONE, 0);
	struct array *seen = global_attention(tape, x, query, tape_param(tape, layer->key_global.weight),
		tape_param(tape, layer->value_global.weight), tape_param(tape, layer->value_global.bias), window);
	tape_done(tape, query);
	if (wanted.rows == FIRST_ROWS) {
		tape->tokens = firsts;
		x = first;
	} else {
		seen = local_attention(tape, r, layer, x, seen, window);
	}
	if (wanted.rows == CHOSEN_ROWS) {
		tape->tokens = wanted.chosen;
		seen = chosen_rows(tape, seen, wanted.chosen, wanted.n);
		x = chosen_rows(tape, x, wanted.chosen, wanted.n);
	}
	struct array *update = apply(tape, &layer->output, seen, ACT_NONE, r->hidden_dropout);
	tape_done(tape, seen);
	x = normalise(tape, r, &layer->output_norm, x, update);
	struct array *inner = apply(tape, &layer->up, x, ACT_NONE, 0);
	update = linear_of_gelu(tape, inner, tape_param(tape, layer->down.weight), tape_param(tape, layer->down.bias),
		r->hidden_dropout);
	tape_done(tape, inner);
	return normalise(tape, r, &layer->norm, x, update);
}

static struct array *encode(struct tape *tape, const struct recformer *r, const struct sentences *text,
	struct wanted wanted)
{
	const struct window window = {.heads = r->heads,
		.reach = r->reach,
		.indptr = text->indptr,
		.sequences = text->rows,
		.dropout = r->attention_dropout};
	const int64_t *firsts = firsts_of(tape, text);
	struct array *x = embed(tape, r, text);
	for (int64_t i = 0; i < r->n_layers; i++)
		x = encode_layer(tape, r, &r->layers[i], x, firsts, &window,
			i == r->n_layers - 1 ? wanted : (struct wanted){.rows = ALL_ROWS});
	return x;
}

struct array *recformer_pooled(struct tape *tape, const struct model *model, const struct sentences *sentences)
{
	return encode(tape, model->state, sentences, (struct wanted){.rows = FIRST_ROWS});
}

struct array *recformer_states(struct tape *tape, const struct model *model, const struct sentences *sentences,
	const int64_t *chosen, int64_t n)
{
	return encode(tape, model->state, sentences, (struct wanted){CHOSEN_ROWS, chosen, n});
}

/* Equations 7 and 8 without the product with the word vectors. */
struct array *recformer_words(struct tape *tape, const struct model *model, struct array *states)
{
	const struct recformer *r = model->state;
	return normalise(tape, r, &r->head_norm, apply(tape, &r->head, states, ACT_GELU, 0), NULL);
}

struct array *recformer_word_vectors(struct tape *tape, const struct model *model)
{
	return tape_param(tape, ((const struct recformer *)model->state)->word_vectors.weight);
}

struct array *recformer_word_bias(struct tape *tape, const struct model *model)
{
	return tape_param(tape, ((const struct recformer *)model->state)->word_vectors.bias);
}

static void encode_histories(struct tape *tape, const struct model *model, const struct histories *histories,
	float *vectors)
{
	const struct recformer *r = model->state;
	struct sentences text = {0};
	for (int64_t row = 0; row < histories->rows; row++)
		sentences_add(&text, model->catalog, &r->limits, r->bos, histories->item + histories->indptr[row],
			histories->indptr[row + 1] - histories->indptr[row]);
	tape_begin(tape, NULL, 0, 0);
	const struct array *pooled = recformer_pooled(tape, model, &text);
	memcpy(vectors, pooled->value, (size_t)(histories->rows * r->d) * sizeof *vectors);
	sentences_free(&text);
}

const struct architecture recformer_architecture = {
	.name = "recformer",
	.summary = "histories and items as text, encoded by one Longformer (Li et al. 2023)",
	.reads_tokens = true,
	.declare = declare_recformer,
	.initialise = initialise,
	.encode = encode_histories,
};
