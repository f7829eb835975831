#include "task/finetune.h"

#include <stdlib.h>
#include <string.h>

#include "model/encoder.h"
#include "model/recformer_start.h"
#include "nn/loss.h"
#include "nn/rows.h"
#include "stream/progress.h"

#define MEASURED_AS_CODE 3 /* every so manieth epoch */

static const char *const vectors_names[] = {"encoded", "learned", NULL};

const struct option finetune_options[] = {
	{.key = "as_code",
		YES_NO_OPTION(struct finetune_options, as_code),
		.fallback = "no",
		.help = "Where Recformer's paper and public code differ, as the code"},
	{.key = "second_stop_after",
		WHOLE_OPTION(struct finetune_options, second_stop_after, 0, 1000000),
		.fallback = "=stop_after",
		.at_most = "epochs",
		.help = "The same of the second stage; 0: there is none"},
	{.key = "item_vectors",
		CHOICE_OPTION(struct finetune_options, item_vectors, vectors_names),
		.fallback = "encoded",
		.help = "In the second stage: encoded, as the paper's; learned: each item has one of its own beside it"},
	{INCLUDED_OPTIONS(struct finetune_options, valid, validation_options)},
	{0},
};

/* What changes in training beside the parameters. */
enum {
	STAGE,   /* 0, 1; 2: it is over */
	ENCODED, /* 1 + the epoch for which the items were encoded; 0: none */
	EPOCHS,  /* of this stage so far */
	WAITED,  /* measurements of this stage since the best */
	BEST,    /* and BEST + 1: epochs of each stage at its best */
	N_AT = BEST + 2
};
struct progress_state {
	int64_t at[N_AT];
	double best; /* the measure of the best model */
};

struct finetune {
	struct task task;
	struct state states[5];
	struct finetune_options options;
	struct stages stages;
	struct model *model;
	struct trainer *trainer;
	const struct sequences *sequences;
	int64_t *users; /* examples */
	struct progress_state now;
	float *items, *best_items; /* n_items x width: this epoch's, of unit length, and the best model's */
	bool *cold;                /* by item: no training event has it */
	double zero_shot[2];
	struct validation valid;
	/* a step */
	struct sentences batch;
	struct ragged histories; /* the same, as items */
	int32_t *target;
	uint64_t seed;
};

static int64_t n_floats(const struct finetune *task)
{
	return task->model->catalog->n_items * task->model->width;
}

/* --- examples --- */

static void list_users(struct finetune *task)
{
	task->users = training_users(task->sequences, 1, &task->task.examples);
	if (!task->task.examples)
		die("sequences: no training events, there is nothing to learn");
}

/* --- items' own vectors --- */

/* Whether they are trained now. */
static bool trains_own(const struct finetune *task)
{
	return task->options.item_vectors == VECTORS_LEARNED && task->now.at[STAGE] > 0;
}

static bool *cold_items(const struct finetune *task)
{
	const int64_t items = task->model->catalog->n_items;
	bool *cold = xcalloc((size_t)items, sizeof *cold);
	memset(cold, true, (size_t)items * sizeof *cold);
	for (int64_t i = 0; i < task->task.examples; i++) {
		const int64_t user = task->users[i], length = train_length(task->sequences, user);
		for (int64_t event = 0; event < length; event++)
			cold[task->sequences->item[task->sequences->indptr[user] + event]] = false;
	}
	return cold;
}

/* Negatives of every step, items that nobody has would be pushed away from all histories. */
static void keep_cold(const struct finetune *task)
{
	const struct param *own = recformer_own(task->model)->vectors;
	for (int64_t item = 0; item < own->rows; item++)
		if (task->cold[item])
			memset(own->value + item * own->columns, 0, (size_t)own->columns * sizeof *own->value);
}

/* From vectors of texts, of unit length, those of the items as they are ranked. */
static void add_own(const struct finetune *task, float *items)
{
	const struct item_table *own = recformer_own(task->model);
	for (int64_t i = 0; i < n_floats(task); i++)
		items[i] += own->scale * own->vectors->value[i];
}

static struct array *items_array(struct tape *tape, const struct finetune *task)
{
	const struct model *model = task->model;
	struct array *items = tape_constant(tape, task->items, model->catalog->n_items, model->width);
	if (!trains_own(task))
		return items;
	const struct item_table *own = recformer_own(model);
	return unit_rows(tape, add(tape, items, scaled(tape, tape_param(tape, own->vectors), own->scale)), 1);
}

/* Whether histories are means of their items' vectors: then nothing is to be trained but items' own. */
static bool by_items(const struct finetune *task)
{
	return recformer_own(task->model)->histories == HISTORIES_ITEMS;
}

/* --- a step --- */

static void items_phase(void *base, struct worker *worker)
{
	struct finetune *task = base;
	struct tape *tape = &worker->tape;
	const struct histories histories = histories_of(&task->histories);
	int64_t from, to;
	worker_share(worker, histories.rows, &from, &to);
	if (from == to)
		return;
	tape_begin(tape, worker->gradient, task->seed, histories.indptr[from]);
	const struct histories part = histories_part(&histories, from, to);
	struct array *items = items_array(tape, task);
	struct array *history = unit_rows(tape, recformer_means(tape, task->model, items, &part),
		1 / (float)recformer_temperature(task->model));
	worker->loss += full_cross_entropy(tape, history, items, task->target + from, 1 / (float)histories.rows);
	tape_backward(tape);
}

static void touch_phase(void *base, struct worker *worker)
{
	recformer_touch(worker, &((struct finetune *)base)->batch);
}

/* The worker's rows: their cosines / temperature with all items, as logits. */
static void softmax_phase(void *base, struct worker *worker)
{
	struct finetune *task = base;
	struct tape *tape = &worker->tape;
	const struct model *model = task->model;
	int64_t from, to, most = recformer_tokens_at_once(model);
	worker_rows(worker, task->batch.indptr, task->batch.rows, &from, &to);
	for (int64_t first = from, end; first < to; first = end) {
		end = sequences_at_once(task->batch.indptr, first, to, most);
		struct sentences part = sentences_part(&task->batch, first, end);
		tape_begin(tape, worker->gradient, task->seed, part.indptr[0]);
		struct array *history = recformer_pooled(tape, model, &part);
		if (trains_own(task)) {
			const struct histories histories = histories_of(&task->histories),
								   of_part = histories_part(&histories, first, end);
			history = recformer_joined(tape, model, history, &of_part);
		}
		worker->loss += full_cross_entropy(tape, unit_rows(tape, history, 1 / (float)recformer_temperature(model)),
			items_array(tape, task), task->target + first, 1 / (float)task->batch.rows);
		tape_backward(tape);
	}
}

static void step(struct task *base, struct trainer *trainer, const int64_t example[], int64_t n, uint64_t seed,
	struct step_result *result)
{
	static phase_function *const touch[] = {touch_phase, NULL};
	static phase_function *const of_texts[] = {softmax_phase, NULL}, *const of_items[] = {items_phase, NULL};
	struct finetune *task = (struct finetune *)base;
	struct rng rng;
	rng_seed(&rng, seed);
	sentences_clear(&task->batch);
	ragged_clear(&task->histories);
	task->target = xreallocarray(task->target, (size_t)n, sizeof *task->target);
	task->seed = seed;
	for (int64_t i = 0; i < n; i++) {
		int64_t user = task->users[example[i]];
		const int32_t *item = task->sequences->item + task->sequences->indptr[user];
		int64_t before = (int64_t)rng_below(&rng, (uint64_t)train_length(task->sequences, user));
		if (!by_items(task))
			sentences_add(&task->batch, task->model->catalog, recformer_limits(task->model), recformer_bos(task->model),
				item, before);
		histories_append(&task->histories, task->sequences, task->sequences->indptr[user], before);
		task->target[i] = item[before];
	}
	*result = (struct step_result){.positions = n};
	trainer_begin(trainer);
	trainer_compute(trainer, touch, task);
	trainer_catch_up_touched(trainer);
	trainer_compute(trainer, by_items(task) ? of_items : of_texts, task);
	trainer_update(trainer, result);
	if (trains_own(task))
		keep_cold(task);
}

/* --- epochs --- */

static void encode_items(struct finetune *task)
{
	encoder_items(task->model, task->items);
	unit_length(task->items, task->model->catalog->n_items, task->model->width);
}

/* Line 4 of the algorithm. Where an epoch is resumed its items are there already. */
static int64_t begin_epoch(struct task *base, int64_t epoch, int64_t example[])
{
	struct finetune *task = (struct finetune *)base;
	if (task->now.at[STAGE] > 1)
		return 0;
	if (task->now.at[STAGE] == 0 && task->now.at[ENCODED] != epoch + 1) {
		encode_items(task);
		task->now.at[ENCODED] = epoch + 1;
	}
	for (int64_t i = 0; i < base->examples; i++)
		example[i] = i;
	return base->examples;
}

static void rank(struct finetune *task, double measured[2])
{
	if (trains_own(task)) {
		float *items = xaligned((size_t)n_floats(task), sizeof *items);
		memcpy(items, task->items, (size_t)n_floats(task) * sizeof *items);
		add_own(task, items);
		encoder_rank_by(task->model, items);
		free(items);
	} else {
		encoder_rank_by(task->model, task->items);
	}
	if (!validation_measure(&task->valid, task->model, measured))
		die("scores of validation are not finite");
}

/* Line 12: the best model so far, and its items as they were, go on. */
static void end_stage(struct finetune *task)
{
	struct params *params = &task->model->params;
	bool is_best = !task->now.at[WAITED];
	task->now.at[STAGE]++;
	task->now.at[EPOCHS] = task->now.at[WAITED] = 0;
	notice("stage %lld is over", (long long)task->now.at[STAGE]);
	if (!task->stages.epochs[1])
		task->now.at[STAGE] = 2;
	if (task->now.at[STAGE] > 1)
		return;
	if (!is_best)
		memcpy(params->value, task->task.best, (size_t)params->size * sizeof *params->value);
	memcpy(task->items, task->best_items, (size_t)n_floats(task) * sizeof *task->items);
	if (trains_own(task))
		task->now.best = 0; /* a history of ids and text is another one than that of text alone */
	if (task->options.as_code)
		return;
	struct optimiser *optimiser = &task->trainer->adamw->optimiser;
	optimiser->reset(optimiser);
}

static bool validate(struct task *base, struct trainer *trainer, int64_t epoch, double measured[])
{
	struct finetune *task = (struct finetune *)base;
	(void)trainer;
	struct progress_state *now = &task->now;
	bool any = task->valid.rows > 0;
	if (epoch < 0) {
		memcpy(measured, task->zero_shot, sizeof task->zero_shot);
		return any;
	}
	bool due = !task->options.as_code || (now->at[EPOCHS] + 1) % MEASURED_AS_CODE == 0;
	measured[0] = measured[1] = 0;
	now->at[EPOCHS]++;
	if (due && any)
		rank(task, measured);
	if (!any || measured[0] > now->best) {
		now->best = measured[0];
		now->at[WAITED] = 0;
		now->at[BEST + now->at[STAGE]] = now->at[EPOCHS];
		memcpy(task->best_items, task->items, (size_t)n_floats(task) * sizeof *task->items);
	} else {
		now->at[WAITED] += due;
	}
	if (now->at[WAITED] >= task->stages.patience[now->at[STAGE]] ||
		now->at[EPOCHS] >= task->stages.epochs[now->at[STAGE]])
		end_stage(task);
	return any;
}

static void describe(struct task *base, json_t *history)
{
	struct finetune *task = (struct finetune *)base;
	const int64_t *best = task->now.at + BEST;
	const json_int_t kept = json_integer_value(json_object_get(history, "best_epoch"));
	/* a second stage with items' own vectors has a best epoch of its own, which may be worse than the first stage's */
	json_set(history, "best_of_stages",
		json_build("{s:I, s:I}", "stop_after", (json_int_t)best[0], "second_stop_after",
			kept > best[0] ? (json_int_t)best[1] : 0));
}

/* --- all of it --- */

static void free_task(struct task *base)
{
	struct finetune *task = (struct finetune *)base;
	sentences_free(&task->batch);
	free(task->users);
	free(task->items);
	free(task->best_items);
	validation_free(&task->valid);
	free(task->target);
	free(task->cold);
	ragged_free(&task->histories);
	free(task);
}

/* Where no epoch came to its end there is no best one. */
const float *finetune_items(struct task *base)
{
	struct finetune *task = (struct finetune *)base;
	if (!task->now.at[BEST] && !task->now.at[BEST + 1]) {
		encode_items(task);
		return task->items;
	}
	memcpy(task->items, task->best_items, (size_t)n_floats(task) * sizeof *task->items);
	if (recformer_own(task->model)->vectors)
		add_own(task, task->items);
	return task->items;
}

static void measure_zero_shot(struct finetune *task)
{
	encode_items(task);
	memcpy(task->best_items, task->items, (size_t)n_floats(task) * sizeof *task->items);
	if (!task->valid.rows)
		return;
	rank(task, task->zero_shot);
	task->now.best = task->zero_shot[0];
}

struct task *finetune_task(struct model *model, struct trainer *trainer, const struct sequences *sequences,
	const struct stages *stages, const struct finetune_options *options)
{
	struct finetune *task = xcalloc(1, sizeof *task);
	*task = (struct finetune){.task = {.begin_epoch = begin_epoch,
								  .step = step,
								  .validate = validate,
								  .describe = describe,
								  .free = free_task,
								  .start = "zero-shot",
								  .stages = 2},
		.options = *options,
		.stages = *stages,
		.model = model,
		.trainer = trainer,
		.sequences = sequences};
	task->items = xaligned((size_t)n_floats(task), sizeof *task->items);
	task->best_items = xaligned((size_t)n_floats(task), sizeof *task->best_items);
	task->states[0] = (struct state){"stage.npy", I8, COUNT_OF(task->now.at), task->now.at, false};
	task->states[1] = (struct state){"best_measure.npy", F8, 1, &task->now.best, false};
	task->states[2] = (struct state){"items.npy", F4, n_floats(task), task->items, false};
	task->states[3] = (struct state){"best_items.npy", F4, n_floats(task), task->best_items, false};
	task->task.states = task->states;
	if (by_items(task) && !recformer_own(model)->vectors)
		die("\"histories\" is items, whose own vectors are all that is trained: --set item_vectors=learned was "
			"expected");
	list_users(task);
	task->histories = histories_new(sequences);
	task->cold = cold_items(task);
	task->valid = validation_new(sequences, &options->valid);
	validation_name(&task->valid, &task->task);
	measure_zero_shot(task);
	/* the first stage trains what reads texts */
	task->now.at[STAGE] = by_items(task) || !stages->epochs[0];
	if (trains_own(task))
		task->now.best = 0;
	return &task->task;
}
