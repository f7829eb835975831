#include "data/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "data/dataset_order.h"

/* --- parts --- */

struct kept_part {
	int64_t n_users, n_events;
	int64_t id_bytes;
	bool has_time;
};

static void keep_part(struct dataset *dataset)
{
	const struct dataset_part *part = &dataset->part;
	const struct buffer *ids = &dataset->user_id.text;
	const struct kept_part head = {part->n_users, part->n_events, (int64_t)ids->size, part->time};
	spool_write(&dataset->kept, &head, sizeof head);
	spool_write(&dataset->kept, ids->data, ids->size);
	spool_write(&dataset->kept, part->indptr, (size_t)(part->n_users + 1) * sizeof *part->indptr);
	spool_write(&dataset->kept, part->item, (size_t)part->n_events * sizeof *part->item);
	if (part->time)
		spool_write(&dataset->kept, part->time, (size_t)part->n_events * sizeof *part->time);
}

static void *read_kept(struct dataset *dataset, int64_t count, size_t size)
{
	void *values = xreallocarray(NULL, (size_t)count + 1, size);
	if (!spool_read(&dataset->kept, values, (size_t)count * size))
		die("temporary file: truncated");
	return values;
}

static void renumber_items(struct dataset_part *part, const int32_t new_row[])
{
	for (int64_t i = 0; i < part->n_events && new_row; i++)
		part->item[i] = new_row[part->item[i]];
}

/* In place of those that were there. */
static void read_ids(struct dataset *dataset, const struct kept_part *head)
{
	char *text = read_kept(dataset, head->id_bytes, 1);
	strings_clear(&dataset->user_id);
	strings_add_all(&dataset->user_id, text, head->n_users);
	free(text);
}

/* Users without events go. */
static void skip_users(struct dataset *dataset)
{
	struct strings kept = {0};
	const struct dataset_part *part = &dataset->part;
	for (int64_t user = 0; user < part->n_users; user++) {
		const char *id = strings_at(&dataset->user_id, user);
		if (part->indptr[user] != part->indptr[user + 1])
			strings_add(&kept, id, strlen(id));
	}
	strings_free(&dataset->user_id);
	dataset->user_id = kept;
	part_skip_users(&dataset->part);
}

static bool next_kept_part(struct dataset *dataset, bool *begun)
{
	struct dataset_part *part = &dataset->part;
	struct kept_part head;
	const int64_t first_user = *begun ? part->first_user + part->n_users : 0;
	if (!*begun)
		spool_rewind(&dataset->kept);
	part_free(part);
	*begun = spool_read(&dataset->kept, &head, sizeof head);
	if (!*begun)
		return false;
	*part = (struct dataset_part){.first_user = first_user, .n_users = head.n_users, .n_events = head.n_events};
	read_ids(dataset, &head);
	part->indptr = read_kept(dataset, head.n_users + 1, sizeof *part->indptr);
	part->item = read_kept(dataset, head.n_events, sizeof *part->item);
	part->time = head.has_time ? read_kept(dataset, head.n_events, sizeof *part->time) : NULL;
	if (dataset->skips_users)
		skip_users(dataset);
	renumber_items(part, dataset->new_row);
	return true;
}

bool dataset_next_part(struct dataset *dataset, bool *begun)
{
	if (dataset->rules.is_sorted)
		return next_kept_part(dataset, begun);
	*begun = !*begun;
	return *begun;
}

/* --- what is left out --- */

/* The events held become sequences, by the rules. */
static void filter_held(struct dataset *dataset, int64_t first_user)
{
	const struct dataset_rules *rules = &dataset->rules;
	struct dataset_dropped *dropped = &dataset->dropped;
	if (!first_user)
		rng_seed(&dataset->ties, rules->seed);
	part_order(dataset, first_user);
	part_deduplicate(dataset);
	const int64_t events = dataset->part.n_events;
	dropped->duplicates += dataset->n_held - events;
	if (rules->min_user > 1 || rules->min_item > 1) {
		const int rounds = part_core(dataset);
		dropped->core_rounds = rounds > dropped->core_rounds ? rounds : dropped->core_rounds;
	}
	dropped->core_events += events - dataset->part.n_events;
	dataset->n_events += dataset->part.n_events;
	dataset->n_held = 0;
}

void dataset_end_part(struct dataset *dataset)
{
	if (!dataset->n_held)
		return;
	filter_held(dataset, dataset->part.first_user);
	keep_part(dataset);
	part_free(&dataset->part);
	strings_clear(&dataset->user_id);
	dataset->part.first_user = dataset->n_users;
}

void dataset_look_back(struct dataset *dataset, void (*look)(void *context, const char *id), void *context)
{
	struct kept_part head;
	spool_rewind(&dataset->kept);
	while (spool_read(&dataset->kept, &head, sizeof head)) {
		char *text = read_kept(dataset, head.id_bytes, 1), *id = text;
		for (int64_t user = 0; user < head.n_users; user++, id += strlen(id) + 1)
			look(context, id);
		free(text);
		const int64_t item_bytes = (int64_t)sizeof *dataset->part.item;
		const int64_t time_bytes = head.has_time ? (int64_t)sizeof *dataset->part.time : 0;
		free(read_kept(dataset, head.n_users + 1, sizeof *dataset->part.indptr));
		free(read_kept(dataset, head.n_events, (size_t)(item_bytes + time_bytes)));
	}
	for (int64_t user = 0; user < dataset->user_id.count; user++)
		look(context, strings_at(&dataset->user_id, user));
}

static void forget_users(struct dataset *dataset)
{
	dataset->skips_users = true;
	if (!dataset->rules.is_sorted)
		skip_users(dataset);
	dataset->n_users = 0;
	bool begun = false;
	while (dataset_next_part(dataset, &begun))
		dataset->n_users += dataset->part.n_users;
}

static int64_t *count_items(struct dataset *dataset)
{
	int64_t *count = xcalloc((size_t)dataset->item_id.count, sizeof *count);
	bool begun = false;
	while (dataset_next_part(dataset, &begun))
		for (int64_t i = 0; i < dataset->part.n_events; i++)
			count[dataset->part.item[i]]++;
	return count;
}

static void forget_items(struct dataset *dataset)
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
	attributes->n_items = described;
	strings_free(&dataset->item_id);
	dataset->item_id = kept;
	free(count);
	dataset->new_row = row;
	if (!dataset->rules.is_sorted)
		renumber_items(&dataset->part, row);
}

void dataset_filter(struct dataset *dataset, bool only_seen)
{
	const int64_t items = dataset->item_id.count;
	const bool is_sorted = dataset->rules.is_sorted;
	if (is_sorted) {
		dataset_end_part(dataset);
	} else {
		dataset->n_users = dataset->user_id.count;
		filter_held(dataset, 0);
		free(dataset->event);
		dataset->event = NULL;
	}
	if (!dataset->n_events)
		die("--min-user %lld --min-item %lld leave no events of %lld", (long long)dataset->rules.min_user,
			(long long)dataset->rules.min_item, (long long)dataset->dropped.core_events);
	const int64_t users = dataset->n_users;
	/* what is sorted has neither users nor items without events but by these rules: no need to look through it */
	if (!is_sorted || dataset->dropped.core_events)
		forget_users(dataset);
	if (only_seen && (!is_sorted || dataset->dropped.core_events || dataset->attributes.n_items))
		forget_items(dataset);
	dataset->dropped.users = users - dataset->n_users;
	dataset->dropped.items = items - dataset->item_id.count;
}

const char *dataset_text(const struct dataset *dataset, int64_t item, int attribute)
{
	const struct attributes *attributes = &dataset->attributes;
	return item < attributes->n_items ? attributes->text.data + attributes->start[item * attributes->n + attribute] :
										"";
}

static void doubt_free(struct doubt *doubt)
{
	free(doubt->is_so);
	free(doubt->example);
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
	doubt_free(&dataset->no_user);
	doubt_free(&dataset->no_item);
	doubt_free(&dataset->lists);
	free(dataset->order.print);
	free(dataset->event);
	part_free(&dataset->part);
	spool_free(&dataset->kept);
	free(dataset->new_row);
	*dataset = (struct dataset){0};
}
