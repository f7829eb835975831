#include "task/align.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/llm.h"
#include "nn/loss.h"
#include "nn/rows.h"
#include "nn/vec.h"
#include "stream/progress.h"

const struct option align_network_options[] = {
	{"moments", .argument = "N", WHOLE_OPTION(struct align_training, moments, 1, 1024), .fallback = "8",
		.help = "Moments of a text's token vectors that the network reads"},
	{"hidden-size", .argument = "N", WHOLE_OPTION(struct align_training, hidden_size, 1, 1 << 20), .fallback = "1024",
		.help = "The network's width"},
	{"sample", .argument = "ITEMS", WHOLE_OPTION(struct align_training, sample, 2, INT32_MAX),
		.help = "Learn from so many items of all over the catalog (default all); it serves the others as well"},
	{OPTIONS_TITLE("Training:")},
	{.key = "epochs", OTHER_DEFAULT("4")},
	{.key = "batch-size", OTHER_DEFAULT("16")},
	{.key = "patience", OTHER_DEFAULT("3")},
	{.key = "learning-rate", OTHER_DEFAULT("0.0003")},
	{.key = "schedule", OTHER_DEFAULT("cosine")},
	{.key = "clip", OTHER_DEFAULT("1")},
	{INCLUDED_OPTIONS(struct align_training, optimisation, optimisation_options)},
	{INCLUDED_OPTIONS(struct align_training, run, run_options)},
	{0},
};

const struct option align_table_options[] = {
	{OPTIONS_TITLE("Training:")},
	{"learning-rate", .argument = "R", REAL_OPTION(struct align_training, radius, 0, 10), .fallback = "0.1",
		.help = "How far the first step goes, of a vector's length"},
	{.key = "epochs", OTHER_DEFAULT("120")},
	{.key = "batch-size", OTHER_DEFAULT("16")},
	{.key = "patience", FIXED_OPTION("3")},
	{INCLUDED_OPTIONS(struct align_training, optimisation, precision_options)},
	{INCLUDED_OPTIONS(struct align_training, run, run_options)},
	{0},
};

#define HELD_OUT 10 /* every so manieth item, of an mlp */

enum { TOKEN, TARGET };

/* A batch: sequence r is a vector (after `lead` start tokens), then the text of item[r]. */
struct batch {
	const int64_t *item;
	int64_t rows, room_rows, room_tokens;
	struct ragged packed; /* what the next three are of */
	const int64_t *indptr;
	const int32_t *token, *target; /* token[indptr[r]] is not read: there stands the vector */
	float *nll;                    /* by position */
	bool *said;
	struct visit *visit; /* by row, of a table's vectors */
	int64_t *moved;      /* items */
	float *gradient;
	float scale;
	bool learn;
};

struct align {
	struct task task;
	struct align_options options;
	struct projector *projector;
	const struct model *llm;
	const struct item_tokens *texts;
	struct text_ends ends;
	int64_t *learned, *held_out; /* items */
	int64_t n_learned, n_held_out;
	struct batch batch;
	/* by item, as of its latest visit; of a table: with its vector, without the step on trial */
	float *nll;    /* sum */
	int32_t *said; /* tokens */
	/* of a table */
	struct descent *descent;
	int32_t *done;          /* the epoch, from 1, in which the text was said; 0: not yet */
	int64_t epoch;          /* from 0 */
	struct state states[5]; /* end with one without a name */
};

static bool is_table(const struct align *task)
{
	return task->projector->kind == PROJECTOR_TABLE;
}

static int64_t text_length(const struct align *task, int64_t item)
{
	return task->texts->indptr[item + 1] - task->texts->indptr[item];
}

static bool is_exact(const struct align *task, int64_t item)
{
	return task->said[item] == text_length(task, item) + 1;
}

/* --- a batch --- */

static void make_room(struct align *task, int64_t rows, int64_t tokens)
{
	struct batch *batch = &task->batch;
	if (rows > batch->room_rows) {
		size_t floats = (size_t)(rows * task->projector->width);
		batch->gradient = xreallocarray(batch->gradient, floats, sizeof *batch->gradient);
		batch->visit = xreallocarray(batch->visit, (size_t)rows, sizeof *batch->visit);
		batch->moved = xreallocarray(batch->moved, (size_t)rows, sizeof *batch->moved);
		batch->room_rows = rows;
	}
	if (tokens > batch->room_tokens) {
		batch->nll = xreallocarray(batch->nll, (size_t)tokens, sizeof *batch->nll);
		batch->said = xreallocarray(batch->said, (size_t)tokens, sizeof *batch->said);
		batch->room_tokens = tokens;
	}
}

static void add_row(struct align *task, int64_t item)
{
	struct ragged *packed = &task->batch.packed;
	const int64_t length = text_length(task, item), lead = task->options.lead;
	const int32_t *text = task->texts->ids + task->texts->indptr[item];
	const int64_t first = ragged_add(packed, lead + length + 1);
	int32_t *token = (int32_t *)packed->field[TOKEN] + first, *target = (int32_t *)packed->field[TARGET] + first;
	for (int64_t t = 0; t < lead; t++) {
		token[t] = task->ends.start;
		target[t] = -1;
	}
	token[lead] = task->ends.start;
	memcpy(token + lead + 1, text, (size_t)length * sizeof *text);
	memcpy(target + lead, text, (size_t)length * sizeof *text);
	target[lead + length] = task->ends.end;
}

/* Returns the positions. */
static int64_t fill_batch(struct align *task, const int64_t item[], int64_t n, bool learn)
{
	struct batch *batch = &task->batch;
	int64_t tokens = 0;
	for (int64_t row = 0; row < n; row++)
		tokens += task->options.lead + text_length(task, item[row]) + 1;
	make_room(task, n, tokens);
	batch->item = item;
	batch->rows = n;
	batch->learn = learn;
	ragged_clear(&batch->packed);
	for (int64_t row = 0; row < n; row++)
		add_row(task, item[row]);
	batch->indptr = batch->packed.indptr;
	batch->token = batch->packed.field[TOKEN];
	batch->target = batch->packed.field[TARGET];
	/* items of a table do not know of each other */
	batch->scale = is_table(task) ? 1 : 1 / (float)(tokens - n * task->options.lead);
	return tokens - n * task->options.lead;
}

static double row_nll(const struct batch *batch, int64_t row)
{
	double nll = 0;
	for (int64_t t = batch->indptr[row]; t < batch->indptr[row + 1]; t++)
		nll += (double)batch->nll[t];
	return nll;
}

static void note_item(struct align *task, int64_t row)
{
	const struct batch *batch = &task->batch;
	int64_t item = batch->item[row];
	task->nll[item] = (float)row_nll(batch, row);
	task->said[item] = 0;
	for (int64_t t = batch->indptr[row]; t < batch->indptr[row + 1]; t++)
		task->said[item] += batch->said[t];
}

static void note_items(struct align *task)
{
	for (int64_t row = 0; row < task->batch.rows; row++)
		note_item(task, row);
}

/* Vectors of a table are looked at where they may go next. */
static void add_steps(const struct align *task, struct array *vectors, const int64_t item[])
{
	int64_t d = vectors->columns;
	for (int64_t row = 0; row < vectors->rows; row++)
		vec_axpy(1, task->descent->step + item[row] * d, vectors->value + row * d, d);
}

/* Forward through projector and LLM, loss and, where it is to learn, back into the projector, of rows [first, end). */
static void compute_part(struct align *task, struct worker *worker, int64_t first, int64_t end)
{
	const struct batch *batch = &task->batch;
	const struct model *llm = task->llm;
	struct tape *tape = &worker->tape;
	const int64_t *indptr = batch->indptr + first, from = indptr[0], d = task->projector->width;
	tape_begin(tape, batch->learn ? worker->gradient : NULL, 0, 0);
	tape->in_floats = !batch->learn; /* what is said is said by the LLM itself */
	struct array *vectors = projector_forward(tape, task->projector, batch->item + first, end - first);
	if (is_table(task) && batch->learn)
		add_steps(task, vectors, batch->item + first);
	struct array *x = with_vectors(tape, vectors, task->options.lead, llm_token_vectors(llm), batch->token, indptr);
	struct array *hidden = llm_hidden(tape, llm, x, indptr, end - first);
	struct array *head = tape_param(tape, llm->item_vectors);
	worker->loss += full_cross_entropy_each(tape, hidden, head, batch->target + from, batch->scale, llm_softcap(llm),
		batch->nll + from, batch->said + from);
	if (!batch->learn)
		return;
	tape_backward(tape);
	if (is_table(task))
		memcpy(batch->gradient + first * d, tape_gradient(tape, vectors), (size_t)((end - first) * d) * sizeof(float));
}

/* The worker's rows, as many at a time as the LLM takes well. */
static void compute_share(void *base, struct worker *worker)
{
	struct align *task = base;
	const struct batch *batch = &task->batch;
	int64_t at_once = task->llm->architecture->tokens_at_once, last, end;
	worker_rows(worker, batch->indptr, batch->rows, &end, &last);
	for (int64_t first = end; first < last; first = end) {
		end = sequences_at_once(batch->indptr, first, last, at_once);
		compute_part(task, worker, first, end);
	}
}

static phase_function *const phases[] = {compute_share, NULL};

/* Vectors whose step led down have it now; all get a next one to try. */
static void move_rows(struct align *task)
{
	struct batch *batch = &task->batch;
	int64_t d = task->projector->width;
	for (int64_t row = 0; row < batch->rows; row++)
		batch->visit[row] = (struct visit){.problem = batch->item[row],
			.value = row_nll(batch, row),
			.gradient = batch->gradient + row * d,
			.vector = task->projector->vectors + batch->item[row] * d};
	descent_step(task->descent, batch->visit, batch->rows);
	for (int64_t row = 0; row < batch->rows; row++) {
		int64_t item = batch->item[row];
		if (batch->visit[row].taken)
			note_item(task, row);
		else if (!isfinite(task->descent->value[item]))
			die("item %s: the error of what the LLM says from its vector is not finite",
				strings_at(&task->projector->item_id, item));
	}
}

#define MEASURED_AT_ONCE 256

static void measure(struct align *task, struct trainer *trainer, const int64_t items[], int64_t n)
{
	const enum precision before = products_in(PRECISION_F32);
	for (int64_t from = 0; from < n; from += MEASURED_AT_ONCE) {
		fill_batch(task, items + from, n - from < MEASURED_AT_ONCE ? n - from : MEASURED_AT_ONCE, false);
		trainer_begin(trainer);
		trainer_compute(trainer, phases, task);
		note_items(task);
	}
	products_in(before);
}

/* Leaves alone the items of the batch that moved and are said now: by the LLM itself, where products take it packed. */
static void settle_rows(struct align *task, struct trainer *trainer)
{
	struct batch *batch = &task->batch;
	int64_t n = 0;
	for (int64_t row = 0; row < batch->rows; row++)
		if (batch->visit[row].taken && is_exact(task, batch->item[row]))
			batch->moved[n++] = batch->item[row];
	if (n && task->llm->item_vectors->packed)
		measure(task, trainer, batch->moved, n);
	for (int64_t i = 0; i < n; i++)
		if (is_exact(task, batch->moved[i]))
			task->done[batch->moved[i]] = (int32_t)task->epoch + 1;
}

/* --- the task --- */

static int64_t begin_epoch(struct task *base, int64_t epoch, int64_t example[])
{
	struct align *task = (struct align *)base;
	int64_t n = 0;
	task->epoch = epoch;
	for (int64_t i = 0; i < task->n_learned; i++) {
		int64_t item = task->learned[i];
		if (!task->done || !task->done[item] || task->done[item] > epoch)
			example[n++] = item;
	}
	return n;
}

static void step(struct task *base, struct trainer *trainer, const int64_t example[], int64_t n, uint64_t seed,
	struct step_result *result)
{
	struct align *task = (struct align *)base;
	(void)seed;
	*result = (struct step_result){.positions = fill_batch(task, example, n, true)};
	trainer_begin(trainer);
	trainer_compute(trainer, phases, task);
	if (is_table(task))
		move_rows(task);
	else
		note_items(task);
	trainer_update(trainer, result);
	if (is_table(task))
		settle_rows(task, trainer);
}

static struct align_result sum_up(const struct align *task, const int64_t items[], int64_t n)
{
	struct align_result result = {.items = n};
	for (int64_t i = 0; i < n; i++) {
		result.tokens += text_length(task, items[i]) + 1;
		result.nll += (double)task->nll[items[i]];
		result.accuracy += task->said[items[i]];
		result.exact += is_exact(task, items[i]);
	}
	if (n) {
		result.nll /= (double)result.tokens;
		result.accuracy /= (double)result.tokens;
		result.exact /= (double)n;
	}
	return result;
}

static bool validate_learned(struct task *base, struct trainer *trainer, int64_t epoch, double measured[])
{
	const struct align *task = (const struct align *)base;
	struct align_result result = sum_up(task, task->learned, task->n_learned);
	(void)trainer;
	(void)epoch;
	measured[0] = result.nll;
	measured[1] = result.accuracy;
	measured[2] = result.exact;
	return false;
}

static bool validate_held_out(struct task *base, struct trainer *trainer, int64_t epoch, double measured[])
{
	struct align *task = (struct align *)base;
	(void)epoch;
	measure(task, trainer, task->held_out, task->n_held_out);
	struct align_result held_out = sum_up(task, task->held_out, task->n_held_out);
	measured[0] = held_out.nll;
	measured[1] = held_out.accuracy;
	measured[2] = sum_up(task, task->learned, task->n_learned).accuracy;
	return true;
}

static void measure_all(struct align *task, struct trainer *trainer, const int64_t items[], int64_t n,
	struct progress *progress, int64_t done)
{
	for (int64_t from = 0; from < n; from += MEASURED_AT_ONCE) {
		const int64_t count = n - from < MEASURED_AT_ONCE ? n - from : MEASURED_AT_ONCE;
		measure(task, trainer, items + from, count);
		progress_at(progress, done + from + count, "measured");
	}
}

void align_measure(struct task *base, struct trainer *trainer, struct align_result *learned,
	struct align_result *held_out)
{
	struct align *task = (struct align *)base;
	struct progress progress;
	progress_start(&progress, "items", task->n_learned + task->n_held_out);
	measure_all(task, trainer, task->learned, task->n_learned, &progress, 0);
	measure_all(task, trainer, task->held_out, task->n_held_out, &progress, task->n_learned);
	progress_end(&progress);
	*learned = sum_up(task, task->learned, task->n_learned);
	*held_out = sum_up(task, task->held_out, task->n_held_out);
}

static void free_task(struct task *base)
{
	struct align *task = (struct align *)base;
	struct batch *batch = &task->batch;
	void *const memory[] = {batch->nll, batch->said, task->learned, task->held_out, task->nll, task->said, task->done,
		batch->gradient, batch->visit, batch->moved};
	for (size_t i = 0; i < COUNT_OF(memory); i++)
		free(memory[i]);
	ragged_free(&batch->packed);
	if (task->descent)
		task->descent->optimiser.free(&task->descent->optimiser);
	free(task);
}

static void list_items(struct align *task)
{
	int64_t n_items = task->projector->n_items, candidates = 0, sample = task->options.sample;
	task->learned = xreallocarray(NULL, (size_t)n_items, sizeof *task->learned);
	task->held_out = xreallocarray(NULL, (size_t)n_items, sizeof *task->held_out);
	int64_t *candidate = xreallocarray(NULL, (size_t)n_items, sizeof *candidate);
	for (int64_t item = 0; item < n_items; item++)
		if (text_length(task, item) && (!task->options.only || task->options.only[item]))
			candidate[candidates++] = item;
	if (!sample || sample > candidates)
		sample = candidates;
	for (int64_t i = 0; i < sample; i++) {
		int64_t item = candidate[i * candidates / sample];
		if (i % HELD_OUT == HELD_OUT - 1 && !is_table(task))
			task->held_out[task->n_held_out++] = item;
		else
			task->learned[task->n_learned++] = item;
	}
	free(candidate);
	task->task.examples = task->n_learned;
	if (!task->n_learned)
		die("catalog: no item with a text to learn");
}

/* A network is measured on items that it has not learned; a table, and where all are learned, on these. */
static void name_measures(struct align *task)
{
	struct task *base = &task->task;
	if (!task->n_held_out) {
		base->validate = validate_learned;
		memcpy(base->measures, (const char *[]){"NLL", "accuracy", "exact"}, 3 * sizeof(char *));
		memcpy(base->keys, (const char *[]){"nll", "accuracy", "exact"}, 3 * sizeof(char *));
		return;
	}
	base->validate = validate_held_out;
	base->lower_is_better = true;
	memcpy(base->measures, (const char *[]){"held-out NLL", "accuracy", "learned accuracy"}, 3 * sizeof(char *));
	memcpy(base->keys, (const char *[]){"held_out_nll", "held_out_accuracy", "accuracy"}, 3 * sizeof(char *));
}

static void list_states(struct align *task)
{
	int64_t n = task->projector->n_items;
	task->states[0] = (struct state){"item.nll.npy", F4, n, task->nll, false};
	task->states[1] = (struct state){"item.said.npy", I4, n, task->said, false};
	if (is_table(task)) {
		task->states[2] = (struct state){"item.done.npy", I4, n, task->done, false};
		task->states[3] = (struct state){"item.vector.npy", F4, n * task->projector->width, task->projector->vectors,
			false};
	}
	task->task.states = task->states;
}

struct task *align_task(struct projector *projector, const struct model *llm, const struct item_tokens *texts,
	struct text_ends ends, const struct align_options *options)
{
	struct align *task = xcalloc(1, sizeof *task);
	size_t n = (size_t)projector->n_items;
	*task = (struct align){.options = *options, .projector = projector, .llm = llm, .texts = texts, .ends = ends};
	task->batch.packed = (struct ragged)RAGGED(I4, I4);
	task->task = (struct task){.step = step, .begin_epoch = begin_epoch, .free = free_task};
	task->nll = xcalloc(n, sizeof *task->nll);
	task->said = xcalloc(n, sizeof *task->said);
	if (is_table(task)) {
		task->descent = descent_new(projector->n_items, projector->width, &options->descent);
		task->task.optimiser = &task->descent->optimiser;
		task->done = xcalloc(n, sizeof *task->done);
	}
	list_items(task);
	name_measures(task);
	list_states(task);
	return &task->task;
}
