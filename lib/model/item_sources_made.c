/* Vectors of items that are there already: a trained model's, those of a file, or of an embedding to be joined with. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/lines.h"
#include "model/item_sources_parts.h"
#include "nn/vec.h"
#include "stream/bytes.h"
#include "stream/progress.h"

/* Sets an item's vector; zeros where there is none. */
static void set_vector(struct item_vectors_job *job, int64_t item, const float *vector)
{
	const size_t size = (size_t)job->width * sizeof *vector;
	if (vector)
		memcpy(job->vectors + item * job->width, vector, size);
	else
		memset(job->vectors + item * job->width, 0, size);
}

/* --- a model's --- */

void from_model(struct item_vectors_job *job)
{
	struct model_group *group = &job->model;
	const struct model *model = group->model;
	if (!group->group.complete)
		die("no model in the stream; seq-train makes one, and --model names another stream's");
	if (model->architecture->encode) {
		from_recformer(job);
		return;
	}
	if (model->architecture->reads_tokens)
		die("model of %s: %s has vectors of tokens, not of items; --from llm makes these of them",
			group_source(&group->group), model->architecture->name);
	if (!model->item_vectors)
		die("model of %s: %s has no vectors of items; sasrec, gru and recformer have", group_source(&group->group),
			model->architecture->name);
	int64_t n_new;
	int32_t *row = model_match_items(group, &job->catalog, &n_new);
	const float *vectors = model_item_vectors(model);
	take_vectors(job, model->width);
	for (int64_t item = 0; item < job->catalog.n_items; item++) {
		const int64_t at = row ? row[item] : item;
		set_vector(job, item, at < 0 ? NULL : vectors + at * model->width);
	}
	if (n_new)
		notice("warning: %" PRId64 " of %s %s zero", n_new, counted(job->catalog.n_items, "items"),
			by_number(n_new, "is new to the model; its vector is", "are new to the model; their vectors are"));
	json_set(job->facts, "model", json_string(group->group.id));
	json_set(job->facts, "architecture", json_string(model->architecture->name));
	json_set(job->measured, "new_items", json_integer(n_new));
	free(row);
}

/* --- a file's --- */

/* How the rows of a file fit the catalog. */
struct fit {
	int64_t unknown, repeated, missing;
	const char *first_unknown, *first_repeated;
};

static struct fit set_rows(struct item_vectors_job *job, const struct strings *ids, const float *rows)
{
	struct fit fit = {.missing = job->catalog.n_items};
	bool *has_one = xcalloc((size_t)job->catalog.n_items, sizeof *has_one);
	for (int64_t row = 0; row < ids->count; row++) {
		const char *id = strings_at(ids, row);
		const int64_t item = strings_find(&job->catalog.item_id, id, strlen(id));
		if (item < 0) {
			if (!fit.unknown++)
				fit.first_unknown = id;
		} else if (has_one[item]) {
			if (!fit.repeated++)
				fit.first_repeated = id;
		} else {
			set_vector(job, item, rows + row * job->width);
			has_one[item] = true;
			fit.missing--;
		}
	}
	for (int64_t item = 0; item < job->catalog.n_items; item++)
		if (!has_one[item])
			set_vector(job, item, NULL);
	free(has_one);
	return fit;
}

static void tell_fit(const struct item_vectors_job *job, const struct fit *fit, int64_t rows)
{
	const char *path = input_name(job->options.ids);
	if (fit->missing == job->catalog.n_items)
		die("%s: its %s %s of the catalog; the first is \"%.100s\"", path, counted(rows, "ids"),
			by_number(rows, "is no item", "are no items"), fit->first_unknown);
	if (fit->unknown)
		warn("%s: %" PRId64 " of %s %s of the catalog, the first is \"%.100s\"", path, fit->unknown,
			counted(rows, "ids"), by_number(fit->unknown, "is no item", "are no items"), fit->first_unknown);
	if (fit->repeated)
		warn("%s: %s %s there before, the first is \"%.100s\": the first vector of each counts", path,
			counted(fit->repeated, "ids"), by_number(fit->repeated, "is", "are"), fit->first_repeated);
	if (fit->missing)
		notice("warning: no vector of %" PRId64 " of %s; %s zero", fit->missing, counted(job->catalog.n_items, "items"),
			by_number(fit->missing, "its is", "theirs are"));
}

void from_file(struct item_vectors_job *job)
{
	const char *path = job->options.vectors;
	size_t size;
	char shape[128];
	struct tensor tensor;
	const void *bytes = file_map(path, &size);
	npy_parse(bytes, size, &tensor, path);
	if (tensor.n_dims != 2 || tensor.shape[1] < 1 || tensor.shape[1] > INT32_MAX)
		die("%s: %s, a row for each item was expected: (items, width)", path, tensor_describe(&tensor, shape));
	struct strings ids = lines_ids(job->options.ids);
	if (ids.count != tensor.shape[0])
		die("%s: %s, and %s has %s: an id for each was expected", input_name(job->options.ids),
			counted(ids.count, "lines"), path, counted(tensor.shape[0], "rows"));
	if (!ids.count)
		die("%s: no rows", path);
	float *rows = tensor_as(&tensor, F4, path);
	take_vectors(job, tensor.shape[1]);
	const struct fit fit = set_rows(job, &ids, rows);
	tell_fit(job, &fit, ids.count);
	json_object_update_new(job->measured,
		json_build("{s:I, s:I, s:I}", "items_without", (json_int_t)fit.missing, "unknown_ids", (json_int_t)fit.unknown,
			"repeated_ids", (json_int_t)fit.repeated));
	free(rows);
	strings_free(&ids);
	file_unmap(bytes, size);
}

/* --- an embedding's, to be joined with --- */

/* Rows of `columns` numbers into rows of `width`, all together brought to a root mean square of 1. */
static void set_columns(const float *from, int64_t rows, int64_t columns, float *to, int64_t width)
{
	const double squares = vec_sum_of_squares(from, rows * columns);
	const float factor = squares > 0 ? (float)sqrt((double)(rows * columns) / squares) : 0;
	for (int64_t row = 0; row < rows; row++)
		for (int64_t i = 0; i < columns; i++)
			to[row * width + i] = factor * from[row * columns + i];
}

void item_vectors_join(struct item_vectors_job *job)
{
	const struct embedding *before = &job->beside;
	const int64_t items = job->catalog.n_items, width = before->width + job->width;
	if (!before->group.complete)
		die("--join: no embedding in the stream to put these vectors beside; an item-project before adds one");
	embedding_check(before, &job->catalog);
	float *joined = xreallocarray(NULL, (size_t)items, (size_t)width * sizeof *joined);
	set_columns(before->vector, items, before->width, joined, width);
	set_columns(job->vectors, items, job->width, joined + before->width, width);
	free(job->vectors);
	job->vectors = joined;
	job->width = width;
	json_set(job->facts, "beside", json_incref(before->group.meta));
}
