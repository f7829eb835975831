#include "data/dataset_tables.h"

#include <stdlib.h>
#include <string.h>

#include "data/utf8.h"
#include "stream/option.h"

static bool is_domain_name(const char *name)
{
	for (const char *byte = name; *byte; byte++)
		if ((unsigned char)*byte <= ' ' || *byte == ':' || *byte == 127)
			return false;
	return *name && utf8_is_valid(name, strlen(name));
}

const char *tables_add_domain(struct tables *tables, const char *text)
{
	size_t length = strcspn(text, "=");
	char **files = text[length] ? split_list(text + length + 1) : NULL;
	if (!files || !length || !files[0] || !files[1]) {
		free(files);
		return "NAME=ITEMS,EVENTS was expected";
	}
	struct domain domain = {.name = xstrndup(text, length), .items = files[0], .events = files + 1};
	tables->domains = xreallocarray(tables->domains, (size_t)tables->n_domains + 1, sizeof domain);
	tables->domains[tables->n_domains++] = domain;
	for (int i = 0; i < tables->n_domains - 1; i++)
		if (!strcmp(tables->domains[i].name, domain.name))
			return "a domain of this name was given before";
	return is_domain_name(domain.name) ? NULL : "a name in UTF-8 without blanks and colons was expected";
}

void tables_free(struct tables *tables)
{
	for (int i = 0; i < tables->n_domains; i++) {
		free(tables->domains[i].name);
		free(tables->domains[i].events - 1); /* the list that begins with its items */
	}
	free(tables->domains);
	free(tables->events_columns);
	free(tables->items_columns);
	free(tables->attributes);
}

bool tables_have_items(const struct tables *tables)
{
	return tables->items || tables->n_domains;
}

static void read_items(struct dataset *dataset, const char *path, const char *domain, const struct tables *tables)
{
	struct reading reading = tables->reading;
	const int64_t before = dataset->item_id.count;
	reading.format.columns = tables->items_columns;
	reading.domain = domain;
	dataset_read_items(dataset, path, &reading, tables->attributes);
	if (!dataset->attributes.n)
		die("%s: no text column beside the id", input_name(path));
	if (dataset->item_id.count == before && dataset->first_problem)
		die("no items but %s, the first: %s", counted(dataset->n_skipped, "wrong rows"), dataset->first_problem);
	if (dataset->item_id.count == before)
		die("%s: no items", input_name(path));
}

/* items: the path of those that the events are of, or NULL. */
static void read_events(struct dataset *dataset, char *const paths[], const char *domain, const char *items,
	const struct tables *tables, const char *needs_time)
{
	struct reading reading = tables->reading;
	int64_t before = dataset->n_read, described = dataset->n_described;
	reading.format.columns = tables->events_columns;
	reading.domain = domain;
	dataset->first_item = -1;
	for (char *const *path = paths; *path; path++)
		dataset_read_events(dataset, *path, &reading);
	const char *name = input_name(*paths);
	if (dataset->n_read == before && dataset->first_problem)
		die("no events but %s, the first: %s", counted(dataset->n_skipped, "wrong rows"), dataset->first_problem);
	if (dataset->n_read == before)
		die("%s: no events", name);
	if (needs_time && !dataset->has_time)
		die("%s: %s without a time column", name, needs_time);
	if (items)
		dataset_require_overlap(dataset, items, described);
}

void dataset_read_tables(struct dataset *dataset, const struct tables *tables, const char *needs_time)
{
	const struct domain *domains = tables->domains;
	dataset->times.format = tables->time_format;
	dataset->has_domains = tables->n_domains;
	for (int i = 0; i < tables->n_domains; i++)
		read_items(dataset, domains[i].items, domains[i].name, tables);
	for (int i = 0; i < tables->n_domains; i++)
		read_events(dataset, domains[i].events, domains[i].name, domains[i].items, tables, needs_time);
	if (tables->items)
		read_items(dataset, tables->items, NULL, tables);
	if (!tables->n_domains)
		read_events(dataset, tables->events, NULL, tables->items, tables, needs_time);
	dataset_check(dataset);
}
