#include "stream/bag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream/frame.h"
#include "stream/progress.h"

#define MAX_GROUPS 64
#define JSON_LIMIT (64u << 20)

/* What is known of a group of the stream: what the tool does with it, and which part has been seen. */
struct seen {
	char *name, *id;
	const struct group_kind *kind; /* how it is read; NULL: it is not */
	struct group *group;           /* into what */
	void *(*another)(void *owner); /* gives that for each group of the kind; NULL: the last one counts */
	void *owner;
	json_t *sources;  /* the files that it came from are appended; or NULL */
	const char *from; /* a stream of its own (bag_take_from); or NULL */
	bool dropped;
	bool open;              /* between its meta.json and its end.json */
	bool skipped;           /* this shard was complete before: what comes is a copy */
	int shard, shards;      /* the one being read, 1-based */
	bool *complete;         /* by shard */
	int64_t n_chunks, rows; /* of this shard */
	char *fields;           /* those of the first chunk, which all chunks have */
};

/* Fingerprints of the history so far. */
struct logs {
	uint64_t *hash;
	int count;
};

struct bag {
	struct frame_in *in;
	struct bag_out *out;
	struct seen groups[MAX_GROUPS];
	int n_groups;
	struct logs own_logs, *logs; /* which are another bag's where this one reads for that */
	json_t *history;             /* where records are put; NULL: nowhere */
	bool only_taken;             /* all else is neither read nor passed on */
	/* the member at hand: its header was read, its data were not */
	const char *name;
	uint64_t size;
	struct chunk chunk;
	struct seen *chunk_of; /* whose chunk is being read; NULL: none */
};

struct bag *bag_open(char *const *paths)
{
	struct bag *bag = xcalloc(1, sizeof *bag);
	bag->in = frame_open(paths);
	bag->logs = &bag->own_logs;
	return bag;
}

static struct seen *find_group(struct bag *bag, const char *name, size_t length)
{
	for (int i = 0; i < bag->n_groups; i++)
		if (!strncmp(bag->groups[i].name, name, length) && !bag->groups[i].name[length])
			return &bag->groups[i];
	return NULL;
}

static struct seen *add_group(struct bag *bag, const char *name, size_t length)
{
	struct seen *seen = find_group(bag, name, length);
	if (seen)
		return seen;
	if (bag->n_groups == MAX_GROUPS)
		die("%s: more than %d groups in a stream", frame_where(bag->in), MAX_GROUPS);
	seen = &bag->groups[bag->n_groups++];
	seen->name = xstrndup(name, length);
	return seen;
}

void bag_take(struct bag *bag, const struct group_kind *kind, void *group)
{
	struct seen *seen = add_group(bag, kind->name, strlen(kind->name));
	seen->kind = kind;
	seen->group = group;
}

void bag_take_each(struct bag *bag, const struct group_kind *kind, void *(*another)(void *owner), void *owner)
{
	bag_take(bag, kind, NULL);
	find_group(bag, kind->name, strlen(kind->name))->another = another;
	find_group(bag, kind->name, strlen(kind->name))->owner = owner;
}

void bag_take_sources(struct bag *bag, const char *name, json_t *sources)
{
	add_group(bag, name, strlen(name))->sources = sources;
}

void bag_take_history(struct bag *bag, json_t *records)
{
	bag->history = records;
}

void bag_take_from(struct bag *bag, const struct group_kind *kind, void *group, const char *path)
{
	bag_take(bag, kind, group);
	find_group(bag, kind->name, strlen(kind->name))->from = path;
}

void bag_drop(struct bag *bag, const char *name)
{
	add_group(bag, name, strlen(name))->dropped = true;
}

void bag_pass_to(struct bag *bag, struct bag_out *out)
{
	bag->out = out;
}

/* --- members, with a copy to the output --- */

static bool is_read(const struct seen *seen)
{
	return seen && seen->kind && !seen->from && !seen->skipped;
}

static bool is_passed(const struct bag *bag, const struct seen *seen)
{
	if (!bag->out || (bag->only_taken && !(seen && seen->kind)))
		return false;
	return !(seen && (seen->dropped || seen->skipped || seen->from));
}

/* The rest of a member of which `size` bytes are read: as read_bytes(). */
static char *read_behind(struct bag *bag, const char *begun, size_t size)
{
	size_t whole = (size_t)bag->size;
	char *bytes = aligned_alloc(64, (whole + 64) / 64 * 64);
	if (!bytes)
		die("%s: out of memory: %zu bytes were asked for", frame_where(bag->in), whole);
	if (size)
		memcpy(bytes, begun, size);
	frame_read(bag->in, bytes + size, whole - size);
	bytes[whole] = '\0';
	return bytes;
}

/* The member's data, 64-byte aligned (and so those behind a 128-byte .npy header) and a NUL behind; to be freed. */
static char *read_bytes(struct bag *bag)
{
	return read_behind(bag, NULL, 0);
}

static void pass_bytes(struct bag *bag, const struct seen *seen, const char *bytes)
{
	if (is_passed(bag, seen))
		frame_member(bag_frame(bag->out), bag->name, bytes, (size_t)bag->size);
}

/* Copies a member through, or skips it, without holding it. */
static void pass_member(struct bag *bag, const struct seen *seen)
{
	if (!is_passed(bag, seen))
		return;
	char block[1 << 16];
	struct frame_out *frame = bag_frame(bag->out);
	frame_begin(frame, bag->name, bag->size);
	for (uint64_t left = bag->size; left;) {
		size_t part = left < sizeof block ? (size_t)left : sizeof block;
		frame_read(bag->in, block, part);
		frame_write(frame, block, part);
		left -= part;
	}
}

static void keep_record(struct bag *bag, const char *text, size_t size)
{
	const char *name = bag->name + strlen("log/"), *dot = strrchr(name, '.');
	if (!bag->history || !dot || strcmp(dot, ".json"))
		return;
	json_t *record = json_parse(text, size, frame_where(bag->in));
	char *log = xstrndup(name, (size_t)(dot - name));
	if (!json_is_object(record))
		die("%s: not a JSON object", frame_where(bag->in));
	json_set(record, "stream", json_any_text(frame_source(bag->in)));
	json_set(record, "log", json_string(log));
	json_append(bag->history, record);
	free(log);
}

/* History is passed on once: two joined streams often share their beginnings. */
static void pass_log(struct bag *bag)
{
	size_t size;
	char *text = frame_read_all(bag->in, JSON_LIMIT, &size);
	uint64_t hash = fingerprint(FINGERPRINT_START, bag->name, strlen(bag->name));
	hash = fingerprint(hash, text, size);
	bool known = false;
	struct logs *logs = bag->logs;
	for (int i = 0; i < logs->count; i++)
		known |= logs->hash[i] == hash;
	if (!known) {
		logs->hash = xreallocarray(logs->hash, (size_t)logs->count + 1, sizeof *logs->hash);
		logs->hash[logs->count++] = hash;
		keep_record(bag, text, size);
		if (bag->out) {
			frame_member(bag_frame(bag->out), bag->name, text, size);
			bag_count_log(bag->out, bag->name);
		}
	}
	free(text);
}

/* --- meta.json and end.json --- */

static json_t *parse_json(const struct bag *bag, const char *bytes)
{
	json_t *json = json_parse(bytes, (size_t)bag->size, frame_where(bag->in));
	if (!json_is_object(json))
		die("%s: not a JSON object", frame_where(bag->in));
	return json;
}

static char *read_json_bytes(struct bag *bag)
{
	if (bag->size > JSON_LIMIT)
		die("%s: %llu bytes of JSON", frame_where(bag->in), (unsigned long long)bag->size);
	return read_bytes(bag);
}

static void read_shard(const json_t *json, const char *where, int *shard, int *shards)
{
	*shard = *shards = 1;
	json_t *pair = json_object_get(json, "shard");
	if (!pair)
		return;
	json_int_t i = json_integer_value(json_array_get(pair, 0)), n = json_integer_value(json_array_get(pair, 1));
	if (json_array_size(pair) != 2 || n < 1 || n > BAG_MAX_SHARDS || i < 1 || i > n)
		die("%s: \"shard\" is not [i, n] with 1 <= i <= n <= %d", where, BAG_MAX_SHARDS);
	*shard = (int)i;
	*shards = (int)n;
}

/* Streams written before formats were numbered have the first. */
static void check_format(const struct seen *seen, const json_t *meta, const char *where)
{
	int64_t format = json_object_get(meta, "format") ? json_get_int(meta, "format", 1, INT64_MAX, where) : 1;
	if (format > seen->kind->format)
		die("%s: the %s is of format %lld, this recpipe reads %d: use a newer one", where, seen->name,
			(long long)format, seen->kind->format);
}

static void tell_replaced(const struct bag *bag, const struct group *before, const char *name)
{
	const char *now = frame_source(bag->in);
	if (strcmp(before->source, now))
		notice("%s of %s replaced by that of %s", name, before->source, now);
	else
		notice("%s of %s replaced by a later one in it", name, now);
}

/* A group that is read begins anew, with its meta.json. */
static void begin_group(struct bag *bag, struct seen *seen, json_t *meta)
{
	if (seen->another)
		seen->group = seen->another(seen->owner);
	struct group *group = seen->group;
	if (group->source)
		tell_replaced(bag, group, seen->name);
	if (seen->kind->free)
		seen->kind->free(group);
	group->meta = json_incref(meta);
	group->id = json_get_string(meta, "id", frame_where(bag->in));
	group->source = xstrdup(frame_source(bag->in));
	if (seen->kind->begin)
		seen->kind->begin(group, frame_where(bag->in));
}

static void check_shards(const struct seen *seen)
{
	for (int shard = 0; seen->id && shard < seen->shards; shard++)
		if (!seen->complete[shard])
			die("%s: shard %d of %d is missing", seen->name, shard + 1, seen->shards);
}

/* Which shard of what comes now; whether it continues what came before. */
static bool begin_shard(struct bag *bag, struct seen *seen, const json_t *meta)
{
	const char *where = frame_where(bag->in), *id = json_get_string(meta, "id", where);
	int shard, shards;
	read_shard(meta, where, &shard, &shards);
	if (seen->open)
		die("%s: a group starts before %s/end.json closed the one before", where, seen->name);
	bool continues = seen->id && !strcmp(seen->id, id) && seen->shards == shards;
	if (!continues) {
		if (seen->another)
			check_shards(seen);
		free(seen->id);
		free(seen->complete);
		free(seen->fields);
		seen->id = xstrdup(id);
		seen->complete = xcalloc((size_t)shards, sizeof *seen->complete);
		seen->fields = NULL;
	}
	seen->open = true;
	seen->shard = shard;
	seen->shards = shards;
	seen->skipped = seen->complete[shard - 1];
	seen->n_chunks = seen->rows = 0;
	return continues;
}

/* The copy to the output has to wait until it is known whether this shard is a repetition. */
static void take_meta(struct bag *bag, struct seen *seen)
{
	char *bytes = read_json_bytes(bag);
	json_t *meta = parse_json(bag, bytes);
	bool continues = begin_shard(bag, seen, meta);
	pass_bytes(bag, seen, bytes);
	if (seen->sources)
		json_append(seen->sources, json_any_text(frame_source(bag->in)));
	if (is_read(seen)) {
		check_format(seen, meta, frame_where(bag->in));
		if (!continues)
			begin_group(bag, seen, meta);
	}
	json_decref(meta);
	free(bytes);
}

static void check_count(const json_t *json, const char *key, int64_t seen, const char *where)
{
	if (json_object_get(json, key) && json_get_int(json, key, 0, INT64_MAX, where) != seen)
		die("%s: %lld %s were announced, %lld came", where, (long long)json_get_int(json, key, 0, INT64_MAX, where),
			key, (long long)seen);
}

static void take_end(struct bag *bag, struct seen *seen)
{
	const char *where = frame_where(bag->in);
	char *bytes = read_json_bytes(bag);
	json_t *end = parse_json(bag, bytes);
	int shard, shards;
	pass_bytes(bag, seen, bytes);
	read_shard(end, where, &shard, &shards);
	if (shard != seen->shard || shards != seen->shards)
		die("%s: ends shard %d of %d, shard %d of %d had begun", where, shard, shards, seen->shard, seen->shards);
	seen->complete[shard - 1] = true;
	if (is_read(seen)) {
		check_count(end, "chunks", seen->n_chunks, where);
		check_count(end, "rows", seen->rows, where);
		if (seen->kind->end)
			seen->kind->end(seen->group, where);
		seen->group->complete = true; /* or dies: check_groups() asks for all shards */
	}
	seen->open = seen->skipped = false;
	json_decref(end);
	free(bytes);
}

static void check_groups(const struct bag *bag)
{
	for (int i = 0; i < bag->n_groups; i++) {
		const struct seen *seen = &bag->groups[i];
		if (seen->open)
			die("%s: truncated stream, %s/end.json was expected", frame_where(bag->in), seen->name);
		if (!is_read(seen))
			continue;
		check_shards(seen);
		if (bag->out && seen->id)
			bag_note_read(bag->out, seen->name, seen->id);
	}
}

/* --- chunks --- */

/* All chunks of a table have the same fields, types and widths, and follow one another. */
static void finish_chunk(struct bag *bag)
{
	struct seen *seen = bag->chunk_of;
	struct chunk *chunk = &bag->chunk;
	if (!seen)
		return;
	chunk_check(chunk);
	char *fields = chunk_describe(chunk);
	if (seen->fields && strcmp(seen->fields, fields))
		die("%s: fields %s; the chunks before had %s", chunk->where, fields, seen->fields);
	free(seen->fields);
	seen->fields = fields;
	int64_t expected = bag_first_chunk(seen->shard, seen->shards) + seen->n_chunks;
	if (chunk->number != expected)
		die("%s: chunk %06lld came where %06lld was expected", chunk->where, (long long)chunk->number,
			(long long)expected);
	seen->kind->chunk(seen->group, chunk);
	seen->n_chunks++;
	seen->rows += chunk->rows;
	chunk_clear(chunk);
	bag->chunk_of = NULL;
}

static void take_field(struct bag *bag, struct seen *seen, int64_t number, const char *field, bool is_text)
{
	const char *where = frame_where(bag->in);
	if (!seen->kind->chunk)
		die("%s: a chunk of a table, which a %s is not", where, seen->name);
	if (bag->chunk_of && (bag->chunk_of != seen || bag->chunk.number != number))
		finish_chunk(bag);
	bag->chunk_of = seen;
	bag->chunk.number = number;
	char *bytes = read_bytes(bag);
	pass_bytes(bag, seen, bytes);
	chunk_add(&bag->chunk, field, is_text, bytes, (size_t)bag->size, where);
}

/* --- the loop --- */

/* As we and NumPy write it. */
static bool is_header_of(const struct tensor *tensor, const char header[NPY_HEADER])
{
	char expected[NPY_HEADER];
	npy_header(tensor, expected);
	return !memcmp(header, expected, NPY_HEADER);
}

/* A large array is read where it belongs, without a copy. */
static void read_in_place(struct bag *bag, const struct seen *seen, const char header[NPY_HEADER],
	const struct tensor *place)
{
	frame_read(bag->in, place->data, tensor_bytes(place));
	floats_check(place, place->data, frame_where(bag->in));
	if (!is_passed(bag, seen))
		return;
	struct frame_out *frame = bag_frame(bag->out);
	frame_begin(frame, bag->name, bag->size);
	frame_write(frame, header, NPY_HEADER);
	frame_write(frame, place->data, tensor_bytes(place));
}

static void take_other(struct bag *bag, struct seen *seen, const char *name)
{
	const struct tensor place = seen->kind->place ? seen->kind->place(seen->group, name) : (struct tensor){0};
	const bool fits = place.data && bag->size == NPY_HEADER + tensor_bytes(&place);
	char header[NPY_HEADER];
	if (fits)
		frame_read(bag->in, header, NPY_HEADER);
	if (fits && is_header_of(&place, header)) {
		read_in_place(bag, seen, header, &place);
		return;
	}
	char *bytes = read_behind(bag, header, fits ? NPY_HEADER : 0);
	pass_bytes(bag, seen, bytes);
	if (seen->kind->member)
		seen->kind->member(seen->group, &(struct member){name, bytes, (size_t)bag->size, frame_where(bag->in)});
	free(bytes);
}

/* A member of a group that is read, between meta.json and end.json. */
static void take_content(struct bag *bag, struct seen *seen, const char *name)
{
	int64_t number;
	char field[FIELD_NAME_MAX + 1];
	bool is_text;
	if (!seen->open)
		die("%s: comes before %s/meta.json", frame_where(bag->in), seen->name);
	if (chunk_parse_name(name, &number, field, &is_text)) {
		take_field(bag, seen, number, field, is_text);
		return;
	}
	finish_chunk(bag);
	take_other(bag, seen, name);
}

static void take_member(struct bag *bag)
{
	const char *slash = strchr(bag->name, '/'), *name = slash ? slash + 1 : bag->name;
	const size_t length = slash ? (size_t)(slash - bag->name) : 0;
	if (length == 3 && !strncmp(bag->name, "log", 3)) {
		finish_chunk(bag);
		pass_log(bag);
		return;
	}
	const bool is_meta = slash && !strcmp(name, "meta.json");
	struct seen *seen = !slash ? NULL :
		is_meta                ? add_group(bag, bag->name, length) :
								 find_group(bag, bag->name, length);
	const bool is_end = seen && seen->open && !strcmp(name, "end.json");
	if (is_read(seen) && !is_meta && !is_end) {
		take_content(bag, seen, name);
		return;
	}
	finish_chunk(bag);
	if (is_meta)
		take_meta(bag, seen);
	else if (is_end)
		take_end(bag, seen);
	else
		pass_member(bag, seen);
}

static void bag_free(struct bag *bag)
{
	for (int i = 0; i < bag->n_groups; i++) {
		free(bag->groups[i].name);
		free(bag->groups[i].id);
		free(bag->groups[i].complete);
		free(bag->groups[i].fields);
	}
	frame_free(bag->in);
	chunk_free(&bag->chunk);
	free(bag->own_logs.hash);
	free(bag);
}

/* The group of a stream of its own. */
static void read_from(const struct seen *seen, struct bag *with)
{
	char *const paths[] = {(char *)(uintptr_t)seen->from, NULL};
	struct bag *bag = bag_open(paths);
	bag_take(bag, seen->kind, seen->group);
	if (seen->dropped)
		bag_drop(bag, seen->name);
	bag->only_taken = true;
	bag->logs = with->logs;
	bag->history = with->history;
	bag_pass_to(bag, with->out);
	bag_read(bag);
	if (!seen->group->complete)
		die("%s: no %s in it; %s", input_name(seen->from), seen->name, seen->kind->writer);
}

void bag_read(struct bag *bag)
{
	while ((bag->name = frame_next(bag->in, &bag->size)))
		take_member(bag);
	finish_chunk(bag);
	check_groups(bag);
	for (int i = 0; i < bag->n_groups; i++)
		if (bag->groups[i].from)
			read_from(&bag->groups[i], bag);
	bag_free(bag);
}
