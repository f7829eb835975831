#include "model/llm.h"

#include <stdlib.h>
#include <string.h>

#include "data/family.h"
#include "data/weights.h"
#include "model/transformer_parts.h"
#include "nn/blas.h"
#include "nn/ops.h"

bool is_llm(const struct model *model)
{
	return model->architecture->reads_tokens && !model->architecture->encode;
}

/* --- opening --- */

struct model *llm_open(const char *path, enum llm_use use)
{
	struct weights *weights = weights_open(path);
	json_t *config = json_deep_copy(weights_config(weights));
	const char *type = json_get_string(config, "model_type", path);
	const struct family *family = family_of_type(type);
	if (!family->names || family->both_ways)
		die("%s: \"%s\" is an encoder; language models are %s", path, type, family_list(false, false));
	json_set(config, "architecture", json_string(family->learned_positions ? "gpt2" : "llama"));
	if (use == LLM_READS)
		json_set(config, "tie_word_embeddings", json_true());
	int64_t vocabulary = json_get_int(config, "vocab_size", 1, INT32_MAX, path);
	struct model *model = model_declared(config, vocabulary, "", path);
	weights_fingerprint(weights, model->belongs_to);
	if (use == LLM_LEARNS && llm_softcap(model) > 0)
		die("%s: \"%s\" caps its scores, and is read, not trained", path, type);
	transformer_load(model->state, &model->params, weights, use != LLM_LEARNS, path);
	return model;
}

void llm_freeze(struct model *model)
{
	for (int i = 0; i < model->params.count; i++)
		model->params.list[i]->frozen = true;
}

void llm_read_layer(struct model *model, int64_t layer)
{
	const int layers = transformer_layers(model->state);
	if (layer > layers)
		die("--layer %lld: the LLM has %s", (long long)layer, counted(layers, "layers"));
	if (layer < layers)
		transformer_cut(model->state, (int)layer);
}

void llm_pack(struct model *model, enum packing packing)
{
	if (packing == PACKED_NOT) {
		params_unpack(&model->params);
		return;
	}
	transformer_pack(model->state, packing, false);
	struct param *head = params_find(&model->params, model->item_vectors->name);
	params_pack(head, head, packing);
}

void llm_pack_to_read(struct model *model, enum packing packing)
{
	transformer_pack(model->state, packing, true);
}

/* --- states --- */

const float *llm_token_vectors(const struct model *model)
{
	return transformer_tokens(model->state)->value;
}

float llm_softcap(const struct model *model)
{
	return transformer_softcap(model->state);
}

struct array *llm_hidden(struct tape *tape, const struct model *model, struct array *embeddings, const int64_t *indptr,
	int64_t sequences)
{
	tape_keep(embeddings); /* the caller's */
	return transformer_states(tape, model->state, embeddings, indptr, sequences);
}

struct array *llm_hidden_of_tokens(struct tape *tape, const struct model *model, const struct histories *histories)
{
	int64_t n = histories->indptr[histories->rows] - histories->indptr[0];
	struct array *embeddings = embedding(tape, tape_param(tape, transformer_tokens(model->state)),
		histories->item + histories->indptr[0], n, 1, NULL, NULL, 0);
	return transformer_states(tape, model->state, embeddings, histories->indptr, histories->rows);
}

/* --- greedy text --- */

#define AT_ONCE 16

/* Some vectors' texts so far: the vector, then the tokens said. */
struct saying {
	const struct model *model;
	int32_t start;
	const float *vectors;
	int64_t n, active[AT_ONCE], n_active; /* those that go on */
	int32_t *tokens;
	int64_t max_tokens, *length;
};

static void inputs_of(const struct saying *saying, int64_t one, float *rows)
{
	int64_t d = saying->model->width;
	const float *table = llm_token_vectors(saying->model);
	if (saying->start >= 0) {
		memcpy(rows, table + saying->start * d, (size_t)d * sizeof *rows);
		rows += d;
	}
	memcpy(rows, saying->vectors + one * d, (size_t)d * sizeof *rows);
	for (int64_t t = 0; t < saying->length[one]; t++)
		memcpy(rows + (t + 1) * d, table + saying->tokens[one * saying->max_tokens + t] * d, (size_t)d * sizeof *rows);
}

static int32_t largest(const float *scores, int64_t n)
{
	int64_t best = 0;
	for (int64_t i = 1; i < n; i++)
		best = scores[i] > scores[best] ? i : best;
	return (int32_t)best;
}

/* One token more for every active text: they are equally long. next: n_active */
static void next_tokens(struct tape *tape, const struct saying *saying, int32_t *next)
{
	const struct param *head = saying->model->item_vectors;
	int64_t n = saying->n_active, d = saying->model->width;
	int64_t length = saying->length[saying->active[0]] + 1 + (saying->start >= 0);
	int64_t indptr[AT_ONCE + 1];
	tape_begin(tape, NULL, 0, 0);
	struct array *inputs = tape_input(tape, n * length, d);
	for (int64_t i = 0; i <= n; i++)
		indptr[i] = i * length;
	for (int64_t i = 0; i < n; i++)
		inputs_of(saying, saying->active[i], inputs->value + indptr[i] * d);
	const struct array *hidden = llm_hidden(tape, saying->model, inputs, indptr, n);
	float *scores = tape_take(tape, n, head->rows);
	blas_gemm(false, true, n, head->rows, d, 1, hidden->value + (length - 1) * d, length * d, head->value, d, 0, scores,
		head->rows);
	for (int64_t i = 0; i < n; i++)
		next[i] = largest(scores + i * head->rows, head->rows);
}

static void say(struct tape *tape, struct saying *saying, int32_t stop)
{
	int32_t next[AT_ONCE];
	for (int64_t i = 0; i < saying->n; i++) {
		saying->active[i] = i;
		saying->length[i] = 0;
	}
	saying->n_active = saying->n;
	for (int64_t step = 0; step < saying->max_tokens && saying->n_active; step++) {
		int64_t still = 0;
		next_tokens(tape, saying, next);
		for (int64_t i = 0; i < saying->n_active; i++) {
			int64_t one = saying->active[i];
			if (next[i] == stop)
				continue;
			saying->tokens[one * saying->max_tokens + saying->length[one]++] = next[i];
			saying->active[still++] = one;
		}
		saying->n_active = still;
	}
}

void llm_say(const struct model *model, int32_t start, const float *vectors, int64_t n, int32_t stop,
	int64_t max_tokens, int32_t *tokens, int64_t *length)
{
	const enum precision before = products_in(PRECISION_F32);
#pragma omp parallel
	{
		struct tape tape = {0};
#pragma omp for schedule(dynamic)
		for (int64_t first = 0; first < n; first += AT_ONCE) {
			struct saying saying = {.model = model,
				.start = start,
				.vectors = vectors + first * model->width,
				.n = n - first < AT_ONCE ? n - first : AT_ONCE,
				.tokens = tokens + first * max_tokens,
				.max_tokens = max_tokens,
				.length = length + first};
			say(&tape, &saying, stop);
		}
		tape_free(&tape);
	}
	products_in(before);
}

/* --- architectures --- */

static void declare(struct model *model, const char *where)
{
	transformer_declare(model->state, &model->params, model->n_items, where);
	json_set(model->config, "vocab_size", json_integer(model->n_items));
	model->item_vectors = transformer_head(model->state);
	if (!model->item_vectors)
		die("%s: an encoder, a language model was expected", where);
}

static void initialise(struct model *model, struct rng *rng)
{
	transformer_initialise(model->state, &model->params, rng);
}

static void release(struct model *model)
{
	transformer_release(model->state);
	free(model->state);
}

static const struct option llama_options[] = {
	{.kind = OPTION_INCLUDE, .included = transformer_options},
	{.key = "rms_norm_eps", OTHER_DEFAULT("1e-5")},
	{.key = "rope_theta", OTHER_DEFAULT("10000")},
	{.key = "rope_pairing", OTHER_DEFAULT("half")},
	{0},
};
static const struct option gpt2_options[] = {
	{.kind = OPTION_INCLUDE, .included = transformer_options},
	{.key = "model_type", OTHER_DEFAULT("gpt2")},
	{.key = "layer_norm_eps", OTHER_DEFAULT("1e-5")},
	{0},
};

#define LANGUAGE_MODEL                                                                                                 \
	.reads_tokens = true, .size = sizeof(struct transformer), .check = transformer_check, .declare = declare,          \
	.initialise = initialise, .hidden = llm_hidden_of_tokens, .tokens_at_once = 256, .release = release

const struct architecture llama_architecture = {
	.name = "llama",
	.summary = "a language model (LLaMA: Touvron et al. 2023)",
	.options = llama_options,
	LANGUAGE_MODEL,
};
const struct architecture gpt2_architecture = {
	.name = "gpt2",
	.summary = "a language model (GPT-2: Radford et al. 2019)",
	.options = gpt2_options,
	LANGUAGE_MODEL,
};
