#include <string.h>

#include "model/encoder.h"
#include "model/items.h"

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
