#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "data/dataset.h"

void dataset_note(struct dataset *dataset, const char *format, ...)
{
	char *text;
	va_list arguments;
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		die_memory(0, 0);
	va_end(arguments);
	strings_add(&dataset->notes, text, strlen(text));
	free(text);
}

void dataset_require_overlap(const struct dataset *dataset, const char *items_path, int64_t described)
{
	if (dataset->n_described > described)
		return;
	die("%s: its %s %s not in the events, whose first item is '%s' (are these the columns of the ids?)",
		input_name(items_path), counted(dataset->attributes.n_items, "items"),
		by_number(dataset->attributes.n_items, "is", "are"), strings_at(&dataset->item_id, dataset->first_item));
}

/* What programs write where there is no id. */
static bool stands_for_none(const char *id)
{
	static const char *const names[] = {"NA", "N/A", "NaN", "null", "None", "<NA>", "\\N", "#N/A", "NaT", "nil",
		"undefined", "(null)"};
	for (size_t i = 0; strchr("Nn<\\#Uu(", *id) && i < COUNT_OF(names); i++)
		if (!strcasecmp(id, names[i]))
			return true;
	return false;
}

static int64_t id_of(const struct dataset *dataset, const struct event *event, enum role role)
{
	return role == ROLE_USER ? event->user - dataset->part.first_user : event->item;
}

/* The ids that came since, users of the part at hand, and then the events held. */
static void count_doubtful(const struct dataset *dataset, struct doubt *doubt, enum role role,
	bool (*what)(const char *))
{
	const struct strings *ids = role == ROLE_USER ? &dataset->user_id : &dataset->item_id;
	doubt->is_so = xreallocarray(doubt->is_so, (size_t)ids->count + 1, sizeof *doubt->is_so);
	if (role == ROLE_USER)
		doubt->n_ids = 0;
	for (; doubt->n_ids < ids->count; doubt->n_ids++) {
		const char *id = strings_at(ids, doubt->n_ids), *colon = dataset->has_domains ? strchr(id, ':') : NULL;
		doubt->is_so[doubt->n_ids] = what(colon ? colon + 1 : id);
		if (doubt->is_so[doubt->n_ids] && !doubt->example)
			doubt->example = xstrdup(id);
	}
	for (int64_t i = 0; doubt->example && i < dataset->n_held; i++)
		doubt->n_events += doubt->is_so[id_of(dataset, &dataset->event[i], role)];
}

void dataset_doubt(struct dataset *dataset)
{
	count_doubtful(dataset, &dataset->no_user, ROLE_USER, stands_for_none);
	count_doubtful(dataset, &dataset->no_item, ROLE_ITEM, stands_for_none);
	count_doubtful(dataset, &dataset->lists, ROLE_ITEM, is_list_of_codes);
}

static void check_missing(struct dataset *dataset, enum role role)
{
	const struct doubt *doubt = role == ROLE_USER ? &dataset->no_user : &dataset->no_item;
	const char *others = dataset->others[role];
	if (!doubt->n_events)
		return;
	dataset_note(dataset, "warning: the %s is '%s' in %lld of %s (%.1f %%), as if that were one%s%s%s%s%s",
		role == ROLE_USER ? "user" : "item", doubt->example, (long long)doubt->n_events,
		counted(dataset->n_read, "events"), 100 * (double)doubt->n_events / (double)dataset->n_read,
		others ? "; is it " : "", others ? others : "", others ? "? (" : "", others ? role_option(role) : "",
		others ? ")" : "");
}

static void check_lists(struct dataset *dataset)
{
	const struct doubt *lists = &dataset->lists;
	if (lists->n_events * 2 > dataset->n_read)
		dataset_note(dataset,
			"warning: the item is a list in %lld of %s, like '%.60s'; a row for each event was expected",
			(long long)lists->n_events, counted(dataset->n_read, "events"), lists->example);
}

static void note_odd_times(struct dataset *dataset, const struct odd_times *odd, const char *when)
{
	if (odd->n)
		dataset_note(dataset, "warning: %lld of %s %s %s, the first in %s", (long long)odd->n,
			counted(dataset->times.n_times, "times"), by_number(odd->n, "is", "are"), when, odd->first);
}

static void check_times(struct dataset *dataset)
{
	const struct time_column *times = &dataset->times;
	const char *unit = time_column_unit(times);
	if (unit)
		dataset_note(dataset, "times are taken for %s since 1970 (see --time-format)", unit);
	if (!times->of_day && dataset->finer_time)
		dataset_note(dataset, "warning: the times are whole days, and column %s is finer (--time-column)",
			dataset->finer_time);
	note_odd_times(dataset, &times->before_1970, "before 1970");
	note_odd_times(dataset, &times->from_2100, "after 2099");
}

void dataset_check(struct dataset *dataset)
{
	dataset_doubt(dataset);
	check_missing(dataset, ROLE_USER);
	check_missing(dataset, ROLE_ITEM);
	check_lists(dataset);
	if (dataset->has_time)
		check_times(dataset);
	else if (dataset->finer_time)
		dataset_note(dataset, "warning: column %s has dates and is not taken for the time (--time-column)",
			dataset->finer_time);
	if (dataset->n_low_rated)
		dataset_note(dataset, "%s left out for their rating", counted(dataset->n_low_rated, "events"));
}
