/* CSV and TSV as events and as items, with and without --skip-bad: the last byte of the input says which. */
#include <string.h>

#include "data/dataset.h"

/* What table.h promises of every row. */
static void walk(const char *path, bool skip_bad)
{
	struct table *table = table_open(path, &(struct table_format){.skip_bad = skip_bad});
	while (table_next(table))
		for (int i = 0; i < table_columns(table); i++) {
			size_t length;
			const char *text = table_field(table, i, &length);
			if (strlen(text) != length || length > FIELD_MAX)
				__builtin_trap();
		}
	table_close(table);
}

static void fuzz_one(const char *path, const uint8_t *data, size_t size)
{
	int mode = size ? data[size - 1] : 0;
	struct reading reading = {.format.skip_bad = mode & 1};
	struct dataset dataset = {.rules = {.duplicates = (enum duplicates)(mode >> 2 & 3),
								  .shuffle_ties = mode & 16,
								  .seed = 1,
								  .min_user = 2,
								  .min_item = mode & 32 ? 0 : 2,
								  .is_sorted = mode & 32}};
	walk(path, mode & 1);
	if (mode & 2)
		dataset_read_items(&dataset, path, &reading, NULL);
	else
		dataset_read_events(&dataset, path, &reading);
	dataset_check(&dataset);
	dataset_filter(&dataset, mode & 64);
	struct dataset_facts facts;
	dataset_describe(&dataset, &facts);
	dataset_free(&dataset);
}

#include "fuzz.h"
