/* Between the files of report.h. */
#ifndef RECPIPE_REPORT_PARTS_H
#define RECPIPE_REPORT_PARTS_H

#include "rank/report.h"
#include "stream/json.h"

/* Whether a measure has a figure for a slice: those of lists are for all users alone. */
bool report_has_figure(const struct report *report, int measure, int slice);
/* How the figures came about; and the same in lines for people. */
json_t *report_protocol(const struct report *report);
void report_write_protocol(FILE *out, const struct report *report, const json_t *protocol);
/* report.c's figures, as mean[measure][slice], and report_versus.c's. */
void report_write_table(FILE *out, const struct report *report, const json_t *protocol, double (*mean)[SLICES_MAX]);
/* Lines, or JSON, of figures such as {"all": {"ndcg@10": 0.1, ...}, ...}, which are stolen. */
void report_write_data(FILE *out, const struct report *report, const json_t *protocol, json_t *figures);

#endif
