#include "stream/bag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_GROUPS 64
#define MAX_SHARDS 1000000
#define JSON_LIMIT (64u << 20)

/* --- groups: which part of each has been seen --- */

struct group {
	char *name, *id;
	bool wanted, dropped;
	bool open;                           /* between its meta.json and its end.json */
	bool skipped;                        /* this shard was complete before: what comes is a copy */
	int shard, shards;                   /* the one being read, 1-based */
	bool *complete;                      /* by shard */
	int64_t first_chunk, n_chunks, rows; /* of this shard */
	char *fields;                        /* names and types of the first chunk's fields: all chunks agree */
};

struct bag {
	struct frame_in *in;
	struct bag_out *out;
	struct group groups[MAX_GROUPS];
	int n_groups;
	const char *pending; /* a member whose header was read and whose data were not */
	uint64_t pending_size;
	uint64_t *logs; /* fingerprints of the history so far */
	int n_logs;
	/* of the current piece */
	struct chunk chunk;
	char *buffers[BAG_MAX_FIELDS];
	char *bytes, *where, *member;
	json_t *json;
};

struct bag *bag_open_paths(const struct cli *cli, char *const *paths)
{
	(void)cli;
	struct bag *bag = xcalloc(1, sizeof *bag);
	bag->in = frame_open_paths(paths);
	return bag;
}

struct bag *bag_open(const struct cli *cli)
{
	return bag_open_paths(cli, cli->inputs);
}

static struct group *find_group(const struct bag *bag, const char *name, size_t length)
{
	for (int i = 0; i < bag->n_groups; i++)
		if (!strncmp(bag->groups[i].name, name, length) && !bag->groups[i].name[length])
			return (struct group *)(uintptr_t)&bag->groups[i];
	return NULL;
}

static struct group *add_group(struct bag *bag, const char *name, size_t length)
{
	struct group *group = find_group(bag, name, length);
	if (group)
		return group;
	if (bag->n_groups == MAX_GROUPS)
		die("%s: more than %d groups in a stream", frame_where(bag->in), MAX_GROUPS);
	group = &bag->groups[bag->n_groups++];
	group->name = xstrndup(name, length);
	return group;
}

void bag_want(struct bag *bag, const char *group)
{
	add_group(bag, group, strlen(group))->wanted = true;
}

void bag_drop(struct bag *bag, const char *group)
{
	add_group(bag, group, strlen(group))->dropped = true;
}

const char *bag_group_id(const struct bag *bag, const char *group)
{
	const struct group *found = find_group(bag, group, strlen(group));
	return found ? found->id : NULL;
}

bool piece_is(const struct piece *piece, enum piece_kind kind, const char *group)
{
	return piece->kind == kind && !strcmp(piece->group, group);
}

/* --- reading members, with a copy to the output --- */

static struct frame_out *bag_out_frame(struct bag_out *out);
static void count_log(struct bag_out *out, const char *member);

static bool is_passed(const struct bag *bag, const struct group *group)
{
	return bag->out && !(group && (group->dropped || group->skipped));
}

/* As frame_read(), with the data 64-byte aligned (and so those behind a 128-byte .npy header) and a NUL behind. */
static char *read_member(struct bag *bag, const struct group *group)
{
	size_t size = (size_t)bag->pending_size;
	char *data = aligned_alloc(64, (size + 64) / 64 * 64);
	if (!data)
		die("%s: out of memory: %zu bytes were asked for", frame_where(bag->in), size);
	frame_read(bag->in, data, size);
	data[size] = '\0';
	if (is_passed(bag, group))
		frame_member(bag_out_frame(bag->out), bag->pending, data, size);
	return data;
}

/* Copies a member through, or skips it, without holding it. */
static void pass_member(struct bag *bag, const struct group *group)
{
	if (!is_passed(bag, group))
		return;
	char block[1 << 16];
	frame_begin(bag_out_frame(bag->out), bag->pending, bag->pending_size);
	for (uint64_t left = bag->pending_size; left;) {
		size_t part = left < sizeof block ? (size_t)left : sizeof block;
		frame_read(bag->in, block, part);
		frame_write(bag_out_frame(bag->out), block, part);
		left -= part;
	}
}

/* History is passed on once: two joined streams often share their beginnings. */
static void pass_log(struct bag *bag)
{
	size_t size;
	char *text = frame_read_all(bag->in, JSON_LIMIT, &size);
	uint64_t hash = fingerprint(FINGERPRINT_START, bag->pending, strlen(bag->pending));
	hash = fingerprint(hash, text, size);
	bool known = false;
	for (int i = 0; i < bag->n_logs; i++)
		known |= bag->logs[i] == hash;
	if (!known) {
		bag->logs = xreallocarray(bag->logs, (size_t)bag->n_logs + 1, sizeof *bag->logs);
		bag->logs[bag->n_logs++] = hash;
		if (bag->out) {
			frame_member(bag_out_frame(bag->out), bag->pending, text, size);
			count_log(bag->out, bag->pending);
		}
	}
	free(text);
}

/* --- meta.json and end.json --- */

static void read_shard(const json_t *json, const char *where, int *shard, int *shards)
{
	*shard = *shards = 1;
	json_t *pair = json_object_get(json, "shard");
	if (!pair)
		return;
	json_int_t i = json_integer_value(json_array_get(pair, 0)), n = json_integer_value(json_array_get(pair, 1));
	if (json_array_size(pair) != 2 || n < 1 || n > MAX_SHARDS || i < 1 || i > n)
		die("%s: \"shard\" is not [i, n] with 1 <= i <= n <= %d", where, MAX_SHARDS);
	*shard = (int)i;
	*shards = (int)n;
}

static void begin_group(struct bag *bag, struct group *group, const json_t *json, bool *continues)
{
	const char *where = frame_where(bag->in), *id = json_get_string(json, "id", where);
	int shard, shards;
	read_shard(json, where, &shard, &shards);
	if (group->open)
		die("%s: a group starts before %s/end.json closed the one before", where, group->name);
	*continues = group->id && !strcmp(group->id, id) && group->shards == shards;
	if (!*continues) {
		free(group->id);
		free(group->complete);
		free(group->fields);
		group->id = xstrdup(id);
		group->complete = xcalloc((size_t)shards, sizeof *group->complete);
		group->fields = NULL;
	}
	group->open = true;
	group->shard = shard;
	group->shards = shards;
	group->skipped = group->complete[shard - 1];
	group->first_chunk = (int64_t)(shard - 1) * (MAX_SHARDS / shards);
	group->n_chunks = group->rows = 0;
}

static void check_count(const json_t *json, const char *key, int64_t seen, const char *where)
{
	if (json_object_get(json, key) && json_get_int(json, key, 0, INT64_MAX, where) != seen)
		die("%s: %lld %s were announced, %lld came", where, (long long)json_get_int(json, key, 0, INT64_MAX, where),
			key, (long long)seen);
}

static void end_group(struct bag *bag, struct group *group, const json_t *json)
{
	const char *where = frame_where(bag->in);
	int shard, shards;
	read_shard(json, where, &shard, &shards);
	if (shard != group->shard || shards != group->shards)
		die("%s: ends shard %d of %d, shard %d of %d had begun", where, shard, shards, group->shard, group->shards);
	if (group->wanted && !group->skipped) {
		check_count(json, "chunks", group->n_chunks, where);
		check_count(json, "rows", group->rows, where);
	}
	group->complete[shard - 1] = true;
	group->open = group->skipped = false;
}

static void check_groups(const struct bag *bag)
{
	for (int i = 0; i < bag->n_groups; i++) {
		const struct group *group = &bag->groups[i];
		if (group->open)
			die("%s: truncated stream, %s/end.json was expected", frame_where(bag->in), group->name);
		for (int shard = 0; group->wanted && group->id && shard < group->shards; shard++)
			if (!group->complete[shard])
				die("%s: shard %d of %d is missing", group->name, shard + 1, group->shards);
	}
}

/* --- chunks --- */

/* "NNNNNN.field.npy" or "NNNNNN.field.txt" taken apart; false for any other member name. */
static bool parse_chunk_name(const char *name, int64_t *number, char field[64], bool *is_text)
{
	size_t length = strlen(name);
	if (strspn(name, "0123456789") != 6 || name[6] != '.' || length < 12 || length - 11 > 63)
		return false;
	*is_text = !strcmp(name + length - 4, ".txt");
	if (!*is_text && strcmp(name + length - 4, ".npy"))
		return false;
	*number = atoi(name);
	snprintf(field, 64, "%.*s", (int)(length - 11), name + 7);
	return true;
}

static void free_chunk(struct bag *bag)
{
	for (int i = 0; i < bag->chunk.n_fields; i++)
		free(bag->buffers[i]);
	bag->chunk = (struct chunk){0};
}

/* Lines become NUL-terminated strings. */
static int64_t split_lines(char *text, size_t size, const char *where)
{
	if (memchr(text, 0, size))
		die("%s: a NUL byte, lines of text were expected", where);
	if (size && text[size - 1] != '\n')
		die("%s: the last line has no end", where);
	int64_t lines = 0;
	for (char *end = text; (end = memchr(end, '\n', (size_t)(text + size - end))); lines++)
		*end++ = '\0';
	return lines;
}

static void read_field(struct bag *bag, struct group *group, const char *name, bool is_text)
{
	struct chunk *chunk = &bag->chunk;
	const char *where = frame_where(bag->in);
	if (chunk->n_fields == BAG_MAX_FIELDS)
		die("%s: more than %d fields in a chunk", where, BAG_MAX_FIELDS);
	if (chunk_field(chunk, name))
		die("%s: the field comes twice", where);
	size_t size = (size_t)bag->pending_size;
	char *data = read_member(bag, group);
	struct field *field = &chunk->fields[chunk->n_fields];
	*field = (struct field){.is_text = is_text};
	snprintf(field->name, sizeof field->name, "%s", name);
	bag->buffers[chunk->n_fields++] = data;
	if (is_text) {
		field->text = data;
		field->text_size = size;
		field->tensor.n_dims = 1;
		field->tensor.shape[0] = split_lines(data, size, where);
		return;
	}
	npy_parse(data, size, &field->tensor, where);
	if (field->tensor.n_dims == 0)
		die("%s: a scalar, rows were expected", where);
	size_t offset = (size_t)((char *)field->tensor.data - data);
	if (offset % 64) {
		/* another writer's header: move the data to where they are aligned */
		size_t aligned = (offset + 63) / 64 * 64;
		char *moved = aligned_alloc(64, (size - offset + aligned + 64) / 64 * 64);
		if (!moved)
			die("%s: out of memory", where);
		memcpy(moved + aligned, data + offset, size - offset);
		free(data);
		bag->buffers[chunk->n_fields - 1] = moved;
		field->tensor.data = moved + aligned;
	}
}

const struct field *chunk_field(const struct chunk *chunk, const char *name)
{
	for (int i = 0; i < chunk->n_fields; i++)
		if (!strcmp(chunk->fields[i].name, name))
			return &chunk->fields[i];
	return NULL;
}

/* The ragged axis starts at 0, never falls, and its end is the length of the ragged fields. */
static int64_t check_indptr(const struct field *indptr, const char *where)
{
	if (indptr->is_text || indptr->tensor.n_dims != 1 || indptr->tensor.dtype != I8 || indptr->tensor.shape[0] < 1)
		die("%s: indptr: one axis of <i8 with rows + 1 entries was expected", where);
	const int64_t *at = indptr->tensor.data;
	int64_t rows = indptr->tensor.shape[0] - 1;
	if (at[0])
		die("%s: indptr: starts at %lld, 0 was expected", where, (long long)at[0]);
	for (int64_t row = 0; row < rows; row++)
		if (at[row + 1] < at[row])
			die("%s: indptr, row %lld: falls from %lld to %lld", where, (long long)row, (long long)at[row],
				(long long)at[row + 1]);
	return at[rows];
}

static void check_rows(struct chunk *chunk, const char *where)
{
	const struct field *indptr = chunk_field(chunk, "indptr");
	int64_t ragged = indptr ? check_indptr(indptr, where) : -1;
	chunk->rows = indptr ? indptr->tensor.shape[0] - 1 : chunk->fields[0].tensor.shape[0];
	for (int i = 0; i < chunk->n_fields; i++) {
		const struct field *field = &chunk->fields[i];
		int64_t length = field->tensor.shape[0];
		if (field != indptr && length != chunk->rows && length != ragged)
			die("%s: %s has %lld rows, %lld%s were expected", where, field->name, (long long)length,
				(long long)chunk->rows, indptr ? " (or as indptr says)" : "");
	}
}

/* All chunks of a table have the same fields, types and widths. */
static void check_fields(struct group *group, const struct chunk *chunk, const char *where)
{
	struct buffer list = {0};
	for (int i = 0; i < chunk->n_fields; i++) {
		const struct field *field = &chunk->fields[i];
		char text[128];
		struct tensor row = field->tensor;
		row.shape[0] = 0;
		char *entry = xasprintf("%s%s %s", i ? ", " : "", field->name,
			field->is_text ? "text" : tensor_describe(&row, text));
		buffer_append(&list, entry, strlen(entry));
		free(entry);
	}
	buffer_append(&list, "", 1);
	if (group->fields && strcmp(group->fields, list.data))
		die("%s: fields %s; the chunks before had %s", where, list.data, group->fields);
	if (group->fields)
		buffer_free(&list);
	else
		group->fields = list.data;
}

static void finish_chunk(struct bag *bag, struct group *group)
{
	struct chunk *chunk = &bag->chunk;
	check_rows(chunk, bag->where);
	check_fields(group, chunk, bag->where);
	if (chunk->number != group->first_chunk + group->n_chunks)
		die("%s: chunk %06lld came where %06lld was expected", bag->where, (long long)chunk->number,
			(long long)(group->first_chunk + group->n_chunks));
	group->n_chunks++;
	group->rows += chunk->rows;
}

/* --- the loop --- */

static void forget_piece(struct bag *bag)
{
	free_chunk(bag);
	free(bag->bytes);
	free(bag->member);
	json_decref(bag->json);
	bag->bytes = bag->member = NULL;
	bag->json = NULL;
}

static void set_where(struct bag *bag)
{
	free(bag->where);
	bag->where = xstrdup(frame_where(bag->in));
}

static void take_json(struct bag *bag, const struct group *group)
{
	size_t size = (size_t)bag->pending_size;
	if (bag->pending_size > JSON_LIMIT)
		die("%s: %llu bytes of JSON", frame_where(bag->in), (unsigned long long)bag->pending_size);
	bag->bytes = read_member(bag, group);
	bag->json = json_parse(bag->bytes, size, frame_where(bag->in));
	if (!json_is_object(bag->json))
		die("%s: not a JSON object", frame_where(bag->in));
}

/* meta.json: the copy to the output has to wait until it is known whether this shard is a repetition. */
static bool take_meta(struct bag *bag, struct group *group, struct piece *piece)
{
	struct bag_out *out = bag->out;
	bag->out = NULL;
	take_json(bag, group);
	bag->out = out;
	begin_group(bag, group, bag->json, &piece->continues);
	if (is_passed(bag, group))
		frame_member(bag_out_frame(out), bag->pending, bag->bytes, (size_t)bag->pending_size);
	piece->kind = PIECE_META;
	return group->wanted && !group->skipped;
}

static bool take_end(struct bag *bag, struct group *group, struct piece *piece)
{
	bool delivered = group->wanted && !group->skipped;
	take_json(bag, group);
	end_group(bag, group, bag->json);
	piece->kind = PIECE_END;
	return delivered;
}

/* Takes the pending member; true if that makes a piece. */
static bool take_member(struct bag *bag, struct piece *piece)
{
	const char *slash = strchr(bag->pending, '/');
	size_t length = slash ? (size_t)(slash - bag->pending) : 0;
	if (length == 3 && !strncmp(bag->pending, "log", 3)) {
		pass_log(bag);
		return false;
	}
	const char *name = slash ? slash + 1 : bag->pending;
	bool is_meta = slash && !strcmp(name, "meta.json");
	struct group *group = !slash ? NULL :
		is_meta                  ? add_group(bag, bag->pending, length) :
								   find_group(bag, bag->pending, length);
	if (group)
		*piece = (struct piece){.group = group->name};
	set_where(bag);
	piece->where = bag->where;
	if (is_meta) {
		piece->json = NULL;
		bool made = take_meta(bag, group, piece);
		piece->json = bag->json;
		return made;
	}
	if (group && group->wanted && !group->open)
		die("%s: comes before %s/meta.json", bag->where, group->name);
	if (group && group->open && !strcmp(name, "end.json")) {
		bool made = take_end(bag, group, piece);
		piece->json = bag->json;
		return made;
	}
	if (!group || !group->wanted || group->skipped) {
		pass_member(bag, group);
		return false;
	}
	int64_t number;
	char field[64];
	bool is_text;
	if (parse_chunk_name(name, &number, field, &is_text)) {
		bag->chunk.number = number;
		read_field(bag, group, field, is_text);
		return false; /* its chunk is a piece once another member follows */
	}
	piece->kind = PIECE_MEMBER;
	piece->size = (size_t)bag->pending_size;
	bag->member = xstrdup(name);
	piece->name = bag->member;
	piece->bytes = bag->bytes = read_member(bag, group);
	return true;
}

/* Whether the pending member is one more field of the chunk being read. */
static bool continues_chunk(const struct bag *bag, const struct group *group)
{
	size_t length = strlen(group->name);
	int64_t number;
	char field[64];
	bool is_text;
	return bag->pending && !strncmp(bag->pending, group->name, length) && bag->pending[length] == '/' &&
		parse_chunk_name(bag->pending + length + 1, &number, field, &is_text) && number == bag->chunk.number;
}

bool bag_next(struct bag *bag, struct piece *piece)
{
	forget_piece(bag);
	struct group *chunk_group = NULL;
	for (;;) {
		if (!bag->pending)
			bag->pending = frame_next(bag->in, &bag->pending_size);
		if (chunk_group && !continues_chunk(bag, chunk_group)) {
			finish_chunk(bag, chunk_group);
			*piece = (struct piece){.kind = PIECE_CHUNK,
				.group = chunk_group->name,
				.chunk = &bag->chunk,
				.where = bag->where};
			return true;
		}
		if (!bag->pending) {
			check_groups(bag);
			return false;
		}
		bool made = take_member(bag, piece);
		chunk_group = bag->chunk.n_fields ? find_group(bag, piece->group, strlen(piece->group)) : NULL;
		bag->pending = NULL;
		if (made)
			return true;
		if (!bag->chunk.n_fields)
			forget_piece(bag);
	}
}

void bag_close(struct bag *bag)
{
	forget_piece(bag);
	for (int i = 0; i < bag->n_groups; i++) {
		free(bag->groups[i].name);
		free(bag->groups[i].id);
		free(bag->groups[i].complete);
		free(bag->groups[i].fields);
	}
	frame_free(bag->in);
	free(bag->logs);
	free(bag->where);
	free(bag);
}

static const struct field *required(const struct piece *piece, const char *name, bool is_text)
{
	const struct field *field = chunk_field(piece->chunk, name);
	if (!field)
		die("%s: the chunk has no field \"%s\"", piece->where, name);
	if (field->is_text != is_text)
		die("%s: %s: %s was expected", piece->where, name, is_text ? "text" : "an array");
	return field;
}

void *piece_array(const struct piece *piece, const char *name, enum dtype dtype, int64_t *count)
{
	const struct field *field = required(piece, name, false);
	char *where = xasprintf("%s: %s", piece->where, name);
	void *values = tensor_as(&field->tensor, dtype, where);
	free(where);
	*count = tensor_count(&field->tensor);
	return values;
}

const char *piece_text(const struct piece *piece, const char *name, size_t *size)
{
	const struct field *field = required(piece, name, true);
	*size = field->text_size;
	return field->text;
}

/* --- writing --- */

struct bag_out {
	struct frame_out *frame;
	int next_log;
	bool history;
	char *group;
	int shard, shards;
	int64_t first_chunk, n_chunks, rows, chunk_rows;
	int n_columns;
	struct column columns[BAG_MAX_FIELDS]; /* as first given; their data are not kept */
	struct buffer data[BAG_MAX_FIELDS];
};

static struct frame_out *bag_out_frame(struct bag_out *out)
{
	return out->frame;
}

/* The tool's own record is numbered after the last it passed on. */
static void count_log(struct bag_out *out, const char *member)
{
	int number = atoi(member + strlen("log/"));
	if (number >= out->next_log && number < 1000000)
		out->next_log = number + 1;
}

struct bag_out *bag_create(const struct cli *cli)
{
	struct bag_out *out = xcalloc(1, sizeof *out);
	out->frame = frame_create(cli);
	out->history = cli->history;
	return out;
}

void bag_pass_to(struct bag *bag, struct bag_out *out)
{
	bag->out = out;
}

static char *member_name(const struct bag_out *out, const char *name)
{
	return xasprintf("%s/%s", out->group, name);
}

void bag_add_bytes(struct bag_out *out, const char *name, const void *data, size_t size)
{
	char *member = member_name(out, name);
	frame_member(out->frame, member, data, size);
	free(member);
}

void bag_add_json(struct bag_out *out, const char *name, const json_t *document)
{
	char *text = json_text(document);
	bag_add_bytes(out, name, text, strlen(text));
	free(text);
}

void bag_add_tensor(struct bag_out *out, const char *name, const struct tensor *tensor)
{
	char *member = member_name(out, name);
	char header[NPY_HEADER];
	npy_header(tensor, header);
	frame_begin(out->frame, member, sizeof header + tensor_bytes(tensor));
	frame_write(out->frame, header, sizeof header);
	frame_write(out->frame, tensor->data, tensor_bytes(tensor));
	free(member);
}

void bag_begin(struct bag_out *out, const char *group, uint64_t id, int shard, int shards, json_t *details)
{
	char text[17];
	fingerprint_text(id, text);
	json_t *meta = json_build("{s:s, s:s, s:[i, i]}", "group", group, "id", text, "shard", shard, shards);
	json_object_update(meta, details);
	out->group = xstrdup(group);
	out->shard = shard;
	out->shards = shards;
	out->first_chunk = (int64_t)(shard - 1) * (MAX_SHARDS / shards);
	out->n_chunks = out->rows = out->chunk_rows = 0;
	out->n_columns = 0;
	bag_add_json(out, "meta.json", meta);
	json_decref(meta);
	json_decref(details);
}

static int64_t row_bytes(const struct tensor *tensor)
{
	int64_t bytes = (int64_t)dtype_size(tensor->dtype);
	for (int dim = 1; dim < tensor->n_dims; dim++)
		bytes *= tensor->shape[dim];
	return bytes;
}

static void write_chunk(struct bag_out *out)
{
	if (!out->chunk_rows)
		return;
	if (out->n_chunks == MAX_SHARDS / out->shards)
		die("%s: more than %d chunks", out->group, MAX_SHARDS / out->shards);
	for (int i = 0; i < out->n_columns; i++) {
		const struct column *column = &out->columns[i];
		struct buffer *data = &out->data[i];
		char name[96];
		snprintf(name, sizeof name, "%06lld.%s.%s", (long long)(out->first_chunk + out->n_chunks), column->name,
			column->is_text ? "txt" : "npy");
		if (column->is_text) {
			bag_add_bytes(out, name, data->data, data->size);
		} else {
			struct tensor tensor = column->tensor;
			tensor.data = data->data;
			int64_t bytes = row_bytes(&tensor);
			tensor.shape[0] = bytes ? (int64_t)data->size / bytes : out->chunk_rows;
			bag_add_tensor(out, name, &tensor);
		}
		data->size = 0;
	}
	out->n_chunks++;
	out->chunk_rows = 0;
}

/* Rows [from, to) of a column are added to the chunk's buffer; text moves on behind them. */
static void add_column(struct bag_out *out, int i, struct column *column, const int64_t *indptr, int64_t from,
	int64_t to)
{
	struct buffer *data = &out->data[i];
	if (column->is_text) {
		const char *end = column->text;
		for (int64_t row = from; row < to; row++)
			end += strlen(end) + 1;
		size_t size = (size_t)(end - column->text);
		char *copy = buffer_add(data, size);
		memcpy(copy, column->text, size);
		if (memchr(copy, '\n', size))
			die("%s: %s: a line break inside a value", out->group, column->name);
		for (char *nul = copy; (nul = memchr(nul, 0, (size_t)(copy + size - nul)));)
			*nul = '\n';
		column->text = end;
		return;
	}
	if (!strcmp(column->name, "indptr")) {
		if (!data->size)
			buffer_append(data, &(int64_t){0}, sizeof(int64_t));
		int64_t base = *(int64_t *)(void *)(data->data + data->size - sizeof(int64_t)) - indptr[from];
		int64_t *ends = buffer_add(data, (size_t)(to - from) * sizeof *ends);
		for (int64_t row = from; row < to; row++)
			*ends++ = indptr[row + 1] + base;
		return;
	}
	int64_t first = column->is_ragged ? indptr[from] - indptr[0] : from;
	int64_t last = column->is_ragged ? indptr[to] - indptr[0] : to;
	int64_t bytes = row_bytes(&column->tensor);
	buffer_append(data, (const char *)column->tensor.data + first * bytes, (size_t)((last - first) * bytes));
}

static size_t chunk_bytes(const struct bag_out *out)
{
	size_t bytes = 0;
	for (int i = 0; i < out->n_columns; i++)
		bytes += out->data[i].size;
	return bytes;
}

void bag_add_rows(struct bag_out *out, int64_t rows, const struct column columns[], int n_columns)
{
	struct column current[BAG_MAX_FIELDS];
	const int64_t *indptr = NULL;
	out->n_columns = n_columns;
	for (int i = 0; i < n_columns; i++) {
		current[i] = out->columns[i] = columns[i];
		if (!strcmp(columns[i].name, "indptr"))
			indptr = columns[i].tensor.data;
	}
	const int64_t step = 128; /* rows between looks at the chunk's size */
	for (int64_t row = 0; row < rows; row += step) {
		int64_t end = row + step < rows ? row + step : rows;
		for (int i = 0; i < n_columns; i++)
			add_column(out, i, &current[i], indptr, row, end);
		out->rows += end - row;
		out->chunk_rows += end - row;
		if (chunk_bytes(out) >= CHUNK_BYTES)
			write_chunk(out);
	}
}

void bag_end(struct bag_out *out)
{
	write_chunk(out);
	json_t *end = json_build("{s:[i, i]}", "shard", out->shard, out->shards);
	if (out->n_columns) {
		json_set(end, "rows", json_integer(out->rows));
		json_set(end, "chunks", json_integer(out->n_chunks));
	}
	bag_add_json(out, "end.json", end);
	json_decref(end);
	free(out->group);
	out->group = NULL;
	for (int i = 0; i < BAG_MAX_FIELDS; i++)
		buffer_free(&out->data[i]);
}

void bag_finish(struct bag_out *out, json_t *history)
{
	if (out->history && history) {
		char name[MEMBER_NAME_MAX];
		snprintf(name, sizeof name, "log/%02d-%s.json", out->next_log, program_name);
		char *text = json_text(history);
		frame_member(out->frame, name, text, strlen(text));
		free(text);
	}
	json_decref(history);
	frame_close(out->frame);
	free(out);
}
