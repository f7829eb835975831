#include "model/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stream/ranks.h"

struct trainer *trainer_new(struct params *params, const struct optimisation *options, int threads)
{
	struct trainer *trainer = xcalloc(1, sizeof *trainer);
	*trainer = (struct trainer){ .params = params, .options = *options, .n_workers = threads < 1 ? 1 : threads };
	params_train(params);
	trainer->workers = xcalloc((size_t)trainer->n_workers, sizeof *trainer->workers);
	for (int i = 0; i < trainer->n_workers; i++) {
		struct worker *worker = &trainer->workers[i];
		*worker = (struct worker){ .trainer = trainer, .index = ranks_index() * trainer->n_workers + i,
			.count = ranks_count() * trainer->n_workers, .slot = i };
		worker->gradient = xaligned((size_t)params->gradients, sizeof *worker->gradient);
	}
	return trainer;
}

void trainer_free(struct trainer *trainer)
{
	if (!trainer)
		return;
	for (int i = 0; i < trainer->n_workers; i++) {
		tape_free(&trainer->workers[i].tape);
		free(trainer->workers[i].gradient);
	}
	free(trainer->workers);
	free(trainer);
}

const float *trainer_gradient(const struct trainer *trainer)
{
	return trainer->workers[0].gradient;
}

static void share_of(int64_t n, int index, int count, int64_t *from, int64_t *to)
{
	*from = n * index / count / 16 * 16;
	*to = index == count - 1 ? n : n * (index + 1) / count / 16 * 16;
}

void worker_share(const struct worker *worker, int64_t n, int64_t *from, int64_t *to)
{
	share_of(n, worker->index, worker->count, from, to);
}

/* Of what every rank does for itself. */
static void share_here(const struct worker *worker, int64_t n, int64_t *from, int64_t *to)
{
	share_of(n, worker->slot, worker->trainer->n_workers, from, to);
}

/* The first row whose middle is at or behind the worker's part of the tokens. */
static int64_t first_row(const int64_t *indptr, int64_t rows, int64_t index, int64_t count)
{
	int64_t base = indptr[0], until = (indptr[rows] - base) * index / count, row = 0;
	while (row < rows && (indptr[row + 1] + indptr[row] - 2 * base) / 2 < until)
		row++;
	return row;
}

void worker_rows(const struct worker *worker, const int64_t *indptr, int64_t rows, int64_t *first, int64_t *end)
{
	*first = first_row(indptr, rows, worker->index, worker->count);
	*end = worker->index == worker->count - 1 ? rows : first_row(indptr, rows, worker->index + 1, worker->count);
}

void trainer_gather_shares(const struct trainer *trainer, float *floats, int64_t rows, int64_t width)
{
	int64_t from, to, between;
	worker_share(&trainer->workers[0], rows, &from, &between);
	worker_share(&trainer->workers[trainer->n_workers - 1], rows, &between, &to);
	ranks_gather(floats, width, from, to);
}

void trainer_gather_rows(const struct trainer *trainer, float *floats, const int64_t *indptr, int64_t rows, int64_t width)
{
	int64_t from, to, between;
	worker_rows(&trainer->workers[0], indptr, rows, &from, &between);
	worker_rows(&trainer->workers[trainer->n_workers - 1], indptr, rows, &between, &to);
	ranks_gather(floats, width, from, to);
}

/* Every worker, whatever the number of threads. */
static void each_worker(struct trainer *trainer, phase_function *phase, void *task)
{
	#pragma omp parallel for schedule(static, 1) num_threads(trainer->n_workers)
	for (int i = 0; i < trainer->n_workers; i++)
		phase(task, &trainer->workers[i]);
}

static void clear(void *task, struct worker *worker)
{
	(void)task;
	memset(worker->gradient, 0, (size_t)worker->trainer->params->gradients * sizeof *worker->gradient);
	worker->loss = 0;
}

void trainer_begin(struct trainer *trainer)
{
	each_worker(trainer, clear, NULL);
}

void trainer_compute(struct trainer *trainer, phase_function *const phases[], void *task)
{
	for (; *phases; phases++)
		each_worker(trainer, *phases, task);
}

/* Adds all workers' gradients to the first's, in order. */
static void add_gradients(const struct trainer *trainer, int64_t from, int64_t to)
{
	float *sum = trainer->workers[0].gradient;
	for (int other = 1; other < trainer->n_workers; other++)
		for (int64_t j = from; j < to; j++)
			sum[j] += trainer->workers[other].gradient[j];
}

void trainer_sum_derived(void *task, struct worker *worker)
{
	(void)task;
	const struct params *params = worker->trainer->params;
	int64_t from, to;
	share_here(worker, params->gradients - params->trainable, &from, &to);
	add_gradients(worker->trainer, params->trainable + from, params->trainable + to);
}

void trainer_sum_ranks_derived(struct trainer *trainer)
{
	const struct params *params = trainer->params;
	ranks_sum_floats(trainer->workers[0].gradient + params->trainable, params->gradients - params->trainable);
}

static void measure_gradients(void *task, struct worker *worker)
{
	(void)task;
	int64_t from, to;
	share_here(worker, worker->trainer->params->trainable, &from, &to);
	worker->squares = sum_of_squares(trainer_gradient(worker->trainer) + from, to - from);
}

static void sum_gradients(void *task, struct worker *worker)
{
	int64_t from, to;
	share_here(worker, worker->trainer->params->trainable, &from, &to);
	add_gradients(worker->trainer, from, to);
	measure_gradients(task, worker);
}

struct update {
	double rate;
	float clip;
};

static void update_parameters(void *task, struct worker *worker)
{
	const struct update *update = task;
	const struct trainer *trainer = worker->trainer;
	int64_t from, to;
	share_here(worker, trainer->params->trainable, &from, &to);
	worker->finite = adamw_update(&trainer->options.adamw, update->rate, trainer->step, trainer->params,
		trainer_gradient(trainer), update->clip, from, to);
}

/* Says which tensor it is. */
static _Noreturn void die_not_finite(const struct trainer *trainer, int64_t step)
{
	require_finite(trainer->params, trainer->params->value, "parameter", step);
	require_finite(trainer->params, trainer_gradient(trainer), "the gradient of", step);
	die("the loss is not finite at step %lld", (long long)step);
}

double trainer_loss(const struct trainer *trainer)
{
	double loss = 0;
	for (int i = 0; i < trainer->n_workers; i++)
		loss += trainer->workers[i].loss;
	ranks_sum(&loss, 1);
	return loss;
}

void trainer_update(struct trainer *trainer, struct step_result *result)
{
	const struct optimisation *options = &trainer->options;
	double squares = 0;
	each_worker(trainer, sum_gradients, NULL);
	if (ranks_count() > 1) {
		ranks_sum_floats(trainer->workers[0].gradient, trainer->params->trainable);
		each_worker(trainer, measure_gradients, NULL);
	}
	for (int i = 0; i < trainer->n_workers; i++)
		squares += trainer->workers[i].squares;
	result->loss = trainer_loss(trainer);
	result->gradient_norm = sqrt(squares);
	if (!isfinite(result->loss) || !isfinite(result->gradient_norm))
		die_not_finite(trainer, trainer->step + 1);
	trainer->step++;
	result->rate = options->adamw.rate * schedule_factor(options->schedule, trainer->step, options->warmup,
		options->total);
	struct update update = { result->rate, clip_scale(result->gradient_norm, options->clip) };
	each_worker(trainer, update_parameters, &update);
	for (int i = 0; i < trainer->n_workers; i++)
		if (!trainer->workers[i].finite)
			die_not_finite(trainer, trainer->step);
}
