#include "data/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data/text.h"
#include "stream/progress.h"

/* --- columns by their usual names: case, blanks, '_' and '-' do not count; earlier names win --- */

static const char *const user_names[] = {"userid", "user", "uid", "customerid", "customer", "reviewerid", "reviewer",
	"visitorid", "accountid", "memberid", "clientid", "profileid", "playerid", "steamid", "sessionid", "session", NULL};
static const char *const item_names[] = {"itemid", "item", "iid", "parentasin", "asin", "movieid", "movie", "productid",
	"product", "sku", "isbn", "bookid", "articleid", "newsid", "trackid", "songid", "artistid", "videoid", "businessid",
	"gmapid", "gameid", "stockcode", "contentid", NULL};
/* of items in their own file only: among events it numbers rows */
static const char *const id_names[] = {"id", NULL};
static const char *const time_names[] = {"timestamp", "time", "unixreviewtime", "unixtime", "datetime", "date",
	"eventtime", "eventdate", "createdat", "reviewtime", "invoicedate", "tdat", "ts", NULL};

static bool is_named(const char *column, const char *name)
{
	for (; *column; column++) {
		if (strchr(" _-", *column))
			continue;
		char lower = *column >= 'A' && *column <= 'Z' ? (char)(*column + 32) : *column;
		if (lower != *name++)
			return false;
	}
	return !*name;
}

static int find_usual(const struct table *table, const char *const names[])
{
	for (int i = 0; names[i]; i++)
		for (int column = 0; column < table_columns(table); column++)
			if (is_named(table_column(table, column), names[i]))
				return column;
	return -1;
}

static _Noreturn void die_column(const struct table *table, const char *what)
{
	die("%s: no %s; the columns are %s", table_name(table), what, table_column_list(table));
}

/* role: "user"; its option is --user-column. -1: none is named so, and none was asked for. */
static int find_column(const struct table *table, const char *wanted, const char *const usual[], const char *role)
{
	if (!wanted)
		return find_usual(table, usual);
	int column = table_find(table, wanted);
	if (column < 0)
		die_column(table, xasprintf("column %s (the %s)", wanted, role));
	return column;
}

static int need_column(const struct table *table, const char *wanted, const char *const usual[], const char *role)
{
	int column = find_column(table, wanted, usual, role);
	if (column < 0)
		die_column(table, xasprintf("%s column by a usual name (name it with --%s-column)", role, role));
	return column;
}

/* NULL: may be an id */
static const char *problem_of_id(const char *text, size_t length)
{
	if (!length)
		return "empty, an id was expected";
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			return "a control character inside an id";
	return NULL;
}

/* --- times --- */

static bool parse_fraction(const char **text, uint32_t *nanoseconds)
{
	uint32_t unit = 100000000;
	const char *digit = *text;
	for (; *digit >= '0' && *digit <= '9'; digit++, unit /= 10)
		*nanoseconds += unit * (uint32_t)(*digit - '0');
	bool any = digit > *text;
	*text = digit;
	return any;
}

/* Z, +hh, +hhmm, +hh:mm or nothing */
static bool parse_zone(const char *text, int64_t *seconds)
{
	*seconds = 0;
	if (!*text || !strcmp(text, "Z") || !strcmp(text, "z") || !strcmp(text, " UTC"))
		return true;
	int hours = 0, minutes = 0, used = 0;
	if ((*text != '+' && *text != '-') || strspn(text + 1, "0123456789:") != strlen(text + 1))
		return false;
	if (sscanf(text + 1, "%2d%n", &hours, &used) != 1 || used != 2)
		return false;
	const char *rest = text + 3 + (text[3] == ':');
	if (*rest && (strlen(rest) != 2 || sscanf(rest, "%2d", &minutes) != 1))
		return false;
	*seconds = (*text == '-' ? -60 : 60) * (int64_t)(hours * 60 + minutes);
	return hours < 24 && minutes < 60;
}

/* 2011-11-21, 2011-11-21T08:26, 2011-11-21 08:26:00.5+01:00; UTC where no zone is given */
static bool parse_iso8601(const char *text, int64_t *seconds, uint32_t *nanoseconds)
{
	struct tm date = {0};
	if (text[0] < '0' || text[0] > '9' || strspn(text, "0123456789") != 4)
		return false;
	const char *rest = strptime(text, "%Y-%m-%d", &date);
	if (!rest)
		return false;
	struct tm given = date;
	if (*rest == 'T' || *rest == ' ') {
		rest = strptime(rest + 1, "%H:%M", &given);
		const char *with_seconds = rest && *rest == ':' ? strptime(rest, ":%S", &given) : rest;
		if (!with_seconds)
			return false;
		rest = with_seconds;
		if (*rest == '.' && (rest++, !parse_fraction(&rest, nanoseconds)))
			return false;
	}
	int64_t zone;
	if (!parse_zone(rest, &zone))
		return false;
	date = given;
	*seconds = (int64_t)timegm(&date) - zone;
	/* timegm() reads 30 February as 2 March */
	return date.tm_mday == given.tm_mday && date.tm_mon == given.tm_mon;
}

bool parse_time(const char *text, int64_t *seconds, uint32_t *nanoseconds)
{
	*nanoseconds = 0;
	if (!*text || *text == ' ' || *text == '\t')
		return false;
	if (parse_int(text, INT64_MIN + 1, INT64_MAX, seconds) || parse_iso8601(text, seconds, nanoseconds))
		return true;
	*nanoseconds = 0;
	double value;
	if (strspn(text, "+-.0123456789eE") != strlen(text) || !parse_float(text, -9e18, 9e18, &value))
		return false;
	*seconds = (int64_t)floor(value);
	*nanoseconds = (uint32_t)((value - floor(value)) * 1e9);
	return true;
}

/* --- reading --- */

static struct table *open_table(const char *path, const struct reading *reading, struct progress *progress)
{
	struct table *table = table_open(path, reading->delimiter, reading->skip_bad);
	int64_t done, total;
	table_progress(table, &done, &total);
	progress_start(progress, "MB", total / 1000000);
	return table;
}

static void show_progress(const struct table *table, int64_t row, struct progress *progress)
{
	if (row % 65536)
		return;
	int64_t done, total;
	table_progress(table, &done, &total);
	progress_at(progress, done / 1000000, table_name(table));
}

static void close_table(struct dataset *dataset, struct table *table, struct progress *progress)
{
	progress_end(progress);
	if (table_first_problem(table) && !dataset->first_problem)
		dataset->first_problem = xasprintf("%s: %s", table_name(table), table_first_problem(table));
	dataset->n_skipped += table_skipped(table);
	table_close(table);
}

/* The attribute of this name that the file has no column for yet; a new one where there is none. */
static int attribute_named(struct attributes *attributes, const char *name, const int column[], const char *file)
{
	for (int i = 0; i < attributes->n; i++)
		if (!strcmp(attributes->name[i], name) && column[i] < 0)
			return i;
	if (attributes->n == ATTRIBUTES_MAX)
		die("%s: more than %d attributes; choose some with --attributes", file, ATTRIBUTES_MAX);
	attributes->name = xreallocarray(attributes->name, (size_t)attributes->n + 1, sizeof *attributes->name);
	attributes->name[attributes->n] = xstrdup(name);
	return attributes->n++;
}

/* Column numbers by attribute, -1 where the file has none; new attributes are added. */
static void find_attributes(struct attributes *attributes, const struct table *table, int id, char *const names[],
	bool all, int column[ATTRIBUTES_MAX])
{
	for (int i = 0; i < ATTRIBUTES_MAX; i++)
		column[i] = -1;
	for (int i = 0; names && names[i]; i++) {
		int found = table_find(table, names[i]);
		if (found < 0 && all)
			die_column(table, xasprintf("column %s (an attribute)", names[i]));
		column[attribute_named(attributes, names[i], column, table_name(table))] = found;
	}
	for (int i = 0; !names && i < table_columns(table); i++)
		if (i != id && *table_column(table, i))
			column[attribute_named(attributes, table_column(table, i), column, table_name(table))] = i;
}

static void make_room(struct attributes *attributes, int64_t capacity)
{
	size_t entries = (size_t)capacity * (size_t)attributes->n;
	attributes->capacity = capacity;
	attributes->start = xreallocarray(attributes->start, entries, sizeof *attributes->start);
}

/* The items so far get empty texts for the attributes from `before` on. */
static void widen(struct attributes *attributes, int before)
{
	if (attributes->n == before || !attributes->n_items)
		return;
	make_room(attributes, attributes->capacity);
	int64_t empty = (int64_t)attributes->text.size;
	buffer_append(&attributes->text, "", 1);
	for (int64_t item = attributes->n_items; item-- > 0;) {
		int64_t *start = attributes->start + item * attributes->n;
		memmove(start, attributes->start + item * before, (size_t)before * sizeof *start);
		for (int i = before; i < attributes->n; i++)
			start[i] = empty;
	}
}

static void add_texts(struct attributes *attributes, const struct table *table, const int column[], bool keep_entities)
{
	if (attributes->n_items == attributes->capacity || !attributes->start)
		make_room(attributes, attributes->n_items ? attributes->n_items * 2 : 1024);
	int64_t *start = attributes->start + attributes->n_items++ * attributes->n;
	for (int i = 0; i < attributes->n; i++) {
		size_t length = 0;
		const char *text = column[i] < 0 ? "" : table_field(table, column[i], &length);
		start[i] = (int64_t)attributes->text.size;
		text_clean(&attributes->text, text, length, !keep_entities);
	}
}

/* The id as it is known, "DOMAIN:id" where there is a domain; in scratch. */
static const char *full_id(const struct reading *reading, struct buffer *scratch, const char *id, size_t *length)
{
	if (!reading->domain)
		return id;
	scratch->size = 0;
	buffer_append(scratch, reading->domain, strlen(reading->domain));
	buffer_append(scratch, ":", 1);
	buffer_append(scratch, id, *length + 1);
	*length = scratch->size - 1;
	return scratch->data;
}

void dataset_read_items(struct dataset *dataset, const char *path, const struct reading *reading,
	char *const attributes[])
{
	struct progress progress;
	struct table *table = open_table(path, reading, &progress);
	int id = find_column(table, reading->item, item_names, "item id");
	if (id < 0)
		id = find_usual(table, id_names);
	if (id < 0)
		die_column(table, "item id column by a usual name (name it with --item-id-column)");
	int column[ATTRIBUTES_MAX], before = dataset->attributes.n;
	find_attributes(&dataset->attributes, table, id, attributes, !reading->domain, column);
	widen(&dataset->attributes, before);
	struct buffer scratch = {0};
	for (int64_t row = 1; table_next(table); row++) {
		size_t length;
		const char *text = table_field(table, id, &length), *problem = problem_of_id(text, length);
		text = full_id(reading, &scratch, text, &length);
		if (!problem && strings_find(&dataset->item_id, text, length) >= 0)
			problem = "this item was listed before";
		if (problem) {
			table_reject(table, id, problem);
			continue;
		}
		strings_add(&dataset->item_id, text, length);
		add_texts(&dataset->attributes, table, column, reading->keep_entities);
		show_progress(table, row, &progress);
	}
	buffer_free(&scratch);
	close_table(dataset, table, &progress);
}

static struct event *new_event(struct dataset *dataset)
{
	if (dataset->n_read == dataset->capacity) {
		dataset->capacity = dataset->capacity ? dataset->capacity * 2 : 4096;
		dataset->event = xreallocarray(dataset->event, (size_t)dataset->capacity, sizeof *dataset->event);
	}
	return &dataset->event[dataset->n_read++];
}

/* Files often hold a user's events together. */
static int32_t intern_user(struct strings *ids, int32_t last, const char *text, size_t length)
{
	if (last >= 0 && !strcmp(strings_at(ids, last), text))
		return last;
	return (int32_t)strings_intern(ids, text, length);
}

static bool reject_id(struct table *table, int column)
{
	size_t length;
	const char *text = table_field(table, column, &length), *problem = problem_of_id(text, length);
	if (problem)
		table_reject(table, column, problem);
	return problem;
}

void dataset_read_events(struct dataset *dataset, const char *path, const struct reading *reading)
{
	struct progress progress;
	struct table *table = open_table(path, reading, &progress);
	int user = need_column(table, reading->user, user_names, "user");
	int item = need_column(table, reading->item, item_names, "item");
	int time = find_column(table, reading->time, time_names, "time");
	if (user == item || user == time || item == time)
		die("%s: column %s cannot be two things at once", table_name(table),
			table_column(table, user == item ? user : time));
	if (dataset->n_read && dataset->has_time != (time >= 0))
		die("%s: %s time column, unlike the events before", table_name(table), time < 0 ? "no" : "a");
	dataset->has_time = time >= 0;
	int32_t last_user = -1;
	struct buffer scratch = {0};
	for (int64_t row = 1; table_next(table); row++) {
		struct event event = {0};
		show_progress(table, row, &progress);
		if (reject_id(table, user) || reject_id(table, item))
			continue;
		if (time >= 0 && !parse_time(table_field(table, time, NULL), &event.time, &event.fraction)) {
			table_reject(table, time, "a time was expected, in seconds or as 2011-11-21T08:26:00");
			continue;
		}
		size_t length;
		const char *text = table_field(table, user, &length);
		text = full_id(reading, &scratch, text, &length);
		event.user = last_user = intern_user(&dataset->user_id, last_user, text, length);
		text = table_field(table, item, &length);
		text = full_id(reading, &scratch, text, &length);
		event.item = (int32_t)strings_intern(&dataset->item_id, text, length);
		*new_event(dataset) = event;
	}
	buffer_free(&scratch);
	close_table(dataset, table, &progress);
}

void dataset_require_overlap(const struct dataset *dataset, const char *items_path, int64_t first_event)
{
	int64_t listed = dataset->attributes.n_items;
	for (int64_t i = first_event; i < dataset->n_read; i++)
		if (dataset->event[i].item < listed)
			return;
	die("%s: none of its %lld items is in the events, whose first item is '%s' (are these the columns of the ids?)",
		items_path, (long long)listed, strings_at(&dataset->item_id, dataset->event[first_event].item));
}

/* --- sequences --- */

static int by_time(const void *a, const void *b, void *events)
{
	const struct event *left = (struct event *)events + *(const int64_t *)a;
	const struct event *right = (struct event *)events + *(const int64_t *)b;
	if (left->time != right->time)
		return left->time < right->time ? -1 : 1;
	if (left->fraction != right->fraction)
		return left->fraction < right->fraction ? -1 : 1;
	return left < right ? -1 : left > right;
}

static bool is_sorted(const struct event *event, const int64_t *row, int64_t count)
{
	for (int64_t i = 1; i < count; i++)
		if (by_time(&row[i - 1], &row[i], (void *)(uintptr_t)event) > 0)
			return false;
	return true;
}

/* Fisher-Yates within each run of equal times. */
static void shuffle_ties(const struct event *event, int64_t *row, int64_t count, struct rng *rng)
{
	for (int64_t begin = 0, end; begin < count; begin = end) {
		const struct event *first = &event[row[begin]];
		for (end = begin + 1; end < count; end++)
			if (event[row[end]].time != first->time || event[row[end]].fraction != first->fraction)
				break;
		for (int64_t i = end - begin - 1; i > 0; i--) {
			int64_t other = begin + (int64_t)rng_below(rng, (uint64_t)i + 1), kept = row[begin + i];
			row[begin + i] = row[other];
			row[other] = kept;
		}
	}
}

/* Rows of the events, those of a user together and in file order; dataset->indptr says where. */
static int64_t *gather_by_user(struct dataset *dataset)
{
	int64_t users = dataset->user_id.count;
	dataset->indptr = xcalloc((size_t)users + 1, sizeof *dataset->indptr);
	for (int64_t i = 0; i < dataset->n_read; i++)
		dataset->indptr[dataset->event[i].user + 1]++;
	for (int64_t user = 0; user < users; user++)
		dataset->indptr[user + 1] += dataset->indptr[user];
	int64_t *row = xreallocarray(NULL, (size_t)dataset->n_read, sizeof *row);
	int64_t *next = xreallocarray(NULL, (size_t)users, sizeof *next);
	if (users)
		memcpy(next, dataset->indptr, (size_t)users * sizeof *next);
	for (int64_t i = 0; i < dataset->n_read; i++)
		row[next[dataset->event[i].user]++] = i;
	free(next);
	return row;
}

void dataset_order(struct dataset *dataset, struct rng *rng)
{
	int64_t *row = gather_by_user(dataset);
	for (int64_t user = 0; user < dataset->user_id.count && dataset->has_time; user++) {
		int64_t *first = row + dataset->indptr[user], count = dataset->indptr[user + 1] - dataset->indptr[user];
		if (!is_sorted(dataset->event, first, count))
			qsort_r(first, (size_t)count, sizeof *first, by_time, dataset->event);
		if (rng)
			shuffle_ties(dataset->event, first, count, rng);
	}
	dataset->n_events = dataset->n_read;
	dataset->item = xreallocarray(NULL, (size_t)dataset->n_events, sizeof *dataset->item);
	dataset->time = dataset->has_time ? xreallocarray(NULL, (size_t)dataset->n_events, sizeof *dataset->time) : NULL;
	for (int64_t i = 0; i < dataset->n_events; i++) {
		dataset->item[i] = dataset->event[row[i]].item;
		if (dataset->time)
			dataset->time[i] = dataset->event[row[i]].time;
	}
	free(row);
	free(dataset->event);
	dataset->event = NULL;
}

/* Events whose item is -1 go; users stay, if with nothing. */
static void remove_marked(struct dataset *dataset)
{
	int64_t kept = 0, begin = 0;
	for (int64_t user = 0; user < dataset->user_id.count; user++) {
		int64_t end = dataset->indptr[user + 1];
		for (int64_t i = begin; i < end; i++) {
			if (dataset->item[i] < 0)
				continue;
			dataset->item[kept] = dataset->item[i];
			if (dataset->time)
				dataset->time[kept] = dataset->time[i];
			kept++;
		}
		dataset->indptr[user + 1] = kept;
		begin = end;
	}
	dataset->n_events = kept;
}

void dataset_deduplicate(struct dataset *dataset, enum duplicates duplicates)
{
	if (duplicates == DUPLICATES_KEEP)
		return;
	int32_t *last_user = xreallocarray(NULL, (size_t)dataset->item_id.count, sizeof *last_user);
	memset(last_user, -1, (size_t)dataset->item_id.count * sizeof *last_user);
	for (int32_t user = 0; user < dataset->user_id.count; user++) {
		int64_t begin = dataset->indptr[user], count = dataset->indptr[user + 1] - begin;
		for (int64_t k = 0; k < count; k++) {
			int32_t *item = &dataset->item[begin + (duplicates == DUPLICATES_FIRST ? k : count - 1 - k)];
			if (last_user[*item] == user)
				*item = -1;
			else
				last_user[*item] = user;
		}
	}
	free(last_user);
	remove_marked(dataset);
}

static int64_t *count_items(const struct dataset *dataset)
{
	int64_t *count = xcalloc((size_t)dataset->item_id.count, sizeof *count);
	for (int64_t i = 0; i < dataset->n_events; i++)
		count[dataset->item[i]]++;
	return count;
}

int dataset_core(struct dataset *dataset, int64_t min_user, int64_t min_item)
{
	int rounds = 0;
	for (int64_t before = -1; dataset->n_events != before; rounds++) {
		before = dataset->n_events;
		int64_t *count = count_items(dataset);
		for (int64_t user = 0; user < dataset->user_id.count; user++) {
			int64_t begin = dataset->indptr[user], end = dataset->indptr[user + 1];
			for (int64_t i = begin; i < end; i++)
				if (end - begin < min_user || count[dataset->item[i]] < min_item)
					dataset->item[i] = -1;
		}
		free(count);
		remove_marked(dataset);
	}
	return rounds - 1;
}

static void compact_users(struct dataset *dataset)
{
	struct strings kept = {0};
	for (int64_t user = 0; user < dataset->user_id.count; user++) {
		if (dataset->indptr[user] == dataset->indptr[user + 1])
			continue;
		const char *id = strings_at(&dataset->user_id, user);
		strings_add(&kept, id, strlen(id));
		dataset->indptr[kept.count] = dataset->indptr[user + 1];
	}
	strings_free(&dataset->user_id);
	dataset->user_id = kept;
}

static void compact_items(struct dataset *dataset)
{
	struct strings kept = {0};
	struct attributes *attributes = &dataset->attributes;
	int64_t *count = count_items(dataset), described = 0;
	int32_t *row = xreallocarray(NULL, (size_t)dataset->item_id.count, sizeof *row);
	for (int64_t item = 0; item < dataset->item_id.count; item++) {
		if (!count[item])
			continue;
		row[item] = (int32_t)kept.count;
		const char *id = strings_at(&dataset->item_id, item);
		strings_add(&kept, id, strlen(id));
		if (item < attributes->n_items && attributes->n)
			memmove(attributes->start + described++ * attributes->n, attributes->start + item * attributes->n,
				(size_t)attributes->n * sizeof *attributes->start);
	}
	for (int64_t i = 0; i < dataset->n_events; i++)
		dataset->item[i] = row[dataset->item[i]];
	attributes->n_items = described;
	strings_free(&dataset->item_id);
	dataset->item_id = kept;
	free(row);
	free(count);
}

void dataset_compact(struct dataset *dataset, bool only_seen)
{
	compact_users(dataset);
	if (only_seen)
		compact_items(dataset);
}

const char *dataset_text(const struct dataset *dataset, int64_t item, int attribute)
{
	const struct attributes *attributes = &dataset->attributes;
	return item < attributes->n_items ? attributes->text.data + attributes->start[item * attributes->n + attribute] :
										"";
}

/* --- facts --- */

static int ascending(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
	return left < right ? -1 : left > right;
}

/* Where times only count a user's events (0, 1, 2, ...), those of different users cannot be compared. */
static bool times_are_positions(const struct dataset *dataset)
{
	for (int64_t user = 0; user < dataset->user_id.count; user++)
		for (int64_t begin = dataset->indptr[user], i = begin; i < dataset->indptr[user + 1]; i++)
			if (dataset->time[i] - dataset->time[0] != i - begin)
				return false;
	return true;
}

/* Of sorted values, how many are less. */
static int64_t count_below(const int64_t *sorted, int64_t count, int64_t value)
{
	int64_t low = 0;
	while (low < count) {
		int64_t middle = low + (count - low) / 2;
		if (sorted[middle] < value)
			low = middle + 1;
		else
			count = middle;
	}
	return low;
}

/* Mean over the test targets of the share of all training events that are later. */
static double future_share(const struct dataset *dataset)
{
	if (!dataset->time || !dataset->n_events || times_are_positions(dataset))
		return 0;
	int64_t *target = xreallocarray(NULL, (size_t)dataset->user_id.count, sizeof *target), targets = 0;
	const int64_t *indptr = dataset->indptr;
	for (int64_t user = 0; user < dataset->user_id.count; user++)
		if (indptr[user + 1] - indptr[user] >= 3)
			target[targets++] = dataset->time[indptr[user + 1] - 1];
	qsort(target, (size_t)targets, sizeof *target, ascending);
	double later = 0, training = 0;
	for (int64_t user = 0; user < dataset->user_id.count; user++) {
		int64_t length = indptr[user + 1] - indptr[user];
		for (int64_t i = 0; i < (length < 3 ? length : length - 2); i++, training++)
			later += (double)count_below(target, targets, dataset->time[indptr[user] + i]);
	}
	free(target);
	return targets && training > 0 ? later / training / (double)targets : 0;
}

static void describe_lengths(const struct dataset *dataset, struct dataset_facts *facts)
{
	int64_t users = dataset->user_id.count, pairs = 0, tied = 0;
	int64_t *length = xreallocarray(NULL, (size_t)users, sizeof *length);
	for (int64_t user = 0; user < users; user++) {
		int64_t end = dataset->indptr[user + 1];
		length[user] = end - dataset->indptr[user];
		if (!dataset->time || length[user] < 2)
			continue;
		pairs++;
		tied += dataset->time[end - 1] == dataset->time[end - 2];
	}
	qsort(length, (size_t)users, sizeof *length, ascending);
	facts->mean_length = users ? (double)dataset->n_events / (double)users : 0;
	facts->median_length = users ? length[users / 2] : 0;
	facts->longest = users ? length[users - 1] : 0;
	facts->tied_share = pairs ? (double)tied / (double)pairs : 0;
	free(length);
}

static bool has_text(const struct dataset *dataset, int64_t item)
{
	for (int i = 0; i < dataset->attributes.n; i++)
		if (*dataset_text(dataset, item, i))
			return true;
	return false;
}

void dataset_describe(const struct dataset *dataset, struct dataset_facts *facts)
{
	*facts = (struct dataset_facts){0};
	int64_t *count = count_items(dataset);
	for (int64_t item = 0; item < dataset->item_id.count; item++) {
		facts->unseen_items += !count[item];
		facts->textless_items += dataset->attributes.n && !has_text(dataset, item);
	}
	free(count);
	describe_lengths(dataset, facts);
	facts->future_share = future_share(dataset);
}

int64_t dataset_split_users(const struct dataset *dataset, int64_t time)
{
	int64_t count = 0;
	for (int64_t user = 0; user < dataset->user_id.count; user++) {
		int64_t begin = dataset->indptr[user], end = dataset->indptr[user + 1];
		count += end > begin && dataset->time[begin] < time && dataset->time[end - 1] >= time;
	}
	return count;
}

void dataset_free(struct dataset *dataset)
{
	strings_free(&dataset->user_id);
	strings_free(&dataset->item_id);
	for (int i = 0; i < dataset->attributes.n; i++)
		free(dataset->attributes.name[i]);
	free(dataset->attributes.name);
	free(dataset->attributes.start);
	buffer_free(&dataset->attributes.text);
	free(dataset->first_problem);
	free(dataset->event);
	free(dataset->indptr);
	free(dataset->item);
	free(dataset->time);
	*dataset = (struct dataset){0};
}
