#include <ctype.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset_sorted.h"
#include "stream/ahead.h"
#include "stream/progress.h"

#define ROWS_SAMPLED 1024 /* for what else the time could be */

enum { PENDING = 4096, BATCHES = 4 }; /* events whose ids are looked up together; of these, read ahead */
enum { ID_USER, ID_ITEM, N_IDS };

/* NULL: may be an id */
static const char *problem_of_id(const char *text, size_t length)
{
	if (!length)
		return "empty, an id was expected";
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			return "a control character inside an id";
	return is_printed_list(text, length) ? "a list, one id was expected: a row for each event" : NULL;
}

/* --- reading --- */

static struct table *open_table(const char *path, const struct reading *reading, struct progress *progress)
{
	struct table *table = table_open(path, &reading->format);
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

/* open_line: of a row that ended without a line break; 0: none did. */
static void close_table(struct dataset *dataset, struct table *table, struct progress *progress, int64_t open_line)
{
	progress_end(progress);
	if (open_line)
		dataset_note(dataset, "%s ends without a line break: line %lld, if it was cut off there, is not whole",
			table_name(table), (long long)open_line);
	if (table_note(table))
		dataset_note(dataset, "warning: %s: %s", table_name(table), table_note(table));
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

/* Column numbers by attribute, -1 where the file has none; new attributes are added, the title first. */
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
	const int title = names ? -1 : columns_title(table);
	if (title >= 0 && title != id)
		column[attribute_named(attributes, table_column(table, title), column, table_name(table))] = title;
	for (int i = 0; !names && i < table_columns(table); i++)
		if (i != id && i != title && *table_column(table, i))
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

static void add_texts(struct attributes *attributes, const struct table *table, const int column[],
	const struct text_rules *rules)
{
	if (attributes->n_items == attributes->capacity || !attributes->start)
		make_room(attributes, attributes->n_items ? attributes->n_items * 2 : 1024);
	int64_t *start = attributes->start + attributes->n_items++ * attributes->n;
	for (int i = 0; i < attributes->n; i++) {
		size_t length = 0;
		const char *text = column[i] < 0 ? "" : table_field(table, column[i], &length);
		start[i] = (int64_t)attributes->text.size;
		text_clean(&attributes->text, text, length, rules);
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

/* "item id item_id, attributes title, brand" */
static void note_item_columns(struct dataset *dataset, const struct table *table, int id, const int column[])
{
	struct buffer names = {0};
	for (int i = 0; i < dataset->attributes.n; i++) {
		if (column[i] < 0)
			continue;
		buffer_append(&names, ", ", names.size ? 2 : 0);
		buffer_append(&names, table_column(table, column[i]), strlen(table_column(table, column[i])));
	}
	buffer_append(&names, "", 1);
	dataset_note(dataset, "%s: item id is %s, attributes are %s", table_name(table), table_column(table, id),
		names.data);
	buffer_free(&names);
}

void dataset_read_items(struct dataset *dataset, const char *path, const struct reading *reading,
	char *const attributes[])
{
	struct progress progress;
	struct columns columns;
	struct table *table = open_table(path, reading, &progress);
	columns_of_items(table, reading->column, &columns);
	int id = columns.of[ROLE_ITEM_ID], column[ATTRIBUTES_MAX], before = dataset->attributes.n;
	find_attributes(&dataset->attributes, table, id, attributes, !reading->domain, column);
	widen(&dataset->attributes, before);
	dataset->normal_form = reading->text.normal_form;
	note_item_columns(dataset, table, id, column);
	struct buffer scratch = {0};
	int64_t open_line = 0;
	for (int64_t row = 1; table_next(table); row++) {
		size_t length;
		const char *text = table_field(table, id, &length), *problem = problem_of_id(text, length);
		text = full_id(reading, &scratch, text, &length);
		if (!problem && table_is_list(table, id))
			problem = "a list, one id was expected";
		const char *name = table_field(table, id, NULL);
		const bool is_header = row == 1 && reading->format.columns && columns_names_item(name);
		if (!problem && (is_header || !strcmp(name, table_column(table, id))))
			problem = "the header line again, an item was expected";
		if (!problem && strings_find(&dataset->item_id, text, length) >= 0)
			problem = columns_have_user(table) ?
				"this item was listed before; is it a table of events? It has a column of "
				"users, and events stand behind the options" :
				"this item was listed before";
		if (problem) {
			table_reject(table, id, problem);
			continue;
		}
		strings_add(&dataset->item_id, text, length);
		add_texts(&dataset->attributes, table, column, &reading->text);
		open_line = table_open_end(table) ? table_line(table) : 0;
		show_progress(table, row, &progress);
	}
	buffer_free(&scratch);
	close_table(dataset, table, &progress, open_line);
}

static void add_event(struct dataset *dataset, struct event event)
{
	if (dataset->n_held == dataset->capacity) {
		dataset->capacity = dataset->capacity ? dataset->capacity * 2 : 4096;
		dataset->event = xreallocarray(dataset->event, (size_t)dataset->capacity, sizeof *dataset->event);
	}
	dataset->has_fractions |= event.fraction != 0;
	dataset->n_described += event.item < dataset->attributes.n_items;
	if (dataset->first_item < 0)
		dataset->first_item = event.item;
	dataset->event[dataset->n_held++] = event;
	dataset->n_read++;
}

/* --- events --- */

/* Events that are read, and whose ids are not looked up yet: that goes faster for many together. */
struct pending {
	int count;
	bool has_numbers; /* for times */
	struct time time[PENDING];
	int64_t line[PENDING];
	size_t start[N_IDS][PENDING + 1]; /* of the ids in text */
	struct buffer text[N_IDS];
};

/*
 * A table of events while it is read, by a thread that runs ahead. Its are the table and what the dataset says of rows,
 * times and ratings; the ids and events are of the other, which takes what is pending.
 */
struct events {
	struct dataset *dataset;
	const struct reading *reading;
	struct table *table;
	struct columns columns;
	struct pending *pending; /* the batch being filled */
	struct progress progress;
	struct buffer scratch;
	int64_t row, open_line;
};

static bool reject_id(struct events *events, enum role role)
{
	struct table *table = events->table;
	int column = events->columns.of[role];
	size_t length;
	const char *text = table_field(table, column, &length), *problem = problem_of_id(text, length);
	if (!problem && table_is_list(table, column))
		problem = "a list, one id was expected: a row for each event";
	if (!problem)
		return false;
	char *others = columns_others(table, &events->columns, role), *more = NULL;
	if (others)
		more = xasprintf("%s (or is it %s? see %s)", problem, others, role_option(role));
	table_reject(table, column, more ? more : problem);
	free(others);
	free(more);
	return true;
}

/* A line of names again: of another file behind the first, or of this one where the caller gave the names. */
static bool reject_header(struct events *events)
{
	struct table *table = events->table;
	int user = events->columns.of[ROLE_USER];
	int item = events->columns.of[ROLE_ITEM];
	const char *user_text = table_field(table, user, NULL), *item_text = table_field(table, item, NULL);
	bool is_own = !strcmp(user_text, table_column(table, user)) && !strcmp(item_text, table_column(table, item));
	if (!is_own && !columns_are_named(user_text, item_text))
		return false;
	table_reject(table, user,
		"a header line, an event was expected (several files are named as they are, without cat)");
	return true;
}

static bool reject_rating(struct events *events)
{
	struct table *table = events->table;
	int column = events->columns.of[ROLE_RATING];
	double rating;
	if (column < 0 || !events->reading->has_min_rating)
		return false;
	if (!parse_float(table_field(table, column, NULL), -1e300, 1e300, &rating)) {
		table_reject(table, column, "a number was expected");
		return true;
	}
	events->dataset->n_low_rated += rating < events->reading->min_rating;
	return rating < events->reading->min_rating;
}

static void intern_pending(struct strings *ids, const struct buffer *text, const size_t start[], int count,
	int32_t row[])
{
	const char *id[PENDING];
	size_t length[PENDING];
	for (int i = 0; i < count; i++) {
		id[i] = text->data + start[i];
		length[i] = start[i + 1] - start[i];
	}
	strings_intern_all(ids, id, length, count, row);
}

/* Of sorted input: event i's user, the last one or a new one. */
static void settle_user(const struct events *events, const struct pending *pending, int i)
{
	const size_t *start = &pending->start[ID_USER][i], length = start[1] - start[0];
	const char *id = pending->text[ID_USER].data + start[0];
	if (!sorted_follow(events->dataset, id, length, &pending->time[i]))
		die_unsorted(events->dataset, events->table, &events->columns, pending->line[i], id, length,
			pending->has_numbers);
}

/* The pending events become the dataset's. */
static void settle(void *context, void *batch)
{
	struct events *events = context;
	struct dataset *dataset = events->dataset;
	const struct pending *pending = batch;
	const bool is_sorted = dataset->rules.is_sorted;
	int32_t user[PENDING], item[PENDING];
	if (!is_sorted)
		intern_pending(&dataset->user_id, &pending->text[ID_USER], pending->start[ID_USER], pending->count, user);
	intern_pending(&dataset->item_id, &pending->text[ID_ITEM], pending->start[ID_ITEM], pending->count, item);
	for (int i = 0; i < pending->count; i++) {
		const struct time *time = &pending->time[i];
		if (is_sorted)
			settle_user(events, pending, i);
		add_event(dataset,
			(struct event){time->seconds, time->nanoseconds, is_sorted ? (int32_t)dataset->n_users - 1 : user[i],
				item[i]});
	}
}

static void add_id(struct events *events, int which, enum role role)
{
	struct pending *pending = events->pending;
	struct buffer *text = &pending->text[which];
	const char *domain = events->reading->domain;
	if (!pending->count)
		text->size = 0;
	pending->start[which][pending->count] = text->size;
	if (domain) {
		buffer_append(text, domain, strlen(domain));
		buffer_append(text, ":", 1);
	}
	size_t length;
	const char *id = table_field(events->table, events->columns.of[role], &length);
	buffer_append(text, id, length);
	pending->start[which][pending->count + 1] = text->size;
}

static void read_event(struct events *events)
{
	struct dataset *dataset = events->dataset;
	int column = events->columns.of[ROLE_TIME];
	struct time time = {0};
	if (reject_id(events, ROLE_USER) || reject_id(events, ROLE_ITEM))
		return;
	if (column >= 0 && isalpha((unsigned char)*table_field(events->table, column, NULL)) && reject_header(events))
		return;
	if (column >= 0 && !time_column_read(&dataset->times, events->table, column, &time))
		return;
	if (reject_rating(events))
		return;
	if (column < 0 && reject_header(events))
		return;
	add_id(events, ID_USER, ROLE_USER);
	add_id(events, ID_ITEM, ROLE_ITEM);
	struct pending *pending = events->pending;
	pending->has_numbers = time_column_is_number(&dataset->times);
	pending->line[pending->count] = table_line(events->table);
	pending->time[pending->count++] = time;
}

/* --- histories in lists --- */

static int32_t intern_id(struct events *events, struct strings *ids, const char *text, size_t length)
{
	text = full_id(events->reading, &events->scratch, text, &length);
	return (int32_t)strings_intern(ids, text, length);
}

static int32_t intern_field(struct events *events, struct strings *ids, enum role role)
{
	size_t length;
	const char *text = table_field(events->table, events->columns.of[role], &length);
	return intern_id(events, ids, text, length);
}

static struct history *history_of(struct dataset *dataset, int32_t user)
{
	if (user >= dataset->n_histories) {
		int64_t more = user + 1 > dataset->n_histories * 2 ? user + 1 : dataset->n_histories * 2;
		dataset->history = xreallocarray(dataset->history, (size_t)more, sizeof *dataset->history);
		memset(dataset->history + dataset->n_histories, 0,
			(size_t)(more - dataset->n_histories) * sizeof *dataset->history);
		dataset->n_histories = more;
	}
	return &dataset->history[user];
}

/* Forgets the events of lists that longer ones replaced. */
static void drop_replaced(struct dataset *dataset)
{
	int64_t kept = 0;
	for (int64_t i = 0; i < dataset->n_held; i++) {
		struct event event = dataset->event[i];
		if (event.item < 0)
			continue;
		if (event.user < dataset->n_histories && dataset->history[event.user].length &&
			dataset->history[event.user].first == i)
			dataset->history[event.user].first = kept;
		dataset->event[kept++] = event;
	}
	dataset->n_read -= dataset->n_held - kept;
	dataset->n_held = kept;
	dataset->n_dropped = 0;
}

/* The next item of a list, "0" left out, with which lists are filled up; NULL at its end. */
static const char *next_in_list(const char **list, size_t *length)
{
	for (;;) {
		const char *item = *list + strspn(*list, " ");
		*length = strcspn(item, " ");
		*list = item + *length;
		if (!*length)
			return NULL;
		if (*length != 1 || *item != '0')
			return item;
	}
}

/* The list and the item behind it replace the user's list, if they are not shorter. */
static void read_history(struct events *events)
{
	struct dataset *dataset = events->dataset;
	if (reject_id(events, ROLE_USER) || reject_id(events, ROLE_ITEM))
		return;
	const char *list = table_field(events->table, events->columns.history, NULL), *rest = list, *item;
	int32_t user = intern_field(events, &dataset->user_id, ROLE_USER), count = 1;
	size_t length;
	struct history *history = history_of(dataset, user);
	while (next_in_list(&rest, &length))
		count++;
	if (count < history->length)
		return;
	for (int32_t i = 0; i < history->length; i++)
		dataset->event[history->first + i].item = -1;
	dataset->n_dropped += history->length;
	*history = (struct history){dataset->n_held, count};
	struct buffer id = {0};
	while ((item = next_in_list(&list, &length))) {
		id.size = 0;
		buffer_append(&id, item, length);
		buffer_append(&id, "", 1);
		add_event(dataset, (struct event){.user = user, .item = intern_id(events, &dataset->item_id, id.data, length)});
	}
	buffer_free(&id);
	add_event(dataset, (struct event){.user = user, .item = intern_field(events, &dataset->item_id, ROLE_ITEM)});
	if (dataset->n_dropped > dataset->n_held / 2 + 4096)
		drop_replaced(dataset);
}

/* --- a table of events --- */

/* A column that may be the time and is finer than days, seen in a row. */
static void look_for_finer_time(struct events *events)
{
	struct dataset *dataset = events->dataset;
	for (int column = 0; column < table_columns(events->table) && !dataset->finer_time; column++) {
		struct time time;
		if (columns_may_be(events->table, &events->columns, column, ROLE_TIME) &&
			parse_time(table_field(events->table, column, NULL), &time, NULL) &&
			(time.nanoseconds || time.seconds % 86400))
			dataset->finer_time = xstrdup(table_column(events->table, column));
	}
}

/* Where no column has the name of a time, nor one like it. */
static void look_for_dates(struct events *events)
{
	struct dataset *dataset = events->dataset;
	for (int column = 0; column < table_columns(events->table) && !dataset->finer_time; column++)
		if (columns_left_date(events->table, &events->columns, column) &&
			!columns_may_be(events->table, &events->columns, column, ROLE_TIME))
			dataset->finer_time = xstrdup(table_column(events->table, column));
}

static void note_event_columns(const struct events *events)
{
	struct dataset *dataset = events->dataset;
	const struct columns *columns = &events->columns;
	char *text = columns_text(events->table, columns);
	if (!dataset->columns || strcmp(dataset->columns, text))
		dataset_note(dataset, "%s: %s", table_name(events->table), text);
	free(dataset->columns);
	dataset->columns = text;
	for (enum role role = ROLE_USER; role <= ROLE_ITEM; role++)
		if (!dataset->others[role])
			dataset->others[role] = columns_others(events->table, columns, role);
	bool has_lists = columns->history >= 0;
	char *others = has_lists ? NULL : columns_others(events->table, columns, ROLE_TIME);
	if (!dataset->has_time)
		dataset_note(dataset, "warning: %s: no time%s; the order of the rows is taken for that of the events%s%s%s",
			table_name(events->table), has_lists ? "s of what the lists hold" : " column",
			others ? " (or is the time " : "", others ? others : "", others ? "? see --time-column)" : "");
	free(others);
}

static void choose_columns(struct events *events)
{
	struct dataset *dataset = events->dataset;
	struct columns *columns = &events->columns;
	const struct reading *reading = events->reading;
	columns_of_events(events->table, reading->column, reading->has_min_rating, columns);
	bool has_lists = columns->history >= 0;
	if (has_lists && reading->has_min_rating)
		die("%s: ratings of what column %s lists are not known", table_name(events->table),
			table_column(events->table, columns->history));
	if (has_lists && dataset->rules.is_sorted)
		die("%s: column %s lists items, events a row each were expected, sorted by user and time",
			table_name(events->table), table_column(events->table, columns->history));
	if (has_lists)
		columns->of[ROLE_TIME] = -1;
	bool has_time = columns->of[ROLE_TIME] >= 0;
	if (dataset->n_read && dataset->has_time != has_time)
		die("%s: %s time column, unlike the events before", table_name(events->table), has_time ? "a" : "no");
	dataset->has_time = has_time;
	note_event_columns(events);
}

/* Reads until the batch is full; false: to the end. */
static bool read_batch(void *context, void *batch)
{
	struct events *events = context;
	struct table *table = events->table;
	events->pending = batch;
	events->pending->count = 0;
	while (events->pending->count < PENDING) {
		if (!table_next(table))
			return false;
		if (++events->row <= ROWS_SAMPLED && events->columns.history < 0)
			(events->dataset->has_time ? look_for_finer_time : look_for_dates)(events);
		events->open_line = table_open_end(table) ? table_line(table) : 0;
		show_progress(table, events->row, &events->progress);
		if (events->columns.history >= 0)
			read_history(events);
		else
			read_event(events);
	}
	return true;
}

static void read_batches(struct events *events)
{
	/* lists are taken as they are read: a longer one changes what an earlier one left */
	const int n = events->columns.history >= 0 || omp_get_max_threads() == 1 ? 1 : BATCHES;
	void *batches[BATCHES];
	for (int i = 0; i < n; i++)
		batches[i] = xcalloc(1, sizeof(struct pending));
	ahead_run(&(struct ahead_work){read_batch, settle, events}, batches, n);
	for (int i = 0; i < n; i++) {
		struct pending *pending = batches[i];
		for (int id = 0; id < N_IDS; id++)
			buffer_free(&pending->text[id]);
		free(pending);
	}
}

void dataset_read_events(struct dataset *dataset, const char *path, const struct reading *reading)
{
	struct events events = {.dataset = dataset, .reading = reading};
	struct table *table = events.table = open_table(path, reading, &events.progress);
	choose_columns(&events);
	read_batches(&events);
	if (dataset->has_time)
		time_column_end_table(&dataset->times, table, events.columns.of[ROLE_TIME]);
	if (dataset->n_dropped)
		drop_replaced(dataset);
	buffer_free(&events.scratch);
	close_table(dataset, table, &events.progress, events.open_line);
}
