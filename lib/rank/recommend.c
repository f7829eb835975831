#include "rank/recommend.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "rank/order.h"
#include "stream/ragged.h"

#define BLOCK_FLOATS ((int64_t)1 << 22) /* of queries or scores at a time */
#define BLOCK_ROWS 1024

struct recommender {
	const struct model *model;
	struct assortment assortment;
	/* What may be recommended, in the order of the catalog; NULL: all that the model knows, row for row. */
	int32_t *item;         /* by candidate: of the catalog */
	int32_t *candidate;    /* by item of the catalog; -1: it is none */
	struct order *popular; /* for histories of nothing; NULL: see assortment */
	int64_t n_candidates;
	float *vectors;        /* of the candidates; NULL: the model's own, in place */
	struct ranker *ranker; /* of models with vectors */
	struct order *order;   /* of models that score the same for everybody; others give rows of scores */
};

static int32_t model_row(const struct recommender *recommender, int32_t item)
{
	const int32_t *rows = recommender->assortment.model_row;
	return rows ? rows[item] : item;
}

/* --- what may be recommended --- */

static void list_candidates(struct recommender *recommender)
{
	const struct assortment *assortment = &recommender->assortment;
	if (!assortment->model_row && !assortment->offered)
		return;
	recommender->item = xreallocarray(NULL, (size_t)assortment->n_items, sizeof *recommender->item);
	recommender->candidate = xreallocarray(NULL, (size_t)assortment->n_items, sizeof *recommender->candidate);
	recommender->n_candidates = 0;
	for (int32_t item = 0; item < assortment->n_items; item++) {
		bool is_one = model_row(recommender, item) >= 0 && (!assortment->offered || assortment->offered[item]);
		recommender->candidate[item] = is_one ? (int32_t)recommender->n_candidates : -1;
		if (is_one)
			recommender->item[recommender->n_candidates++] = item;
	}
}

static const float *gather_vectors(struct recommender *recommender)
{
	const float *all = model_item_vectors(recommender->model);
	const int64_t width = recommender->model->width;
	if (!recommender->item)
		return all;
	recommender->vectors = xaligned_room((size_t)(recommender->n_candidates * width), sizeof *recommender->vectors);
	for (int64_t i = 0; i < recommender->n_candidates; i++)
		memcpy(recommender->vectors + i * width, all + model_row(recommender, recommender->item[i]) * width,
			(size_t)width * sizeof *all);
	return recommender->vectors;
}

static int32_t item_of(const struct recommender *recommender, int64_t candidate)
{
	return recommender->item ? recommender->item[candidate] : (int32_t)candidate;
}

/* The candidates' scores, out of those of all that the model knows. */
static void gather_scores(const struct recommender *recommender, const float *all, float *scores)
{
	for (int64_t i = 0; i < recommender->n_candidates; i++)
		scores[i] = all[model_row(recommender, recommender->item[i])];
}

/* What those are told of whom nothing is known. */
static struct order *order_popular(const struct recommender *recommender, const char *where)
{
	const int64_t *popularity = recommender->assortment.popularity, n = recommender->n_candidates;
	if (!popularity)
		return NULL;
	float *counts = xreallocarray(NULL, (size_t)n, sizeof *counts);
	for (int64_t i = 0; i < n; i++)
		counts[i] = (float)popularity[item_of(recommender, i)];
	struct order *order = order_new(counts, n, where);
	free(counts);
	return order;
}

/* Of a model that scores the same for everybody. */
static struct order *order_all(const struct recommender *recommender, const char *where)
{
	const struct model *model = recommender->model;
	const struct histories nothing = {1, (const int64_t[]){0, 0}, NULL, NULL};
	float *all = xreallocarray(NULL, (size_t)model_ranked(model), sizeof *all);
	float *scores = xreallocarray(NULL, (size_t)recommender->n_candidates, sizeof *scores);
	model_scores(model, &nothing, all);
	if (recommender->item)
		gather_scores(recommender, all, scores);
	struct order *order = order_new(recommender->item ? scores : all, recommender->n_candidates, where);
	free(scores);
	free(all);
	return order;
}

struct recommender *recommender_new(const struct model *model, const struct assortment *assortment, const char *where)
{
	struct recommender *recommender = xcalloc(1, sizeof *recommender);
	recommender->model = model;
	recommender->n_candidates = model_ranked(model);
	recommender->assortment = assortment ? *assortment : (struct assortment){.n_items = recommender->n_candidates};
	list_candidates(recommender);
	if (!recommender->n_candidates)
		die("%s: it knows none of the items that may be recommended; a model trained on this catalog would, or others "
			"may be recommended",
			where);
	if (!model->architecture->score)
		recommender->ranker = ranker_new(gather_vectors(recommender), recommender->n_candidates, model->width, where);
	else if (model->architecture->same_for_all)
		recommender->order = order_all(recommender, where);
	recommender->popular = order_popular(recommender, where);
	return recommender;
}

int64_t recommender_offers(const struct recommender *recommender)
{
	return recommender->n_candidates;
}

void recommender_free(struct recommender *recommender)
{
	if (!recommender)
		return;
	ranker_free(recommender->ranker);
	free(recommender->vectors);
	free(recommender->item);
	free(recommender->candidate);
	order_free(recommender->order);
	order_free(recommender->popular);
	free(recommender);
}

/* --- a block of histories, in the model's rows and its candidates --- */

/* The answers of `rows` rows from `row` on. */
static struct ranks ranks_from(const struct ranks *ranks, int64_t row, int64_t rows)
{
	struct ranks part = *ranks;
	part.rows = rows;
	part.seen_indptr = ranks->seen_indptr ? ranks->seen_indptr + row : NULL;
	if (ranks->target)
		part.target = ranks->target + row;
	if (ranks->greater) {
		part.greater = ranks->greater + row;
		part.equal = ranks->equal + row;
	}
	if (ranks->k) {
		part.top_item = ranks->top_item + row * ranks->k;
		part.top_score = ranks->top_score + row * ranks->k;
	}
	return part;
}

static int64_t rank_scored(const struct recommender *recommender, const struct histories *histories, float *values,
	const struct ranks *ranks)
{
	const struct model *model = recommender->model;
	const int64_t known = model_ranked(model);
	model_scores(model, histories, values);
	if (!recommender->item)
		return rank_scores(values, known, ranks);
	float *scores = xaligned_room((size_t)(histories->rows * recommender->n_candidates), sizeof *scores);
	for (int64_t row = 0; row < histories->rows; row++)
		gather_scores(recommender, values + row * known, scores + row * recommender->n_candidates);
	int64_t bad = rank_scores(scores, recommender->n_candidates, ranks);
	free(scores);
	return bad;
}

/* As recommend(), of rows of the model and candidates. */
static int64_t rank_block(const struct recommender *recommender, const struct histories *histories, float *values,
	const struct ranks *ranks)
{
	if (recommender->order) {
		order_rank(recommender->order, ranks);
		return -1;
	}
	if (!recommender->ranker)
		return rank_scored(recommender, histories, values, ranks);
	model_queries(recommender->model, histories, values);
	return rank_queries(recommender->ranker, values, ranks);
}

/* --- from the catalog's items and back --- */

/* Lists of items as `of` has them, those left out that it has not. */
static struct ragged translated(const int64_t *indptr, int64_t rows, const int32_t *items, const int64_t *times,
	const int32_t *of)
{
	struct ragged lists = RAGGED(I4, I8);
	ragged_clear(&lists);
	for (int64_t row = 0; row < rows; row++) {
		int64_t at = ragged_add(&lists, indptr[row + 1] - indptr[row]), first = at;
		int32_t *item = lists.field[0];
		int64_t *time = lists.field[1];
		for (int64_t i = indptr[row]; i < indptr[row + 1]; i++) {
			if (of && of[items[i]] < 0)
				continue;
			item[at] = of ? of[items[i]] : items[i];
			time[at++] = times ? times[i] : 0;
		}
		ragged_shorten(&lists, at - first);
	}
	return lists;
}

/* The best items of a row, whose counts stay those of the model. */
static void answer_popular(const struct recommender *recommender, const struct ranks *ranks, int64_t row)
{
	struct ranks one = ranks_from(ranks, row, 1);
	one.target = NULL;
	order_rank(recommender->popular, &one);
}

/* Answers in items of the catalog. */
static void name_items(const struct recommender *recommender, const struct ranks *ranks)
{
	for (int64_t i = 0; recommender->item && i < ranks->rows * ranks->k; i++)
		if (ranks->top_item[i] >= 0)
			ranks->top_item[i] = recommender->item[ranks->top_item[i]];
}

/* Rows whose targets are candidates together, each of the others alone and without: it stands behind all. */
static int64_t rank_runs(const struct recommender *recommender, const struct histories *histories, float *values,
	const struct ranks *ranks)
{
	int64_t bad = -1;
	for (int64_t row = 0, end; row < ranks->rows && bad < 0; row = end) {
		for (end = row; ranks->target && end < ranks->rows && ranks->target[end] >= 0; end++)
			;
		end = !ranks->target ? ranks->rows : end == row ? row + 1 : end;
		struct ranks part = ranks_from(ranks, row, end - row);
		if (ranks->target && ranks->target[row] < 0) {
			part.target = NULL;
			if (ranks->greater) {
				ranks->greater[row] = (int32_t)recommender->n_candidates;
				ranks->equal[row] = 0;
			}
		}
		struct histories some = histories_part(histories, row, end);
		bad = rank_block(recommender, &some, values, &part);
		if (bad >= 0)
			bad += row;
	}
	return bad;
}

static int64_t rank_translated(const struct recommender *recommender, const struct histories *histories, float *values,
	const struct ranks *ranks)
{
	struct ragged lists = translated(histories->indptr, histories->rows, histories->item, histories->timestamp,
		recommender->assortment.model_row);
	struct histories known = {histories->rows, lists.indptr, lists.field[0],
		histories->timestamp ? lists.field[1] : NULL};
	struct ragged left_out = RAGGED(I4, I8);
	struct ranks answers = *ranks;
	int32_t *target = NULL;
	if (ranks->seen_indptr) {
		left_out = translated(ranks->seen_indptr, ranks->rows, ranks->seen_item, NULL, recommender->candidate);
		answers.seen_indptr = left_out.indptr;
		answers.seen_item = left_out.field[0];
	}
	if (ranks->target && recommender->candidate) {
		answers.target = target = xreallocarray(NULL, (size_t)ranks->rows, sizeof *target);
		for (int64_t row = 0; row < ranks->rows; row++)
			target[row] = recommender->candidate[ranks->target[row]];
	}
	int64_t bad = rank_runs(recommender, &known, values, &answers);
	for (int64_t row = 0; bad < 0 && recommender->popular && row < ranks->rows; row++)
		if (known.indptr[row] == known.indptr[row + 1])
			answer_popular(recommender, &answers, row);
	if (bad < 0)
		name_items(recommender, ranks);
	ragged_free(&lists);
	ragged_free(&left_out);
	free(target);
	return bad;
}

int64_t recommend(const struct recommender *recommender, const struct histories *histories, const struct ranks *ranks)
{
	const struct model *model = recommender->model;
	const int64_t width = recommender->ranker ? model->width : recommender->order ? 1 : model_ranked(model);
	const bool as_they_are = !recommender->item && !recommender->popular;
	int64_t block = BLOCK_FLOATS / width < 1 ? 1 : BLOCK_FLOATS / width, bad = -1;
	block = block < BLOCK_ROWS ? block : BLOCK_ROWS;
	block = block < histories->rows ? block : histories->rows;
	float *values = xaligned((size_t)(block * width), sizeof *values);
	for (int64_t row = 0; row < histories->rows && bad < 0; row += block) {
		int64_t rows = histories->rows - row < block ? histories->rows - row : block;
		struct histories part = histories_part(histories, row, row + rows);
		struct ranks answers = ranks_from(ranks, row, rows);
		bad = (as_they_are ? rank_block : rank_translated)(recommender, &part, values, &answers);
		if (bad >= 0)
			bad += row;
	}
	free(values);
	return bad;
}

int64_t rank_targets(const struct model *model, const struct histories *histories, const int32_t *target,
	bool remove_seen, int32_t enough, int32_t *greater, int32_t *equal)
{
	struct recommender *recommender = recommender_new(model, NULL, "model");
	struct ranks ranks = {.rows = histories->rows,
		.target = target,
		.enough = enough,
		.greater = greater,
		.equal = equal};
	if (remove_seen) {
		ranks.seen_indptr = histories->indptr;
		ranks.seen_item = histories->item;
	}
	int64_t bad = recommend(recommender, histories, &ranks);
	recommender_free(recommender);
	return bad;
}
