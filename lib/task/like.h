/*
 * A tuned model as the pattern of another training (seq-train --like): its options, for as many epochs as validated
 * best. What a pattern needs stands in a model's training.json:
 *
 *     {"task": "next", "options": {"learning-rate": 0.001, ...}, "best": {"stop_after": 12}}
 *
 * "options": those of the training that could have been given and matter, complete. "best": other values of them, with
 * which the training ends where this one was best. The model's own options are its config.json.
 */
#ifndef RECPIPE_LIKE_H
#define RECPIPE_LIKE_H

#include "task/training.h"

struct like {
	struct model_group model;
	const char *path;
	const struct training *training;
	json_t *options, *config; /* for what is not given beside --like */
};
/* Of the stream's model; nothing else of it is read. The path is borrowed. */
void like_read(struct like *like, const char *path);
/* Wrong usage unless it was a training of this architecture, and of this task. */
void like_require(const struct like *like, const struct architecture *architecture, const struct training *training);
void like_free(struct like *like);

/* training.json of a job; best: what ends it where it was best, stolen; NULL: that is all of it. */
json_t *like_record(const struct training_job *job, json_t *best);

#endif
