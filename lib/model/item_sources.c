#include "model/item_sources.h"

#include <math.h>
#include <stdlib.h>

#include "data/item_tokens.h"
#include "data/weights.h"
#include "model/encoder.h"
#include "model/item_sources_parts.h"
#include "model/item_vectors.h"
#include "model/llm.h"
#include "model/text_encoder.h"
#include "model/tfidf.h"
#include "stream/progress.h"

/* The texts of the items, by the user's template or by this one. */
static struct item_texts *texts_of(struct item_vectors_job *job, const char *template)
{
	if (job->options.template)
		template = job->options.template;
	struct item_texts *texts = item_texts_new(&job->catalog, job->tokenizer.tokenizer, template);
	struct buffer text = {0};
	int64_t items = job->catalog.n_items, without = 0;
	for (int64_t item = 0; item < items; item++) {
		text.size = 0;
		item_text(texts, item, &text);
		without += !text.size;
	}
	buffer_free(&text);
	if (without == items)
		die("catalog: no text by the template '%s' in any of %s", item_texts_template(texts), counted(items, "items"));
	if (without)
		notice("warning: no text in %lld of %s; %s zero", (long long)without, counted(items, "items"),
			by_number(without, "its vector is", "their vectors are"));
	json_set(job->facts, "template", json_string(item_texts_template(texts)));
	json_set(job->measured, "textless_items", json_integer(without));
	return texts;
}

/* --- projector --- */

void take_vectors(struct item_vectors_job *job, int64_t width)
{
	job->width = width;
	job->vectors = xreallocarray(NULL, (size_t)(job->catalog.n_items * width), sizeof *job->vectors);
}

static void from_projector(struct item_vectors_job *job)
{
	if (!job->projector.group.complete)
		die("no projector in the stream: emb-align-train adds one; --from encoder, llm, tokens or tfidf need none");
	const struct projector *projector = job->projector.projector;
	projector_require_catalog(&job->projector, &job->catalog);
	take_vectors(job, projector->width);
	projector_vectors(projector, job->vectors);
	json_set(job->facts, "projector", json_string(projector_names[projector->kind]));
}

/* --- llm and tokens --- */

static struct model *open_llm(struct item_vectors_job *job)
{
	const char *path = job->options.llm;
	struct model *llm = path ? llm_open(path, LLM_READS) : job->model.model;
	if (!llm || !is_llm(llm))
		die("no LLM: --llm PATH was not given, and the stream has no language model");
	if (path)
		tokenizer_require(job->tokenizer.tokenizer, llm->belongs_to, path);
	else
		model_require_tokenizer(&job->model, &job->catalog);
	return llm;
}

/* What its own and the stream's tokenizer agree on may still be more than it has vectors for. */
static void check_vocabulary(const struct item_vectors_job *job, int64_t vectors)
{
	int64_t tokens = tokenizer_vocab_size(job->tokenizer.tokenizer);
	if (vectors < tokens)
		die("the LLM has %lld token vectors, its tokenizer %s", (long long)vectors, counted(tokens, "tokens"));
}

/* The tokens of the items' texts, at most `budget`, nor more than `longest` (0: no limit). */
static struct item_tokens tokens_of(struct item_vectors_job *job, const struct item_texts *texts,
	const struct tokenizer *tokenizer, bool add_special, int64_t budget, int64_t longest)
{
	if (longest && budget > longest)
		budget = longest;
	struct item_tokens tokens = item_texts_encode(texts, tokenizer, budget, add_special, job->threads);
	json_set(job->facts, "max_tokens", json_integer(budget));
	json_object_update_new(job->measured,
		json_build("{s:I, s:I, s:O}", "tokens", (json_int_t)tokens.indptr[tokens.rows], "texts_cut",
			(json_int_t)tokens.n_cut, "attributes_cut", tokens.cut));
	item_tokens_tell(&tokens);
	return tokens;
}

static enum packing packing(const struct item_vectors_job *job)
{
	return job->options.integers ? PACKED_INTEGERS : packing_of((enum precision)job->options.precision);
}

static void tell_speed(struct item_vectors_job *job, const struct item_tokens *tokens, double seconds)
{
	int64_t n = tokens->indptr[tokens->rows];
	double speed = (double)n / seconds;
	notice("%s, %.0f a second", counted(n, "tokens"), speed);
	json_set(job->facts, "integers", json_boolean(job->options.integers));
	json_set(job->measured, "tokens_a_second", json_real(speed));
}

static void from_llm(struct item_vectors_job *job)
{
	struct item_texts *texts = texts_of(job, NULL);
	struct model *llm = open_llm(job);
	check_vocabulary(job, llm->n_items);
	struct item_tokens tokens = tokens_of(job, texts, job->tokenizer.tokenizer, true, job->options.max_tokens,
		model_max_length(llm));
	take_vectors(job, llm->width);
	if (job->options.layer) {
		llm_read_layer(llm, job->options.layer);
		json_set(job->facts, "layer", json_integer(job->options.layer));
	}
	llm_pack_to_read(llm, packing(job));
	const enum precision before = products_in((enum precision)job->options.precision);
	double started = seconds_now();
	mean_hidden_states(llm, &tokens, job->vectors, job->threads);
	products_in(before);
	tell_speed(job, &tokens, seconds_now() - started);
	item_tokens_free(&tokens);
	item_texts_free(texts);
	if (job->options.llm)
		model_free(llm);
}

/* Of a file, only the token vectors are read. */
static float *read_token_vectors(const struct item_vectors_job *job, int64_t *vocabulary, int64_t *width)
{
	const char *path = job->options.llm;
	struct weights *weights = weights_open(path);
	char of_llm[17];
	weights_fingerprint(weights, of_llm);
	tokenizer_require(job->tokenizer.tokenizer, of_llm, path);
	float *table = token_vectors(weights, path, vocabulary, width);
	weights_close(weights);
	return table;
}

static void from_tokens(struct item_vectors_job *job)
{
	struct item_texts *texts = texts_of(job, NULL);
	const struct model *llm = job->options.llm ? NULL : open_llm(job);
	int64_t vocabulary = llm ? llm->n_items : 0, width = llm ? llm->width : 0;
	float *read = llm ? NULL : read_token_vectors(job, &vocabulary, &width);
	check_vocabulary(job, vocabulary);
	struct item_tokens tokens = tokens_of(job, texts, job->tokenizer.tokenizer, false, job->options.max_tokens, 0);
	take_vectors(job, width);
	mean_token_vectors(llm ? llm_token_vectors(llm) : read, width, &tokens, job->vectors, job->threads);
	item_tokens_free(&tokens);
	item_texts_free(texts);
	free(read);
}

/* --- encoder --- */

static void from_encoder(struct item_vectors_job *job)
{
	struct item_texts *texts = texts_of(job, NULL);
	struct text_encoder *encoder = text_encoder_open(job->options.encoder);
	int64_t longest = text_encoder_longest(encoder);
	int64_t budget = job->options.max_tokens ? job->options.max_tokens : longest;
	item_texts_begin(texts, text_encoder_prompt(encoder));
	struct item_tokens tokens = tokens_of(job, texts, text_encoder_tokenizer(encoder), true, budget, longest);
	take_vectors(job, text_encoder_width(encoder));
	text_encoder_pack(encoder, packing(job) == PACKED_NOT ? PACKED_PANELS : packing(job));
	const enum precision before = products_in((enum precision)job->options.precision);
	double started = seconds_now();
	text_encoder_vectors(encoder, &tokens, job->vectors, job->threads);
	products_in(before);
	tell_speed(job, &tokens, seconds_now() - started);
	json_set(job->facts, "pooling", json_string(text_encoder_pooling(encoder)));
	json_set(job->facts, "prompt", json_string(text_encoder_prompt(encoder)));
	item_tokens_free(&tokens);
	item_texts_free(texts);
	text_encoder_free(encoder);
}

/* --- tfidf --- */

static void from_tfidf(struct item_vectors_job *job)
{
	char *template = item_template_of_values(&job->catalog);
	struct item_texts *texts = texts_of(job, template);
	struct tfidf tfidf = tfidf_new(texts, job->threads);
	int64_t width = job->options.width;
	if (!tfidf.words)
		die("catalog: no words in the texts");
	int64_t wordless = tfidf_wordless(&tfidf);
	if (wordless > json_integer_value(json_object_get(job->measured, "textless_items")))
		notice("warning: no words in %lld of %s; %s zero", (long long)wordless, counted(tfidf.items, "items"),
			by_number(wordless, "its vector is", "their vectors are"));
	struct projection projection = tfidf_project(&tfidf, width, job->seed, job->threads);
	if (projection.width < width)
		notice("%s instead of %lld: the texts have no more", counted(projection.width, "dimensions"), (long long)width);
	notice("%s; %s %s %.1f %% of the sum of squares", counted(tfidf.words, "words"),
		counted(projection.width, "dimensions"), by_number(projection.width, "holds", "hold"), 100 * projection.share);
	json_object_update_new(job->measured,
		json_build("{s:I, s:I, s:I, s:f, s:i}", "wordless_items", (json_int_t)wordless, "words",
			(json_int_t)tfidf.words, "weights", (json_int_t)tfidf.indptr[tfidf.items], "share_of_squares",
			projection.share, "iterations", projection.iterations));
	job->width = projection.width;
	job->vectors = projection.vectors;
	free(projection.singular);
	tfidf_free(&tfidf);
	item_texts_free(texts);
	free(template);
}

/* --- recformer --- */

void from_recformer(struct item_vectors_job *job)
{
	struct model *model = job->model.model;
	if (!job->model.group.complete || !model->architecture->encode)
		die("no Recformer in the stream; seq-train --task pretrain makes one");
	model_require_tokenizer(&job->model, &job->catalog);
	encoder_read(model, &job->catalog);
	job->width = model->width;
	job->vectors = xaligned((size_t)(job->catalog.n_items * model->width), sizeof *job->vectors);
	double started = seconds_now();
	encoder_items(model, job->vectors);
	notice("%s encoded in %.1f s", counted(job->catalog.n_items, "items"), seconds_now() - started);
	json_set(job->facts, "model", json_string(job->model.group.id));
	json_set(job->measured, "encoding_seconds", json_real(seconds_now() - started));
}

/* --- all sources --- */

/* clang-format off */
#define TEMPLATE_OPTION {"template", .argument = "TEXT", TEXT_OPTION(struct source_options, template), \
	.help = "An item's text, with attributes in braces: '{title} by {brand}' (default: all of them)"}
#define MAX_TOKENS_OPTION .argument = "N", WHOLE_OPTION(struct source_options, max_tokens, 1, 1 << 20)
#define LLM_OPTION {"llm", .argument = "PATH", FILE_OPTION(struct source_options, llm), \
	.help = "The LLM: a GGUF file or a Hugging Face folder (default the stream's model)"}
#define PRODUCTS_OPTIONS {"integers", FLAG_OPTION(struct source_options, integers), \
	.help = "With matrices in integers: faster, and nearly the same"}, \
	PRECISION_OPTION(struct source_options, precision)
/* clang-format on */

static const struct option no_options[] = {{0}};

static const struct option encoder_options[] = {
	{"encoder", .argument = "PATH", FILE_OPTION(struct source_options, encoder),
		.help = "The sentence encoder: a folder as sentence-transformers or Hugging Face have it, or a GGUF file"},
	TEMPLATE_OPTION,
	{"max-tokens", MAX_TOKENS_OPTION, .help = "Of an item's text (default as the encoder was made for)"},
	PRODUCTS_OPTIONS,
	{0},
};

static const struct option tokens_options[] = {
	LLM_OPTION,
	TEMPLATE_OPTION,
	{"max-tokens", MAX_TOKENS_OPTION, .fallback = "64", .help = "Of an item's text"},
	{0},
};

static const struct option llm_options[] = {
	{.kind = OPTION_INCLUDE, .included = tokens_options},
	{"layer", .argument = "N", WHOLE_OPTION(struct source_options, layer, 1, 1024),
		.help = "Take the states behind layer N, without the last norm (default the last)"},
	PRODUCTS_OPTIONS,
	{0},
};

static const struct option file_options[] = {
	{"vectors", .argument = "FILE", FILE_OPTION(struct source_options, vectors),
		.help = "A .npy of floats, a row for each item"},
	{"ids", .argument = "FILE", FILE_OPTION(struct source_options, ids), .may_be_stdin = true,
		.help = "The items' ids, a line for each row"},
	{0},
};

static const struct option tfidf_options[] = {
	TEMPLATE_OPTION,
	{"width", .argument = "N", WHOLE_OPTION(struct source_options, width, 1, 4096), .fallback = "300",
		.help = "Of the vectors"},
	{0},
};

const char *const item_source_names[] = {[SOURCE_PROJECTOR] = "projector",
	[SOURCE_RECFORMER] = "recformer",
	[SOURCE_MODEL] = "model",
	[SOURCE_FILE] = "file",
	[SOURCE_ENCODER] = "encoder",
	[SOURCE_LLM] = "llm",
	[SOURCE_TOKENS] = "tokens",
	[SOURCE_TFIDF] = "tfidf",
	[N_SOURCES] = NULL};

const struct item_source item_sources[N_SOURCES] = {
	[SOURCE_PROJECTOR] = {"What emb-align-train learned", no_options, .takes_projector = true, .make = from_projector},
	[SOURCE_RECFORMER] = {"The items' sentences, encoded by a Recformer", no_options, .takes_model = true,
		.make = from_recformer},
	[SOURCE_MODEL] = {"The vectors that a trained model scores items by", no_options, .takes_model = true,
		.make = from_model},
	[SOURCE_FILE] = {"Vectors made elsewhere, matched by the items' ids", file_options, .make = from_file},
	[SOURCE_ENCODER] = {"A sentence encoder reads an item's text", encoder_options, .make = from_encoder},
	[SOURCE_LLM] = {"The mean of an LLM's hidden states over an item's text", llm_options, .takes_model = true,
		.make = from_llm},
	[SOURCE_TOKENS] = {"The mean of an LLM's token vectors over an item's text", tokens_options, .takes_model = true,
		.make = from_tokens},
	[SOURCE_TFIDF] = {"The words of the text, cut down by a truncated SVD", tfidf_options, .make = from_tfidf},
};

int item_source_of_stream(const struct item_vectors_job *job)
{
	bool has_encoder = job->model.group.complete && job->model.model->architecture->encode;
	return has_encoder && !job->projector.group.complete ? SOURCE_RECFORMER : SOURCE_PROJECTOR;
}

void item_vectors_make(struct item_vectors_job *job, int source)
{
	job->facts = json_object();
	job->measured = json_object();
	item_sources[source].make(job);
	for (int64_t i = 0; i < job->catalog.n_items * job->width; i++)
		if (!isfinite(job->vectors[i]))
			die("%s: the vector of item %s is not finite", item_source_names[source],
				strings_at(&job->catalog.item_id, i / job->width));
}

void item_vectors_free(struct item_vectors_job *job)
{
	free(job->vectors);
	json_decref(job->facts);
	json_decref(job->measured);
	model_group_free(&job->model);
	projector_group_free(&job->projector);
	embedding_free(&job->beside);
	tokenizer_group_free(&job->tokenizer);
	catalog_free(&job->catalog);
}
