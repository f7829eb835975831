#include "model/projector.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/ops.h"
#include "nn/rows.h"
#include "nn/vec.h"

const char *const projector_names[] = {"table", "mlp", NULL};

#define VECTORS_AT_ONCE 64

/* --- making --- */

static struct projector *new_projector(enum projector_kind kind, int64_t n_items, int64_t width)
{
	struct projector *projector = xcalloc(1, sizeof *projector);
	*projector = (struct projector){.kind = kind,
		.n_items = n_items,
		.width = width,
		.config = json_build("{s:s, s:I}", "projector", projector_names[kind], "width", (json_int_t)width)};
	return projector;
}

static void belongs_to(struct projector *projector, const struct catalog *catalog, const char *tokenizer)
{
	snprintf(projector->catalog, sizeof projector->catalog, "%s", catalog->fingerprint);
	snprintf(projector->tokenizer, sizeof projector->tokenizer, "%s", tokenizer);
	strings_add_all(&projector->item_id, catalog->item_id.text.data, catalog->n_items);
}

static void moment(const struct projector *projector, int64_t item, int64_t k, float *to)
{
	int64_t from = projector->texts.indptr[item], n = projector->texts.indptr[item + 1] - from, d = projector->width;
	memset(to, 0, (size_t)d * sizeof *to);
	for (int64_t t = 0; t < n; t++)
		vec_axpy((float)(cos(M_PI * (double)k * ((double)t + .5) / (double)n) / (double)n),
			projector->token_vectors + projector->texts.ids[from + t] * d, to, d);
}

static struct item_tokens copy_texts(const struct item_tokens *texts)
{
	struct ragged copy = RAGGED(I4);
	ragged_append_rows(&copy, texts->rows, texts->indptr, (const void *[]){texts->ids});
	return (struct item_tokens){.rows = copy.rows, .indptr = copy.indptr, .ids = copy.field[0], .n_cut = texts->n_cut};
}

static void know_words(struct projector *projector, const struct item_tokens *texts, const float *token_vectors,
	int64_t n_tokens)
{
	projector->texts = copy_texts(texts);
	projector->token_vectors = token_vectors;
	projector->n_tokens = n_tokens;
}

struct projector *projector_table(const struct catalog *catalog, const char *tokenizer, const struct item_tokens *texts,
	const float *token_vectors, int64_t n_tokens, int64_t width)
{
	struct projector *projector = new_projector(PROJECTOR_TABLE, catalog->n_items, width);
	belongs_to(projector, catalog, tokenizer);
	know_words(projector, texts, token_vectors, n_tokens);
	projector->vectors = xaligned((size_t)(projector->n_items * width), sizeof *projector->vectors);
	for (int64_t item = 0; item < projector->n_items; item++)
		moment(projector, item, 0, projector->vectors + item * width);
	return projector;
}

static void declare_network(struct projector *projector, int64_t moments, int64_t hidden)
{
	struct params *params = &projector->params;
	projector->moments = moments;
	projector->first = params_add(params, hidden, moments * projector->width, false, "projector.0.weight");
	projector->first_bias = params_add(params, 0, hidden, false, "projector.0.bias");
	projector->second = params_add(params, projector->width, hidden, false, "projector.1.weight");
	projector->second_bias = params_add(params, 0, projector->width, false, "projector.1.bias");
	params_allocate(params);
}

struct projector *projector_mlp(const struct catalog *catalog, const char *tokenizer, const struct item_tokens *texts,
	const float *token_vectors, int64_t n_tokens, int64_t width, int64_t moments, int64_t hidden, struct rng *rng)
{
	struct projector *projector = new_projector(PROJECTOR_MLP, catalog->n_items, width);
	belongs_to(projector, catalog, tokenizer);
	know_words(projector, texts, token_vectors, n_tokens);
	declare_network(projector, moments, hidden);
	param_normal(projector->first, rng, 1 / sqrt((double)projector->first->columns));
	projector->scale = (float)sqrt(vec_sum_of_squares(token_vectors, n_tokens * width) / (double)(n_tokens * width));
	json_object_update_new(projector->config,
		json_build("{s:I, s:I, s:f}", "moments", (json_int_t)moments, "hidden_size", (json_int_t)hidden, "scale",
			(double)projector->scale));
	return projector;
}

void projector_free(struct projector *projector)
{
	if (!projector)
		return;
	json_decref(projector->config);
	strings_free(&projector->item_id);
	params_free(&projector->params);
	item_tokens_free(&projector->texts);
	free(projector->vectors);
	free(projector->own_vectors);
	free(projector);
}

/* --- vectors --- */

/* mean + W2 gelu(W1 moments / scale + b1) + b2 */
static struct array *network(struct tape *tape, const struct projector *projector, const int64_t item[], int64_t n)
{
	int64_t d = projector->width, wide = projector->moments * d;
	float *moments = arena_take(&tape->arena, n, wide, sizeof *moments);
	float *mean = arena_take(&tape->arena, n, d, sizeof *mean);
	for (int64_t r = 0; r < n; r++) {
		float *row = moments + r * wide;
		for (int64_t k = 0; k < projector->moments; k++)
			moment(projector, item[r], k, row + k * d);
		memcpy(mean + r * d, row, (size_t)d * sizeof *mean);
		for (int64_t i = 0; i < wide; i++)
			row[i] /= projector->scale;
	}
	struct array *inner = linear(tape, tape_constant(tape, moments, n, wide), tape_param(tape, projector->first),
		tape_param(tape, projector->first_bias), ACT_GELU, 0);
	struct array *change = linear(tape, inner, tape_param(tape, projector->second),
		tape_param(tape, projector->second_bias), ACT_NONE, 0);
	return add(tape, change, tape_constant(tape, mean, n, d));
}

struct array *projector_forward(struct tape *tape, const struct projector *projector, const int64_t item[], int64_t n)
{
	if (projector->kind == PROJECTOR_MLP)
		return network(tape, projector, item, n);
	int64_t d = projector->width;
	struct array *vectors = tape_input(tape, n, d);
	for (int64_t r = 0; r < n; r++)
		memcpy(vectors->value + r * d, projector->vectors + item[r] * d, (size_t)d * sizeof *vectors->value);
	return vectors;
}

void projector_vectors(const struct projector *projector, float *vectors)
{
	int64_t d = projector->width;
#pragma omp parallel
	{
		struct tape tape = {0};
#pragma omp for schedule(dynamic)
		for (int64_t from = 0; from < projector->n_items; from += VECTORS_AT_ONCE) {
			int64_t item[VECTORS_AT_ONCE], n = 0;
			while (n < VECTORS_AT_ONCE && from + n < projector->n_items) {
				item[n] = from + n;
				n++;
			}
			tape_begin(&tape, NULL, 0, 0);
			const struct array *some = projector_forward(&tape, projector, item, n);
			memcpy(vectors + from * d, some->value, (size_t)(n * d) * sizeof *vectors);
		}
		tape_free(&tape);
	}
}

/* --- streams --- */

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

static void write_item_ids(struct bag_out *out, const struct projector *projector)
{
	struct buffer lines = {0};
	for (int64_t item = 0; item < projector->n_items; item++) {
		const char *id = strings_at(&projector->item_id, item);
		buffer_append(&lines, id, strlen(id));
		buffer_append(&lines, "\n", 1);
	}
	bag_add_bytes(out, "item_id.txt", lines.data, lines.size);
	buffer_free(&lines);
}

void projector_write(struct bag_out *out, const struct projector *projector, uint64_t id)
{
	bag_begin(out, "projector", id, 1, 1,
		json_build("{s:s, s:s, s:s, s:I, s:I}", "projector", projector_names[projector->kind], "catalog",
			projector->catalog, "tokenizer", projector->tokenizer, "items", (json_int_t)projector->n_items, "width",
			(json_int_t)projector->width));
	bag_add_json(out, "config.json", projector->config);
	write_item_ids(out, projector);
	if (projector->kind == PROJECTOR_TABLE) {
		const struct tensor vectors = tensor_2d(F4, projector->n_items, projector->width, projector->vectors);
		bag_add_tensor(out, "vectors.npy", &vectors);
	} else {
		for (int i = 0; i < projector->params.count; i++) {
			char name[sizeof projector->params.list[i]->name + 4];
			snprintf(name, sizeof name, "%s.npy", projector->params.list[i]->name);
			struct tensor tensor = param_tensor(projector->params.list[i]);
			bag_add_tensor(out, name, &tensor);
		}
		write_words(out, projector);
	}
	bag_end(out);
}

static void take_meta(struct projector_loader *loader, const struct piece *piece)
{
	static const char *const what[] = {"catalog", "tokenizer", "id"};
	projector_free(loader->projector);
	const char *kind = json_get_string(piece->json, "projector", piece->where);
	int64_t n_items = json_get_int(piece->json, "items", 1, INT32_MAX, piece->where);
	int64_t width = json_get_int(piece->json, "width", 1, 1 << 20, piece->where);
	if (strcmp(kind, projector_names[PROJECTOR_TABLE]) && strcmp(kind, projector_names[PROJECTOR_MLP]))
		die("%s: \"projector\" is \"%s\", table or mlp was expected", piece->where, kind);
	struct projector *projector = new_projector(strcmp(kind, "mlp") ? PROJECTOR_TABLE : PROJECTOR_MLP, n_items, width);
	char *const to[] = {projector->catalog, projector->tokenizer, projector->id};
	for (size_t i = 0; i < COUNT_OF(what); i++)
		snprintf(to[i], sizeof projector->id, "%s", json_get_string(piece->json, what[i], piece->where));
	*loader = (struct projector_loader){.projector = projector};
}

static void take_config(struct projector *projector, const struct piece *piece)
{
	json_decref(projector->config);
	projector->config = json_parse(piece->bytes, piece->size, piece->where);
	if (projector->kind == PROJECTOR_TABLE || projector->first)
		return;
	double scale = json_get_number(projector->config, "scale", piece->where);
	if (!(scale > 0 && scale < 1e9))
		die("%s: \"scale\" is %g, a positive number was expected", piece->where, scale);
	projector->scale = (float)scale;
	declare_network(projector, json_get_int(projector->config, "moments", 1, 1024, piece->where),
		json_get_int(projector->config, "hidden_size", 1, 1 << 20, piece->where));
}

static void take_item_ids(struct projector *projector, const struct piece *piece)
{
	const char *line = piece->bytes, *end = piece->bytes + piece->size;
	int64_t n = 0;
	for (const char *stop; line < end && (stop = memchr(line, '\n', (size_t)(end - line))); line = stop + 1, n++)
		strings_add(&projector->item_id, line, (size_t)(stop - line));
	if (n != projector->n_items || line != end)
		die("%s: %lld lines, %lld items were expected", piece->where, (long long)n, (long long)projector->n_items);
}

/* The member as `dtype`, freed by the caller; rows and columns as given, -1: any. */
static void *take_tensor(const struct piece *piece, enum dtype dtype, int n_dims, int64_t rows, int64_t columns,
	int64_t *count)
{
	struct tensor tensor;
	npy_parse(piece->bytes, piece->size, &tensor, piece->where);
	if (tensor.n_dims != n_dims || (rows >= 0 && tensor.shape[0] != rows) ||
		(n_dims == 2 && columns >= 0 && tensor.shape[1] != columns)) {
		char is[128];
		die("%s: %s, of another shape than its meta.json says", piece->where, tensor_describe(&tensor, is));
	}
	if (count)
		*count = tensor.shape[0];
	return tensor_as(&tensor, dtype, piece->where);
}

static bool take_param(struct projector_loader *loader, const struct piece *piece)
{
	struct projector *projector = loader->projector;
	for (int i = 0; i < projector->params.count; i++) {
		struct param *param = projector->params.list[i];
		size_t length = strlen(param->name);
		if (strncmp(piece->name, param->name, length) || strcmp(piece->name + length, ".npy"))
			continue;
		float *value = take_tensor(piece, F4, param->n_dims, param->n_dims == 1 ? param->columns : param->rows,
			param->columns, NULL);
		memcpy(param->value, value, (size_t)param_count(param) * sizeof *value);
		free(value);
		loader->params |= 1u << i;
		return true;
	}
	return false;
}

static void take_member(struct projector_loader *loader, const struct piece *piece)
{
	struct projector *projector = loader->projector;
	const char *name = piece->name;
	if (!strcmp(name, "config.json")) {
		take_config(projector, piece);
	} else if (!strcmp(name, "item_id.txt") && !projector->item_id.count) {
		take_item_ids(projector, piece);
	} else if (!strcmp(name, "vectors.npy") && !projector->vectors) {
		projector->vectors = take_tensor(piece, F4, 2, projector->n_items, projector->width, NULL);
	} else if (!strcmp(name, "text.indptr.npy") && !projector->texts.indptr) {
		projector->texts.indptr = take_tensor(piece, I8, 1, projector->n_items + 1, -1, NULL);
		projector->texts.rows = projector->n_items;
	} else if (!strcmp(name, "text.word.npy") && !projector->texts.ids) {
		projector->texts.ids = take_tensor(piece, I4, 1, -1, -1, &projector->texts.n_cut);
	} else if (!strcmp(name, "word_vectors.npy") && !projector->own_vectors) {
		projector->own_vectors = take_tensor(piece, F4, 2, -1, projector->width, &projector->n_tokens);
		projector->token_vectors = projector->own_vectors;
	} else if (!take_param(loader, piece)) {
		die("%s: not a member of a projector of kind %s", piece->where, projector_names[projector->kind]);
	}
}

/* Of an mlp: words are rows of the word vectors, texts parts of the words. */
static void check_texts(struct projector *projector, const char *where)
{
	struct item_tokens *texts = &projector->texts;
	int64_t n_ids = texts->n_cut;
	texts->n_cut = 0;
	if (texts->indptr[0] != 0 || texts->indptr[texts->rows] != n_ids)
		die("%s: text.indptr.npy ends at %lld, there are %lld words", where, (long long)texts->indptr[texts->rows],
			(long long)n_ids);
	for (int64_t row = 0; row < texts->rows; row++)
		if (texts->indptr[row + 1] < texts->indptr[row])
			die("%s: text.indptr.npy falls at row %lld", where, (long long)row);
	for (int64_t i = 0; i < n_ids; i++)
		if (texts->ids[i] < 0 || texts->ids[i] >= projector->n_tokens)
			die("%s: text.word.npy: word %d at %lld, there are vectors of %lld", where, texts->ids[i], (long long)i,
				(long long)projector->n_tokens);
}

static void take_end(struct projector_loader *loader, const struct piece *piece)
{
	struct projector *projector = loader->projector;
	bool table = projector->kind == PROJECTOR_TABLE;
	if (!projector->item_id.count || (table && !projector->vectors) ||
		(!table &&
			(!projector->first || loader->params != (1u << projector->params.count) - 1 || !projector->texts.indptr ||
				!projector->texts.ids || !projector->own_vectors)))
		die("%s: members of the projector are missing", piece->where);
	if (!table)
		check_texts(projector, piece->where);
	loader->complete = true;
}

bool projector_take(struct projector_loader *loader, const struct piece *piece)
{
	if (strcmp(piece->group, "projector"))
		return false;
	switch (piece->kind) {
	case PIECE_META: take_meta(loader, piece); break;
	case PIECE_MEMBER: take_member(loader, piece); break;
	case PIECE_END: take_end(loader, piece); break;
	case PIECE_CHUNK: die("%s: a table's chunk in a projector", piece->where);
	}
	return true;
}
