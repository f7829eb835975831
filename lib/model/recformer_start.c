#include "model/recformer_start.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/weights.h"
#include "model/item_vectors.h"
#include "nn/blas.h"
#include "nn/vec.h"

#define WORDS_DEVIATION 0.02 /* as all matrices of a new model */

const char *const recformer_sizes[] = {"tiny", "small", "base", NULL};

void recformer_size(json_t *config, int size)
{
	static const struct {
		int64_t width, layers, heads;
	} sizes[] = {{64, 2, 2}, {128, 4, 4}, {768, 12, 12}};
	json_t *numbers = json_pack("{s:I, s:I, s:I}", "hidden_size", (json_int_t)sizes[size].width, "num_hidden_layers",
		(json_int_t)sizes[size].layers, "num_attention_heads", (json_int_t)sizes[size].heads);
	json_object_update_missing(config, numbers);
	json_decref(numbers);
}

/* Tokenizers without the tokens of RoBERTa: </s> can begin a text as well, and nothing is padding. */
static void set_tokens(json_t *config, const struct tokenizer *tokenizer)
{
	int32_t bos = tokenizer_special(tokenizer, SPECIAL_BOS), eos = tokenizer_special(tokenizer, SPECIAL_EOS);
	if (bos < 0 && eos < 0)
		die("tokenizer: no token that begins a text is known by name");
	json_object_set_new(config, "bos_token_id", json_integer(bos < 0 ? eos : bos));
	json_object_set_new(config, "pad_token_id", json_integer(tokenizer_special(tokenizer, SPECIAL_PAD)));
}

static struct model *make(const struct recformer_start *start, const char *where)
{
	char fingerprint[17];
	fingerprint_text(tokenizer_fingerprint(start->tokenizer), fingerprint);
	json_object_set_new(start->config, "architecture", json_string("recformer"));
	struct model *model = model_new(start->config, tokenizer_vocab_size(start->tokenizer), fingerprint, where);
	model_initialise(model, start->rng);
	return model;
}

/* --- words of a language model --- */

struct word_table {
	int64_t rows, width;
	float *vectors;
};

static struct word_table read_words(const struct recformer_start *start)
{
	struct word_table table;
	struct weights *weights = weights_open(start->words);
	char fingerprint[17];
	weights_fingerprint(weights, fingerprint);
	tokenizer_require(start->tokenizer, fingerprint, start->words);
	table.vectors = token_vectors(weights, start->words, &table.rows, &table.width);
	if (table.rows != tokenizer_vocab_size(start->tokenizer))
		die("%s: %lld token vectors, its tokenizer has %lld tokens", start->words, (long long)table.rows,
			(long long)tokenizer_vocab_size(start->tokenizer));
	weights_close(weights);
	return table;
}

static void centre(struct word_table *table)
{
	float *sum = xcalloc((size_t)table->width, sizeof *sum);
	vec_sum_rows(table->vectors, table->rows, table->width, table->width, sum);
	for (int64_t i = 0; i < table->width; i++)
		sum[i] /= -(float)table->rows;
	vec_add_rows(table->vectors, table->rows, table->width, table->width, sum);
	free(sum);
}

/* The `axes` longest principal axes, each a row, divided by its length: the longest hold little but how frequent a word is. */
static float *principal_axes(const struct word_table *table, int64_t axes)
{
	int64_t n = table->width;
	double *vectors = xcalloc((size_t)(n * n), sizeof *vectors), *squares = xcalloc((size_t)n, sizeof *squares);
	float *map = xcalloc((size_t)(axes * n), sizeof *map);
	gram(table->vectors, table->rows, n, n, vectors);
	symmetric_eigen(vectors, n, squares);
	for (int64_t i = 0; i < axes; i++)
		for (int64_t j = 0; j < n && squares[n - 1 - i] > 0; j++)
			map[i * n + j] = (float)(vectors[(n - 1 - i) * n + j] / sqrt(squares[n - 1 - i]));
	free(vectors);
	free(squares);
	return map;
}

static void set_words(const struct recformer_start *start, struct model *model)
{
	struct param *words = params_find(&model->params, "longformer.embeddings.word_embeddings.weight");
	struct param *of_head = params_find(&model->params, "lm_head.decoder.weight");
	struct word_table table = read_words(start);
	if (table.width < words->columns)
		die("%s: token vectors are %lld wide, less than the model's %lld", start->words, (long long)table.width,
			(long long)words->columns);
	centre(&table);
	float *map = principal_axes(&table, words->columns);
	gemm(false, true, table.rows, words->columns, table.width, 1, table.vectors, table.width, map, table.width, 0,
		words->value, words->columns);
	double deviation = sqrt(vec_sum_of_squares(words->value, param_count(words)) / (double)param_count(words));
	for (int64_t i = 0; i < param_count(words); i++)
		words->value[i] *= (float)(WORDS_DEVIATION / deviation);
	if (of_head)
		memcpy(of_head->value, words->value, (size_t)param_count(words) * sizeof *words->value);
	free(map);
	free(table.vectors);
}

/* --- words that are rare --- */

static struct param *layer_param(const struct model *model, int64_t layer, const char *name)
{
	char full[80];
	snprintf(full, sizeof full, "longformer.encoder.layer.%lld.attention.self.%s", (long long)layer, name);
	return params_find(&model->params, full);
}

#define LEAST_WEIGHT 0.05 /* of a token that every item has, a name of an attribute; and of the first one */
#define OF_EARLIER 0.7    /* weight of an item beside the one after it */

/* By token, log of its inverse document frequency (Sparck Jones, 1972); an item is a document. */
static double *log_weights(const struct catalog *catalog, int64_t n_tokens)
{
	double *weight = xcalloc((size_t)n_tokens, sizeof *weight);
	int64_t *latest = xcalloc((size_t)n_tokens, sizeof *latest);
	for (int64_t item = 0; item < catalog->n_items; item++)
		for (int64_t t = catalog->indptr[item]; t < catalog->indptr[item + 1]; t++) {
			int32_t token = catalog->input_ids[t];
			if (token < 0 || token >= n_tokens || latest[token] == item + 1)
				continue; /* encoder_read() says what is wrong with it */
			latest[token] = item + 1;
			weight[token]++;
		}
	for (int64_t token = 0; token < n_tokens; token++)
		weight[token] = log(fmax(log((double)(catalog->n_items + 1) / (weight[token] + 1)), LEAST_WEIGHT));
	free(latest);
	return weight;
}

/*
 * The first column of the embeddings becomes the log of a weight, idf of a word times a power of an item's position, which
 * the layer norm behind takes for deviations; the first token asks for it in each head, so that the softmax is the weights
 * over their sum; what is summed up leaves it out.
 */
static void weigh_words(struct model *model, const struct catalog *catalog)
{
	struct param *words = params_find(&model->params, "longformer.embeddings.word_embeddings.weight"), *param;
	struct param *positions = params_find(&model->params, "longformer.embeddings.item_position_embeddings.weight");
	int64_t d = words->columns, layers = json_integer_value(json_object_get(model->config, "num_hidden_layers"));
	int64_t heads = json_integer_value(json_object_get(model->config, "num_attention_heads")), width = d / heads;
	double *weight = log_weights(catalog, words->rows);
	weight[json_integer_value(json_object_get(model->config, "bos_token_id"))] = log(LEAST_WEIGHT);
	for (int64_t token = 0; token < words->rows; token++)
		words->value[token * d] = (float)(WORDS_DEVIATION * weight[token]);
	for (int64_t position = 2; position < positions->rows; position++)
		positions->value[position * d] = (float)(WORDS_DEVIATION * (double)(position - 1) * log(OF_EARLIER));
	for (int64_t layer = 0; layer < layers; layer++)
		for (int64_t head = 0; head < heads; head++) {
			param = layer_param(model, layer, "key_global.weight");
			memset(param->value + head * width * d, 0, (size_t)d * sizeof(float));
			param->value[head * width * d] = 1;
			param = layer_param(model, layer, "query_global.bias");
			param->value[head * width] = sqrtf((float)width);
			param = layer_param(model, layer, "value_global.weight");
			param->value[0] = 0;
		}
	free(weight);
}

struct model *recformer_anew(const struct recformer_start *start)
{
	set_tokens(start->config, start->tokenizer);
	struct model *model = make(start, "options");
	if (start->words)
		set_words(start, model);
	const char *initialiser = json_string_value(json_object_get(model->config, "initialiser"));
	if (start->catalog && initialiser && !strcmp(initialiser, "words"))
		weigh_words(model, start->catalog);
	return model;
}

/* A shape that an option changed. */
static void require_shape(const struct param *param, int n_dims, const int64_t shape[], const char *where)
{
	struct tensor is = {.dtype = F4, .n_dims = n_dims}, should_be = param_tensor(param);
	memcpy(is.shape, shape, (size_t)n_dims * sizeof *shape);
	if (n_dims == should_be.n_dims && !memcmp(is.shape, should_be.shape, (size_t)n_dims * sizeof *shape))
		return;
	char text[2][128];
	die("%s: %s is %s, %s was expected", where, param->name, tensor_describe(&is, text[0]),
		tensor_describe(&should_be, text[1]));
}

struct model *recformer_from_model(const struct recformer_start *start, const struct model *model)
{
	json_object_update_missing(start->config, model->config);
	tokenizer_require(start->tokenizer, model->belongs_to, "model");
	struct model *made = make(start, "options");
	for (int i = 0; i < made->params.count; i++) {
		struct param *param = made->params.list[i];
		const struct param *from = params_find(&model->params, param->name);
		if (!from)
			continue; /* the head of words, which a fine-tuned model has no more */
		const struct tensor tensor = param_tensor(from);
		require_shape(param, tensor.n_dims, tensor.shape, "model");
		memcpy(param->value, from->value, (size_t)param_count(param) * sizeof *param->value);
	}
	return made;
}

/* --- published weights --- */

/* Keys of config.json that mean the same here. */
static void take_config(json_t *config, const json_t *published)
{
	static const char *const keys[] = {
		"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "layer_norm_eps",
		"hidden_dropout_prob", "attention_probs_dropout_prob", "max_position_embeddings", "bos_token_id", "pad_token_id",
		"token_type_size", "max_item_embeddings", "max_attr_num", "max_attr_length", "max_token_num",
	};
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		json_t *value = json_object_get(published, keys[i]);
		if (value && !json_is_null(value) && !json_object_get(config, keys[i]))
			json_object_set(config, keys[i], value);
	}
	/* a Longformer's own window is wider than what Recformer trains it with */
	json_t *window = json_object_get(published, "attention_window");
	if (window && json_object_get(published, "max_item_embeddings") && !json_object_get(config, "attention_window"))
		json_object_set(config, "attention_window", window);
}

static bool is_new(const struct param *param)
{
	return strstr(param->name, "item_position_embeddings");
}

/* The only row of a Longformer's token types becomes all of ours. */
static bool read_types(const struct weights *weights, struct param *param, int n_dims, const int64_t shape[])
{
	if (!strstr(param->name, "token_type_embeddings") || n_dims != 2 || shape[0] != 1 || shape[1] != param->columns)
		return false;
	weights_read(weights, param->name, param->value);
	for (int64_t row = 1; row < param->rows; row++)
		memcpy(param->value + row * param->columns, param->value, (size_t)param->columns * sizeof *param->value);
	return true;
}

static void read_param(const struct weights *weights, struct param *param, const char *path)
{
	int n_dims;
	int64_t shape[WEIGHTS_MAX_DIMS];
	const char *name = param->name;
	if (!weights_shape(weights, name, &n_dims, shape) && !strcmp(name, "lm_head.decoder.weight"))
		name = "longformer.embeddings.word_embeddings.weight"; /* saved once where the two were tied */
	if (!weights_shape(weights, name, &n_dims, shape)) {
		if (is_new(param))
			return;
		die("%s: no tensor %s", path, name);
	}
	if (read_types(weights, param, n_dims, shape))
		return;
	require_shape(param, n_dims, shape, path);
	weights_read(weights, name, param->value);
}

struct model *recformer_from_weights(const struct recformer_start *start, const char *path)
{
	struct weights *weights = weights_open(path);
	const json_t *published = weights_config(weights);
	const char *type = json_get_string(published, "model_type", path);
	if (strcmp(type, "longformer"))
		die("%s: model_type is \"%s\", longformer was expected", path, type);
	char fingerprint[17];
	weights_fingerprint(weights, fingerprint);
	if (*fingerprint)
		tokenizer_require(start->tokenizer, fingerprint, path);
	take_config(start->config, published);
	set_tokens(start->config, start->tokenizer);
	int n_dims;
	int64_t shape[WEIGHTS_MAX_DIMS];
	if (!weights_shape(weights, "lm_head.dense.weight", &n_dims, shape))
		json_object_set_new(start->config, "word_head", json_false());
	struct model *model = make(start, path);
	for (int i = 0; i < model->params.count; i++)
		read_param(weights, model->params.list[i], path);
	weights_close(weights);
	return model;
}
