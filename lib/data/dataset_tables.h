/*
 * The tables that a dataset is read from: events and items, or those of several domains.
 */
#ifndef RECPIPE_DATASET_TABLES_H
#define RECPIPE_DATASET_TABLES_H

#include "data/dataset.h"

struct domain {
	char *name; /* of its ids: "NAME:id" */
	char *items;
	char **events; /* paths, NULL-terminated */
};

struct tables {
	const char *items; /* path; NULL: ids alone */
	char **events;     /* paths, NULL-terminated */
	struct domain *domains;
	int n_domains; /* 0: items and events as above */
	struct reading reading;
	/* as in table_format, for files whose first line does not name the columns */
	char **events_columns, **items_columns;
	char **attributes;       /* names of text columns; NULL: all */
	const char *time_format; /* NULL: by what there is */
};

/* Adds a domain from "NAME=ITEMS,EVENTS,...". Returns NULL, or what was expected. */
MUST_USE const char *tables_add_domain(struct tables *tables, const char *text);
void tables_free(struct tables *tables);
/* Whether there are texts of items. */
bool tables_have_items(const struct tables *tables);

/*
 * Reads them all into an empty dataset, and looks at what was read as a whole. Items come before events: the catalog
 * begins with those that have texts. Dies where a file has no events, has no times although they are needed for
 * `needs_time`, or shares no item with those it should.
 */
void dataset_read_tables(struct dataset *dataset, const struct tables *tables, const char *needs_time);

#endif
