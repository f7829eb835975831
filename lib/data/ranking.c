#include "data/ranking.h"

#include <stdlib.h>
#include <string.h>

static void take_meta(struct ranking *ranking, const struct piece *piece)
{
	const char *catalog = json_get_string(piece->json, "catalog", piece->where);
	const char *split = json_get_string(piece->json, "split", piece->where);
	const char *seen = json_get_string(piece->json, "seen", piece->where);
	ranking_free(ranking);
	if (strlen(catalog) != 16)
		die("%s: \"catalog\" is \"%s\", 16 hexadecimal digits were expected", piece->where, catalog);
	if (strcmp(split, "test") && strcmp(split, "valid"))
		die("%s: \"split\" is \"%s\", \"valid\" or \"test\" was expected", piece->where, split);
	if (strcmp(seen, "remove") && strcmp(seen, "keep"))
		die("%s: \"seen\" is \"%s\", \"keep\" or \"remove\" was expected", piece->where, seen);
	memcpy(ranking->catalog, catalog, 17);
	ranking->part = strcmp(split, "test") ? PART_VALID : PART_TEST;
	ranking->seen_removed = !strcmp(seen, "remove");
	ranking->n_items = json_get_int(piece->json, "n_items", 0, INT32_MAX, piece->where);
	ranking->meta = json_incref(piece->json);
}

/* A field of one number a row, behind those there are. */
static int32_t *take_numbers(const struct ranking *ranking, int32_t *numbers, const struct piece *piece,
	const char *name)
{
	int64_t rows = piece->chunk->rows, count;
	int32_t *more = piece_array(piece, name, I4, &count);
	if (count != rows)
		die("%s: %s: %lld entries, %lld were expected", piece->where, name, (long long)count, (long long)rows);
	numbers = xreallocarray(numbers, (size_t)(ranking->n_users + rows), sizeof *numbers);
	if (rows)
		memcpy(numbers + ranking->n_users, more, (size_t)rows * sizeof *numbers);
	free(more);
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
		die("%s: row %lld: %lld items above and %lld beside the target, of %lld items in all", where, (long long)row,
			(long long)greater, (long long)equal, (long long)ranking->n_items);
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

static void take_lists(struct ranking *ranking, const struct piece *piece)
{
	const struct field *field = chunk_field(piece->chunk, "top_item");
	if (!field)
		return;
	if (field->is_text || field->tensor.n_dims != 2)
		die("%s: top_item: two axes, users and places, were expected", piece->where);
	int64_t width = field->tensor.shape[1], count;
	int32_t *item = piece_array(piece, "top_item", I4, &count);
	if (!ranking->best_place) {
		ranking->list_length = width;
		ranking->best_place = xcalloc((size_t)ranking->n_items, sizeof *ranking->best_place);
	}
	if (width != ranking->list_length)
		die("%s: top_item: %lld places, the chunks before had %lld", piece->where, (long long)width,
			(long long)ranking->list_length);
	const int32_t *next = item;
	for (int64_t row = 0; row < piece->chunk->rows; row++)
		for (int64_t place = 1; place <= width; place++, next++)
			note_place(ranking, *next, place, row, piece->where);
	free(item);
}

static void take_chunk(struct ranking *ranking, const struct piece *piece)
{
	size_t size;
	int64_t rows = piece->chunk->rows;
	strings_add_all(&ranking->user_id, piece_text(piece, "user_id", &size), rows);
	ranking->target = take_numbers(ranking, ranking->target, piece, "target");
	ranking->greater = take_numbers(ranking, ranking->greater, piece, "greater");
	ranking->equal = take_numbers(ranking, ranking->equal, piece, "equal");
	for (int64_t row = 0; row < rows; row++)
		check_row(ranking, ranking->n_users + row, piece->where);
	take_lists(ranking, piece);
	ranking->n_users += rows;
}

bool ranking_take(struct ranking *ranking, const struct piece *piece)
{
	if (strcmp(piece->group, "ranking"))
		return false;
	if (piece->kind == PIECE_META && !piece->continues)
		take_meta(ranking, piece);
	else if (piece->kind == PIECE_CHUNK)
		take_chunk(ranking, piece);
	else if (piece->kind == PIECE_END)
		ranking->complete = true;
	return true;
}

void ranking_check(struct ranking *ranking, const struct catalog *catalog, const char *run)
{
	if (!ranking->complete)
		die("%s: no ranking in the stream; seq-rank writes one", run);
	if (!ranking->n_users)
		die("%s: the ranking has no users", run);
	if (catalog->complete) {
		catalog_require(catalog, ranking->catalog, "ranking");
		if (catalog->n_items != ranking->n_items)
			die("%s: ranking of %lld items, the catalog has %lld", run, (long long)ranking->n_items,
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
	json_decref(ranking->meta);
	strings_free(&ranking->user_id);
	free(ranking->target);
	free(ranking->greater);
	free(ranking->equal);
	free(ranking->best_place);
	*ranking = (struct ranking){0};
}
