#include "task/next_item.h"

#include <stdlib.h>

#include "model/items.h"

const struct option augmentation_options[] = {
	{.key = "item_dropout",
		REAL_OPTION(struct augmentation, item_dropout, 0, .99),
		.fallback = "0",
		.help = "Leave each item of a history out of a step with this probability"},
	{.key = "reversal",
		REAL_OPTION(struct augmentation, reversal, 0, 1),
		.fallback = "0",
		.help = "Read a history backwards in a step with this probability"},
	{0},
};

/* What a user's training part gives: inputs [first, first + length) and, one further on, their targets. */
struct example {
	int64_t first, length;
};

struct next_item {
	struct task task;
	struct next_item_options options;
	struct model *model;
	struct next *next;
	const struct sequences *sequences;
	struct example *examples;
	int64_t positions;
	struct ragged batch, targets; /* of a step: histories, and what follows each of their items */
	int64_t *place;               /* of one example as it was augmented: which of its events, in order */
	struct validation valid;
};

static void list_examples(struct next_item *task, int64_t max_length)
{
	const struct sequences *sequences = task->sequences;
	task->examples = xreallocarray(NULL, (size_t)sequences->n_users, sizeof *task->examples);
	int64_t longest = 0;
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
		longest = length > longest ? length : longest;
	}
	if (!task->task.examples)
		die("sequences: no user has two training events, there is nothing to learn");
	task->place = xreallocarray(NULL, (size_t)longest + 1, sizeof *task->place);
}

/* --- a step --- */

/* Returns how many of `events` are left, at least two; task->place has which. */
static int64_t augment(const struct next_item *task, int64_t events, struct rng *rng)
{
	const struct augmentation *augmentation = &task->options.augmentation;
	int64_t n = 0;
	for (int64_t i = 0; i < events; i++)
		if (rng_uniform(rng) >= augmentation->item_dropout)
			task->place[n++] = i;
	const bool reversed = rng_uniform(rng) < augmentation->reversal, all = n < 2;
	n = all ? events : n;
	for (int64_t i = 0; all && i < n; i++)
		task->place[i] = i;
	for (int64_t i = 0; reversed && i < n / 2; i++) {
		const int64_t other = task->place[n - 1 - i];
		task->place[n - 1 - i] = task->place[i];
		task->place[i] = other;
	}
	return n;
}

static void append_augmented(struct next_item *task, struct example from, struct rng *rng)
{
	const struct sequences *sequences = task->sequences;
	const int64_t n = augment(task, from.length + 1, rng) - 1;
	const int64_t start = ragged_add(&task->batch, n), target = ragged_add(&task->targets, n);
	for (int64_t i = 0; i < n; i++) {
		const int64_t event = from.first + task->place[i];
		((int32_t *)task->batch.field[0])[start + i] = sequences->item[event];
		if (sequences->timestamp)
			((int64_t *)task->batch.field[1])[start + i] = sequences->timestamp[event];
		((int32_t *)task->targets.field[0])[target + i] = sequences->item[from.first + task->place[i + 1]];
	}
}

static void fill_batch(struct next_item *task, const int64_t example[], int64_t n, uint64_t seed)
{
	const struct augmentation *augmentation = &task->options.augmentation;
	const bool augmented = augmentation->item_dropout > 0 || augmentation->reversal > 0;
	struct rng rng;
	rng_seed(&rng, seed);
	ragged_clear(&task->batch);
	ragged_clear(&task->targets);
	for (int64_t row = 0; row < n; row++) {
		struct example from = task->examples[example[row]];
		if (augmented) {
			append_augmented(task, from, &rng);
			continue;
		}
		histories_append(&task->batch, task->sequences, from.first, from.length);
		ragged_append(&task->targets, from.length, (const void *[]){task->sequences->item + from.first + 1});
	}
}

static void step(struct task *base, struct trainer *trainer, const int64_t example[], int64_t n, uint64_t seed,
	struct step_result *result)
{
	struct next_item *task = (struct next_item *)base;
	fill_batch(task, example, n, seed);
	struct histories histories = histories_of(&task->batch);
	next_step(task->next, trainer, &histories, task->targets.field[0], seed, result);
}

/* --- validation --- */

static bool validate(struct task *base, struct trainer *trainer, int64_t epoch, double measured[])
{
	struct next_item *task = (struct next_item *)base;
	(void)trainer;
	items_refresh(task->model);
	if (!validation_measure(&task->valid, task->model, measured))
		die("scores of validation are not finite after epoch %lld", (long long)epoch + 1);
	return task->valid.rows > 0;
}

static void free_task(struct task *base)
{
	struct next_item *task = (struct next_item *)base;
	next_free(task->next);
	ragged_free(&task->batch);
	ragged_free(&task->targets);
	validation_free(&task->valid);
	free(task->examples);
	free(task->place);
	free(task);
}

/* But for those that a model which goes on met before, and those that features tell nothing of. */
static void leave_out_unmet(struct next_item *task)
{
	struct model *model = task->model;
	if (!items_kept_feature_size(model))
		return;
	int32_t *met = training_counts(task->sequences, model->n_items);
	for (int64_t item = 0; item < model->n_items; item++)
		met[item] += (model->met && model->met[item]) || !items_has_feature(model, item);
	items_forget_own(model, met);
	next_leave_out_unmet(task->next, met);
	free(met);
}

struct task *next_item_task(struct model *model, const struct sequences *sequences,
	const struct next_item_options *options, int workers)
{
	struct next_item *task = xcalloc(1, sizeof *task);
	*task = (struct next_item){.task = {.step = step, .validate = validate, .free = free_task},
		.options = *options,
		.model = model,
		.sequences = sequences,
		.batch = histories_new(sequences),
		.targets = RAGGED(I4)};
	list_examples(task, model_max_length(model));
	task->valid = validation_new(sequences, &options->valid);
	validation_name(&task->valid, &task->task);
	task->next = next_new(model, &options->loss, workers);
	leave_out_unmet(task);
	return &task->task;
}

void next_item_counts(const struct task *base, int64_t *users, int64_t *positions, int64_t *validated)
{
	const struct next_item *task = (const struct next_item *)base;
	*users = base->examples;
	*positions = task->positions;
	*validated = task->valid.rows;
}

void next_item_by_rows(struct task *base, int64_t batch_size)
{
	const struct next_item *task = (const struct next_item *)base;
	const int64_t examples = batch_size < base->examples ? batch_size : base->examples;
	next_by_rows(task->model, &task->options.loss, examples, task->positions * examples / base->examples);
}
