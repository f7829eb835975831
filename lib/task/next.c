#include "task/next.h"

#include <stdlib.h>

#include "model/items.h"
#include "nn/loss.h"
#include "nn/ops.h"
#include "stream/ranks.h"

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
	int32_t *negative; /* of the rows of a batch from `first` on, [drawn] */
	int64_t *begin;    /* where those of a row begin, and of the next */
	int64_t first, drawn, negative_capacity, begin_capacity;
};

struct batch {
	const struct histories *histories;
	const int32_t *targets;
	uint64_t seed;
	float scale; /* 1 / positions */
	bool learn;  /* with dropout and gradients */
};

/* The items that the loss is among. */
struct candidates {
	int64_t n;
	int32_t *item;  /* in the catalog's order; NULL: all */
	int32_t *place; /* by item, where it is among them; -1: nowhere */
};

struct next {
	struct model *model;
	struct loss_options options;
	struct candidates candidates;
	struct sampler *samplers;
	int n_samplers;
	struct batch batch;
};

/* Tables of which a step reads eight times as many rows as they have are better updated as a whole. */
#define MOST_READ 8
/* So many floats of vectors are nothing to speak of. */
#define FEW_FLOATS (1 << 22)

/* For each row that it reads sampled keeps a vector: where they are more than the table has, a block is smaller. */
static bool reads_few(const struct model *model, const struct loss_options *options, double read)
{
	const double items = (double)model->n_items;
	const bool is_block_smaller = options->loss == LOSS_SAMPLED && read > items &&
		read * (double)model->item_vectors->columns > FEW_FLOATS;
	return read < MOST_READ * items && !is_block_smaller;
}

void next_by_rows(struct model *model, const struct loss_options *options, int64_t examples, int64_t positions)
{
	const double k = (double)options->negatives;
	const double read = 2 * (double)positions + k * (double)(options->loss == LOSS_SAMPLED ? examples : positions);
	if (options->loss != LOSS_CE && !items_derives(model) && ranks_count() == 1 && reads_few(model, options, read))
		params_by_rows(&model->params);
}

struct next *next_new(struct model *model, const struct loss_options *options, int workers)
{
	if (!model->architecture->hidden)
		die("%s is not trained by gradients", model->architecture->name);
	if (options->loss != LOSS_CE && options->negatives < 1)
		die("%s needs negatives", loss_names[options->loss]);
	struct next *next = xcalloc(1, sizeof *next);
	*next = (struct next){.model = model,
		.options = *options,
		.candidates = {.n = model->n_items},
		.n_samplers = workers};
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
		free(next->samplers[i].begin);
	}
	free(next->samplers);
	free(next->candidates.item);
	free(next->candidates.place);
	free(next);
}

void next_leave_out_unmet(struct next *next, const int32_t met[])
{
	struct candidates *candidates = &next->candidates;
	const int64_t n_items = next->model->n_items;
	bool all = true;
	for (int64_t item = 0; item < n_items; item++)
		all &= met[item] > 0;
	if (all)
		return;
	candidates->item = xreallocarray(NULL, (size_t)n_items, sizeof *candidates->item);
	candidates->place = xreallocarray(NULL, (size_t)n_items, sizeof *candidates->place);
	candidates->n = 0;
	for (int64_t item = 0; item < n_items; item++) {
		candidates->place[item] = met[item] ? (int32_t)candidates->n : -1;
		if (met[item])
			candidates->item[candidates->n++] = (int32_t)item;
	}
}

/* --- negatives --- */

/* The memory, with room for n at least. */
static void *grow(void *memory, int64_t *capacity, int64_t n, size_t size)
{
	if (n > *capacity) {
		*capacity = n > *capacity + *capacity / 2 ? n : *capacity + *capacity / 2;
		memory = xreallocarray(memory, (size_t)*capacity, size);
	}
	return memory;
}

/* For n more, which count as drawn. */
static int32_t *negatives_room(struct sampler *sampler, int64_t n)
{
	const int64_t first = sampler->drawn;
	sampler->drawn += n;
	sampler->negative = grow(sampler->negative, &sampler->negative_capacity, sampler->drawn, sizeof *sampler->negative);
	return sampler->negative + first;
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

static int32_t draw_any(const struct candidates *candidates, struct rng *rng)
{
	const int32_t place = (int32_t)rng_below(rng, (uint64_t)candidates->n);
	return candidates->item ? candidates->item[place] : place;
}

static int32_t draw_unmarked(const struct sampler *sampler, const struct candidates *candidates, struct rng *rng)
{
	int32_t item;
	do
		item = draw_any(candidates, rng);
	while (sampler->mark[item] == sampler->draw);
	return item;
}

/* Distinct items outside the sequence; fewer than asked for where there are not so many. */
static void draw_shared(struct sampler *sampler, const struct candidates *candidates, struct rng *rng, int64_t outside,
	int64_t n)
{
	n = n < outside ? n : outside;
	int32_t *negative = negatives_room(sampler, n);
	for (int64_t i = 0; i < n; i++) {
		negative[i] = draw_unmarked(sampler, candidates, rng);
		sampler->mark[negative[i]] = sampler->draw;
	}
}

/* Any items, or those outside the sequence. */
static void draw_each(struct sampler *sampler, const struct candidates *candidates, struct rng *rng, bool any,
	int64_t n)
{
	int32_t *negative = negatives_room(sampler, n);
	for (int64_t i = 0; i < n; i++)
		negative[i] = any ? draw_any(candidates, rng) : draw_unmarked(sampler, candidates, rng);
}

/* A sequence's own generator: the draws do not depend on the other sequences, or on who makes them. */
static struct rng rng_of(uint64_t seed, int64_t row)
{
	struct rng rng;
	rng_seed(&rng, seed + UINT64_C(0xd1342543de82ef95) * ((uint64_t)row + 1));
	return rng;
}

/* Those of rows [first, end) of the batch, end to end in the sampler's memory: `count` of each row. */
static void draw_negatives(const struct next *next, struct sampler *sampler, int64_t first, int64_t end)
{
	const struct batch *batch = &next->batch;
	const struct candidates *candidates = &next->candidates;
	const int64_t *indptr = batch->histories->indptr, k = next->options.negatives;
	const bool any = next->options.loss == LOSS_GBCE, shared = next->options.loss == LOSS_SAMPLED;
	sampler->first = first;
	sampler->drawn = 0;
	sampler->begin = grow(sampler->begin, &sampler->begin_capacity, end - first + 1, sizeof *sampler->begin);
	for (int64_t row = first; row < end; row++) {
		const int64_t from = indptr[row], n = indptr[row + 1] - from;
		struct rng rng = rng_of(batch->seed, row);
		int64_t inside = any ? 0 : mark_sequence(sampler, batch->histories->item + from, batch->targets + from, n);
		sampler->begin[row - first] = sampler->drawn;
		if (shared)
			draw_shared(sampler, candidates, &rng, candidates->n - inside, k);
		else
			draw_each(sampler, candidates, &rng, any || inside == candidates->n, n * k);
	}
	sampler->begin[end - first] = sampler->drawn;
}

/* --- loss --- */

/* Among the candidates, whose vectors are put together where they are not all. */
static double softmax_loss(const struct next *next, struct worker *worker, struct array *hidden, struct array *items,
	const int32_t *target)
{
	const struct candidates *candidates = &next->candidates;
	struct tape *tape = &worker->tape;
	if (!candidates->item)
		return full_cross_entropy(tape, hidden, items, target, next->batch.scale);
	int32_t *place = arena_take(&tape->arena, hidden->rows, 1, sizeof *place);
	for (int64_t i = 0; i < hidden->rows; i++)
		place[i] = target[i] < 0 ? -1 : candidates->place[target[i]];
	return full_cross_entropy(tape, hidden, embedding(tape, items, candidates->item, candidates->n, 1, NULL, NULL, 0),
		place, next->batch.scale);
}

static double sampled_loss(const struct next *next, struct worker *worker, const struct histories *part,
	int64_t first_row, struct array *hidden, struct array *items)
{
	const struct sampler *sampler = &next->samplers[worker->slot];
	double loss = 0;
	for (int64_t row = 0; row < part->rows; row++) {
		const int64_t from = part->indptr[row], n = part->indptr[row + 1] - from;
		const int64_t *begin = sampler->begin + (first_row + row - sampler->first);
		loss += sampled_cross_entropy(&worker->tape, hidden, from - part->indptr[0], n, items,
			next->batch.targets + from, sampler->negative + begin[0], begin[1] - begin[0], next->batch.scale);
	}
	return loss;
}

static double binary_loss(const struct next *next, struct worker *worker, const struct histories *part,
	int64_t first_row, struct array *hidden, struct array *items)
{
	const struct loss_options *options = &next->options;
	const struct sampler *sampler = &next->samplers[worker->slot];
	const int64_t k = options->negatives;
	const bool any = options->loss == LOSS_GBCE;
	return binary_cross_entropy(&worker->tape, hidden, items, next->batch.targets + part->indptr[0],
		sampler->negative + sampler->begin[first_row - sampler->first], k,
		any ? gbce_beta(k, next->candidates.n, options->gbce_t) : 1, any ? 1 / (double)(k + 1) : 1, next->batch.scale);
}

/* --- a step --- */

/* Whether all that a step reads is drawn before it, for rows that must be caught up with. */
static bool reads_ahead(const struct next *next)
{
	return next->batch.learn && next->model->params.by_rows;
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
	if (next->options.loss != LOSS_CE && !reads_ahead(next))
		draw_negatives(next, &next->samplers[worker->slot], first, end);
	if (next->options.loss == LOSS_CE)
		worker->loss += softmax_loss(next, worker, hidden, items, batch->targets + part.indptr[0]);
	else if (next->options.loss == LOSS_SAMPLED)
		worker->loss += sampled_loss(next, worker, &part, first, hidden, items);
	else
		worker->loss += binary_loss(next, worker, &part, first, hidden, items);
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

/* What the worker's rows read of tables by rows. */
static void touch_share(void *task, struct worker *worker)
{
	const struct next *next = task;
	const struct batch *batch = &next->batch;
	const int64_t *indptr = batch->histories->indptr;
	struct sampler *sampler = &next->samplers[worker->slot];
	int64_t first, end;
	worker_rows(worker, indptr, batch->histories->rows, &first, &end);
	draw_negatives(next, sampler, first, end);
	const int64_t from = indptr[first], n = indptr[end] - from;
	worker_touch(worker, NULL, batch->histories->item + from, n);
	worker_touch(worker, next->model->item_vectors, batch->targets + from, n);
	worker_touch(worker, next->model->item_vectors, sampler->negative, sampler->drawn);
	worker_expect(worker, next->model->item_vectors, 2 * n + (next->options.loss == LOSS_SAMPLED ? sampler->drawn : 0));
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
	if (!items_derives(next->model))
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
	static phase_function *const touch[] = {touch_share, NULL};
	const bool derives = items_derives(next->model);
	*result = (struct step_result){.positions = has_target(histories, targets)};
	if (!result->positions)
		return;
	next->batch = (struct batch){histories, targets, seed, 1 / (float)result->positions, true};
	trainer_begin(trainer);
	derive_all_items(next, trainer);
	if (reads_ahead(next)) {
		trainer_compute(trainer, touch, next);
		trainer_catch_up_touched(trainer);
	}
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
	trainer_catch_up(trainer);
	trainer_begin(trainer);
	derive_all_items(next, trainer);
	trainer_compute(trainer, phases, next);
	result->loss = trainer_loss(trainer);
}
