#include "data/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "data/dataset.h"
#include "data/tokenizer.h"
#include "stream/progress.h"

enum { ITEM_ID, INDPTR, INPUT_IDS, TOKEN_TYPE_IDS, ATTRIBUTE, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[ITEM_ID] = {"item_id", COLUMN_TEXT, U1, 0},
	[INDPTR] = {"indptr", COLUMN_INDPTR, I8, 0},
	[INPUT_IDS] = {"input_ids", COLUMN_RAGGED, I4, 0},
	[TOKEN_TYPE_IDS] = {"token_type_ids", COLUMN_RAGGED, U1, 0},
	[ATTRIBUTE] = {"attribute", COLUMN_RAGGED, U1, 0},
};

/* --- reading --- */

static void begin(void *group, const char *where)
{
	struct catalog *catalog = group;
	group_fingerprint(&catalog->group, "fingerprint", catalog->fingerprint, where);
	catalog->tokens = (struct ragged)RAGGED(I4, U1, U1);
	const json_t *fields = json_object_get(catalog->group.meta, "attribute_fields");
	if (!catalog->keeps_text || !fields)
		return;
	size_t n = json_array_size(fields);
	if (n != json_array_size(json_object_get(catalog->group.meta, "attributes")) || n > ATTRIBUTES_MAX)
		die("%s: \"attribute_fields\": a column for each of the \"attributes\" was expected", where);
	catalog->n_attributes = (int)n;
	catalog->text = xcalloc(n, sizeof *catalog->text);
}

static void add_text(struct catalog *catalog, const struct chunk *chunk)
{
	const json_t *fields = json_object_get(catalog->group.meta, "attribute_fields");
	for (int i = 0; i < catalog->n_attributes; i++) {
		const char *name = json_string_value(json_array_get(fields, (size_t)i));
		if (!name)
			die("%s: meta.json's \"attribute_fields\" are not all names", chunk->where);
		const struct column column = {name, COLUMN_TEXT, U1, 0};
		strings_add_all(&catalog->text[i], chunk_text(chunk, &column), chunk->rows);
	}
}

static void chunk(void *group, const struct chunk *chunk)
{
	struct catalog *catalog = group;
	strings_add_all(&catalog->item_id, chunk_text(chunk, &columns[ITEM_ID]), chunk->rows);
	catalog->n_items += chunk->rows;
	add_text(catalog, chunk);
	if (!chunk_has(chunk, &columns[INDPTR]))
		return;
	struct ragged *tokens = &catalog->tokens;
	chunk_append_ragged(chunk, &columns[INDPTR], &columns[INPUT_IDS], tokens);
	catalog->indptr = tokens->indptr;
	catalog->input_ids = tokens->field[0];
	catalog->token_type_ids = tokens->field[1];
	catalog->attribute = tokens->field[2];
	catalog->n_tokens = ragged_count(tokens);
}

static uint64_t fingerprint_of(const struct strings *item_id)
{
	return fingerprint(FINGERPRINT_START, item_id->text.data, item_id->text.size);
}

static void end(void *group, const char *where)
{
	struct catalog *catalog = group;
	char text[17];
	fingerprint_text(fingerprint_of(&catalog->item_id), text);
	if (strcmp(text, catalog->fingerprint))
		die("%s: the item ids have fingerprint %s, catalog/meta.json says %s", where, text, catalog->fingerprint);
}

void catalog_free(struct catalog *catalog)
{
	group_free(&catalog->group);
	strings_free(&catalog->item_id);
	free(catalog->indptr);
	free(catalog->input_ids);
	free(catalog->token_type_ids);
	free(catalog->attribute);
	for (int i = 0; i < catalog->n_attributes; i++)
		strings_free(&catalog->text[i]);
	free(catalog->text);
	*catalog = (struct catalog){.keeps_text = catalog->keeps_text};
}

static void free_group(void *group)
{
	catalog_free(group);
}

const struct group_kind catalog_group = {
	.name = "catalog",
	.writer = "seq-tokenize writes one",
	.format = 1,
	.begin = begin,
	.chunk = chunk,
	.end = end,
	.free = free_group,
};

const char *catalog_text(const struct catalog *catalog, int64_t item, const char *attribute)
{
	const json_t *names = json_object_get(catalog->group.meta, "attributes");
	for (int i = 0; i < catalog->n_attributes; i++) {
		const char *name = json_string_value(json_array_get(names, (size_t)i));
		if (name && !strcmp(name, attribute))
			return strings_at(&catalog->text[i], item);
	}
	return NULL;
}

/* --- what belongs to it --- */

static int64_t in_common(const struct catalog *catalog, const struct strings *ids)
{
	struct strings known = {0}; /* a copy that can be searched */
	int64_t common = 0;
	strings_add_all(&known, catalog->item_id.text.data, catalog->n_items);
	for (int64_t i = 0; i < ids->count; i++)
		common += strings_find(&known, strings_at(ids, i), strlen(strings_at(ids, i))) >= 0;
	strings_free(&known);
	return common;
}

void catalog_require(const struct catalog *catalog, const struct group_kind *kind, const struct group *group,
	const char *fingerprint, const struct strings *ids)
{
	if (!strcmp(catalog->fingerprint, fingerprint))
		return;
	const char *of = group_source(group), *by = group_source(&catalog->group);
	if (!ids || !ids->count)
		die("%s of %s: of another catalog than that of %s; %s", kind->name, of, by, kind->writer);
	char text[3][32];
	const int64_t common = in_common(catalog, ids);
	const char *known = number_text(ids->count, text[0]), *listed = number_text(catalog->n_items, text[1]);
	const char *both = number_text(common, text[2]);
	if (common == ids->count && common == catalog->n_items)
		die("%s of %s knows the %s items of the catalog of %s in another order; %s", kind->name, of, known, by,
			kind->writer);
	die("%s of %s knows other items than the catalog of %s (%s and %s, %s in common); %s", kind->name, of, by, known,
		listed, both, kind->writer);
}

/* --- ids as a member of another group --- */

void item_ids_write(struct bag_out *out, const struct strings *ids)
{
	struct buffer lines = {0};
	buffer_append(&lines, ids->text.data, ids->text.size);
	for (char *nul = lines.data; (nul = memchr(nul, 0, (size_t)(lines.data + lines.size - nul)));)
		*nul = '\n';
	bag_add_bytes(out, ITEM_IDS, lines.data, lines.size);
	buffer_free(&lines);
}

void item_ids_read(struct strings *ids, const struct member *member, int64_t n_items, const char *catalog)
{
	const char *line = member->bytes, *after = member->bytes + member->size;
	char text[17];
	strings_free(ids);
	for (const char *stop; line < after && (stop = memchr(line, '\n', (size_t)(after - line))); line = stop + 1)
		strings_add(ids, line, (size_t)(stop - line));
	if (ids->count != n_items || line != after)
		die("%s: %s, %lld items were expected", member->where, counted(ids->count, "lines"), (long long)n_items);
	fingerprint_text(fingerprint_of(ids), text);
	if (strcmp(text, catalog))
		die("%s: the item ids have fingerprint %s, meta.json says %s", member->where, text, catalog);
}

/* --- writing --- */

#define ITEMS_AT_ONCE 256 /* encoded by a thread before they are written */
#define FIELD_BYTES 48    /* of an attribute's name */

/* Consecutive items. */
struct encoded {
	int64_t indptr[ITEMS_AT_ONCE + 1];
	struct buffer ids, types, attribute;
	struct buffer *text; /* by attribute */
};

/* What the writing threads share. */
struct writing {
	struct bag_out *out;
	const struct dataset *dataset;
	const struct tokenizer *tokenizer;
	struct column *columns; /* the fixed ones, and one for each attribute */
};

static void encode_part(struct encoded *encoded, struct tokenize_worker *worker, const char *text, int type,
	int attribute)
{
	size_t before = encoded->ids.size;
	tokenize(worker, text, strlen(text), -1, &encoded->ids);
	size_t tokens = (encoded->ids.size - before) / sizeof(int32_t);
	memset(buffer_add(&encoded->types, tokens), type, tokens);
	memset(buffer_add(&encoded->attribute, tokens), attribute, tokens);
}

/* Key and value apart, as Recformer does; an attribute without a value has no tokens. */
static void encode_items(struct encoded *encoded, struct tokenize_worker *worker, const struct dataset *dataset,
	int64_t from, int64_t to)
{
	encoded->ids.size = encoded->types.size = encoded->attribute.size = 0;
	encoded->indptr[0] = 0;
	for (int i = 0; i < dataset->attributes.n; i++)
		encoded->text[i].size = 0;
	for (int64_t item = from; item < to; item++) {
		for (int i = 0; i < dataset->attributes.n; i++) {
			const char *text = dataset_text(dataset, item, i);
			buffer_append(&encoded->text[i], text, strlen(text) + 1);
			if (!*text)
				continue;
			encode_part(encoded, worker, dataset->attributes.name[i], 1, i);
			encode_part(encoded, worker, text, 2, i);
		}
		encoded->indptr[item - from + 1] = (int64_t)encoded->types.size;
	}
}

static void write_encoded(const struct writing *writing, const struct encoded *encoded, const char *ids, int64_t rows)
{
	const void *data[N_COLUMNS + ATTRIBUTES_MAX] = {
		[ITEM_ID] = ids,
		[INDPTR] = encoded->indptr,
		[INPUT_IDS] = encoded->ids.data ? encoded->ids.data : "",
		[TOKEN_TYPE_IDS] = encoded->types.data ? encoded->types.data : "",
		[ATTRIBUTE] = encoded->attribute.data ? encoded->attribute.data : "",
	};
	const int attributes = writing->dataset->attributes.n;
	for (int i = 0; i < attributes; i++)
		data[N_COLUMNS + i] = encoded->text[i].data;
	bag_add_rows(writing->out, rows, writing->columns, data, N_COLUMNS + attributes);
}

/* Threads encode, each in turn writes. Returns the number of tokens. */
static int64_t write_items(const struct writing *writing, int threads)
{
	const struct dataset *dataset = writing->dataset;
	int64_t items = dataset->item_id.count, tokens = 0;
	struct progress progress;
	progress_start(&progress, "items", items);
#pragma omp parallel num_threads(threads)
	{
		struct tokenize_options options = {.special_as_text = true};
		struct tokenize_worker *worker = tokenize_worker_new(writing->tokenizer, options);
		struct encoded encoded = {.text = xcalloc((size_t)dataset->attributes.n, sizeof *encoded.text)};
#pragma omp for ordered schedule(dynamic)
		for (int64_t from = 0; from < items; from += ITEMS_AT_ONCE) {
			int64_t to = from + ITEMS_AT_ONCE < items ? from + ITEMS_AT_ONCE : items;
			encode_items(&encoded, worker, dataset, from, to);
#pragma omp ordered
			{
				write_encoded(writing, &encoded, strings_at(&dataset->item_id, from), to - from);
				tokens += encoded.indptr[to - from];
				progress_at(&progress, to, NULL);
			}
		}
		tokenize_worker_free(worker);
		buffer_free(&encoded.ids);
		buffer_free(&encoded.types);
		buffer_free(&encoded.attribute);
		for (int i = 0; i < dataset->attributes.n; i++)
			buffer_free(&encoded.text[i]);
		free(encoded.text);
	}
	progress_end(&progress);
	return tokens;
}

static bool is_taken(const struct column *taken, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (!strcasecmp(taken[i].name, name))
			return true;
	return false;
}

/* How an attribute's column is spelled, told from the n columns there are; to be freed. */
static char *field_name(const char *attribute, const struct column *taken, int n)
{
	char plain[FIELD_BYTES + 1];
	snprintf(plain, sizeof plain, "%s", *attribute ? attribute : "_");
	for (char *c = plain; *c; c++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-", *c))
			*c = '_';
	char *name = xstrdup(plain);
	for (int i = 2; is_taken(taken, n, name); i++) {
		free(name);
		name = xasprintf("%s-%d", plain, i);
	}
	return name;
}

static struct column *name_columns(const struct dataset *dataset)
{
	const int attributes = dataset->attributes.n;
	struct column *all = xcalloc((size_t)(N_COLUMNS + attributes), sizeof *all);
	memcpy(all, columns, sizeof columns);
	for (int i = 0; i < attributes; i++)
		all[N_COLUMNS + i] = (struct column){field_name(dataset->attributes.name[i], all, N_COLUMNS + i), COLUMN_TEXT,
			U1, 0};
	return all;
}

static void free_columns(struct column *all, int attributes)
{
	for (int i = 0; i < attributes; i++)
		free((char *)(uintptr_t)all[N_COLUMNS + i].name);
	free(all);
}

/* Of all that the catalog's members are made from. */
static uint64_t catalog_id(const struct dataset *dataset, const struct tokenizer *tokenizer)
{
	uint64_t id = catalog_fingerprint(dataset);
	if (!tokenizer)
		return id;
	uint64_t of_tokenizer = tokenizer_fingerprint(tokenizer);
	id = fingerprint(id, &of_tokenizer, sizeof of_tokenizer);
	for (int i = 0; i < dataset->attributes.n; i++)
		id = fingerprint(id, dataset->attributes.name[i], strlen(dataset->attributes.name[i]) + 1);
	for (int64_t item = 0; item < dataset->item_id.count; item++)
		for (int i = 0; i < dataset->attributes.n; i++) {
			const char *text = dataset_text(dataset, item, i);
			id = fingerprint(id, text, strlen(text) + 1);
		}
	return id;
}

static json_t *describe(const struct writing *writing)
{
	const struct dataset *dataset = writing->dataset;
	char text[17];
	fingerprint_text(catalog_fingerprint(dataset), text);
	json_t *meta = json_build("{s:s, s:I}", "fingerprint", text, "n_items", (json_int_t)dataset->item_id.count);
	if (!writing->tokenizer)
		return meta;
	json_t *names = json_array(), *fields = json_array();
	for (int i = 0; i < dataset->attributes.n; i++) {
		json_append(names, json_string(dataset->attributes.name[i]));
		json_append(fields, json_string(writing->columns[N_COLUMNS + i].name));
	}
	fingerprint_text(tokenizer_fingerprint(writing->tokenizer), text);
	json_set(meta, "tokenizer", json_string(text));
	json_set(meta, "attributes", names);
	json_set(meta, "attribute_fields", fields);
	json_set(meta, "normal_form", json_string(text_normal_forms[dataset->normal_form]));
	return meta;
}

uint64_t catalog_fingerprint(const struct dataset *dataset)
{
	return fingerprint_of(&dataset->item_id);
}

struct tokenizer *catalog_learn_tokenizer(const struct dataset *dataset, int64_t vocab_size)
{
	const struct attributes *attributes = &dataset->attributes;
	struct learner *learner = learner_new();
	for (int64_t item = 0; item < attributes->n_items; item++)
		for (int i = 0; i < attributes->n; i++) {
			const char *text = dataset_text(dataset, item, i);
			if (!*text)
				continue;
			learner_add(learner, attributes->name[i], strlen(attributes->name[i]));
			learner_add(learner, text, strlen(text));
		}
	return learner_finish(learner, vocab_size);
}

int64_t catalog_write(struct bag_out *out, const struct dataset *dataset, const struct tokenizer *tokenizer,
	int threads)
{
	struct writing writing = {out, dataset, tokenizer, name_columns(dataset)};
	int64_t tokens = 0;
	bag_begin(out, &catalog_group, catalog_id(dataset, tokenizer), 1, 1, describe(&writing));
	if (tokenizer)
		tokens = write_items(&writing, threads);
	else
		bag_add_rows(out, dataset->item_id.count, columns, (const void *[]){dataset->item_id.text.data}, 1);
	bag_end(out);
	free_columns(writing.columns, dataset->attributes.n);
	return tokens;
}
