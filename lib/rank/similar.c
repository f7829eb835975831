#include "rank/similar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/encoder.h"
#include "nn/vec.h"
#include "rank/rank.h"
#include "stream/progress.h"

#define LIST_ROWS 512 /* items that are asked for at a time */

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

/* --- many at a time --- */

/* The items that are asked for, of those that the model knows. */
struct asked {
	int32_t *item;
	int64_t count;
};

static bool is_known(const struct advisor *advisor, int64_t item)
{
	const int32_t *rows = advisor->assortment->model_row;
	return !rows || rows[item] >= 0;
}

static void ask(struct asked *asked, const struct advisor *advisor, int64_t item, int64_t *n_new)
{
	if (is_known(advisor, item))
		asked->item[asked->count++] = (int32_t)item;
	else
		++*n_new;
}

static struct asked items_asked(const struct advisor *advisor, struct strings *ids)
{
	struct catalog *catalog = advisor->catalog;
	const int64_t n = ids ? ids->count : catalog->n_items;
	struct asked asked = {xreallocarray(NULL, (size_t)n, sizeof *asked.item), 0};
	int64_t unknown = 0, n_new = 0;
	const char *first = NULL;
	for (int64_t i = 0; i < n; i++) {
		const char *id = ids ? strings_at(ids, i) : NULL;
		const int64_t item = id ? strings_find(&catalog->item_id, id, strlen(id)) : i;
		if (item >= 0)
			ask(&asked, advisor, item, &n_new);
		else if (!unknown++)
			first = id;
	}
	if (unknown == n)
		die("none of %lld ids is an item of the catalog; the first is \"%.100s\"", (long long)n, first);
	if (unknown)
		warn("%lld of %lld ids are no items of the catalog, the first is \"%.100s\"", (long long)unknown, (long long)n,
			first);
	if (n_new)
		notice("%lld of the items are new to the model, which does not know what they are like", (long long)n_new);
	return asked;
}

/* By what is recommended to who has met the item alone. */
static void list_by_model(const struct advisor *advisor, const struct asked *asked, int32_t k,
	const struct listing *listing)
{
	struct question *question = xcalloc(LIST_ROWS, sizeof *question);
	struct answer *answer = xcalloc(LIST_ROWS, sizeof *answer);
	for (int64_t from = 0; from < asked->count; from += LIST_ROWS) {
		const int n = asked->count - from < LIST_ROWS ? (int)(asked->count - from) : LIST_ROWS;
		for (int i = 0; i < n; i++) {
			question[i].history.size = 0;
			buffer_append(&question[i].history, &asked->item[from + i], sizeof *asked->item);
			question[i].k = k;
		}
		answer_find_all(answer, advisor, question, n);
		for (int i = 0; i < n; i++) {
			const char *id = strings_at(&advisor->catalog->item_id, asked->item[from + i]);
			if (answer[i].n < 0)
				die("model: the scores for item %s are not finite", id);
			listing_add(listing, id, answer[i].item, answer[i].score, answer[i].n, NULL);
		}
	}
	for (int i = 0; i < LIST_ROWS; i++) {
		question_free(&question[i]);
		answer_free(&answer[i]);
	}
	free(question);
	free(answer);
}

/* Vectors at unit length of items of the catalog, n x width. */
static float *unit_vectors(const struct advisor *advisor, const int32_t *item, int64_t n)
{
	const int64_t width = advisor->model->width;
	const int32_t *rows = advisor->assortment->model_row;
	const float *all = model_item_vectors(advisor->model);
	float *unit = xaligned((size_t)(n * width), sizeof *unit);
	for (int64_t i = 0; i < n; i++)
		memcpy(unit + i * width, all + (rows ? rows[item[i]] : item[i]) * width, (size_t)width * sizeof *unit);
	unit_length(unit, n, width);
	return unit;
}

/* The items that may be recommended; place[item]: which of them an item of the catalog is, or -1. */
static struct asked items_offered(const struct advisor *advisor, int32_t *place)
{
	const struct assortment *assortment = advisor->assortment;
	struct asked offered = {xreallocarray(NULL, (size_t)assortment->n_items, sizeof *offered.item), 0};
	for (int64_t item = 0; item < assortment->n_items; item++) {
		const bool is_offered = is_known(advisor, item) && (!assortment->offered || assortment->offered[item]);
		place[item] = is_offered ? (int32_t)offered.count : -1;
		if (is_offered)
			offered.item[offered.count++] = (int32_t)item;
	}
	return offered;
}

/* Of items [from, from + n) that are asked for. */
static void list_nearest(const struct advisor *advisor, const struct ranker *ranker, const struct asked *offered,
	const int32_t *place, const int32_t *item, int n, int32_t k, const struct listing *listing)
{
	int64_t own_indptr[LIST_ROWS + 1] = {0};
	int32_t own[LIST_ROWS], *top = xreallocarray(NULL, (size_t)n * (size_t)k, sizeof *top);
	float *score = xreallocarray(NULL, (size_t)n * (size_t)k, sizeof *score);
	float *query = unit_vectors(advisor, item, n);
	for (int i = 0; i < n; i++) {
		own_indptr[i + 1] = own_indptr[i];
		if (place[item[i]] >= 0)
			own[own_indptr[i + 1]++] = place[item[i]];
	}
	const struct ranks ranks =
		{.rows = n, .seen_indptr = own_indptr, .seen_item = own, .k = k, .top_item = top, .top_score = score};
	const int64_t wrong = rank_queries(ranker, query, &ranks);
	if (wrong >= 0)
		die("model: the vector of item %s is not finite", strings_at(&advisor->catalog->item_id, item[wrong]));
	for (int i = 0; i < n; i++) {
		int32_t *list = top + (int64_t)i * k;
		for (int32_t j = 0; j < k && list[j] >= 0; j++)
			list[j] = offered->item[list[j]];
		listing_add(listing, strings_at(&advisor->catalog->item_id, item[i]), list, score + (int64_t)i * k, k, NULL);
	}
	free(top);
	free(score);
	free(query);
}

static void list_by_vectors(const struct advisor *advisor, const struct asked *asked, int32_t k,
	const struct listing *listing)
{
	int32_t *place = xreallocarray(NULL, (size_t)advisor->catalog->n_items, sizeof *place);
	struct asked offered = items_offered(advisor, place);
	float *unit = unit_vectors(advisor, offered.item, offered.count);
	struct ranker *ranker = ranker_new(unit, offered.count, advisor->model->width, "model: item vectors");
	for (int64_t from = 0; from < asked->count; from += LIST_ROWS) {
		const int n = asked->count - from < LIST_ROWS ? (int)(asked->count - from) : LIST_ROWS;
		list_nearest(advisor, ranker, &offered, place, asked->item + from, n, k, listing);
	}
	ranker_free(ranker);
	free(unit);
	free(offered.item);
	free(place);
}

void similar_list(const struct advisor *advisor, struct strings *ids, int32_t k, const struct listing *listing)
{
	const struct architecture *architecture = advisor->model->architecture;
	if (architecture->same_for_all)
		die("model: %s knows nothing of what items are like; --similar takes any other", architecture->name);
	struct asked asked = items_asked(advisor, ids);
	(architecture->score ? list_by_model : list_by_vectors)(advisor, &asked, k, listing);
	free(asked.item);
}
