#include "task/next.h"

#include <stdlib.h>

#include "model/items.h"
#include "nn/loss.h"

const char *const loss_names[] = {"ce", "sampled", "bce", "gbce", NULL};

static void negatives_of_loss(void *values)
{
	static const int64_t negatives[] = {[LOSS_CE] = 0, [LOSS_SAMPLED] = 3000, [LOSS_BCE] = 1, [LOSS_GBCE] = 256};
	struct loss_options *options = values;
	options->negatives = negatives[options->loss];
}

const struct option loss_options[] = {
	{"loss", CHOICE_OPTION(struct loss_options, loss, loss_names), .argument = "NAME", .fallback = "ce",
		.help = "ce (softmax over the whole catalog), sampled, bce or gbce"},
	{"negatives", .argument = "N", WHOLE_OPTION(struct loss_options, negatives, 0, 1 << 20),
		.derive = negatives_of_loss, .fallback = "sampled: 3000 a user; bce 1, gbce 256 a position",
		.only = "loss=sampled|bce|gbce", .help = "Negatives"},
	{.key = "gbce_t",
		REAL_OPTION(struct loss_options, gbce_t, 0, 1),
		.fallback = "0.75",
		.only = "loss=gbce",
		.help = "Calibration of gbce, 0 (as bce) to 1"},
	{0},
};

/* Draws negatives; one for each worker. */
struct sampler {
	uint32_t *mark; /* by item: the last draw that met it */
	uint32_t draw;
	int32_t *negative;
	int64_t negative_capacity;
};

struct batch {
	const struct histories *histories;
	const int32_t *targets;
	uint64_t seed;
	float scale; /* 1 / positions */
	bool learn;  /* with dropout and gradients */
};

struct next {
	struct model *model;
	struct loss_options options;
	struct sampler *samplers;
	int n_samplers;
	struct batch batch;
};

struct next *next_new(struct model *model, const struct loss_options *options, int workers)
{
	if (!model->architecture->hidden)
		die("%s is not trained by gradients", model->architecture->name);
	if (options->loss != LOSS_CE && options->negatives < 1)
		die("%s needs negatives", loss_names[options->loss]);
	struct next *next = xcalloc(1, sizeof *next);
	*next = (struct next){.model = model, .options = *options, .n_samplers = workers};
	items_prepare(model, workers);
	next->samplers = xcalloc((size_t)workers, sizeof *next->samplers);
	for (int i = 0; i < workers && options->loss != LOSS_CE; i++)
		next->samplers[i].mark = xcalloc((size_t)model->n_items, sizeof *next->samplers[i].mark);
	return next;
}

void next_free(struct next *next)
{
	if (!next)
		return;
	for (int i = 0; i < next->n_samplers; i++) {
		free(next->samplers[i].mark);
		free(next->samplers[i].negative);
	}
	free(next->samplers);
	free(next);
}

/* --- negatives --- */

static int32_t *negatives_room(struct sampler *sampler, int64_t n)
{
	if (n > sampler->negative_capacity) {
		sampler->negative = xreallocarray(sampler->negative, (size_t)n, sizeof *sampler->negative);
		sampler->negative_capacity = n;
	}
	return sampler->negative;
}

/* Marks what the sequence holds, inputs and targets; returns how many different items that is. */
static int64_t mark_sequence(struct sampler *sampler, const int32_t *item, const int32_t *target, int64_t n)
{
	int64_t distinct = 0;
	sampler->draw++;
	for (int64_t i = 0; i < 2 * n; i++) {
		int32_t one = i < n ? item[i] : target[i - n];
		if (one >= 0 && sampler->mark[one] != sampler->draw) {
			sampler->mark[one] = sampler->draw;
			distinct++;
		}
	}
	return distinct;
}

static int32_t draw_unmarked(const struct sampler *sampler, struct rng *rng, int64_t n_items)
{
	int32_t item;
	do
		item = (int32_t)rng_below(rng, (uint64_t)n_items);
	while (sampler->mark[item] == sampler->draw);
	return item;
}

/* Distinct items outside the sequence; fewer than asked for where there are not so many. Returns their number. */
static int64_t draw_shared(struct sampler *sampler, struct rng *rng, int64_t n_items, int64_t outside, int64_t n)
{
	n = n < outside ? n : outside;
	int32_t *negative = negatives_room(sampler, n);
	for (int64_t i = 0; i < n; i++) {
		negative[i] = draw_unmarked(sampler, rng, n_items);
		sampler->mark[negative[i]] = sampler->draw;
	}
	return n;
}

/* A sequence's own generator: the draws do not depend on the other sequences, or on who makes them. */
static struct rng rng_of(uint64_t seed, int64_t row)
{
	struct rng rng;
	rng_seed(&rng, seed + UINT64_C(0xd1342543de82ef95) * ((uint64_t)row + 1));
	return rng;
}

/* --- loss --- */

static double sampled_loss(const struct next *next, struct worker *worker, const struct histories *part,
	const int32_t *targets, int64_t first_row, struct array *hidden, struct array *items)
{
	struct sampler *sampler = &next->samplers[worker->slot];
	double loss = 0;
	for (int64_t row = 0; row < part->rows; row++) {
		int64_t from = part->indptr[row], n = part->indptr[row + 1] - from, n_items = items->rows;
		struct rng rng = rng_of(next->batch.seed, first_row + row);
		int64_t outside = n_items - mark_sequence(sampler, part->item + from, targets + from, n);
		int64_t drawn = draw_shared(sampler, &rng, n_items, outside, next->options.negatives);
		loss += sampled_cross_entropy(&worker->tape, hidden, from - part->indptr[0], n, items, targets + from,
			sampler->negative, drawn, next->batch.scale);
	}
	return loss;
}

static double binary_loss(const struct next *next, struct worker *worker, const struct histories *part,
	const int32_t *targets, int64_t first_row, struct array *hidden, struct array *items)
{
	const struct loss_options *options = &next->options;
	struct sampler *sampler = &next->samplers[worker->slot];
	int64_t base = part->indptr[0], k = options->negatives, n_items = items->rows;
	int32_t *negative = negatives_room(sampler, hidden->rows * k);
	bool any = options->loss == LOSS_GBCE;
	for (int64_t row = 0; row < part->rows; row++) {
		int64_t from = part->indptr[row], to = part->indptr[row + 1];
		struct rng rng = rng_of(next->batch.seed, first_row + row);
		int64_t inside = any ? 0 : mark_sequence(sampler, part->item + from, targets + from, to - from);
		for (int64_t i = (from - base) * k; i < (to - base) * k; i++)
			negative[i] = any || inside == n_items ? (int32_t)rng_below(&rng, (uint64_t)n_items) :
													 draw_unmarked(sampler, &rng, n_items);
	}
	double beta = any ? gbce_beta(k, n_items, options->gbce_t) : 1;
	return binary_cross_entropy(&worker->tape, hidden, items, targets + base, negative, k, beta,
		any ? 1 / (double)(k + 1) : 1, next->batch.scale);
}

/* Forward, loss and, where it is to learn, backward of the batch's rows [first, end). */
static void compute_part(const struct next *next, struct worker *worker, int64_t first, int64_t end)
{
	const struct model *model = next->model;
	const struct batch *batch = &next->batch;
	const struct histories *all = batch->histories;
	struct tape *tape = &worker->tape;
	struct histories part = histories_part(all, first, end);
	tape_begin(tape, batch->learn ? worker->gradient : NULL, batch->seed, part.indptr[0] - all->indptr[0]);
	struct array *hidden = model_hidden(tape, model, &part);
	struct array *items = tape_param(tape, model->item_vectors);
	if (next->options.loss == LOSS_CE)
		worker->loss += full_cross_entropy(tape, hidden, items, batch->targets + part.indptr[0], batch->scale);
	else if (next->options.loss == LOSS_SAMPLED)
		worker->loss += sampled_loss(next, worker, &part, batch->targets, first, hidden, items);
	else
		worker->loss += binary_loss(next, worker, &part, batch->targets, first, hidden, items);
	if (batch->learn)
		tape_backward(tape);
}

/* The worker's rows, as many at a time as the architecture takes well. */
static void compute_share(void *task, struct worker *worker)
{
	const struct next *next = task;
	const struct histories *all = next->batch.histories;
	int64_t at_once = next->model->architecture->tokens_at_once, last, end;
	worker_rows(worker, all->indptr, all->rows, &end, &last);
	for (int64_t first = end; first < last; first = end) {
		end = sequences_at_once(all->indptr, first, last, at_once);
		compute_part(next, worker, first, end);
	}
}

static void derive_items(void *task, struct worker *worker)
{
	struct next *next = task;
	items_derive(next->model, worker, next->batch.learn);
}

/* z of the whole catalog, by all workers. */
static void derive_all_items(struct next *next, struct trainer *trainer)
{
	static phase_function *const derive[] = {derive_items, NULL};
	if (!next->model->items)
		return;
	trainer_compute(trainer, derive, next);
	items_gather(next->model, trainer);
}

static void derive_items_backward(void *task, struct worker *worker)
{
	struct next *next = task;
	items_derive_backward(next->model, worker);
}

static int64_t has_target(const struct histories *histories, const int32_t *targets)
{
	int64_t n = 0;
	for (int64_t i = histories->indptr[0]; i < histories->indptr[histories->rows]; i++)
		n += targets[i] >= 0;
	return n;
}

void next_step(struct next *next, struct trainer *trainer, const struct histories *histories, const int32_t *targets,
	uint64_t seed, struct step_result *result)
{
	static phase_function *const plain[] = {compute_share, NULL};
	static phase_function *const with_features[] = {compute_share, trainer_sum_derived, NULL};
	static phase_function *const derive_backward[] = {derive_items_backward, NULL};
	const bool derives = next->model->items;
	*result = (struct step_result){.positions = has_target(histories, targets)};
	if (!result->positions)
		return;
	next->batch = (struct batch){histories, targets, seed, 1 / (float)result->positions, true};
	trainer_begin(trainer);
	derive_all_items(next, trainer);
	trainer_compute(trainer, derives ? with_features : plain, next);
	if (derives) {
		trainer_sum_ranks_derived(trainer);
		trainer_compute(trainer, derive_backward, next);
	}
	trainer_update(trainer, result);
}

void next_loss(struct next *next, struct trainer *trainer, const struct histories *histories, const int32_t *targets,
	uint64_t seed, struct step_result *result)
{
	static phase_function *const phases[] = {compute_share, NULL};
	*result = (struct step_result){.positions = has_target(histories, targets)};
	next->batch = (struct batch){histories, targets, seed, 1, false};
	trainer_begin(trainer);
	derive_all_items(next, trainer);
	trainer_compute(trainer, phases, next);
	result->loss = trainer_loss(trainer);
}
