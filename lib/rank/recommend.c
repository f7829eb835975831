#include "rank/recommend.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "stream/ragged.h"

#define BLOCK_FLOATS ((int64_t)1 << 22) /* of queries or scores at a time */
#define BLOCK_ROWS 1024

struct recommender {
	const struct model *model;
	struct assortment assortment;
	/* What may be recommended, in the order of the catalog; NULL: all that the model knows, row for row. */
	int32_t *item;      /* by candidate: of the catalog */
	int32_t *candidate; /* by item of the catalog; -1: it is none */
	int32_t *popular;   /* candidates, the most popular first; NULL: see assortment */
	int64_t n_candidates;
	float *vectors;        /* of the candidates; NULL: the model's own, in place */
	struct ranker *ranker; /* NULL for models that give whole rows of scores */
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
	recommender->vectors = xaligned((size_t)(recommender->n_candidates * width), sizeof *recommender->vectors);
	for (int64_t i = 0; i < recommender->n_candidates; i++)
		memcpy(recommender->vectors + i * width, all + model_row(recommender, recommender->item[i]) * width,
			(size_t)width * sizeof *all);
	return recommender->vectors;
}

struct counted {
	int64_t count;
	int32_t candidate;
};

static int compare_counted(const void *a, const void *b)
{
	const struct counted *x = a, *y = b;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return (x->candidate > y->candidate) - (x->candidate < y->candidate);
}

static int32_t item_of(const struct recommender *recommender, int64_t candidate)
{
	return recommender->item ? recommender->item[candidate] : (int32_t)candidate;
}

static void sort_popular(struct recommender *recommender)
{
	const int64_t *popularity = recommender->assortment.popularity, n = recommender->n_candidates;
	if (!popularity)
		return;
	struct counted *counted = xreallocarray(NULL, (size_t)n, sizeof *counted);
	for (int64_t i = 0; i < n; i++)
		counted[i] = (struct counted){popularity[item_of(recommender, i)], (int32_t)i};
	qsort(counted, (size_t)n, sizeof *counted, compare_counted);
	recommender->popular = xreallocarray(NULL, (size_t)n, sizeof *recommender->popular);
	for (int64_t i = 0; i < n; i++)
		recommender->popular[i] = counted[i].candidate;
	free(counted);
}

struct recommender *recommender_new(const struct model *model, const struct assortment *assortment, const char *where)
{
	struct recommender *recommender = xcalloc(1, sizeof *recommender);
	recommender->model = model;
	recommender->n_candidates = model_ranked(model);
	recommender->assortment = assortment ? *assortment : (struct assortment){.n_items = recommender->n_candidates};
	list_candidates(recommender);
	if (!recommender->n_candidates)
		die("%s: none of the items that may be recommended is known to it", where);
	if (!model->architecture->score)
		recommender->ranker = ranker_new(gather_vectors(recommender), recommender->n_candidates, model->width, where);
	sort_popular(recommender);
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
	free(recommender->popular);
	free(recommender);
}

/* --- a block of histories, in the model's rows and its candidates --- */

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

/* The candidates' scores, out of those of all that the model knows, in place: candidates are in rising order of neither. */
static void gather_scores(const struct recommender *recommender, const float *all, float *scores)
{
	for (int64_t i = 0; i < recommender->n_candidates; i++)
		scores[i] = all[model_row(recommender, recommender->item[i])];
}

static int64_t rank_scored(const struct recommender *recommender, const struct histories *histories, float *values,
	const struct ranks *ranks)
{
	const struct model *model = recommender->model;
	const int64_t known = model_ranked(model);
	model_scores(model, histories, values);
	if (!recommender->item)
		return rank_scores(values, known, ranks);
	float *scores = xaligned((size_t)(histories->rows * recommender->n_candidates), sizeof *scores);
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

/* The most popular that are not in a list. */
static void answer_popular(const struct recommender *recommender, const int32_t *left_out, int64_t n,
	const struct ranks *ranks, int64_t row)
{
	int32_t *item = ranks->top_item + row * ranks->k, found = 0;
	float *score = ranks->top_score + row * ranks->k;
	for (int64_t i = 0; i < recommender->n_candidates && found < ranks->k; i++) {
		int32_t candidate = recommender->popular[i];
		bool is_out = false;
		for (int64_t j = 0; j < n && !is_out; j++)
			is_out = left_out[j] == candidate;
		if (is_out)
			continue;
		item[found] = candidate;
		score[found++] = (float)recommender->assortment.popularity[item_of(recommender, candidate)];
	}
	for (; found < ranks->k; found++) {
		item[found] = -1;
		score[found] = -FLT_MAX;
	}
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
			ranks->greater[row] = (int32_t)recommender->n_candidates;
			ranks->equal[row] = 0;
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
	for (int64_t row = 0; bad < 0 && recommender->popular && ranks->k && row < ranks->rows; row++)
		if (known.indptr[row] == known.indptr[row + 1])
			answer_popular(recommender, left_out.indptr ? (int32_t *)left_out.field[0] + left_out.indptr[row] : NULL,
				left_out.indptr ? left_out.indptr[row + 1] - left_out.indptr[row] : 0, ranks, row);
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
	const int64_t width = recommender->ranker ? model->width : model_ranked(model);
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
	bool remove_seen, int32_t *greater, int32_t *equal)
{
	struct recommender *recommender = recommender_new(model, NULL, "model");
	struct ranks ranks = {.rows = histories->rows, .target = target, .greater = greater, .equal = equal};
	if (remove_seen) {
		ranks.seen_indptr = histories->indptr;
		ranks.seen_item = histories->item;
	}
	int64_t bad = recommend(recommender, histories, &ranks);
	recommender_free(recommender);
	return bad;
}
