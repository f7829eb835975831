#include "model/item_table.h"

#include <string.h>

#include "model/content.h"
#include "nn/ops.h"
#include "nn/rows.h"
#include "nn/vec.h"

#define MOST_ITEMS (1 << 27)

static const char *const histories_names[] = {"text", "items", NULL};

const struct option item_table_options[] = {
	{.key = "histories",
		CHOICE_OPTION(struct item_table, histories, histories_names),
		.fallback = "text",
		.help = "A history's vector is that of its text, or the mean of its items'"},
	{.key = "item_table", WHOLE_OPTION(struct item_table, rows, 0, MOST_ITEMS), .fallback = "0"},
	{.key = "item_catalog", TEXT_OPTION(struct item_table, catalog), .fallback = ""},
	{.key = "item_vector_scale",
		REAL_OPTION(struct item_table, scale, 1e-3, 1e4),
		.fallback = "10",
		.only = "item_vectors=learned",
		.help = "How many times as fast as the rest items' own vectors learn"},
	{.key = "item_vector_dropout",
		REAL_OPTION(struct item_table, dropout, 0, .99),
		.fallback = "0.1",
		.only = "item_vectors=learned",
		.help = "Dropout of items' own vectors in histories"},
	{0},
};

void item_table_declare(struct item_table *table, struct model *model)
{
	if (!table->rows)
		return;
	for (int i = 0; i < model->params.count && table->histories == HISTORIES_ITEMS; i++)
		param_freeze(model->params.list[i], NULL);
	table->vectors = params_add(&model->params, table->rows, model->width, false, "item_vectors.weight");
}

bool item_table_fits(const struct item_table *table, const struct model *model)
{
	return table->vectors && model->catalog->n_items == table->rows &&
		!strcmp(model->catalog->fingerprint, table->catalog);
}

/* The latest items of all histories, from `indptr` on, and what each weighs: 1 a history. */
static int64_t choose(const struct histories *histories, int64_t items, double decay, int64_t *indptr, int32_t *id,
	float *weight)
{
	int64_t n = 0;
	for (int64_t row = 0; row < histories->rows; row++) {
		const int64_t end = histories->indptr[row + 1], all = end - histories->indptr[row];
		const int64_t count = all < items ? all : items;
		double sum = 0;
		indptr[row] = n;
		for (int64_t back = 0; back < count; back++) {
			const double of_item = history_weight(decay, back);
			id[n] = histories->item[end - 1 - back];
			weight[n++] = (float)of_item;
			sum += of_item;
		}
		for (int64_t at = indptr[row]; at < n; at++)
			weight[at] /= (float)sum;
	}
	return indptr[histories->rows] = n;
}

struct array *item_table_means(struct tape *tape, const struct item_table *table, struct array *vectors,
	const struct histories *histories, int64_t items, double decay)
{
	const int64_t rows = histories->rows, most = histories->indptr[rows] - histories->indptr[0];
	int64_t *indptr = arena_take(&tape->arena, rows + 1, 1, sizeof *indptr);
	int32_t *id = arena_take(&tape->arena, most + 1, 1, sizeof *id);
	float *weight = arena_take(&tape->arena, most + 1, 1, sizeof *weight);
	const int64_t n = choose(histories, items, decay, indptr, id, weight);
	const struct lookup lookup = {vectors, id, -1};
	return weighted_sums(tape, dropped(tape, embedding_sum(tape, &lookup, 1, n), table->dropout), weight, indptr, rows);
}

void item_table_query(const struct model *model, const struct histories *history, double decay, float *query)
{
	const int64_t latest = history->indptr[1] - 1, width = model->width;
	const int64_t reach = history_reach(decay, history->indptr[1] - history->indptr[0]);
	memset(query, 0, (size_t)width * sizeof *query);
	for (int64_t back = 0; back < reach; back++)
		vec_axpy((float)history_weight(decay, back), model->candidates + history->item[latest - back] * width, query,
			width);
}

struct array *item_table_join(struct tape *tape, const struct item_table *table, struct array *text,
	const struct histories *histories, int64_t items, double decay)
{
	struct array *own = item_table_means(tape, table, tape_param(tape, table->vectors), histories, items, decay);
	return add(tape, unit_rows(tape, text, 1), scaled(tape, own, table->scale));
}
