#include "rank/answer.h"

#include <stdlib.h>
#include <string.h>

#include "stream/ragged.h"

static void add_items(struct ragged *lists, const struct buffer *first, const struct buffer *second)
{
	const int64_t n = (int64_t)((first->size + second->size) / sizeof(int32_t));
	const int64_t at = ragged_add(lists, n);
	int32_t *item = (int32_t *)lists->field[0] + at;
	if (first->size)
		memcpy(item, first->data, first->size);
	if (second->size)
		memcpy(item + first->size / sizeof *item, second->data, second->size);
}

/* The first places of a list that ends with -1 or after k. */
static void take_list(struct answer *answer, const int32_t *item, const float *score, int32_t k)
{
	answer->item = xreallocarray(answer->item, (size_t)k, sizeof *answer->item);
	answer->score = xreallocarray(answer->score, (size_t)k, sizeof *answer->score);
	for (answer->n = 0; answer->n < k && item[answer->n] >= 0; answer->n++) {
		answer->item[answer->n] = item[answer->n];
		answer->score[answer->n] = score[answer->n];
	}
}

/* How many of what there is. */
static int32_t count_of(const struct advisor *advisor, const struct question *question)
{
	const int64_t offers = recommender_offers(advisor->recommender);
	return question->k < offers ? question->k : (int32_t)offers;
}

void answer_find_all(struct answer answers[], const struct advisor *advisor, const struct question questions[], int n)
{
	const struct buffer nothing = {0};
	struct ragged histories = RAGGED(I4), left_out = RAGGED(I4);
	int32_t k = 1;
	ragged_clear(&histories);
	ragged_clear(&left_out);
	for (int i = 0; i < n; i++) {
		add_items(&histories, &questions[i].history, &nothing);
		add_items(&left_out, advisor->keep_seen ? &nothing : &questions[i].history, &questions[i].exclude);
		const int32_t count = count_of(advisor, &questions[i]);
		k = count > k ? count : k;
	}
	/* Who asks for fewer gets the first of the longest list. */
	int32_t *item = xreallocarray(NULL, (size_t)n * (size_t)k, sizeof *item);
	float *score = xreallocarray(NULL, (size_t)n * (size_t)k, sizeof *score);
	const struct histories asked = {n, histories.indptr, histories.field[0], NULL};
	const struct ranks ranks = {.rows = n,
		.seen_indptr = left_out.indptr,
		.seen_item = left_out.field[0],
		.k = k,
		.top_item = item,
		.top_score = score};
	const bool is_finite = recommend(advisor->recommender, &asked, &ranks) < 0;
	for (int i = 0; i < n; i++)
		if (is_finite)
			take_list(&answers[i], item + i * k, score + i * k, count_of(advisor, &questions[i]));
		else if (n > 1)
			answer_find_all(&answers[i], advisor, &questions[i], 1);
		else
			answers[i].n = -1;
	free(item);
	free(score);
	ragged_free(&histories);
	ragged_free(&left_out);
}

void answer_explain(struct answer *answer, const struct advisor *advisor, const struct question *question)
{
	if (!question->wants_why || answer->n < 1)
		return;
	const int64_t indptr[] = {0, (int64_t)(question->history.size / sizeof(int32_t))};
	const struct histories history = {1, indptr, (const void *)question->history.data, NULL};
	answer->why = xreallocarray(answer->why, (size_t)answer->n, sizeof *answer->why);
	explain(advisor->model, advisor->assortment, &history, answer->item, answer->n, answer->why);
}

bool answer_find(struct answer *answer, const struct advisor *advisor, const struct question *question)
{
	answer_find_all(answer, advisor, question, 1);
	const bool is_finite = answer->n >= 0;
	if (is_finite)
		answer_explain(answer, advisor, question);
	else
		answer->n = 0;
	return is_finite;
}

json_t *answer_json(const struct answer *answer, const struct question *question, const struct listing *listing,
	const char *reason)
{
	json_t *json = json_object();
	struct listing with_fields = *listing;
	if (question->fields.size)
		with_fields.fields = (char *const *)(void *)question->fields.data;
	if (*question->user.data)
		json_set(json, "user", json_any_text(question->user.data));
	if (reason)
		json_set(json, "error", json_any_text(reason));
	else
		json_set(json, "items",
			listing_json(&with_fields, answer->item, answer->score, answer->n,
				question->wants_why ? answer->why : NULL));
	if (question->n_unknown)
		json_set(json, "unknown", json_integer(question->n_unknown));
	return json;
}

void answer_free(struct answer *answer)
{
	free(answer->item);
	free(answer->score);
	free(answer->why);
	*answer = (struct answer){0};
}
