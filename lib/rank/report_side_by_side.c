/* Systems side by side: a column for each, as many to a block as there is room for. */
#include <stdlib.h>
#include <string.h>

#include "rank/report_parts.h"
#include "stream/option.h"

#define NAME_MAX_WIDTH 24 /* in a heading */

/* "3 runs (a.tar.zst, b.tar.zst, c.tar.zst)", or the stream of one. */
static void add_streams(struct buffer *text, const struct runs *runs, const struct system *system)
{
	char count[32];
	snprintf(count, sizeof count, "%d runs (", system->count);
	if (system->count > 1)
		buffer_append(text, count, strlen(count));
	for (int i = 0; i < system->count; i++) {
		const char *source = run_source(&runs->run[system->first + i]);
		if (i && !strcmp(source, run_source(&runs->run[system->first + i - 1])))
			continue;
		buffer_append(text, ", ", i ? 2 : 0);
		buffer_append(text, source, strlen(source));
	}
	if (system->count > 1)
		buffer_append(text, ")", 1);
}

void report_write_system(FILE *out, const struct runs *runs, const struct system *system)
{
	struct buffer text = {0};
	if (runs->n_systems > 1) {
		buffer_append(&text, system->name, strlen(system->name));
		buffer_append(&text, ": ", 2);
	}
	add_streams(&text, runs, system);
	if (*system->options)
		buffer_append(&text, "; ", 2);
	buffer_append(&text, system->options, strlen(system->options) + 1);
	write_wrapped(out, text.data, 3, 3);
	buffer_free(&text);
}

/* --- the table --- */

struct table {
	const struct report *report;
	const struct figures *figures;
	int label; /* width of what stands before the columns */
};

static int column_width(const struct table *table, int system)
{
	const struct report *report = table->report;
	int name = (int)strlen(report->runs->system[system].name);
	int figure = table->figures[system].deviation ? 2 * report->digits + 6 : report->digits + 3;
	name = name < NAME_MAX_WIDTH ? name : NAME_MAX_WIDTH;
	return 2 + (name > figure ? name : figure);
}

/* Of long names the end, in which they usually differ. */
static void write_heading(FILE *out, const char *name, int width)
{
	const int room = width - 2, length = (int)strlen(name);
	if (length <= room) {
		fprintf(out, "%*s", width, name);
		return;
	}
	const char *end = name + length - room + 2;
	while ((*end & 0xc0) == 0x80) /* not from within a letter */
		end++;
	char *cut = xasprintf("..%s", end);
	fprintf(out, "%*s", width, cut);
	free(cut);
}

static void write_heads(FILE *out, const struct table *table, int first, int end, const char *corner)
{
	fprintf(out, "%-*s", table->label, corner);
	for (int i = first; i < end; i++)
		write_heading(out, table->report->runs->system[i].name, column_width(table, i));
	fputc('\n', out);
}

static void write_cells(FILE *out, const struct table *table, int first, int end, int measure, int slice)
{
	const struct report *report = table->report;
	for (int i = first; i < end; i++) {
		const struct figures *figures = &table->figures[i];
		const int width = column_width(table, i), digits = report->digits;
		const int deviation = figures->deviation ? digits + 4 : 0; /* " ±0.0012" */
		if (!report_has_figure(report, &report->runs->run[report->runs->system[i].first], measure, slice))
			fprintf(out, "%*s", width, "-");
		else if (!deviation)
			fprintf(out, "%*.*f", width, digits, figures->mean[measure][slice]);
		else
			fprintf(out, "%*.*f ±%.*f", width - deviation, digits, figures->mean[measure][slice], digits,
				figures->deviation[measure][slice]);
	}
	fputc('\n', out);
}

/* Of the slices one measure has room: NDCG@10, or the first there is. */
static int measure_of_slices(const struct measures *measures)
{
	int chosen = -1;
	for (int i = measures->count; i-- > 0;)
		if (measures->at[i].metric->value && (chosen < 0 || strcmp(measures->at[chosen].name, "ndcg@10") != 0))
			chosen = i;
	return chosen;
}

static void write_block(FILE *out, const struct table *table, int first, int end)
{
	const struct report *report = table->report;
	const struct slices *slices = &report->runs->run->slices;
	const int sliced = measure_of_slices(report->measures);
	char number[32];
	fputc('\n', out);
	write_heads(out, table, first, end, "");
	for (int i = 0; i < report->measures->count; i++) {
		fprintf(out, "%-*s", table->label, report->measures->at[i].name);
		write_cells(out, table, first, end, i, SLICE_ALL);
	}
	if (slices->count == 1 || sliced < 0)
		return;
	fprintf(out, "\n%-*s%10s\n", table->label - 10, report->measures->at[sliced].name, "users");
	for (int slice = 1; slice < slices->count; slice++) {
		report_write_label(out, slices, slice, table->label - 10);
		fprintf(out, "%10s", number_text(slices->users[slice], number));
		write_cells(out, table, first, end, sliced, slice);
	}
}

static void write_table(FILE *out, const struct report *report, const struct figures figures[])
{
	const struct runs *runs = report->runs;
	struct table table = {report, figures, report_label_width(&runs->run->slices) + 10};
	for (int i = 0; i < report->measures->count; i++) {
		int width = (int)strlen(report->measures->at[i].name);
		table.label = width > table.label ? width : table.label;
	}
	report_write_protocol(out, report, runs->run);
	for (int i = 0; i < runs->n_systems; i++)
		report_write_system(out, runs, &runs->system[i]);
	for (int first = 0, end; first < runs->n_systems; first = end) {
		int room = report->columns - table.label - column_width(&table, first);
		for (end = first + 1; end < runs->n_systems && (room -= column_width(&table, end)) >= 0;)
			end++;
		write_block(out, &table, first, end);
	}
}

/* --- lines and JSON --- */

/* Members that all have with the same value move to a new object. */
static json_t *take_common(json_t *const objects[], int n)
{
	json_t *common = json_object(), *value;
	const char *key;
	json_object_foreach (objects[0], key, value) {
		bool same = true;
		for (int i = 1; i < n; i++)
			same &= json_equal(value, json_object_get(objects[i], key));
		if (same)
			json_set(common, key, json_incref(value));
	}
	json_object_foreach (common, key, value)
		for (int i = 0; i < n; i++)
			json_object_del(objects[i], key);
	return common;
}

/* Of a system, with its name behind, and where there are several runs their deviation. */
static void write_lines(FILE *out, const struct report *report, const char *name, json_t *mean, json_t *deviation)
{
	const char *of, *key;
	json_t *values, *value;
	json_object_foreach (mean, of, values)
		json_object_foreach (values, key, value) {
			const json_t *spread = json_object_get(json_object_get(deviation, of), key);
			char *behind = json_is_real(spread) ?
				xasprintf("\t%s\t%.*f", name, report->digits, json_real_value(spread)) :
				xasprintf("\t%s", name);
			report_write_line(out, report, key, of, value, behind);
			free(behind);
		}
}

static json_t *streams_json(const struct runs *runs, const struct system *system)
{
	json_t *streams = json_array();
	for (int i = 0; i < system->count; i++)
		json_append(streams, json_any_text(run_source(&runs->run[system->first + i])));
	return streams;
}

static void write_data(FILE *out, const struct report *report, const struct figures figures[])
{
	const struct runs *runs = report->runs;
	const int n = runs->n_systems;
	json_t **protocol = xcalloc((size_t)n, sizeof *protocol), *systems = json_array();
	for (int i = 0; i < n; i++) {
		protocol[i] = report_protocol(report, &runs->run[runs->system[i].first]);
		json_set(protocol[i], "runs", json_integer(runs->system[i].count));
		json_object_del(protocol[i], "tied"); /* of a single run */
	}
	json_t *common = take_common(protocol, n);
	if (report->format == REPORT_LINES)
		report_write_lines(out, report, common, "all", "");
	for (int i = 0; i < n; i++) {
		const struct system *system = &runs->system[i];
		const struct run *run = &runs->run[system->first];
		json_t *mean = report_figures(report, run, figures[i].mean), *deviation = NULL;
		if (figures[i].deviation)
			deviation = report_figures(report, run, figures[i].deviation);
		if (report->format == REPORT_LINES) {
			char *behind = xasprintf("\t%s", system->name);
			report_write_lines(out, report, protocol[i], "all", behind);
			write_lines(out, report, system->name, mean, deviation);
			free(behind);
		}
		json_append(systems,
			json_build("{s:o, s:s, s:o, s:O, s:o, s:o*}", "name", json_any_text(system->name), "options",
				system->options, "streams", streams_json(runs, system), "protocol", protocol[i], "figures", mean,
				"deviations", deviation));
		json_decref(protocol[i]);
	}
	json_t *document = json_build("{s:o, s:o}", "protocol", common, "systems", systems);
	if (report->format == REPORT_JSON)
		report_write_json(out, document);
	json_decref(document);
	free(protocol);
}

void report_write_side_by_side(FILE *out, const struct report *report, const struct figures figures[])
{
	if (report->format == REPORT_TABLE)
		write_table(out, report, figures);
	else
		write_data(out, report, figures);
}
