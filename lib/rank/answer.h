/*
 * What an advisor answers, and how it is said in JSON: on a line, and over HTTP.
 */
#ifndef RECPIPE_ANSWER_H
#define RECPIPE_ANSWER_H

#include "rank/advisor.h"
#include "rank/listing.h"

/* Zeroed is new; memory serves the next one. */
struct answer {
	int32_t *item; /* of the catalog, the best first */
	float *score;
	struct why *why;
	int32_t n;
};

/* False: a score is not finite. */
bool answer_find(struct answer *answer, const struct advisor *advisor, const struct question *question) MUST_USE;
/*
 * The same of n questions in one pass over the catalog, without why: the same answers as of each alone, sooner. Where a
 * score is not finite, n of that answer is -1.
 */
void answer_find_all(struct answer answers[], const struct advisor *advisor, const struct question questions[], int n);
/* Why the items of an answer were found, where the question wants to know. */
void answer_explain(struct answer *answer, const struct advisor *advisor, const struct question *question);
/* {"user": ..., "items": [...], "unknown": ...}; reason not NULL: {"user": ..., "error": ...}. */
json_t *answer_json(const struct answer *answer, const struct question *question, const struct listing *listing,
	const char *reason);
void answer_free(struct answer *answer);

#endif
