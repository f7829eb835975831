#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data/catalog.h"
#include "data/dataset.h"
#include "stream/progress.h"

#define SORTED_BUCKETS 65536
#define LEAST_DATE 100000000 /* smaller times may count anything */
#define FEW_TIMES 32         /* that are sorted one by one */

/* So that they compare as the numbers without sign that they are sorted as. */
static unsigned byte_of(int64_t time, int shift)
{
	return (((uint64_t)time ^ (uint64_t)1 << 63) >> shift) & 255;
}

static void insert_times(int64_t *time, int64_t n)
{
	for (int64_t i = 1; i < n; i++) {
		const int64_t value = time[i];
		int64_t at = i;
		for (; at && time[at - 1] > value; at--)
			time[at] = time[at - 1];
		time[at] = value;
	}
}

/*
 * Ascending, in place, as sorting by merging takes as much room again: by the byte at `shift`, 56 at first, then each
 * byte's by the next.
 */
static void sort_times(int64_t *time, int64_t n, int shift)
{
	int64_t end[256] = {0}, next[256], from = 0;
	if (n <= FEW_TIMES) {
		insert_times(time, n);
		return;
	}
	for (int64_t i = 0; i < n; i++)
		end[byte_of(time[i], shift)]++;
	for (int byte = 0; byte < 256; byte++) {
		next[byte] = from;
		from = end[byte] += from;
	}
	for (int byte = 0; byte < 256; byte++)
		while (next[byte] < end[byte]) {
			const unsigned to = byte_of(time[next[byte]], shift);
			const int64_t moved = time[next[to]];
			time[next[to]++] = time[next[byte]];
			if (to != (unsigned)byte)
				time[next[byte]] = moved;
		}
	for (int byte = 0; shift && byte < 256; byte++) {
		const int64_t begin = byte ? end[byte - 1] : 0;
		sort_times(time + begin, end[byte] - begin, shift - 8);
	}
}

/* Sorted values, for asking of very many others how many are less: where to look is read off a table first. */
struct sorted {
	const int64_t *value;
	int64_t count;
	int shift;
	int64_t bucket[SORTED_BUCKETS + 1]; /* [b]: how many are less than the first of all + (b << shift) */
};

static uint64_t above_first(const struct sorted *sorted, int64_t value)
{
	return (uint64_t)value - (uint64_t)sorted->value[0];
}

/* count > 0. The values are borrowed. */
static void sorted_index(struct sorted *sorted, const int64_t value[], int64_t count)
{
	sorted->value = value;
	sorted->count = count;
	sorted->shift = 0;
	while (above_first(sorted, value[count - 1]) >> sorted->shift >= SORTED_BUCKETS)
		sorted->shift++;
	int64_t i = 0;
	for (uint64_t b = 0; b <= SORTED_BUCKETS; b++) {
		while (i < count && above_first(sorted, value[i]) >> sorted->shift < b)
			i++;
		sorted->bucket[b] = i;
	}
}

static int64_t count_below(const struct sorted *sorted, int64_t value)
{
	if (value <= sorted->value[0])
		return 0;
	if (value > sorted->value[sorted->count - 1])
		return sorted->count;
	const uint64_t b = above_first(sorted, value) >> sorted->shift;
	int64_t low = sorted->bucket[b], high = sorted->bucket[b + 1];
	while (low < high) {
		int64_t middle = low + (high - low) / 2;
		if (sorted->value[middle] < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What one look at all sequences finds. */
struct survey {
	bool *is_seen;                /* by item */
	int64_t *users_of, longest;   /* by number of events: users that have so many; room for the longest */
	int64_t *target, n_targets;   /* times of leave-one-out's test events */
	int64_t pairs, tied;          /* users of two events and more; of those the last two have one time */
	int64_t first_time;           /* of the first sequence */
	bool has_time, are_positions; /* times only count a user's events (0, 1, 2, ...): those of two cannot be compared */
};

static void survey_user(struct survey *survey, const struct dataset_part *part, int64_t user)
{
	const int64_t begin = part->indptr[user], end = part->indptr[user + 1];
	for (int64_t i = begin; i < end; i++)
		survey->is_seen[part->item[i]] = true;
	if (end - begin > survey->longest) {
		survey->users_of = xreallocarray(survey->users_of, (size_t)(end - begin) + 1, sizeof *survey->users_of);
		while (survey->longest < end - begin)
			survey->users_of[++survey->longest] = 0;
	}
	survey->users_of[end - begin]++;
	if (!part->time)
		return;
	for (int64_t i = begin; i < end && survey->are_positions; i++)
		survey->are_positions = part->time[i] - survey->first_time == i - begin;
	if (end - begin >= 2) {
		survey->pairs++;
		survey->tied += part->time[end - 1] == part->time[end - 2];
	}
	if (end - begin >= 3)
		survey->target[survey->n_targets++] = part->time[end - 1];
}

static void look(struct dataset *dataset, struct survey *survey)
{
	const size_t users = (size_t)dataset->n_users;
	*survey = (struct survey){.are_positions = true};
	survey->users_of = xcalloc(1, sizeof *survey->users_of);
	survey->is_seen = xcalloc((size_t)dataset->item_id.count, sizeof *survey->is_seen);
	survey->target = xreallocarray(NULL, users, sizeof *survey->target);
	bool begun = false;
	while (dataset_next_part(dataset, &begun)) {
		const struct dataset_part *part = &dataset->part;
		if (part->time && !part->first_user)
			survey->first_time = part->time[0];
		survey->has_time = part->time;
		for (int64_t user = 0; user < part->n_users; user++)
			survey_user(survey, part, user);
	}
}

/* Training events of the part, and in *later the sum of how many targets each is later than. */
static int64_t count_later(const struct dataset_part *part, const struct sorted *targets, int64_t *later)
{
	int64_t training = 0, sum = 0;
#pragma omp parallel for schedule(dynamic, 1024) reduction(+ : training, sum) if (part->n_events > 100000)
	for (int64_t user = 0; user < part->n_users; user++) {
		const int64_t length = part->indptr[user + 1] - part->indptr[user], trained = length < 3 ? length : length - 2;
		const int64_t *time = part->time + part->indptr[user];
		for (int64_t i = 0; i < trained; i++)
			sum += count_below(targets, time[i]);
		training += trained;
	}
	*later += sum;
	return training;
}

/* Mean over the test targets of the share of all training events that are later. */
static double future_share(struct dataset *dataset, struct survey *survey)
{
	if (!survey->has_time || survey->are_positions || !survey->n_targets)
		return 0;
	int64_t later = 0, training = 0;
	sort_times(survey->target, survey->n_targets, 56);
	struct sorted *targets = xmalloc(sizeof *targets);
	sorted_index(targets, survey->target, survey->n_targets);
	bool begun = false;
	while (dataset_next_part(dataset, &begun))
		training += count_later(&dataset->part, targets, &later);
	free(targets);
	return training ? (double)later / (double)training / (double)survey->n_targets : 0;
}

static void describe_lengths(struct survey *survey, int64_t users, int64_t events, struct dataset_facts *facts)
{
	int64_t shorter = 0, median = 0;
	while (median < survey->longest && (shorter += survey->users_of[median]) <= users / 2)
		median++;
	facts->mean_length = users ? (double)events / (double)users : 0;
	facts->median_length = median;
	facts->longest = survey->longest;
	facts->tied_share = survey->pairs ? (double)survey->tied / (double)survey->pairs : 0;
}

static bool has_text(const struct dataset *dataset, int64_t item)
{
	for (int i = 0; i < dataset->attributes.n; i++)
		if (*dataset_text(dataset, item, i))
			return true;
	return false;
}

static uint64_t fingerprint_sequences(struct dataset *dataset)
{
	const struct dataset_part *part = &dataset->part;
	const struct buffer *ids = &dataset->user_id.text;
	uint64_t id = catalog_fingerprint(dataset);
	int64_t events = 0;
	bool begun = false;
	while (dataset_next_part(dataset, &begun))
		id = fingerprint(id, ids->data, ids->size);
	id = fingerprint(id, &events, sizeof events);
	while (dataset_next_part(dataset, &begun)) {
		for (int64_t user = 0; user < part->n_users; user++) {
			const int64_t end = events + part->indptr[user + 1];
			id = fingerprint(id, &end, sizeof end);
		}
		events += part->n_events;
	}
	while (dataset_next_part(dataset, &begun))
		id = fingerprint(id, part->item, (size_t)part->n_events * sizeof *part->item);
	while (dataset_next_part(dataset, &begun))
		if (part->time)
			id = fingerprint(id, part->time, (size_t)part->n_events * sizeof *part->time);
	return id;
}

static void describe(struct dataset *dataset, struct dataset_facts *facts)
{
	struct survey survey;
	look(dataset, &survey);
	for (int64_t item = 0; item < dataset->item_id.count; item++) {
		facts->unseen_items += !survey.is_seen[item];
		facts->textless_items += dataset->attributes.n && !has_text(dataset, item);
	}
	describe_lengths(&survey, dataset->n_users, dataset->n_events, facts);
	facts->future_share = future_share(dataset, &survey);
	free(survey.is_seen);
	free(survey.users_of);
	free(survey.target);
}

void dataset_describe(struct dataset *dataset, struct dataset_facts *facts)
{
	*facts = (struct dataset_facts){0};
	/* a fingerprint is made byte by byte, and takes as long as all the rest */
#pragma omp parallel sections if (!dataset->rules.is_sorted)
	{
#pragma omp section
		describe(dataset, facts);
#pragma omp section
		facts->fingerprint = fingerprint_sequences(dataset);
	}
}

/* A date, or the number where it counts something else than seconds since 1970. To be freed. */
static char *time_text(int64_t time)
{
	struct tm date;
	char text[32];
	const time_t seconds = (time_t)time;
	if (time >= LEAST_DATE && gmtime_r(&seconds, &date) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &date))
		return xstrdup(text);
	return xasprintf("%lld", (long long)time);
}

int64_t dataset_split_users(struct dataset *dataset, int64_t time, const char *option)
{
	int64_t count = 0, first = INT64_MAX, last = INT64_MIN;
	bool begun = false;
	while (dataset_next_part(dataset, &begun))
		for (int64_t user = 0; user < dataset->part.n_users; user++) {
			const struct dataset_part *part = &dataset->part;
			const int64_t begin = part->indptr[user], end = part->indptr[user + 1];
			if (begin == end)
				continue;
			count += part->time[begin] < time && part->time[end - 1] >= time;
			first = part->time[begin] < first ? part->time[begin] : first;
			last = part->time[end - 1] > last ? part->time[end - 1] : last;
		}
	if (!count)
		die("%s: no user has events both before and after; the times run from %s to %s", option, time_text(first),
			time_text(last));
	return count;
}

void dataset_tell(const struct dataset *dataset, const struct dataset_facts *facts)
{
	for (int64_t i = 0; i < dataset->notes.count; i++)
		notice("%s", strings_at(&dataset->notes, i));
	if (dataset->n_skipped)
		notice("%s left out, the first: %s", counted(dataset->n_skipped, "wrong rows"), dataset->first_problem);
	notice("%s, %s, %s; %.1f events a user (median %lld)", counted(dataset->n_users, "users"),
		counted(dataset->item_id.count, "items"), counted(dataset->n_events, "events"), facts->mean_length,
		(long long)facts->median_length);
}

json_t *dataset_facts_json(const struct dataset *dataset, const struct dataset_facts *facts)
{
	const struct dataset_dropped *dropped = &dataset->dropped;
	json_t *found = json_build("{s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:f, s:f}", "events_read",
		(json_int_t)dataset->n_read, "rows_skipped", (json_int_t)dataset->n_skipped, "users",
		(json_int_t)dataset->n_users, "items", (json_int_t)dataset->item_id.count, "events",
		(json_int_t)dataset->n_events, "mean_length", facts->mean_length, "median_length",
		(json_int_t)facts->median_length, "longest", (json_int_t)facts->longest, "unseen_items",
		(json_int_t)facts->unseen_items, "tied_share", facts->tied_share, "future_share", facts->future_share);
	json_set(found, "dropped",
		json_build("{s:I, s:I, s:I, s:I, s:i}", "duplicate_events", (json_int_t)dropped->duplicates, "core_events",
			(json_int_t)dropped->core_events, "users", (json_int_t)dropped->users, "items", (json_int_t)dropped->items,
			"core_rounds", dropped->core_rounds));
	return found;
}
