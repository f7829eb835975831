#include "nn/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/blas.h"
#include "nn/vec.h"
#include "stream/ranks.h"

const struct option precision_options[] = {PRECISION_OPTION(struct optimisation, precision), {0}};

const struct option optimisation_options[] = {
	{"learning-rate", .argument = "R", REAL_OPTION(struct optimisation, adamw.rate, 0, 10),
		.fallback = NUMBER_TEXT(ADAMW_RATE), .help = "Of AdamW"},
	{"weight-decay", .argument = "R", REAL_OPTION(struct optimisation, adamw.weight_decay, 0, 10), .fallback = "0",
		.help = "Decoupled, as in AdamW"},
	{"schedule", CHOICE_OPTION(struct optimisation, schedule, schedule_names), .argument = "NAME",
		.fallback = "constant", .help = "Of the learning rate: constant, linear or cosine decay over all epochs"},
	{.key = "warmup",
		WHOLE_OPTION(struct optimisation, warmup, 0, INT32_MAX),
		.fallback = "0",
		.help = "Steps in which the learning rate rises at the start"},
	{.key = "clip",
		REAL_OPTION(struct optimisation, clip, 0, 1e9),
		.fallback = "0",
		.help = "Clip gradients to this global norm; 0: not at all"},
	{.key = "beta1",
		REAL_OPTION(struct optimisation, adamw.beta1, 0, .999999),
		.fallback = NUMBER_TEXT(ADAMW_BETA1),
		.help = "Decay of AdamW's mean of gradients"},
	{.key = "beta2",
		REAL_OPTION(struct optimisation, adamw.beta2, 0, .999999),
		.fallback = NUMBER_TEXT(ADAMW_BETA2),
		.help = "Decay of AdamW's mean of squares"},
	{.key = "epsilon",
		REAL_OPTION(struct optimisation, adamw.epsilon, 0, 1),
		.fallback = NUMBER_TEXT(ADAMW_EPSILON),
		.help = "Of AdamW, beside the root of the mean of squares"},
	{.kind = OPTION_INCLUDE, .included = precision_options},
	{0},
};

#define FLOATS_OF_A_WORKER ((int64_t)1 << 25) /* gradients of more have one worker */

/* Floats that have their gradient in a block. */
static int64_t block_size(const struct params *params)
{
	return params->gradients - params->by_rows;
}

/* The tables by rows, which are the first parameters: of each what updates it, and each worker's gradient. */
static void prepare_by_rows(struct trainer *trainer)
{
	const struct params *params = trainer->params;
	for (int i = 0; i < params->count; i++) {
		const struct param *param = params->list[i];
		if (!param->by_rows)
			continue;
		const int n = trainer->n_lazy++;
		trainer->lazy = xreallocarray(trainer->lazy, (size_t)trainer->n_lazy, sizeof(struct lazy *));
		trainer->lazy[n] = lazy_new(trainer->adamw, param, trainer->n_parts);
		for (int w = 0; w < trainer->n_workers; w++) {
			struct worker *worker = &trainer->workers[w];
			worker->by_rows = xreallocarray(worker->by_rows, (size_t)trainer->n_lazy, sizeof *worker->by_rows);
			worker->by_rows[n] = (struct row_gradient){.offset = param->offset, .columns = param->columns};
			if (param->summed)
				row_gradient_sum(&worker->by_rows[n], param->rows);
			worker->tape.by_rows = worker->by_rows;
			worker->tape.by_rows_size = params->by_rows;
		}
	}
}

struct trainer *trainer_new(struct params *params, const struct optimisation *options, int threads)
{
	struct trainer *trainer = xcalloc(1, sizeof *trainer);
	threads = threads < 1 ? 1 : threads;
	bool is_large = block_size(params) > FLOATS_OF_A_WORKER;
	*trainer = (struct trainer){.params = params,
		.options = *options,
		.n_workers = is_large ? 1 : threads,
		.n_parts = threads};
	blas_set_threads(threads / trainer->n_workers);
	products_in(options->precision);
	trainer->adamw = adamw_new(&options->adamw, params);
	trainer->squares = xcalloc((size_t)threads, sizeof *trainer->squares);
	trainer->workers = xcalloc((size_t)trainer->n_workers, sizeof *trainer->workers);
	for (int i = 0; i < trainer->n_workers; i++) {
		struct worker *worker = &trainer->workers[i];
		*worker = (struct worker){.trainer = trainer,
			.index = ranks_index() * trainer->n_workers + i,
			.count = ranks_count() * trainer->n_workers,
			.slot = i};
		worker->gradient = xaligned((size_t)block_size(params), sizeof *worker->gradient);
	}
	prepare_by_rows(trainer);
	return trainer;
}

void trainer_free(struct trainer *trainer)
{
	if (!trainer)
		return;
	for (int i = 0; i < trainer->n_workers; i++) {
		tape_free(&trainer->workers[i].tape);
		free(trainer->workers[i].gradient);
		for (int table = 0; table < trainer->n_lazy; table++)
			row_gradient_free(&trainer->workers[i].by_rows[table]);
		free(trainer->workers[i].by_rows);
	}
	for (int table = 0; table < trainer->n_lazy; table++)
		lazy_free(trainer->lazy[table]);
	free(trainer->lazy);
	products_in(PRECISION_F32);
	trainer->adamw->optimiser.free(&trainer->adamw->optimiser);
	free(trainer->workers);
	free(trainer->squares);
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

void trainer_gather_rows(const struct trainer *trainer, float *floats, const int64_t *indptr, int64_t rows,
	int64_t width)
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

/* The floats [*from, *to) of n that thread `part` has. */
static void part_of(const struct trainer *trainer, int64_t n, int part, int64_t *from, int64_t *to)
{
	share_of(n, part, trainer->n_parts, from, to);
}

/* Floats of the block that the optimiser changes, which are the first of it. */
static int64_t trained_in_block(const struct trainer *trainer)
{
	return trainer->params->trainable - trainer->params->by_rows;
}

void trainer_begin(struct trainer *trainer)
{
	for (int i = 0; i < trainer->n_workers; i++)
		trainer->workers[i].loss = 0;
#pragma omp parallel for schedule(static, 1) num_threads(trainer->n_parts)
	for (int part = 0; part < trainer->n_parts; part++) {
		int64_t from, to;
		part_of(trainer, block_size(trainer->params), part, &from, &to);
		for (int i = 0; i < trainer->n_workers; i++)
			memset(trainer->workers[i].gradient + from, 0, (size_t)(to - from) * sizeof(float));
	}
	for (int table = 0; table < trainer->n_lazy; table++) {
		lazy_begin(trainer->lazy[table]);
		for (int i = 0; i < trainer->n_workers; i++)
			row_gradient_clear(&trainer->workers[i].by_rows[table]);
	}
}

void worker_touch(struct worker *worker, const struct param *param, const int32_t *row, int64_t n)
{
	for (int table = 0; table < worker->trainer->n_lazy; table++)
		if (!param || worker->by_rows[table].offset == param->offset)
			lazy_touch(worker->trainer->lazy[table], worker->slot, row, n);
}

void worker_expect(struct worker *worker, const struct param *param, int64_t n)
{
	for (int table = 0; table < worker->trainer->n_lazy; table++)
		if (worker->by_rows[table].offset == param->offset)
			row_gradient_expect(&worker->by_rows[table], n);
}

void trainer_catch_up_touched(struct trainer *trainer)
{
	for (int table = 0; table < trainer->n_lazy; table++) {
		const int64_t rows = lazy_catch_up_touched(trainer->lazy[table]);
		for (int i = 0; i < trainer->n_workers; i++)
			if (trainer->workers[i].by_rows[table].vector_of)
				row_gradient_expect(&trainer->workers[i].by_rows[table], rows);
	}
}

void trainer_catch_up(struct trainer *trainer)
{
	for (int table = 0; table < trainer->n_lazy; table++)
		lazy_catch_up(trainer->lazy[table]);
	adamw_forget_passed(trainer->adamw);
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

/* Returns the sum of the squares of this rank's gradient. add: it is first made of the workers'. */
static double measure_gradients(struct trainer *trainer, bool add)
{
	double squares = 0;
#pragma omp parallel for schedule(static, 1) num_threads(trainer->n_parts)
	for (int part = 0; part < trainer->n_parts; part++) {
		int64_t from, to;
		part_of(trainer, trained_in_block(trainer), part, &from, &to);
		if (add)
			add_gradients(trainer, from, to);
		trainer->squares[part] = vec_sum_of_squares(trainer_gradient(trainer) + from, to - from);
	}
	for (int part = 0; part < trainer->n_parts; part++)
		squares += trainer->squares[part];
	return squares;
}

/* Returns whether all parameters are finite. */
static bool update_parameters(struct trainer *trainer, double rate, float clip)
{
	const int64_t skipped = trainer->params->by_rows;
	bool finite = true;
#pragma omp parallel for schedule(static, 1) num_threads(trainer->n_parts) reduction(&& : finite)
	for (int part = 0; part < trainer->n_parts; part++) {
		int64_t from, to;
		part_of(trainer, trained_in_block(trainer), part, &from, &to);
		finite = adamw_update(trainer->adamw, rate, trainer_gradient(trainer) + from, clip, skipped + from,
					 skipped + to) &&
			finite;
	}
	return finite;
}

/* --- parameters by rows --- */

/* Returns the sum of the squares of their gradients; 0 where clipping has no use for it before the update. */
static double gather_by_rows(struct trainer *trainer)
{
	double squares = 0;
	for (int table = 0; table < trainer->n_lazy; table++) {
		const struct row_gradient **gradients = xreallocarray(NULL, (size_t)trainer->n_workers, sizeof *gradients);
		for (int i = 0; i < trainer->n_workers; i++)
			gradients[i] = &trainer->workers[i].by_rows[table];
		lazy_gather(trainer->lazy[table], gradients, trainer->n_workers);
		free(gradients);
		if (trainer->options.clip > 0)
			squares += lazy_squares(trainer->lazy[table]);
	}
	return squares;
}

/* Returns whether all are finite. */
static bool update_by_rows(struct trainer *trainer, double rate, float clip, double *squares)
{
	bool finite = true;
	*squares = 0;
	for (int table = 0; table < trainer->n_lazy; table++)
		finite = lazy_update(trainer->lazy[table], rate, clip, squares) && finite;
	if (trainer->n_lazy)
		adamw_passed(trainer->adamw, rate);
	return finite;
}

/* Dies for the last parameter with a NaN or infinity in `block`: backward passes spread it to those before. */
static void require_finite(const struct params *params, const float *block, const char *what, int64_t step)
{
	const int64_t skipped = block == params->value ? 0 : params->by_rows;
	for (int i = params->count - 1; i >= 0; i--) {
		const struct param *param = params->list[i];
		if (param->frozen || (param->by_rows && block != params->value))
			continue;
		for (int64_t j = 0; j < param_count(param); j++)
			if (!isfinite(block[param->offset - skipped + j]))
				die("%s %s is not finite at step %lld", what, param->name, (long long)step);
	}
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
	double squares = measure_gradients(trainer, true);
	if (ranks_count() > 1) {
		ranks_sum_floats(trainer->workers[0].gradient, trainer->params->trainable);
		squares = measure_gradients(trainer, false);
	}
	double of_rows = gather_by_rows(trainer);
	result->loss = trainer_loss(trainer);
	result->gradient_norm = sqrt(squares + of_rows);
	if (!isfinite(result->loss) || !isfinite(result->gradient_norm))
		die_not_finite(trainer, trainer->adamw->step + 1);
	int64_t step = ++trainer->adamw->step;
	result->rate = options->adamw.rate * schedule_factor(options->schedule, step, options->warmup, options->total);
	const float clip = clip_scale(result->gradient_norm, options->clip);
	if (!update_parameters(trainer, result->rate, clip) || !update_by_rows(trainer, result->rate, clip, &of_rows))
		die_not_finite(trainer, step);
	result->gradient_norm = sqrt(squares + of_rows);
}
