#include "task/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream/bag.h"
#include "stream/bytes.h"
#include "stream/progress.h"
#include "stream/ranks.h"

#define CURVE_WIDTH (1 + RUN_MEASURES) /* the loss, then what was measured */

struct run {
	struct task *task;
	struct trainer *trainer;
	const struct run_options *options;
	int64_t n_examples, n_batches; /* of this epoch */
	/* what changes */
	int64_t epoch, batch;      /* done */
	struct rng rng, epoch_rng; /* now, and when this epoch's order was drawn */
	int64_t *order;
	double loss;
	int64_t positions; /* of this epoch so far */
	int64_t best_epoch;
	double *curve; /* epochs done x CURVE_WIDTH */
	float *best;   /* parameter values of the best epoch */
	double saved;  /* when the last checkpoint was written */
};

/* The epoch's examples, in the order that run->rng draws. */
static void begin_epoch(struct run *run)
{
	struct task *task = run->task;
	run->epoch_rng = run->rng;
	if (task->begin_epoch) {
		run->n_examples = task->begin_epoch(task, run->epoch, run->order);
	} else {
		run->n_examples = task->examples;
		for (int64_t i = 0; i < task->examples; i++)
			run->order[i] = i;
	}
	for (int64_t i = run->n_examples - 1; i > 0; i--) {
		int64_t other = (int64_t)rng_below(&run->rng, (uint64_t)i + 1), held = run->order[i];
		run->order[i] = run->order[other];
		run->order[other] = held;
	}
	run->n_batches = (run->n_examples + run->options->batch_size - 1) / run->options->batch_size;
}

/* --- checkpoint --- */

enum {
	STATE_EPOCH,
	STATE_BATCH,
	STATE_STEP,
	STATE_POSITIONS,
	STATE_BEST,
	STATE_RNG,
	STATE_EPOCH_RNG = STATE_RNG + 4,
	STATE_WIDTH = STATE_EPOCH_RNG + 4
};

#define MEMBERS 7 /* beside the task's own */

struct members {
	int64_t state[STATE_WIDTH];
	struct {
		const char *name;
		struct tensor tensor;
	} own[MEMBERS];
};

/* The tensors of a checkpoint; the curve is as long as state says. */
static void list_members(struct run *run, struct members *members)
{
	const struct params *params = run->trainer->params;
	*members = (struct members){.own = {
									{"state.npy", tensor_1d(I8, STATE_WIDTH, members->state)},
									{"loss.npy", tensor_1d(F8, 1, &run->loss)},
									{"curve.npy", tensor_2d(F8, run->epoch, CURVE_WIDTH, run->curve)},
									{"value.npy", tensor_1d(F4, params->size, params->value)},
									{"first.npy", tensor_1d(F4, params->trainable, params->first)},
									{"second.npy", tensor_1d(F4, params->trainable, params->second)},
									{"best.npy", tensor_1d(F4, params->size, run->best)},
								}};
}

static void save(struct run *run)
{
	struct members members;
	if (ranks_index())
		return; /* what rank 0 has, all have */
	list_members(run, &members);
	const int64_t numbers[] = {run->epoch, run->batch, run->trainer->step, run->positions, run->best_epoch};
	memcpy(members.state, numbers, sizeof numbers);
	memcpy(members.state + STATE_RNG, run->rng.word, sizeof run->rng.word);
	memcpy(members.state + STATE_EPOCH_RNG, run->epoch_rng.word, sizeof run->epoch_rng.word);
	struct cli to_file = {.output = run->options->checkpoint, .level = 1};
	struct bag_out *out = bag_create(&to_file);
	bag_begin(out, "checkpoint", run->options->id, 1, 1, NULL);
	for (int i = 0; i < MEMBERS; i++)
		bag_add_tensor(out, members.own[i].name, &members.own[i].tensor);
	for (const struct task_state *state = run->task->states; state && state->name; state++) {
		struct tensor tensor = tensor_1d(state->dtype, state->count, state->data);
		bag_add_tensor(out, state->name, &tensor);
	}
	bag_end(out);
	bag_finish(out, NULL);
	run->saved = seconds_now();
}

/* The member's data into the expected tensor's memory; dies where it is of another type or size. */
static void load_tensor(const struct piece *piece, const struct tensor *expected)
{
	struct tensor tensor;
	npy_parse(piece->bytes, piece->size, &tensor, piece->where);
	if (tensor.dtype != expected->dtype || tensor_bytes(&tensor) != tensor_bytes(expected)) {
		char is[128], should_be[128];
		die("%s: %s, %s was expected", piece->where, tensor_describe(&tensor, is),
			tensor_describe(expected, should_be));
	}
	if (tensor_bytes(&tensor))
		memcpy((void *)(uintptr_t)expected->data, tensor.data, tensor_bytes(&tensor));
}

static void take_state(struct run *run, const int64_t state[], const char *where)
{
	run->epoch = state[STATE_EPOCH];
	run->batch = state[STATE_BATCH];
	run->trainer->step = state[STATE_STEP];
	run->positions = state[STATE_POSITIONS];
	run->best_epoch = state[STATE_BEST];
	if (run->epoch < 0 || run->epoch > run->options->epochs || run->batch < 0 || run->batch > run->task->examples ||
		run->best_epoch < 0 || run->best_epoch > run->epoch)
		die("%s: epoch %lld, batch %lld: not a state of this training", where, (long long)run->epoch,
			(long long)run->batch);
	memcpy(run->epoch_rng.word, state + STATE_EPOCH_RNG, sizeof run->epoch_rng.word);
	memcpy(run->rng.word, state + STATE_RNG, sizeof run->rng.word);
}

/* state.npy comes first, and says how long the curve is. */
static void load_member(struct run *run, const struct piece *piece)
{
	struct members members;
	list_members(run, &members);
	for (int i = 0; i < MEMBERS; i++)
		if (!strcmp(piece->name, members.own[i].name)) {
			load_tensor(piece, &members.own[i].tensor);
			if (i == 0)
				take_state(run, members.state, piece->where);
			return;
		}
	for (const struct task_state *state = run->task->states; state && state->name; state++)
		if (!strcmp(piece->name, state->name)) {
			struct tensor tensor = tensor_1d(state->dtype, state->count, state->data);
			load_tensor(piece, &tensor);
			return;
		}
	die("%s: not a member of a checkpoint", piece->where);
}

static void load_members(struct run *run, struct bag *bag)
{
	int members = 0, expected = MEMBERS;
	char id[17];
	struct piece piece;
	fingerprint_text(run->options->id, id);
	while (bag_next(bag, &piece)) {
		if (piece.kind == PIECE_META && strcmp(json_get_string(piece.json, "id", piece.where), id))
			die("%s: is of another training: data, options, seed or thread count differ", run->options->checkpoint);
		if (piece.kind == PIECE_MEMBER) {
			load_member(run, &piece);
			members++;
		}
	}
	for (const struct task_state *state = run->task->states; state && state->name; state++)
		expected++;
	if (members != expected)
		die("%s: %d members, the %d of a checkpoint were expected", run->options->checkpoint, members, expected);
}

static void load(struct run *run)
{
	if (file_kind(run->options->checkpoint) == FILE_MISSING) {
		notice("%s: no checkpoint yet, starting from the beginning", run->options->checkpoint);
		return;
	}
	char *paths[] = {(char *)(uintptr_t)run->options->checkpoint, NULL};
	struct bag *bag = bag_open_paths(NULL, paths);
	bag_want(bag, "checkpoint");
	load_members(run, bag);
	bag_close(bag);
	if (run->batch) {
		struct rng now = run->rng;
		run->rng = run->epoch_rng;
		begin_epoch(run);
		run->rng = now;
	}
	notice("resumed after epoch %lld, batch %lld", (long long)run->epoch, (long long)run->batch);
}

/* --- epochs --- */

static void train_epoch(struct run *run)
{
	struct progress progress;
	char note[96];
	progress_start(&progress, "batches", run->n_batches);
	while (run->batch < run->n_batches) {
		int64_t from = run->batch * run->options->batch_size;
		int64_t n = from + run->options->batch_size < run->n_examples ? run->options->batch_size :
																		run->n_examples - from;
		struct step_result result;
		run->task->step(run->task, run->trainer, run->order + from, n, rng_next(&run->rng), &result);
		run->loss += result.loss;
		run->positions += result.positions;
		run->batch++;
		snprintf(note, sizeof note, "epoch %lld, loss %.4f", (long long)run->epoch + 1,
			run->loss / (double)run->positions);
		progress_at(&progress, run->batch, note);
		if (run->options->checkpoint && seconds_now() - run->saved >= run->options->every)
			save(run);
	}
	progress_end(&progress);
}

static bool is_better(const struct run *run, double value)
{
	double best = run->curve[(run->best_epoch - 1) * CURVE_WIDTH + 1];
	return run->task->lower_is_better ? value < best : value > best;
}

static void tell_epoch(const struct run *run, const double point[], bool better, double seconds)
{
	char text[256];
	int length = 0;
	for (int i = 0; run->task->measures[i]; i++)
		length += snprintf(text + length, sizeof text - (size_t)length, "  %s %.4f", run->task->measures[i],
			point[1 + i]);
	notice("epoch %3lld  loss %.4f%s  %s  %.1f s", (long long)run->epoch, point[0], length ? text : "",
		better ? "best" : "    ", seconds);
}

static void end_epoch(struct run *run, double started)
{
	double *point = run->curve + run->epoch * CURVE_WIDTH;
	const struct params *params = run->trainer->params;
	point[0] = run->positions ? run->loss / (double)run->positions : 0;
	bool validated = run->task->validate && run->task->validate(run->task, run->trainer, run->epoch, point + 1);
	bool better = !run->best_epoch || !validated || is_better(run, point[1]);
	run->epoch++;
	run->batch = 0;
	run->loss = 0;
	run->positions = 0;
	if (better) {
		run->best_epoch = run->epoch;
		if (params->size)
			memcpy(run->best, params->value, (size_t)params->size * sizeof *run->best);
	}
	tell_epoch(run, point, better, seconds_now() - started);
	if (run->options->checkpoint)
		save(run);
}

static void train(struct run *run)
{
	while (run->epoch < run->options->epochs && run->epoch - run->best_epoch < run->options->patience) {
		double started = seconds_now();
		if (!run->batch)
			begin_epoch(run);
		if (!run->n_batches)
			break;
		train_epoch(run);
		end_epoch(run, started);
	}
	if (run->best_epoch && run->trainer->params->size)
		memcpy(run->trainer->params->value, run->best, (size_t)run->trainer->params->size * sizeof *run->best);
}

/* --- what is told afterwards --- */

/* The deciding measure as a row of blocks, for people. */
static void show_curve(const struct run *run)
{
	static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	double best = run->curve[(run->best_epoch - 1) * CURVE_WIDTH + 1], high = best;
	int64_t columns = run->epoch < 60 ? run->epoch : 60;
	struct buffer line = {0};
	for (int64_t epoch = 0; epoch < run->epoch; epoch++)
		high = run->curve[epoch * CURVE_WIDTH + 1] > high ? run->curve[epoch * CURVE_WIDTH + 1] : high;
	for (int64_t column = 0; column < columns && high > 0; column++) {
		double value = run->curve[column * run->epoch / columns * CURVE_WIDTH + 1] / high;
		buffer_append(&line, blocks[(int)(value * 7.999 < 7 ? value * 7.999 : 7)], strlen("▁"));
	}
	buffer_append(&line, "", 1);
	notice("%s  best epoch %lld of %lld: %s %.4f", line.data, (long long)run->best_epoch, (long long)run->epoch,
		run->task->measures[0], best);
	buffer_free(&line);
}

static json_t *measured(const struct run *run)
{
	const struct task *task = run->task;
	json_t *curve = json_array();
	for (int64_t epoch = 0; epoch < run->epoch; epoch++) {
		const double *point = run->curve + epoch * CURVE_WIDTH;
		json_t *entry = json_build("{s:I, s:f}", "epoch", (json_int_t)epoch + 1, "loss", point[0]);
		for (int i = 0; task->keys[i]; i++)
			json_set(entry, task->keys[i], json_real(point[1 + i]));
		json_append(curve, entry);
	}
	json_t *history = json_build("{s:I, s:o}", "best_epoch", (json_int_t)run->best_epoch, "curve", curve);
	if (task->describe)
		task->describe(run->task, history);
	return history;
}

error_t run_option(int key, const char *value, struct run_options *options)
{
	switch (key) {
	case RUN_EPOCHS: options->epochs = option_int("--epochs", value, 0, 1000000); return 0;
	case RUN_BATCH_SIZE: options->batch_size = option_int("--batch-size", value, 1, 1 << 20); return 0;
	case RUN_PATIENCE: options->patience = option_int("--patience", value, 1, 1000000); return 0;
	case RUN_CHECKPOINT: options->checkpoint = value; return 0;
	case RUN_EVERY: options->every = option_float("--checkpoint-every", value, 0, 1e9); return 0;
	case RUN_RESUME: options->resume = true; return 0;
	case ARGP_KEY_END:
		if (options->resume && !options->checkpoint)
			die_usage("--resume needs --checkpoint FILE");
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

json_t *run(struct task *task, struct trainer *trainer, const struct run_options *options, const struct rng *rng)
{
	struct run run = {.task = task, .trainer = trainer, .options = options, .rng = *rng};
	int64_t batches = (task->examples + options->batch_size - 1) / options->batch_size;
	trainer->options.total = options->epochs / (task->stages > 1 ? task->stages : 1) * batches;
	run.order = xreallocarray(NULL, (size_t)task->examples, sizeof *run.order);
	run.curve = xcalloc((size_t)options->epochs * CURVE_WIDTH, sizeof *run.curve);
	run.best = xaligned((size_t)trainer->params->size, sizeof *run.best);
	run.saved = seconds_now();
	task->best = run.best;
	if (options->resume)
		load(&run);
	train(&run);
	if (run.best_epoch && task->measures[0])
		show_curve(&run);
	json_t *history = measured(&run);
	free(run.order);
	free(run.curve);
	free(run.best);
	return history;
}
