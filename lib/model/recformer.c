#include "model/recformer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/item_table.h"
#include "nn/ops.h"
#include "nn/rows.h"
#include "nn/window.h"

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
	int64_t d, n_layers, inner, vocab, positions, item_positions, types, position_offset;
	int heads;
	int64_t window; /* tokens that a token sees, half to each side */
	float epsilon, dropout, hidden_dropout, attention_dropout;
	double temperature;
	int bos, pad;
	bool tied, frozen_words, has_words, has_pooler, names;
	enum { NORMAL, WORDS } initialiser; /* recformer_anew() starts a new model by it */
	enum { POOL_FIRST, POOL_MEAN } pooling;
	enum { COUNT_TEXT, COUNT_ITEM } counting; /* what positions are counted in */
	enum { SEE_WINDOW, SEE_ITEM } sight;
	double item_decay;
	struct sentence_limits limits;
	struct item_table own;
	struct param *words, *position, *type, *item;
	struct affine norm, pooler;
	struct affine head, head_norm, word_vectors; /* .weight is `words` where tied; NULL without the head */
	struct layer layers[64];
};

/* --- config --- */

static const char *const initialisers[] = {"normal", "words", NULL};
static const char *const poolings[] = {"first", "mean", NULL};
static const char *const countings[] = {"text", "item", NULL};
static const char *const sights[] = {"window", "item", NULL};

static void offset_by_padding(void *values)
{
	struct recformer *r = values;
	r->position_offset = r->pad + 1;
}

static void four_times_width(void *values)
{
	((struct recformer *)values)->inner = 4 * ((struct recformer *)values)->d;
}

/* A published model says how many positions it has, one of our own how many items and tokens it reads. */
static void items_by_positions(void *values)
{
	struct recformer *r = values;
	r->limits.items = r->item_positions ? r->item_positions - 1 : 50;
}

static void positions_by_items(void *values)
{
	((struct recformer *)values)->item_positions = ((struct recformer *)values)->limits.items + 1;
}

static void tokens_by_positions(void *values)
{
	struct recformer *r = values;
	int64_t room = r->positions - r->position_offset;
	r->limits.tokens = r->positions && r->counting == COUNT_TEXT && room < 1024 ? room : 1024;
}

static void positions_by_tokens(void *values)
{
	struct recformer *r = values;
	r->positions = r->limits.tokens + r->position_offset;
}

static const struct option options[] = {
	/* what the program knows comes without help */
	{.key = "vocab_size", WHOLE_OPTION(struct recformer, vocab, 0, INT32_MAX), .fallback = "0"},
	{.key = "bos_token_id", WHOLE_OPTION(struct recformer, bos, 0, INT32_MAX), .fallback = "0"},
	{.key = "pad_token_id", WHOLE_OPTION(struct recformer, pad, -1, INT32_MAX - 1), .fallback = "1"},
	{.key = "sep_token_id", WHOLE_OPTION(struct recformer, limits.closing, -1, INT32_MAX), .fallback = "-1"},
	{.key = "position_offset",
		WHOLE_OPTION(struct recformer, position_offset, 0, 1 << 20),
		.derive = offset_by_padding},
	{"hidden-size", .key = "hidden_size", .argument = "N", WHOLE_OPTION(struct recformer, d, 1, 1 << 14),
		.depends = "size", .fallback = "128", .help = "Width of the model"},
	{"layers", .key = "num_hidden_layers", .argument = "N",
		WHOLE_OPTION(struct recformer, n_layers, 1, COUNT_OF(((struct recformer *)0)->layers)), .depends = "size",
		.fallback = "4", .help = "Blocks"},
	{.key = "num_attention_heads",
		WHOLE_OPTION(struct recformer, heads, 1, 256),
		.depends = "size",
		.fallback = "4",
		.help = "Attention heads"},
	{.key = "attention_window",
		WHOLE_OPTION(struct recformer, window, 2, 1 << 20),
		.fallback = "64",
		.help = "Tokens that a token sees, half to each side"},
	{"dropout", .argument = "P", REAL_OPTION(struct recformer, dropout, 0, .99), .fallback = "0.1",
		.help = "Dropout where it is not set by key"},
	{"initialiser", CHOICE_OPTION(struct recformer, initialiser, initialisers), .fallback = "words",
		.only = "!weights|model",
		.help = "A new model's matrices: words (a text starts as the mean of its words) or normal (deviation 0.02)"},
	{.key = "pooling",
		CHOICE_OPTION(struct recformer, pooling, poolings),
		.fallback = "first",
		.help = "A text's vector: its first token's state, or the mean of its items', each the mean of its tokens'"},
	{.key = "item_decay",
		REAL_OPTION(struct recformer, item_decay, 0, 1),
		.fallback = "0.7",
		.only = "pooling=mean, item_vectors=learned, histories=items",
		.help = "In the mean, weight of an item beside the one after it"},
	{.key = "pooler",
		YES_NO_OPTION(struct recformer, has_pooler),
		.fallback = "no",
		.help = "The vector goes through a linear map"},
	{.key = "positions",
		CHOICE_OPTION(struct recformer, counting, countings),
		.fallback = "text",
		.help = "Positions are counted through the text, or anew in each item"},
	{.key = "attention",
		CHOICE_OPTION(struct recformer, sight, sights),
		.fallback = "window",
		.help = "Beside the first token, a token sees: its window, or of that its own item alone"},
	{.key = "attribute_names",
		YES_NO_OPTION(struct recformer, names),
		.fallback = "yes",
		.help = "An attribute's name is read before what it says"},
	{.key = "frozen_words",
		YES_NO_OPTION(struct recformer, frozen_words),
		.fallback = "no",
		.help = "Word vectors stay as they are"},
	{.key = "max_items",
		WHOLE_OPTION(struct recformer, limits.items, 1, 1 << 16),
		.derive = items_by_positions,
		.fallback = "50",
		.help = "Latest items of a history"},
	{"max-tokens", .key = "max_token_num", .argument = "N", WHOLE_OPTION(struct recformer, limits.tokens, 1, 1 << 20),
		.derive = tokens_by_positions, .fallback = "1024", .help = "Tokens that a history is cut to"},
	{.key = "max_attr_num",
		WHOLE_OPTION(struct recformer, limits.attributes, 1, 256),
		.fallback = "3",
		.help = "Attributes of an item"},
	{.key = "max_attr_length",
		WHOLE_OPTION(struct recformer, limits.attribute_tokens, 1, 1 << 16),
		.fallback = "32",
		.help = "Tokens of an attribute, its name included"},
	{.key = "intermediate_size",
		WHOLE_OPTION(struct recformer, inner, 1, 1 << 16),
		.derive = four_times_width,
		.fallback = "4 hidden_size",
		.help = "Width inside the feed-forward part"},
	{.key = "layer_norm_eps",
		REAL_OPTION(struct recformer, epsilon, 0, 1),
		.fallback = "1e-5",
		.help = "Added to variances"},
	{.key = "hidden_dropout_prob",
		REAL_OPTION(struct recformer, hidden_dropout, 0, .99),
		.fallback = "=dropout",
		.help = "Dropout of what the blocks add, and of the input"},
	{.key = "attention_probs_dropout_prob",
		REAL_OPTION(struct recformer, attention_dropout, 0, .99),
		.fallback = "=dropout",
		.help = "Dropout of attention probabilities"},
	{.key = "temperature",
		REAL_OPTION(struct recformer, temperature, 1e-4, 1e4),
		.fallback = "0.05",
		.help = "What cosines are divided by"},
	{.key = "tie_word_embeddings",
		YES_NO_OPTION(struct recformer, tied),
		.fallback = "no",
		.only = "words_weight!=0",
		.help = "Masked words are told by the input's word vectors"},
	{.key = "max_item_embeddings",
		WHOLE_OPTION(struct recformer, item_positions, 2, 1 << 16),
		.derive = positions_by_items},
	{.key = "max_position_embeddings",
		WHOLE_OPTION(struct recformer, positions, 1, 1 << 20),
		.derive = positions_by_tokens},
	{.key = "token_type_size", WHOLE_OPTION(struct recformer, types, 3, 256), .fallback = "4"},
	{.key = "word_head", YES_NO_OPTION(struct recformer, has_words), .fallback = "yes"},
	{INCLUDED_OPTIONS(struct recformer, own, item_table_options)},
	{0},
};

static void check(const void *state, const char *where)
{
	const struct recformer *r = state;
	if (r->d % r->heads)
		die("%s: \"hidden_size\" %lld is not a multiple of \"num_attention_heads\" %d", where, (long long)r->d,
			r->heads);
	if (r->window % 2)
		die("%s: \"attention_window\" is %lld, an even number was expected", where, (long long)r->window);
	if (r->limits.items >= r->item_positions)
		die("%s: \"max_items\" is %lld, less than \"max_item_embeddings\" %lld was expected", where,
			(long long)r->limits.items, (long long)r->item_positions);
	const int64_t room = r->positions - r->position_offset;
	if (r->counting == COUNT_TEXT && r->limits.tokens > room)
		die("%s: \"max_token_num\" is %lld, at most %lld was expected: \"max_position_embeddings\" behind the padding",
			where, (long long)r->limits.tokens, (long long)room);
	if (r->counting == COUNT_ITEM && r->limits.attributes * r->limits.attribute_tokens + 2 > room)
		die("%s: items of \"max_attr_num\" %lld times \"max_attr_length\" %s, at most %lld were expected", where,
			(long long)r->limits.attributes, counted(r->limits.attribute_tokens, "tokens"), (long long)room - 2);
}

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

static void declare_layer(struct model *model, struct layer *layer, int64_t i)
{
	int64_t d = ((struct recformer *)model->state)->d, inner = ((struct recformer *)model->state)->inner;
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
	int64_t floats = r->n_layers * (16 * r->d + r->heads * (r->window + 50));
	return KEPT_FLOATS / floats + 1;
}

struct item_table *recformer_own(const struct model *model)
{
	return &((struct recformer *)model->state)->own;
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
	.options = options,
	.size = sizeof(struct recformer),
	.check = check,
	.declare = declare_recformer,
	.initialise = initialise,
	.encode = encode_histories,
	.of_items = of_items,
};
