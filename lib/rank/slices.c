#include "rank/slices.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int falling(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x < y) - (x > y);
}

/* How popular an item must be for the head: as much as the last of the first `share`. */
static void find_head(struct slices *slices, const int32_t *count, int64_t n_items, double share)
{
	int64_t *sorted = xcalloc((size_t)n_items, sizeof *sorted), trained = 0;
	for (int64_t i = 0; i < n_items; i++)
		if (count[i])
			sorted[trained++] = count[i];
	qsort(sorted, (size_t)trained, sizeof *sorted, falling);
	int64_t last = (int64_t)ceil(share * (double)trained);
	slices->head_events = last ? sorted[last - 1] : INT64_MAX;
	while (slices->head_items < trained && sorted[slices->head_items] >= slices->head_events)
		slices->head_items++;
	slices->tail_items = trained - slices->head_items;
	slices->cold_items = n_items - trained;
	free(sorted);
}

static void name_slices(struct slices *slices, const int64_t bounds[], int n_bounds)
{
	static const char *const by_target[] = {"target:cold", "target:in-set", "target:tail", "target:head"};
	for (size_t i = 0; i < COUNT_OF(by_target); i++)
		strcpy(slices->name[SLICE_COLD + i], by_target[i]);
	slices->count = SLICE_HISTORY + n_bounds + 1;
	for (int i = 0; i <= n_bounds; i++) {
		long long first = i ? bounds[i - 1] + 1 : 1;
		char *name = slices->name[SLICE_HISTORY + i];
		if (i < n_bounds)
			snprintf(name, sizeof slices->name[0], "history:%lld-%lld", first, (long long)bounds[i]);
		else
			snprintf(name, sizeof slices->name[0], "history:%lld-", first);
	}
}

/* The length of the ranked user's history; dies where the sequences have another target. */
static int64_t history_of(const struct ranking *ranking, int64_t row, struct sequences *sequences)
{
	const char *id = strings_at(&ranking->user_id, row);
	int64_t user = strings_find(&sequences->user_id, id, strlen(id));
	if (user < 0)
		die("%s: ranking, row %lld: user %s is not in the stream's sequences", group_source(&ranking->group),
			(long long)row, id);
	int64_t index = target_index(sequences, user, ranking->part);
	if (index < 0 || sequences->item[sequences->indptr[user] + index] != ranking->target[row])
		die("%s: ranking, row %lld: the target of user %s is not that of the stream's sequences",
			group_source(&ranking->group), (long long)row, id);
	return index;
}

struct slices slices_make(const struct ranking *ranking, struct sequences *sequences, double head,
	const int64_t bounds[], int n_bounds)
{
	struct slices slices = {.count = 1, .name = {"all"}};
	for (int64_t row = 0; row < ranking->n_users; row++) {
		slices.users[SLICE_ALL] += ranking->target[row] >= 0;
		slices.tied += ranking->target[row] >= 0 && ranking->equal[row] > 0;
	}
	if (!sequences)
		return slices;
	int32_t *count = training_counts(sequences, ranking->n_items);
	find_head(&slices, count, ranking->n_items, head);
	name_slices(&slices, bounds, n_bounds);
	slices.by_target = xcalloc((size_t)ranking->n_users, 1);
	slices.by_history = xcalloc((size_t)ranking->n_users, 1);
	for (int64_t row = 0; row < ranking->n_users; row++) {
		if (ranking->target[row] < 0)
			continue;
		int64_t events = count[ranking->target[row]], length = history_of(ranking, row, sequences);
		int bin = 0;
		while (bin < n_bounds && length > bounds[bin])
			bin++;
		slices.by_target[row] = (uint8_t)(!events ? SLICE_COLD : events < slices.head_events ? SLICE_TAIL : SLICE_HEAD);
		slices.by_history[row] = (uint8_t)(SLICE_HISTORY + bin);
		slices.users[slices.by_target[row]]++;
		slices.users[slices.by_history[row]]++;
	}
	slices.users[SLICE_IN_SET] = slices.users[SLICE_TAIL] + slices.users[SLICE_HEAD];
	free(count);
	return slices;
}

void slices_free(struct slices *slices)
{
	free(slices->by_target);
	free(slices->by_history);
}
