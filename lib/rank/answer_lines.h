/*
 * Questions on stdin, a line each, answered at once (seq-rank --serve): what advisor.h takes as a line. An answer to
 * "user <tab> items" is "user <tab> item:score item:score ..."; where an id has a blank, or the question had several
 * tabs, with tabs between the entries. One to JSON is JSON: {"user": ..., "items": [...]}, or {"error": ...}.
 */
#ifndef RECPIPE_ANSWER_LINES_H
#define RECPIPE_ANSWER_LINES_H

#include "rank/answer.h"
#include "stream/output.h"

#define QUESTION_BYTES (1 << 20) /* of a line; longer ones are not answered */

/* Until the end of stdin. What is wrong with a line is told on stderr, and the answer is empty. */
void answer_lines(const struct advisor *advisor, const struct listing *listing, struct output *output);

#endif
