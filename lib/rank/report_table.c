/* Figures for people: a column for each measure, a line for each slice. */
#include <string.h>

#include "rank/report_parts.h"

int report_label_width(const struct slices *slices)
{
	int label = 3;
	for (int slice = 1; slice < slices->count; slice++) {
		int width = 8 + (int)strlen(strchr(slices->name[slice], ':') + 1);
		label = width > label ? width : label;
	}
	return label;
}

void report_write_label(FILE *out, const struct slices *slices, int slice, int width)
{
	const char *name = slices->name[slice];
	const char *before = slice ? slices->name[slice - 1] : "";
	const char *colon = strchr(name, ':');
	if (!colon) {
		fprintf(out, "%-*s", width, name);
		return;
	}
	int first = (int)(colon - name);
	bool repeated = !strncmp(name, before, (size_t)first + 1);
	fprintf(out, "%-8.*s%-*s", repeated ? 0 : first, name, width - 8, colon + 1);
}

static int column_width(const struct report *report, const struct measure *measure)
{
	int title = (int)strlen(measure->metric->title) + 2, cut = snprintf(NULL, 0, "  @%lld", (long long)measure->cut);
	int width = report->digits + 4;
	width = width > title ? width : title;
	return width > cut ? width : cut;
}

static bool starts_group(const struct measures *measures, int i, int first)
{
	return i == first || measures->at[i].metric != measures->at[i - 1].metric;
}

static void write_heads(FILE *out, const struct report *report, int first, int end, int indent)
{
	const struct measures *measures = report->measures;
	int pending = indent;
	for (int i = first; i < end; i++) {
		int width = column_width(report, &measures->at[i]);
		if (starts_group(measures, i, first)) {
			const char *title = measures->at[i].metric->title;
			fprintf(out, "%*s%s", pending + 2, "", title);
			pending = -(int)strlen(title) - 2;
		}
		pending += width;
	}
	fprintf(out, "\n%*s", indent, "users");
	pending = 0;
	for (int i = first; i < end; i++) {
		pending += column_width(report, &measures->at[i]);
		if (!measures->at[i].cut)
			continue;
		char cut[32];
		snprintf(cut, sizeof cut, "@%lld", (long long)measures->at[i].cut);
		fprintf(out, "%*s", pending, cut);
		pending = 0;
	}
	fputc('\n', out);
}

static void write_block(FILE *out, const struct report *report, double (*mean)[SLICES_MAX], int first, int end,
	int label)
{
	const struct run *run = report->runs->run;
	char number[32];
	write_heads(out, report, first, end, label + 10);
	for (int slice = 0; slice < run->slices.count; slice++) {
		report_write_label(out, &run->slices, slice, label);
		fprintf(out, "%10s", number_text(run->slices.users[slice], number));
		for (int i = first; i < end; i++) {
			int width = column_width(report, &report->measures->at[i]);
			if (report_has_figure(report, run, i, slice))
				fprintf(out, "%*.*f", width, report->digits, mean[i][slice]);
			else
				fprintf(out, "%*s", width, "-");
		}
		fputc('\n', out);
	}
}

/* Where the columns from `first` on must end to fit, at a metric's last one if that can be. */
static int fitting(const struct report *report, int first, int room)
{
	const struct measures *measures = report->measures;
	int end = first, whole = first;
	for (; end < measures->count && measures->at[end].metric->value; end++) {
		if (starts_group(measures, end, first))
			whole = end;
		room -= column_width(report, &measures->at[end]);
		if (room < 0 && end > first)
			return whole > first ? whole : end;
	}
	return end;
}

/* As many measures side by side as there is room for; those of lists have no slices and one line. */
void report_write_table(FILE *out, const struct report *report, const struct figures *figures)
{
	const struct measures *measures = report->measures;
	const struct run *run = report->runs->run;
	const int label = report_label_width(&run->slices), room = report->columns;
	report_write_protocol(out, report, run);
	for (int first = 0, end; first < measures->count; first = end) {
		end = fitting(report, first, room - label - 10);
		if (end > first) {
			fputc('\n', out);
			write_block(out, report, figures->mean, first, end, label);
			continue;
		}
		fprintf(out, "\n%s", measures->at[end].metric->title);
		for (; end < measures->count && !measures->at[end].metric->value; end++)
			fprintf(out, "  @%lld %.*f", (long long)measures->at[end].cut, report->digits,
				figures->mean[end][SLICE_ALL]);
		fputc('\n', out);
	}
}
