/*
 * item-project: a catalog in, the same and a vector for each item out.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/embedding.h"
#include "data/item_text.h"
#include "data/tokenizer_group.h"
#include "data/weights.h"
#include "model/encoder.h"
#include "model/item_vectors.h"
#include "model/llm.h"
#include "model/model_group.h"
#include "model/projector_group.h"
#include "model/text_encoder.h"
#include "model/tfidf.h"
#include "nn/blas.h"
#include "nn/matrix.h"
#include "stream/cli.h"
#include "stream/process.h"

#define DEFAULT_WIDTH 300
#define DEFAULT_TOKENS 64

/* --- options --- */

enum { FROM_PROJECTOR, FROM_RECFORMER, FROM_ENCODER, FROM_LLM, FROM_TOKENS, FROM_TFIDF };
static const char *const source_names[] = {"projector", "recformer", "encoder", "llm", "tokens", "tfidf", NULL};

struct settings {
	int from; /* in source_names; -1: by what the stream has */
	const char *llm, *encoder, *model, *template;
	int64_t max_tokens, width;
	bool standardise, whiten, integers;
};

enum {
	KEY_FROM = 0x2000,
	KEY_LLM,
	KEY_TEMPLATE,
	KEY_MAX_TOKENS,
	KEY_WIDTH,
	KEY_STANDARDISE,
	KEY_WHITEN,
	KEY_INTEGERS,
	KEY_MODEL,
	KEY_ENCODER
};

static const struct argp_option options[] = {
	{"from", KEY_FROM, "SOURCE", 0,
		"projector: what emb-align-train learned; recformer: the items' sentences, encoded (default: what the stream has); encoder: a sentence encoder reads the text; llm: the mean of an LLM's last hidden states over an item's text; tokens: of its "
		"token vectors; tfidf: the words of the text, cut down by a truncated SVD",
		1},
	{"llm", KEY_LLM, "PATH", 0, "The LLM: a GGUF file or a Hugging Face folder (default: the stream's model)", 1},
	{"encoder", KEY_ENCODER, "PATH", 0,
		"The sentence encoder: a folder as sentence-transformers or Hugging Face have it, or a GGUF file", 1},
	{"model", KEY_MODEL, "STREAM", 0, "For recformer, llm and tokens: the model of this stream", 1},
	{"integers", KEY_INTEGERS, NULL, 0, "llm, encoder: with matrices in integers: faster, and nearly the same", 1},
	{"template", KEY_TEMPLATE, "TEXT", 0, "An item's text, with attributes in braces: 'Brand {brand} Title {title}'",
		1},
	{"max-tokens", KEY_MAX_TOKENS, "N", 0,
		"Of an item's text, for llm and tokens (default 64), and for encoder (default: as it was made for)", 1},
	{"width", KEY_WIDTH, "N", 0, "Of the vectors from tfidf (default 300)", 1},
	{"standardise", KEY_STANDARDISE, NULL, 0, "Bring each dimension to mean 0 and variance 1", 1},
	{"whiten", KEY_WHITEN, NULL, 0, "Besides, take away the dimensions' correlations", 1}, {0}};

static const char examples[] =
	"  emb-align-train --llm llm.gguf shop.tar.zst | item-project | seq-train | seq-rank | rec-eval\n"
	"  seq-tokenize --tokenizer recformer.tar.zst --items items.csv events.csv |\n"
	"    item-project recformer.tar.zst - | seq-rank | rec-eval\n"
	"  seq-tokenize --items items.csv events.csv | item-project --from tfidf | seq-train | seq-rank | rec-eval\n"
	"  item-project --from llm --llm llm.gguf shop.tar.zst -o items.tar.zst\n"
	"  item-project --from encoder --encoder all-MiniLM-L6-v2 shop.tar.zst -o items.tar.zst\n"
	"  item-project --from tfidf --width 64 --template '{title}' --standardise shop.tar.zst -o items.tar.zst\n";

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct settings *settings = state->input;
	switch (key) {
	case KEY_FROM: settings->from = option_choice("--from", value, source_names); return 0;
	case KEY_MODEL: settings->model = value; return 0;
	case KEY_LLM: settings->llm = value; return 0;
	case KEY_ENCODER: settings->encoder = value; return 0;
	case KEY_INTEGERS: settings->integers = true; return 0;
	case KEY_TEMPLATE: settings->template = value; return 0;
	case KEY_MAX_TOKENS: settings->max_tokens = option_int("--max-tokens", value, 1, 1 << 20); return 0;
	case KEY_WIDTH: settings->width = option_int("--width", value, 1, 4096); return 0;
	case KEY_STANDARDISE: settings->standardise = true; return 0;
	case KEY_WHITEN: settings->standardise = settings->whiten = true; return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static void check_settings(const struct settings *settings, const struct cli *cli)
{
	bool reads_text = settings->from > FROM_RECFORMER, reads_tokens = reads_text && settings->from != FROM_TFIDF;
	bool from_encoder = settings->from == FROM_ENCODER;
	if (settings->template && !reads_text)
		die_usage("--template is for texts: --from encoder, llm, tokens or tfidf");
	if (from_encoder != (settings->encoder != NULL))
		die_usage("--from encoder and --encoder PATH go together");
	if (from_encoder && settings->llm)
		die_usage("--llm is for --from llm and --from tokens");
	bool from_tfidf = settings->from == FROM_TFIDF;
	if (settings->width && !from_tfidf)
		die_usage("--width goes with --from tfidf alone");
	if (!reads_tokens && (settings->llm || settings->max_tokens))
		die_usage("--llm goes with --from llm and --from tokens alone, --max-tokens with these and --from encoder");
	if (settings->integers && settings->from != FROM_LLM && !from_encoder)
		die_usage("--integers goes with --from llm and --from encoder alone");
	if (settings->model && (settings->llm || settings->from == FROM_PROJECTOR || from_tfidf || from_encoder))
		die_usage("--model is for --from recformer, or for --from llm and --from tokens without --llm");
	cli_check_stdin(cli, "--model", settings->model);
}

/* --- what a source makes vectors from, and what it makes --- */

struct project {
	const struct settings *settings;
	const struct cli *cli;
	int from; /* in source_names */
	struct catalog catalog;
	struct tokenizer_group tokenizer;
	struct model_group model; /* where it may be the LLM, or an encoder */
	struct projector_group projector;
	/* what it makes */
	int64_t width;
	float *vectors;   /* items x width */
	json_t *facts;    /* how the vectors were made, for meta.json and the history */
	json_t *measured; /* for the history alone */
};

/* The texts of the items, by --template or `template`. */
static struct item_texts *texts_of(struct project *project, const char *template)
{
	if (project->settings->template)
		template = project->settings->template;
	struct item_texts *texts = item_texts_new(&project->catalog, project->tokenizer.tokenizer, template);
	struct buffer text = {0};
	int64_t items = project->catalog.n_items, without = 0;
	for (int64_t item = 0; item < items; item++) {
		text.size = 0;
		item_text(texts, item, &text);
		without += !text.size;
	}
	buffer_free(&text);
	if (without == items)
		die("catalog: no text by the template '%s' in any of %lld items", item_texts_template(texts), (long long)items);
	if (without)
		notice("warning: no text in %lld of %lld items; their vectors are zero", (long long)without, (long long)items);
	json_set(project->facts, "template", json_string(item_texts_template(texts)));
	json_set(project->measured, "textless_items", json_integer(without));
	return texts;
}

/* --- projector --- */

static void take_vectors(struct project *project, int64_t width)
{
	project->width = width;
	project->vectors = xreallocarray(NULL, (size_t)(project->catalog.n_items * width), sizeof *project->vectors);
}

static void from_projector(struct project *project)
{
	if (!project->projector.group.complete)
		die("no projector in the stream: emb-align-train adds one; --from encoder, llm, tokens or tfidf need none");
	const struct projector *projector = project->projector.projector;
	projector_require_catalog(&project->projector, &project->catalog);
	take_vectors(project, projector->width);
	projector_vectors(projector, project->vectors);
	json_set(project->facts, "projector", json_string(projector_names[projector->kind]));
}

/* --- llm and tokens --- */

static struct model *open_llm(struct project *project)
{
	const char *path = project->settings->llm;
	struct model *llm = path ? llm_open(path, LLM_READS) : project->model.model;
	if (!llm || !is_llm(llm))
		die("no LLM: --llm PATH was not given, and the stream has no language model");
	if (path)
		tokenizer_require(project->tokenizer.tokenizer, llm->belongs_to, path);
	else
		model_require_tokenizer(&project->model, &project->catalog);
	return llm;
}

/* What its own and the stream's tokenizer agree on may still be more than it has vectors for. */
static void check_vocabulary(const struct project *project, int64_t vectors)
{
	int64_t tokens = tokenizer_vocab_size(project->tokenizer.tokenizer);
	if (vectors < tokens)
		die("the LLM has %lld token vectors, its tokenizer %lld tokens", (long long)vectors, (long long)tokens);
}

static int64_t max_tokens(const struct project *project, int64_t otherwise)
{
	return project->settings->max_tokens ? project->settings->max_tokens : otherwise;
}

/* The tokens of the items' texts, at most `budget`, nor more than `longest` (0: no limit). */
static struct item_tokens tokens_of(struct project *project, const struct item_texts *texts,
	const struct tokenizer *tokenizer, bool add_special, int64_t budget, int64_t longest)
{
	if (longest && budget > longest)
		budget = longest;
	struct item_tokens tokens = item_texts_encode(texts, tokenizer, budget, add_special, project->cli->threads);
	json_set(project->facts, "max_tokens", json_integer(budget));
	json_object_update_new(project->measured,
		json_build("{s:I, s:I}", "tokens", (json_int_t)tokens.indptr[tokens.rows], "texts_cut",
			(json_int_t)tokens.n_cut));
	return tokens;
}

static void from_llm(struct project *project)
{
	struct item_texts *texts = texts_of(project, NULL);
	struct model *llm = open_llm(project);
	check_vocabulary(project, llm->n_items);
	struct item_tokens tokens = tokens_of(project, texts, project->tokenizer.tokenizer, true,
		max_tokens(project, DEFAULT_TOKENS), model_max_length(llm));
	take_vectors(project, llm->width);
	llm_pack(llm, project->settings->integers ? PACKED_INTEGERS : PACKED_NOT);
	double started = seconds_now();
	mean_hidden_states(llm, &tokens, project->vectors, project->cli->threads);
	double speed = (double)tokens.indptr[tokens.rows] / (seconds_now() - started);
	notice("%lld tokens, %.0f a second", (long long)tokens.indptr[tokens.rows], speed);
	json_set(project->facts, "integers", json_boolean(project->settings->integers));
	json_set(project->measured, "tokens_a_second", json_real(speed));
	item_tokens_free(&tokens);
	item_texts_free(texts);
	if (project->settings->llm)
		model_free(llm);
}

/* Of a file, only the token vectors are read. */
static float *read_token_vectors(const struct project *project, int64_t *vocabulary, int64_t *width)
{
	const char *path = project->settings->llm;
	struct weights *weights = weights_open(path);
	char of_llm[17];
	weights_fingerprint(weights, of_llm);
	tokenizer_require(project->tokenizer.tokenizer, of_llm, path);
	float *table = token_vectors(weights, path, vocabulary, width);
	weights_close(weights);
	return table;
}

static void from_tokens(struct project *project)
{
	struct item_texts *texts = texts_of(project, NULL);
	const struct model *llm = project->settings->llm ? NULL : open_llm(project);
	int64_t vocabulary = llm ? llm->n_items : 0, width = llm ? llm->width : 0;
	float *read = llm ? NULL : read_token_vectors(project, &vocabulary, &width);
	check_vocabulary(project, vocabulary);
	struct item_tokens tokens = tokens_of(project, texts, project->tokenizer.tokenizer, false,
		max_tokens(project, DEFAULT_TOKENS), 0);
	take_vectors(project, width);
	mean_token_vectors(llm ? llm_token_vectors(llm) : read, width, &tokens, project->vectors, project->cli->threads);
	item_tokens_free(&tokens);
	item_texts_free(texts);
	free(read);
}

/* --- encoder --- */

static void from_encoder(struct project *project)
{
	struct item_texts *texts = texts_of(project, NULL);
	struct text_encoder *encoder = text_encoder_open(project->settings->encoder);
	int64_t longest = text_encoder_longest(encoder);
	item_texts_begin(texts, text_encoder_prompt(encoder));
	struct item_tokens tokens = tokens_of(project, texts, text_encoder_tokenizer(encoder), true,
		max_tokens(project, longest), longest);
	take_vectors(project, text_encoder_width(encoder));
	if (project->settings->integers)
		text_encoder_pack(encoder, PACKED_INTEGERS);
	double started = seconds_now();
	text_encoder_vectors(encoder, &tokens, project->vectors, project->cli->threads);
	double speed = (double)tokens.indptr[tokens.rows] / (seconds_now() - started);
	notice("%lld tokens, %.0f a second", (long long)tokens.indptr[tokens.rows], speed);
	json_set(project->facts, "pooling", json_string(text_encoder_pooling(encoder)));
	json_set(project->facts, "prompt", json_string(text_encoder_prompt(encoder)));
	json_set(project->facts, "integers", json_boolean(project->settings->integers));
	json_set(project->measured, "tokens_a_second", json_real(speed));
	item_tokens_free(&tokens);
	item_texts_free(texts);
	text_encoder_free(encoder);
}

/* --- tfidf --- */

static void from_tfidf(struct project *project)
{
	const struct cli *cli = project->cli;
	char *template = item_template_of_values(&project->catalog);
	struct item_texts *texts = texts_of(project, template);
	struct tfidf tfidf = tfidf_new(texts, cli->threads);
	int64_t width = project->settings->width ? project->settings->width : DEFAULT_WIDTH;
	if (!tfidf.words)
		die("catalog: no words in the texts");
	int64_t wordless = tfidf_wordless(&tfidf);
	if (wordless > json_integer_value(json_object_get(project->measured, "textless_items")))
		notice("warning: no words in %lld of %lld items; their vectors are zero", (long long)wordless,
			(long long)tfidf.items);
	struct projection projection = tfidf_project(&tfidf, width, cli->seed, cli->threads);
	if (projection.width < width)
		notice("%lld dimensions instead of %lld: the texts have no more", (long long)projection.width,
			(long long)width);
	notice("%lld words; %lld dimensions hold %.1f %% of the sum of squares", (long long)tfidf.words,
		(long long)projection.width, 100 * projection.share);
	json_object_update_new(project->measured,
		json_build("{s:I, s:I, s:I, s:f, s:i}", "wordless_items", (json_int_t)wordless, "words",
			(json_int_t)tfidf.words, "weights", (json_int_t)tfidf.indptr[tfidf.items], "share_of_squares",
			projection.share, "iterations", projection.iterations));
	project->width = projection.width;
	project->vectors = projection.vectors;
	free(projection.singular);
	tfidf_free(&tfidf);
	item_texts_free(texts);
	free(template);
}

/* --- recformer --- */

static void from_recformer(struct project *project)
{
	struct model *model = project->model.model;
	if (!project->model.group.complete || !model->architecture->encode)
		die("no Recformer in the stream; seq-train --task pretrain makes one");
	model_require_tokenizer(&project->model, &project->catalog);
	encoder_read(model, &project->catalog);
	project->width = model->width;
	project->vectors = xaligned((size_t)(project->catalog.n_items * model->width), sizeof *project->vectors);
	double started = seconds_now();
	encoder_items(model, project->vectors);
	notice("%lld items encoded in %.1f s", (long long)project->catalog.n_items, seconds_now() - started);
	json_set(project->facts, "model", json_string(project->model.group.id));
	json_set(project->measured, "encoding_seconds", json_real(seconds_now() - started));
}

/* --- all sources --- */

static void (*const make[])(struct project *) = {[FROM_PROJECTOR] = from_projector,
	[FROM_RECFORMER] = from_recformer,
	[FROM_ENCODER] = from_encoder,
	[FROM_LLM] = from_llm,
	[FROM_TOKENS] = from_tokens,
	[FROM_TFIDF] = from_tfidf};

/* --- read, write --- */

static void load(struct project *project, struct bag_out *out)
{
	const struct settings *settings = project->settings;
	struct bag *bag = bag_open(project->cli->inputs);
	bag_take(bag, &catalog_group, &project->catalog);
	bag_take(bag, &tokenizer_group, &project->tokenizer);
	if (settings->from <= FROM_PROJECTOR)
		bag_take(bag, &projector_group, &project->projector);
	if (settings->model)
		bag_take_from(bag, &model_group, &project->model, settings->model);
	else if (settings->from != FROM_PROJECTOR && settings->from != FROM_TFIDF && !settings->llm && !settings->encoder)
		bag_take(bag, &model_group, &project->model);
	bag_drop(bag, "embedding");
	bag_pass_to(bag, out);
	bag_read(bag);
	group_require(&catalog_group, &project->catalog.group);
	if (!project->catalog.n_items)
		die("catalog: no items");
	const struct model *model = project->model.model;
	bool has_encoder = project->model.group.complete && model->architecture->encode;
	bool is_encoder = settings->model || (has_encoder && !project->projector.group.complete);
	project->from = settings->from >= 0 ? settings->from : is_encoder ? FROM_RECFORMER : FROM_PROJECTOR;
}

static void check_finite(const struct project *project)
{
	for (int64_t i = 0; i < project->catalog.n_items * project->width; i++)
		if (!isfinite(project->vectors[i]))
			die("%s: the vector of item %s is not finite", source_names[project->from],
				strings_at(&project->catalog.item_id, i / project->width));
}

/* For the history. */
static json_t *measured(const struct project *project)
{
	json_t *record = json_build("{s:s, s:I, s:I}", "source", source_names[project->from], "items",
		(json_int_t)project->catalog.n_items, "width", (json_int_t)project->width);
	products_describe(record);
	json_object_update(record, project->facts);
	json_object_update(record, project->measured);
	return record;
}

int main(int argc, char **argv)
{
	process_begin();
	blas_init(argv);
	const struct cli_tool tool = {
		.name = "item-project",
		.arguments = "[STREAM...]",
		.summary = "Turns the items of a catalog into vectors, and adds them to the stream as the group embedding.",
		.examples = examples,
		.options = options,
		.option = parse_option,
		.usage_without_input = true,
		.binary_output = true,
	};
	struct settings settings = {.from = -1};
	struct cli cli;
	cli_parse(&tool, argc, argv, &cli, &settings);
	blas_reserve(cli.threads);
	check_settings(&settings, &cli);

	struct project project = {.settings = &settings, .cli = &cli, .facts = json_object(), .measured = json_object()};
	struct bag_out *out = bag_create(cli.output, cli.level);
	load(&project, out);
	make[project.from](&project);
	check_finite(&project);
	json_set(project.facts, "standardised", json_boolean(settings.standardise));
	json_set(project.facts, "whitened", json_boolean(settings.whiten));
	if (settings.standardise)
		standardise_vectors(project.vectors, project.catalog.n_items, project.width, settings.whiten, cli.threads);
	embedding_write(out, &project.catalog, project.vectors, project.width, source_names[project.from], project.facts);
	cli_finish(&cli, out, measured(&project));

	free(project.vectors);
	json_decref(project.facts);
	json_decref(project.measured);
	model_group_free(&project.model);
	projector_group_free(&project.projector);
	tokenizer_group_free(&project.tokenizer);
	catalog_free(&project.catalog);
	return cli_done(&cli);
}
