/*
 * What is asked for one user at a time: the one place that lines of --serve and requests over HTTP come to. Questions
 * name users and items by their ids; answer.h answers them.
 */
#ifndef RECPIPE_ADVISOR_H
#define RECPIPE_ADVISOR_H

#include "data/catalog.h"
#include "data/sequences.h"
#include "rank/recommend.h"

/* All is borrowed, and read only: any number of threads may ask at once. */
struct advisor {
	const struct model *model;
	const struct assortment *assortment; /* NULL: none */
	const struct recommender *recommender;
	struct catalog *catalog;
	struct sequences *users; /* whose whole histories are known; NULL: nobody's */
	bool keep_seen;
	/* where a question does not say */
	int32_t k;
	bool wants_why;
	int32_t longest; /* of answers, if there is more to list: to ask for more is refused */
};
/* Before the first question: ids can be looked up from then on. */
void advisor_begin(struct advisor *advisor);

/* Zeroed is new; memory serves the next one. */
struct question {
	struct buffer user;    /* NUL-terminated; "" where none is named */
	struct buffer history; /* items of the catalog, int32_t */
	struct buffer exclude; /* the same, besides what was met */
	int32_t k;
	bool wants_why;
	struct buffer fields;  /* of JSON: const char *, as question_fields() has them; empty: it does not say */
	int64_t n_unknown;     /* ids that the catalog does not have, in history and exclude */
	struct buffer unknown; /* the first of them, NUL-terminated */
};
void question_free(struct question *question);
/* Of nobody, with no history: what is asked where a question cannot be read. */
void question_clear(struct question *question, const struct advisor *advisor);

#define REASON 256
/*
 * {"user": ..., "history": [...], "k": ..., "exclude": [...], "why": true, "fields": [...]}, each as far as it is
 * there: without a history it is the user's own. False: a wrong question, and why.
 */
bool question_of_json(struct question *question, const struct advisor *advisor, const json_t *json,
	char reason[REASON]) MUST_USE;
/* The key of a question: a whole number from 1 to the advisor's longest; without it the advisor's k. */
bool question_count(const struct advisor *advisor, const json_t *json, const char *key, int32_t *count,
	char reason[REASON]) MUST_USE;
/* "fields": appends the catalog's own names of its attributes, and a NULL; without it nothing. */
bool question_fields(const struct advisor *advisor, const json_t *json, struct buffer *fields,
	char reason[REASON]) MUST_USE;
/*
 * "user", whose history is known; or "user <tab> item <tab> item ...", where a single field of items that is no id
 * itself may have blanks between them; or JSON. Without a tab and not known: an empty history, and a reason.
 */
bool question_of_line(struct question *question, const struct advisor *advisor, const char *line, size_t length,
	char reason[REASON]) MUST_USE;

#endif
