#include "data/ranking.h"

#include <stdlib.h>
#include <string.h>

enum { USER_ID, TARGET, GREATER, EQUAL, TOP_ITEM, TOP_SCORE, N_COLUMNS };

/* Lists are as wide as they are long. */
static const struct column columns[N_COLUMNS] = {
	[USER_ID] = {"user_id", COLUMN_TEXT, U1, 0},
	[TARGET] = {"target", COLUMN_ONE, I4, 0},
	[GREATER] = {"greater", COLUMN_ONE, I4, 0},
	[EQUAL] = {"equal", COLUMN_ONE, I4, 0},
	[TOP_ITEM] = {"top_item", COLUMN_WIDE, I4, 0},
	[TOP_SCORE] = {"top_score", COLUMN_WIDE, F4, 0},
};

/* --- reading --- */

static void begin(void *group, const char *where)
{
	struct ranking *ranking = group;
	const json_t *meta = ranking->group.meta;
	const char *split = json_get_string(meta, "split", where), *seen = json_get_string(meta, "seen", where);
	ranking->part = PART_TRAIN;
	for (enum part part = PART_VALID; part <= PART_NEXT; part++)
		if (!strcmp(split, part_names[part]))
			ranking->part = part;
	if (ranking->part == PART_TRAIN)
		die("%s: \"split\" is \"%s\", \"valid\", \"test\" or \"next\" was expected", where, split);
	if (strcmp(seen, "remove") && strcmp(seen, "keep"))
		die("%s: \"seen\" is \"%s\", \"keep\" or \"remove\" was expected", where, seen);
	group_fingerprint(&ranking->group, "catalog", ranking->catalog, where);
	ranking->seen_removed = !strcmp(seen, "remove");
	ranking->n_items = ranking->n_offered = json_get_int(meta, "n_items", 0, INT32_MAX, where);
	if (json_object_get(meta, "offered")) {
		ranking->n_offered = json_get_int(meta, "offered", 0, ranking->n_items, where);
		group_fingerprint(&ranking->group, "offered_items", ranking->offered, where);
	}
}

/* A column of one number a row, behind those there are. */
static int32_t *append_numbers(const struct ranking *ranking, int32_t *numbers, const struct chunk *chunk,
	const struct column *column)
{
	const int32_t *more = chunk_numbers(chunk, column);
	numbers = xreallocarray(numbers, (size_t)(ranking->n_users + chunk->rows), sizeof *numbers);
	if (chunk->rows)
		memcpy(numbers + ranking->n_users, more, (size_t)chunk->rows * sizeof *numbers);
	return numbers;
}

/* The target is one of the items, and so are those above it and beside it. */
static void check_row(const struct ranking *ranking, int64_t row, const char *where)
{
	int64_t target = ranking->target[row], greater = ranking->greater[row], equal = ranking->equal[row];
	if (target < -1 || target >= ranking->n_items)
		die("%s: row %lld: target %lld, a row of the catalog below %lld was expected", where, (long long)row,
			(long long)target, (long long)ranking->n_items);
	if (target >= 0 && (greater < 0 || equal < 0 || greater + equal >= ranking->n_items))
		die("%s: row %lld: %s above and %lld beside the target, of %s in all", where, (long long)row,
			counted(greater, "items"), (long long)equal, counted(ranking->n_items, "items"));
}

/* -1: the user has fewer candidates than the list has places. */
static void note_place(struct ranking *ranking, int32_t item, int64_t place, int64_t row, const char *where)
{
	if (item == -1)
		return;
	if (item < 0 || item >= ranking->n_items)
		die("%s: top_item, row %lld: item %d, a row of the catalog below %lld was expected", where, (long long)row,
			item, (long long)ranking->n_items);
	int32_t *best = &ranking->best_place[item];
	if (!*best || place < *best)
		*best = (int32_t)place;
}

static void take_lists(struct ranking *ranking, const struct chunk *chunk)
{
	const struct column *column = &columns[TOP_ITEM];
	if (!chunk_has(chunk, column))
		return;
	const int64_t width = chunk_width(chunk, column);
	const int32_t *next = chunk_numbers(chunk, column);
	if (!ranking->best_place) {
		ranking->list_length = width;
		ranking->best_place = xcalloc((size_t)ranking->n_items, sizeof *ranking->best_place);
	}
	for (int64_t row = 0; row < chunk->rows; row++)
		for (int64_t place = 1; place <= width; place++, next++)
			note_place(ranking, *next, place, row, chunk->where);
}

static void chunk(void *group, const struct chunk *chunk)
{
	struct ranking *ranking = group;
	strings_add_all(&ranking->user_id, chunk_text(chunk, &columns[USER_ID]), chunk->rows);
	ranking->target = append_numbers(ranking, ranking->target, chunk, &columns[TARGET]);
	ranking->greater = append_numbers(ranking, ranking->greater, chunk, &columns[GREATER]);
	ranking->equal = append_numbers(ranking, ranking->equal, chunk, &columns[EQUAL]);
	for (int64_t row = 0; row < chunk->rows; row++)
		check_row(ranking, ranking->n_users + row, chunk->where);
	take_lists(ranking, chunk);
	ranking->n_users += chunk->rows;
}

static void free_group(void *group)
{
	ranking_free(group);
}

const struct group_kind ranking_group = {
	.name = "ranking",
	.writer = "seq-rank writes one",
	.format = 1,
	.begin = begin,
	.chunk = chunk,
	.free = free_group,
};

void ranking_check(struct ranking *ranking, const struct catalog *catalog, const char *run)
{
	if (!ranking->group.complete)
		die("%s: no ranking in the stream; %s", run, ranking_group.writer);
	if (!ranking->n_users)
		die("%s: the ranking has no users", run);
	if (ranking->part == PART_NEXT)
		die("%s: ranks what comes next, of which nothing is known; measure seq-rank --split test or valid", run);
	if (catalog->group.complete) {
		catalog_require(catalog, &ranking_group, &ranking->group, ranking->catalog, NULL);
		if (catalog->n_items != ranking->n_items)
			die("%s: ranking of %s, the catalog has %lld", run, counted(ranking->n_items, "items"),
				(long long)catalog->n_items);
	}
	for (int64_t row = 0; row < ranking->n_users; row++) {
		const char *user = strings_at(&ranking->user_id, row);
		if (strings_find(&ranking->user_id, user, strlen(user)) != row)
			die("%s: ranking, row %lld: user %s is there twice", run, (long long)row, user);
	}
}

int64_t ranking_reach(const struct ranking *ranking, int64_t cut)
{
	int64_t items = 0;
	for (int64_t i = 0; ranking->best_place && i < ranking->n_items; i++)
		items += ranking->best_place[i] && ranking->best_place[i] <= cut;
	return items;
}

void ranking_free(struct ranking *ranking)
{
	group_free(&ranking->group);
	strings_free(&ranking->user_id);
	free(ranking->target);
	free(ranking->greater);
	free(ranking->equal);
	free(ranking->best_place);
	*ranking = (struct ranking){.n_users = 0};
}

/* --- writing --- */

/* Which items are offered; FINGERPRINT_START where all are. */
static uint64_t offered_items(const struct ranking_of *of)
{
	uint64_t print = FINGERPRINT_START;
	for (int64_t item = 0; of->offered && item < of->catalog->n_items; item++)
		if (of->offered[item])
			print = fingerprint(print, &item, sizeof item);
	return print;
}

static int64_t count_offered(const struct ranking_of *of)
{
	int64_t n = 0;
	for (int64_t item = 0; item < of->catalog->n_items; item++)
		n += of->offered[item];
	return n;
}

/* The same for all shards of a ranking. */
static uint64_t ranking_id(const struct ranking_of *of)
{
	char *text = xasprintf("%s %s %s %s %s %d", of->catalog->fingerprint, of->sequences->group.id, of->model_id,
		part_names[of->part], of->seen_removed ? "remove" : "keep", of->k);
	uint64_t id = fingerprint(offered_items(of), text, strlen(text));
	free(text);
	return id;
}

void ranking_begin(struct bag_out *out, const struct ranking_of *of, int shard, int shards)
{
	const char *const protocols[] =
		{[HOLDOUT_LAST] = "leave-one-out", [HOLDOUT_TIME] = "global time split", [HOLDOUT_NONE] = "nothing held out"};
	enum holdout holdout = of->sequences->holdout;
	json_t *meta = json_build("{s:s, s:s, s:s, s:s, s:I, s:i, s:s, s:s, s:s}", "catalog", of->catalog->fingerprint,
		"sequences", of->sequences->group.id, "model", of->model, "model_id", of->model_id, "n_items",
		(json_int_t)of->catalog->n_items, "k", of->k, "split", part_names[of->part], "seen",
		of->seen_removed ? "remove" : "keep", "protocol", protocols[holdout]);
	if (holdout == HOLDOUT_TIME)
		json_set(meta, "split_time", json_integer(of->sequences->split_time));
	if (of->offered) {
		char items[17];
		fingerprint_text(offered_items(of), items);
		json_set(meta, "offered", json_integer(count_offered(of)));
		json_set(meta, "offered_items", json_string(items));
	}
	bag_begin(out, &ranking_group, ranking_id(of), shard, shards, meta);
}

void ranking_add(struct bag_out *out, const struct ranking_rows *rows)
{
	struct column with_width[N_COLUMNS];
	memcpy(with_width, columns, sizeof columns);
	with_width[TOP_ITEM].width = with_width[TOP_SCORE].width = rows->k;
	bag_add_rows(out, rows->rows, with_width,
		(const void *[]){rows->user_id, rows->target, rows->greater, rows->equal, rows->top_item, rows->top_score},
		N_COLUMNS);
}
