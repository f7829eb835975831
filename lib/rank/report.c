#include "rank/report.h"

#include <stdlib.h>

#include "rank/report_parts.h"

const char *const report_formats[] = {"table", "lines", "json", NULL};

void ranked_free(struct ranked *ranked)
{
	ranking_free(&ranked->ranking);
	catalog_free(&ranked->catalog);
	sequences_free(&ranked->sequences);
}

bool report_has_figure(const struct report *report, int measure, int slice)
{
	return report->slices->users[slice] && (slice == SLICE_ALL || report->measures->at[measure].metric->value);
}

static double user_value(const struct report *report, int64_t row, int measure)
{
	return evaluate_user(&report->ranked->ranking, row, &report->measures->at[measure], report->ties);
}

static void write_user_lines(FILE *out, const struct report *report)
{
	const struct ranking *ranking = &report->ranked->ranking;
	for (int64_t row = 0; row < ranking->n_users; row++)
		for (int i = 0; ranking->target[row] >= 0 && i < report->measures->count; i++)
			if (report->measures->at[i].metric->value)
				fprintf(out, "%s\t%s\t%.*f\n", report->measures->at[i].name, strings_at(&ranking->user_id, row),
					report->digits, user_value(report, row, i));
}

static json_t *users_json(const struct report *report)
{
	const struct ranking *ranking = &report->ranked->ranking;
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

/* {"all": {"users": 6040, "ndcg@5": 0.1, ...}, "target:cold": ...} */
static json_t *figures_json(const struct report *report, double (*mean)[SLICES_MAX])
{
	const struct slices *slices = report->slices;
	json_t *figures = json_object();
	for (int slice = 0; slice < slices->count; slice++) {
		json_t *part = json_build("{s:I}", "users", (json_int_t)slices->users[slice]);
		for (int i = 0; i < report->measures->count; i++)
			if (report_has_figure(report, i, slice))
				json_set(part, report->measures->at[i].name, json_real(mean[i][slice]));
		json_set(figures, slices->name[slice], part);
	}
	return figures;
}

/* An object's values, a line each. */
static void write_values(FILE *out, const struct report *report, const json_t *values, const char *of)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)values, key, value) {
		if (json_is_string(value))
			fprintf(out, "%s\t%s\t%s\n", key, of, json_string_value(value));
		else if (json_is_integer(value))
			fprintf(out, "%s\t%s\t%" JSON_INTEGER_FORMAT "\n", key, of, json_integer_value(value));
		else
			fprintf(out, "%s\t%s\t%.*f\n", key, of, report->digits, json_real_value(value));
	}
}

void report_write_data(FILE *out, const struct report *report, const json_t *protocol, json_t *figures)
{
	if (report->format == REPORT_LINES) {
		const char *of;
		json_t *values;
		if (report->per_user)
			write_user_lines(out, report);
		write_values(out, report, protocol, "all");
		json_object_foreach (figures, of, values)
			write_values(out, report, values, of);
		json_decref(figures);
		return;
	}
	json_t *document = json_build("{s:O, s:o}", "protocol", protocol, "figures", figures);
	if (report->per_user)
		json_set(document, "users", users_json(report));
	json_dumpf(document, out, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
	fputc('\n', out);
	json_decref(document);
}

void report_write(FILE *out, const struct report *report)
{
	double(*mean)[SLICES_MAX] = evaluate(&report->ranked->ranking, report->measures, report->ties, report->slices);
	json_t *protocol = report_protocol(report);
	if (report->format == REPORT_TABLE)
		report_write_table(out, report, protocol, mean);
	else
		report_write_data(out, report, protocol, figures_json(report, mean));
	json_decref(protocol);
	free(mean);
}
