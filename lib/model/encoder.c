#include "model/encoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/vec.h"
#include "stream/ranks.h"
#include "stream/progress.h"

#define ITEMS_AT_ONCE 32

void encoder_read(struct model *model, const struct catalog *catalog)
{
	if (!catalog->indptr)
		die("catalog: no text of the items, which %s reads; seq-tokenize --items gives it", model->architecture->name);
	const char *tokenizer = json_get_string(catalog->group.meta, "tokenizer", "catalog/meta.json");
	if (strcmp(tokenizer, model->belongs_to))
		die("model: its tokenizer is not the one that the items of %s were read with", group_source(&catalog->group));
	if (!catalog->n_tokens)
		die("catalog: none of its items has any text");
	for (int64_t t = 0; t < catalog->n_tokens; t++)
		if (catalog->input_ids[t] < 0 || catalog->input_ids[t] >= model->n_items || catalog->token_type_ids[t] > 2)
			die("catalog: token %lld: id %d of type %d, ids below %lld of type 1 or 2 were expected", (long long)t,
				catalog->input_ids[t], catalog->token_type_ids[t], (long long)model->n_items);
	model->catalog = catalog;
}

/* Of every `step`th item, n in all. */
static void encode_every(const struct model *model, int64_t step, int64_t n_items, float *vectors)
{
	int64_t from, to;
	ranks_share(n_items, ITEMS_AT_ONCE, &from, &to);
#pragma omp parallel
	{
		struct tape tape = {0};
		int64_t indptr[ITEMS_AT_ONCE + 1];
		int32_t row[ITEMS_AT_ONCE];
#pragma omp for schedule(dynamic)
		for (int64_t first = from; first < to; first += ITEMS_AT_ONCE) {
			int64_t n = to - first < ITEMS_AT_ONCE ? to - first : ITEMS_AT_ONCE;
			for (int64_t i = 0; i <= n; i++)
				indptr[i] = i;
			for (int64_t i = 0; i < n; i++)
				row[i] = (int32_t)((first + i) * step);
			model->architecture->encode(&tape, model, &(struct histories){.rows = n, .indptr = indptr, .item = row},
				vectors + first * model->width);
		}
		tape_free(&tape);
	}
	ranks_gather(vectors, model->width, from, to);
}

void encoder_items(const struct model *model, float *vectors)
{
	encode_every(model, 1, model->catalog->n_items, vectors);
}

float *encoder_sample(const struct model *model, int64_t most, int64_t *n)
{
	const int64_t items = model->catalog->n_items, step = (items + most - 1) / most;
	*n = (items + step - 1) / step;
	float *vectors = xaligned((size_t)(*n * model->width), sizeof *vectors);
	encode_every(model, step, *n, vectors);
	return vectors;
}

void unit_length(float *rows, int64_t n, int64_t width)
{
	for (int64_t r = 0; r < n; r++) {
		float *row = rows + r * width, length = (float)sqrt(vec_sum_of_squares(row, width));
		for (int64_t i = 0; i < width; i++)
			row[i] /= length > 1e-8f ? length : 1e-8f;
	}
}

void encoder_rank_by(struct model *model, const float *vectors)
{
	const int64_t items = model->catalog->n_items, floats = items * model->width;
	if (!model->candidates)
		model->candidates = xaligned((size_t)floats, sizeof *model->candidates);
	memcpy(model->candidates, vectors, (size_t)floats * sizeof *vectors);
	unit_length(model->candidates, items, model->width);
}

static bool is_of(const struct embedding *embedding, const struct catalog *catalog, const char *model_id)
{
	const char *model = json_string_value(json_object_get(embedding->group.meta, "model"));
	return embedding->group.complete && model && !strcmp(model, model_id) &&
		!strcmp(embedding->catalog, catalog->fingerprint);
}

void encoder_rank_catalog(struct model *model, const struct catalog *catalog, const struct embedding *embedding,
	const char *model_id)
{
	encoder_read(model, catalog);
	if (is_of(embedding, catalog, model_id)) {
		embedding_check(embedding, catalog);
		if (embedding->width != model->width)
			die("embedding: %lld wide, the model's %lld was expected", (long long)embedding->width,
				(long long)model->width);
		encoder_rank_by(model, embedding->vector);
		return;
	}
	double started = seconds_now();
	float *vectors = xaligned((size_t)(catalog->n_items * model->width), sizeof *vectors);
	encoder_items(model, vectors);
	encoder_rank_by(model, vectors);
	free(vectors);
	notice("%s encoded in %.1f s", counted(catalog->n_items, "items"), seconds_now() - started);
}
