#include "model/carry.h"

#include <stdlib.h>
#include <string.h>

/* By column, of all rows; to be freed. */
static float *mean_row(const struct param *param)
{
	double *sum = xcalloc((size_t)param->columns, sizeof *sum);
	float *mean = xcalloc((size_t)param->columns, sizeof *mean);
	for (int64_t i = 0; i < param->rows; i++)
		for (int64_t j = 0; j < param->columns; j++)
			sum[j] += (double)param->value[i * param->columns + j];
	for (int64_t j = 0; j < param->columns; j++)
		mean[j] = (float)(sum[j] / (double)param->rows);
	free(sum);
	return mean;
}

static void carry_rows(struct param *to, const struct param *from, const int32_t row[], double deviation,
	struct rng *rng)
{
	const int64_t width = to->columns;
	float *mean = mean_row(from);
	for (int64_t i = 0; i < to->rows; i++) {
		const float *known = row[i] < 0 ? mean : from->value + row[i] * width;
		memcpy(to->value + i * width, known, (size_t)width * sizeof *known);
		for (int64_t j = 0; j < width && rng && row[i] < 0; j++)
			to->value[i * width + j] += (float)(deviation * rng_normal(rng));
	}
	free(mean);
}

void model_carry(struct model *model, const struct model *from, const int32_t row[], double deviation, struct rng *rng)
{
	for (int i = 0; i < model->params.count; i++) {
		struct param *param = model->params.list[i];
		const struct param *old = params_find(&from->params, param->name);
		if (!old || old->columns != param->columns || (!param->of_items && old->rows != param->rows))
			die("%s: %lld x %lld, the model that goes on has %lld x %lld", param->name, (long long)param->rows,
				(long long)param->columns, old ? (long long)old->rows : 0, old ? (long long)old->columns : 0);
		if (param->of_items)
			carry_rows(param, old, row, deviation, param->derived ? NULL : rng);
		else
			memcpy(param->value, old->value, (size_t)param_count(param) * sizeof *param->value);
	}
}
