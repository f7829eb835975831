#include "task/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/average.h"
#include "stream/bytes.h"
#include "stream/process.h"
#include "stream/progress.h"
#include "stream/ranks.h"
#include "task/checkpoint.h"

const struct option run_options[] = {
	{"epochs", .argument = "N", WHOLE_OPTION(struct run_options, epochs, 0, 1000000), .help = "At most so many"},
	{.key = "stop_after",
		WHOLE_OPTION(struct run_options, stop_after, 0, 1000000),
		.fallback = "=epochs",
		.at_most = "epochs",
		.help = "End after so many of the --epochs, which the schedule of the learning rate is made for"},
	{"batch-size", .argument = "N", WHOLE_OPTION(struct run_options, batch_size, 1, 1 << 20),
		.help = "Examples of a step"},
	{"patience", .argument = "N", WHOLE_OPTION(struct run_options, patience, 1, 1000000),
		.help = "Stop after N epochs without a better validation"},
	{"checkpoint", .argument = "FILE", FILE_OPTION(struct run_options, checkpoint), .no_effect = true,
		.help = "Keep the state of training in FILE"},
	{"checkpoint-every", .argument = "SECONDS", REAL_OPTION(struct run_options, every, 0, 1e9), .fallback = "60",
		.no_effect = true, .only = "checkpoint", .help = "How often within an epoch"},
	{"resume", FLAG_OPTION(struct run_options, resume), .no_effect = true, .only = "checkpoint",
		.help = "Go on from the checkpoint, if there is one, to the same result"},
	{0},
};

const struct option average_options[] = {
	{.key = "average",
		REAL_OPTION(struct run_options, average, 0, .99999),
		.derive = option_depends,
		.depends = "loss",
		.fallback = "0; 0.99 with loss=ce and less than 20 training events a user",
		.help = "Validate and keep the moving average of all steps' parameters, of this decay; 0: the parameters"},
	{0},
};

int64_t run_length(const struct run_options *options)
{
	return options->stop_after < options->epochs ? options->stop_after : options->epochs;
}

void run_forget_length(json_t *identity, bool epochs_count)
{
	json_object_del(identity, "--set stop_after");
	if (!epochs_count)
		json_object_del(identity, "--epochs");
}

/* of an epoch: the loss, what was measured, and the seconds until its end */
#define CURVE_SECONDS (1 + RUN_MEASURES)
#define CURVE_WIDTH (CURVE_SECONDS + 1)
#define CURVE_SIZE(epochs) (((epochs) + 1) * CURVE_WIDTH)

struct run {
	struct task *task;
	struct trainer *trainer;
	const struct run_options *options;
	const json_t *identity;
	int64_t n_examples, n_batches; /* of this epoch */
	/* what changes */
	int64_t epoch, batch;      /* done */
	struct rng rng, epoch_rng; /* now, and when this epoch's order was drawn */
	int64_t *order;
	double loss;
	int64_t positions;  /* of this epoch so far */
	int64_t best_epoch; /* 0: the start, or none yet */
	double *curve;      /* 1 + epochs done x CURVE_WIDTH, the start before the first */
	bool is_start_kept; /* where no epoch is better */
	float *best;   /* parameter values of the best epoch; NULL while they have never been others than those of now */
	bool is_best;  /* those of now are */
	bool stopped;  /* by a signal */
	double saved;  /* when the last checkpoint was written */
	uint64_t file; /* the identity of what is at the checkpoint's place, by which we know it as ours */
	/* NULL, or what is validated and kept instead of the parameters */
	struct average *average;
};

/* Of an epoch, from 1, or of the start, 0. */
static double *curve_at(const struct run *run, int64_t epoch)
{
	return run->curve + epoch * CURVE_WIDTH;
}

/* Whether there is something that is to be kept rather than what there is now. */
static bool has_best(const struct run *run)
{
	return run->best_epoch || run->is_start_kept;
}

static float *memory_of_best(struct run *run)
{
	if (!run->best)
		run->best = xaligned((size_t)run->trainer->params->size, sizeof *run->best);
	run->task->best = run->best;
	return run->best;
}

/* Before they change: the last epoch's have no need of a copy. */
static void keep_best(struct run *run)
{
	const struct params *params = run->trainer->params;
	if (run->is_best && params->size)
		memcpy(memory_of_best(run), params->value, (size_t)params->size * sizeof *run->best);
	run->is_best = false;
}

/* The epoch's examples, in the order that run->rng draws. */
static void begin_epoch(struct run *run)
{
	struct task *task = run->task;
	keep_best(run);
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
	NOW_EPOCH,
	NOW_BATCH,
	NOW_POSITIONS,
	NOW_BEST,
	NOW_RNG,
	NOW_EPOCH_RNG = NOW_RNG + 4,
	NOW_WIDTH = NOW_EPOCH_RNG + 4
};

#define OWN_STATES 5

/* All that a checkpoint holds. */
struct states {
	int64_t now[NOW_WIDTH];
	struct state own[OWN_STATES + 1];
	const struct state *lists[6];
};

static void list_states(struct run *run, struct states *states)
{
	const struct params *params = run->trainer->params;
	const struct task *task = run->task;
	*states = (struct states){.own = {{"now.npy", I8, NOW_WIDTH, states->now}, {"loss.npy", F8, 1, &run->loss},
								  {"epochs.npy", F8, CURVE_SIZE(run->options->epochs), run->curve, .grows = true},
								  {"value.npy", F4, params->size, params->value},
								  {"best.npy", F4, params->size, run->is_best ? params->value : memory_of_best(run)}}};
	int count = 0;
	states->lists[count++] = states->own;
	states->lists[count++] = run->trainer->adamw->optimiser.states;
	if (run->average)
		states->lists[count++] = run->average->states;
	if (task->states)
		states->lists[count++] = task->states;
	if (task->optimiser)
		states->lists[count++] = task->optimiser->states;
}

static void save(struct run *run)
{
	struct states states;
	if (ranks_index())
		return; /* what rank 0 has, all have */
	if (file_identity(run->options->checkpoint) != run->file)
		die("%s: another program has written there since; the checkpoint needs a place of its own",
			run->options->checkpoint);
	trainer_catch_up(run->trainer);
	list_states(run, &states);
	const int64_t numbers[] = {run->epoch, run->batch, run->positions, run->best_epoch};
	memcpy(states.now, numbers, sizeof numbers);
	memcpy(states.now + NOW_RNG, run->rng.word, sizeof run->rng.word);
	memcpy(states.now + NOW_EPOCH_RNG, run->epoch_rng.word, sizeof run->epoch_rng.word);
	states.own[2].count = CURVE_SIZE(run->epoch);
	checkpoint_write(run->options->checkpoint, run->identity, states.lists);
	run->saved = seconds_now();
	run->file = file_identity(run->options->checkpoint);
}

static void load(struct run *run)
{
	const char *path = run->options->checkpoint;
	struct states states;
	if (file_kind(path) == FILE_MISSING) {
		notice("%s: no checkpoint yet, starting from the beginning", path);
		return;
	}
	list_states(run, &states);
	checkpoint_read(path, run->identity, states.lists);
	run->epoch = states.now[NOW_EPOCH];
	run->batch = states.now[NOW_BATCH];
	run->positions = states.now[NOW_POSITIONS];
	run->best_epoch = states.now[NOW_BEST];
	if (run->epoch > run_length(run->options))
		die("%s: %s %s done, more than the %lld that are asked for", path, counted(run->epoch, "epochs"),
			by_number(run->epoch, "is", "are"), (long long)run_length(run->options));
	if (run->epoch < 0 || run->batch < 0 || run->batch > run->task->examples || run->best_epoch < 0 ||
		run->best_epoch > run->epoch)
		die("%s: epoch %lld, batch %lld: not a state of this training", path, (long long)run->epoch,
			(long long)run->batch);
	if (run->batch) {
		memcpy(run->rng.word, states.now + NOW_EPOCH_RNG, sizeof run->rng.word);
		begin_epoch(run);
	}
	memcpy(run->rng.word, states.now + NOW_RNG, sizeof run->rng.word);
	notice("resumed after epoch %lld, batch %lld", (long long)run->epoch, (long long)run->batch);
}

/* A checkpoint of this training is gone on from; nothing else that is there is ever replaced. */
static void begin_checkpoint(struct run *run)
{
	const char *path = run->options->checkpoint;
	if (run->options->resume)
		load(run);
	else if (file_kind(path) != FILE_MISSING)
		die("%s: is there already: --resume goes on from a checkpoint, a new training needs another name", path);
	output_abandon(output_open(path)); /* rather now than after an epoch */
	run->file = file_identity(path);
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
		if (run->average)
			average_step(run->average, run->trainer->adamw->step);
		run->loss += result.loss;
		run->positions += result.positions;
		run->batch++;
		snprintf(note, sizeof note, "epoch %lld, loss %.4f", (long long)run->epoch + 1,
			run->loss / (double)run->positions);
		progress_at(&progress, run->batch, note);
		if ((run->stopped = process_stop_asked()))
			break;
		if (run->options->checkpoint && seconds_now() - run->saved >= run->options->every)
			save(run);
	}
	progress_end(&progress);
}

static bool is_better(const struct run *run, double value)
{
	const double best = curve_at(run, run->best_epoch)[1];
	return run->task->lower_is_better ? value < best : value > best;
}

#define LINE_WIDTH 80 /* of a terminal */

/* In a line of a terminal: the first measure always, the others while they fit. */
static void tell_measures(const struct run *run, const char *begin, const double point[], const char *end)
{
	char text[256];
	int length = snprintf(text, sizeof text, "%s", begin);
	int room = LINE_WIDTH - (int)(strlen(program_name) + strlen(": ") + strlen(end));
	for (int i = 0; run->task->measures[i]; i++) {
		char measure[64];
		int width = snprintf(measure, sizeof measure, " %s %.4f", run->task->measures[i], point[1 + i]);
		if (i && length + width > room)
			break;
		length += snprintf(text + length, sizeof text - (size_t)length, "%s", measure);
	}
	notice("%s%s", text, end);
}

static void tell_epoch(const struct run *run, const double point[], bool better, double seconds)
{
	char begin[64], end[64];
	snprintf(begin, sizeof begin, "epoch %3lld loss %.4f", (long long)run->epoch, point[0]);
	snprintf(end, sizeof end, "%s %.1fs", better && run->task->measures[0] ? " best" : "", seconds);
	tell_measures(run, begin, point, end);
}

/* What training goes on from; a checkpoint has it. */
static void measure_start(struct run *run)
{
	if (run->epoch || run->batch)
		return;
	run->task->validate(run->task, run->trainer, -1, curve_at(run, 0) + 1);
	run->is_best = true;
	char *begin = xasprintf("%s:", run->task->start);
	tell_measures(run, begin, curve_at(run, 0), "");
	free(begin);
}

/* Returns whether it is the best so far, or, where there is an average, that is. */
static bool judge_epoch(struct run *run, double measured[])
{
	trainer_catch_up(run->trainer);
	if (run->average)
		average_exchange(run->average);
	const bool validated = run->task->validate && run->task->validate(run->task, run->trainer, run->epoch, measured);
	run->is_best = !has_best(run) || !validated || is_better(run, measured[0]);
	const bool better = run->is_best;
	if (run->average) {
		keep_best(run);
		average_exchange(run->average);
	}
	return better;
}

static void end_epoch(struct run *run, double started)
{
	double *point = curve_at(run, run->epoch + 1);
	point[0] = run->positions ? run->loss / (double)run->positions : 0;
	const bool better = judge_epoch(run, point + 1);
	run->epoch++;
	run->batch = 0;
	run->loss = 0;
	run->positions = 0;
	if (better)
		run->best_epoch = run->epoch;
	const double seconds = seconds_now() - started;
	point[CURVE_SECONDS] = seconds + curve_at(run, run->epoch - 1)[CURVE_SECONDS];
	tell_epoch(run, point, better, seconds);
	if (run->options->checkpoint)
		save(run);
}

/* What a signal ended: what is kept of it, and how it can go on. */
static void end_stopped(struct run *run)
{
	const char *checkpoint = run->options->checkpoint;
	char *kept = run->best_epoch ? xasprintf("epoch %lld, the %s, is kept", (long long)run->best_epoch,
									   run->task->measures[0] ? "best so far" : "last whole one") :
		run->is_start_kept       ? xstrdup("no epoch is better than the start, which is kept") :
								   xstrdup("no epoch is over yet, and the parameters are kept as they are");
	char *how = checkpoint ? xasprintf("--resume goes on from %s", checkpoint) :
							 xstrdup("with --checkpoint FILE it could be gone on with");
	if (checkpoint)
		save(run);
	notice("stopped in epoch %lld: %s; %s", (long long)run->epoch + 1, kept, how);
	free(kept);
	free(how);
}

static void train(struct run *run)
{
	while (!run->stopped && run->epoch < run_length(run->options) &&
		run->epoch - run->best_epoch < run->options->patience) {
		double started = seconds_now();
		if (!run->batch)
			begin_epoch(run);
		if (!run->n_batches)
			break;
		train_epoch(run);
		if (!run->stopped)
			end_epoch(run, started);
	}
	trainer_catch_up(run->trainer);
	process_stoppable(false);
	if (run->stopped)
		end_stopped(run);
	if (has_best(run) && !run->is_best && run->trainer->params->size)
		memcpy(run->trainer->params->value, run->best, (size_t)run->trainer->params->size * sizeof *run->best);
}

/* --- what is told afterwards --- */

/* The deciding measure as a row of blocks, for people. */
static void show_curve(const struct run *run)
{
	static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	const double best = curve_at(run, run->best_epoch)[1];
	double high = best;
	int64_t columns = run->epoch < 60 ? run->epoch : 60;
	struct buffer line = {0};
	for (int64_t epoch = 1; epoch <= run->epoch; epoch++)
		high = curve_at(run, epoch)[1] > high ? curve_at(run, epoch)[1] : high;
	for (int64_t column = 0; column < columns && high > 0; column++) {
		double value = curve_at(run, 1 + column * run->epoch / columns)[1] / high;
		buffer_append(&line, blocks[(int)(value * 7.999 < 7 ? value * 7.999 : 7)], strlen("▁"));
	}
	buffer_append(&line, "", 1);
	char *kept = run->best_epoch ?
		xasprintf("best epoch %lld of %lld", (long long)run->best_epoch, (long long)run->epoch) :
		xasprintf("no epoch of %lld is better than the start, which is kept", (long long)run->epoch);
	notice("%s  %s: %s %.4f", line.data, kept, run->task->measures[0], best);
	free(kept);
	buffer_free(&line);
}

static void add_measures(const struct run *run, json_t *entry, const double *point)
{
	for (int i = 0; run->task->keys[i]; i++)
		json_set(entry, run->task->keys[i], json_real(point[1 + i]));
}

static json_t *measured(const struct run *run)
{
	const struct task *task = run->task;
	json_t *curve = json_array();
	for (int64_t epoch = 1; epoch <= run->epoch; epoch++) {
		const double *point = curve_at(run, epoch);
		json_t *entry = json_build("{s:I, s:f}", "epoch", (json_int_t)epoch, "loss", point[0]);
		add_measures(run, entry, point);
		json_set(entry, "seconds", json_real(point[CURVE_SECONDS]));
		json_append(curve, entry);
	}
	json_t *history = json_build("{s:I, s:o}", "best_epoch", (json_int_t)run->best_epoch, "curve", curve);
	if (run->is_start_kept) {
		json_set(history, "start", json_object());
		add_measures(run, json_object_get(history, "start"), curve_at(run, 0));
	}
	if (run->stopped)
		json_set(history, "stopped",
			json_build("{s:I, s:I}", "epoch", (json_int_t)run->epoch + 1, "batch", (json_int_t)run->batch));
	if (task->describe)
		task->describe(run->task, history);
	return history;
}

json_t *run(struct task *task, struct trainer *trainer, const struct run_options *options, const json_t *identity,
	const struct rng *rng)
{
	struct run run = {.task = task,
		.trainer = trainer,
		.options = options,
		.identity = identity,
		.rng = *rng,
		.is_start_kept = task->start && task->measures[0]};
	int64_t batches = (task->examples + options->batch_size - 1) / options->batch_size;
	trainer->options.total = options->epochs / (task->stages > 1 ? task->stages : 1) * batches;
	run.order = xreallocarray(NULL, (size_t)task->examples, sizeof *run.order);
	run.curve = xcalloc((size_t)CURVE_SIZE(options->epochs), sizeof *run.curve);
	run.saved = seconds_now();
	if (options->average > 0)
		run.average = average_new(trainer->params, options->average);
	if (options->checkpoint)
		begin_checkpoint(&run);
	if (task->validate && !task->measures[0])
		notice("nothing is held out to validate on: all of %s, and the last one is kept",
			counted(run_length(options), "epochs"));
	process_stoppable(ranks_count() == 1); /* mpirun ends all of its processes */
	if (run.is_start_kept)
		measure_start(&run);
	train(&run);
	if (run.epoch && has_best(&run) && task->measures[0])
		show_curve(&run);
	json_t *history = measured(&run);
	free(run.order);
	free(run.curve);
	free(run.best);
	average_free(run.average);
	return history;
}
