#include "data/dataset_sorted.h"

#include <stdlib.h>
#include <string.h>

#include "data/container.h"

#define PART_EVENTS (1 << 18) /* in memory at a time, about: a user's are always together */

/* What sorts lines of JSON. */
static char *json_command(const struct table *table, int user, int time)
{
	if (time < 0)
		return xasprintf("jq -s -c 'sort_by(.\"%s\")[]'", table_column(table, user));
	return xasprintf("jq -s -c 'sort_by([.\"%s\", .\"%s\"])[]'", table_column(table, user), table_column(table, time));
}

/* What sorts lines by these columns; -1: no time. */
static char *line_command(const char *delimiter, int user, int time, bool is_number)
{
	const int length = (int)strlen(delimiter), step = length > 1 ? length : 1; /* sort's are one character */
	char *fields = !strcmp(delimiter, "\t") ? xstrdup(" -t \"$(printf '\\t')\"") :
		length                              ? xasprintf(" -t '%c'", *delimiter) :
											  xstrdup("");
	const int user_field = user * step + 1, time_field = time * step + 1;
	char *by_time = time < 0 ? xstrdup("") : xasprintf(" -k %d,%d%s", time_field, time_field, is_number ? "n" : "");
	char *command = xasprintf("LC_ALL=C sort -s%s -k %d,%d%s", fields, user_field, user_field, by_time);
	free(fields);
	free(by_time);
	return command;
}

/* The file's lines through `sort`, its header first. */
static char *whole_command(const struct table *table, const char *sort)
{
	const char *unpack = table_unpacker(table);
	char *file = container_shell_name(table_name(table)), *command;
	if (unpack && table_has_header(table))
		command = xasprintf("{ %s %s | head -n 1; %s %s | tail -n +2 | %s; }", unpack, file, unpack, file, sort);
	else if (unpack)
		command = xasprintf("%s %s | %s", unpack, file, sort);
	else if (table_has_header(table))
		command = xasprintf("{ head -n 1 %s; tail -n +2 %s | %s; }", file, file, sort);
	else
		command = xasprintf("%s %s", sort, file);
	free(file);
	return command;
}

/* As by memcmp() and length; by_length: by length first. */
static int compare_ids(const char *a, size_t a_length, const char *b, size_t b_length, bool by_length)
{
	const int by_size = a_length < b_length ? -1 : a_length > b_length;
	const int by_bytes = memcmp(a, b, a_length < b_length ? a_length : b_length);
	return by_length && by_size ? by_size : by_bytes ? by_bytes : by_size;
}

static const char *last_id(const struct dataset *dataset)
{
	return strings_at(&dataset->user_id, dataset->user_id.count - 1);
}

static bool is_last_user(const struct dataset *dataset, const char *id, size_t length)
{
	return dataset->n_users && !compare_ids(last_id(dataset), strlen(last_id(dataset)), id, length, false);
}

void die_unsorted(const struct dataset *dataset, const struct table *table, const struct columns *columns, int64_t line,
	const char *id, size_t length, bool has_numbers)
{
	const int user_column = columns->of[ROLE_USER], time_column = columns->of[ROLE_TIME];
	const char *delimiter = table_delimiter(table);
	const char *sort = delimiter ? line_command(delimiter, user_column, time_column, has_numbers) :
								   json_command(table, user_column, time_column);
	die("%s: line %lld: user '%.*s' %s, events sorted by user and time were expected: %s | seq-tokenize --sorted",
		table_name(table), (long long)line, (int)length, id,
		is_last_user(dataset, id, length) ? "has an earlier time than in the event before" : "again, with others since",
		whole_command(table, sort));
}

/* --- whether a user is new --- */

static uint64_t print_of(const char *id, size_t length)
{
	const uint64_t print = fingerprint(FINGERPRINT_START, id, length);
	return print ? print : 1;
}

static uint64_t *slot_of(const struct user_order *order, uint64_t print)
{
	const uint64_t mask = (uint64_t)order->n_slots - 1;
	uint64_t at = (print ^ print >> 32) & mask;
	while (order->print[at] && order->print[at] != print)
		at = (at + 1) & mask;
	return &order->print[at];
}

static void widen(struct user_order *order)
{
	const struct user_order before = *order;
	order->n_slots = before.n_slots ? before.n_slots * 2 : 1024;
	order->print = xcalloc((size_t)order->n_slots, sizeof *order->print);
	for (int64_t i = 0; i < before.n_slots; i++)
		if (before.print[i])
			*slot_of(order, before.print[i]) = before.print[i];
	free(before.print);
}

/* False: it is there. */
static bool add_print(struct user_order *order, uint64_t print)
{
	if ((order->n + 1) * 4 > order->n_slots * 3)
		widen(order);
	uint64_t *slot = slot_of(order, print);
	if (*slot)
		return false;
	*slot = print;
	order->n++;
	return true;
}

static void look_at_print(void *order, const char *id)
{
	(void)add_print(order, print_of(id, strlen(id)));
}

struct sought {
	const char *id;
	size_t length;
	bool is_there;
};

static void look_at_id(void *context, const char *id)
{
	struct sought *sought = context;
	sought->is_there |= strlen(id) == sought->length && !memcmp(id, sought->id, sought->length);
}

/*
 * Ids that ascend need not be remembered: none can come twice. As long as either order holds nothing is; then their
 * fingerprints are, and where two are the same the ids themselves are looked through, as they wait with their
 * sequences.
 */
static bool is_new_user(struct dataset *dataset, const char *id, size_t length)
{
	struct user_order *order = &dataset->order;
	for (int by_length = 0; dataset->n_users && by_length < 2; by_length++)
		order->is_lost[by_length] |= compare_ids(last_id(dataset), strlen(last_id(dataset)), id, length, by_length) > 0;
	if (!order->is_lost[0] || !order->is_lost[1])
		return true;
	if (!order->n)
		dataset_look_back(dataset, look_at_print, order);
	if (add_print(order, print_of(id, length)))
		return true;
	struct sought sought = {id, length, false};
	dataset_look_back(dataset, look_at_id, &sought);
	return !sought.is_there;
}

bool sorted_follow(struct dataset *dataset, const char *id, size_t length, const struct time *time)
{
	const struct time *last = &dataset->last_time;
	const bool is_same = is_last_user(dataset, id, length);
	const bool is_earlier = time->seconds < last->seconds ||
		(time->seconds == last->seconds && time->nanoseconds < last->nanoseconds);
	if (is_same ? is_earlier : !is_new_user(dataset, id, length))
		return false;
	dataset->last_time = *time;
	if (is_same)
		return true;
	if (dataset->n_held >= PART_EVENTS) {
		dataset_doubt(dataset);
		dataset_end_part(dataset);
	}
	if (dataset->n_users == INT32_MAX)
		die("more than %d users", INT32_MAX - 1);
	strings_add(&dataset->user_id, id, length);
	dataset->n_users++;
	return true;
}
