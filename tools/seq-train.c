/*
 * seq-train: sequences in, the same and a model that recommends the next item out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/tables.h"
#include "model/items.h"
#include "model/language.h"
#include "model/next_item.h"
#include "nn/blas.h"
#include "stream/cli.h"

/* --- options --- */

enum { KEY_ARCH = 0x2000, KEY_LOSS, KEY_NEGATIVES, KEY_GBCE_T, KEY_RATE, KEY_DECAY, KEY_BETA2, KEY_CLIP, KEY_SCHEDULE,
       KEY_WARMUP, KEY_EPOCHS, KEY_BATCH, KEY_PATIENCE, KEY_VALID_USERS, KEY_SEEN, KEY_CHECKPOINT, KEY_EVERY, KEY_RESUME,
       KEY_TEMPLATE, KEY_MAX_TOKENS, KEY_MODEL = 0x3000 };

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
	{"features", "HOW", "features", "Items by their embedding: frozen (default where the stream has one), trainable, or none", WORD},
	{"adaptor", "NAME", "adaptor", "From the embedding's width to the model's: linear (default), two-layer, or mlp", WORD},
	{"adaptor-size", "N", "adaptor_size", "Width between two layers of the adaptor (default half the embedding's)", WHOLE},
	{"feature-ids", "yes|no", "feature_ids", "Add a learned vector for each item to what the adaptor gives (default no)", YES_NO},
	{"score", "HOW", "score", "dot (default) or cosine", WORD},
	{"temperature", "T", "temperature", "What cosines are divided by (default 0.05)", REAL},
	{"steps", "N", "steps", "markov: how far back (default 3)", WHOLE},
};

static const char *const part_of_seen[] = {"remove", "keep", NULL};

struct settings {
	json_t *config;
	struct next_item_options next_item;
	const char *template;
	int64_t max_tokens;
	struct optimisation optimisation;
	struct run_options run;
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
	struct optimisation *optimisation = &settings->optimisation;
	struct loss_options *loss = &settings->next_item.loss;
	struct run_options *run = &settings->run;
	if (key >= KEY_MODEL && key < KEY_MODEL + (int)COUNT_OF(model_options)) {
		set_model_option(settings, key - KEY_MODEL, value);
		return 0;
	}
	switch (key) {
	case KEY_ARCH:
		option_choice("--arch", value, architecture_names);
		json_object_set_new(settings->config, "architecture", json_string(value));
		break;
	case KEY_LOSS: loss->loss = (enum loss)option_choice("--loss", value, loss_names); break;
	case KEY_NEGATIVES: loss->negatives = option_int("--negatives", value, 1, 1 << 20); break;
	case KEY_GBCE_T: loss->gbce_t = option_float("--gbce-t", value, 0, 1); break;
	case KEY_RATE: optimisation->adamw.rate = option_float("--learning-rate", value, 0, 10); break;
	case KEY_DECAY: optimisation->adamw.weight_decay = option_float("--weight-decay", value, 0, 10); break;
	case KEY_BETA2: optimisation->adamw.beta2 = option_float("--beta2", value, 0, 1); break;
	case KEY_CLIP: optimisation->clip = option_float("--clip", value, 0, 1e9); break;
	case KEY_SCHEDULE: optimisation->schedule = (enum schedule)option_choice("--schedule", value, schedule_names); break;
	case KEY_WARMUP: optimisation->warmup = option_int("--warmup", value, 0, INT32_MAX); break;
	case KEY_EPOCHS: run->epochs = option_int("--epochs", value, 1, 1000000); break;
	case KEY_BATCH: run->batch_size = option_int("--batch-size", value, 1, 1 << 20); break;
	case KEY_PATIENCE: run->patience = option_int("--patience", value, 1, 1000000); break;
	case KEY_VALID_USERS: settings->next_item.valid_users = option_int("--valid-users", value, 1, INT32_MAX); break;
	case KEY_SEEN: settings->next_item.keep_seen = option_choice("--seen", value, part_of_seen) == 1; break;
	case KEY_CHECKPOINT: run->checkpoint = value; break;
	case KEY_EVERY: run->every = option_float("--checkpoint-every", value, 0, 1e9); break;
	case KEY_RESUME: run->resume = true; break;
	case KEY_TEMPLATE: settings->template = value; break;
	case KEY_MAX_TOKENS: settings->max_tokens = option_int("--max-tokens", value, 1, 4096); break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_option training_options[] = {
	{"arch", KEY_ARCH, "NAME", 0, "Architecture: sasrec (default), gru; popular and markov are counted, not trained; llama, gpt2: a language model of the items' texts", 1},
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
	{"template", KEY_TEMPLATE, "TEXT", 0, "llama, gpt2: an item's text, with attributes in braces (default: all attributes by name)", 2},
	{"max-tokens", KEY_MAX_TOKENS, "N", 0, "llama, gpt2: cut texts to N tokens (default 32)", 2},
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
	*settings = (struct settings){
		.config = json_object(),
		.next_item = {.loss = {.gbce_t = 0.75}, .valid_users = INT32_MAX},
		.max_tokens = 32,
		.optimisation = {.adamw = ADAMW_DEFAULTS},
		.run = {.epochs = 200, .batch_size = 128, .patience = 10, .every = 60},
	};
	json_object_set_new(settings->config, "architecture", json_string("sasrec"));
	cli_parse(&tool, argc, argv, cli, settings);
	if (settings->run.resume && !settings->run.checkpoint)
		die_usage("--resume needs --checkpoint FILE");
	static const int64_t negatives[] = {[LOSS_CE] = 0, [LOSS_SAMPLED] = 3000, [LOSS_BCE] = 1, [LOSS_GBCE] = 256};
	if (!settings->next_item.loss.negatives)
		settings->next_item.loss.negatives = negatives[settings->next_item.loss.loss];
}

/* --- load --- */

struct inputs {
	struct catalog catalog;
	struct sequences sequences;
	struct embedding embedding;
	struct tokenizer *tokenizer;
};

static void load(const struct cli *cli, const struct architecture *architecture, struct bag_out *out, struct inputs *inputs)
{
	struct bag *bag = bag_open(cli);
	bag_want(bag, "catalog");
	bag_want(bag, "sequences");
	bag_want(bag, "embedding");
	bag_want(bag, "tokenizer");
	bag_drop(bag, "model");
	bag_drop(bag, "ranking");
	bag_pass_to(bag, out);
	struct piece piece;
	while (bag_next(bag, &piece))
		if (!catalog_take(&inputs->catalog, &piece) && !sequences_take(&inputs->sequences, &piece) &&
		    !tokenizer_take(&inputs->tokenizer, &piece))
			embedding_take(&inputs->embedding, &piece);
	bag_close(bag);
	if (architecture->reads_tokens && (!inputs->catalog.indptr || !inputs->tokenizer))
		die("%s: the stream has no items with text; seq-tokenize --items gives them one", architecture->name);
	if (!architecture->reads_tokens)
		sequences_check(&inputs->sequences, &inputs->catalog);
	if (inputs->embedding.complete)
		embedding_check(&inputs->embedding, &inputs->catalog);
}

static void free_inputs(struct inputs *inputs)
{
	sequences_free(&inputs->sequences);
	embedding_free(&inputs->embedding);
	tokenizer_free(inputs->tokenizer);
	catalog_free(&inputs->catalog);
}

/* --- the model --- */

/* Short histories overfit: measured on validation, they want more dropout than long ones. */
static void choose_dropout(json_t *config, const struct sequences *sequences)
{
	int64_t events = 0;
	for (int64_t user = 0; user < sequences->n_users; user++)
		events += train_length(sequences, user);
	if (!json_object_get(config, "dropout"))
		json_object_set_new(config, "dropout", json_real(events < 20 * sequences->n_users ? 0.5 : 0.2));
}

/* Item features are used where the stream has them, unless told otherwise. */
static void choose_features(json_t *config, const struct embedding *embedding)
{
	const char *features = json_string_value(json_object_get(config, "features"));
	if (!features && embedding->complete)
		json_object_set_new(config, "features", json_string(features = "frozen"));
	if (!features || !strcmp(features, "none"))
		return;
	if (!embedding->complete)
		die("--features %s: no embedding in the stream; item-project adds one", features);
	json_object_set_new(config, "feature_size", json_integer(embedding->width));
}

static struct model *new_model(const struct architecture *architecture, struct settings *settings,
                               const struct inputs *inputs)
{
	if (architecture->reads_tokens) {
		char tokenizer[17];
		fingerprint_text(tokenizer_fingerprint(inputs->tokenizer), tokenizer);
		return model_new(json_incref(settings->config), tokenizer_vocab_size(inputs->tokenizer), tokenizer, "options");
	}
	choose_dropout(settings->config, &inputs->sequences);
	choose_features(settings->config, &inputs->embedding);
	return model_new(json_incref(settings->config), inputs->catalog.n_items, inputs->catalog.fingerprint, "options");
}

/* Two trainings with the same id give the same bytes. */
static uint64_t training_id(const struct settings *settings, const struct cli *cli, const struct model *model,
                            const struct inputs *inputs)
{
	const struct loss_options *loss = &settings->next_item.loss;
	const struct optimisation *optimisation = &settings->optimisation;
	const struct run_options *run = &settings->run;
	char *config = json_text(model->config);
	char *rest = xasprintf("%s %s %s seed %llu threads %d loss %d %lld %.17g adamw %.17g %.17g %.17g clip %.17g schedule %d "
	                       "%lld epochs %lld batch %lld patience %lld valid %lld %d catalog %s %s tokens %lld template %s",
	                       RECPIPE_VERSION, inputs->sequences.id, items_feature_size(model) ? inputs->embedding.id : "-",
	                       (unsigned long long)cli->seed, cli->threads, (int)loss->loss, (long long)loss->negatives,
	                       loss->gbce_t, optimisation->adamw.rate, optimisation->adamw.beta2,
	                       optimisation->adamw.weight_decay, optimisation->clip, (int)optimisation->schedule,
	                       (long long)optimisation->warmup, (long long)run->epochs, (long long)run->batch_size,
	                       (long long)run->patience, (long long)settings->next_item.valid_users,
	                       settings->next_item.keep_seen, inputs->catalog.fingerprint, model->belongs_to,
	                       (long long)settings->max_tokens, settings->template ? settings->template : "-");
	uint64_t id = fingerprint(FINGERPRINT_START, config, strlen(config));
	id = fingerprint(id, rest, strlen(rest));
	free(config);
	free(rest);
	return id;
}

/* --- compute --- */

static struct task *sequence_task(const struct cli *cli, const struct settings *settings, struct model *model,
                                  const struct inputs *inputs)
{
	struct task *task = next_item_task(model, &inputs->sequences, &settings->next_item, cli->threads);
	int64_t users, positions, validated;
	next_item_counts(task, &users, &positions, &validated);
	notice(cli, "%s: %lld parameters, %lld users, %lld positions, %lld items%s, validated on %lld users",
	       model->architecture->name, (long long)model->params.trainable, (long long)users, (long long)positions,
	       (long long)model->n_items, items_feature_size(model) ? " with features" : "", (long long)validated);
	if (!validated)
		warn("no user has a validation item: training goes on for all %lld epochs", (long long)settings->run.epochs);
	return task;
}

static struct task *text_task(const struct cli *cli, const struct settings *settings, struct model *model,
                              const struct inputs *inputs)
{
	struct item_texts *texts = item_texts_new(&inputs->catalog, inputs->tokenizer, settings->template);
	struct item_tokens tokens = item_texts_encode(texts, inputs->tokenizer, settings->max_tokens, false, cli->threads);
	struct task *task = language_task(model, &tokens, text_ends_of(inputs->tokenizer, "tokenizer"), cli->threads);
	notice(cli, "%s: %lld parameters, vocabulary of %lld, %lld texts", model->architecture->name,
	       (long long)model->params.trainable, (long long)model->n_items, (long long)task->examples);
	item_tokens_free(&tokens);
	item_texts_free(texts);
	return task;
}

/* Gradient training from beginning, or checkpoint, to early stop; what was measured. */
static json_t *train_by_gradients(const struct cli *cli, const struct settings *settings, struct model *model,
                                  const struct inputs *inputs)
{
	if (items_feature_size(model))
		items_set_features(model, inputs->embedding.vector);
	struct rng rng;
	rng_seed(&rng, cli->seed);
	model_initialise(model, &rng);
	struct trainer *trainer = trainer_new(&model->params, &settings->optimisation, cli->threads);
	struct task *task = (model->architecture->reads_tokens ? text_task : sequence_task)(cli, settings, model, inputs);
	json_t *measured = run(task, trainer, &settings->run, &rng, cli);
	task->free(task);
	trainer_free(trainer);
	return measured;
}

int main(int argc, char **argv)
{
	blas_init(argv);
	struct cli cli;
	struct settings settings;
	parse(argc, argv, &cli, &settings);

	const struct architecture *architecture =
		architecture_named(json_string_value(json_object_get(settings.config, "architecture")));
	struct inputs inputs = {0};
	struct bag_out *out = bag_create(&cli);
	load(&cli, architecture, out, &inputs);
	struct model *model = new_model(architecture, &settings, &inputs);
	settings.run.id = training_id(&settings, &cli, model, &inputs);
	json_t *measured = architecture->count
		? json_pack("{s:I}", "events", (json_int_t)next_item_count(model, &inputs.sequences))
		: train_by_gradients(&cli, &settings, model, &inputs);
	model_write(out, model, settings.run.id);
	json_t *history = cli_history(&cli);
	json_object_update_new(history, measured);
	json_object_set_new(history, "parameters", json_integer(model->params.size));
	json_object_set_new(history, "blas", json_string(blas_name()));
	bag_finish(out, history);
	model_free(model);
	free_inputs(&inputs);
	json_decref(settings.config);
	return cli_done(&cli);
}
