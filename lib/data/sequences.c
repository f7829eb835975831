#include "data/sequences.h"

#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"

enum { USER_ID, INDPTR, ITEM, TIMESTAMP, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[USER_ID] = {"user_id", COLUMN_TEXT, U1, 0},
	[INDPTR] = {"indptr", COLUMN_INDPTR, I8, 0},
	[ITEM] = {"item", COLUMN_RAGGED, I4, 0},
	[TIMESTAMP] = {"timestamp", COLUMN_RAGGED, I8, 0},
};

/* --- reading --- */

/* The names of what is packed. */
static void name(struct sequences *sequences)
{
	const struct ragged *events = &sequences->events;
	sequences->indptr = events->indptr;
	sequences->item = events->field[0];
	sequences->timestamp = events->n_fields > 1 ? events->field[1] : NULL;
	sequences->n_users = events->rows;
	sequences->n_events = ragged_count(events);
}

const char *const holdout_names[] = {"last", "time", "none", NULL};

static enum holdout holdout_named(const char *text, const char *where)
{
	for (enum holdout holdout = 0; holdout_names[holdout]; holdout++)
		if (!strcmp(holdout_names[holdout], text))
			return holdout;
	die("%s: \"holdout\" is \"%s\", last, time or none was expected", where, text);
}

static void begin(void *group, const char *where)
{
	struct sequences *sequences = group;
	const json_t *meta = sequences->group.meta;
	group_fingerprint(&sequences->group, "catalog", sequences->catalog, where);
	sequences->holdout = json_object_get(meta, "split_time") ? HOLDOUT_TIME : HOLDOUT_LAST;
	if (json_object_get(meta, "holdout"))
		sequences->holdout = holdout_named(json_get_string(meta, "holdout", where), where);
	if (sequences->holdout == HOLDOUT_TIME)
		sequences->split_time = json_get_int(meta, "split_time", INT64_MIN, INT64_MAX, where);
	sequences->events = (struct ragged)RAGGED(I4, I8);
	ragged_clear(&sequences->events);
	name(sequences);
}

/* One chunk without them: all chunks are. */
static void forget_times(struct ragged *events)
{
	events->n_fields = 1;
	free(events->field[1]);
	events->field[1] = NULL;
}

static void chunk(void *group, const struct chunk *chunk)
{
	struct sequences *sequences = group;
	if (!chunk_has(chunk, &columns[TIMESTAMP]))
		forget_times(&sequences->events);
	if (sequences->holdout == HOLDOUT_TIME && sequences->events.n_fields == 1)
		die("%s: split by time, but without timestamps", chunk->where);
	strings_add_all(&sequences->user_id, chunk_text(chunk, &columns[USER_ID]), chunk->rows);
	chunk_append_ragged(chunk, &columns[INDPTR], &columns[ITEM], &sequences->events);
	name(sequences);
}

void sequences_free(struct sequences *sequences)
{
	group_free(&sequences->group);
	strings_free(&sequences->user_id);
	free(sequences->indptr);
	free(sequences->item);
	free(sequences->timestamp);
	*sequences = (struct sequences){0};
}

static void free_group(void *group)
{
	sequences_free(group);
}

const struct group_kind sequences_group = {
	.name = "sequences",
	.writer = "seq-tokenize writes them",
	.format = 1,
	.begin = begin,
	.chunk = chunk,
	.free = free_group,
};

void sequences_check(const struct sequences *sequences, const struct catalog *catalog)
{
	group_require(&catalog_group, &catalog->group);
	group_require(&sequences_group, &sequences->group);
	catalog_require(catalog, &sequences_group, &sequences->group, sequences->catalog, NULL);
	for (int64_t user = 0; user < sequences->n_users; user++)
		for (int64_t i = sequences->indptr[user]; i < sequences->indptr[user + 1]; i++)
			if (sequences->item[i] < 0 || sequences->item[i] >= catalog->n_items)
				die("sequences: row %lld (user %s): item %d, a row of the catalog below %lld was expected",
					(long long)user, strings_at(&sequences->user_id, user), sequences->item[i],
					(long long)catalog->n_items);
}

/* --- chunk by chunk --- */

struct kept_chunk {
	int64_t users, events, text_size, n_fields;
};

/* No users; what meta.json said stays. */
static void clear(struct sequences *part)
{
	strings_free(&part->user_id);
	ragged_clear(&part->events);
	name(part);
}

static void keep_chunk(void *group, const struct chunk *of_stream)
{
	struct kept_sequences *kept = group;
	struct sequences *part = &kept->part;
	chunk(part, of_stream);
	const struct ragged *events = &part->events;
	const struct kept_chunk head = {part->n_users, part->n_events, (int64_t)part->user_id.text.size, events->n_fields};
	spool_write(&kept->spool, &head, sizeof head);
	spool_write(&kept->spool, part->user_id.text.data, part->user_id.text.size);
	spool_write(&kept->spool, events->indptr, (size_t)(part->n_users + 1) * sizeof *events->indptr);
	for (int i = 0; i < events->n_fields; i++)
		spool_write(&kept->spool, events->field[i], (size_t)part->n_events * dtype_size(events->dtype[i]));
	kept->n_users += part->n_users;
	clear(part);
}

static void *read_kept(struct kept_sequences *kept, int64_t count, size_t size)
{
	void *values = xreallocarray(NULL, (size_t)count + 1, size);
	if (!spool_read(&kept->spool, values, (size_t)count * size))
		die("temporary file: truncated");
	return values;
}

bool sequences_next(struct kept_sequences *kept, const struct catalog *catalog)
{
	struct sequences *part = &kept->part;
	struct kept_chunk head;
	if (!kept->is_replayed)
		spool_rewind(&kept->spool);
	kept->is_replayed = true;
	clear(part);
	if (!spool_read(&kept->spool, &head, sizeof head)) {
		kept->is_replayed = false;
		return false;
	}
	char *text = read_kept(kept, head.text_size, 1);
	strings_add_all(&part->user_id, text, head.users);
	int64_t *indptr = read_kept(kept, head.users + 1, sizeof *indptr);
	void *fields[RAGGED_FIELDS] = {NULL};
	for (int i = 0; i < head.n_fields; i++)
		fields[i] = read_kept(kept, head.events, dtype_size(part->events.dtype[i]));
	ragged_append_rows(&part->events, head.users, indptr, (const void *const *)fields);
	free(text);
	free(indptr);
	for (int i = 0; i < head.n_fields; i++)
		free(fields[i]);
	name(part);
	sequences_check(part, catalog);
	return true;
}

void kept_sequences_free(struct kept_sequences *kept)
{
	sequences_free(&kept->part);
	spool_free(&kept->spool);
	*kept = (struct kept_sequences){.n_users = 0};
}

static void free_kept(void *group)
{
	kept_sequences_free(group);
}

const struct group_kind kept_sequences_group = {
	.name = "sequences",
	.writer = "seq-tokenize writes them",
	.format = 1,
	.begin = begin,
	.chunk = keep_chunk,
	.free = free_kept,
};

/* --- writing --- */

static uint64_t sequences_id(uint64_t id, enum holdout holdout, int64_t split_time)
{
	if (holdout == HOLDOUT_TIME)
		return fingerprint(id, &split_time, sizeof split_time);
	return holdout == HOLDOUT_NONE ? fingerprint(id, holdout_names[holdout], strlen(holdout_names[holdout])) : id;
}

void sequences_write(struct bag_out *out, struct dataset *dataset, const struct dataset_facts *facts,
	enum holdout holdout, int64_t split_time, json_t *how)
{
	char catalog[17];
	fingerprint_text(catalog_fingerprint(dataset), catalog);
	json_t *meta = json_build("{s:s, s:I, s:I}", "catalog", catalog, "n_users", (json_int_t)dataset->n_users,
		"n_events", (json_int_t)dataset->n_events);
	json_object_update_new(meta, how);
	json_set(meta, "holdout", json_string(holdout_names[holdout]));
	if (holdout == HOLDOUT_TIME)
		json_set(meta, "split_time", json_integer(split_time));
	bag_begin(out, &sequences_group, sequences_id(facts->fingerprint, holdout, split_time), 1, 1, meta);
	const struct dataset_part *part = &dataset->part;
	bool begun = false;
	while (dataset_next_part(dataset, &begun)) {
		const char *ids = part->n_users ? strings_at(&dataset->user_id, 0) : NULL;
		bag_add_rows(out, part->n_users, columns, (const void *[]){ids, part->indptr, part->item, part->time},
			N_COLUMNS);
	}
	bag_end(out);
}

/* --- the split --- */

const char *const part_names[] = {"train", "valid", "test", "next"};

/* Events of the user before the split's time; they are in order of time. */
static int64_t events_before(const struct sequences *sequences, int64_t user)
{
	int64_t first = sequences->indptr[user], low = first, high = sequences->indptr[user + 1];
	while (low < high) {
		int64_t middle = low + (high - low) / 2;
		if (sequences->timestamp[middle] < sequences->split_time)
			low = middle + 1;
		else
			high = middle;
	}
	return low - first;
}

static int64_t length_of(const struct sequences *sequences, int64_t user)
{
	return sequences->indptr[user + 1] - sequences->indptr[user];
}

int64_t train_length(const struct sequences *sequences, int64_t user)
{
	int64_t length = length_of(sequences, user);
	if (sequences->holdout == HOLDOUT_NONE)
		return length;
	if (sequences->holdout == HOLDOUT_LAST)
		return length < 3 ? length : length - 2;
	int64_t before = events_before(sequences, user);
	return before < 2 ? before : before - 1;
}

int32_t *training_counts(const struct sequences *sequences, int64_t n_items)
{
	int32_t *count = xcalloc((size_t)n_items, sizeof *count);
	for (int64_t user = 0; user < sequences->n_users; user++) {
		const int32_t *item = sequences->item + sequences->indptr[user];
		for (int64_t i = train_length(sequences, user); i-- > 0;)
			count[item[i]] += count[item[i]] < INT32_MAX;
	}
	return count;
}

int64_t *training_users(const struct sequences *sequences, int64_t least, int64_t *n)
{
	int64_t *users = xreallocarray(NULL, (size_t)sequences->n_users, sizeof *users);
	*n = 0;
	for (int64_t user = 0; user < sequences->n_users; user++)
		if (train_length(sequences, user) >= least)
			users[(*n)++] = user;
	return users;
}

int64_t target_index(const struct sequences *sequences, int64_t user, enum part part)
{
	int64_t length = length_of(sequences, user);
	if (part == PART_NEXT)
		return length;
	if (sequences->holdout == HOLDOUT_NONE)
		return -1;
	if (sequences->holdout == HOLDOUT_LAST)
		return length < 3 || part == PART_TRAIN ? -1 : part == PART_VALID ? length - 2 : length - 1;
	int64_t before = events_before(sequences, user);
	if (part == PART_VALID)
		return before < 2 ? -1 : before - 1;
	return part == PART_TEST && before >= 1 && before < length ? before : -1;
}
