/*
 * Events (who met what, when) and the texts of items, from tables to what the streams hold: a sequence for each user,
 * a row of the catalog for each item.
 *
 *     dataset_read_items()      optional, first, once for each domain: fixes the order of the catalog
 *     dataset_read_events()     once for each file
 *     dataset_order()           events become sequences, oldest first
 *     dataset_deduplicate(), dataset_core()   in this order, if wanted
 *     dataset_compact()         users and items that are left are numbered
 *
 * Ids are UTF-8 without control characters. Users stand in order of first appearance; items in that of the items
 * file, then of first appearance.
 */
#ifndef RECPIPE_DATASET_H
#define RECPIPE_DATASET_H

#include "data/strings.h"
#include "data/table.h"

#define ATTRIBUTES_MAX 256

/* How a file is to be read. Names of columns, NULL: the first usual name that the header has. */
struct reading {
	const char *user, *item, *time;
	char delimiter; /* 0: by the header */
	bool skip_bad;
	bool keep_entities; /* texts of items are not decoded */
	const char *domain; /* NULL, or what ids get in front: "DOMAIN:id" */
};

/* Cleaned texts: that of item i's attribute a starts at text.data + start[i * n + a]; "" where there is none. */
struct attributes {
	int n;
	char **name;
	int64_t n_items; /* rows with texts: items 0 .. n_items - 1 */
	struct buffer text;
	int64_t *start, capacity;
};

struct event {
	int64_t time;      /* seconds */
	uint32_t fraction; /* nanoseconds, for the order alone */
	int32_t user, item;
};

struct dataset {
	struct strings user_id, item_id;
	struct attributes attributes;
	bool has_time;
	int64_t n_read;      /* events read */
	int64_t n_skipped;   /* rows left out (skip_bad) */
	char *first_problem; /* of the first of them, with its file; or NULL */

	struct event *event; /* until dataset_order() */
	int64_t capacity;

	int64_t n_events;
	int64_t *indptr; /* user_id.count + 1 */
	int32_t *item;
	int64_t *time; /* NULL without a time column */
};

/*
 * attributes: names of text columns in order, NULL-terminated; NULL: every named column but the id, in file order.
 * Attributes of the same name are the same in all domains; those that a domain does not have are empty there.
 * An item listed twice is a wrong row.
 */
void dataset_read_items(struct dataset *dataset, const char *path, const struct reading *reading,
	char *const attributes[]);
void dataset_read_events(struct dataset *dataset, const char *path, const struct reading *reading);

/*
 * Sorts each user's events by time. Equal times keep the order of the file, or are shuffled where rng is not NULL.
 * Without a time column: the order of the file.
 */
void dataset_order(struct dataset *dataset, struct rng *rng);

/* Of events with the same user and item only the first or the last stays. */
enum duplicates { DUPLICATES_KEEP, DUPLICATES_FIRST, DUPLICATES_LAST };
void dataset_deduplicate(struct dataset *dataset, enum duplicates duplicates);

/* Drops users of fewer than min_user events and items of fewer than min_item, until none is left. Returns rounds. */
int dataset_core(struct dataset *dataset, int64_t min_user, int64_t min_item);

/* Forgets users without events, and items without where only_seen is set. */
void dataset_compact(struct dataset *dataset, bool only_seen);

/*
 * Dies where events from first_event on and items have no id in common: one of the columns is the wrong one. Before
 * dataset_order().
 */
void dataset_require_overlap(const struct dataset *dataset, const char *items_path, int64_t first_event);

/* What text there is of item i's attribute a; "" if none. Borrowed. */
const char *dataset_text(const struct dataset *dataset, int64_t item, int attribute);

/* Seconds since 1970 and nanoseconds: a whole or decimal number, or an ISO 8601 date with or without time and zone. */
bool parse_time(const char *text, int64_t *seconds, uint32_t *nanoseconds) MUST_USE;

/* --- what is worth knowing before it is used --- */

struct dataset_facts {
	double mean_length;
	int64_t median_length, longest;
	int64_t unseen_items;   /* of the catalog, in no event */
	int64_t textless_items; /* without any text, where there are attributes */
	double tied_share;      /* of users of two events and more: the last two with one timestamp */
	/* of the training events of leave-one-out, later than a test target; mean over targets */
	double future_share;
};
void dataset_describe(const struct dataset *dataset, struct dataset_facts *facts);
/* How many users have events before this time as well as from it on: those a split by time can test. */
int64_t dataset_split_users(const struct dataset *dataset, int64_t time);

void dataset_free(struct dataset *dataset);

#endif
