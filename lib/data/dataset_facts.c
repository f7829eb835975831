#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "stream/progress.h"

static int ascending(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
	return left < right ? -1 : left > right;
}

/* Where times only count a user's events (0, 1, 2, ...), those of different users cannot be compared. */
static bool times_are_positions(const struct dataset *dataset)
{
	for (int64_t user = 0; user < dataset->user_id.count; user++)
		for (int64_t begin = dataset->indptr[user], i = begin; i < dataset->indptr[user + 1]; i++)
			if (dataset->time[i] - dataset->time[0] != i - begin)
				return false;
	return true;
}

/* Of sorted values, how many are less. */
static int64_t count_below(const int64_t *sorted, int64_t count, int64_t value)
{
	int64_t low = 0;
	while (low < count) {
		int64_t middle = low + (count - low) / 2;
		if (sorted[middle] < value)
			low = middle + 1;
		else
			count = middle;
	}
	return low;
}

/* Mean over the test targets of the share of all training events that are later. */
static double future_share(const struct dataset *dataset)
{
	if (!dataset->time || !dataset->n_events || times_are_positions(dataset))
		return 0;
	int64_t *target = xreallocarray(NULL, (size_t)dataset->user_id.count, sizeof *target), targets = 0;
	const int64_t *indptr = dataset->indptr;
	for (int64_t user = 0; user < dataset->user_id.count; user++)
		if (indptr[user + 1] - indptr[user] >= 3)
			target[targets++] = dataset->time[indptr[user + 1] - 1];
	qsort(target, (size_t)targets, sizeof *target, ascending);
	double later = 0, training = 0;
	for (int64_t user = 0; user < dataset->user_id.count; user++) {
		int64_t length = indptr[user + 1] - indptr[user];
		for (int64_t i = 0; i < (length < 3 ? length : length - 2); i++, training++)
			later += (double)count_below(target, targets, dataset->time[indptr[user] + i]);
	}
	free(target);
	return targets && training > 0 ? later / training / (double)targets : 0;
}

static void describe_lengths(const struct dataset *dataset, struct dataset_facts *facts)
{
	int64_t users = dataset->user_id.count, pairs = 0, tied = 0;
	int64_t *length = xreallocarray(NULL, (size_t)users, sizeof *length);
	for (int64_t user = 0; user < users; user++) {
		int64_t end = dataset->indptr[user + 1];
		length[user] = end - dataset->indptr[user];
		if (!dataset->time || length[user] < 2)
			continue;
		pairs++;
		tied += dataset->time[end - 1] == dataset->time[end - 2];
	}
	qsort(length, (size_t)users, sizeof *length, ascending);
	facts->mean_length = users ? (double)dataset->n_events / (double)users : 0;
	facts->median_length = users ? length[users / 2] : 0;
	facts->longest = users ? length[users - 1] : 0;
	facts->tied_share = pairs ? (double)tied / (double)pairs : 0;
	free(length);
}

static bool has_text(const struct dataset *dataset, int64_t item)
{
	for (int i = 0; i < dataset->attributes.n; i++)
		if (*dataset_text(dataset, item, i))
			return true;
	return false;
}

void dataset_describe(const struct dataset *dataset, struct dataset_facts *facts)
{
	*facts = (struct dataset_facts){0};
	bool *is_seen = xcalloc((size_t)dataset->item_id.count, sizeof *is_seen);
	for (int64_t i = 0; i < dataset->n_events; i++)
		is_seen[dataset->item[i]] = true;
	for (int64_t item = 0; item < dataset->item_id.count; item++) {
		facts->unseen_items += !is_seen[item];
		facts->textless_items += dataset->attributes.n && !has_text(dataset, item);
	}
	free(is_seen);
	describe_lengths(dataset, facts);
	facts->future_share = future_share(dataset);
}

int64_t dataset_split_users(const struct dataset *dataset, int64_t time, const char *option)
{
	int64_t count = 0, first = dataset->n_events ? dataset->time[0] : 0, last = first;
	for (int64_t user = 0; user < dataset->user_id.count; user++) {
		int64_t begin = dataset->indptr[user], end = dataset->indptr[user + 1];
		if (begin == end)
			continue;
		count += dataset->time[begin] < time && dataset->time[end - 1] >= time;
		first = dataset->time[begin] < first ? dataset->time[begin] : first;
		last = dataset->time[end - 1] > last ? dataset->time[end - 1] : last;
	}
	if (!count)
		die("%s %lld: no user has events both before and after; the times run from %lld to %lld", option,
			(long long)time, (long long)first, (long long)last);
	return count;
}

void dataset_tell(const struct dataset *dataset, const struct dataset_facts *facts)
{
	for (int64_t i = 0; i < dataset->notes.count; i++)
		notice("%s", strings_at(&dataset->notes, i));
	if (dataset->n_skipped)
		notice("%lld wrong rows left out, the first: %s", (long long)dataset->n_skipped, dataset->first_problem);
	notice("%lld users, %lld items, %lld events; %.1f events a user (median %lld)", (long long)dataset->user_id.count,
		(long long)dataset->item_id.count, (long long)dataset->n_events, facts->mean_length,
		(long long)facts->median_length);
}

json_t *dataset_facts_json(const struct dataset *dataset, const struct dataset_facts *facts)
{
	return json_build("{s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:f, s:f}", "events_read",
		(json_int_t)dataset->n_read, "rows_skipped", (json_int_t)dataset->n_skipped, "users",
		(json_int_t)dataset->user_id.count, "items", (json_int_t)dataset->item_id.count, "events",
		(json_int_t)dataset->n_events, "mean_length", facts->mean_length, "median_length",
		(json_int_t)facts->median_length, "longest", (json_int_t)facts->longest, "unseen_items",
		(json_int_t)facts->unseen_items, "tied_share", facts->tied_share, "future_share", facts->future_share);
}
