/*
 * seq-train: sequences in, the same and a model that recommends the next item out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/embedding.h"
#include "data/sequences.h"
#include "data/tokenizer_group.h"
#include "model/encoder.h"
#include "model/item_vectors.h"
#include "model/items.h"
#include "model/model_group.h"
#include "model/recformer_start.h"
#include "nn/blas.h"
#include "nn/matrix.h"
#include "stream/cli.h"
#include "stream/process.h"
#include "stream/ranks.h"
#include "stream/version.h"
#include "task/finetune.h"
#include "task/language.h"
#include "task/next_item.h"
#include "task/pretrain.h"

/* --- options --- */

enum {
	KEY_ARCH = 0x2000,
	KEY_LOSS,
	KEY_NEGATIVES,
	KEY_GBCE_T,
	KEY_RATE,
	KEY_DECAY,
	KEY_BETA2,
	KEY_CLIP,
	KEY_SCHEDULE,
	KEY_WARMUP,
	KEY_VALID_USERS,
	KEY_SEEN,
	KEY_TEMPLATE,
	KEY_MAX_TOKENS,
	KEY_TASK,
	KEY_SIZE,
	KEY_WEIGHTS,
	KEY_FREEZE_WORDS,
	KEY_ACCUMULATE,
	KEY_AS_CODE,
	KEY_WORDS_WEIGHT,
	KEY_MASK_RATE,
	KEY_WORDS,
	KEY_START,
	KEY_MODEL = 0x3000
}; /* and those of run_option() between */

/* Trainings, as a set: what an option is for. */
enum {
	SASREC = 1,
	GRU = 2,
	POPULAR = 4,
	MARKOV = 8,
	LANGUAGE = 16,
	PRETRAIN = 32,
	FINETUNE = 64,
	ENCODER = PRETRAIN | FINETUNE,
	TEXTS = LANGUAGE | ENCODER,
	ITEMS = SASREC | GRU,
	GRADIENTS = ITEMS | TEXTS
};

/* Options that go into the model's config.json as they are. */
static const struct {
	const char *option, *value, *config, *help;
	enum { WORD, WHOLE, SHARE, REAL, YES_NO } kind;
	int trainings;
} model_options[] = {
	{"hidden-size", "N", "hidden_size", "Width of the model (default 64)", WHOLE, GRADIENTS},
	{"layers", "N", "num_hidden_layers", "Blocks, or layers of the GRU (default 2; gru 1)", WHOLE, GRADIENTS},
	{"heads", "N", "num_attention_heads", "Attention heads (default 2)", WHOLE, SASREC | TEXTS},
	{"intermediate-size", "N", "intermediate_size", "Width inside the feed-forward part (default as --hidden-size)",
		WHOLE, SASREC | TEXTS},
	{"activation", "NAME", "hidden_act", "relu (default) or gelu (the erf form)", WORD, SASREC},
	{"norm", "WHERE", "norm", "Layer norm: pre (default), post, or original (the authors' code)", WORD, SASREC},
	{"input-norm", "yes|no", "input_norm", "Layer norm on the embedded input (default no)", YES_NO, SASREC},
	{"positions", "FROM", "positions", "Positions counted from start (default), from end, or none", WORD, SASREC},
	{"scale-embedding", "yes|no", "scale_embedding", "Multiply item vectors by sqrt(width) at the input (default yes)",
		YES_NO, SASREC},
	{"max-length", "N", "max_length", "Latest items of a history that are looked at (default 200)", WHOLE, ITEMS},
	{"dropout", "P", "dropout",
		"Dropout where it is not set by the next ones (default 0.2; where users have less than 20 training events 0.5, with features 0.3)",
		SHARE, ITEMS | ENCODER},
	{"embedding-dropout", "P", "embedding_dropout", "Dropout of the embedded input", SHARE, ITEMS},
	{"hidden-dropout", "P", "hidden_dropout", "Dropout behind the feed-forward part", SHARE, SASREC | ENCODER},
	{"attention-dropout", "P", "attention_dropout", "Dropout of attention probabilities", SHARE, SASREC | ENCODER},
	{"attention-output-dropout", "P", "attention_output_dropout", "Dropout behind the attention (default 0)", SHARE,
		SASREC},
	{"activation-dropout", "P", "activation_dropout", "Dropout inside the feed-forward part", SHARE, SASREC},
	{"initialiser", "NAME", "initialiser",
		"normal (deviation 0.02), xavier, for gru uniform, for recformer words: vectors of texts start as the mean of their words",
		WORD, ITEMS | ENCODER},
	{"tied", "yes|no", "tied", "Score with the input's item vectors (default yes), or with a table of their own",
		YES_NO, ITEMS},
	{"dense-size", "N", "dense_size", "gru: width of a dense layer behind it (default 0: none)", WHOLE, GRU},
	{"embedding-size", "N", "embedding_size", "gru: width of the item vectors", WHOLE, GRU},
	{"bias", "yes|no", "bias", "gru: biases (default yes)", YES_NO, GRU},
	{"features", "HOW", "features",
		"Items by their embedding: frozen (default where the stream has one), trainable, or none", WORD, ITEMS},
	{"adaptor", "NAME", "adaptor", "From the embedding's width to the model's: linear (default), two-layer, or mlp",
		WORD, ITEMS},
	{"adaptor-size", "N", "adaptor_size", "Width between two layers of the adaptor (default half the embedding's)",
		WHOLE, ITEMS},
	{"feature-ids", "yes|no", "feature_ids",
		"Add a learned vector for each item to what the adaptor gives (default yes with frozen features)", YES_NO,
		ITEMS},
	{"feature-whiten", "yes|no", "feature_whiten", "Features with mean 0, variance 1 and no correlations (default yes)",
		YES_NO, ITEMS},
	{"feature-scale", "R", "feature_scale",
		"Root mean square that features are brought to (default 0.3, gru 1; 0: as they are)", REAL, ITEMS},
	{"score", "HOW", "score", "dot (default) or cosine", WORD, ITEMS},
	{"temperature", "T", "temperature", "What cosines are divided by (default 0.05)", REAL, ITEMS | ENCODER},
	{"steps", "N", "steps", "markov: how far back (default 3)", WHOLE, MARKOV},
	{"window", "N", "attention_window", "recformer: tokens that a token sees, half to each side (default 64)", WHOLE,
		ENCODER},
	{"max-items", "N", "max_items", "recformer: latest items of a history (default 50)", WHOLE, ENCODER},
	{"max-attributes", "N", "max_attr_num", "recformer: attributes of an item (default 3)", WHOLE, ENCODER},
	{"attribute-tokens", "N", "max_attr_length", "recformer: tokens of an attribute, its name included (default 32)",
		WHOLE, ENCODER},
	{"tied-words", "yes|no", "tie_word_embeddings",
		"recformer: masked words are told by the input's word vectors (default no)", YES_NO, ENCODER},
};

static const char *const part_of_seen[] = {"remove", "keep", NULL};
enum { TASK_NEXT, TASK_PRETRAIN, TASK_FINETUNE };
static const char *const task_names[] = {"next", "pretrain", "finetune", NULL};

/* Of text encoders. */
struct encoder_settings {
	int size; /* in recformer_sizes; -1: not given */
	const char *model, *weights, *words;
	bool frozen_words, as_code;
	int64_t accumulate;
	double words_weight, mask_rate;
};

struct settings {
	bool given[KEY_MODEL - KEY_ARCH + COUNT_OF(model_options)]; /* by key, from KEY_ARCH */
	json_t *config;
	int task; /* in task_names */
	struct encoder_settings encoder;
	struct next_item_options next_item;
	const char *template;
	int64_t max_tokens;
	struct optimisation optimisation;
	bool has_schedule;
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
	case SHARE: number = json_real(option_float(option, value, 0, 0.99)); break;
	case REAL: number = json_real(option_float(option, value, 0, 1e6)); break;
	case YES_NO: number = json_boolean(yes_or_no(option, value)); break;
	}
	json_set(settings->config, model_options[i].config, number);
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct settings *settings = state->input;
	struct optimisation *optimisation = &settings->optimisation;
	struct loss_options *loss = &settings->next_item.loss;
	if (key >= KEY_ARCH && key < KEY_ARCH + (int)COUNT_OF(settings->given))
		settings->given[key - KEY_ARCH] = true;
	if (key >= KEY_MODEL && key < KEY_MODEL + (int)COUNT_OF(model_options)) {
		set_model_option(settings, key - KEY_MODEL, value);
		return 0;
	}
	switch (key) {
	case KEY_ARCH:
		option_choice("--arch", value, architecture_names);
		json_set(settings->config, "architecture", json_string(value));
		break;
	case KEY_LOSS: loss->loss = (enum loss)option_choice("--loss", value, loss_names); break;
	case KEY_NEGATIVES: loss->negatives = option_int("--negatives", value, 1, 1 << 20); break;
	case KEY_GBCE_T: loss->gbce_t = option_float("--gbce-t", value, 0, 1); break;
	case KEY_RATE: optimisation->adamw.rate = option_float("--learning-rate", value, 0, 10); break;
	case KEY_DECAY: optimisation->adamw.weight_decay = option_float("--weight-decay", value, 0, 10); break;
	case KEY_BETA2: optimisation->adamw.beta2 = option_float("--beta2", value, 0, 1); break;
	case KEY_CLIP: optimisation->clip = option_float("--clip", value, 0, 1e9); break;
	case KEY_SCHEDULE:
		optimisation->schedule = (enum schedule)option_choice("--schedule", value, schedule_names);
		settings->has_schedule = true;
		break;
	case KEY_WARMUP: optimisation->warmup = option_int("--warmup", value, 0, INT32_MAX); break;
	case KEY_VALID_USERS: settings->next_item.valid_users = option_int("--valid-users", value, 1, INT32_MAX); break;
	case KEY_SEEN: settings->next_item.keep_seen = option_choice("--seen", value, part_of_seen) == 1; break;
	case KEY_TEMPLATE: settings->template = value; break;
	case KEY_MAX_TOKENS: settings->max_tokens = option_int("--max-tokens", value, 1, 1 << 16); break;
	case KEY_TASK: settings->task = option_choice("--task", value, task_names); break;
	case KEY_SIZE: settings->encoder.size = option_choice("--size", value, recformer_sizes); break;
	case KEY_START: settings->encoder.model = value; break;
	case KEY_WEIGHTS: settings->encoder.weights = value; break;
	case KEY_FREEZE_WORDS: settings->encoder.frozen_words = true; break;
	case KEY_ACCUMULATE: settings->encoder.accumulate = option_int("--accumulate", value, 1, 1 << 16); break;
	case KEY_AS_CODE: settings->encoder.as_code = true; break;
	case KEY_WORDS: settings->encoder.words = value; break;
	case KEY_MASK_RATE: settings->encoder.mask_rate = option_float("--mask-rate", value, 0, 1); break;
	case KEY_WORDS_WEIGHT: settings->encoder.words_weight = option_float("--words-weight", value, 0, 1e6); break;
	default: return run_option(key, value, &settings->run);
	}
	return 0;
}

static const struct argp_option training_options[] = {
	{"arch", KEY_ARCH, "NAME", 0,
		"Architecture: sasrec (default), gru; popular and markov are counted, not trained; llama, gpt2: a language model of the items' texts; recformer: see --task",
		1},
	{"task", KEY_TASK, "NAME", 0,
		"recformer: pretrain (masked words, and histories with the items that follow), or finetune (a model in the stream, in two stages)",
		1},
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
	{"epochs", RUN_EPOCHS, "N", 0, "At most this many (default 200)", 2},
	{"batch-size", RUN_BATCH_SIZE, "USERS", 0, "Users of a step (default 128)", 2},
	{"patience", RUN_PATIENCE, "N", 0, "Stop after N epochs without a better validation NDCG@10 (default 10)", 2},
	{"valid-users", KEY_VALID_USERS, "N", 0, "Validate on the first N users (default all; pretrain 4096)", 2},
	{"seen", KEY_SEEN, "keep|remove", 0, "Items of the history in validation rankings (default remove)", 2},
	RUN_OPTIONS(2),
	{"template", KEY_TEMPLATE, "TEXT", 0,
		"llama, gpt2: an item's text, with attributes in braces (default: all attributes by name)", 2},
	{"max-tokens", KEY_MAX_TOKENS, "N", 0,
		"Cut texts to N tokens (default: llama, gpt2 32; recformer's histories 1024)", 2},
	{"accumulate", KEY_ACCUMULATE, "N", 0, "pretrain: N batches to a step, each compared within itself (default 1)", 2},
	{"words-weight", KEY_WORDS_WEIGHT, "W", 0,
		"pretrain: of the masked words beside the contrast (default 0.1; 0: no words are masked)", 2},
	{"mask-rate", KEY_MASK_RATE, "R", 0, "pretrain: share of the tokens that is masked (default 0.15)", 2},
	{"as-code", KEY_AS_CODE, NULL, 0, "finetune: where Recformer's paper and public code differ, as the code", 2},
	{NULL, 0, NULL, 0, "Model:", 3},
	{"size", KEY_SIZE, "NAME", 0,
		"recformer, new: tiny (2 layers of 64), small (4 of 128, default), base (12 of 768, the paper's)", 3},
	{"model", KEY_START, "STREAM", 0, "recformer: start from the model of this stream", 3},
	{"weights", KEY_WEIGHTS, "FOLDER", 0,
		"recformer: start from a published Longformer or Recformer, in Hugging Face's layout", 3},
	{"words", KEY_WORDS, "LLM", 0,
		"recformer, new: word vectors from a language model's, GGUF or Hugging Face's folder", 3},
	{"freeze-words", KEY_FREEZE_WORDS, NULL, 0, "recformer: word vectors stay as they are", 3},
};

static const char *const summary =
	"Train a model of what comes next in a user's sequence, and add it to the stream. Early stop on the validation item's "
	"NDCG@10 over the whole catalog; the test item is never looked at.";

static const char
	*const examples = "  seq-tokenize events.csv | seq-train | seq-rank | rec-eval\n"
					  "  seq-train --arch gru -o gru.tar.zst sequences.tar.zst\n"
					  "  seq-train --loss gbce --checkpoint run.ckpt --resume -o model.tar.zst sequences.tar.zst\n"
					  "  seq-train --arch markov sequences.tar.zst | seq-rank | rec-eval\n"
					  "  seq-train --arch recformer --task pretrain domains.tar.zst -o recformer.tar.zst\n"
					  "  seq-tokenize --tokenizer recformer.tar.zst --items items.csv events.csv |\n"
					  "    seq-train --task finetune recformer.tar.zst - | seq-rank | rec-eval";

/* What options leave open depends on the task. */
static void set_defaults(struct settings *settings)
{
	static const struct {
		int64_t epochs, batch_size, patience, warmup;
		enum schedule schedule;
		double clip;
	} defaults[] = {
		[TASK_NEXT] = {200, 128, 10, 0, SCHEDULE_CONSTANT, 0},
		[TASK_PRETRAIN] = {32, 64, 5, 100, SCHEDULE_LINEAR, 1},
		[TASK_FINETUNE] = {32, 128, 5, 100, SCHEDULE_LINEAR, 0},
	};
	struct run_options *run = &settings->run;
	struct optimisation *optimisation = &settings->optimisation;
	const int task = settings->task;
	run->epochs = run->epochs < 0 ? defaults[task].epochs : run->epochs;
	run->batch_size = run->batch_size ? run->batch_size : defaults[task].batch_size;
	run->patience = run->patience ? run->patience : defaults[task].patience;
	optimisation->warmup = optimisation->warmup < 0 ? defaults[task].warmup : optimisation->warmup;
	optimisation->clip = optimisation->clip < 0 ? defaults[task].clip : optimisation->clip;
	if (!settings->has_schedule)
		optimisation->schedule = defaults[task].schedule;
	if (optimisation->adamw.rate < 0 && task == TASK_NEXT)
		optimisation->adamw.rate = 1e-3;
}

/* --- options under the names of published configs --- */

/* From names[i][0] to names[i][1], of which later ones win. */
static void rename_keys(json_t *config, const char *const names[][2], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (json_object_get(config, names[i][0]))
			json_object_set(config, names[i][1], json_object_get(config, names[i][0]));
	for (size_t i = 0; i < n; i++)
		json_object_del(config, names[i][0]);
}

static json_t *encoder_config(const struct settings *settings)
{
	static const char *const names[][2] = {{"dropout", "hidden_dropout_prob"},
		{"dropout", "attention_probs_dropout_prob"}, {"hidden_dropout", "hidden_dropout_prob"},
		{"attention_dropout", "attention_probs_dropout_prob"}};
	json_t *config = json_deep_copy(settings->config);
	rename_keys(config, names, COUNT_OF(names));
	if (settings->max_tokens)
		json_set(config, "max_token_num", json_integer(settings->max_tokens));
	json_set(config, "frozen_words", json_boolean(settings->encoder.frozen_words));
	json_set(config, "word_head", json_boolean(settings->task == TASK_PRETRAIN && settings->encoder.words_weight > 0));
	return config;
}

/* The trainings that an option is for. */
static int trainings_of(int key)
{
	if (key >= KEY_MODEL)
		return model_options[key - KEY_MODEL].trainings;
	switch (key) {
	case KEY_ARCH:
	case KEY_TASK: return ~0; /* settle_task() sees to them */
	case KEY_LOSS:
	case KEY_NEGATIVES:
	case KEY_GBCE_T: return ITEMS;
	case KEY_SEEN: return ITEMS | FINETUNE;
	case KEY_VALID_USERS: return ITEMS | ENCODER;
	case KEY_TEMPLATE: return LANGUAGE;
	case KEY_MAX_TOKENS: return TEXTS;
	case KEY_SIZE:
	case KEY_START:
	case KEY_WEIGHTS:
	case KEY_WORDS:
	case KEY_FREEZE_WORDS: return ENCODER;
	case KEY_ACCUMULATE:
	case KEY_WORDS_WEIGHT:
	case KEY_MASK_RATE: return PRETRAIN;
	case KEY_AS_CODE: return FINETUNE;
	default: return GRADIENTS;
	}
}

static int training_of(const char *architecture, int task)
{
	static const struct {
		const char *architecture;
		int training;
	} trainings[] = {{"sasrec", SASREC}, {"gru", GRU}, {"popular", POPULAR}, {"markov", MARKOV}, {"llama", LANGUAGE},
		{"gpt2", LANGUAGE}};
	for (size_t i = 0; i < COUNT_OF(trainings); i++)
		if (!strcmp(architecture, trainings[i].architecture))
			return trainings[i].training;
	return task == TASK_PRETRAIN ? PRETRAIN : FINETUNE;
}

static bool has_key(const struct settings *settings, const char *key)
{
	return json_object_get(settings->config, key);
}

static bool has_value(const struct settings *settings, const char *key, const char *value)
{
	const char *is = json_string_value(json_object_get(settings->config, key));
	return is && !strcmp(is, value);
}

/* The first option given that only features have a use for: its name, or NULL. */
static const char *option_of_features(const json_t *config)
{
	static const char *const options[][2] = {{"adaptor", "adaptor"}, {"adaptor_size", "adaptor-size"},
		{"feature_ids", "feature-ids"}, {"feature_whiten", "feature-whiten"}, {"feature_scale", "feature-scale"}};
	for (size_t i = 0; i < COUNT_OF(options); i++)
		if (json_object_get(config, options[i][0]))
			return options[i][1];
	return NULL;
}

/* Options that would change nothing. */
static void refuse_idle_options(const struct settings *settings, const struct argp_option options[])
{
	const char *architecture = json_string_value(json_object_get(settings->config, "architecture"));
	int training = training_of(architecture, settings->task);
	for (; options->name || options->doc; options++)
		if (options->key && settings->given[options->key - KEY_ARCH] && !(trainings_of(options->key) & training))
			die_usage("--%s is no option of %s%s", options->name, training & ENCODER ? "--task " : "--arch ",
				training & ENCODER ? task_names[settings->task] : architecture);
	if (settings->encoder.size >= 0 && settings->encoder.weights)
		die_usage("--size is for a new model, --weights has a size");
	if (settings->encoder.model &&
		(settings->encoder.weights || settings->encoder.words || settings->encoder.size >= 0))
		die_usage("--model is a model to start from, and so are --weights; --size and --words are for a new one");
	const int loss = settings->next_item.loss.loss;
	if (settings->given[KEY_NEGATIVES - KEY_ARCH] && loss == LOSS_CE)
		die_usage("--negatives is no option of --loss ce");
	if (settings->given[KEY_GBCE_T - KEY_ARCH] && loss != LOSS_GBCE)
		die_usage("--gbce-t is for --loss gbce");
	if (training & ITEMS && has_key(settings, "temperature") && !has_value(settings, "score", "cosine"))
		die_usage("--temperature is for --score cosine");
	if (has_key(settings, "adaptor_size") &&
		(!has_key(settings, "adaptor") || has_value(settings, "adaptor", "linear")))
		die_usage("--adaptor-size is for an --adaptor of two layers");
	if (has_value(settings, "features", "none") && option_of_features(settings->config))
		die_usage("--%s is no option of --features none", option_of_features(settings->config));
}

/* --task decides the architecture, and is decided by it. */
static void settle_task(struct settings *settings)
{
	json_t *given = json_object_get(settings->config, "architecture");
	const char *architecture = given ? json_string_value(given) : settings->task > TASK_NEXT ? "recformer" : "sasrec";
	bool is_encoder = !strcmp(architecture, "recformer");
	if (settings->task < 0)
		settings->task = TASK_NEXT;
	if (is_encoder && settings->task == TASK_NEXT)
		die_usage("--arch recformer needs --task pretrain or finetune");
	if (!is_encoder && settings->task != TASK_NEXT)
		die_usage("--task %s is for --arch recformer", task_names[settings->task]);
	if (!is_encoder && settings->run.epochs == 0)
		die_usage("--epochs 0 is for --arch recformer, whose published weights need no training");
	if (!given)
		json_set(settings->config, "architecture", json_string(architecture));
}

/* Whatever the stream has, the architecture must agree to its options: what it says against them is wrong usage. */
static void check_config(const struct settings *settings)
{
	const struct architecture *architecture = architecture_named(
		json_string_value(json_object_get(settings->config, "architecture")));
	json_t *config = architecture->encode ? encoder_config(settings) : json_deep_copy(settings->config);
	if (settings->encoder.size >= 0)
		recformer_size(config, settings->encoder.size);
	if (architecture->encode &&
		!json_object_get(config, "hidden_size") != !json_object_get(config, "num_attention_heads")) {
		/* the other one is the stream's model's */
		json_object_del(config, "hidden_size");
		json_object_del(config, "num_attention_heads");
	}
	die_status = 2;
	if (!architecture->options)
		model_free(model_declared(json_incref(config), 1000, "", "options"));
	else
		architecture_check(architecture, config, "options");
	die_status = 1;
	json_decref(config);
}

static void parse(int argc, char **argv, struct cli *cli, struct settings *settings)
{
	struct argp_option all[COUNT_OF(training_options) + COUNT_OF(model_options) + 1] = {0};
	memcpy(all, training_options, sizeof training_options);
	for (size_t i = 0; i < COUNT_OF(model_options); i++)
		all[COUNT_OF(training_options) + i] = (struct argp_option){model_options[i].option, KEY_MODEL + (int)i,
			model_options[i].value, 0, model_options[i].help, 3};
	const struct cli_tool tool = {.name = "seq-train",
		.arguments = "[STREAM...]",
		.summary = summary,
		.examples = examples,
		.options = all,
		.option = parse_option,
		.usage_without_input = true,
		.binary_output = true};
	*settings = (struct settings){.config = json_object(),
		.next_item = {.loss = {.gbce_t = 0.75}, .valid_users = INT32_MAX},
		.task = -1,
		.encoder = {.size = -1, .accumulate = 1, .words_weight = 0.1, .mask_rate = 0.15},
		.optimisation = {.adamw = ADAMW_DEFAULTS, .warmup = -1, .clip = -1},
		.run = {.epochs = -1, .every = 60}};
	settings->optimisation.adamw.rate = -1;
	cli_parse(&tool, argc, argv, cli, settings);
	cli_check_stdin(cli, "--model", settings->encoder.model);
	settle_task(settings);
	refuse_idle_options(settings, all);
	set_defaults(settings);
	check_config(settings);
	static const int64_t negatives[] = {[LOSS_CE] = 0, [LOSS_SAMPLED] = 3000, [LOSS_BCE] = 1, [LOSS_GBCE] = 256};
	if (!settings->next_item.loss.negatives)
		settings->next_item.loss.negatives = negatives[settings->next_item.loss.loss];
}

/* --- load --- */

struct inputs {
	struct catalog catalog;
	struct sequences sequences;
	struct embedding embedding;
	struct tokenizer_group tokenizer;
	struct model_group start; /* what a text encoder goes on from */
};

static void load(const struct cli *cli, const struct architecture *architecture, const char *model, struct bag_out *out,
	struct inputs *inputs)
{
	struct bag *bag = bag_open(cli->inputs);
	bag_take(bag, &catalog_group, &inputs->catalog);
	bag_take(bag, &sequences_group, &inputs->sequences);
	bag_take(bag, &embedding_group, &inputs->embedding);
	bag_take(bag, &tokenizer_group, &inputs->tokenizer);
	bag_drop(bag, "model");
	bag_drop(bag, "ranking");
	if (architecture->encode) {
		bag_take(bag, &model_group, &inputs->start);
		bag_drop(bag, "embedding");
	}
	if (model)
		bag_take_from(bag, &model_group, &inputs->start, model);
	bag_pass_to(bag, out);
	bag_read(bag);
	if (architecture->reads_tokens && (!inputs->catalog.indptr || !inputs->tokenizer.tokenizer))
		die("%s: the stream has no items with text; seq-tokenize --items gives them one", architecture->name);
	if (!architecture->reads_tokens || architecture->encode)
		sequences_check(&inputs->sequences, &inputs->catalog);
	if (inputs->embedding.group.complete && !architecture->encode)
		embedding_check(&inputs->embedding, &inputs->catalog);
}

static void free_inputs(struct inputs *inputs)
{
	sequences_free(&inputs->sequences);
	embedding_free(&inputs->embedding);
	tokenizer_group_free(&inputs->tokenizer);
	model_group_free(&inputs->start);
	catalog_free(&inputs->catalog);
}

/* --- the model --- */

/* Item features are used where the stream has them, unless told otherwise. Their defaults are measured on validation. */
static bool choose_features(json_t *config, const struct embedding *embedding)
{
	const char *features = json_string_value(json_object_get(config, "features"));
	if (!features && embedding->group.complete)
		json_set(config, "features", json_string(features = "frozen"));
	if (features && !strcmp(features, "none"))
		return false;
	if (!embedding->group.complete && features)
		die("--features %s: no embedding in the stream; item-project adds one", features);
	if (!embedding->group.complete && option_of_features(config))
		die("--%s: no embedding in the stream; item-project adds one", option_of_features(config));
	if (!embedding->group.complete)
		return false;
	json_set(config, "feature_size", json_integer(embedding->width));
	if (!json_object_get(config, "feature_whiten"))
		json_set(config, "feature_whiten", json_true());
	if (!json_object_get(config, "feature_scale")) {
		const char *architecture = json_string_value(json_object_get(config, "architecture"));
		json_set(config, "feature_scale", json_real(!strcmp(architecture, "gru") ? 1 : .3));
	}
	if (!json_object_get(config, "feature_ids"))
		json_set(config, "feature_ids", json_boolean(!strcmp(features, "frozen")));
	return true;
}

/* Short histories overfit: measured on validation, they want more dropout than long ones, learned vectors most. */
static void choose_dropout(json_t *config, const struct sequences *sequences, bool has_features)
{
	int64_t events = 0;
	for (int64_t user = 0; user < sequences->n_users; user++)
		events += train_length(sequences, user);
	double few = has_features ? .3 : .5;
	if (!json_object_get(config, "dropout"))
		json_set(config, "dropout", json_real(events < 20 * sequences->n_users ? few : .2));
}

static struct model *new_model(const struct architecture *architecture, struct settings *settings,
	const struct inputs *inputs)
{
	if (architecture->reads_tokens) {
		char tokenizer[17];
		fingerprint_text(tokenizer_fingerprint(inputs->tokenizer.tokenizer), tokenizer);
		return model_new(json_incref(settings->config), tokenizer_vocab_size(inputs->tokenizer.tokenizer), tokenizer,
			"options");
	}
	if (!architecture->count) {
		bool has_features = choose_features(settings->config, &inputs->embedding);
		choose_dropout(settings->config, &inputs->sequences, has_features);
	}
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
	char *rest = xasprintf(
		"%s %s %s seed %llu threads %d loss %d %lld %.17g adamw %.17g %.17g %.17g clip %.17g schedule %d "
		"%lld epochs %lld batch %lld patience %lld valid %lld %d catalog %s %s tokens %lld template %s task %d from %s %s %s accumulate %lld words %.17g %.17g code %d",
		recpipe_version, inputs->sequences.group.id, items_feature_size(model) ? inputs->embedding.group.id : "-",
		(unsigned long long)cli->seed, cli->threads, (int)loss->loss, (long long)loss->negatives, loss->gbce_t,
		optimisation->adamw.rate, optimisation->adamw.beta2, optimisation->adamw.weight_decay, optimisation->clip,
		(int)optimisation->schedule, (long long)optimisation->warmup, (long long)run->epochs,
		(long long)run->batch_size, (long long)run->patience, (long long)settings->next_item.valid_users,
		settings->next_item.keep_seen, inputs->catalog.fingerprint, model->belongs_to, (long long)settings->max_tokens,
		settings->template ? settings->template : "-", settings->task,
		inputs->start.group.complete ? inputs->start.group.id : "-",
		settings->encoder.weights ? settings->encoder.weights : "-",
		settings->encoder.words ? settings->encoder.words : "-", (long long)settings->encoder.accumulate,
		settings->encoder.words_weight, settings->encoder.mask_rate, settings->encoder.as_code);
	uint64_t id = fingerprint(FINGERPRINT_START, config, strlen(config));
	id = fingerprint(id, rest, strlen(rest));
	free(config);
	free(rest);
	const int ranks = ranks_count();
	return ranks > 1 ? fingerprint(id, &ranks, sizeof ranks) : id;
}

/* --- compute --- */

static struct task *sequence_task(const struct cli *cli, const struct settings *settings, struct model *model,
	const struct inputs *inputs)
{
	struct task *task = next_item_task(model, &inputs->sequences, &settings->next_item, cli->threads);
	int64_t users, positions, validated;
	next_item_counts(task, &users, &positions, &validated);
	notice("%s: %lld parameters, %lld users, %lld positions, %lld items%s, validated on %lld users",
		model->architecture->name, (long long)model->params.trainable, (long long)users, (long long)positions,
		(long long)model->n_items, items_feature_size(model) ? " with features" : "", (long long)validated);
	if (!validated)
		warn("no user has a validation item: training goes on for all %lld epochs", (long long)settings->run.epochs);
	return task;
}

static struct task *text_task(const struct cli *cli, const struct settings *settings, struct model *model,
	const struct inputs *inputs)
{
	struct item_texts *texts = item_texts_new(&inputs->catalog, inputs->tokenizer.tokenizer, settings->template);
	struct item_tokens tokens = item_texts_encode(texts, inputs->tokenizer.tokenizer,
		settings->max_tokens ? settings->max_tokens : 32, false, cli->threads);
	struct task *task = language_task(model, &tokens, text_ends_of(inputs->tokenizer.tokenizer, "tokenizer"),
		cli->threads);
	notice("%s: %lld parameters, vocabulary of %lld, %lld texts", model->architecture->name,
		(long long)model->params.trainable, (long long)model->n_items, (long long)task->examples);
	item_tokens_free(&tokens);
	item_texts_free(texts);
	return task;
}

/* Gradient training from beginning, or checkpoint, to early stop; what was measured. */
static json_t *train_by_gradients(const struct cli *cli, const struct settings *settings, struct model *model,
	struct inputs *inputs)
{
	if (items_feature_size(model)) {
		/* an LLM's vectors share a few large directions, beside which those that tell items apart would hardly be heard */
		if (json_is_true(json_object_get(settings->config, "feature_whiten")))
			standardise_vectors(inputs->embedding.vector, inputs->embedding.rows, inputs->embedding.width, true,
				cli->threads);
		items_set_features(model, inputs->embedding.vector);
	}
	struct rng rng;
	rng_seed(&rng, cli->seed);
	model_initialise(model, &rng);
	struct trainer *trainer = trainer_new(&model->params, &settings->optimisation, cli->threads);
	struct task *task = (model->architecture->reads_tokens ? text_task : sequence_task)(cli, settings, model, inputs);
	json_t *measured = run(task, trainer, &settings->run, &rng);
	task->free(task);
	trainer_free(trainer);
	return measured;
}

/* --- text encoders --- */

static struct model *start_encoder(const struct settings *settings, const struct inputs *inputs, struct rng *rng)
{
	const struct encoder_settings *encoder = &settings->encoder;
	struct recformer_start start = {.config = encoder_config(settings),
		.tokenizer = inputs->tokenizer.tokenizer,
		.rng = rng,
		.words = encoder->words,
		.catalog = &inputs->catalog};
	if (encoder->words && (encoder->weights || inputs->start.group.complete))
		die("--words %s is for a new model, there is one already", encoder->words);
	if (encoder->weights)
		return recformer_from_weights(&start, encoder->weights);
	if (inputs->start.group.complete) {
		if (encoder->size >= 0)
			die("--size %s is for a new model, the stream has one", recformer_sizes[encoder->size]);
		if (!inputs->start.model->architecture->encode)
			die("model: %s, recformer was expected", inputs->start.model->architecture->name);
		return recformer_from_model(&start, inputs->start.model);
	}
	if (settings->task == TASK_FINETUNE && encoder->size < 0)
		die("no model in the stream to fine-tune; --task pretrain makes one, and --size NAME one at random");
	recformer_size(start.config, encoder->size < 0 ? 1 : encoder->size);
	return recformer_anew(&start);
}

static struct task *encoder_task(const struct settings *settings, struct model *model, struct trainer *trainer,
	const struct inputs *inputs)
{
	const struct run_options *run = &settings->run;
	if (settings->task == TASK_PRETRAIN) {
		const struct pretrain_options options = {.contrast = run->batch_size,
			.words_weight = settings->encoder.words_weight,
			.mask_rate = settings->encoder.mask_rate,
			.valid_users = settings->next_item.valid_users < INT32_MAX ? settings->next_item.valid_users : 4096};
		return pretrain_task(model, &inputs->sequences, inputs->tokenizer.tokenizer, &options, trainer->n_workers);
	}
	const struct finetune_options options = {.epochs = run->epochs,
		.patience = {run->patience, run->patience > 2 ? run->patience - 2 : 1},
		.as_code = settings->encoder.as_code,
		.valid_users = settings->next_item.valid_users,
		.keep_seen = settings->next_item.keep_seen};
	return finetune_task(model, trainer, &inputs->sequences, &options);
}

/* With the model's id: who ranks with it need not encode the items again. */
static void write_vectors(struct bag_out *out, const struct model *model, const float *vectors, uint64_t model_id)
{
	char text[17];
	fingerprint_text(model_id, text);
	json_t *facts = json_build("{s:s}", "model", text);
	embedding_write(out, model->catalog, vectors, model->width, "recformer", facts);
	json_decref(facts);
}

/* Trains and writes; what was measured. */
static json_t *train_encoder(const struct cli *cli, struct settings *settings, const struct inputs *inputs,
	struct bag_out *out)
{
	struct rng rng;
	rng_seed(&rng, cli->seed);
	struct model *model = start_encoder(settings, inputs, &rng);
	struct run_options run_options = settings->run;
	encoder_read(model, &inputs->catalog);
	if (settings->optimisation.adamw.rate < 0)
		settings->optimisation.adamw.rate = model->width < 256 ? 5e-4 : 5e-5;
	run_options.id = training_id(settings, cli, model, inputs);
	struct trainer *trainer = trainer_new(&model->params, &settings->optimisation, cli->threads);
	struct task *task = encoder_task(settings, model, trainer, inputs);
	if (settings->task == TASK_PRETRAIN) {
		run_options.batch_size *= settings->encoder.accumulate;
	} else {
		run_options.epochs *= 2;
		run_options.patience = INT64_MAX; /* the task ends its stages itself */
	}
	notice("recformer: %lld parameters, %lld users, %lld items", (long long)model->params.trainable,
		(long long)task->examples, (long long)inputs->catalog.n_items);
	json_t *measured = run(task, trainer, &run_options, &rng);
	json_set(measured, "parameters", json_integer(model->params.size));
	model_write(out, model, &inputs->catalog, run_options.id);
	if (settings->task == TASK_FINETUNE)
		write_vectors(out, model, finetune_items(task), run_options.id);
	task->free(task);
	trainer_free(trainer);
	model_free(model);
	return measured;
}

static json_t *train_other(const struct cli *cli, struct settings *settings, const struct architecture *architecture,
	struct inputs *inputs, struct bag_out *out)
{
	struct model *model = new_model(architecture, settings, inputs);
	settings->run.id = training_id(settings, cli, model, inputs);
	json_t *measured = architecture->count ?
		json_build("{s:I}", "events", (json_int_t)next_item_count(model, &inputs->sequences)) :
		train_by_gradients(cli, settings, model, inputs);
	json_set(measured, "parameters", json_integer(model->params.size));
	model_write(out, model, &inputs->catalog, settings->run.id);
	model_free(model);
	return measured;
}

int main(int argc, char **argv)
{
	process_begin();
	blas_init(argv);
	ranks_begin();
	struct cli cli;
	struct settings settings;
	parse(argc, argv, &cli, &settings);
	blas_reserve(cli.threads);

	const struct architecture *architecture = architecture_named(
		json_string_value(json_object_get(settings.config, "architecture")));
	struct inputs inputs = {0};
	struct bag_out *out = bag_create(cli.output, cli.level);
	load(&cli, architecture, settings.encoder.model, out, &inputs);
	json_t *measured = architecture->encode ? train_encoder(&cli, &settings, &inputs, out) :
											  train_other(&cli, &settings, architecture, &inputs, out);
	products_describe(measured);
	cli_finish(&cli, out, measured);
	free_inputs(&inputs);
	json_decref(settings.config);
	return cli_done(&cli);
}
