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

void dataset_require_overlap(const struct dataset *dataset, const char *items_path, int64_t first_event)
{
	int64_t listed = dataset->attributes.n_items;
	for (int64_t i = first_event; i < dataset->n_read; i++)
		if (dataset->event[i].item < listed)
			return;
	die("%s: none of its %lld items is in the events, whose first item is '%s' (are these the columns of the ids?)",
		items_path, (long long)listed, strings_at(&dataset->item_id, dataset->event[first_event].item));
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

static int32_t id_of(const struct event *event, enum role role)
{
	return role == ROLE_USER ? event->user : event->item;
}

static const struct strings *ids_of(const struct dataset *dataset, enum role role)
{
	return role == ROLE_USER ? &dataset->user_id : &dataset->item_id;
}

/* Events whose user, or item, is as `what` says; *example is the first of these ids. */
static int64_t count_events(const struct dataset *dataset, enum role role, bool (*what)(const char *),
	const char **example)
{
	const struct strings *ids = ids_of(dataset, role);
	bool *is_so = xcalloc((size_t)ids->count, sizeof *is_so);
	int64_t count = 0;
	*example = NULL;
	for (int64_t row = 0; row < ids->count; row++) {
		const char *id = strings_at(ids, row), *colon = dataset->has_domains ? strchr(id, ':') : NULL;
		is_so[row] = what(colon ? colon + 1 : id);
		if (is_so[row] && !*example)
			*example = id;
	}
	for (int64_t i = 0; *example && i < dataset->n_read; i++)
		count += is_so[id_of(&dataset->event[i], role)];
	free(is_so);
	return count;
}

static void check_missing(struct dataset *dataset, enum role role)
{
	const char *example, *others = dataset->others[role];
	int64_t count = count_events(dataset, role, stands_for_none, &example);
	if (!count)
		return;
	dataset_note(dataset, "warning: the %s is '%s' in %lld of %lld events (%.1f %%), as if that were one%s%s%s%s%s",
		role == ROLE_USER ? "user" : "item", example, (long long)count, (long long)dataset->n_read,
		100 * (double)count / (double)dataset->n_read, others ? "; is it " : "", others ? others : "",
		others ? "? (" : "", others ? role_option(role) : "", others ? ")" : "");
}

static void check_lists(struct dataset *dataset)
{
	const char *example;
	int64_t count = count_events(dataset, ROLE_ITEM, is_list_of_codes, &example);
	if (count * 2 > dataset->n_read)
		dataset_note(dataset,
			"warning: the item is a list in %lld of %lld events, like '%.60s'; a row for each event was expected",
			(long long)count, (long long)dataset->n_read, example);
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
	if (times->n_before_1970)
		dataset_note(dataset, "warning: %lld of %lld times are before 1970, the first in %s",
			(long long)times->n_before_1970, (long long)times->n_times, times->first_before_1970);
}

void dataset_check(struct dataset *dataset)
{
	check_missing(dataset, ROLE_USER);
	check_missing(dataset, ROLE_ITEM);
	check_lists(dataset);
	if (dataset->has_time)
		check_times(dataset);
	if (dataset->n_low_rated)
		dataset_note(dataset, "%lld events left out for their rating", (long long)dataset->n_low_rated);
}
