#include "data/dataset.h"

#include <stdlib.h>
#include <string.h>

static int by_time(const void *a, const void *b, void *events)
{
	const struct event *left = (struct event *)events + *(const int64_t *)a;
	const struct event *right = (struct event *)events + *(const int64_t *)b;
	if (left->time != right->time)
		return left->time < right->time ? -1 : 1;
	if (left->fraction != right->fraction)
		return left->fraction < right->fraction ? -1 : 1;
	return left < right ? -1 : left > right;
}

static bool is_sorted(const struct event *event, const int64_t *row, int64_t count)
{
	for (int64_t i = 1; i < count; i++)
		if (by_time(&row[i - 1], &row[i], (void *)(uintptr_t)event) > 0)
			return false;
	return true;
}

/* Fisher-Yates within each run of equal times. */
static void shuffle_ties(const struct event *event, int64_t *row, int64_t count, struct rng *rng)
{
	for (int64_t begin = 0, end; begin < count; begin = end) {
		const struct event *first = &event[row[begin]];
		for (end = begin + 1; end < count; end++)
			if (event[row[end]].time != first->time || event[row[end]].fraction != first->fraction)
				break;
		for (int64_t i = end - begin - 1; i > 0; i--) {
			int64_t other = begin + (int64_t)rng_below(rng, (uint64_t)i + 1), kept = row[begin + i];
			row[begin + i] = row[other];
			row[other] = kept;
		}
	}
}

/* Rows of the events, those of a user together and in file order; dataset->indptr says where. */
static int64_t *gather_by_user(struct dataset *dataset)
{
	int64_t users = dataset->user_id.count;
	dataset->indptr = xcalloc((size_t)users + 1, sizeof *dataset->indptr);
	for (int64_t i = 0; i < dataset->n_read; i++)
		dataset->indptr[dataset->event[i].user + 1]++;
	for (int64_t user = 0; user < users; user++)
		dataset->indptr[user + 1] += dataset->indptr[user];
	int64_t *row = xreallocarray(NULL, (size_t)dataset->n_read, sizeof *row);
	int64_t *next = xreallocarray(NULL, (size_t)users, sizeof *next);
	if (users)
		memcpy(next, dataset->indptr, (size_t)users * sizeof *next);
	for (int64_t i = 0; i < dataset->n_read; i++)
		row[next[dataset->event[i].user]++] = i;
	free(next);
	return row;
}

/* Events whose item is -1 go; users stay, if with nothing. */
static void remove_marked(struct dataset *dataset)
{
	int64_t kept = 0, begin = 0;
	for (int64_t user = 0; user < dataset->user_id.count; user++) {
		int64_t end = dataset->indptr[user + 1];
		for (int64_t i = begin; i < end; i++) {
			if (dataset->item[i] < 0)
				continue;
			dataset->item[kept] = dataset->item[i];
			if (dataset->time)
				dataset->time[kept] = dataset->time[i];
			kept++;
		}
		dataset->indptr[user + 1] = kept;
		begin = end;
	}
	dataset->n_events = kept;
}

/*
 * Counts the events of which an earlier one has the same user, item and time, and marks them for removal where they are to
 * go; row: the events by user and time.
 */
static void find_repeated(struct dataset *dataset, const int64_t *row, bool mark)
{
	int64_t *run_of = xcalloc((size_t)dataset->item_id.count + 1, sizeof *run_of), run = 0;
	for (int64_t user = 0; user < dataset->user_id.count; user++)
		for (int64_t begin = dataset->indptr[user], i = begin; i < dataset->indptr[user + 1]; i++) {
			struct event *event = &dataset->event[row[i]];
			const struct event *before = i > begin ? &dataset->event[row[i - 1]] : NULL;
			if (!before || before->time != event->time || before->fraction != event->fraction)
				run++;
			bool repeated = run_of[event->item] == run;
			run_of[event->item] = run;
			dataset->n_repeated += repeated;
			if (repeated && mark)
				event->item = -1;
		}
	free(run_of);
}

void dataset_order(struct dataset *dataset, struct rng *rng, bool drop_repeated)
{
	int64_t *row = gather_by_user(dataset);
	for (int64_t user = 0; user < dataset->user_id.count && dataset->has_time; user++) {
		int64_t *first = row + dataset->indptr[user], count = dataset->indptr[user + 1] - dataset->indptr[user];
		if (!is_sorted(dataset->event, first, count))
			qsort_r(first, (size_t)count, sizeof *first, by_time, dataset->event);
		if (rng)
			shuffle_ties(dataset->event, first, count, rng);
	}
	find_repeated(dataset, row, drop_repeated);
	dataset->n_events = dataset->n_read;
	dataset->item = xreallocarray(NULL, (size_t)dataset->n_events, sizeof *dataset->item);
	dataset->time = dataset->has_time ? xreallocarray(NULL, (size_t)dataset->n_events, sizeof *dataset->time) : NULL;
	for (int64_t i = 0; i < dataset->n_events; i++) {
		dataset->item[i] = dataset->event[row[i]].item;
		if (dataset->time)
			dataset->time[i] = dataset->event[row[i]].time;
	}
	free(row);
	free(dataset->event);
	dataset->event = NULL;
	if (drop_repeated)
		remove_marked(dataset);
}

const char *const duplicates_names[] = {"keep", "exact", "first", "last", NULL};

void dataset_deduplicate(struct dataset *dataset, enum duplicates duplicates)
{
	if (duplicates == DUPLICATES_KEEP || duplicates == DUPLICATES_EXACT)
		return;
	int32_t *last_user = xreallocarray(NULL, (size_t)dataset->item_id.count, sizeof *last_user);
	memset(last_user, -1, (size_t)dataset->item_id.count * sizeof *last_user);
	for (int32_t user = 0; user < dataset->user_id.count; user++) {
		int64_t begin = dataset->indptr[user], count = dataset->indptr[user + 1] - begin;
		for (int64_t k = 0; k < count; k++) {
			int32_t *item = &dataset->item[begin + (duplicates == DUPLICATES_FIRST ? k : count - 1 - k)];
			if (last_user[*item] == user)
				*item = -1;
			else
				last_user[*item] = user;
		}
	}
	free(last_user);
	remove_marked(dataset);
}

static int64_t *count_items(const struct dataset *dataset)
{
	int64_t *count = xcalloc((size_t)dataset->item_id.count, sizeof *count);
	for (int64_t i = 0; i < dataset->n_events; i++)
		count[dataset->item[i]]++;
	return count;
}

int dataset_core(struct dataset *dataset, int64_t min_user, int64_t min_item)
{
	int rounds = 0;
	for (int64_t before = -1; dataset->n_events != before; rounds++) {
		before = dataset->n_events;
		int64_t *count = count_items(dataset);
		for (int64_t user = 0; user < dataset->user_id.count; user++) {
			int64_t begin = dataset->indptr[user], end = dataset->indptr[user + 1];
			for (int64_t i = begin; i < end; i++)
				if (end - begin < min_user || count[dataset->item[i]] < min_item)
					dataset->item[i] = -1;
		}
		free(count);
		remove_marked(dataset);
	}
	return rounds - 1;
}

static void compact_users(struct dataset *dataset)
{
	struct strings kept = {0};
	for (int64_t user = 0; user < dataset->user_id.count; user++) {
		if (dataset->indptr[user] == dataset->indptr[user + 1])
			continue;
		const char *id = strings_at(&dataset->user_id, user);
		strings_add(&kept, id, strlen(id));
		dataset->indptr[kept.count] = dataset->indptr[user + 1];
	}
	strings_free(&dataset->user_id);
	dataset->user_id = kept;
}

static void compact_items(struct dataset *dataset)
{
	struct strings kept = {0};
	struct attributes *attributes = &dataset->attributes;
	int64_t *count = count_items(dataset), described = 0;
	int32_t *row = xreallocarray(NULL, (size_t)dataset->item_id.count, sizeof *row);
	for (int64_t item = 0; item < dataset->item_id.count; item++) {
		if (!count[item])
			continue;
		row[item] = (int32_t)kept.count;
		const char *id = strings_at(&dataset->item_id, item);
		strings_add(&kept, id, strlen(id));
		if (item < attributes->n_items && attributes->n)
			memmove(attributes->start + described++ * attributes->n, attributes->start + item * attributes->n,
				(size_t)attributes->n * sizeof *attributes->start);
	}
	for (int64_t i = 0; i < dataset->n_events; i++)
		dataset->item[i] = row[dataset->item[i]];
	attributes->n_items = described;
	strings_free(&dataset->item_id);
	dataset->item_id = kept;
	free(row);
	free(count);
}

void dataset_compact(struct dataset *dataset, bool only_seen)
{
	compact_users(dataset);
	if (only_seen)
		compact_items(dataset);
}

const char *dataset_text(const struct dataset *dataset, int64_t item, int attribute)
{
	const struct attributes *attributes = &dataset->attributes;
	return item < attributes->n_items ? attributes->text.data + attributes->start[item * attributes->n + attribute] :
										"";
}

void dataset_free(struct dataset *dataset)
{
	strings_free(&dataset->user_id);
	strings_free(&dataset->item_id);
	for (int i = 0; i < dataset->attributes.n; i++)
		free(dataset->attributes.name[i]);
	free(dataset->attributes.name);
	free(dataset->attributes.start);
	buffer_free(&dataset->attributes.text);
	free(dataset->first_problem);
	time_column_free(&dataset->times);
	strings_free(&dataset->notes);
	free(dataset->history);
	free(dataset->columns);
	for (enum role role = 0; role < N_ROLES; role++)
		free(dataset->others[role]);
	free(dataset->finer_time);
	free(dataset->event);
	free(dataset->indptr);
	free(dataset->item);
	free(dataset->time);
	*dataset = (struct dataset){0};
}
