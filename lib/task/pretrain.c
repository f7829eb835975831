#include "task/pretrain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/recformer_start.h"
#include "nn/loss.h"
#include "nn/rows.h"
#include "stream/ranks.h"
#include "task/masking.h"
#include "task/validation.h"

const struct option pretrain_options[] = {
	{.key = "words_weight",
		REAL_OPTION(struct pretrain_options, words_weight, 0, 1e6),
		.fallback = "0.1",
		.help = "Of the masked words beside the contrast; 0: no words are masked"},
	{.key = "mask_rate",
		REAL_OPTION(struct pretrain_options, mask_rate, 0, 1),
		.fallback = "0.15",
		.only = "words_weight!=0",
		.help = "Share of the tokens that is masked"},
	{.key = "accumulate",
		WHOLE_OPTION(struct pretrain_options, accumulate, 1, 1 << 16),
		.fallback = "1",
		.help = "Batches of a step, each compared within itself"},
	{.key = "valid_users",
		WHOLE_OPTION(struct pretrain_options, valid_users, 1, INT32_MAX),
		.fallback = "4096",
		.help = "Validate on the first so many users"},
	{0},
};

/* What a worker leaves between two phases: its last chunk, encoded and still on its tape. */
struct kept {
	int64_t first, end;
	struct array *pooled;
};

struct pretrain {
	struct task task;
	struct pretrain_options options;
	int64_t compared; /* users, with one another */
	struct model *model;
	const struct sequences *sequences;
	struct masker *masker;
	int64_t *users; /* examples, as users of the sequences */
	struct validation valid;
	int64_t *target_indptr; /* its targets as histories of one item */
	/*
	 * of the part of a step that is compared: pair r is sequences 2r, the history, and 2r + 1, the item that followed
	 */
	struct sentences plain, masked;
	int32_t *label; /* by token of masked; -1: not to be guessed */
	int64_t label_capacity;
	int64_t *pair_indptr; /* tokens of pairs, for shares of about the same size */
	int64_t pairs, pair_capacity;
	int64_t guessed[2];       /* words of histories, of items */
	float *pooled, *gradient; /* 2 pairs x width, of plain */
	struct tape contrast;
	struct kept *kept; /* by slot of worker */
	uint64_t seed;
	double share; /* of the step's users */
};

/* --- examples --- */

static void list_users(struct pretrain *task)
{
	task->users = training_users(task->sequences, 2, &task->task.examples);
	if (!task->task.examples)
		die("sequences: no user has two training events, there is nothing to learn");
}

static void make_room(struct pretrain *task, int64_t pairs)
{
	if (pairs <= task->pair_capacity)
		return;
	size_t floats = (size_t)(2 * pairs * task->model->width);
	task->pair_capacity = pairs;
	task->pair_indptr = xreallocarray(task->pair_indptr, (size_t)pairs + 1, sizeof *task->pair_indptr);
	task->pooled = xreallocarray(task->pooled, floats, sizeof *task->pooled);
	task->gradient = xreallocarray(task->gradient, floats, sizeof *task->gradient);
}

/* The sequence just added to plain, with words masked. */
static void add_masked(struct pretrain *task, struct rng *rng, int side)
{
	struct sentences *plain = &task->plain, *masked = &task->masked;
	int64_t first = plain->indptr[plain->rows - 1], n = plain->tokens - first;
	sentences_copy(masked, plain, plain->rows - 1);
	if (masked->tokens > task->label_capacity) {
		task->label_capacity = 2 * masked->tokens;
		task->label = xreallocarray(task->label, (size_t)task->label_capacity, sizeof *task->label);
	}
	task->guessed[side] += mask_words(task->masker, rng, plain->token + first, n, masked->token + first,
		task->label + first);
}

/* A user's history up to a random event of the second half, and that event. */
static void add_pair(struct pretrain *task, int64_t user, struct rng *rng)
{
	const struct sentence_limits *limits = recformer_limits(task->model);
	const int32_t *item = task->sequences->item + task->sequences->indptr[user];
	int64_t length = train_length(task->sequences, user), from = (length - 1) / 2;
	int64_t target = from + (int64_t)rng_below(rng, (uint64_t)(length - from));
	int32_t bos = recformer_bos(task->model);
	bool masks = task->options.words_weight > 0;
	sentences_add(&task->plain, task->model->catalog, limits, bos, item, target);
	if (masks)
		add_masked(task, rng, 0);
	sentences_add(&task->plain, task->model->catalog, limits, bos, item + target, 1);
	if (masks)
		add_masked(task, rng, 1);
	task->pair_indptr[++task->pairs] = task->plain.tokens;
}

static void fill(struct pretrain *task, const int64_t example[], int64_t n, uint64_t seed)
{
	make_room(task, n);
	sentences_clear(&task->plain);
	sentences_clear(&task->masked);
	task->pairs = task->guessed[0] = task->guessed[1] = 0;
	task->pair_indptr[0] = 0;
	task->seed = seed;
	struct rng rng;
	rng_seed(&rng, seed);
	for (int64_t i = 0; i < n; i++)
		add_pair(task, task->users[example[i]], &rng);
}

/* --- phases --- */

/* The end of the pairs, from `first`, that a worker takes at once. */
static int64_t chunk_end(const struct pretrain *task, int64_t first, int64_t end)
{
	return sequences_at_once(task->pair_indptr, first, end, recformer_tokens_at_once(task->model));
}

/* Targets of the chosen tokens on one side, -1 on the other. */
static int32_t *targets_of(struct tape *tape, const struct pretrain *task, const struct sentences *part,
	const int64_t *chosen, int64_t n, int side)
{
	int32_t *target = arena_take(&tape->arena, n, 1, sizeof *target);
	int64_t row = 0;
	for (int64_t i = 0; i < n; i++) {
		while (chosen[i] >= part->indptr[row + 1] - part->indptr[0])
			row++;
		target[i] = row % 2 == side ? task->label[part->indptr[0] + chosen[i]] : -1;
	}
	return target;
}

static void touch_phase(void *base, struct worker *worker)
{
	const struct pretrain *task = base;
	recformer_touch(worker, &task->plain);
	recformer_touch(worker, &task->masked);
}

/* Guessing the masked words of pairs [first, end), and back. */
static void guess_words(struct pretrain *task, struct worker *worker, int64_t first, int64_t end)
{
	struct sentences part = sentences_part(&task->masked, 2 * first, 2 * end);
	struct tape *tape = &worker->tape;
	const struct model *model = task->model;
	tape_begin(tape, worker->gradient, ~task->seed, part.indptr[0]);
	int64_t *chosen = arena_take(&tape->arena, part.tokens, 1, sizeof *chosen), n = 0;
	for (int64_t t = 0; t < part.tokens; t++)
		if (task->label[part.indptr[0] + t] >= 0)
			chosen[n++] = t;
	if (!n)
		return;
	struct array *words = recformer_words(tape, model, recformer_states(tape, model, &part, chosen, n));
	for (int side = 0; side < 2; side++) {
		double weight = task->options.words_weight / (double)(task->guessed[side] ? task->guessed[side] : 1);
		const int32_t *target = targets_of(tape, task, &part, chosen, n, side);
		worker->loss += weight * (double)task->pairs *
			biased_cross_entropy(tape, words, recformer_word_vectors(tape, model), recformer_word_bias(tape, model),
				target, (float)(weight * task->share));
	}
	tape_backward(tape);
}

static void words_phase(void *base, struct worker *worker)
{
	struct pretrain *task = base;
	int64_t from, to;
	worker_rows(worker, task->pair_indptr, task->pairs, &from, &to);
	for (int64_t first = from, end; first < to; first = end) {
		end = chunk_end(task, first, to);
		guess_words(task, worker, first, end);
	}
}

/* Dropout is a function of seed and token: encoding again gives the same. */
static struct array *encode_pairs(struct pretrain *task, struct worker *worker, int64_t first, int64_t end)
{
	struct sentences part = sentences_part(&task->plain, 2 * first, 2 * end);
	tape_begin(&worker->tape, worker->gradient, task->seed, part.indptr[0]);
	return recformer_pooled(&worker->tape, task->model, &part);
}

static void encode_phase(void *base, struct worker *worker)
{
	struct pretrain *task = base;
	struct kept *kept = &task->kept[worker->slot];
	int64_t from, to, width = task->model->width;
	worker_rows(worker, task->pair_indptr, task->pairs, &from, &to);
	for (int64_t first = from, end; first < to; first = end) {
		end = chunk_end(task, first, to);
		*kept = (struct kept){first, end, encode_pairs(task, worker, first, end)};
		memcpy(task->pooled + 2 * first * width, kept->pooled->value,
			(size_t)(2 * (end - first) * width) * sizeof *task->pooled);
	}
}

/* Every second row of 2 pairs x width, from `side` on. */
static struct array *side_of(struct pretrain *task, int side)
{
	int64_t width = task->model->width;
	struct array *array = tape_input(&task->contrast, task->pairs, width);
	for (int64_t pair = 0; pair < task->pairs; pair++)
		memcpy(array->value + pair * width, task->pooled + (2 * pair + side) * width, (size_t)width * sizeof(float));
	return array;
}

static void keep_gradient(struct pretrain *task, struct array *array, int side)
{
	int64_t width = task->model->width;
	const float *gradient = tape_gradient(&task->contrast, array);
	for (int64_t pair = 0; pair < task->pairs; pair++)
		memcpy(task->gradient + (2 * pair + side) * width, gradient + pair * width, (size_t)width * sizeof(float));
}

/* Equation 10: softmax over the items of the batch. So small that one worker of each rank does all of it. */
static void contrast_phase(void *base, struct worker *worker)
{
	struct pretrain *task = base;
	if (worker->slot)
		return;
	float no_parameters;
	tape_begin(&task->contrast, &no_parameters, 0, 0);
	struct array *history = side_of(task, 0), *item = side_of(task, 1);
	int32_t *own = arena_take(&task->contrast.arena, task->pairs, 1, sizeof *own);
	for (int64_t pair = 0; pair < task->pairs; pair++)
		own[pair] = (int32_t)pair;
	struct array *scaled = unit_rows(&task->contrast, history, 1 / (float)recformer_temperature(task->model));
	double loss = full_cross_entropy(&task->contrast, scaled, unit_rows(&task->contrast, item, 1), own,
		(float)(task->share / (double)task->pairs));
	worker->loss += worker->index ? 0 : loss;
	tape_backward(&task->contrast);
	keep_gradient(task, history, 0);
	keep_gradient(task, item, 1);
}

static void backward(struct pretrain *task, struct worker *worker, struct array *pooled, int64_t first)
{
	const size_t bytes = (size_t)(pooled->rows * pooled->columns) * sizeof(float);
	memcpy(tape_gradient(&worker->tape, pooled), task->gradient + 2 * first * pooled->columns, bytes);
	pooled->touched = true;
	tape_backward(&worker->tape);
}

/* The chunk that is still on the tape first, the others encoded anew: what is kept does not grow with the batch. */
static void backward_phase(void *base, struct worker *worker)
{
	struct pretrain *task = base;
	const struct kept *kept = &task->kept[worker->slot];
	int64_t from, to;
	worker_rows(worker, task->pair_indptr, task->pairs, &from, &to);
	if (from == to)
		return;
	backward(task, worker, kept->pooled, kept->first);
	for (int64_t first = from, end; first < kept->first; first = end) {
		end = chunk_end(task, first, to);
		backward(task, worker, encode_pairs(task, worker, first, end), first);
	}
}

static void step(struct task *base, struct trainer *trainer, const int64_t example[], int64_t n, uint64_t seed,
	struct step_result *result)
{
	static phase_function *const touch[] = {touch_phase, NULL};
	static phase_function *const with_words[] = {words_phase, encode_phase, NULL};
	static phase_function *const compare[] = {contrast_phase, backward_phase, NULL};
	struct pretrain *task = (struct pretrain *)base;
	phase_function *const *encode = task->options.words_weight > 0 ? with_words : with_words + 1;
	*result = (struct step_result){.positions = n};
	trainer_begin(trainer);
	for (int64_t from = 0; from < n; from += task->compared) {
		int64_t pairs = n - from < task->compared ? n - from : task->compared;
		fill(task, example + from, pairs, seed + (uint64_t)from);
		task->share = (double)pairs / (double)n;
		trainer_compute(trainer, touch, task);
		trainer_catch_up_touched(trainer);
		trainer_compute(trainer, encode, task);
		trainer_gather_rows(trainer, task->pooled, task->pair_indptr, pairs, 2 * task->model->width);
		trainer_compute(trainer, compare, task);
	}
	trainer_update(trainer, result);
}

/* --- validation: does a history find its item among those of 64 users? --- */

#define COMPARED 64

static bool finds_own(const float *history, const float *items, int64_t own, int64_t n, int64_t width)
{
	double best = -INFINITY, of_own = 0;
	for (int64_t i = 0; i < n; i++) {
		double sum = 0;
		for (int64_t j = 0; j < width; j++)
			sum += (double)history[j] * (double)items[i * width + j];
		of_own = i == own ? sum : of_own;
		best = i != own && sum > best ? sum : best;
	}
	return of_own > best;
}

static bool validate(struct task *base, struct trainer *trainer, int64_t epoch, double measured[])
{
	struct pretrain *task = (struct pretrain *)base;
	(void)trainer, (void)epoch;
	int64_t all = task->valid.rows, width = task->model->width, from, to;
	ranks_share(all, COMPARED, &from, &to);
	const int64_t rows = to - from;
	float *history = xaligned((size_t)(rows * width), sizeof *history),
		  *item = xaligned((size_t)(rows * width), sizeof *item);
	const struct histories histories = validation_part(&task->valid, from, to);
	const struct histories targets = {.rows = rows, .indptr = task->target_indptr + from, .item = task->valid.target};
	model_queries(task->model, &histories, history);
	model_queries(task->model, &targets, item);
	double found = 0;
	for (int64_t row = 0; row < rows; row++) {
		int64_t first = row / COMPARED * COMPARED, n = rows - first < COMPARED ? rows - first : COMPARED;
		found += finds_own(history + row * width, item + first * width, row - first, n, width);
	}
	ranks_sum(&found, 1);
	measured[0] = all ? found / (double)all : 0;
	free(history);
	free(item);
	return all > 0;
}

/* --- all of it --- */

static void free_task(struct task *base)
{
	struct pretrain *task = (struct pretrain *)base;
	masker_free(task->masker);
	sentences_free(&task->plain);
	sentences_free(&task->masked);
	tape_free(&task->contrast);
	free(task->users);
	free(task->target_indptr);
	validation_free(&task->valid);
	free(task->label);
	free(task->pair_indptr);
	free(task->pooled);
	free(task->gradient);
	free(task->kept);
	free(task);
}

struct task *pretrain_task(struct model *model, const struct sequences *sequences, const struct tokenizer *tokenizer,
	int64_t compared, const struct pretrain_options *options, int workers)
{
	struct pretrain *task = xcalloc(1, sizeof *task);
	*task = (struct pretrain){.task = {.measures = {"in-batch accuracy"},
								  .keys = {"accuracy"},
								  .step = step,
								  .validate = validate,
								  .free = free_task},
		.options = *options,
		.compared = compared,
		.model = model,
		.sequences = sequences};
	if (options->words_weight > 0)
		task->masker = masker_new(tokenizer, options->mask_rate);
	task->kept = xcalloc((size_t)workers, sizeof *task->kept);
	list_users(task);
	task->valid = validation_new(sequences, &(struct validation_options){.users = options->valid_users});
	if (!task->valid.rows)
		task->task.measures[0] = task->task.keys[0] = NULL;
	task->target_indptr = xcalloc((size_t)task->valid.rows + 1, sizeof *task->target_indptr);
	for (int64_t row = 0; row <= task->valid.rows; row++)
		task->target_indptr[row] = row;
	return &task->task;
}
