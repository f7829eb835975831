/*
 * seq-train: sequences in, the same and a model that recommends the next item out.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/tables.h"
#include "model/metric.h"
#include "model/recommend.h"
#include "model/train.h"
#include "nn/blas.h"
#include "stream/cli.h"

/* --- options --- */

enum { KEY_ARCH = 0x2000, KEY_LOSS, KEY_NEGATIVES, KEY_GBCE_T, KEY_RATE, KEY_DECAY, KEY_BETA2, KEY_CLIP, KEY_SCHEDULE,
       KEY_WARMUP, KEY_EPOCHS, KEY_BATCH, KEY_PATIENCE, KEY_VALID_USERS, KEY_SEEN, KEY_CHECKPOINT, KEY_EVERY, KEY_RESUME,
       KEY_MODEL = 0x3000 };

/* Options that go into the model's config.json as they are. */
static const struct {
	const char *option, *value, *config, *help;
	enum { WORD, WHOLE, REAL, YES_NO } kind;
} model_options[] = {
	{"hidden-size", "N", "hidden_size", "Width of the model (default 64)", WHOLE},
	{"layers", "N", "num_hidden_layers", "Blocks, or layers of the GRU (default 2; gru 1)", WHOLE},
	{"heads", "N", "num_attention_heads", "Attention heads (default 2)", WHOLE},
	{"intermediate-size", "N", "intermediate_size", "Width inside the feed-forward part (default as --hidden-size)", WHOLE},
	{"activation", "NAME", "hidden_act", "relu (default) or gelu (the erf form)", WORD},
	{"norm", "WHERE", "norm", "Layer norm: pre (default), post, or original (the authors' code)", WORD},
	{"input-norm", "yes|no", "input_norm", "Layer norm on the embedded input (default no)", YES_NO},
	{"positions", "FROM", "positions", "Positions counted from start (default), from end, or none", WORD},
	{"scale-embedding", "yes|no", "scale_embedding", "Multiply item vectors by sqrt(width) at the input (default yes)", YES_NO},
	{"max-length", "N", "max_length", "Latest items of a history that are looked at (default 200)", WHOLE},
	{"dropout", "P", "dropout", "Dropout where it is not set by the next ones (default 0.2; 0.5 where users have less than 20 training events)", REAL},
	{"embedding-dropout", "P", "embedding_dropout", "Dropout of the embedded input", REAL},
	{"hidden-dropout", "P", "hidden_dropout", "Dropout behind the feed-forward part", REAL},
	{"attention-dropout", "P", "attention_dropout", "Dropout of attention probabilities", REAL},
	{"attention-output-dropout", "P", "attention_output_dropout", "Dropout behind the attention (default 0)", REAL},
	{"activation-dropout", "P", "activation_dropout", "Dropout inside the feed-forward part", REAL},
	{"initialiser", "NAME", "initialiser", "normal (deviation 0.02), xavier, or for gru uniform", WORD},
	{"tied", "yes|no", "tied", "Score with the input's item vectors (default yes), or with a table of their own", YES_NO},
	{"dense-size", "N", "dense_size", "gru: width of a dense layer behind it (default 0: none)", WHOLE},
	{"embedding-size", "N", "embedding_size", "gru: width of the item vectors", WHOLE},
	{"bias", "yes|no", "bias", "gru: biases (default yes)", YES_NO},
	{"steps", "N", "steps", "markov: how far back (default 3)", WHOLE},
};

static const char *const part_of_seen[] = {"remove", "keep", NULL};

struct settings {
	json_t *config;
	struct training_options training;
	bool has_negatives;
	int64_t epochs, batch_size, patience, valid_users;
	int keep_seen;
	const char *checkpoint;
	double every;
	bool resume;
};

static bool yes_or_no(const char *option, const char *value)
{
	static const char *const names[] = {"no", "yes", NULL};
	return option_choice(option, value, names) == 1;
}

static void set_model_option(struct settings *settings, int i, const char *value)
{
	char option[64];
	snprintf(option, sizeof option, "--%s", model_options[i].option);
	json_t *number = NULL;
	switch (model_options[i].kind) {
	case WORD: number = json_string(value); break;
	case WHOLE: number = json_integer(option_int(option, value, 0, 1 << 20)); break;
	case REAL: number = json_real(option_float(option, value, 0, 0.99)); break;
	case YES_NO: number = json_boolean(yes_or_no(option, value)); break;
	}
	json_object_set_new(settings->config, model_options[i].config, number);
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct settings *settings = state->input;
	struct training_options *training = &settings->training;
	if (key >= KEY_MODEL && key < KEY_MODEL + (int)COUNT_OF(model_options)) {
		set_model_option(settings, key - KEY_MODEL, value);
		return 0;
	}
	switch (key) {
	case KEY_ARCH:
		option_choice("--arch", value, architecture_names);
		json_object_set_new(settings->config, "architecture", json_string(value));
		break;
	case KEY_LOSS: training->loss = (enum loss)option_choice("--loss", value, loss_names); break;
	case KEY_NEGATIVES:
		training->negatives = option_int("--negatives", value, 1, 1 << 20);
		settings->has_negatives = true;
		break;
	case KEY_GBCE_T: training->gbce_t = option_float("--gbce-t", value, 0, 1); break;
	case KEY_RATE: training->adamw.rate = option_float("--learning-rate", value, 0, 10); break;
	case KEY_DECAY: training->adamw.weight_decay = option_float("--weight-decay", value, 0, 10); break;
	case KEY_BETA2: training->adamw.beta2 = option_float("--beta2", value, 0, 1); break;
	case KEY_CLIP: training->clip = option_float("--clip", value, 0, 1e9); break;
	case KEY_SCHEDULE: training->schedule = (enum schedule)option_choice("--schedule", value, schedule_names); break;
	case KEY_WARMUP: training->warmup = option_int("--warmup", value, 0, INT32_MAX); break;
	case KEY_EPOCHS: settings->epochs = option_int("--epochs", value, 1, 1000000); break;
	case KEY_BATCH: settings->batch_size = option_int("--batch-size", value, 1, 1 << 20); break;
	case KEY_PATIENCE: settings->patience = option_int("--patience", value, 1, 1000000); break;
	case KEY_VALID_USERS: settings->valid_users = option_int("--valid-users", value, 1, INT32_MAX); break;
	case KEY_SEEN: settings->keep_seen = option_choice("--seen", value, part_of_seen); break;
	case KEY_CHECKPOINT: settings->checkpoint = value; break;
	case KEY_EVERY: settings->every = option_float("--checkpoint-every", value, 0, 1e9); break;
	case KEY_RESUME: settings->resume = true; break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_option training_options[] = {
	{"arch", KEY_ARCH, "NAME", 0, "Architecture: sasrec (default), gru; popular and markov are counted, not trained", 1},
	{NULL, 0, NULL, 0, "Training:", 2},
	{"loss", KEY_LOSS, "NAME", 0, "ce (softmax over the whole catalog, default), sampled, bce, gbce", 2},
	{"negatives", KEY_NEGATIVES, "N", 0, "Negatives (default: sampled 3000 a user; bce 1, gbce 256 a position)", 2},
	{"gbce-t", KEY_GBCE_T, "T", 0, "Calibration of gbce, 0 to 1 (default 0.75)", 2},
	{"learning-rate", KEY_RATE, "R", 0, "Of Adam (default 0.001)", 2},
	{"weight-decay", KEY_DECAY, "R", 0, "Decoupled, as in AdamW (default 0)", 2},
	{"beta2", KEY_BETA2, "B", 0, "Of Adam (default 0.999)", 2},
	{"clip", KEY_CLIP, "NORM", 0, "Clip gradients to this global norm (default 0: not at all)", 2},
	{"schedule", KEY_SCHEDULE, "NAME", 0, "constant (default), linear or cosine decay over all epochs", 2},
	{"warmup", KEY_WARMUP, "STEPS", 0, "Rise of the learning rate at the start (default 0)", 2},
	{"epochs", KEY_EPOCHS, "N", 0, "At most this many (default 200)", 2},
	{"batch-size", KEY_BATCH, "USERS", 0, "Users of a step (default 128)", 2},
	{"patience", KEY_PATIENCE, "N", 0, "Stop after N epochs without a better validation NDCG@10 (default 10)", 2},
	{"valid-users", KEY_VALID_USERS, "N", 0, "Validate on the first N users (default all)", 2},
	{"seen", KEY_SEEN, "keep|remove", 0, "Items of the history in validation rankings (default remove)", 2},
	{"checkpoint", KEY_CHECKPOINT, "FILE", 0, "Keep the state of training in FILE", 2},
	{"checkpoint-every", KEY_EVERY, "SECONDS", 0, "How often within an epoch (default 60)", 2},
	{"resume", KEY_RESUME, NULL, 0, "Go on from the checkpoint, if there is one, to the same result", 2},
	{NULL, 0, NULL, 0, "Model:", 3},
};

static const char *const summary =
	"Train a model of what comes next in a user's sequence, and add it to the stream. Early stop on the validation item's "
	"NDCG@10 over the whole catalog; the test item is never looked at.";

static const char *const examples =
	"  seq-tokenize events.csv | seq-train | seq-rank | rec-eval\n"
	"  seq-train --arch gru -o gru.tar.zst sequences.tar.zst\n"
	"  seq-train --loss gbce --checkpoint run.ckpt --resume -o model.tar.zst sequences.tar.zst\n"
	"  seq-train --arch markov sequences.tar.zst | seq-rank | rec-eval";

static void parse(int argc, char **argv, struct cli *cli, struct settings *settings)
{
	struct argp_option all[COUNT_OF(training_options) + COUNT_OF(model_options) + 1] = {0};
	memcpy(all, training_options, sizeof training_options);
	for (size_t i = 0; i < COUNT_OF(model_options); i++)
		all[COUNT_OF(training_options) + i] = (struct argp_option){model_options[i].option, KEY_MODEL + (int)i,
		                                                           model_options[i].value, 0, model_options[i].help, 3};
	const struct cli_tool tool = {.name = "seq-train", .arguments = "[STREAM...]", .summary = summary, .examples = examples,
	                              .options = all, .option = parse_option, .usage_without_input = true, .binary_output = true};
	*settings = (struct settings){.config = json_object(), .epochs = 200, .batch_size = 128, .patience = 10,
	                              .valid_users = INT32_MAX, .every = 60, .training = {.gbce_t = 0.75, .adamw = ADAMW_DEFAULTS}};
	json_object_set_new(settings->config, "architecture", json_string("sasrec"));
	cli_parse(&tool, argc, argv, cli, settings);
	if (settings->resume && !settings->checkpoint)
		die_usage("--resume needs --checkpoint FILE");
	static const int64_t negatives[] = {[LOSS_CE] = 0, [LOSS_SAMPLED] = 3000, [LOSS_BCE] = 1, [LOSS_GBCE] = 256};
	if (!settings->has_negatives)
		settings->training.negatives = negatives[settings->training.loss];
}

/* --- data --- */

/* What a user's training part gives: inputs [first, first + length) and, one further on, their targets. */
struct example {
	int64_t first, length;
};

struct training_set {
	struct example *examples;
	int64_t count, positions;
};

static struct training_set training_set_of(const struct sequences *sequences, int64_t max_length)
{
	struct training_set set = {.examples = xreallocarray(NULL, (size_t)sequences->n_users, sizeof *set.examples)};
	for (int64_t user = 0; user < sequences->n_users; user++) {
		int64_t length = train_length(sequences, user) - 1, first = sequences->indptr[user];
		if (length < 1)
			continue;
		if (max_length && length > max_length) {
			first += length - max_length;
			length = max_length;
		}
		set.examples[set.count++] = (struct example){first, length};
		set.positions += length;
	}
	if (!set.count)
		die("sequences: no user has two training events, there is nothing to learn");
	return set;
}

/* Histories packed for a model, with what follows each: targets of every position, or one a row. */
struct packed {
	int64_t *indptr;
	int32_t *item, *target;
	int64_t rows;
};

static void packed_free(struct packed *packed)
{
	free(packed->indptr);
	free(packed->item);
	free(packed->target);
}

static struct histories packed_histories(const struct packed *packed)
{
	return (struct histories){packed->rows, packed->indptr, packed->item};
}

/* The training part of everybody, whole: for models that count. */
static struct packed all_training(const struct sequences *sequences)
{
	struct packed packed = {.rows = sequences->n_users};
	packed.indptr = xcalloc((size_t)packed.rows + 1, sizeof *packed.indptr);
	packed.item = xreallocarray(NULL, (size_t)sequences->n_events, sizeof *packed.item);
	for (int64_t user = 0; user < packed.rows; user++) {
		int64_t length = train_length(sequences, user), to = packed.indptr[user];
		memcpy(packed.item + to, sequences->item + sequences->indptr[user], (size_t)length * sizeof *packed.item);
		packed.indptr[user + 1] = to + length;
	}
	return packed;
}

/* Histories and targets of validation, of the first `limit` users that have one. */
static struct packed validation_set(const struct sequences *sequences, int64_t limit)
{
	struct packed packed = {0};
	packed.indptr = xcalloc((size_t)sequences->n_users + 1, sizeof *packed.indptr);
	packed.item = xreallocarray(NULL, (size_t)sequences->n_events, sizeof *packed.item);
	packed.target = xreallocarray(NULL, (size_t)sequences->n_users, sizeof *packed.target);
	for (int64_t user = 0; user < sequences->n_users && packed.rows < limit; user++) {
		int64_t length = target_index(sequences, user, PART_VALID), to = packed.indptr[packed.rows];
		if (length < 1)
			continue;
		const int32_t *events = sequences->item + sequences->indptr[user];
		memcpy(packed.item + to, events, (size_t)length * sizeof *packed.item);
		packed.target[packed.rows++] = events[length];
		packed.indptr[packed.rows] = to + length;
	}
	return packed;
}

/* --- the state of a training, and its checkpoint --- */

enum { CURVE_LOSS, CURVE_NDCG, CURVE_RECALL, CURVE_WIDTH };

struct run {
	const struct cli *cli;
	const struct settings *settings;
	struct model *model;
	struct trainer *trainer;
	struct training_set set;
	struct packed valid;
	const int32_t *events;
	uint64_t id;             /* of everything that decides the result */
	int64_t n_batches;
	/* what changes */
	int64_t epoch, batch;    /* done */
	struct rng rng, epoch_rng; /* now, and when this epoch's order was drawn */
	int64_t *order;
	double loss;
	int64_t positions;       /* of this epoch so far */
	int64_t best_epoch;
	double *curve;           /* epochs done x CURVE_WIDTH */
	float *best;             /* parameter values of the best epoch */
	double saved;            /* when the last checkpoint was written */
};

static void shuffle(struct run *run)
{
	run->epoch_rng = run->rng;
	for (int64_t i = 0; i < run->set.count; i++)
		run->order[i] = i;
	for (int64_t i = run->set.count - 1; i > 0; i--) {
		int64_t other = (int64_t)rng_below(&run->rng, (uint64_t)i + 1), held = run->order[i];
		run->order[i] = run->order[other];
		run->order[other] = held;
	}
}

enum { STATE_EPOCH, STATE_BATCH, STATE_STEP, STATE_POSITIONS, STATE_BEST, STATE_RNG, STATE_EPOCH_RNG = STATE_RNG + 4,
       STATE_WIDTH = STATE_EPOCH_RNG + 4 };

static void save(struct run *run)
{
	const struct params *params = &run->model->params;
	int64_t state[STATE_WIDTH] = {run->epoch, run->batch, run->trainer->step, run->positions, run->best_epoch};
	memcpy(state + STATE_RNG, run->rng.word, sizeof run->rng.word);
	memcpy(state + STATE_EPOCH_RNG, run->epoch_rng.word, sizeof run->epoch_rng.word);
	const struct {
		const char *name;
		struct tensor tensor;
	} members[] = {
		{"state.npy", tensor_1d(I8, STATE_WIDTH, state)},
		{"loss.npy", tensor_1d(F8, 1, &run->loss)},
		{"curve.npy", tensor_2d(F8, run->epoch, CURVE_WIDTH, run->curve)},
		{"value.npy", tensor_1d(F4, params->size, params->value)},
		{"first.npy", tensor_1d(F4, params->trainable, params->first)},
		{"second.npy", tensor_1d(F4, params->trainable, params->second)},
		{"best.npy", tensor_1d(F4, params->size, run->best)},
	};
	struct cli to_file = {.output = run->settings->checkpoint, .level = 1};
	struct bag_out *out = bag_create(&to_file);
	bag_begin(out, "checkpoint", run->id, 1, 1, NULL);
	for (size_t i = 0; i < COUNT_OF(members); i++)
		bag_add_tensor(out, members[i].name, &members[i].tensor);
	bag_end(out);
	bag_finish(out, NULL);
	run->saved = seconds_now();
}

/* The member's data into memory of `bytes` bytes; dies where it is of another type or size. */
static void load_tensor(const struct piece *piece, enum dtype dtype, void *data, size_t bytes)
{
	struct tensor tensor;
	npy_parse(piece->bytes, piece->size, &tensor, piece->where);
	if (tensor.dtype != dtype || tensor_bytes(&tensor) != bytes) {
		char text[128];
		die("%s: %s, %zu bytes of %s were expected", piece->where, tensor_describe(&tensor, text), bytes, dtype_name(dtype));
	}
	memcpy(data, tensor.data, bytes);
}

static void load_state(struct run *run, const struct piece *piece)
{
	int64_t state[STATE_WIDTH];
	load_tensor(piece, I8, state, sizeof state);
	run->epoch = state[STATE_EPOCH];
	run->batch = state[STATE_BATCH];
	run->trainer->step = state[STATE_STEP];
	run->positions = state[STATE_POSITIONS];
	run->best_epoch = state[STATE_BEST];
	if (run->epoch < 0 || run->epoch > run->settings->epochs || run->batch < 0 || run->batch > run->n_batches ||
	    run->best_epoch < 0 || run->best_epoch > run->epoch)
		die("%s: epoch %lld, batch %lld: not a state of this training", piece->where, (long long)run->epoch,
		    (long long)run->batch);
	memcpy(run->epoch_rng.word, state + STATE_EPOCH_RNG, sizeof run->epoch_rng.word);
	if (run->batch) {
		run->rng = run->epoch_rng;
		shuffle(run);
	}
	memcpy(run->rng.word, state + STATE_RNG, sizeof run->rng.word);
}

static void load_member(struct run *run, const struct piece *piece)
{
	const struct params *params = &run->model->params;
	const size_t all = (size_t)params->size * sizeof(float), trained = (size_t)params->trainable * sizeof(float);
	if (!strcmp(piece->name, "state.npy"))
		load_state(run, piece);
	else if (!strcmp(piece->name, "loss.npy"))
		load_tensor(piece, F8, &run->loss, sizeof run->loss);
	else if (!strcmp(piece->name, "curve.npy"))
		load_tensor(piece, F8, run->curve, (size_t)run->epoch * CURVE_WIDTH * sizeof *run->curve);
	else if (!strcmp(piece->name, "value.npy"))
		load_tensor(piece, F4, params->value, all);
	else if (!strcmp(piece->name, "first.npy"))
		load_tensor(piece, F4, params->first, trained);
	else if (!strcmp(piece->name, "second.npy"))
		load_tensor(piece, F4, params->second, trained);
	else if (!strcmp(piece->name, "best.npy"))
		load_tensor(piece, F4, run->best, all);
	else
		die("%s: not a member of a checkpoint", piece->where);
}

static void load(struct run *run)
{
	struct stat status;
	if (stat(run->settings->checkpoint, &status) < 0) {
		notice(run->cli, "%s: no checkpoint yet, starting from the beginning", run->settings->checkpoint);
		return;
	}
	char *paths[] = {(char *)(uintptr_t)run->settings->checkpoint, NULL};
	char id[17];
	fingerprint_text(run->id, id);
	struct bag *bag = bag_open_paths(run->cli, paths);
	bag_want(bag, "checkpoint");
	struct piece piece;
	int members = 0;
	while (bag_next(bag, &piece)) {
		if (piece.kind == PIECE_META && strcmp(json_get_string(piece.json, "id", piece.where), id))
			die("%s: is of another training: data, options, seed or thread count differ", run->settings->checkpoint);
		if (piece.kind == PIECE_MEMBER) {
			load_member(run, &piece);
			members++;
		}
	}
	if (members != 7)
		die("%s: %d members, the 7 of a checkpoint were expected", run->settings->checkpoint, members);
	bag_close(bag);
	notice(run->cli, "resumed after epoch %lld, batch %lld", (long long)run->epoch, (long long)run->batch);
}

/* --- training --- */

static void fill_batch(const struct run *run, struct packed *packed)
{
	int64_t from = run->batch * run->settings->batch_size;
	int64_t to = from + run->settings->batch_size < run->set.count ? from + run->settings->batch_size : run->set.count;
	packed->rows = to - from;
	packed->indptr[0] = 0;
	for (int64_t row = 0; row < packed->rows; row++) {
		struct example example = run->set.examples[run->order[from + row]];
		int64_t at = packed->indptr[row];
		memcpy(packed->item + at, run->events + example.first, (size_t)example.length * sizeof *packed->item);
		memcpy(packed->target + at, run->events + example.first + 1, (size_t)example.length * sizeof *packed->target);
		packed->indptr[row + 1] = at + example.length;
	}
}

static void train_epoch(struct run *run, struct packed *packed)
{
	struct progress progress;
	char note[96];
	progress_start(&progress, run->cli, "batches", run->n_batches);
	if (!run->batch)
		shuffle(run);
	while (run->batch < run->n_batches) {
		fill_batch(run, packed);
		struct histories histories = packed_histories(packed);
		struct training_result result;
		trainer_step(run->trainer, &histories, packed->target, rng_next(&run->rng), &result);
		run->loss += result.loss;
		run->positions += result.positions;
		run->batch++;
		snprintf(note, sizeof note, "epoch %lld, loss %.4f", (long long)run->epoch + 1, run->loss / (double)run->positions);
		progress_at(&progress, run->batch, note);
		if (run->settings->checkpoint && seconds_now() - run->saved >= run->settings->every)
			save(run);
	}
	progress_end(&progress);
}

static void validate(const struct run *run, double *ndcg, double *recall)
{
	int64_t rows = run->valid.rows;
	int32_t *greater = xcalloc((size_t)rows, sizeof *greater), *equal = xcalloc((size_t)rows, sizeof *equal);
	struct histories histories = packed_histories(&run->valid);
	if (rank_targets(run->model, &histories, run->valid.target, !run->settings->keep_seen, greater, equal) >= 0)
		die("scores of validation are not finite after epoch %lld", (long long)run->epoch + 1);
	struct measures measures = measures_parse("ndcg@10,recall@10", NULL, 0);
	*ndcg = *recall = 0;
	for (int64_t row = 0; row < rows; row++) {
		*ndcg += measure_value(&measures.at[0], greater[row], equal[row], TIES_AVERAGE) / (double)rows;
		*recall += measure_value(&measures.at[1], greater[row], equal[row], TIES_AVERAGE) / (double)rows;
	}
	measures_free(&measures);
	free(greater);
	free(equal);
}

/* Without validation targets the latest epoch is the best. */
static void end_epoch(struct run *run, double seconds)
{
	double *point = run->curve + run->epoch * CURVE_WIDTH;
	point[CURVE_LOSS] = run->loss / (double)run->positions;
	validate(run, &point[CURVE_NDCG], &point[CURVE_RECALL]);
	bool better = !run->best_epoch || !run->valid.rows ||
	              point[CURVE_NDCG] > run->curve[(run->best_epoch - 1) * CURVE_WIDTH + CURVE_NDCG];
	run->epoch++;
	run->batch = 0;
	run->loss = 0;
	run->positions = 0;
	if (better) {
		run->best_epoch = run->epoch;
		memcpy(run->best, run->model->params.value, (size_t)run->model->params.size * sizeof *run->best);
	}
	notice(run->cli, "epoch %3lld  loss %.4f  valid NDCG@10 %.4f  Recall@10 %.4f  %s  %.1f s", (long long)run->epoch,
	       point[CURVE_LOSS], point[CURVE_NDCG], point[CURVE_RECALL], better ? "best" : "    ", seconds);
	if (run->settings->checkpoint)
		save(run);
}

static void train(struct run *run)
{
	struct packed packed = {0};
	int64_t longest = 0;
	for (int64_t i = 0; i < run->set.count; i++)
		longest = run->set.examples[i].length > longest ? run->set.examples[i].length : longest;
	packed.indptr = xcalloc((size_t)run->settings->batch_size + 1, sizeof *packed.indptr);
	packed.item = xcalloc((size_t)(run->settings->batch_size * longest), sizeof *packed.item);
	packed.target = xcalloc((size_t)(run->settings->batch_size * longest), sizeof *packed.target);
	while (run->epoch < run->settings->epochs && run->epoch - run->best_epoch < run->settings->patience) {
		double started = seconds_now();
		train_epoch(run, &packed);
		end_epoch(run, seconds_now() - started);
	}
	memcpy(run->model->params.value, run->best, (size_t)run->model->params.size * sizeof *run->best);
	packed_free(&packed);
}

/* The validation curve as a row of blocks, for people. */
static void show_curve(const struct run *run)
{
	static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	double high = run->curve[(run->best_epoch - 1) * CURVE_WIDTH + CURVE_NDCG];
	int64_t columns = run->epoch < 60 ? run->epoch : 60;
	struct buffer line = {0};
	for (int64_t column = 0; column < columns && high > 0; column++) {
		double value = run->curve[column * run->epoch / columns * CURVE_WIDTH + CURVE_NDCG] / high;
		buffer_append(&line, blocks[(int)(value * 7.999 < 7 ? value * 7.999 : 7)], strlen("▁"));
	}
	buffer_append(&line, "", 1);
	notice(run->cli, "%s  best epoch %lld of %lld: valid NDCG@10 %.4f", line.data, (long long)run->best_epoch,
	       (long long)run->epoch, high);
	buffer_free(&line);
}

static json_t *curve_json(const struct run *run)
{
	json_t *curve = json_array();
	for (int64_t epoch = 0; epoch < run->epoch; epoch++) {
		const double *point = run->curve + epoch * CURVE_WIDTH;
		json_array_append_new(curve, json_pack("{s:I, s:f, s:f, s:f}", "epoch", (json_int_t)epoch + 1, "loss",
		                                       point[CURVE_LOSS], "ndcg@10", point[CURVE_NDCG], "recall@10",
		                                       point[CURVE_RECALL]));
	}
	return json_pack("{s:I, s:o}", "best_epoch", (json_int_t)run->best_epoch, "curve", curve);
}

/* Short histories overfit: measured on validation, they want more dropout than long ones. */
static void choose_dropout(json_t *config, const struct sequences *sequences)
{
	int64_t events = 0;
	for (int64_t user = 0; user < sequences->n_users; user++)
		events += train_length(sequences, user);
	if (!json_object_get(config, "dropout"))
		json_object_set_new(config, "dropout", json_real(events < 20 * sequences->n_users ? 0.5 : 0.2));
}

/* Two trainings with the same id give the same bytes. */
static uint64_t training_id(const struct settings *settings, const struct cli *cli, const struct model *model,
                            const struct sequences *sequences)
{
	const struct training_options *options = &settings->training;
	char *config = json_text(model->config);
	char *rest = xasprintf("%s %s seed %llu threads %d loss %d %lld %.17g adamw %.17g %.17g %.17g clip %.17g schedule %d "
	                       "%lld epochs %lld batch %lld patience %lld valid %lld %d", RECPIPE_VERSION, sequences->id,
	                       (unsigned long long)cli->seed, cli->threads, (int)options->loss, (long long)options->negatives,
	                       options->gbce_t, options->adamw.rate, options->adamw.beta2, options->adamw.weight_decay,
	                       options->clip, (int)options->schedule, (long long)options->warmup, (long long)settings->epochs,
	                       (long long)settings->batch_size, (long long)settings->patience, (long long)settings->valid_users,
	                       settings->keep_seen);
	uint64_t id = fingerprint(FINGERPRINT_START, config, strlen(config));
	id = fingerprint(id, rest, strlen(rest));
	free(config);
	free(rest);
	return id;
}

/* Gradient training from beginning, or checkpoint, to early stop; what was measured. */
static json_t *train_by_gradients(const struct cli *cli, struct settings *settings, struct model *model,
                                  const struct sequences *sequences, uint64_t id)
{
	struct run run = {.cli = cli, .settings = settings, .model = model, .events = sequences->item, .id = id};
	run.set = training_set_of(sequences, model_max_length(model));
	run.valid = validation_set(sequences, settings->valid_users);
	if (!run.valid.rows)
		warn("no user has a validation item: training goes on for all %lld epochs", (long long)settings->epochs);
	run.n_batches = (run.set.count + settings->batch_size - 1) / settings->batch_size;
	settings->training.total = settings->epochs * run.n_batches;
	rng_seed(&run.rng, cli->seed);
	model->architecture->initialise(model, &run.rng);
	run.trainer = trainer_new(model, &settings->training, cli->threads);
	run.order = xreallocarray(NULL, (size_t)run.set.count, sizeof *run.order);
	run.curve = xcalloc((size_t)settings->epochs * CURVE_WIDTH, sizeof *run.curve);
	run.best = xaligned((size_t)model->params.size, sizeof *run.best);
	run.saved = seconds_now();
	notice(cli, "%s: %lld parameters, %lld users, %lld positions, %lld items, validated on %lld users",
	       model->architecture->name, (long long)model->params.size, (long long)run.set.count, (long long)run.set.positions,
	       (long long)model->n_items, (long long)run.valid.rows);
	if (settings->resume)
		load(&run);
	train(&run);
	show_curve(&run);
	json_t *measured = curve_json(&run);
	trainer_free(run.trainer);
	packed_free(&run.valid);
	free(run.set.examples);
	free(run.order);
	free(run.curve);
	free(run.best);
	return measured;
}

static json_t *train_by_counting(struct model *model, const struct sequences *sequences)
{
	struct packed packed = all_training(sequences);
	struct histories histories = packed_histories(&packed);
	model->architecture->count(model, &histories);
	json_t *measured = json_pack("{s:I}", "events", (json_int_t)packed.indptr[packed.rows]);
	packed_free(&packed);
	return measured;
}

int main(int argc, char **argv)
{
	blas_init(argv);
	struct cli cli;
	struct settings settings;
	parse(argc, argv, &cli, &settings);

	struct catalog catalog = {0};
	struct sequences sequences = {0};
	struct bag *bag = bag_open(&cli);
	struct bag_out *out = bag_create(&cli);
	bag_want(bag, "catalog");
	bag_want(bag, "sequences");
	bag_drop(bag, "model");
	bag_drop(bag, "ranking");
	bag_pass_to(bag, out);
	struct piece piece;
	while (bag_next(bag, &piece))
		if (!catalog_take(&catalog, &piece))
			sequences_take(&sequences, &piece);
	bag_close(bag);
	sequences_check(&sequences, &catalog);

	choose_dropout(settings.config, &sequences);
	struct model *model = model_new(json_incref(settings.config), catalog.n_items, catalog.fingerprint, "options");
	uint64_t id = training_id(&settings, &cli, model, &sequences);
	json_t *measured = model->architecture->count ? train_by_counting(model, &sequences)
	                                              : train_by_gradients(&cli, &settings, model, &sequences, id);
	model_write(out, model, id, NULL);
	json_t *history = cli_history(&cli);
	json_object_update_new(history, measured);
	json_object_set_new(history, "parameters", json_integer(model->params.size));
	json_object_set_new(history, "blas", json_string(blas_name()));
	bag_finish(out, history);
	model_free(model);
	sequences_free(&sequences);
	catalog_free(&catalog);
	json_decref(settings.config);
	return cli_done(&cli);
}
