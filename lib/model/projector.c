#include "model/projector.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/ops.h"
#include "nn/rows.h"
#include "nn/vec.h"

const char *const projector_names[] = {"table", "mlp", NULL};

#define VECTORS_AT_ONCE 64

/* --- making --- */

struct projector *projector_new(enum projector_kind kind, int64_t n_items, int64_t width)
{
	struct projector *projector = xcalloc(1, sizeof *projector);
	*projector = (struct projector){.kind = kind,
		.n_items = n_items,
		.width = width,
		.config = json_build("{s:s, s:I}", "projector", projector_names[kind], "width", (json_int_t)width)};
	return projector;
}

static void belongs_to(struct projector *projector, const struct catalog *catalog, const char *tokenizer)
{
	snprintf(projector->catalog, sizeof projector->catalog, "%s", catalog->fingerprint);
	snprintf(projector->tokenizer, sizeof projector->tokenizer, "%s", tokenizer);
	strings_add_all(&projector->item_id, catalog->item_id.text.data, catalog->n_items);
}

static void moment(const struct projector *projector, int64_t item, int64_t k, float *to)
{
	int64_t from = projector->texts.indptr[item], n = projector->texts.indptr[item + 1] - from, d = projector->width;
	memset(to, 0, (size_t)d * sizeof *to);
	for (int64_t t = 0; t < n; t++)
		vec_axpy((float)(cos(M_PI * (double)k * ((double)t + .5) / (double)n) / (double)n),
			projector->token_vectors + projector->texts.ids[from + t] * d, to, d);
}

static struct item_tokens copy_texts(const struct item_tokens *texts)
{
	struct ragged copy = RAGGED(I4);
	ragged_append_rows(&copy, texts->rows, texts->indptr, (const void *[]){texts->ids});
	return (struct item_tokens){.rows = copy.rows, .indptr = copy.indptr, .ids = copy.field[0], .n_cut = texts->n_cut};
}

static void know_words(struct projector *projector, const struct item_tokens *texts, const float *token_vectors,
	int64_t n_tokens)
{
	projector->texts = copy_texts(texts);
	projector->token_vectors = token_vectors;
	projector->n_tokens = n_tokens;
}

struct projector *projector_table(const struct catalog *catalog, const char *tokenizer, const struct item_tokens *texts,
	const float *token_vectors, int64_t n_tokens, int64_t width)
{
	struct projector *projector = projector_new(PROJECTOR_TABLE, catalog->n_items, width);
	belongs_to(projector, catalog, tokenizer);
	know_words(projector, texts, token_vectors, n_tokens);
	projector->vectors = xaligned((size_t)(projector->n_items * width), sizeof *projector->vectors);
	for (int64_t item = 0; item < projector->n_items; item++)
		moment(projector, item, 0, projector->vectors + item * width);
	return projector;
}

void projector_declare(struct projector *projector, int64_t moments, int64_t hidden)
{
	struct params *params = &projector->params;
	projector->moments = moments;
	projector->first = params_add(params, hidden, moments * projector->width, false, "projector.0.weight");
	projector->first_bias = params_add(params, 0, hidden, false, "projector.0.bias");
	projector->second = params_add(params, projector->width, hidden, false, "projector.1.weight");
	projector->second_bias = params_add(params, 0, projector->width, false, "projector.1.bias");
	params_allocate(params);
}

struct projector *projector_mlp(const struct catalog *catalog, const char *tokenizer, const struct item_tokens *texts,
	const float *token_vectors, int64_t n_tokens, int64_t width, int64_t moments, int64_t hidden, struct rng *rng)
{
	struct projector *projector = projector_new(PROJECTOR_MLP, catalog->n_items, width);
	belongs_to(projector, catalog, tokenizer);
	know_words(projector, texts, token_vectors, n_tokens);
	projector_declare(projector, moments, hidden);
	param_normal(projector->first, rng, 1 / sqrt((double)projector->first->columns));
	projector->scale = (float)sqrt(vec_sum_of_squares(token_vectors, n_tokens * width) / (double)(n_tokens * width));
	json_object_update_new(projector->config,
		json_build("{s:I, s:I, s:f}", "moments", (json_int_t)moments, "hidden_size", (json_int_t)hidden, "scale",
			(double)projector->scale));
	return projector;
}

void projector_free(struct projector *projector)
{
	if (!projector)
		return;
	json_decref(projector->config);
	strings_free(&projector->item_id);
	params_free(&projector->params);
	item_tokens_free(&projector->texts);
	free(projector->vectors);
	free(projector->own_vectors);
	free(projector);
}

/* --- vectors --- */

/* mean + W2 gelu(W1 moments / scale + b1) + b2 */
static struct array *network(struct tape *tape, const struct projector *projector, const int64_t item[], int64_t n)
{
	int64_t d = projector->width, wide = projector->moments * d;
	float *moments = arena_take(&tape->arena, n, wide, sizeof *moments);
	float *mean = arena_take(&tape->arena, n, d, sizeof *mean);
	for (int64_t r = 0; r < n; r++) {
		float *row = moments + r * wide;
		for (int64_t k = 0; k < projector->moments; k++)
			moment(projector, item[r], k, row + k * d);
		memcpy(mean + r * d, row, (size_t)d * sizeof *mean);
		for (int64_t i = 0; i < wide; i++)
			row[i] /= projector->scale;
	}
	struct array *inner = linear(tape, tape_constant(tape, moments, n, wide), tape_param(tape, projector->first),
		tape_param(tape, projector->first_bias), ACT_GELU, 0);
	struct array *change = linear(tape, inner, tape_param(tape, projector->second),
		tape_param(tape, projector->second_bias), ACT_NONE, 0);
	return add(tape, change, tape_constant(tape, mean, n, d));
}

struct array *projector_forward(struct tape *tape, const struct projector *projector, const int64_t item[], int64_t n)
{
	if (projector->kind == PROJECTOR_MLP)
		return network(tape, projector, item, n);
	int64_t d = projector->width;
	struct array *vectors = tape_input(tape, n, d);
	for (int64_t r = 0; r < n; r++)
		memcpy(vectors->value + r * d, projector->vectors + item[r] * d, (size_t)d * sizeof *vectors->value);
	return vectors;
}

void projector_vectors(const struct projector *projector, float *vectors)
{
	int64_t d = projector->width;
#pragma omp parallel
	{
		struct tape tape = {0};
#pragma omp for schedule(dynamic)
		for (int64_t from = 0; from < projector->n_items; from += VECTORS_AT_ONCE) {
			int64_t item[VECTORS_AT_ONCE], n = 0;
			while (n < VECTORS_AT_ONCE && from + n < projector->n_items) {
				item[n] = from + n;
				n++;
			}
			tape_begin(&tape, NULL, 0, 0);
			const struct array *some = projector_forward(&tape, projector, item, n);
			memcpy(vectors + from * d, some->value, (size_t)(n * d) * sizeof *vectors);
		}
		tape_free(&tape);
	}
}
