#include "rank/similar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/vec.h"

struct similar {
	const struct advisor *advisor;
	const float *vectors; /* by row of the model; NULL: it has none */
	float *scale;         /* one over their lengths */
};

struct similar *similar_new(const struct advisor *advisor)
{
	struct similar *similar = xcalloc(1, sizeof *similar);
	const struct model *model = advisor->model;
	similar->advisor = advisor;
	if (model->architecture->score)
		return similar;
	const int64_t n = model_ranked(model);
	similar->vectors = model_item_vectors(model);
	similar->scale = xreallocarray(NULL, (size_t)n, sizeof *similar->scale);
	for (int64_t row = 0; row < n; row++) {
		const float *vector = similar->vectors + row * model->width;
		float length = sqrtf(vec_dot(vector, vector, model->width));
		similar->scale[row] = length > 0 ? 1 / length : 0;
	}
	return similar;
}

void similar_free(struct similar *similar)
{
	if (similar)
		free(similar->scale);
	free(similar);
}

static bool ask_model(const struct similar *similar, int32_t item, int32_t k, struct answer *answer)
{
	struct question question = {.k = k};
	buffer_append(&question.history, &item, sizeof item);
	bool is_finite = answer_find(answer, similar->advisor, &question);
	question_free(&question);
	return is_finite;
}

/* Into places in falling order; of equal scores the earlier one stays before. */
static void keep_best(struct answer *answer, int32_t k, int32_t item, float score)
{
	if (answer->n == k && score <= answer->score[k - 1])
		return;
	int32_t at = answer->n < k ? answer->n++ : k - 1;
	for (; at > 0 && answer->score[at - 1] < score; at--) {
		answer->item[at] = answer->item[at - 1];
		answer->score[at] = answer->score[at - 1];
	}
	answer->item[at] = item;
	answer->score[at] = score;
}

bool similar_find(const struct similar *similar, int32_t item, int32_t k, struct answer *answer)
{
	const struct assortment *assortment = similar->advisor->assortment;
	const int32_t *rows = assortment->model_row;
	const int64_t width = similar->advisor->model->width;
	answer->n = 0;
	if (rows && rows[item] < 0)
		return true;
	if (!similar->vectors)
		return ask_model(similar, item, k, answer);
	const int64_t asked = rows ? rows[item] : item;
	const float *vector = similar->vectors + asked * width;
	answer->item = xreallocarray(answer->item, (size_t)k, sizeof *answer->item);
	answer->score = xreallocarray(answer->score, (size_t)k, sizeof *answer->score);
	for (int32_t other = 0; other < assortment->n_items; other++) {
		const int64_t row = rows ? rows[other] : other;
		if (row < 0 || other == item || (assortment->offered && !assortment->offered[other]))
			continue;
		float score = vec_dot(vector, similar->vectors + row * width, width) * similar->scale[asked] *
			similar->scale[row];
		if (!isfinite(score))
			return false;
		keep_best(answer, k, other, score);
	}
	return true;
}
