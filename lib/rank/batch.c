#include "rank/batch.h"

#include <stdlib.h>
#include <string.h>

#define LIST_ENTRIES (1 << 23) /* of best items at a time */

struct batch batch_new(const struct sequences *sequences, int64_t users, int32_t k)
{
	const int64_t most = LIST_ENTRIES / k < 1 ? 1 : LIST_ENTRIES / k;
	struct batch batch = {.capacity = users < most ? users : most, .k = k, .histories = histories_new(sequences)};
	const size_t rows = (size_t)batch.capacity, entries = rows * (size_t)k;
	batch.target = xcalloc(rows, sizeof *batch.target);
	batch.greater = xcalloc(rows, sizeof *batch.greater);
	batch.equal = xcalloc(rows, sizeof *batch.equal);
	batch.top_item = xcalloc(entries, sizeof *batch.top_item);
	batch.top_score = xcalloc(entries, sizeof *batch.top_score);
	return batch;
}

void batch_free(struct batch *batch)
{
	buffer_free(&batch->user_id);
	ragged_free(&batch->histories);
	free(batch->target);
	free(batch->greater);
	free(batch->equal);
	free(batch->top_item);
	free(batch->top_score);
}

void batch_add(struct batch *batch, const struct sequences *sequences, int64_t user, int64_t length, bool with_target)
{
	const char *name = strings_at(&sequences->user_id, user);
	const int64_t first = sequences->indptr[user];
	buffer_append(&batch->user_id, name, strlen(name) + 1);
	histories_append(&batch->histories, sequences, first, length);
	batch->target[batch->rows++] = with_target ? sequences->item[first + length] : -1;
}

void batch_add_unknown(struct batch *batch, const char *user_id)
{
	buffer_append(&batch->user_id, user_id, strlen(user_id) + 1);
	ragged_add(&batch->histories, 0);
	batch->target[batch->rows++] = -1;
}

static const char *nth_string(const char *text, int64_t n)
{
	for (; n; n--)
		text += strlen(text) + 1;
	return text;
}

void batch_rank(struct batch *batch, const struct recommender *recommender, enum batch_targets targets, bool keep_seen)
{
	const struct histories histories = histories_of(&batch->histories);
	struct ranks ranks = {.rows = batch->rows,
		.target = targets == TARGETS_NONE ? NULL : batch->target,
		.k = batch->k,
		.greater = targets == TARGETS_COUNTED ? batch->greater : NULL,
		.equal = targets == TARGETS_COUNTED ? batch->equal : NULL,
		.top_item = batch->top_item,
		.top_score = batch->top_score};
	if (!keep_seen) {
		ranks.seen_indptr = histories.indptr;
		ranks.seen_item = histories.item;
	}
	int64_t bad = recommend(recommender, &histories, &ranks);
	if (bad >= 0)
		die("model: the scores for user %s are not finite", nth_string(batch->user_id.data, bad));
}

void batch_clear(struct batch *batch)
{
	batch->rows = 0;
	batch->user_id.size = 0;
	ragged_clear(&batch->histories);
}
