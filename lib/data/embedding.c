#include "data/embedding.h"

#include <stdlib.h>
#include <string.h>

static struct column vector_column(int64_t width)
{
	return (struct column){"vector", COLUMN_WIDE, F4, width};
}

static void begin(void *group, const char *where)
{
	struct embedding *embedding = group;
	group_fingerprint(&embedding->group, "catalog", embedding->catalog, where);
	embedding->width = json_get_int(embedding->group.meta, "width", 1, INT32_MAX, where);
}

static void chunk(void *group, const struct chunk *chunk)
{
	struct embedding *embedding = group;
	const struct column column = vector_column(embedding->width);
	const size_t width = (size_t)embedding->width, rows = (size_t)embedding->rows, more = (size_t)chunk->rows;
	const float *vector = chunk_numbers(chunk, &column);
	embedding->vector = xreallocarray(embedding->vector, rows + more, width * sizeof *vector);
	if (more)
		memcpy(embedding->vector + rows * width, vector, more * width * sizeof *vector);
	embedding->rows += chunk->rows;
}

void embedding_free(struct embedding *embedding)
{
	group_free(&embedding->group);
	free(embedding->vector);
	*embedding = (struct embedding){.rows = 0};
}

static void free_group(void *group)
{
	embedding_free(group);
}

const struct group_kind embedding_group = {
	.name = "embedding",
	.writer = "item-project writes one",
	.format = 1,
	.begin = begin,
	.chunk = chunk,
	.free = free_group,
};

void embedding_check(const struct embedding *embedding, const struct catalog *catalog)
{
	group_require(&catalog_group, &catalog->group);
	group_require(&embedding_group, &embedding->group);
	catalog_require(catalog, &embedding_group, &embedding->group, embedding->catalog, NULL);
	if (embedding->rows != catalog->n_items)
		die("embedding: %s, the catalog has %s", counted(embedding->rows, "vectors"),
			counted(catalog->n_items, "items"));
}

void embedding_write(struct bag_out *out, const struct catalog *catalog, const float *vectors, int64_t width,
	const char *source, json_t *facts)
{
	uint64_t id = fingerprint(FINGERPRINT_START, catalog->fingerprint, 16);
	id = fingerprint(id, vectors, (size_t)(catalog->n_items * width) * sizeof *vectors);
	json_t *meta = json_build("{s:s, s:I, s:s}", "catalog", catalog->fingerprint, "width", (json_int_t)width, "source",
		source);
	json_object_update(meta, facts);
	const struct column column = vector_column(width);
	bag_begin(out, &embedding_group, id, 1, 1, meta);
	bag_add_rows(out, catalog->n_items, &column, (const void *[]){vectors}, 1);
	bag_end(out);
}
