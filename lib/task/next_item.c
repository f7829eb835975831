#include "task/next_item.h"

#include <stdlib.h>
#include <string.h>

#include "model/items.h"
#include "task/validation.h"

/* What a user's training part gives: inputs [first, first + length) and, one further on, their targets. */
struct example {
	int64_t first, length;
};

/* Histories packed for a model, with what follows each: targets of every position, or one a row. */
struct packed {
	int64_t *indptr;
	int32_t *item, *target;
	int64_t rows;
};

struct next_item {
	struct task task;
	struct next_item_options options;
	struct model *model;
	struct next *next;
	const int32_t *events;
	struct example *examples;
	int64_t positions;
	struct packed batch;
	int64_t batch_rows, batch_tokens; /* there is room for */
	struct validation valid;
};

static void packed_free(struct packed *packed)
{
	free(packed->indptr);
	free(packed->item);
	free(packed->target);
}

static struct histories packed_histories(const struct packed *packed)
{
	return (struct histories){packed->rows, packed->indptr, packed->item};
}

static void list_examples(struct next_item *task, const struct sequences *sequences, int64_t max_length)
{
	task->examples = xreallocarray(NULL, (size_t)sequences->n_users, sizeof *task->examples);
	for (int64_t user = 0; user < sequences->n_users; user++) {
		int64_t length = train_length(sequences, user) - 1, first = sequences->indptr[user];
		if (length < 1)
			continue;
		if (max_length && length > max_length) {
			first += length - max_length;
			length = max_length;
		}
		task->examples[task->task.examples++] = (struct example){first, length};
		task->positions += length;
	}
	if (!task->task.examples)
		die("sequences: no user has two training events, there is nothing to learn");
}

/* --- a step --- */

static void make_room(struct next_item *task, int64_t rows, int64_t tokens)
{
	if (rows > task->batch_rows) {
		task->batch.indptr = xreallocarray(task->batch.indptr, (size_t)rows + 1, sizeof *task->batch.indptr);
		task->batch_rows = rows;
	}
	if (tokens > task->batch_tokens) {
		task->batch.item = xreallocarray(task->batch.item, (size_t)tokens, sizeof *task->batch.item);
		task->batch.target = xreallocarray(task->batch.target, (size_t)tokens, sizeof *task->batch.target);
		task->batch_tokens = tokens;
	}
}

static void fill_batch(struct next_item *task, const int64_t example[], int64_t n)
{
	int64_t tokens = 0;
	for (int64_t row = 0; row < n; row++)
		tokens += task->examples[example[row]].length;
	make_room(task, n, tokens);
	struct packed *batch = &task->batch;
	batch->rows = n;
	batch->indptr[0] = 0;
	for (int64_t row = 0; row < n; row++) {
		struct example from = task->examples[example[row]];
		int64_t at = batch->indptr[row];
		memcpy(batch->item + at, task->events + from.first, (size_t)from.length * sizeof *batch->item);
		memcpy(batch->target + at, task->events + from.first + 1, (size_t)from.length * sizeof *batch->target);
		batch->indptr[row + 1] = at + from.length;
	}
}

static void step(struct task *base, struct trainer *trainer, const int64_t example[], int64_t n, uint64_t seed,
	struct step_result *result)
{
	struct next_item *task = (struct next_item *)base;
	fill_batch(task, example, n);
	struct histories histories = packed_histories(&task->batch);
	next_step(task->next, trainer, &histories, task->batch.target, seed, result);
}

/* --- validation --- */

static bool validate(struct task *base, struct trainer *trainer, int64_t epoch, double measured[])
{
	struct next_item *task = (struct next_item *)base;
	(void)trainer;
	items_refresh(task->model);
	if (!validation_measure(&task->valid, task->model, task->options.keep_seen, measured))
		die("scores of validation are not finite after epoch %lld", (long long)epoch + 1);
	return task->valid.rows > 0;
}

static void free_task(struct task *base)
{
	struct next_item *task = (struct next_item *)base;
	next_free(task->next);
	packed_free(&task->batch);
	validation_free(&task->valid);
	free(task->examples);
	free(task);
}

struct task *next_item_task(struct model *model, const struct sequences *sequences,
	const struct next_item_options *options, int workers)
{
	struct next_item *task = xcalloc(1, sizeof *task);
	*task = (struct next_item){.task = {.measures = {"valid NDCG@10", "Recall@10"},
								   .keys = {"ndcg@10", "recall@10"},
								   .step = step,
								   .validate = validate,
								   .free = free_task},
		.options = *options,
		.model = model,
		.events = sequences->item};
	list_examples(task, sequences, model_max_length(model));
	task->valid = validation_new(sequences, options->valid_users);
	task->next = next_new(model, &options->loss, workers);
	return &task->task;
}

void next_item_counts(const struct task *base, int64_t *users, int64_t *positions, int64_t *validated)
{
	const struct next_item *task = (const struct next_item *)base;
	*users = base->examples;
	*positions = task->positions;
	*validated = task->valid.rows;
}

/* --- models that count --- */

int64_t next_item_count(struct model *model, const struct sequences *sequences)
{
	struct packed packed = {.rows = sequences->n_users};
	packed.indptr = xcalloc((size_t)packed.rows + 1, sizeof *packed.indptr);
	packed.item = xreallocarray(NULL, (size_t)sequences->n_events, sizeof *packed.item);
	for (int64_t user = 0; user < packed.rows; user++) {
		int64_t length = train_length(sequences, user), to = packed.indptr[user];
		memcpy(packed.item + to, sequences->item + sequences->indptr[user], (size_t)length * sizeof *packed.item);
		packed.indptr[user + 1] = to + length;
	}
	struct histories histories = packed_histories(&packed);
	model->architecture->count(model, &histories);
	int64_t events = packed.indptr[packed.rows];
	packed_free(&packed);
	return events;
}
