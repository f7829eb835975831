#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/recformer_parts.h"
#include "nn/ops.h"
#include "nn/rows.h"
#include "nn/window.h"

#define KEPT_FLOATS ((int64_t)1 << 26) /* of a worker, for the backward pass */

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
	const struct recformer *r = model->state;
	return declare(model, 0, r->d, name);
}

/* The weights of the three local projections, then their biases. */
static void declare_projections(struct model *model, struct layer *layer, int64_t i)
{
	static const char *const names[] = {"query", "key", "value"};
	struct affine *const affines[] = {&layer->query, &layer->key, &layer->value};
	const struct recformer *r = model->state;
	const char *prefix = "longformer.encoder.layer";
	for (size_t j = 0; j < COUNT_OF(names); j++)
		affines[j]->weight = params_add(&model->params, r->d, r->d, false, "%s.%lld.attention.self.%s.weight", prefix,
			(long long)i, names[j]);
	for (size_t j = 0; j < COUNT_OF(names); j++)
		affines[j]->bias = params_add(&model->params, 0, r->d, false, "%s.%lld.attention.self.%s.bias", prefix,
			(long long)i, names[j]);
}

static void declare_layer(struct model *model, struct layer *layer, int64_t i)
{
	const struct recformer *r = model->state;
	const int64_t d = r->d, inner = r->inner;
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
static void declare_head(struct model *model, struct recformer *r)
{
	r->head = declare(model, r->d, r->d, "lm_head.dense");
	r->head_norm = declare_norm(model, "lm_head.layer_norm");
	r->word_vectors.weight = r->tied ? r->words :
									   params_add(&model->params, r->vocab, r->d, false, "lm_head.decoder.weight");
	r->word_vectors.bias = params_add(&model->params, 0, r->vocab, false, "lm_head.bias");
}

static void declare_recformer(struct model *model, const char *where)
{
	struct recformer *r = model->state;
	if (!r->vocab)
		json_set(model->config, "vocab_size", json_integer(r->vocab = model->n_items));
	if (r->vocab != model->n_items)
		die("%s: \"vocab_size\" is %lld, the tokenizer has %s", where, (long long)r->vocab,
			counted(model->n_items, "tokens"));
	if (r->bos >= r->vocab || r->pad >= r->vocab || r->limits.closing >= r->vocab)
		die("%s: \"bos_token_id\" %d, \"pad_token_id\" %d, \"sep_token_id\" %d: less than \"vocab_size\" %lld "
			"was expected",
			where, r->bos, r->pad, r->limits.closing, (long long)r->vocab);
	r->limits.values_only = !r->names;
	const char *prefix = "longformer.embeddings";
	r->words = params_add(&model->params, r->vocab, r->d, r->frozen_words, "%s.word_embeddings.weight", prefix);
	r->position = params_add(&model->params, r->positions, r->d, false, "%s.position_embeddings.weight", prefix);
	r->type = params_add(&model->params, r->types, r->d, false, "%s.token_type_embeddings.weight", prefix);
	r->item = params_add(&model->params, r->item_positions, r->d, false, "%s.item_position_embeddings.weight", prefix);
	r->norm = declare_norm(model, "longformer.embeddings.LayerNorm");
	for (int64_t i = 0; i < r->n_layers; i++)
		declare_layer(model, &r->layers[i], i);
	if (r->has_pooler)
		r->pooler = declare(model, r->d, r->d, "pooler.dense");
	if (r->has_words)
		declare_head(model, r);
	model->width = r->d;
	item_table_declare(&r->own, model);
}

/*
 * Matrices normal, norms 1, biases 0; the pooler changes nothing; the head's word vectors start as the input's. For
 * words: recformer_words.h.
 */
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
	if (r->own.vectors)
		param_fill(r->own.vectors, 0);
	if (r->has_pooler) {
		param_fill(r->pooler.weight, 0);
		for (int64_t i = 0; i < r->d; i++)
			r->pooler.weight->value[i * r->d + i] = 1;
	}
	if (r->word_vectors.weight)
		memcpy(r->word_vectors.weight->value, r->words->value, (size_t)param_count(r->words) * sizeof(float));
}

/* --- what tasks ask --- */

const struct sentence_limits *recformer_limits(const struct model *model)
{
	const struct recformer *r = model->state;
	return &r->limits;
}

int32_t recformer_bos(const struct model *model)
{
	const struct recformer *r = model->state;
	return r->bos;
}

double recformer_temperature(const struct model *model)
{
	const struct recformer *r = model->state;
	return r->temperature;
}

int64_t recformer_tokens_at_once(const struct model *model)
{
	const struct recformer *r = model->state;
	/* of a layer about 16 vectors of a token are kept, and its probabilities */
	int64_t floats = r->n_layers * (16 * r->d + r->heads * (r->window + 50));
	return KEPT_FLOATS / floats + 1;
}

struct item_table *recformer_own(const struct model *model)
{
	struct recformer *r = model->state;
	return &r->own;
}

bool recformer_has_words(const struct model *model)
{
	const struct recformer *r = model->state;
	return r->head.weight;
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

/* Whether, as in RoBERTa and Longformer, the row before the first position is that of padding. */
static bool padding_has_position(const struct recformer *r)
{
	return r->position_offset == r->pad + 1;
}

/* Where padding has a position, a token that is <pad> gets it and is not counted. */
static int32_t *positions(struct tape *tape, const struct recformer *r, const struct sentences *text)
{
	int64_t base = text->indptr[0];
	int32_t *position = arena_take(&tape->arena, text->tokens, 1, sizeof *position);
	for (int64_t row = 0; row < text->rows; row++) {
		int32_t count = (int32_t)r->position_offset - 1;
		for (int64_t t = text->indptr[row]; t < text->indptr[row + 1]; t++) {
			if (r->counting == COUNT_ITEM && t > text->indptr[row] && text->item[t] != text->item[t - 1])
				count = (int32_t)r->position_offset; /* the first token's */
			bool is_padding = text->token[t] == r->pad && padding_has_position(r);
			position[t - base] = is_padding ? r->pad : ++count;
		}
	}
	return position;
}

/* Equation 2: words, positions, token types and item positions. */
static struct array *embed(struct tape *tape, const struct recformer *r, const struct sentences *text)
{
	int64_t base = text->indptr[0];
	const struct lookup lookups[] = {
		{tape_param(tape, r->words), text->token + base, r->pad},
		{tape_param(tape, r->position), positions(tape, r, text), padding_has_position(r) ? r->pad : -1},
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
		.reach = r->window / 2,
		.indptr = text->indptr,
		.sequences = text->rows,
		.part = r->sight == SEE_ITEM ? text->item + text->indptr[0] : NULL,
		.dropout = r->attention_dropout};
	const int64_t *firsts = firsts_of(tape, text);
	struct array *x = embed(tape, r, text);
	for (int64_t i = 0; i < r->n_layers; i++)
		x = encode_layer(tape, r, &r->layers[i], x, firsts, &window,
			i == r->n_layers - 1 ? wanted : (struct wanted){.rows = ALL_ROWS});
	return x;
}

static struct array *through_pooler(struct tape *tape, const struct recformer *r, struct array *pooled)
{
	return r->has_pooler ? apply(tape, &r->pooler, pooled, ACT_NONE, 0) : pooled;
}

struct array *recformer_pooled(struct tape *tape, const struct model *model, const struct sentences *sentences)
{
	const struct recformer *r = model->state;
	if (r->pooling == POOL_FIRST)
		return through_pooler(tape, r, encode(tape, r, sentences, (struct wanted){.rows = FIRST_ROWS}));
	struct array *states = encode(tape, r, sentences, (struct wanted){.rows = ALL_ROWS});
	float *weight = arena_take(&tape->arena, sentences->tokens, 1, sizeof *weight);
	sentences_weigh(sentences, r->item_decay, weight);
	struct array *pooled = weighted_sums(tape, states, weight, sentences->indptr, sentences->rows);
	tape_done(tape, states);
	tape->tokens = firsts_of(tape, sentences);
	return through_pooler(tape, r, pooled);
}

struct array *recformer_joined(struct tape *tape, const struct model *model, struct array *pooled,
	const struct histories *histories)
{
	const struct recformer *r = model->state;
	return item_table_join(tape, &r->own, pooled, histories, r->limits.items, r->item_decay);
}

struct array *recformer_means(struct tape *tape, const struct model *model, struct array *items,
	const struct histories *histories)
{
	const struct recformer *r = model->state;
	return item_table_means(tape, &r->own, items, histories, INT64_MAX, r->item_decay);
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
	const struct recformer *r = model->state;
	return tape_param(tape, r->word_vectors.weight);
}

struct array *recformer_word_bias(struct tape *tape, const struct model *model)
{
	const struct recformer *r = model->state;
	return tape_param(tape, r->word_vectors.bias);
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
	struct array *pooled = recformer_pooled(tape, model, &text);
	if (item_table_fits(&r->own, model)) /* of one item, where histories are means of items */
		pooled = recformer_joined(tape, model, pooled, histories);
	memcpy(vectors, pooled->value, (size_t)(histories->rows * r->d) * sizeof *vectors);
	sentences_free(&text);
}

static bool of_items(const struct model *model, const struct histories *history, float *vector)
{
	const struct recformer *r = model->state;
	if (r->own.histories == HISTORIES_TEXT || !model->candidates)
		return false;
	item_table_query(model, history, r->item_decay, vector);
	return true;
}

const struct architecture recformer_architecture = {
	.name = "recformer",
	.summary = "histories and items as text, by one Longformer (Li et al. 2023)",
	.reads_tokens = true,
	.options = recformer_options,
	.size = sizeof(struct recformer),
	.check = recformer_check,
	.declare = declare_recformer,
	.initialise = initialise,
	.encode = encode_histories,
	.of_items = of_items,
};
