#include "rank/similar.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "model/encoder.h"
#include "rank/rank.h"
#include "stream/progress.h"

#define LIST_ROWS 512 /* items that are asked for at a time */

/* Items of the catalog. */
struct asked {
	int32_t *item;
	int64_t count;
};

/* The vectors of all items that may be recommended, at unit length, ready to be ranked. */
struct nearest {
	struct asked offered;
	int32_t *place; /* by item of the catalog: which of them it is, or -1 */
	float *unit;
	struct ranker *ranker;
};

struct similar {
	const struct advisor *advisor;
	pthread_mutex_t lock;   /* while they are made */
	struct nearest nearest; /* of models with vectors, made for the first question: not every server has one */
};

static bool is_known(const struct advisor *advisor, int64_t item)
{
	const int32_t *rows = advisor->assortment->model_row;
	return !rows || rows[item] >= 0;
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

static struct nearest nearest_new(const struct advisor *advisor)
{
	struct nearest nearest = {.place = xreallocarray(NULL, (size_t)advisor->catalog->n_items, sizeof *nearest.place)};
	nearest.offered = items_offered(advisor, nearest.place);
	nearest.unit = unit_vectors(advisor, nearest.offered.item, nearest.offered.count);
	nearest.ranker = ranker_new(nearest.unit, nearest.offered.count, advisor->model->width, "model: item vectors");
	return nearest;
}

static void nearest_free(struct nearest *nearest)
{
	ranker_free(nearest->ranker);
	free(nearest->unit);
	free(nearest->offered.item);
	free(nearest->place);
}

/*
 * The k nearest of each of n <= LIST_ROWS items that the model knows, without the item itself: n x k, -1 behind the
 * last. Returns -1, or the first that has no finite score.
 */
static int64_t nearest_find(const struct nearest *nearest, const struct advisor *advisor, const int32_t *item, int n,
	int32_t k, int32_t *top, float *score)
{
	int64_t own_indptr[LIST_ROWS + 1] = {0};
	int32_t own[LIST_ROWS];
	float *query = unit_vectors(advisor, item, n);
	for (int i = 0; i < n; i++) {
		own_indptr[i + 1] = own_indptr[i];
		if (nearest->place[item[i]] >= 0)
			own[own_indptr[i + 1]++] = nearest->place[item[i]];
	}
	const struct ranks ranks =
		{.rows = n, .seen_indptr = own_indptr, .seen_item = own, .k = k, .top_item = top, .top_score = score};
	const int64_t wrong = rank_queries(nearest->ranker, query, &ranks);
	for (int64_t i = 0; i < (int64_t)n * k; i++)
		top[i] = top[i] < 0 ? -1 : nearest->offered.item[top[i]];
	free(query);
	return wrong;
}

/* --- one at a time --- */

struct similar *similar_new(const struct advisor *advisor)
{
	struct similar *similar = xcalloc(1, sizeof *similar);
	similar->advisor = advisor;
	pthread_mutex_init(&similar->lock, NULL);
	return similar;
}

void similar_free(struct similar *similar)
{
	if (!similar)
		return;
	nearest_free(&similar->nearest);
	pthread_mutex_destroy(&similar->lock);
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

bool similar_find(struct similar *similar, int32_t item, int32_t k, struct answer *answer)
{
	const struct advisor *advisor = similar->advisor;
	answer->n = 0;
	if (!is_known(advisor, item))
		return true;
	if (advisor->model->architecture->score)
		return ask_model(similar, item, k, answer);
	pthread_mutex_lock(&similar->lock);
	if (!similar->nearest.ranker)
		similar->nearest = nearest_new(advisor);
	pthread_mutex_unlock(&similar->lock);
	answer->item = xreallocarray(answer->item, (size_t)k, sizeof *answer->item);
	answer->score = xreallocarray(answer->score, (size_t)k, sizeof *answer->score);
	if (nearest_find(&similar->nearest, advisor, &item, 1, k, answer->item, answer->score) >= 0)
		return false;
	while (answer->n < k && answer->item[answer->n] >= 0)
		answer->n++;
	return true;
}

/* --- many at a time --- */

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
		die("the %s asked for %s of the catalog; the first is \"%.100s\"", counted(n, "ids"),
			by_number(n, "is no item", "are no items"), first);
	if (unknown)
		warn("%lld of %s %s of the catalog, the first is \"%.100s\"", (long long)unknown, counted(n, "ids"),
			by_number(unknown, "is no item", "are no items"), first);
	if (n_new)
		notice("%lld of the items %s like", (long long)n_new,
			by_number(n_new, "is new to the model, which does not know what it is",
				"are new to the model, which does not know what they are"));
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

static void list_by_vectors(const struct advisor *advisor, const struct asked *asked, int32_t k,
	const struct listing *listing)
{
	struct nearest nearest = nearest_new(advisor);
	int32_t *top = xreallocarray(NULL, (size_t)LIST_ROWS * (size_t)k, sizeof *top);
	float *score = xreallocarray(NULL, (size_t)LIST_ROWS * (size_t)k, sizeof *score);
	for (int64_t from = 0; from < asked->count; from += LIST_ROWS) {
		const int n = asked->count - from < LIST_ROWS ? (int)(asked->count - from) : LIST_ROWS;
		const int32_t *item = asked->item + from;
		const int64_t wrong = nearest_find(&nearest, advisor, item, n, k, top, score);
		if (wrong >= 0)
			die("model: the vector of item %s is not finite", strings_at(&advisor->catalog->item_id, item[wrong]));
		for (int64_t i = 0; i < n; i++)
			listing_add(listing, strings_at(&advisor->catalog->item_id, item[i]), top + i * k, score + i * k, k, NULL);
	}
	free(top);
	free(score);
	nearest_free(&nearest);
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
