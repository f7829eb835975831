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

void die_unsorted(const struct dataset *dataset, const struct table *table, const struct columns *columns, int64_t line,
	int32_t user, bool has_numbers)
{
	const int user_column = columns->of[ROLE_USER], time_column = columns->of[ROLE_TIME];
	const char *delimiter = table_delimiter(table);
	const char *sort = delimiter ? line_command(delimiter, user_column, time_column, has_numbers) :
								   json_command(table, user_column, time_column);
	die("%s: line %lld: user '%s' %s, events sorted by user and time were expected: %s | seq-tokenize --sorted",
		table_name(table), (long long)line, strings_at(&dataset->user_id, user),
		user == dataset->n_users - 1 ? "has an earlier time than in the event before" : "again, with others since",
		whole_command(table, sort));
}

bool sorted_follow(struct dataset *dataset, int32_t user, const struct time *time)
{
	const struct time *last = &dataset->last_time;
	const bool is_new = user == dataset->n_users, is_same = user == dataset->n_users - 1;
	const bool is_earlier = time->seconds < last->seconds ||
		(time->seconds == last->seconds && time->nanoseconds < last->nanoseconds);
	if (!is_new && (!is_same || is_earlier))
		return false;
	if (is_new && dataset->n_held >= PART_EVENTS) {
		dataset_doubt(dataset);
		dataset_end_part(dataset);
	}
	dataset->n_users += is_new;
	dataset->last_time = *time;
	return true;
}
