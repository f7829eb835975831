#include "rank/why.h"

#include <stdlib.h>
#include <string.h>

#include "nn/vec.h"
#include "stream/ragged.h"

enum { ITEM, TIME };

/* The history as the model has it, and as it would be without each of its different items. */
struct variants {
	struct ragged packed; /* row 0: whole; row i: without left_out[i - 1] */
	int32_t *left_out;    /* items of the catalog */
	int64_t n;
};

static bool stands_before(const int32_t *items, int64_t n, int32_t item)
{
	for (int64_t i = 0; i < n; i++)
		if (items[i] == item)
			return true;
	return false;
}

static int32_t row_of(const struct assortment *assortment, int32_t item)
{
	return assortment && assortment->model_row ? assortment->model_row[item] : item;
}

/* Appends the history without an item of the catalog; -1: the whole of it. */
static void append_without(struct variants *variants, const struct assortment *assortment,
	const struct histories *history, int32_t left_out)
{
	const int64_t first = history->indptr[0], end = history->indptr[1];
	int64_t start = ragged_add(&variants->packed, end - first), at = start;
	int32_t *row = variants->packed.field[ITEM];
	int64_t *time = variants->packed.field[TIME];
	for (int64_t i = first; i < end; i++) {
		const int32_t item = history->item[i];
		if (item == left_out || row_of(assortment, item) < 0)
			continue;
		row[at] = row_of(assortment, item);
		time[at++] = history->timestamp ? history->timestamp[i] : 0;
	}
	ragged_shorten(&variants->packed, at - start);
}

static struct variants variants_of(const struct assortment *assortment, const struct histories *history)
{
	const int64_t first = history->indptr[0], length = history->indptr[1] - first;
	const int32_t *item = history->item + first;
	struct variants variants = {.packed = RAGGED(I4, I8)};
	ragged_clear(&variants.packed);
	variants.left_out = xreallocarray(NULL, (size_t)length, sizeof *variants.left_out);
	append_without(&variants, assortment, history, -1);
	for (int64_t i = 0; i < length; i++) {
		if (row_of(assortment, item[i]) < 0 || stands_before(variants.left_out, variants.n, item[i]))
			continue;
		variants.left_out[variants.n++] = item[i];
		append_without(&variants, assortment, history, item[i]);
	}
	return variants;
}

/* scores[variant * k + place] of the items recommended. */
static void score_variants(const struct model *model, const struct histories *variants, const int32_t *row, int32_t k,
	float *scores)
{
	const bool has_vectors = !model->architecture->score;
	const int64_t width = has_vectors ? model->width : model_ranked(model);
	float *values = xaligned((size_t)(variants->rows * width), sizeof *values);
	if (has_vectors)
		model_queries(model, variants, values);
	else
		model_scores(model, variants, values);
	for (int64_t variant = 0; variant < variants->rows; variant++)
		for (int32_t place = 0; place < k; place++)
			scores[variant * k + place] = has_vectors ?
				vec_dot(values + variant * width, model_item_vectors(model) + row[place] * width, width) :
				values[variant * width + row[place]];
	free(values);
}

/* The two left out whose score is least, where it is below that of the whole. */
static struct why choose(const struct variants *variants, const float *scores, int32_t k, int32_t place)
{
	struct why why;
	float least[WHY_ITEMS];
	for (int i = 0; i < WHY_ITEMS; i++) {
		why.item[i] = -1;
		least[i] = scores[place];
	}
	for (int64_t variant = 0; variant < variants->n; variant++) {
		const float score = scores[(variant + 1) * k + place];
		int at = WHY_ITEMS;
		while (at && score < least[at - 1])
			at--;
		for (int i = WHY_ITEMS - 1; i > at; i--) {
			least[i] = least[i - 1];
			why.item[i] = why.item[i - 1];
		}
		if (at < WHY_ITEMS) {
			least[at] = score;
			why.item[at] = variants->left_out[variant];
		}
	}
	return why;
}

void explain(const struct model *model, const struct assortment *assortment, const struct histories *history,
	const int32_t *item, int32_t k, struct why *why)
{
	int32_t found = 0, *row = xreallocarray(NULL, (size_t)k, sizeof *row);
	for (; found < k && item[found] >= 0; found++)
		row[found] = row_of(assortment, item[found]);
	struct variants variants = variants_of(assortment, history);
	const int64_t rows = variants.packed.rows;
	float *scores = xreallocarray(NULL, (size_t)(rows * found), sizeof *scores);
	const struct histories all = {rows, variants.packed.indptr, variants.packed.field[ITEM],
		history->timestamp ? variants.packed.field[TIME] : NULL};
	score_variants(model, &all, row, found, scores);
	for (int32_t place = 0; place < found; place++)
		why[place] = choose(&variants, scores, found, place);
	ragged_free(&variants.packed);
	free(variants.left_out);
	free(scores);
	free(row);
}
