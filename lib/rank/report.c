#include "rank/report.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "rank/report_parts.h"

const char *const report_formats[] = {"table", "lines", "tsv", "json", NULL};

enum report_format report_default_format(bool elsewhere)
{
	return !elsewhere && isatty(STDOUT_FILENO) ? REPORT_TABLE : REPORT_LINES;
}

int report_columns(void)
{
	struct winsize size;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

bool report_has_figure(const struct report *report, const struct run *run, int measure, int slice)
{
	return run->slices.users[slice] && (slice == SLICE_ALL || report->measures->at[measure].metric->value);
}

json_t *report_figures(const struct report *report, const struct run *run, double (*figure)[SLICES_MAX])
{
	const struct slices *slices = &run->slices;
	json_t *figures = json_object();
	for (int slice = 0; slice < slices->count; slice++) {
		json_t *part = json_build("{s:I}", "users", (json_int_t)slices->users[slice]);
		for (int i = 0; i < report->measures->count; i++)
			if (report_has_figure(report, run, i, slice))
				json_set(part, report->measures->at[i].name, json_real(figure[i][slice]));
		json_set(figures, slices->name[slice], part);
	}
	return figures;
}

void report_write_line(FILE *out, const struct report *report, const char *key, const char *of, const json_t *value,
	const char *behind)
{
	if (json_is_string(value))
		fprintf(out, "%s\t%s\t%s%s\n", key, of, json_string_value(value), behind);
	else if (json_is_integer(value))
		fprintf(out, "%s\t%s\t%" JSON_INTEGER_FORMAT "%s\n", key, of, json_integer_value(value), behind);
	else
		fprintf(out, "%s\t%s\t%.*f%s\n", key, of, report->digits, json_real_value(value), behind);
}

void report_write_lines(FILE *out, const struct report *report, const json_t *values, const char *of,
	const char *behind)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)values, key, value)
		report_write_line(out, report, key, of, value, behind);
}

void report_write_json(FILE *out, const json_t *document)
{
	json_dumpf(document, out, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
	fputc('\n', out);
}

/* --- a single run --- */

static double user_value(const struct report *report, int64_t row, int measure)
{
	return evaluate_user(&report->runs->run->ranking, row, &report->measures->at[measure], report->ties);
}

static void write_user_lines(FILE *out, const struct report *report)
{
	const struct ranking *ranking = &report->runs->run->ranking;
	for (int64_t row = 0; row < ranking->n_users; row++)
		for (int i = 0; ranking->target[row] >= 0 && i < report->measures->count; i++)
			if (report->measures->at[i].metric->value)
				fprintf(out, "%s\t%s\t%.*f\n", report->measures->at[i].name, strings_at(&ranking->user_id, row),
					report->digits, user_value(report, row, i));
}

/* Lines have users and slices in the same place. */
static void tell_namesakes(const struct report *report, const json_t *by_slice)
{
	const struct run *run = report->runs->run;
	for (int64_t row = 0; row < run->ranking.n_users; row++) {
		const char *user = strings_at(&run->ranking.user_id, row);
		if (run->ranking.target[row] < 0 || !json_object_get(by_slice, user))
			continue;
		warn("%s: a user is called \"%s\", as what follows the users' lines is; --json keeps them apart",
			run_source(run), user);
		return;
	}
}

static json_t *users_json(const struct report *report)
{
	const struct ranking *ranking = &report->runs->run->ranking;
	json_t *users = json_object();
	for (int64_t row = 0; row < ranking->n_users; row++) {
		if (ranking->target[row] < 0)
			continue;
		json_t *values = json_object();
		for (int i = 0; i < report->measures->count; i++)
			if (report->measures->at[i].metric->value)
				json_set(values, report->measures->at[i].name, json_real(user_value(report, row, i)));
		json_set(users, strings_at(&ranking->user_id, row), values);
	}
	return users;
}

static void write_run(FILE *out, const struct report *report, const struct figures *figures)
{
	const struct run *run = report->runs->run;
	json_t *protocol = report_protocol(report, run), *values;
	json_t *by_slice = report_figures(report, run, figures->mean);
	const char *of;
	if (report->format == REPORT_LINES) {
		if (report->per_user) {
			write_user_lines(out, report);
			tell_namesakes(report, by_slice);
		}
		report_write_lines(out, report, protocol, "all", "");
		json_object_foreach (by_slice, of, values)
			report_write_lines(out, report, values, of, "");
	} else {
		json_t *document = json_build("{s:O, s:O}", "protocol", protocol, "figures", by_slice);
		if (report->per_user)
			json_set(document, "users", users_json(report));
		report_write_json(out, document);
		json_decref(document);
	}
	json_decref(protocol);
	json_decref(by_slice);
}

/* --- all --- */

static struct figures figures_of_system(const struct report *report, const struct system *system)
{
	const size_t n = (size_t)system->count;
	const struct ranking **ranking = xcalloc(n, sizeof *ranking);
	const struct slices **slices = xcalloc(n, sizeof *slices);
	for (int i = 0; i < system->count; i++) {
		ranking[i] = &report->runs->run[system->first + i].ranking;
		slices[i] = &report->runs->run[system->first + i].slices;
	}
	struct figures figures = figures_of(ranking, slices, system->count, report->measures, report->ties);
	free(ranking);
	free(slices);
	return figures;
}

void report_write(FILE *out, const struct report *report)
{
	const struct runs *runs = report->runs;
	struct figures *figures = xcalloc((size_t)runs->n_systems, sizeof *figures);
	for (int i = 0; i < runs->n_systems; i++)
		figures[i] = figures_of_system(report, &runs->system[i]);
	if (report->format == REPORT_TSV)
		report_write_tsv(out, report, figures);
	else if (runs->count > 1)
		report_write_side_by_side(out, report, figures);
	else if (report->format == REPORT_TABLE)
		report_write_table(out, report, figures);
	else
		write_run(out, report, figures);
	for (int i = 0; i < runs->n_systems; i++)
		figures_free(&figures[i]);
	free(figures);
}
