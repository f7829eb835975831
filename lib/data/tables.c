#include "data/tables.h"

#include <stdlib.h>
#include <string.h>

/* Appends a chunk's array to a growing one. */
static void *append(void *array, int64_t have, void *more, int64_t count, size_t size)
{
	array = xreallocarray(array, (size_t)(have + count), size);
	if (count)
		memcpy((char *)array + (size_t)have * size, more, (size_t)count * size);
	free(more);
	return array;
}

/* A chunk's row ends, moved behind the rows there are. indptr has rows + 1 entries. */
static int64_t *append_indptr(int64_t *indptr, int64_t rows, int64_t *more, int64_t count)
{
	int64_t base = rows ? indptr[rows] : 0;
	indptr = xreallocarray(indptr, (size_t)(rows + count), sizeof *indptr);
	for (int64_t i = 0; i < count; i++)
		indptr[rows + i] = more[i] + base;
	free(more);
	return indptr;
}

static void copy_text(char target[17], const json_t *meta, const char *key, const char *where)
{
	const char *text = json_get_string(meta, key, where);
	if (strlen(text) != 16)
		die("%s: \"%s\" is \"%s\", 16 hexadecimal digits were expected", where, key, text);
	memcpy(target, text, 17);
}

static void check_length(const struct piece *piece, const char *name, int64_t length, int64_t expected)
{
	if (length != expected)
		die("%s: %s: %lld entries, %lld were expected", piece->where, name, (long long)length, (long long)expected);
}

/* The ragged field's chunk, as long as the chunk's indptr says. */
static void *take_ragged(const struct piece *piece, const char *name, enum dtype dtype, int64_t expected)
{
	int64_t length;
	void *values = piece_array(piece, name, dtype, &length);
	check_length(piece, name, length, expected);
	return values;
}

/* --- catalog --- */

static void catalog_take_chunk(struct catalog *catalog, const struct piece *piece)
{
	size_t size;
	const char *ids = piece_text(piece, "item_id", &size);
	int64_t rows = piece->chunk->rows, have = catalog->n_items, entries;
	strings_add_all(&catalog->item_id, ids, rows);
	catalog->n_items += rows;
	if (!chunk_field(piece->chunk, "indptr"))
		return;
	int64_t *indptr = piece_array(piece, "indptr", I8, &entries), tokens = indptr[rows], held = catalog->n_tokens;
	catalog->input_ids = append(catalog->input_ids, held, take_ragged(piece, "input_ids", I4, tokens), tokens, 4);
	catalog->token_type_ids = append(catalog->token_type_ids, held, take_ragged(piece, "token_type_ids", U1, tokens),
		tokens, 1);
	catalog->attribute = append(catalog->attribute, held, take_ragged(piece, "attribute", U1, tokens), tokens, 1);
	catalog->indptr = append_indptr(catalog->indptr, have, indptr, entries);
	catalog->n_tokens += tokens;
}

static void catalog_finish(struct catalog *catalog, const char *where)
{
	uint64_t hash = fingerprint(FINGERPRINT_START, catalog->item_id.text.data, catalog->item_id.text.size);
	char text[17];
	fingerprint_text(hash, text);
	if (strcmp(text, catalog->fingerprint))
		die("%s: the item ids have fingerprint %s, catalog/meta.json says %s", where, text, catalog->fingerprint);
	catalog->complete = true;
}

bool catalog_take(struct catalog *catalog, const struct piece *piece)
{
	if (strcmp(piece->group, "catalog"))
		return false;
	switch (piece->kind) {
	case PIECE_META:
		if (!piece->continues) {
			catalog_free(catalog);
			copy_text(catalog->fingerprint, piece->json, "fingerprint", piece->where);
			catalog->meta = json_incref(piece->json);
		}
		break;
	case PIECE_CHUNK: catalog_take_chunk(catalog, piece); break;
	case PIECE_END: catalog_finish(catalog, piece->where); break;
	case PIECE_MEMBER: break;
	}
	return true;
}

void catalog_require(const struct catalog *catalog, const char *fingerprint, const char *what)
{
	if (strcmp(catalog->fingerprint, fingerprint))
		die("%s: belongs to the catalog %s, the stream's catalog is %s", what, fingerprint, catalog->fingerprint);
}

void catalog_free(struct catalog *catalog)
{
	strings_free(&catalog->item_id);
	free(catalog->indptr);
	free(catalog->input_ids);
	free(catalog->token_type_ids);
	free(catalog->attribute);
	json_decref(catalog->meta);
	*catalog = (struct catalog){0};
}

/* --- sequences --- */

static void sequences_take_chunk(struct sequences *sequences, const struct piece *piece)
{
	size_t size;
	const char *ids = piece_text(piece, "user_id", &size);
	int64_t rows = piece->chunk->rows, have = sequences->n_users, held = sequences->n_events, entries;
	strings_add_all(&sequences->user_id, ids, rows);
	int64_t *indptr = piece_array(piece, "indptr", I8, &entries);
	check_length(piece, "indptr", entries, rows + 1);
	int64_t events = indptr[rows];
	sequences->item = append(sequences->item, held, take_ragged(piece, "item", I4, events), events, 4);
	if (chunk_field(piece->chunk, "timestamp"))
		sequences->timestamp = append(sequences->timestamp, held, take_ragged(piece, "timestamp", I8, events), events,
			8);
	sequences->indptr = append_indptr(sequences->indptr, have, indptr, entries);
	sequences->n_users += rows;
	sequences->n_events += events;
}

bool sequences_take(struct sequences *sequences, const struct piece *piece)
{
	if (strcmp(piece->group, "sequences"))
		return false;
	switch (piece->kind) {
	case PIECE_META:
		if (!piece->continues) {
			sequences_free(sequences);
			copy_text(sequences->catalog, piece->json, "catalog", piece->where);
			copy_text(sequences->id, piece->json, "id", piece->where);
			sequences->meta = json_incref(piece->json);
			sequences->split_time = INT64_MIN;
			if (json_object_get(piece->json, "split_time"))
				sequences->split_time = json_get_int(piece->json, "split_time", INT64_MIN, INT64_MAX, piece->where);
		}
		break;
	case PIECE_CHUNK: sequences_take_chunk(sequences, piece); break;
	case PIECE_END:
		if (!sequences->indptr)
			sequences->indptr = xcalloc(1, sizeof *sequences->indptr);
		if (sequences->split_time != INT64_MIN && sequences->n_events && !sequences->timestamp)
			die("%s: split by time, but without timestamps", piece->where);
		sequences->complete = true;
		break;
	case PIECE_MEMBER: break;
	}
	return true;
}

void sequences_check(const struct sequences *sequences, const struct catalog *catalog)
{
	if (!catalog->complete)
		die("no catalog in the stream; seq-tokenize writes one");
	if (!sequences->complete)
		die("no sequences in the stream; seq-tokenize writes them");
	catalog_require(catalog, sequences->catalog, "sequences");
	for (int64_t user = 0; user < sequences->n_users; user++)
		for (int64_t i = sequences->indptr[user]; i < sequences->indptr[user + 1]; i++)
			if (sequences->item[i] < 0 || sequences->item[i] >= catalog->n_items)
				die("sequences: row %lld (user %s): item %d, a row of the catalog below %lld was expected",
					(long long)user, strings_at(&sequences->user_id, user), sequences->item[i],
					(long long)catalog->n_items);
}

void sequences_free(struct sequences *sequences)
{
	strings_free(&sequences->user_id);
	free(sequences->indptr);
	free(sequences->item);
	free(sequences->timestamp);
	json_decref(sequences->meta);
	*sequences = (struct sequences){0};
}

/* --- embedding --- */

static void embedding_take_chunk(struct embedding *embedding, const struct piece *piece)
{
	int64_t rows = piece->chunk->rows, have = embedding->rows * embedding->width, entries;
	float *vector = piece_array(piece, "vector", F4, &entries);
	const struct tensor *tensor = &chunk_field(piece->chunk, "vector")->tensor;
	char text[128];
	if (tensor->n_dims != 2 || tensor->shape[0] != rows || tensor->shape[1] != embedding->width)
		die("%s: vector: %s, (%lld, %lld) was expected", piece->where, tensor_describe(tensor, text), (long long)rows,
			(long long)embedding->width);
	embedding->vector = append(embedding->vector, have, vector, entries, sizeof *vector);
	embedding->rows += rows;
}

bool embedding_take(struct embedding *embedding, const struct piece *piece)
{
	if (strcmp(piece->group, "embedding"))
		return false;
	switch (piece->kind) {
	case PIECE_META:
		if (!piece->continues) {
			embedding_free(embedding);
			copy_text(embedding->catalog, piece->json, "catalog", piece->where);
			copy_text(embedding->id, piece->json, "id", piece->where);
			embedding->width = json_get_int(piece->json, "width", 1, INT32_MAX, piece->where);
			embedding->meta = json_incref(piece->json);
		}
		break;
	case PIECE_CHUNK: embedding_take_chunk(embedding, piece); break;
	case PIECE_END: embedding->complete = true; break;
	case PIECE_MEMBER: break;
	}
	return true;
}

void embedding_check(const struct embedding *embedding, const struct catalog *catalog)
{
	if (!catalog->complete)
		die("no catalog in the stream; seq-tokenize writes one");
	if (!embedding->complete)
		die("no embedding in the stream; item-project writes one");
	catalog_require(catalog, embedding->catalog, "embedding");
	if (embedding->rows != catalog->n_items)
		die("embedding: %lld vectors, the catalog has %lld items", (long long)embedding->rows,
			(long long)catalog->n_items);
}

void embedding_free(struct embedding *embedding)
{
	free(embedding->vector);
	json_decref(embedding->meta);
	*embedding = (struct embedding){0};
}

/* --- the split --- */

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
	if (sequences->split_time == INT64_MIN) {
		int64_t length = length_of(sequences, user);
		return length < 3 ? length : length - 2;
	}
	int64_t before = events_before(sequences, user);
	return before < 2 ? before : before - 1;
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
	if (sequences->split_time == INT64_MIN)
		return length < 3 || part == PART_TRAIN ? -1 : part == PART_VALID ? length - 2 : length - 1;
	int64_t before = events_before(sequences, user);
	if (part == PART_VALID)
		return before < 2 ? -1 : before - 1;
	return part == PART_TEST && before >= 1 && before < length ? before : -1;
}
