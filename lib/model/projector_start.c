/* A projector that goes on from an earlier one. */
#include <stdlib.h>
#include <string.h>

#include "model/projector_group.h"
#include "stream/progress.h"

/* A network goes on as it is; items are known to it by their texts alone. */
static void start_network(struct projector *projector, const struct projector *earlier)
{
	if (earlier->kind != PROJECTOR_MLP || earlier->params.size != projector->params.size ||
		earlier->moments != projector->moments)
		die("projector: the stream's is another kind or size than the mlp to be trained");
	memcpy(projector->params.value, earlier->params.value, (size_t)projector->params.size * sizeof(float));
	projector->scale = earlier->scale;
}

/* Rows of items that the earlier projector has; which items it has not. Returns the number of those. */
static int64_t start_rows(struct projector *projector, struct projector *earlier, bool *is_new)
{
	size_t d = (size_t)projector->width;
	float *vectors = xaligned((size_t)earlier->n_items * d, sizeof *vectors);
	int64_t n_new = 0;
	projector_vectors(earlier, vectors);
	for (int64_t item = 0; item < projector->n_items; item++) {
		const char *id = strings_at(&projector->item_id, item);
		int64_t row = strings_find(&earlier->item_id, id, strlen(id));
		is_new[item] = row < 0;
		n_new += row < 0;
		if (row >= 0)
			memcpy(projector->vectors + (size_t)item * d, vectors + (size_t)row * d, d * sizeof *vectors);
	}
	free(vectors);
	return n_new;
}

bool *projector_start(struct projector *projector, const struct projector_group *group, const struct catalog *catalog,
	bool only_new)
{
	struct projector *earlier = group->projector;
	if (strcmp(earlier->tokenizer, projector->tokenizer) || earlier->width != projector->width)
		die("projector: the stream's is of another LLM (tokenizer %s, width %lld; the LLM's: %s, %lld)",
			earlier->tokenizer, (long long)earlier->width, projector->tokenizer, (long long)projector->width);
	if (!only_new && earlier->kind == PROJECTOR_TABLE)
		projector_require_catalog(group, catalog);
	bool *is_new = xcalloc((size_t)projector->n_items, sizeof *is_new);
	if (projector->kind == PROJECTOR_MLP) {
		start_network(projector, earlier);
	} else {
		int64_t n_new = start_rows(projector, earlier, is_new);
		notice("%lld of %s %s from the stream's projector", (long long)(projector->n_items - n_new),
			counted(projector->n_items, "items"), by_number(projector->n_items - n_new, "starts", "start"));
	}
	if (only_new)
		return is_new;
	free(is_new);
	return NULL;
}
