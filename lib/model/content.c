#include "model/content.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/item_text.h"
#include "model/encoder.h"
#include "model/item_vectors.h"
#include "model/tfidf.h"
#include "model/unmet.h"
#include "nn/vec.h"
#include "stream/progress.h"

static const char *const text_names[] = {"none", "words", "embedding", NULL};
#define OF_VECTORS "text=embedding"

static void no_text(void *values)
{
	((struct content_options *)values)->text = CONTENT_NONE;
}

const struct option content_options[] = {
	{.key = "decay",
		REAL_OPTION(struct content_options, decay, 0, 1),
		.fallback = "0.7",
		.help = "How much an item of a history counts of the one after it"},
	{.key = "text",
		CHOICE_OPTION(struct content_options, text, text_names),
		.derive = no_text,
		.fallback = "the embedding, where the stream has one, else the words, where items have texts",
		.help = "What items are like each other by, besides events: embedding, words or none"},
	{.key = "text_weight",
		REAL_OPTION(struct content_options, weight, 0, 1e6),
		.derive = option_depends,
		.fallback = "chosen on the validation items",
		.only = "text=words|embedding",
		.help = "Of that cosine beside the other scores"},
	{.key = "text_unmet",
		REAL_OPTION(struct content_options, unmet, 0, 1e6),
		.fallback = NUMBER_TEXT(UNMET_WORTH),
		.only = "text=words|embedding",
		.help = "Of the scores of items that no event has, what their cosine makes up for"},
	{.key = "text_whiten",
		YES_NO_OPTION(struct content_options, whiten),
		.fallback = "yes",
		.only = OF_VECTORS,
		.help = "The embedding with mean 0, variance 1 and no correlations"},
	{.key = "text_width", WHOLE_OPTION(struct content_options, width, 0, 1 << 20), .fallback = "0"},
	{.key = "text_source", TEXT_OPTION(struct content_options, source), .fallback = ""},
	{0},
};

struct content {
	struct content_options *options;
	int64_t items; /* of the catalog */
	/* words */
	struct tfidf words;
	struct sparse items_of_word;
	/* vectors of unit length, or zero */
	const struct param *param; /* of the model's own items */
	const float *vectors;
	float *made;  /* what vectors point to where they are not the model's own */
	float *unmet; /* by item: unmet_shares(); NULL: not known, and nothing is completed */
};

/* --- a model's --- */

void content_declare(struct model *model, struct content_options *options)
{
	if (options->text == CONTENT_NONE)
		return;
	struct content *content = xcalloc(1, sizeof *content);
	content->options = options;
	if (options->text == CONTENT_EMBEDDING)
		content->param = params_add(&model->params, model->n_items, options->width, true, "text.vector");
	model->content = content;
}

void content_free(struct content *content)
{
	if (!content)
		return;
	tfidf_free(&content->words);
	sparse_free(&content->items_of_word);
	free(content->made);
	free(content->unmet);
	free(content);
}

double content_weight(const struct content *content)
{
	return content->options->weight;
}

void content_set_weight(struct model *model, double weight)
{
	model->content->options->weight = weight;
	json_set(model->config, "text_weight", json_real(weight));
}

/* --- what the stream has --- */

static bool has_texts(const struct item_groups *groups)
{
	return groups->catalog->text;
}

/* All values of all attributes; to be freed. */
static struct item_texts *texts_of(const struct item_groups *groups)
{
	char *template = item_template_of_values(groups->catalog);
	struct item_texts *texts = item_texts_new(groups->catalog, NULL, template);
	free(template);
	return texts;
}

static bool has_words(const struct item_groups *groups)
{
	if (!has_texts(groups))
		return false;
	struct item_texts *texts = texts_of(groups);
	const bool any = tfidf_any_word(texts);
	item_texts_free(texts);
	return any;
}

static const char *source_of(const struct embedding *embedding)
{
	return json_get_string(embedding->group.meta, "source", "embedding/meta.json");
}

static int text_of_stream(const struct item_groups *groups)
{
	if (groups->embedding->group.complete)
		return CONTENT_EMBEDDING;
	return has_words(groups) ? CONTENT_WORDS : CONTENT_NONE;
}

bool content_choose(json_t *config, const struct item_groups *groups)
{
	const struct embedding *embedding = groups->embedding;
	bool are_left_out = false;
	if (!json_object_get(config, "text")) {
		const int of_stream = text_of_stream(groups);
		json_set(config, "text", json_string(text_names[of_stream]));
		are_left_out = of_stream == CONTENT_NONE && has_texts(groups);
	}
	const char *text = json_string_value(json_object_get(config, "text"));
	if (!strcmp(text, "embedding")) {
		if (!embedding->group.complete)
			die("--set text=embedding: no embedding in the stream; item-project adds one");
		json_set(config, "text_width", json_integer(embedding->width));
		json_set(config, "text_source", json_string(source_of(embedding)));
	} else if (!strcmp(text, "words") && !has_texts(groups)) {
		die("--set text=words: the stream has no items with text; seq-tokenize --items gives them one");
	} else if (!strcmp(text, "words") && !has_words(groups)) {
		die("--set text=words: there is no word in the texts of the items; --set text=none goes by events alone");
	}
	return !are_left_out;
}

/* --- words and vectors --- */

static void read_words(struct content *content, const struct item_groups *groups)
{
	if (!has_texts(groups))
		die("catalog of %s: no texts of the items, as they were read; seq-tokenize --items gives them",
			group_source(&groups->catalog->group));
	struct item_texts *texts = texts_of(groups);
	content->words = tfidf_new(texts, groups->threads);
	if (!content->words.words)
		die("catalog of %s: no words in the texts of its items", group_source(&groups->catalog->group));
	const struct sparse words = tfidf_matrix(&content->words);
	content->items_of_word = sparse_transpose(&words);
	item_texts_free(texts);
}

/* The vectors of an embedding of the catalog, as they are compared. */
static void take_vectors(const struct content *content, const struct item_groups *groups, float *vectors)
{
	const struct embedding *embedding = groups->embedding;
	memcpy(vectors, embedding->vector, (size_t)(embedding->rows * embedding->width) * sizeof *vectors);
	if (content->options->whiten)
		standardise_vectors(vectors, embedding->rows, embedding->width, 1, groups->threads);
	unit_length(vectors, embedding->rows, embedding->width);
}

void content_learn(struct model *model, const struct item_groups *groups)
{
	struct content *content = model->content;
	if (content->param)
		take_vectors(content, groups, content->param->value);
	content_read(model, groups, NULL);
}

/* Whether the stream's embedding is one of this catalog, and made as the model's was. */
static bool is_alike(const struct content *content, const struct item_groups *groups)
{
	const struct embedding *embedding = groups->embedding;
	if (!embedding || !embedding->group.complete || strcmp(embedding->catalog, groups->catalog->fingerprint))
		return false;
	if (embedding->width == content->options->width && !strcmp(source_of(embedding), content->options->source))
		return true;
	warn("embedding of %s: %lld wide, from %s: the model's items are known by vectors %lld wide, from %s, "
		 "and new ones by "
		 "none",
		group_source(&embedding->group), (long long)embedding->width, source_of(embedding),
		(long long)content->options->width, content->options->source);
	return false;
}

/* Vectors of another catalog's items: all of them anew, or those of the items that the model knows. */
static void make_vectors(struct content *content, const struct item_groups *groups, const int32_t *own_row)
{
	const int64_t width = content->options->width;
	content->made = xaligned((size_t)(content->items * width), sizeof *content->made);
	content->vectors = content->made;
	if (is_alike(content, groups)) {
		embedding_check(groups->embedding, groups->catalog);
		take_vectors(content, groups, content->made);
		return;
	}
	for (int64_t item = 0; item < content->items; item++)
		if (own_row[item] >= 0)
			memcpy(content->made + item * width, content->param->value + own_row[item] * width,
				(size_t)width * sizeof *content->made);
}

void content_read(struct model *model, const struct item_groups *groups, const int32_t *own_row)
{
	struct content *content = model->content;
	model->catalog = groups->catalog;
	model->own_row = own_row;
	content->items = groups->catalog->n_items;
	content->unmet = unmet_shares_of(model, own_row, content->items);
	if (!content->param)
		read_words(content, groups);
	else if (own_row)
		make_vectors(content, groups, own_row);
	else
		content->vectors = content->param->value;
}

bool content_knows(const struct content *content, int64_t item)
{
	if (!content->param)
		return content->words.indptr[item + 1] > content->words.indptr[item];
	const int64_t width = content->options->width;
	return vec_sum_of_squares(content->vectors + item * width, width) > 0;
}

/* --- scores --- */

double history_weight(double decay, int64_t back)
{
	return pow(decay, (double)back);
}

int64_t history_reach(double decay, int64_t length)
{
	int64_t reach = 0;
	while (reach < length && history_weight(decay, reach) > FLT_EPSILON / 16)
		reach++;
	return reach;
}

/* One history, by words: its own are summed up by word, then those of the items that have them. */
static void score_by_words(const struct content *content, const int32_t *latest, int64_t reach, float *sum,
	int32_t *touched, float *scores)
{
	const struct tfidf *words = &content->words;
	const struct sparse *index = &content->items_of_word;
	int64_t n = 0;
	double squares = 0;
	for (int64_t back = 0; back < reach; back++) {
		const int32_t item = latest[-back];
		const float much = (float)history_weight(content->options->decay, back);
		for (int64_t i = words->indptr[item]; i < words->indptr[item + 1]; i++) {
			if (sum[words->word[i]] == 0)
				touched[n++] = words->word[i];
			sum[words->word[i]] += much * words->weight[i];
		}
	}
	for (int64_t i = 0; i < n; i++)
		squares += (double)sum[touched[i]] * (double)sum[touched[i]];
	const float scale = squares > 0 ? 1 / (float)sqrt(squares) : 0;
	for (int64_t i = 0; i < n; i++) {
		const int32_t word = touched[i];
		for (int64_t at = index->indptr[word]; at < index->indptr[word + 1]; at++)
			scores[index->column[at]] += scale * sum[word] * index->value[at];
		sum[word] = 0;
	}
}

static void score_by_vectors(const struct content *content, const int32_t *latest, int64_t reach, float *profile,
	float *scores)
{
	const int64_t width = content->options->width;
	memset(profile, 0, (size_t)width * sizeof *profile);
	for (int64_t back = 0; back < reach; back++)
		vec_axpy((float)history_weight(content->options->decay, back), content->vectors + latest[-back] * width,
			profile, width);
	unit_length(profile, 1, width);
	for (int64_t item = 0; item < content->items; item++)
		scores[item] = vec_dot(profile, content->vectors + item * width, width);
}

void content_scores(const struct content *content, const struct histories *histories, float *scores)
{
	memset(scores, 0, (size_t)(histories->rows * content->items) * sizeof *scores);
	const int64_t room = content->param ? content->options->width : content->words.words;
#pragma omp parallel if (histories->rows > 1)
	{
		float *sum = xaligned((size_t)room, sizeof *sum);
		int32_t *touched = content->param ? NULL : xreallocarray(NULL, (size_t)room, sizeof *touched);
#pragma omp for schedule(dynamic, 4)
		for (int64_t row = 0; row < histories->rows; row++) {
			const int64_t end = histories->indptr[row + 1];
			const int64_t reach = history_reach(content->options->decay, end - histories->indptr[row]);
			if (!reach)
				continue;
			const int32_t *latest = histories->item + end - 1;
			float *of_row = scores + row * content->items;
			if (content->param)
				score_by_vectors(content, latest, reach, sum, of_row);
			else
				score_by_words(content, latest, reach, sum, touched, of_row);
		}
		free(sum);
		free(touched);
	}
}

void content_complete(const struct content *content, const struct histories *histories, const float *cosines,
	float *own)
{
	if (content->unmet && content->options->unmet > 0)
		unmet_complete(own, cosines, content->items, content->unmet, content->options->unmet, histories);
}

void content_add(const struct content *content, const struct histories *histories, float *own)
{
	const int64_t entries = histories->rows * content->items;
	float *cosines = xaligned((size_t)entries, sizeof *cosines);
	content_scores(content, histories, cosines);
	content_complete(content, histories, cosines, own);
	vec_axpy((float)content->options->weight, cosines, own, entries);
	free(cosines);
}
