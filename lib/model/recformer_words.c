#include "model/recformer_words.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/weights.h"
#include "model/item_vectors.h"
#include "nn/blas.h"
#include "nn/vec.h"

#define WORDS_DEVIATION 0.02 /* as all matrices of a new model */

/* --- words of a language model --- */

struct word_table {
	int64_t rows, width;
	float *vectors;
};

static struct word_table read_words(const char *path, const struct tokenizer *tokenizer)
{
	struct word_table table;
	struct weights *weights = weights_open(path);
	char fingerprint[17];
	weights_fingerprint(weights, fingerprint);
	tokenizer_require(tokenizer, fingerprint, path);
	table.vectors = token_vectors(weights, path, &table.rows, &table.width);
	if (table.rows != tokenizer_vocab_size(tokenizer))
		die("%s: %lld token vectors, its tokenizer has %s", path, (long long)table.rows,
			counted(tokenizer_vocab_size(tokenizer), "tokens"));
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

/*
 * The `axes` longest principal axes, each a row, divided by its
 * length: the longest hold little but how frequent a word is.
 */
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

void words_of_llm(struct model *model, const char *path, const struct tokenizer *tokenizer)
{
	struct param *words = params_find(&model->params, "longformer.embeddings.word_embeddings.weight");
	struct param *of_head = params_find(&model->params, "lm_head.decoder.weight");
	struct word_table table = read_words(path, tokenizer);
	if (table.width < words->columns)
		die("%s: token vectors are %lld wide, less than the model's %lld", path, (long long)table.width,
			(long long)words->columns);
	centre(&table);
	float *map = principal_axes(&table, words->columns);
	blas_gemm(false, true, table.rows, words->columns, table.width, 1, table.vectors, table.width, map, table.width, 0,
		words->value, words->columns);
	double deviation = sqrt(vec_sum_of_squares(words->value, param_count(words)) / (double)param_count(words));
	for (int64_t i = 0; i < param_count(words); i++)
		words->value[i] *= (float)(WORDS_DEVIATION / deviation);
	if (of_head)
		memcpy(of_head->value, words->value, (size_t)param_count(words) * sizeof *words->value);
	free(map);
	free(table.vectors);
}

/* --- a text is the mean of its words --- */

/*
 * Not the paper's, which starts from a trained Longformer. With random matrices a pooled vector says little but that it
 * is a first token; here it is the mean of its words, which is what is closest to a good one. The gain is large enough
 * for a mean of hundreds to outweigh the first token itself.
 */
#define OTHERS_SCALE 0.01f /* of embeddings that are not of words */
#define MEAN_GAIN 30

static void scale_param(struct param *param, float factor)
{
	for (int64_t i = 0; i < param_count(param); i++)
		param->value[i] *= factor;
}

static void start_as_mean(struct param *param)
{
	const char *name = param->name;
	bool is_output = strstr(name, "attention.output.dense.weight");
	if (strstr(name, "_embeddings") && !strstr(name, "word_embeddings"))
		scale_param(param, OTHERS_SCALE);
	if (strstr(name, "self.value.weight"))
		scale_param(param, 1.0f / MEAN_GAIN);
	if (!is_output && !strstr(name, "value_global.weight"))
		return;
	param_fill(param, 0);
	for (int64_t i = 0; i < param->rows; i++)
		param->value[i * param->columns + i] = is_output ? MEAN_GAIN : 1;
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
 * The first column of the embeddings becomes the log of a weight, idf of a word times a power of an item's position,
 * which the layer norm behind takes for deviations; the first token asks for it in each head, so that the softmax is
 * the weights over their sum; what is summed up leaves it out.
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

void start_as_words(struct model *model, const struct catalog *catalog)
{
	for (int i = 0; i < model->params.count; i++)
		start_as_mean(model->params.list[i]);
	weigh_words(model, catalog);
}
