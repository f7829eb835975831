/*
 * What seq-train can train, as one table: a training is what it is called, which architectures it is for, the options
 * it takes, the groups it needs and how it is done. The rows of its options fill its own struct; the rest of a model's
 * options are the architecture's.
 */
#ifndef RECPIPE_TRAINING_H
#define RECPIPE_TRAINING_H

#include "data/embedding.h"
#include "data/sequences.h"
#include "data/tokenizer_group.h"
#include "model/model_group.h"
#include "task/run.h"

/* Groups of the stream, as far as it has them and the training needs them. */
struct training_inputs {
	struct catalog catalog;
	struct sequences sequences;
	struct embedding embedding;
	struct tokenizer_group tokenizer;
	struct model_group start; /* what is gone on from */
};

struct training_job {
	const struct training *training;
	const struct architecture *architecture;
	json_t *config;  /* the options of the model that were given, under their keys */
	json_t *options; /* those of the training; complete when it begins */
	json_t *said;    /* of both, what the command line has, and no --like or --model */
	void *values;    /* the struct they fill, training->size bytes */
	struct training_inputs inputs;
	struct bag_out *out;
	const char *like; /* whose options are those that are not given; NULL: nobody's */
	uint64_t seed;
	int threads;
};

struct training {
	const char *task, *summary; /* task: as --task has it */
	bool (*suits)(const struct architecture *architecture);
	const struct option *options;
	size_t size;
	bool needs_sequences, needs_text, takes_embedding;
	bool takes_model; /* goes on from a model, the stream's too; what fits it sees to itself */
	bool goes_on;     /* from the one of --model alone, which it is the same as */
	/* Wrong usage where options do not go together, as far as one can tell before a stream is read. May be NULL. */
	void (*check)(const struct training_job *job);
	/* Trains and writes the model; returns what was measured, for the history. */
	json_t *(*train)(struct training_job *job);
};
extern const struct training counted_training, item_training, next_item_training, language_training, histories_training,
	pretraining, finetuning;
extern const struct training *const trainings[]; /* ends with NULL */
extern const char *const task_names[];           /* "next", "histories", "pretrain", "finetune", NULL */

/*
 * The architecture's training of this task, NULL: of the next item or token, or the only one it has or, where `any`
 * will do, the first. Wrong usage where there is none.
 */
const struct training *training_of(const struct architecture *architecture, const char *task, bool any);
/* The first architecture of a task. */
const struct architecture *architecture_of_task(const char *task);

/*
 * When what the data decided is in the options and in the model's config: wrong usage where an option was given that
 * has no use beside it. All that decides the result, each under a name for people: options as they are spelt, groups by
 * fingerprints. epochs: those of an --epochs that changes what a single epoch does, by the schedule or else, count.
 */
json_t *training_identity(const struct training_job *job, const struct model *model, bool epochs_count);
/* The identity and the number of epochs, which tells two results from each other even where it is no part of that. */
uint64_t training_fingerprint(const struct training_job *job, const json_t *identity);
/* Dies where no epoch is to be trained, of a model that is not there already. */
void training_require_epochs(const struct training_job *job, const struct run_options *run);
/* Of a model that knows items by their ids: how often it meets each, or has met it where it goes on from another. */
void training_count_items(const struct training_job *job, struct model *model);
/* Writes the model with that as its id. best: see like_record(); stolen. */
void training_write_model(const struct training_job *job, const struct model *model, const json_t *identity,
	json_t *best);
/* What a training that goes on from a model calls that one: see struct task. */
#define TRAINING_START "before training"
/*
 * Trains by gradients, as run() does, and writes the best model; returns what was measured, for the history. Where it
 * was stopped is added to the identity.
 */
json_t *training_run(const struct training_job *job, struct model *model, struct task *task, struct trainer *trainer,
	const struct run_options *options, json_t *identity, const struct rng *rng);

#endif
