#include <stdlib.h>
#include <string.h>

#include "model/content.h"
#include "model/encoder.h"
#include "model/items.h"
#include "nn/vec.h"

int64_t model_max_length(const struct model *model)
{
	return json_integer_value(json_object_get(model->config, "max_length"));
}

const float *model_item_vectors(const struct model *model)
{
	return model->candidates ? model->candidates : model->item_vectors->value;
}

int64_t model_ranked(const struct model *model)
{
	return model->catalog ? model->catalog->n_items : model->n_items;
}

struct array *model_hidden(struct tape *tape, const struct model *model, const struct histories *histories)
{
	return items_query(tape, model, model->architecture->hidden(tape, model, histories));
}

static void query(struct tape *tape, const struct model *model, const struct histories *histories, int64_t row,
	float *query)
{
	int64_t indptr[2] = {histories->indptr[row], histories->indptr[row + 1]}, longest = model_max_length(model);
	struct histories one = *histories;
	one.rows = 1;
	one.indptr = indptr;
	if (model->architecture->encode) {
		if (!model->architecture->of_items || !model->architecture->of_items(model, &one, query))
			model->architecture->encode(tape, model, &one, query);
		unit_length(query, 1, model->width);
		return;
	}
	if (longest && indptr[1] - indptr[0] > longest)
		indptr[0] = indptr[1] - longest;
	if (indptr[1] == indptr[0]) {
		memset(query, 0, (size_t)model->width * sizeof *query);
		return;
	}
	tape_begin(tape, NULL, 0, 0);
	const struct array *hidden = model_hidden(tape, model, &one);
	memcpy(query, hidden->value + (hidden->rows - 1) * hidden->stride, (size_t)model->width * sizeof *query);
}

void model_queries(const struct model *model, const struct histories *histories, float *queries)
{
	const enum precision before = products_in(PRECISION_F32);
/* for a few, waking a team takes longer than the work */
#pragma omp parallel if (histories->rows > 16)
	{
		struct tape tape = {0};
#pragma omp for schedule(dynamic, 16)
		for (int64_t row = 0; row < histories->rows; row++)
			query(&tape, model, histories, row, queries + row * model->width);
		tape_free(&tape);
	}
	products_in(before);
}

/* --- rows of scores --- */

/* Histories in the model's own items; those that it does not know are left out. */
static struct ragged own_histories(const struct model *model, const struct histories *histories)
{
	struct ragged own = RAGGED(I4);
	ragged_clear(&own);
	for (int64_t row = 0; row < histories->rows; row++) {
		const int64_t first = histories->indptr[row], end = histories->indptr[row + 1];
		const int64_t start = ragged_add(&own, end - first);
		int64_t at = start;
		for (int64_t i = first; i < end; i++)
			if (model->own_row[histories->item[i]] >= 0)
				((int32_t *)own.field[0])[at++] = model->own_row[histories->item[i]];
		ragged_shorten(&own, at - start);
	}
	return own;
}

/* Of models with vectors: each score has the same bits whatever else is asked. */
static void dot_scores(const struct model *model, const struct histories *histories, int64_t items, float *scores)
{
	const int64_t width = model->width;
	const float *vectors = model_item_vectors(model);
	float *queries = xaligned((size_t)(histories->rows * width), sizeof *queries);
	model_queries(model, histories, queries);
#pragma omp parallel for
	for (int64_t item = 0; item < items; item++)
		for (int64_t row = 0; row < histories->rows; row++)
			scores[row * items + item] = vec_dot(queries + row * width, vectors + item * width, width);
	free(queries);
}

static void own_scores(const struct model *model, const struct histories *histories, float *scores)
{
	if (model->architecture->score)
		model->architecture->score(model, histories, scores);
	else
		dot_scores(model, histories, model->architecture->encode ? model_ranked(model) : model->n_items, scores);
}

/* By the model's own items, then brought to the rows of the catalog. */
static void score_by_own(const struct model *model, const struct histories *histories, float *scores)
{
	const int64_t items = model_ranked(model);
	struct ragged own = own_histories(model, histories);
	float *of_own = xaligned((size_t)(histories->rows * model->n_items), sizeof *of_own);
	own_scores(model, &(struct histories){histories->rows, own.indptr, own.field[0], NULL}, of_own);
	for (int64_t row = 0; row < histories->rows; row++)
		for (int64_t item = 0; item < items; item++) {
			const int32_t at = model->own_row[item];
			scores[row * items + item] = at >= 0 ? of_own[row * model->n_items + at] : 0;
		}
	free(of_own);
	ragged_free(&own);
}

void model_scores(const struct model *model, const struct histories *histories, float *scores)
{
	if (model->own_row)
		score_by_own(model, histories, scores);
	else
		own_scores(model, histories, scores);
	if (model->content)
		content_add(model->content, histories, scores);
}
