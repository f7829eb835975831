/*
 * Events (who met what, when) and the texts of items, from tables to what the streams hold: a sequence for each user,
 * a row of the catalog for each item.
 *
 *     dataset_read_items()      optional, first, once for each domain: fixes the order of the catalog
 *     dataset_read_events()     once for each file
 *     dataset_check()           what was read is looked at as a whole
 *     dataset_filter()          events become sequences, oldest first; some are left out; what is left is numbered
 *     dataset_next_part()       the sequences, as often as one likes
 *
 * Ids are UTF-8 without control characters. Users stand in order of first appearance; items in that of the items
 * file, then of first appearance.
 *
 * Events that come sorted by user and time become sequences as they are read, and those wait in a temporary file with
 * the ids of their users: what stays in memory are the ids of items, and figures for each of them.
 */
#ifndef RECPIPE_DATASET_H
#define RECPIPE_DATASET_H

#include "data/columns.h"
#include "data/strings.h"
#include "data/table.h"
#include "data/text.h"
#include "data/times.h"
#include "stream/json.h"
#include "stream/spool.h"

#define ATTRIBUTES_MAX 256

/* How a file is to be read. */
struct reading {
	struct table_format format;
	const char *column[N_ROLES]; /* names; NULL: the first usual name that the header has */
	struct text_rules text;      /* of items */
	bool has_min_rating;
	double min_rating;  /* events rated lower are left out */
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

/* Where the events of a user are who came with a list of them (RecBole's benchmark files): the longest list counts. */
struct history {
	int64_t first;
	int32_t length; /* 0: came without a list */
};

/* Of events with the same user and item EXACT leaves the first at one time, FIRST and LAST that one alone. */
enum duplicates { DUPLICATES_KEEP, DUPLICATES_EXACT, DUPLICATES_FIRST, DUPLICATES_LAST };
extern const char *const duplicates_names[]; /* "keep", "exact", "first", "last", NULL */

/* What is left out, and the order of what has one time. */
struct dataset_rules {
	enum duplicates duplicates;
	bool shuffle_ties; /* else the file's order stays */
	uint64_t seed;
	int64_t min_user, min_item; /* k-core: users and items of fewer events go, until there are none */
	bool is_sorted;             /* the events are, by user and time: each file in itself, and no user is in two */
};

/* How much went for which rule. */
struct dataset_dropped {
	int64_t duplicates, core_events, users, items;
	int core_rounds;
};

/* Sequences of users that follow one another: the one of user first_user + u is [indptr[u], indptr[u + 1]). */
struct dataset_part {
	int64_t first_user, n_users, n_events;
	int64_t *indptr; /* from 0 */
	int32_t *item;
	int64_t *time;      /* NULL without a time column */
	uint32_t *fraction; /* of times; NULL where all are whole seconds, and once the events are in order */
};

/* Ids that look wrong without being so for sure. */
struct doubt {
	bool *is_so; /* by id, for the first n_ids of them */
	int64_t n_ids, n_events;
	char *example; /* NULL: there is none */
};

/* What tells of sorted input whether a user is new. */
struct user_order {
	bool is_lost[2]; /* that ids ascend by their bytes; that they do by length, then bytes, as numbers */
	uint64_t *print; /* where they do neither, the fingerprints of all: open addressing, 0 is empty */
	int64_t n, n_slots;
};

struct dataset {
	struct dataset_rules rules;      /* to be set before events are read */
	struct strings user_id, item_id; /* users: those of the part, where input is sorted */
	struct attributes attributes;
	struct time_column times; /* its format may be set before the first file */
	bool has_time, has_fractions;
	int64_t n_read;      /* events read */
	int64_t n_skipped;   /* rows left out (skip_bad) */
	char *first_problem; /* of the first of them, with its file; or NULL */
	int64_t n_low_rated; /* events left out for their rating */
	int64_t n_repeated;  /* events of the same user, item and time as another before; known after dataset_filter() */
	struct dataset_dropped dropped;
	/* What people should know: the columns taken, and what looks wrong without being so for sure; a line each. */
	struct strings notes;

	struct event *event; /* n_held of them, that are not in sequences yet */
	int64_t n_held, capacity;
	struct history *history; /* by user, n_histories of them; NULL: no file had lists */
	int64_t n_histories, n_dropped;
	int64_t n_described; /* events read whose item the items file lists */
	int64_t first_item;  /* of the first event since it was set to -1 */
	struct doubt no_user, no_item, lists;
	int normal_form;       /* in text_normal_forms: of the attributes' texts */
	bool has_domains;      /* ids are "DOMAIN:id" */
	char *columns;         /* those of the last table, as they were told */
	char *others[N_ROLES]; /* columns that could be meant, too */
	char *finer_time;      /* a column not taken, finer than days; where no time was taken, one that has dates */

	int64_t n_users, n_events; /* in sequences; where input is sorted, users that were begun while it is read */
	struct time last_time;     /* of sorted input's last event */
	struct user_order order;
	struct dataset_part part;
	struct rng ties;
	/* Where input is sorted, parts wait here, and lack what is left out of them later. */
	struct spool kept;
	bool skips_users; /* those without events */
	int32_t *new_row; /* by item; NULL: rows stay */
};

/*
 * attributes: names of text columns in order, NULL-terminated; NULL: every named column but the id, the title first,
 * the others in file order.
 * Attributes of the same name are the same in all domains; those that a domain does not have are empty there.
 * An item listed twice is a wrong row.
 */
void dataset_read_items(struct dataset *dataset, const char *path, const struct reading *reading,
	char *const attributes[]);
/*
 * Rows of a user, an item and mostly a time, or of a user, the items met before and an item: of these rows the longest
 * of a user counts, the later of equal ones; they have no times.
 */
void dataset_read_events(struct dataset *dataset, const char *path, const struct reading *reading);
/* Adds a note. */
void dataset_note(struct dataset *dataset, const char *format, ...) PRINTF_LIKE(2, 3);
/* Counts the events that are held and whose ids may stand for none, or be lists. */
void dataset_doubt(struct dataset *dataset);
/* Adds notes on what only shows in all that was read: ids that stand for none, days without times, lists as items. */
void dataset_check(struct dataset *dataset);

/*
 * By the dataset's rules. Events become sequences, each user's sorted by time. Equal times keep the order of the file,
 * or are shuffled; without a time column all do. Users without events are forgotten; items, where only_seen is set.
 * Dies where no event is left.
 */
void dataset_filter(struct dataset *dataset, bool only_seen);
/*
 * The next sequences in dataset->part; false behind the last. *begun is the caller's: false at first, and so again at
 * the end. All are in one part unless they wait in a file, and then one reader at a time has to reach their end.
 */
bool dataset_next_part(struct dataset *dataset, bool *begun) MUST_USE;
/* Of sorted input, while it is read: the sequences of all users but those still to begin are whole. */
void dataset_end_part(struct dataset *dataset);
/* Of sorted input, while it is read: shows the ids of all users so far. */
void dataset_look_back(struct dataset *dataset, void (*look)(void *context, const char *id), void *context);

/*
 * Dies where, of the events read since first_item was set to -1, none has an item that is listed, as there were
 * `described` before: one of the columns is the wrong one.
 */
void dataset_require_overlap(const struct dataset *dataset, const char *items_path, int64_t described);

/* What text there is of item i's attribute a; "" if none. Borrowed. */
const char *dataset_text(const struct dataset *dataset, int64_t item, int attribute);

/* --- what is worth knowing before it is used --- */

struct dataset_facts {
	double mean_length;
	int64_t median_length, longest;
	int64_t unseen_items;   /* of the catalog, in no event */
	int64_t textless_items; /* without any text, where there are attributes */
	double tied_share;      /* of users of two events and more: the last two with one timestamp */
	uint64_t fingerprint;   /* of ids and sequences */
	/* of the training events of leave-one-out, later than a test target; mean over targets */
	double future_share;
};
void dataset_describe(struct dataset *dataset, struct dataset_facts *facts);
/* What people should know of what was read, as notices; and the figures for the history. */
void dataset_tell(const struct dataset *dataset, const struct dataset_facts *facts);
json_t *dataset_facts_json(const struct dataset *dataset, const struct dataset_facts *facts);
/*
 * How many users have events before this time as well as from it on: those a split by time can test. A time of another
 * unit, or beyond the data, would leave none: it dies then, with the option as it was given.
 */
int64_t dataset_split_users(struct dataset *dataset, int64_t time, const char *option);

void dataset_free(struct dataset *dataset);

#endif
