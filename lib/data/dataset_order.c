#include "data/dataset_order.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#define SCANS 4 /* threads that each look at all events, for those of their users */
#define SCATTER_AHEAD 16

/* --- order --- */

static int by_time(const void *a, const void *b)
{
	const struct event *left = a, *right = b;
	if (left->time != right->time)
		return left->time < right->time ? -1 : 1;
	if (left->fraction != right->fraction)
		return left->fraction < right->fraction ? -1 : 1;
	return left->user < right->user ? -1 : left->user > right->user; /* their places in the file */
}

static uint32_t fraction_at(const struct dataset_part *part, int64_t i)
{
	return part->fraction ? part->fraction[i] : 0;
}

static bool is_same_time(const struct dataset_part *part, int64_t a, int64_t b)
{
	return !part->time || (part->time[a] == part->time[b] && fraction_at(part, a) == fraction_at(part, b));
}

static bool is_sorted(const struct dataset_part *part, int64_t begin, int64_t end)
{
	for (int64_t i = begin + 1; i < end; i++)
		if (part->time[i] < part->time[i - 1] ||
			(part->time[i] == part->time[i - 1] && fraction_at(part, i) < fraction_at(part, i - 1)))
			return false;
	return true;
}

static void sort_times(struct dataset_part *part, int64_t begin, int64_t end)
{
	if (is_sorted(part, begin, end))
		return;
	struct event *events = xreallocarray(NULL, (size_t)(end - begin), sizeof *events);
	for (int64_t i = begin; i < end; i++)
		events[i - begin] = (struct event){part->time[i], fraction_at(part, i), (int32_t)(i - begin), part->item[i]};
	qsort(events, (size_t)(end - begin), sizeof *events, by_time);
	for (int64_t i = begin; i < end; i++) {
		part->time[i] = events[i - begin].time;
		part->item[i] = events[i - begin].item;
		if (part->fraction)
			part->fraction[i] = events[i - begin].fraction;
	}
	free(events);
}

/* Fisher-Yates within each run of equal times. */
static void shuffle_ties(struct dataset_part *part, int64_t first, int64_t last, struct rng *rng)
{
	for (int64_t begin = first, end; begin < last; begin = end) {
		for (end = begin + 1; end < last && is_same_time(part, begin, end); end++)
			;
		for (int64_t i = end - begin - 1; i > 0; i--) {
			int64_t other = begin + (int64_t)rng_below(rng, (uint64_t)i + 1);
			int32_t kept = part->item[begin + i];
			part->item[begin + i] = part->item[other];
			part->item[other] = kept;
		}
	}
}

/* Where user `user` of the part begins, so that `scans` shares have about as many events each. */
static int64_t share_begin(const struct dataset_part *part, int share, int scans)
{
	int64_t low = 0, high = part->n_users, wanted = part->n_events * share / scans;
	while (low < high) {
		int64_t middle = low + (high - low) / 2;
		if (part->indptr[middle] < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return share == scans ? part->n_users : low;
}

/* Puts the events of users [from, to) where they belong; next: where each user's next event goes. */
static void scatter(const struct dataset *dataset, struct dataset_part *part, int64_t from, int64_t to, int64_t next[])
{
	for (int64_t i = 0; i < dataset->n_held; i++) {
		const struct event *event = &dataset->event[i];
		const int64_t user = event->user - part->first_user;
		if (i + SCATTER_AHEAD < dataset->n_held) {
			const int64_t later = event[SCATTER_AHEAD].user - part->first_user;
			if (later >= from && later < to) {
				__builtin_prefetch(&part->item[next[later]], 1);
				if (part->time)
					__builtin_prefetch(&part->time[next[later]], 1);
			}
		}
		if (user < from || user >= to)
			continue;
		const int64_t at = next[user]++;
		part->item[at] = event->item;
		if (part->time)
			part->time[at] = event->time;
		if (part->fraction)
			part->fraction[at] = event->fraction;
	}
}

/* The events by user, those of a user in file order. */
static void gather(const struct dataset *dataset, struct dataset_part *part)
{
	const size_t users = (size_t)part->n_users, events = (size_t)part->n_events;
	part->indptr = xcalloc(users + 1, sizeof *part->indptr);
	for (int64_t i = 0; i < part->n_events; i++)
		part->indptr[dataset->event[i].user - part->first_user + 1]++;
	for (int64_t user = 0; user < part->n_users; user++)
		part->indptr[user + 1] += part->indptr[user];
	part->item = xreallocarray(NULL, events, sizeof *part->item);
	part->time = dataset->has_time ? xreallocarray(NULL, events, sizeof *part->time) : NULL;
	part->fraction = dataset->has_fractions ? xreallocarray(NULL, events, sizeof *part->fraction) : NULL;
	int64_t *next = xreallocarray(NULL, users + 1, sizeof *next);
	memcpy(next, part->indptr, (users + 1) * sizeof *next);
	const int threads = omp_get_max_threads(), scans = threads < SCANS ? threads : SCANS;
#pragma omp parallel for num_threads(scans) if (scans > 1)
	for (int share = 0; share < scans; share++)
		scatter(dataset, part, share_begin(part, share, scans), share_begin(part, share + 1, scans), next);
	free(next);
}

/*
 * Counts the user's events of which an earlier one has the same item and time, and marks them for removal where they
 * are to go. run_of: by item, of the runs of equal times counted in *run; 0 at first.
 */
static int64_t find_repeated(struct dataset_part *part, int64_t user, bool mark, int64_t run_of[], int64_t *run)
{
	const int64_t begin = part->indptr[user], end = part->indptr[user + 1];
	int64_t repeated = 0;
	for (int64_t i = begin; i < end; i++) {
		const int32_t item = part->item[i];
		*run += i == begin || !is_same_time(part, i - 1, i);
		if (run_of[item] == *run) {
			repeated++;
			if (mark)
				part->item[i] = -1;
		}
		run_of[item] = *run;
	}
	return repeated;
}

/* Events whose item is -1 go; users stay, if with nothing. */
static void remove_marked(struct dataset_part *part)
{
	int64_t kept = 0, begin = 0;
	for (int64_t user = 0; user < part->n_users; user++) {
		int64_t end = part->indptr[user + 1];
		for (int64_t i = begin; i < end; i++) {
			if (part->item[i] < 0)
				continue;
			part->item[kept] = part->item[i];
			if (part->time)
				part->time[kept] = part->time[i];
			kept++;
		}
		part->indptr[user + 1] = kept;
		begin = end;
	}
	part->n_events = kept;
}

void part_order(struct dataset *dataset, int64_t first_user)
{
	struct dataset_part *part = &dataset->part;
	*part = (struct dataset_part){.first_user = first_user,
		.n_users = dataset->n_users - first_user,
		.n_events = dataset->n_held};
	gather(dataset, part);
	const bool drop_repeated = dataset->rules.duplicates == DUPLICATES_EXACT;
	int64_t repeated = 0;
	if (part->time && dataset->rules.shuffle_ties)
		for (int64_t user = 0; user < part->n_users; user++) {
			sort_times(part, part->indptr[user], part->indptr[user + 1]);
			shuffle_ties(part, part->indptr[user], part->indptr[user + 1], &dataset->ties);
		}
#pragma omp parallel reduction(+ : repeated) if (part->n_events > 10000)
	{
		int64_t *run_of = xcalloc((size_t)dataset->item_id.count + 1, sizeof *run_of), run = 0;
#pragma omp for schedule(dynamic, 256)
		for (int64_t user = 0; user < part->n_users; user++) {
			if (part->time)
				sort_times(part, part->indptr[user], part->indptr[user + 1]);
			repeated += find_repeated(part, user, drop_repeated, run_of, &run);
		}
		free(run_of);
	}
	dataset->n_repeated += repeated;
	free(part->fraction);
	part->fraction = NULL;
	if (drop_repeated)
		remove_marked(part);
}

/* --- what is left out --- */

const char *const duplicates_names[] = {"keep", "exact", "first", "last", NULL};

void part_deduplicate(struct dataset *dataset)
{
	struct dataset_part *part = &dataset->part;
	const enum duplicates duplicates = dataset->rules.duplicates;
	if (duplicates == DUPLICATES_KEEP || duplicates == DUPLICATES_EXACT)
		return;
	int64_t *last_user = xreallocarray(NULL, (size_t)dataset->item_id.count, sizeof *last_user);
	memset(last_user, -1, (size_t)dataset->item_id.count * sizeof *last_user);
	for (int64_t user = 0; user < part->n_users; user++) {
		int64_t begin = part->indptr[user], count = part->indptr[user + 1] - begin;
		for (int64_t k = 0; k < count; k++) {
			int32_t *item = &part->item[begin + (duplicates == DUPLICATES_FIRST ? k : count - 1 - k)];
			if (last_user[*item] == user)
				*item = -1;
			else
				last_user[*item] = user;
		}
	}
	free(last_user);
	remove_marked(part);
}

/* Events of each item, where items may have too few. */
static int64_t *count_items(const struct dataset *dataset)
{
	if (dataset->rules.min_item <= 1)
		return NULL;
	int64_t *count = xcalloc((size_t)dataset->item_id.count, sizeof *count);
	for (int64_t i = 0; i < dataset->part.n_events; i++)
		count[dataset->part.item[i]]++;
	return count;
}

int part_core(struct dataset *dataset)
{
	struct dataset_part *part = &dataset->part;
	const int64_t min_user = dataset->rules.min_user, min_item = dataset->rules.min_item;
	int rounds = 0;
	for (int64_t before = -1; part->n_events != before; rounds++) {
		before = part->n_events;
		int64_t *count = count_items(dataset);
		for (int64_t user = 0; user < part->n_users; user++) {
			int64_t begin = part->indptr[user], end = part->indptr[user + 1];
			for (int64_t i = begin; i < end; i++)
				if (end - begin < min_user || (count && count[part->item[i]] < min_item))
					part->item[i] = -1;
		}
		free(count);
		remove_marked(part);
	}
	return rounds - 1;
}

void part_skip_users(struct dataset_part *part)
{
	int64_t kept = 0;
	for (int64_t user = 0; user < part->n_users; user++)
		if (part->indptr[user] != part->indptr[user + 1])
			part->indptr[++kept] = part->indptr[user + 1];
	part->n_users = kept;
}

void part_free(struct dataset_part *part)
{
	free(part->indptr);
	free(part->item);
	free(part->time);
	free(part->fraction);
	*part = (struct dataset_part){0};
}
