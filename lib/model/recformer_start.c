#include "model/recformer_start.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/weights.h"
#include "model/encoder.h"
#include "model/recformer_encoder.h"
#include "model/recformer_words.h"
#include "stream/ranks.h"

const char *const recformer_sizes[] = {"tiny", "small", "base", NULL};
enum { SMALL = 1 };

const struct option recformer_from_options[] = {
	{OPTIONS_TITLE("Model:")},
	{"size", CHOICE_OPTION(struct recformer_from, size, recformer_sizes), .argument = "NAME",
		.only = "!weights|model; !hidden_size, !num_hidden_layers, !num_attention_heads",
		.help = "New: tiny (2 layers of 64), small (4 of 128, default), base (12 of 768, the paper's)"},
	{"weights", .argument = "FOLDER", FILE_OPTION(struct recformer_from, weights), .only = "!model",
		.help =
			"Start from a published Longformer or Recformer, or a text encoder: BERT, RoBERTa, sentence-transformers'"},
	{"words", .argument = "LLM", FILE_OPTION(struct recformer_from, words), .only = "!weights|model",
		.help = "New: word vectors from a language model's, GGUF or Hugging Face's folder"},
	{.key = "whiten",
		YES_NO_OPTION(struct recformer_from, whiten),
		.fallback = "no",
		.only = "!size|weights|words",
		.help = "Of a model with a pooler: items' vectors without correlations, anew, in this catalog"},
	{0},
};

void recformer_size(json_t *config, int size)
{
	static const struct {
		int64_t width, layers, heads;
	} sizes[] = {{64, 2, 2}, {128, 4, 4}, {768, 12, 12}};
	json_t *numbers = json_build("{s:I, s:I, s:I}", "hidden_size", (json_int_t)sizes[size].width, "num_hidden_layers",
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
	json_set(config, "bos_token_id", json_integer(bos < 0 ? eos : bos));
	json_set(config, "pad_token_id", json_integer(tokenizer_special(tokenizer, SPECIAL_PAD)));
}

static struct model *make(const struct recformer_start *start, const char *where)
{
	char fingerprint[17];
	fingerprint_text(tokenizer_fingerprint(start->tokenizer), fingerprint);
	json_set(start->config, "architecture", json_string("recformer"));
	struct model *model = model_new(start->config, tokenizer_vocab_size(start->tokenizer), fingerprint, where);
	model_initialise(model, start->rng);
	return model;
}

static struct model *start_anew(const struct recformer_start *start)
{
	if (start->from->whiten)
		die("--set whiten=yes: no model in the stream whose vectors it would whiten");
	set_tokens(start->config, start->tokenizer);
	struct model *model = make(start, OPTIONS_GIVEN);
	const char *initialiser = json_string_value(json_object_get(model->config, "initialiser"));
	if (start->from->words)
		words_of_llm(model, start->from->words, start->tokenizer);
	if (initialiser && !strcmp(initialiser, "words"))
		start_as_words(model, start->catalog);
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

static void whiten_anew(struct model *model, const struct recformer_start *start)
{
	if (!params_find(&model->params, "pooler.dense.weight"))
		die("--set whiten=yes: the stream's model has no pooler, which whitens");
	if (start->catalog->n_items < 2 * model->width)
		die("--set whiten=yes: %s; vectors of %s need twice as many to be whitened by",
			counted(start->catalog->n_items, "items"), counted(model->width, "numbers"));
	encoder_read(model, start->catalog);
	recformer_whiten(model, start->threads);
}

static struct model *start_from_model(const struct recformer_start *start)
{
	const struct model *model = start->model;
	options_inherit(recformer_architecture.options, start->config, model->config, DERIVED_KEPT);
	tokenizer_require(start->tokenizer, model->belongs_to, "model");
	struct model *made = make(start, OPTIONS_GIVEN);
	for (int i = 0; i < made->params.count; i++) {
		struct param *param = made->params.list[i];
		const struct param *from = params_find(&model->params, param->name);
		if (!from || param == recformer_own(made)->vectors)
			continue; /* the head of words, which a fine-tuned model has no more; items' own begin anew */
		const struct tensor tensor = param_tensor(from);
		require_shape(param, tensor.n_dims, tensor.shape, "model");
		memcpy(param->value, from->value, (size_t)param_count(param) * sizeof *param->value);
	}
	if (start->from->whiten)
		whiten_anew(made, start);
	return made;
}

/* --- published weights --- */

/* One number for all layers, or a list of equal ones. */
static json_t *window_of(const json_t *published, const char *path)
{
	json_t *window = json_object_get(published, "attention_window"), *one;
	if (!json_is_array(window))
		return window;
	size_t i;
	json_array_foreach (window, i, one)
		if (!json_equal(one, json_array_get(window, 0)))
			die("%s: \"attention_window\": windows that differ by layer are not supported", path);
	const json_int_t layers = json_integer_value(json_object_get(published, "num_hidden_layers"));
	if ((json_int_t)i != layers)
		die("%s: \"attention_window\" has %zu entries, %lld were expected", path, i, (long long)layers);
	return json_array_get(window, 0);
}

/* Keys of config.json that mean the same here. */
static void take_config(json_t *config, const json_t *published, const char *path)
{
	static const char *const keys[] = {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
		"intermediate_size", "layer_norm_eps", "hidden_dropout_prob", "attention_probs_dropout_prob",
		"max_position_embeddings", "bos_token_id", "pad_token_id", "token_type_size", "max_item_embeddings",
		"max_attr_num", "max_attr_length", "max_token_num"};
	json_t *known = json_object();
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		json_t *value = json_object_get(published, keys[i]);
		if (value && !json_is_null(value))
			json_set(known, keys[i], json_incref(value));
	}
	/* a Longformer's own window is wider than what Recformer trains it with */
	json_t *window = window_of(published, path);
	if (window && json_object_get(published, "max_item_embeddings"))
		json_set(known, "attention_window", json_incref(window));
	options_inherit(recformer_architecture.options, config, known, DERIVED_KEPT);
	json_decref(known);
}

static bool is_new(const struct param *param)
{
	return strstr(param->name, "item_position_embeddings") || !strncmp(param->name, "pooler.", 7) ||
		!strcmp(param->name, "item_vectors.weight");
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

/* A sentence encoder's folder may have its transformer in a folder of its own. */
static bool is_longformer(const char *path)
{
	char *modules = xasprintf("%s/modules.json", path);
	bool is = access(modules, F_OK) != 0;
	free(modules);
	if (is) {
		struct weights *weights = weights_open(path);
		is = !strcmp(json_get_string(weights_config(weights), "model_type", path), "longformer");
		weights_close(weights);
	}
	return is;
}

static struct model *start_from_encoder(const struct recformer_start *start)
{
	const char *path = start->from->weights;
	struct text_encoder *encoder = text_encoder_open(path);
	char fingerprint[17];
	recformer_config_of_encoder(start->config, encoder, path);
	fingerprint_text(tokenizer_fingerprint(text_encoder_tokenizer(encoder)), fingerprint);
	tokenizer_require(start->tokenizer, fingerprint, path);
	set_tokens(start->config, start->tokenizer);
	struct model *model = make(start, path);
	recformer_take_encoder(model, encoder, path);
	text_encoder_free(encoder);
	encoder_read(model, start->catalog);
	recformer_whiten(model, start->threads);
	return model;
}

static struct model *start_from_longformer(const struct recformer_start *start)
{
	const char *path = start->from->weights;
	struct weights *weights = weights_open(path);
	const json_t *published = weights_config(weights);
	char fingerprint[17];
	weights_fingerprint(weights, fingerprint);
	if (*fingerprint)
		tokenizer_require(start->tokenizer, fingerprint, path);
	take_config(start->config, published, path);
	set_tokens(start->config, start->tokenizer);
	int n_dims;
	int64_t shape[WEIGHTS_MAX_DIMS];
	if (!weights_shape(weights, "lm_head.dense.weight", &n_dims, shape))
		json_set(start->config, "word_head", json_false());
	struct model *model = make(start, path);
	for (int i = 0; i < model->params.count; i++)
		read_param(weights, model->params.list[i], path);
	weights_close(weights);
	return model;
}

struct model *recformer_started(const struct recformer_start *start, bool anew)
{
	const struct recformer_from *from = start->from;
	if (from->weights)
		return is_longformer(from->weights) ? start_from_longformer(start) : start_from_encoder(start);
	if (start->model && (from->words || from->size >= 0))
		die("--%s is for a new model, the stream has one", from->words ? "words" : "size");
	if (start->model)
		return start_from_model(start);
	if (!anew)
		die("no model in the stream to fine-tune; --task pretrain makes one, and --size NAME one at random");
	recformer_size(start->config, from->size < 0 ? SMALL : from->size);
	return start_anew(start);
}

/* Gradients and moments of fewer numbers are nothing to speak of. */
#define FEW_WORDS (1 << 22)

void recformer_by_rows(struct model *model)
{
	struct param *words = params_find(&model->params, "longformer.embeddings.word_embeddings.weight");
	const bool tied = recformer_has_words(model) && !params_find(&model->params, "lm_head.decoder.weight");
	if (!words->frozen && !tied && param_count(words) > FEW_WORDS && ranks_count() == 1)
		param_by_rows(&model->params, words);
}

void recformer_touch(struct worker *worker, const struct sentences *sentences)
{
	int64_t from, to;
	worker_share(worker, sentences->tokens, &from, &to);
	worker_touch(worker, NULL, sentences->token + from, to - from);
}
