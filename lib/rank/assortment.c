#include "rank/assortment.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "data/lines.h"

int64_t assortment_match(struct assortment *assortment, struct model_group *model, const struct catalog *catalog)
{
	assortment->n_items = catalog->n_items;
	if (!strcmp(model->model->belongs_to, catalog->fingerprint) || !model->item_id.count) {
		model_require_catalog(model, catalog);
		return 0;
	}
	int64_t n_new = 0;
	assortment->model_row = xreallocarray(NULL, (size_t)catalog->n_items, sizeof *assortment->model_row);
	for (int64_t item = 0; item < catalog->n_items; item++) {
		const char *id = strings_at(&catalog->item_id, item);
		assortment->model_row[item] = (int32_t)strings_find(&model->item_id, id, strlen(id));
		n_new += assortment->model_row[item] < 0;
	}
	if (n_new == catalog->n_items)
		model_require_catalog(model, catalog);
	return n_new;
}

struct strings ids_read(const char *path)
{
	struct strings ids = {0};
	struct lines *lines = lines_open(path);
	struct buffer scratch = {0};
	const char *line;
	size_t size;
	while (lines_whole(lines, &scratch, &line, &size))
		if (size)
			strings_intern(&ids, line, size);
	if (!ids.count)
		die("%s: no ids; one a line was expected", lines_name(lines));
	lines_close(lines);
	buffer_free(&scratch);
	return ids;
}

void assortment_offer(struct assortment *assortment, struct catalog *catalog, const char *path, bool only)
{
	struct strings ids = ids_read(path);
	int64_t unknown = 0;
	const char *first = NULL;
	assortment->n_items = catalog->n_items;
	bool *listed = xcalloc((size_t)catalog->n_items, sizeof *listed);
	for (int64_t i = 0; i < ids.count; i++) {
		const char *id = strings_at(&ids, i);
		int64_t item = strings_find(&catalog->item_id, id, strlen(id));
		if (item >= 0)
			listed[item] = true;
		else if (!unknown++)
			first = id;
	}
	if (unknown == ids.count)
		die("%s: none of its %" PRId64 " ids is an item of the catalog; the first is \"%.100s\"", path, unknown, first);
	if (unknown)
		warn("%s: %" PRId64 " of %" PRId64 " ids are no items of the catalog, the first is \"%.100s\"", path, unknown,
			ids.count, first);
	if (!assortment->offered) {
		assortment->offered = xcalloc((size_t)catalog->n_items, sizeof *assortment->offered);
		memset(assortment->offered, true, (size_t)catalog->n_items * sizeof *assortment->offered);
	}
	for (int64_t item = 0; item < catalog->n_items; item++)
		assortment->offered[item] &= listed[item] == only;
	free(listed);
	strings_free(&ids);
}

void assortment_count(struct assortment *assortment, const struct sequences *sequences)
{
	if (!assortment->popularity)
		assortment->popularity = xcalloc((size_t)assortment->n_items, sizeof *assortment->popularity);
	for (int64_t i = 0; i < sequences->n_events; i++)
		assortment->popularity[sequences->item[i]]++;
}

void assortment_free(struct assortment *assortment)
{
	free(assortment->model_row);
	free(assortment->offered);
	free(assortment->popularity);
	*assortment = (struct assortment){0};
}
