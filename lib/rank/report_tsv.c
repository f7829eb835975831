/*
 * Tables of fields with tabs between and a line of names, for plots
 * and spreadsheets. What there is not is an empty field.
 */
#include <stdlib.h>
#include <string.h>

#include "rank/report_parts.h"

static bool any_deviation(const struct report *report, const struct figures figures[])
{
	for (int i = 0; i < report->runs->n_systems; i++)
		if (figures[i].deviation)
			return true;
	return false;
}

static void write_figure(FILE *out, const struct report *report, const struct run *run, double (*figure)[SLICES_MAX],
	int measure, int slice)
{
	fputc('\t', out);
	if (figure && report_has_figure(report, run, measure, slice))
		fprintf(out, "%.*f", report->digits, figure[measure][slice]);
}

/* A line for each slice of each system. */
void report_write_tsv(FILE *out, const struct report *report, const struct figures figures[])
{
	const struct measures *measures = report->measures;
	const bool deviates = any_deviation(report, figures);
	fputs("name\truns\tslice\tusers", out);
	for (int i = 0; i < measures->count; i++)
		fprintf(out, deviates ? "\t%s\t%s deviation" : "\t%s", measures->at[i].name, measures->at[i].name);
	fputc('\n', out);
	for (int system = 0; system < report->runs->n_systems; system++) {
		const struct system *of = &report->runs->system[system];
		const struct run *run = &report->runs->run[of->first];
		for (int slice = 0; slice < run->slices.count; slice++) {
			fprintf(out, "%s\t%d\t%s\t%lld", of->name, of->count, run->slices.name[slice],
				(long long)run->slices.users[slice]);
			for (int i = 0; i < measures->count; i++) {
				write_figure(out, report, run, figures[system].mean, i, slice);
				if (deviates)
					write_figure(out, report, run, figures[system].deviation, i, slice);
			}
			fputc('\n', out);
		}
	}
}

/* --- curves --- */

static const char *const first_fields[] = {"name", "log", "epoch", "best", "loss"};
#define LAST_FIELD "seconds"

static bool is_measure(const char *key)
{
	for (size_t i = 0; i < COUNT_OF(first_fields); i++)
		if (!strcmp(key, first_fields[i]))
			return false;
	return strcmp(key, LAST_FIELD) != 0;
}

/* What was measured in any of the curves, in the order in which it is met. */
static json_t *measures_of(const json_t *history)
{
	json_t *measures = json_object(), *record, *point, *value;
	size_t i, j;
	const char *key;
	json_array_foreach ((json_t *)(uintptr_t)history, i, record)
		json_array_foreach (json_object_get(record, "curve"), j, point)
			json_object_foreach (point, key, value)
				if (is_measure(key))
					json_set(measures, key, json_true());
	return measures;
}

static void write_number(FILE *out, const json_t *value)
{
	fputc('\t', out);
	if (json_is_integer(value))
		fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		fprintf(out, "%.9g", json_real_value(value));
}

static void write_curve(FILE *out, const json_t *record, const json_t *measures)
{
	char *name = run_file_name(json_string_value(json_object_get(record, "stream")));
	const json_int_t best = json_integer_value(json_object_get(record, "best_epoch"));
	json_t *point, *value;
	size_t i;
	const char *key;
	json_array_foreach (json_object_get(record, "curve"), i, point) {
		const json_t *epoch = json_object_get(point, "epoch");
		fprintf(out, "%s\t%s", name, json_string_value(json_object_get(record, "log")));
		write_number(out, epoch);
		fprintf(out, "\t%d", json_integer_value(epoch) == best);
		write_number(out, json_object_get(point, "loss"));
		json_object_foreach ((json_t *)(uintptr_t)measures, key, value)
			write_number(out, json_object_get(point, key));
		write_number(out, json_object_get(point, LAST_FIELD));
		fputc('\n', out);
	}
	free(name);
}

void report_curves(FILE *out, const json_t *history)
{
	json_t *measures = measures_of(history), *record, *value;
	size_t i, points = 0;
	const char *key;
	json_array_foreach ((json_t *)(uintptr_t)history, i, record)
		points += json_array_size(json_object_get(record, "curve"));
	if (!points)
		die("no training curve in the history of the streams: seq-train and emb-align-train leave one");
	for (i = 0; i < COUNT_OF(first_fields); i++)
		fprintf(out, i ? "\t%s" : "%s", first_fields[i]);
	json_object_foreach (measures, key, value)
		fprintf(out, "\t%s", key);
	fputs("\t" LAST_FIELD "\n", out);
	json_array_foreach ((json_t *)(uintptr_t)history, i, record)
		write_curve(out, record, measures);
	json_decref(measures);
}
