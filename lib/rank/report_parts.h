/* Between the files of report.h. */
#ifndef RECPIPE_REPORT_PARTS_H
#define RECPIPE_REPORT_PARTS_H

#include "rank/report.h"
#include "stream/json.h"

/* Whether a measure has a figure for a slice of a run: those of lists are for all users alone. */
bool report_has_figure(const struct report *report, const struct run *run, int measure, int slice);
/* A slice's name, which has two words, the first one only where it changes; `width` of the label in characters. */
int report_label_width(const struct slices *slices);
void report_write_label(FILE *out, const struct slices *slices, int slice, int width);
/* How the figures came about; and the same in lines for people, who are told of the model where there is one run. */
json_t *report_protocol(const struct report *report, const struct run *run);
void report_write_protocol(FILE *out, const struct report *report, const struct run *run);
/* What people are told of a system: its name, its streams, and what of its options others do not have. */
void report_write_system(FILE *out, const struct runs *runs, const struct system *system);
/* {"all": {"users": 6040, "ndcg@5": 0.1, ...}, "target:cold": ...}, of one of a system's figures. */
json_t *report_figures(const struct report *report, const struct run *run, double (*figure)[SLICES_MAX]);

/* Figures of a single run; and of systems side by side. */
void report_write_table(FILE *out, const struct report *report, const struct figures *figures);
void report_write_side_by_side(FILE *out, const struct report *report, const struct figures figures[]);
void report_write_tsv(FILE *out, const struct report *report, const struct figures figures[]);

/* A line: key, of, value, and `behind`, which is "" or begins with a tab; and one for each of an object's values. */
void report_write_line(FILE *out, const struct report *report, const char *key, const char *of, const json_t *value,
	const char *behind);
void report_write_lines(FILE *out, const struct report *report, const json_t *values, const char *of,
	const char *behind);
/* Real numbers as they are. */
void report_write_json(FILE *out, const json_t *document);

#endif
