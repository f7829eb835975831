#include "model/text_encoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/weights.h"
#include "model/encoder.h"
#include "model/item_vectors.h"
#include "model/transformer_parts.h"
#include "nn/vec.h"
#include "stream/bytes.h"

#define DENSE_MAX 4
#define TOKENS_AT_ONCE 512

enum pooling { POOL_MEAN, POOL_CLS, POOL_LAST, POOL_MAX, POOL_ROOT, POOL_WEIGHTED };
static const char *const poolings[] = {"mean", "cls", "lasttoken", "max", "mean_sqrt_len_tokens", "weightedmean", NULL};

struct dense {
	struct param *weight, *bias; /* NULL: there is none */
	bool tanh;
};

struct text_encoder {
	const char *path; /* borrowed */
	struct transformer t;
	json_t *config; /* what its rows' texts are borrowed from */
	struct params params, dense_params;
	struct tokenizer *tokenizer;
	enum pooling pooling;
	struct dense dense[DENSE_MAX];
	int n_dense;
	bool normalises;
	int64_t width, longest;
	char *prompt;
	int64_t skipped; /* tokens that pooling leaves out: the prompt's, and what stands before it */
};

/* --- sentence-transformers' modules --- */

/* NULL: there is no such file. */
static json_t *document(const char *folder, const char *name)
{
	char *path = xasprintf("%s/%s", folder, name);
	json_t *document = NULL;
	if (!access(path, F_OK)) {
		size_t size;
		const void *text = file_map(path, &size);
		document = json_parse(text, size, path);
		file_unmap(text, size);
	}
	free(path);
	return document;
}

/* The newer spelling is one word, or a list of one; the older a flag for each. */
static const char *pooling_mode(const json_t *config)
{
	static const char *const flags[][2] = {{"pooling_mode_mean_tokens", "mean"}, {"pooling_mode_cls_token", "cls"},
		{"pooling_mode_lasttoken", "lasttoken"}, {"pooling_mode_max_tokens", "max"},
		{"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"},
		{"pooling_mode_weightedmean_tokens", "weightedmean"}};
	const json_t *mode = json_object_get(config, "pooling_mode");
	if (json_is_array(mode) && json_array_size(mode) == 1)
		mode = json_array_get(mode, 0);
	if (mode)
		return json_is_string(mode) ? json_string_value(mode) : "several at once";
	const char *found = NULL;
	for (size_t i = 0; i < COUNT_OF(flags); i++)
		if (json_is_true(json_object_get(config, flags[i][0])))
			found = found ? "several at once" : flags[i][1];
	return found ? found : "mean";
}

/* A text's ids, as the encoder reads it. */
static struct buffer ids_of(const struct text_encoder *encoder, const char *text)
{
	struct tokenize_options options = {.add_special = true, .special_as_text = true};
	struct tokenize_worker *worker = tokenize_worker_new(encoder->tokenizer, options);
	struct buffer ids = {0};
	tokenize(worker, text, strlen(text), -1, &ids);
	tokenize_worker_free(worker);
	return ids;
}

/* The prompt's tokens and those before it, without the one that closes a text. */
static int64_t tokens_of_prompt(const struct text_encoder *encoder)
{
	struct buffer ids = ids_of(encoder, encoder->prompt), around = ids_of(encoder, "");
	const size_t one = sizeof(int32_t);
	const bool is_closed = ids.size && around.size &&
		!memcmp(ids.data + ids.size - one, around.data + around.size - one, one);
	int64_t n = *encoder->prompt ? (int64_t)(ids.size / one) - is_closed : 0;
	buffer_free(&ids);
	buffer_free(&around);
	return n;
}

static void read_pooling(struct text_encoder *encoder, const char *folder)
{
	json_t *config = document(folder, "config.json");
	const char *mode = pooling_mode(config);
	int pooling = -1;
	for (int i = 0; poolings[i]; i++)
		if (!strcmp(poolings[i], mode))
			pooling = i;
	if (pooling < 0)
		die("%s/config.json: pooling by \"%.40s\" is not supported: mean, cls, lasttoken, max, "
			"mean_sqrt_len_tokens and "
			"weightedmean are",
			folder, mode);
	encoder->pooling = (enum pooling)pooling;
	if (json_is_false(json_object_get(config, "include_prompt")))
		encoder->skipped = tokens_of_prompt(encoder);
	json_decref(config);
}

/* Of a dense layer, or NULL where there is none. */
static struct param *dense_param(struct text_encoder *encoder, const struct weights *weights, const char *name,
	int n_dims, const char *path)
{
	int is;
	int64_t shape[WEIGHTS_MAX_DIMS];
	if (!weights_shape(weights, name, &is, shape))
		return NULL;
	if (is != n_dims || (n_dims == 2 && shape[1] != encoder->width))
		die("%s: %s is not of the width %lld of what comes before it", path, name, (long long)encoder->width);
	return params_add(&encoder->dense_params, n_dims == 2 ? shape[0] : 0, n_dims == 2 ? shape[1] : shape[0], true,
		"%d.%s", encoder->n_dense, name);
}

static bool is_tanh(const char *folder)
{
	json_t *config = document(folder, "config.json");
	const char *function = json_string_value(json_object_get(config, "activation_function"));
	const char *name = function && strrchr(function, '.') ? strrchr(function, '.') + 1 : function;
	bool tanh = !name || !strcmp(name, "Tanh");
	if (!tanh && strcmp(name, "Identity") != 0)
		die("%s/config.json: \"activation_function\" is \"%.60s\": Tanh and Identity are supported", folder, function);
	json_decref(config);
	return tanh;
}

static void read_dense(struct text_encoder *encoder, const char *folder)
{
	char *path = xasprintf("%s/model.safetensors", folder);
	if (encoder->n_dense == DENSE_MAX)
		die("%s: more than %d dense layers", path, DENSE_MAX);
	struct weights *weights = weights_open_bare(path);
	struct dense *dense = &encoder->dense[encoder->n_dense++];
	*dense = (struct dense){dense_param(encoder, weights, "linear.weight", 2, path),
		dense_param(encoder, weights, "linear.bias", 1, path), is_tanh(folder)};
	if (!dense->weight || (dense->bias && dense->bias->columns != dense->weight->rows))
		die("%s: \"linear.weight\", and \"linear.bias\" of its rows, were expected", path);
	encoder->width = dense->weight->rows;
	struct param *const both[] = {dense->weight, dense->bias};
	for (size_t i = 0; i < COUNT_OF(both); i++)
		if (both[i]) {
			both[i]->value = xaligned((size_t)param_count(both[i]), sizeof(float));
			weights_read(weights, strchr(both[i]->name, '.') + 1, both[i]->value);
		}
	weights_close(weights);
	free(path);
}

/* Module i, of a type known by its last word. The transformer, which comes first, is read already. */
static void read_module(struct text_encoder *encoder, const json_t *module, size_t i, const char *where)
{
	const char *type = json_get_string(module, "type", where),
			   *name = strrchr(type, '.') ? strrchr(type, '.') + 1 : type;
	char *folder = xasprintf("%s/%s", encoder->path, json_get_string(module, "path", where));
	if (strstr(folder, ".."))
		die("%s: the path of module %zu leaves the folder", where, i);
	if (!strcmp(name, "Pooling") && i == 1)
		read_pooling(encoder, folder);
	else if (!strcmp(name, "Dense") && i > 1)
		read_dense(encoder, folder);
	else if (!strcmp(name, "Normalize") && i > 1)
		encoder->normalises = true;
	else if (strcmp(name, "Transformer") != 0 || i > 0)
		die("%s: module %zu is \"%.60s\": a Transformer, a Pooling, then Dense and Normalize are supported", where, i,
			name);
	if (encoder->normalises && !strcmp(name, "Dense"))
		die("%s: module %zu: a Dense behind Normalize is not supported", where, i);
	free(folder);
}

/* The folder of the transformer; to be freed. */
static char *transformer_folder(const char *path, const json_t *modules, const char *where)
{
	const char *within = json_get_string(json_array_get(modules, 0), "path", where);
	if (strstr(within, ".."))
		die("%s: the path of module 0 leaves the folder", where);
	return *within ? xasprintf("%s/%s", path, within) : xstrdup(path);
}

/* The length that texts are cut to, and the prompt that they begin with. */
static void read_manners(struct text_encoder *encoder, const char *folder)
{
	json_t *manners = document(folder, "sentence_bert_config.json");
	json_int_t longest = json_integer_value(json_object_get(manners, "max_seq_length"));
	if (longest > 0 && longest < encoder->longest)
		encoder->longest = longest;
	if (json_is_true(json_object_get(manners, "do_lower_case")))
		die("%s/sentence_bert_config.json: \"do_lower_case\", which is not supported", folder);
	json_decref(manners);
	json_t *all = document(encoder->path, "config_sentence_transformers.json");
	const char *name = json_string_value(json_object_get(all, "default_prompt_name"));
	const char *prompt = name ? json_string_value(json_object_get(json_object_get(all, "prompts"), name)) : NULL;
	if (name && !prompt)
		die("%s/config_sentence_transformers.json: no prompt \"%.40s\"", encoder->path, name);
	encoder->prompt = xstrdup(prompt ? prompt : "");
	json_decref(all);
}

/* --- opening --- */

static void open_transformer(struct text_encoder *encoder, const char *path)
{
	struct weights *weights = weights_open(path);
	encoder->config = json_deep_copy(weights_config(weights));
	const char *type = json_get_string(encoder->config, "model_type", path);
	if (!family_of_type(type)->names)
		die("%s: a \"%s\" is no encoder of texts; those that are: %s", path, type, family_list(false, true));
	json_set(encoder->config, "tie_word_embeddings", json_true()); /* no head is asked for */
	const char *pooling = json_string_value(json_object_get(encoder->config, "pooling"));
	encoder->pooling = pooling && !strcmp(pooling, "cls") ? POOL_CLS :
		pooling && !strcmp(pooling, "lasttoken")          ? POOL_LAST :
															POOL_MEAN;
	json_object_del(encoder->config, "pooling");
	options_read(transformer_options, encoder->config, &encoder->t, path);
	transformer_check(&encoder->t, path);
	int64_t vocabulary = json_get_int(encoder->config, "vocab_size", 1, INT32_MAX, path);
	transformer_declare(&encoder->t, &encoder->params, vocabulary, path);
	encoder->tokenizer = weights_tokenizer(weights);
	if (!encoder->tokenizer)
		die("%s: no tokenizer comes with it", path);
	if (tokenizer_vocab_size(encoder->tokenizer) > vocabulary)
		die("%s: %lld token vectors, its tokenizer has %s", path, (long long)vocabulary,
			counted(tokenizer_vocab_size(encoder->tokenizer), "tokens"));
	transformer_load(&encoder->t, &encoder->params, weights, true, path);
	encoder->longest = encoder->t.max_length;
	encoder->width = encoder->t.d;
}

struct text_encoder *text_encoder_open(const char *path)
{
	struct text_encoder *encoder = xcalloc(1, sizeof *encoder);
	encoder->path = path;
	char *where = xasprintf("%s/modules.json", path);
	json_t *modules = document(path, "modules.json");
	if (!modules) {
		open_transformer(encoder, path);
		encoder->prompt = xstrdup("");
	} else {
		if (!json_is_array(modules) || json_array_size(modules) < 2)
			die("%s: a list of modules was expected, a Transformer and a Pooling first", where);
		char *folder = transformer_folder(path, modules, where);
		open_transformer(encoder, folder);
		read_manners(encoder, folder);
		for (size_t i = 0; i < json_array_size(modules); i++)
			read_module(encoder, json_array_get(modules, i), i, where);
		free(folder);
	}
	json_decref(modules);
	free(where);
	return encoder;
}

void text_encoder_free(struct text_encoder *encoder)
{
	if (!encoder)
		return;
	for (int i = 0; i < encoder->dense_params.count; i++)
		free(encoder->dense_params.list[i]->value);
	transformer_release(&encoder->t);
	params_free(&encoder->params);
	params_free(&encoder->dense_params);
	tokenizer_free(encoder->tokenizer);
	json_decref(encoder->config);
	free(encoder->prompt);
	free(encoder);
}

const struct tokenizer *text_encoder_tokenizer(const struct text_encoder *encoder)
{
	return encoder->tokenizer;
}

int64_t text_encoder_longest(const struct text_encoder *encoder)
{
	return encoder->longest;
}

int64_t text_encoder_width(const struct text_encoder *encoder)
{
	return encoder->width;
}

const char *text_encoder_prompt(const struct text_encoder *encoder)
{
	return encoder->prompt;
}

const char *text_encoder_pooling(const struct text_encoder *encoder)
{
	return poolings[encoder->pooling];
}

const struct transformer *text_encoder_transformer(const struct text_encoder *encoder)
{
	return &encoder->t;
}

bool text_encoder_has_dense(const struct text_encoder *encoder)
{
	return encoder->n_dense > 0;
}

void text_encoder_pack(struct text_encoder *encoder, enum packing packing)
{
	transformer_pack(&encoder->t, packing, true);
}

/* --- vectors --- */

/* The share that token t of n, of which `skipped` do not count, has in the sum of a text's states. */
static float share_of(enum pooling pooling, int64_t t, int64_t n, int64_t skipped)
{
	const float count = (float)(n - skipped);
	switch (pooling) {
	case POOL_CLS: return t == skipped;
	case POOL_LAST: return t == n - 1;
	case POOL_ROOT: return 1 / sqrtf(count);
	case POOL_WEIGHTED: return 2 * (float)(t + 1) / (count * (float)(skipped + 1 + n)); /* by places, counted from 1 */
	case POOL_MEAN:
	case POOL_MAX: break;
	}
	return 1 / count;
}

/* The n states of a text as one row; zeros where all are left out. */
static void pool(const struct text_encoder *encoder, const struct array *states, int64_t first, int64_t n, float *to)
{
	const int64_t d = states->columns, from = encoder->skipped;
	memset(to, 0, (size_t)d * sizeof *to);
	for (int64_t t = from; t < n; t++) {
		const float *state = states->value + (first + t) * states->stride;
		const float share = share_of(encoder->pooling, t, n, from);
		for (int64_t i = 0; encoder->pooling == POOL_MAX && i < d; i++)
			to[i] = t == from || state[i] > to[i] ? state[i] : to[i];
		if (encoder->pooling != POOL_MAX && share != 0)
			vec_axpy(share, state, to, d);
	}
}

static struct array *through_dense(struct tape *tape, const struct dense *dense, struct array *x)
{
	struct array *y = linear(tape, x, tape_param(tape, dense->weight), tape_param(tape, dense->bias), ACT_NONE, 0);
	for (int64_t i = 0; dense->tanh && i < y->rows * y->columns; i++)
		y->value[i] = tanhf(y->value[i]);
	return y;
}

/* A batch of texts that all have tokens: `vectors` gets theirs, end to end. */
static void encode(struct tape *tape, const struct text_encoder *encoder, const int32_t *ids, const int64_t *indptr,
	int64_t rows, float *vectors)
{
	tape_begin(tape, NULL, 0, 0);
	struct array *words = embedding(tape, tape_param(tape, transformer_tokens(&encoder->t)), ids + indptr[0],
		indptr[rows] - indptr[0], 1, NULL, NULL, 0);
	const struct array *states = transformer_states(tape, &encoder->t, words, indptr, rows);
	struct array *pooled = tape_input(tape, rows, states->columns);
	for (int64_t row = 0; row < rows; row++)
		pool(encoder, states, indptr[row] - indptr[0], indptr[row + 1] - indptr[row],
			pooled->value + row * pooled->columns);
	for (int i = 0; i < encoder->n_dense; i++)
		pooled = through_dense(tape, &encoder->dense[i], pooled);
	memcpy(vectors, pooled->value, (size_t)(rows * encoder->width) * sizeof *vectors);
	if (encoder->normalises)
		unit_length(vectors, rows, encoder->width);
}

/* Some texts, of which those without tokens are left out. */
static void encode_some(struct tape *tape, const void *context, const struct item_tokens *tokens, int64_t from,
	int64_t to, float *vectors)
{
	const struct text_encoder *encoder = context;
	int64_t width = encoder->width;
	memset(vectors + from * width, 0, (size_t)((to - from) * width) * sizeof *vectors);
	for (int64_t first = from, end; first < to; first = end) {
		bool empty = tokens->indptr[first] == tokens->indptr[first + 1];
		for (end = first + 1; end < to && (tokens->indptr[end] == tokens->indptr[end + 1]) == empty; end++)
			;
		if (!empty)
			encode(tape, encoder, tokens->ids, tokens->indptr + first, end - first, vectors + first * width);
	}
}

void text_encoder_vectors(const struct text_encoder *encoder, const struct item_tokens *tokens, float *vectors,
	int threads)
{
	vectors_of_batches(tokens, TOKENS_AT_ONCE, encode_some, encoder, vectors, threads);
}
