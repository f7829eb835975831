/* Popularity: every user is recommended what occurred most often in training. */
#include <stdlib.h>

#include "model/model.h"

static const struct option options[] = {{0}};

static void declare(struct model *model, const char *where)
{
	(void)where;
	params_add(&model->params, 0, model->n_items, true, "count");
}

static void count(struct model *model, const struct histories *training)
{
	/* not in floats, where one more is none more behind 2^24 */
	int64_t *counts = xcalloc((size_t)model->n_items, sizeof *counts);
	float *values = params_find(&model->params, "count")->value;
	for (int64_t i = training->indptr[0]; i < training->indptr[training->rows]; i++)
		counts[training->item[i]]++;
	for (int64_t item = 0; item < model->n_items; item++)
		values[item] = (float)counts[item];
	free(counts);
}

static void score(const struct model *model, const struct histories *histories, float *scores)
{
	const float *counts = params_find(&model->params, "count")->value;
	for (int64_t row = 0; row < histories->rows; row++)
		for (int64_t item = 0; item < model->n_items; item++)
			scores[row * model->n_items + item] = counts[item];
}

const struct architecture popular_architecture = {
	.name = "popular",
	.summary = "items by how often they occur in training, the same for everybody",
	.options = options,
	.declare = declare,
	.count = count,
	.score = score,
	.same_for_all = true,
};
