#include "rank/recommend.h"

#include <stdlib.h>

#define BLOCK_FLOATS ((int64_t)1 << 22) /* of queries or scores at a time */
#define BLOCK_ROWS 1024

struct recommender {
	const struct model *model;
	struct ranker *ranker; /* NULL for models that give whole rows of scores */
};

struct recommender *recommender_new(const struct model *model, const char *where)
{
	struct recommender *recommender = xcalloc(1, sizeof *recommender);
	recommender->model = model;
	if (!model->architecture->score)
		recommender->ranker = ranker_new(model_item_vectors(model), model_ranked(model), model->width, where);
	return recommender;
}

void recommender_free(struct recommender *recommender)
{
	if (!recommender)
		return;
	ranker_free(recommender->ranker);
	free(recommender);
}

/* The answers of `rows` rows from `row` on. */
static struct ranks ranks_from(const struct ranks *ranks, int64_t row, int64_t rows)
{
	struct ranks part = *ranks;
	part.rows = rows;
	part.seen_indptr = ranks->seen_indptr ? ranks->seen_indptr + row : NULL;
	if (ranks->target) {
		part.target = ranks->target + row;
		part.greater = ranks->greater + row;
		part.equal = ranks->equal + row;
	}
	if (ranks->k) {
		part.top_item = ranks->top_item + row * ranks->k;
		part.top_score = ranks->top_score + row * ranks->k;
	}
	return part;
}

int64_t recommend(const struct recommender *recommender, const struct histories *histories, const struct ranks *ranks)
{
	const struct model *model = recommender->model;
	const int64_t width = recommender->ranker ? model->width : model->n_items;
	int64_t block = BLOCK_FLOATS / width < 1 ? 1 : BLOCK_FLOATS / width, bad = -1;
	block = block < BLOCK_ROWS ? block : BLOCK_ROWS;
	block = block < histories->rows ? block : histories->rows;
	float *values = xaligned((size_t)(block * width), sizeof *values);
	for (int64_t row = 0; row < histories->rows && bad < 0; row += block) {
		int64_t rows = histories->rows - row < block ? histories->rows - row : block;
		struct histories part = histories_part(histories, row, row + rows);
		struct ranks answers = ranks_from(ranks, row, rows);
		if (recommender->ranker) {
			model_queries(model, &part, values);
			bad = rank_queries(recommender->ranker, values, &answers);
		} else {
			model->architecture->score(model, &part, values);
			bad = rank_scores(values, model->n_items, &answers);
		}
		if (bad >= 0)
			bad += row;
	}
	free(values);
	return bad;
}

int64_t rank_targets(const struct model *model, const struct histories *histories, const int32_t *target,
	bool remove_seen, int32_t *greater, int32_t *equal)
{
	struct recommender *recommender = recommender_new(model, "model");
	struct ranks ranks = {.rows = histories->rows, .target = target, .greater = greater, .equal = equal};
	if (remove_seen) {
		ranks.seen_indptr = histories->indptr;
		ranks.seen_item = histories->item;
	}
	int64_t bad = recommend(recommender, histories, &ranks);
	recommender_free(recommender);
	return bad;
}
