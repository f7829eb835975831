#include "model/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/loss.h"

const char *const loss_names[] = { "ce", "sampled", "bce", "gbce", NULL };

/* What one thread has of its own. */
struct worker {
	struct tape tape;
	float *gradient;       /* [trainable] */
	uint32_t *mark;        /* by item: the last draw that met it; of losses with negatives */
	uint32_t draw;
	int32_t *negative;
	int64_t negative_capacity;
	int64_t first, end;    /* rows of the batch */
	double loss, squares;
	bool finite;           /* its part of the parameters, after the step */
};

struct trainer_state {
	struct worker *workers;
	int n_workers;
};

struct trainer *trainer_new(struct model *model, const struct training_options *options, int threads)
{
	if (!model->architecture->hidden)
		die("%s is not trained by gradients", model->architecture->name);
	if (options->loss != LOSS_CE && options->negatives < 1)
		die("%s needs negatives", loss_names[options->loss]);
	struct trainer *trainer = xcalloc(1, sizeof *trainer);
	*trainer = (struct trainer){ .model = model, .options = *options };
	params_train(&model->params);
	struct trainer_state *state = trainer->state = xcalloc(1, sizeof *state);
	state->n_workers = threads < 1 ? 1 : threads;
	state->workers = xcalloc((size_t)state->n_workers, sizeof *state->workers);
	for (int i = 0; i < state->n_workers; i++) {
		struct worker *worker = &state->workers[i];
		worker->gradient = xaligned((size_t)model->params.trainable, sizeof *worker->gradient);
		if (options->loss != LOSS_CE)
			worker->mark = xcalloc((size_t)model->n_items, sizeof *worker->mark);
	}
	return trainer;
}

void trainer_free(struct trainer *trainer)
{
	if (!trainer)
		return;
	for (int i = 0; i < trainer->state->n_workers; i++) {
		struct worker *worker = &trainer->state->workers[i];
		tape_free(&worker->tape);
		free(worker->gradient);
		free(worker->mark);
		free(worker->negative);
	}
	free(trainer->state->workers);
	free(trainer->state);
	free(trainer);
}

const float *trainer_gradient(const struct trainer *trainer)
{
	return trainer->state->workers[0].gradient;
}

/* --- negatives --- */

static int32_t *negatives_room(struct worker *worker, int64_t n)
{
	if (n > worker->negative_capacity) {
		worker->negative = xreallocarray(worker->negative, (size_t)n, sizeof *worker->negative);
		worker->negative_capacity = n;
	}
	return worker->negative;
}

/* Marks what the sequence holds, inputs and targets; returns how many different items that is. */
static int64_t mark_sequence(struct worker *worker, const int32_t *item, const int32_t *target, int64_t n)
{
	int64_t distinct = 0;
	worker->draw++;
	for (int64_t i = 0; i < 2 * n; i++) {
		int32_t one = i < n ? item[i] : target[i - n];
		if (one >= 0 && worker->mark[one] != worker->draw) {
			worker->mark[one] = worker->draw;
			distinct++;
		}
	}
	return distinct;
}

static int32_t draw_unmarked(const struct worker *worker, struct rng *rng, int64_t n_items)
{
	int32_t item;
	do
		item = (int32_t)rng_below(rng, (uint64_t)n_items);
	while (worker->mark[item] == worker->draw);
	return item;
}

/* Distinct items outside the sequence; fewer than asked for where there are not so many. Returns their number. */
static int64_t draw_shared(struct worker *worker, struct rng *rng, int64_t n_items, int64_t outside, int64_t n)
{
	n = n < outside ? n : outside;
	int32_t *negative = negatives_room(worker, n);
	for (int64_t i = 0; i < n; i++) {
		negative[i] = draw_unmarked(worker, rng, n_items);
		worker->mark[negative[i]] = worker->draw;
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

static double sampled_loss(struct worker *worker, const struct trainer *trainer, const struct histories *part,
	const int32_t *targets, int64_t first_row, uint64_t seed, struct array *hidden, struct array *items, float scale)
{
	double loss = 0;
	for (int64_t row = 0; row < part->rows; row++) {
		int64_t from = part->indptr[row], n = part->indptr[row + 1] - from, n_items = items->rows;
		struct rng rng = rng_of(seed, first_row + row);
		int64_t outside = n_items - mark_sequence(worker, part->item + from, targets + from, n);
		int64_t drawn = draw_shared(worker, &rng, n_items, outside, trainer->options.negatives);
		loss += sampled_cross_entropy(&worker->tape, hidden, from - part->indptr[0], n, items, targets + from,
			worker->negative, drawn, scale);
	}
	return loss;
}

static double binary_loss(struct worker *worker, const struct trainer *trainer, const struct histories *part,
	const int32_t *targets, int64_t first_row, uint64_t seed, struct array *hidden, struct array *items, float scale)
{
	const struct training_options *options = &trainer->options;
	int64_t base = part->indptr[0], k = options->negatives, n_items = items->rows;
	int32_t *negative = negatives_room(worker, hidden->rows * k);
	bool any = options->loss == LOSS_GBCE;
	for (int64_t row = 0; row < part->rows; row++) {
		int64_t from = part->indptr[row], to = part->indptr[row + 1];
		struct rng rng = rng_of(seed, first_row + row);
		int64_t inside = any ? 0 : mark_sequence(worker, part->item + from, targets + from, to - from);
		for (int64_t i = (from - base) * k; i < (to - base) * k; i++)
			negative[i] = any || inside == n_items ? (int32_t)rng_below(&rng, (uint64_t)n_items)
			                                       : draw_unmarked(worker, &rng, n_items);
	}
	double beta = any ? gbce_beta(k, n_items, options->gbce_t) : 1;
	return binary_cross_entropy(&worker->tape, hidden, items, targets + base, negative, k, beta,
		any ? 1 / (double)(k + 1) : 1, scale);
}

/* Forward, loss and, where gradient is not NULL, backward of the batch's rows [first, end). */
static void compute_part(struct worker *worker, const struct trainer *trainer, const struct histories *batch,
	const int32_t *targets, int64_t first, int64_t end, uint64_t seed, float *gradient, float scale)
{
	const struct model *model = trainer->model;
	struct tape *tape = &worker->tape;
	struct histories part = { end - first, batch->indptr + first, batch->item };
	tape_begin(tape, gradient, seed, part.indptr[0] - batch->indptr[0]);
	struct array *hidden = model->architecture->hidden(tape, model, &part);
	struct array *items = tape_param(tape, model->item_vectors, model->item_vectors);
	const int32_t *target = targets + part.indptr[0];
	if (trainer->options.loss == LOSS_CE)
		worker->loss += full_cross_entropy(tape, hidden, items, target, scale);
	else if (trainer->options.loss == LOSS_SAMPLED)
		worker->loss += sampled_loss(worker, trainer, &part, targets, first, seed, hidden, items, scale);
	else
		worker->loss += binary_loss(worker, trainer, &part, targets, first, seed, hidden, items, scale);
	if (gradient)
		tape_backward(tape);
}

static int64_t has_target(const int32_t *targets, int64_t from, int64_t to)
{
	int64_t n = 0;
	for (int64_t i = from; i < to; i++)
		n += targets[i] >= 0;
	return n;
}

/* The worker's rows, as many at a time as the architecture takes well. */
static void compute_share(struct worker *worker, const struct trainer *trainer, const struct histories *batch,
	const int32_t *targets, uint64_t seed, float *gradient, float scale)
{
	int64_t at_once = trainer->model->architecture->tokens_at_once;
	worker->loss = 0;
	for (int64_t first = worker->first, end; first < worker->end; first = end) {
		end = first + 1;
		while (end < worker->end && batch->indptr[end + 1] - batch->indptr[first] <= at_once)
			end++;
		compute_part(worker, trainer, batch, targets, first, end, seed, gradient, scale);
	}
}

/* Rows to workers: adjacent ones, about as many tokens each. */
static void share_out(struct trainer_state *state, const struct histories *batch)
{
	int64_t base = batch->indptr[0], tokens = batch->indptr[batch->rows] - base, row = 0;
	for (int i = 0; i < state->n_workers; i++) {
		struct worker *worker = &state->workers[i];
		worker->first = row;
		int64_t until = tokens * (i + 1) / state->n_workers;
		while (row < batch->rows && (batch->indptr[row + 1] + batch->indptr[row] - 2 * base) / 2 < until)
			row++;
		worker->end = i == state->n_workers - 1 ? batch->rows : row;
	}
}

/* Worker i's part of the block of parameters. */
static int64_t part_of(const struct trainer *trainer, int i)
{
	return trainer->model->params.trainable * i / trainer->state->n_workers / 16 * 16;
}

static int64_t part_end(const struct trainer *trainer, int i)
{
	return i == trainer->state->n_workers - 1 ? trainer->model->params.trainable : part_of(trainer, i + 1);
}

/* Adds all workers' gradients to the first's, in order, within worker i's part of the block. */
static void add_gradients(struct trainer *trainer, int i)
{
	struct trainer_state *state = trainer->state;
	int64_t from = part_of(trainer, i), to = part_end(trainer, i);
	float *sum = state->workers[0].gradient;
	for (int other = 1; other < state->n_workers; other++)
		for (int64_t j = from; j < to; j++)
			sum[j] += state->workers[other].gradient[j];
	state->workers[i].squares = sum_of_squares(sum + from, to - from);
}

/* Says which tensor it is. */
static _Noreturn void die_not_finite(const struct trainer *trainer, int64_t step)
{
	require_finite(&trainer->model->params, trainer->model->params.value, "parameter", step);
	require_finite(&trainer->model->params, trainer_gradient(trainer), "the gradient of", step);
	die("the loss is not finite at step %lld", (long long)step);
}

static void sum_results(const struct trainer *trainer, struct training_result *result)
{
	double squares = 0;
	for (int i = 0; i < trainer->state->n_workers; i++) {
		result->loss += trainer->state->workers[i].loss;
		squares += trainer->state->workers[i].squares;
	}
	result->gradient_norm = sqrt(squares);
}

void trainer_step(struct trainer *trainer, const struct histories *histories, const int32_t *targets, uint64_t seed,
	struct training_result *result)
{
	struct trainer_state *state = trainer->state;
	const struct training_options *options = &trainer->options;
	struct params *params = &trainer->model->params;
	*result = (struct training_result){
		.positions = has_target(targets, histories->indptr[0], histories->indptr[histories->rows]),
		.rate = options->adamw.rate * schedule_factor(options->schedule, trainer->step + 1, options->warmup,
			options->total),
	};
	if (!result->positions)
		return;
	float scale = 1 / (float)result->positions, clip = 1;
	share_out(state, histories);
	/* a loop over workers, not threads: the result is the same should fewer threads be there */
	#pragma omp parallel num_threads(state->n_workers)
	{
		#pragma omp for schedule(static, 1)
		for (int i = 0; i < state->n_workers; i++) {
			struct worker *worker = &state->workers[i];
			memset(worker->gradient, 0, (size_t)params->trainable * sizeof *worker->gradient);
			compute_share(worker, trainer, histories, targets, seed, worker->gradient, scale);
		}
		#pragma omp for schedule(static, 1)
		for (int i = 0; i < state->n_workers; i++)
			add_gradients(trainer, i);
		#pragma omp single
		{
			sum_results(trainer, result);
			if (!isfinite(result->loss) || !isfinite(result->gradient_norm))
				die_not_finite(trainer, trainer->step + 1);
			clip = clip_scale(result->gradient_norm, options->clip);
			trainer->step++;
		}
		#pragma omp for schedule(static, 1)
		for (int i = 0; i < state->n_workers; i++)
			state->workers[i].finite = adamw_update(&options->adamw, result->rate, trainer->step, params,
				state->workers[0].gradient, clip, part_of(trainer, i), part_end(trainer, i));
	}
	for (int i = 0; i < state->n_workers; i++)
		if (!state->workers[i].finite)
			die_not_finite(trainer, trainer->step);
}

void trainer_loss(struct trainer *trainer, const struct histories *histories, const int32_t *targets, uint64_t seed,
	struct training_result *result)
{
	struct trainer_state *state = trainer->state;
	*result = (struct training_result){
		.positions = has_target(targets, histories->indptr[0], histories->indptr[histories->rows]),
	};
	share_out(state, histories);
	#pragma omp parallel for schedule(static, 1) num_threads(state->n_workers)
	for (int i = 0; i < state->n_workers; i++) {
		state->workers[i].squares = 0;
		compute_share(&state->workers[i], trainer, histories, targets, seed, NULL, 1);
	}
	sum_results(trainer, result);
}
