#include "model/projector_group.h"

#include <stdlib.h>
#include <string.h>

#include "model/param_members.h"

/* --- reading --- */

static void begin(void *group, const char *where)
{
	struct projector_group *read = group;
	const json_t *meta = read->group.meta;
	const char *kind = json_get_string(meta, "projector", where);
	int64_t n_items = json_get_int(meta, "items", 1, INT32_MAX, where);
	int64_t width = json_get_int(meta, "width", 1, 1 << 20, where);
	if (strcmp(kind, projector_names[PROJECTOR_TABLE]) && strcmp(kind, projector_names[PROJECTOR_MLP]))
		die("%s: \"projector\" is \"%s\", table or mlp was expected", where, kind);
	read->projector = projector_new(strcmp(kind, "mlp") ? PROJECTOR_TABLE : PROJECTOR_MLP, n_items, width);
	group_fingerprint(&read->group, "catalog", read->projector->catalog, where);
	group_fingerprint(&read->group, "tokenizer", read->projector->tokenizer, where);
}

static void take_config(struct projector *projector, const struct member *member)
{
	json_decref(projector->config);
	projector->config = json_parse(member->bytes, member->size, member->where);
	if (projector->kind == PROJECTOR_TABLE || projector->first)
		return;
	double scale = json_get_number(projector->config, "scale", member->where);
	if (!(scale > 0 && scale < 1e9))
		die("%s: \"scale\" is %g, a positive number was expected", member->where, scale);
	projector->scale = (float)scale;
	projector_declare(projector, json_get_int(projector->config, "moments", 1, 1024, member->where),
		json_get_int(projector->config, "hidden_size", 1, 1 << 20, member->where));
}

/* The member as `dtype`, freed by the caller; rows and columns as given, -1: any. */
static void *take_tensor(const struct member *member, enum dtype dtype, int n_dims, int64_t rows, int64_t columns,
	int64_t *count)
{
	struct tensor tensor;
	npy_parse(member->bytes, member->size, &tensor, member->where);
	if (tensor.n_dims != n_dims || (rows >= 0 && tensor.shape[0] != rows) ||
		(n_dims == 2 && columns >= 0 && tensor.shape[1] != columns)) {
		char is[128];
		die("%s: %s, of another shape than its meta.json says", member->where, tensor_describe(&tensor, is));
	}
	if (count)
		*count = tensor.shape[0];
	return tensor_as(&tensor, dtype, member->where);
}

static void member(void *group, const struct member *member)
{
	struct projector_group *read = group;
	struct projector *projector = read->projector;
	const char *name = member->name;
	if (!strcmp(name, "config.json")) {
		take_config(projector, member);
	} else if (!strcmp(name, ITEM_IDS) && !projector->item_id.count) {
		item_ids_read(&projector->item_id, member, projector->n_items, projector->catalog);
	} else if (!strcmp(name, "vectors.npy") && !projector->vectors) {
		projector->vectors = take_tensor(member, F4, 2, projector->n_items, projector->width, NULL);
	} else if (!strcmp(name, "text.indptr.npy") && !projector->texts.indptr) {
		projector->texts.indptr = take_tensor(member, I8, 1, projector->n_items + 1, -1, NULL);
		projector->texts.rows = projector->n_items;
	} else if (!strcmp(name, "text.word.npy") && !projector->texts.ids) {
		projector->texts.ids = take_tensor(member, I4, 1, -1, -1, &read->n_words);
	} else if (!strcmp(name, "word_vectors.npy") && !projector->own_vectors) {
		projector->own_vectors = take_tensor(member, F4, 2, -1, projector->width, &projector->n_tokens);
		projector->token_vectors = projector->own_vectors;
	} else {
		int i = params_read(&projector->params, member);
		if (i < 0)
			die("%s: not a member of a projector of kind %s", member->where, projector_names[projector->kind]);
		read->params |= 1u << i;
	}
}

/* Of an mlp: words are rows of the word vectors, texts parts of the words. */
static void check_texts(const struct projector *projector, int64_t n_ids, const char *where)
{
	const struct item_tokens *texts = &projector->texts;
	if (texts->indptr[0] != 0 || texts->indptr[texts->rows] != n_ids)
		die("%s: text.indptr.npy ends at %lld, there are %s", where, (long long)texts->indptr[texts->rows],
			counted(n_ids, "words"));
	for (int64_t row = 0; row < texts->rows; row++)
		if (texts->indptr[row + 1] < texts->indptr[row])
			die("%s: text.indptr.npy falls at row %lld", where, (long long)row);
	for (int64_t i = 0; i < n_ids; i++)
		if (texts->ids[i] < 0 || texts->ids[i] >= projector->n_tokens)
			die("%s: text.word.npy: word %d at %lld, there are vectors of %lld", where, texts->ids[i], (long long)i,
				(long long)projector->n_tokens);
}

static void end(void *group, const char *where)
{
	const struct projector_group *read = group;
	const struct projector *projector = read->projector;
	bool table = projector->kind == PROJECTOR_TABLE;
	if (!projector->item_id.count || (table && !projector->vectors) ||
		(!table &&
			(!projector->first || read->params != (1u << projector->params.count) - 1 || !projector->texts.indptr ||
				!projector->texts.ids || !projector->own_vectors)))
		die("%s: members of the projector are missing", where);
	if (!table)
		check_texts(projector, read->n_words, where);
}

void projector_group_free(struct projector_group *read)
{
	group_free(&read->group);
	projector_free(read->projector);
	*read = (struct projector_group){.projector = NULL};
}

static void free_group(void *group)
{
	projector_group_free(group);
}

const struct group_kind projector_group = {
	.name = "projector",
	.writer = "emb-align-train trains one, or with --only-new the items that are new",
	.format = 1,
	.begin = begin,
	.member = member,
	.end = end,
	.free = free_group,
};

void projector_require_catalog(const struct projector_group *read, const struct catalog *catalog)
{
	catalog_require(catalog, &projector_group, &read->group, read->projector->catalog, &read->projector->item_id);
	if (read->projector->n_items != catalog->n_items)
		die("projector of %s: made for %s, the catalog has %lld", group_source(&read->group),
			counted(read->projector->n_items, "items"), (long long)catalog->n_items);
}

/* --- writing --- */

/* The words that occur, numbered anew in the order of their ids. */
static void write_words(struct bag_out *out, const struct projector *projector)
{
	int64_t n_ids = projector->texts.indptr[projector->texts.rows], d = projector->width, n = 0;
	int32_t *number = xcalloc((size_t)projector->n_tokens, sizeof *number);
	int32_t *ids = xreallocarray(NULL, (size_t)n_ids + 1, sizeof *ids);
	for (int64_t i = 0; i < n_ids; i++)
		number[projector->texts.ids[i]] = 1;
	for (int64_t token = 0; token < projector->n_tokens; token++)
		number[token] = number[token] ? (int32_t)n++ : -1;
	float *vectors = xaligned((size_t)(n * d), sizeof *vectors);
	for (int64_t token = 0; token < projector->n_tokens; token++)
		if (number[token] >= 0)
			memcpy(vectors + number[token] * d, projector->token_vectors + token * d, (size_t)d * sizeof *vectors);
	for (int64_t i = 0; i < n_ids; i++)
		ids[i] = number[projector->texts.ids[i]];
	const struct tensor indptr = tensor_1d(I8, projector->texts.rows + 1, projector->texts.indptr);
	const struct tensor word = tensor_1d(I4, n_ids, ids), word_vectors = tensor_2d(F4, n, d, vectors);
	bag_add_tensor(out, "text.indptr.npy", &indptr);
	bag_add_tensor(out, "text.word.npy", &word);
	bag_add_tensor(out, "word_vectors.npy", &word_vectors);
	free(number);
	free(ids);
	free(vectors);
}

void projector_write(struct bag_out *out, const struct projector *projector, uint64_t id)
{
	bag_begin(out, &projector_group, id, 1, 1,
		json_build("{s:s, s:s, s:s, s:I, s:I}", "projector", projector_names[projector->kind], "catalog",
			projector->catalog, "tokenizer", projector->tokenizer, "items", (json_int_t)projector->n_items, "width",
			(json_int_t)projector->width));
	bag_add_json(out, "config.json", projector->config);
	item_ids_write(out, &projector->item_id);
	if (projector->kind == PROJECTOR_TABLE) {
		const struct tensor vectors = tensor_2d(F4, projector->n_items, projector->width, projector->vectors);
		bag_add_tensor(out, "vectors.npy", &vectors);
	} else {
		params_write(out, &projector->params);
		write_words(out, projector);
	}
	bag_end(out);
}
