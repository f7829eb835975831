/*
 * Recformer: equal to the public code (golden/recformer.py), its operations to their own finite differences, and
 * histories as the paper writes them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#define GOLDEN "tests/golden/recformer.tar.zst"
#include "differences.h"
#include "golden_model.h"
#include "model/encoder.h"
#include "model/recformer_start.h"
#include "nn/loss.h"
#include "nn/ops.h"
#include "nn/rows.h"
#include "nn/window.h"
#include "task/masking.h"
#include "task/pretrain.h"

/* --- the public code's numbers --- */

static const char *const cases[] = {"narrow", "paper", "one"};

struct golden_case {
	const char *name;
	json_t *document;
	struct model *model;
};

static struct golden_case open_case(const char *name)
{
	struct golden_case c = {.name = name, .document = golden_document(name)};
	json_t *config = json_deep_copy(json_object_get(c.document, "config"));
	c.model = golden_model(name, c.document, config, json_get_int(config, "vocab_size", 1, 100, name));
	return c;
}

static void close_case(struct golden_case *c)
{
	model_free(c->model);
	json_decref(c->document);
}

/* Memory that sentences_free() frees. */
static struct sentences golden_sentences(const char *name, const char *side)
{
	char group[64];
	snprintf(group, sizeof group, "%s/%s", name, side);
	struct sentences s = {.indptr = golden_array(group, "indptr.npy", I8),
		.token = golden_array(group, "token.npy", I4),
		.item = golden_array(group, "item.npy", I4)};
	s.rows = golden_find(group, "indptr.npy")->tensor.shape[0] - 1;
	s.tokens = s.indptr[s.rows];
	s.type = xcalloc((size_t)s.tokens, sizeof *s.type);
	const uint8_t *kind = golden_find(group, "kind.npy")->tensor.data;
	for (int64_t t = 0; t < s.tokens; t++)
		s.type[t] = kind[t];
	return s;
}

static void compare_loss(const struct golden_case *c, double loss, const char *name)
{
	char group[64];
	snprintf(group, sizeof group, "%s/%s", c->name, name);
	double expected = golden_number(group, "loss.npy");
	if (!(fabs(loss - expected) <= 1e-5 * expected))
		fail_msg("%s: loss %.9g, the public code's is %.9g", group, loss, expected);
}

static void compare_states(const struct golden_case *c, const struct array *states, const char *what)
{
	float *expected = golden_array(c->name, what, F4);
	assert_near(states->value, expected, states->rows * states->columns, 1e-5, what);
	free(expected);
}

/* Starts a tape with gradients of zero, which the caller frees. */
static float *begin(struct tape *tape, const struct golden_case *c)
{
	float *gradient = xaligned((size_t)c->model->params.trainable, sizeof *gradient);
	tape_begin(tape, gradient, 1, 0);
	return gradient;
}

static void test_contrast(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct golden_case c = open_case(cases[i]);
		struct sentences a = golden_sentences(c.name, "a"), b = golden_sentences(c.name, "b");
		struct tape tape = {0};
		float *gradient = begin(&tape, &c), inverse = 1 / (float)recformer_temperature(c.model);
		struct array *of_a = recformer_pooled(&tape, c.model, &a), *of_b = recformer_pooled(&tape, c.model, &b);
		compare_states(&c, of_a, "a/pooled.npy");
		compare_states(&c, of_b, "b/pooled.npy");
		int32_t target[16];
		for (int32_t row = 0; row < a.rows; row++)
			target[row] = row;
		double loss = full_cross_entropy(&tape, unit_rows(&tape, of_a, inverse), unit_rows(&tape, of_b, 1), target,
			1 / (float)a.rows);
		compare_loss(&c, loss / (double)a.rows, "contrast");
		tape_backward(&tape);
		compare_gradients(c.name, c.document, c.model, "contrast", gradient, 2e-5);
		tape_free(&tape);
		free(gradient);
		sentences_free(&a);
		sentences_free(&b);
		close_case(&c);
	}
}

static void test_finetune(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct golden_case c = open_case(cases[i]);
		struct sentences a = golden_sentences(c.name, "a");
		struct tape tape = {0};
		float *gradient = begin(&tape, &c), *items = golden_array(c.name, "finetune/items.npy", F4);
		int32_t *target = golden_array(c.name, "finetune/target.npy", I4);
		struct array table = {.rows = 23, .columns = c.model->width, .stride = c.model->width, .value = items};
		struct array *pooled = recformer_pooled(&tape, c.model, &a);
		double loss = full_cross_entropy(&tape, unit_rows(&tape, pooled, 1 / (float)recformer_temperature(c.model)),
			unit_rows(&tape, &table, 1), target, 1 / (float)a.rows);
		compare_loss(&c, loss / (double)a.rows, "finetune");
		tape_backward(&tape);
		compare_gradients(c.name, c.document, c.model, "finetune", gradient, 2e-5);
		tape_free(&tape);
		free(gradient);
		free(items);
		free(target);
		sentences_free(&a);
		close_case(&c);
	}
}

static void test_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct golden_case c = open_case(cases[i]);
		struct sentences s = golden_sentences(c.name, "mlm");
		int32_t *label = golden_array(c.name, "mlm/label.npy", I4), *target = xcalloc((size_t)s.tokens, sizeof *target);
		int64_t *chosen = xcalloc((size_t)s.tokens, sizeof *chosen), n = 0;
		struct tape tape = {0};
		float *gradient = begin(&tape, &c);
		for (int64_t t = 0; t < s.tokens; t++)
			chosen[t] = t;
		compare_states(&c, recformer_states(&tape, c.model, &s, chosen, s.tokens), "mlm/hidden.npy");
		tape_begin(&tape, gradient, 1, 0);
		for (int64_t t = 0; t < s.tokens; t++)
			if (label[t] >= 0) {
				chosen[n] = t;
				target[n++] = label[t];
			}
		struct array *words = recformer_words(&tape, c.model, recformer_states(&tape, c.model, &s, chosen, n));
		double loss = biased_cross_entropy(&tape, words, recformer_word_vectors(&tape, c.model),
			recformer_word_bias(&tape, c.model), target, 1 / (float)n);
		compare_loss(&c, loss / (double)n, "words");
		tape_backward(&tape);
		compare_gradients(c.name, c.document, c.model, "words", gradient, 2e-5);
		tape_free(&tape);
		free(gradient);
		free(label);
		free(target);
		free(chosen);
		sentences_free(&s);
		close_case(&c);
	}
}

/* --- finite differences --- */

#define D 6
#define N 120

static const int64_t indptr[] = {7, 8, 13, 13 + N - 8, 7 + N - 1, 7 + N};
static int32_t ids[N];

static struct array *build_window(struct tape *tape, struct array *const p[])
{
	const struct lookup lookups[] = {{p[0], ids, 2}, {p[1], ids, -1}};
	const struct window window = {.heads = 2, .reach = 4, .indptr = indptr, .sequences = 5, .dropout = .3f};
	const int64_t firsts[] = {0, 1, 6, N - 2, N - 1};
	struct array *x = dropped(tape, embedding_sum(tape, lookups, 2, N), .2f);
	struct array *qkv = linear(tape, x, p[2], NULL, ACT_NONE, 0);
	int64_t *rows = arena_take(&tape->arena, 5, 1, sizeof *rows);
	memcpy(rows, firsts, sizeof firsts);
	struct array *first = linear(tape, chosen_rows(tape, x, rows, 5), p[3], p[4], ACT_NONE, 0);
	first = global_attention(tape, x, first, p[5], p[6], p[7], &window);
	return window_attention(tape, tape_columns(tape, qkv, 0, D), tape_columns(tape, qkv, D, D),
		tape_columns(tape, qkv, 2 * D, D), first, &window);
}

static struct array *build_unit(struct tape *tape, struct array *const p[])
{
	const struct lookup lookups[] = {{p[0], ids, -1}};
	return unit_rows(tape, embedding_sum(tape, lookups, 1, N), 1.7f);
}

static const struct shape shapes[] = {{5, D}, {5, D}, {3 * D, D}, {D, D}, {0, D}, {D, D}, {D, D}, {0, D}};

static void test_finite_differences(void **state)
{
	(void)state;
	struct differences all = {.shapes = shapes, .count = COUNT_OF(shapes), .tolerance = 3e-3};
	struct rng rng;
	rng_seed(&rng, 3);
	for (int i = 0; i < N; i++)
		ids[i] = (int32_t)rng_below(&rng, 5);
	differences_of(&all, build_unit, "unit rows");
	all.fixed = 2 * D; /* padding */
	all.n_fixed = D;
	differences_of(&all, build_window, "window and global attention");
}

/* --- sentences --- */

/* Items of the catalog: attributes and tokens "key value value ..."; -1 ends an attribute, -2 an item. */
static struct catalog catalog_of(const int *codes)
{
	struct catalog c = {.group.complete = true};
	int64_t room = 0;
	for (const int *code = codes; *code != -3; code++)
		room++;
	c.indptr = xcalloc((size_t)room + 1, sizeof *c.indptr);
	c.input_ids = xcalloc((size_t)room, sizeof *c.input_ids);
	c.token_type_ids = xcalloc((size_t)room, 1);
	c.attribute = xcalloc((size_t)room, 1);
	uint8_t attribute = 0;
	bool key = true;
	for (const int *code = codes; *code != -3; code++) {
		if (*code == -2) {
			c.indptr[++c.n_items] = c.n_tokens;
			attribute = 0;
			key = true;
		} else if (*code == -1) {
			attribute++;
			key = true;
		} else {
			c.input_ids[c.n_tokens] = *code;
			c.attribute[c.n_tokens] = attribute;
			c.token_type_ids[c.n_tokens++] = key ? 1 : 2;
			key = false;
		}
	}
	return c;
}

static void is_sentence(const struct sentences *s, int64_t row, const char *expected)
{
	char text[512] = "";
	size_t used = 0;
	for (int64_t t = s->indptr[row]; t < s->indptr[row + 1]; t++)
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%d/%d/%d", t > s->indptr[row] ? " " : "",
			s->token[t], s->type[t], s->item[t]);
	assert_string_equal(text, expected);
}

static void test_sentences(void **state)
{
	(void)state;
	/* item 0: three attributes and a fourth; item 1: one of five tokens; item 2: no text */
	struct catalog c = catalog_of(
		(const int[]){10, 11, -1, 20, 21, 22, -1, 30, 31, -1, 40, 41, -2, 50, 51, 52, 53, 54, -2, -2, -3});
	struct sentence_limits limits = {.attributes = 3, .attribute_tokens = 3, .items = 2, .tokens = 100, .closing = -1};
	struct sentences s = {0};
	sentences_add(&s, &c, &limits, 7, (const int32_t[]){0, 1}, 2);
	sentences_add(&s, &c, &limits, 7, NULL, 0);
	sentences_add(&s, &c, &limits, 7, (const int32_t[]){0, 0, 1, 2}, 4);
	is_sentence(&s, 0, "7/0/0 50/1/1 51/2/1 52/2/1 10/1/2 11/2/2 20/1/2 21/2/2 22/2/2 30/1/2 31/2/2");
	is_sentence(&s, 1, "7/0/0");
	is_sentence(&s, 2, "7/0/0 50/1/2 51/2/2 52/2/2"); /* the latest item is counted, though it has no text */
	limits.tokens = 6;
	sentences_add(&s, &c, &limits, 7, (const int32_t[]){0, 1}, 2);
	is_sentence(&s, 3, "7/0/0 50/1/1 51/2/1 52/2/1 10/1/2 11/2/2");
	sentences_copy(&s, &s, 3);
	is_sentence(&s, 4, "7/0/0 50/1/1 51/2/1 52/2/1 10/1/2 11/2/2");
	struct sentences part = sentences_part(&s, 1, 3);
	assert_int_equal(part.rows, 2);
	assert_int_equal(part.tokens, 5);
	sentences_free(&s);
	catalog_free(&c);
}

/* --- masks --- */

static struct tokenizer *learned_tokenizer(void)
{
	struct learner *learner = learner_new();
	const char *texts[] = {"title", "brand", "red pen", "blue ink, red ink", "redder pens", "Bic"};
	for (int repeat = 0; repeat < 3; repeat++)
		for (size_t i = 0; i < COUNT_OF(texts); i++)
			learner_add(learner, texts[i], strlen(texts[i]));
	return learner_finish(learner, 300);
}

static void test_masks(void **state)
{
	(void)state;
	struct tokenizer *tokenizer = learned_tokenizer();
	struct tokenize_worker *worker = tokenize_worker_new(tokenizer, (struct tokenize_options){0});
	struct buffer text = {0};
	int32_t bos = tokenizer_special(tokenizer, SPECIAL_BOS), mask = tokenizer_special(tokenizer, SPECIAL_MASK);
	buffer_append(&text, &bos, sizeof bos);
	for (int i = 0; i < 40; i++)
		tokenize(worker, "blue ink, red pens red", 22, -1, &text);
	int64_t n = (int64_t)(text.size / sizeof(int32_t));
	int32_t *token = (int32_t *)(void *)text.data, *masked = xcalloc((size_t)n, 4), *label = xcalloc((size_t)n, 4);
	struct masker *masker = masker_new(tokenizer, .15);
	assert_int_equal(masker_token(masker), mask);
	struct rng rng;
	rng_seed(&rng, 5);
	int64_t taken = 0, as_mask = 0, as_is = 0, rounds = 200;
	for (int64_t round = 0; round < rounds; round++) {
		int64_t count = mask_words(masker, &rng, token, n, masked, label), seen = 0;
		for (int64_t i = 0; i < n; i++) {
			const char *spelling = tokenizer_token(tokenizer, token[i]);
			bool starts = i == 1 || !strncmp(spelling, "Ġ", 2) || *spelling == ',';
			/* words whole: what continues a word is taken with it */
			if (i > 1 && !starts)
				assert_int_equal(label[i] >= 0, label[i - 1] >= 0);
			assert_true(label[i] == -1 ? masked[i] == token[i] : label[i] == token[i]);
			seen += label[i] >= 0;
			as_mask += label[i] >= 0 && masked[i] == mask;
			as_is += label[i] >= 0 && masked[i] == token[i];
		}
		assert_int_equal(label[0], -1);
		assert_int_equal(seen, count);
		assert_true(count <= (int64_t)(.15 * (double)n + .5));
		taken += count;
	}
	double share = (double)taken / (double)(rounds * n);
	assert_true(share > .13 && share <= .151);
	assert_true(fabs((double)as_mask / (double)taken - .8) < .02);
	assert_true(fabs((double)as_is / (double)taken - .1) < .015);
	masker_free(masker);
	tokenize_worker_free(worker);
	tokenizer_free(tokenizer);
	buffer_free(&text);
	free(masked);
	free(label);
}

/* --- sizes, published weights --- */

static void test_counts(void **state)
{
	(void)state;
	/* the paper's size but for the layers, of which there is one of 8,859,648 parameters */
	const char *text = "{\"architecture\": \"recformer\", \"hidden_size\": 768, \"num_attention_heads\": 12, "
					   "\"num_hidden_layers\": 1, \"max_position_embeddings\": 4098, \"word_head\": false}";
	struct model *model = model_new(json_parse(text, strlen(text), "test"), 50265, "0123456789abcdef", "test");
	assert_int_equal(model->params.size, 148110336 - 11 * 8859648);
	model_free(model);
}

static void write_file(const char *path, const struct golden_member *member)
{
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(member->bytes, 1, member->size, file), member->size);
	fclose(file);
}

/* A model of the vocabulary's size whose tokens are letters. */
static struct tokenizer *tokenizer_of_size(int64_t size)
{
	struct buffer text = {0};
	const char *head =
		"{\"version\": \"1.0\", \"added_tokens\": [], \"normalizer\": null, "
		"\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, "
		"\"use_regex\": true}, \"decoder\": {\"type\": \"ByteLevel\"}, "
		"\"model\": {\"type\": \"BPE\", \"vocab\": {\"<s>\": 0, \"<pad>\": 1, \"</s>\": 2, \"<unk>\": 3, \"<mask>\": 4";
	buffer_append(&text, head, strlen(head));
	for (int64_t i = 5; i < size; i++) {
		char entry[32];
		int length = snprintf(entry, sizeof entry, ", \"%c%c\": %lld", 'a' + (char)(i % 26), 'a' + (char)(i / 26),
			(long long)i);
		buffer_append(&text, entry, (size_t)length);
	}
	buffer_append(&text, "}, \"merges\": []}}", 18);
	json_t *document = json_parse(text.data, strlen(text.data), "test");
	struct tokenizer *tokenizer = tokenizer_from_json(document, "test");
	json_decref(document);
	buffer_free(&text);
	return tokenizer;
}

static void test_published_weights(void **state)
{
	(void)state;
	char folder[] = "/tmp/recpipe-test-XXXXXX", path[64];
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/config.json", folder);
	write_file(path, golden_find("narrow", "checkpoint/config.json"));
	snprintf(path, sizeof path, "%s/model.safetensors", folder);
	write_file(path, golden_find("narrow", "checkpoint/model.safetensors"));
	struct golden_case c = open_case("narrow");
	struct tokenizer *tokenizer = tokenizer_of_size(41);
	struct rng rng;
	rng_seed(&rng, 1);
	const struct recformer_from from = {.size = -1, .weights = folder};
	struct recformer_start start = {.config = json_object(), .tokenizer = tokenizer, .rng = &rng, .from = &from};
	struct model *model = recformer_started(&start, false);
	assert_int_equal(model->params.size, c.model->params.size);
	for (int i = 0; i < model->params.count; i++) {
		const struct param *is = model->params.list[i], *should_be = params_find(&c.model->params, is->name);
		assert_memory_equal(is->value, should_be->value, (size_t)param_count(is) * sizeof(float));
	}
	assert_int_equal(recformer_limits(model)->tokens, 148);
	struct sentences a = golden_sentences("narrow", "a");
	struct tape tape = {0};
	tape_begin(&tape, NULL, 0, 0);
	compare_states(&c, recformer_pooled(&tape, model, &a), "a/pooled.npy");
	tape_free(&tape);
	sentences_free(&a);
	model_free(model);
	tokenizer_free(tokenizer);
	close_case(&c);
	unlink(path);
	snprintf(path, sizeof path, "%s/config.json", folder);
	unlink(path);
	rmdir(folder);
}

/* --- pre-training --- */

#define USERS 32
#define ITEMS 40

/* Items of one or two attributes of random tokens; users who go from each item to the next. */
struct small_world {
	struct catalog catalog;
	struct sequences sequences;
	struct tokenizer *tokenizer;
};

static struct small_world make_world(void)
{
	struct small_world w = {.tokenizer = learned_tokenizer()};
	int codes[ITEMS * 9 + 1], n = 0;
	struct rng rng;
	rng_seed(&rng, 4);
	for (int item = 0; item < ITEMS; item++) {
		for (int t = 0; t < 3 + item % 4; t++)
			codes[n++] = 5 + (int)rng_below(&rng, 200);
		if (item % 3 == 0) {
			codes[n++] = -1;
			codes[n++] = 5 + item;
		}
		codes[n++] = -2;
	}
	codes[n] = -3;
	w.catalog = catalog_of(codes);
	char fingerprint[17];
	fingerprint_text(tokenizer_fingerprint(w.tokenizer), fingerprint);
	w.catalog.group.meta = json_pack("{s:s}", "tokenizer", fingerprint);
	struct sequences *s = &w.sequences;
	*s = (struct sequences){.group.complete = true, .n_users = USERS};
	s->indptr = xcalloc(USERS + 1, sizeof *s->indptr);
	s->item = xcalloc(USERS * 8, sizeof *s->item);
	for (int user = 0; user < USERS; user++) {
		for (int i = 0; i < 4 + user % 4; i++)
			s->item[s->n_events++] = (user + 3 * i) % ITEMS;
		s->indptr[user + 1] = s->n_events;
	}
	return w;
}

static void free_world(struct small_world *w)
{
	tokenizer_free(w->tokenizer);
	catalog_free(&w->catalog);
	sequences_free(&w->sequences);
}

/* Steps over all users; contrast of 16 adds gradients up. The gradient of the last step, which the caller frees. */
static struct model *pretrain(struct small_world *w, int threads, int steps, double dropout, bool by_rows,
	float **gradient, double *loss)
{
	json_t *config = json_pack("{s:i, s:i, s:i, s:f, s:f, s:i}", "hidden_size", 16, "num_hidden_layers", 2,
		"num_attention_heads", 2, "hidden_dropout_prob", dropout, "attention_probs_dropout_prob", dropout,
		"attention_window", 8);
	json_object_set_new(config, "initialiser", json_string("normal"));
	struct rng rng;
	rng_seed(&rng, 1);
	const struct recformer_from from = {.size = -1};
	struct recformer_start start = {.config = config, .tokenizer = w->tokenizer, .rng = &rng, .from = &from};
	struct model *model = recformer_started(&start, true);
	encoder_read(model, &w->catalog);
	struct optimisation options = {.adamw = ADAMW_DEFAULTS, .clip = 1};
	options.adamw.rate = 3e-3;
	if (by_rows)
		param_by_rows(&model->params, model->params.list[0]);
	struct trainer *trainer = trainer_new(&model->params, &options, threads);
	const struct pretrain_options pretraining = {.words_weight = .1, .mask_rate = .15, .valid_users = USERS};
	struct task *task = pretrain_task(model, &w->sequences, w->tokenizer, 16, &pretraining, trainer->n_workers);
	int64_t example[USERS];
	for (int i = 0; i < USERS; i++)
		example[i] = i;
	struct step_result result = {0};
	for (int i = 0; i < steps; i++)
		task->step(task, trainer, example, task->examples, 100 + (uint64_t)i, &result);
	*loss = result.loss / (double)result.positions;
	if (gradient) {
		*gradient = xaligned((size_t)model->params.trainable, sizeof **gradient);
		memcpy(*gradient, trainer_gradient(trainer), (size_t)model->params.trainable * sizeof **gradient);
	}
	trainer_catch_up(trainer);
	double measured[RUN_MEASURES];
	assert_true(task->validate(task, trainer, 0, measured));
	assert_true(measured[0] >= 0 && measured[0] <= 1);
	task->free(task);
	trainer_free(trainer);
	return model;
}

static void test_pretraining_by_any_number_of_workers(void **state)
{
	(void)state;
	struct small_world w = make_world();
	float *one, *three;
	double loss, other;
	struct model *a = pretrain(&w, 1, 1, .2, false, &one, &loss), *b = pretrain(&w, 3, 1, .2, false, &three, &other);
	assert_true(fabs(loss - other) < 1e-5 * loss);
	assert_near(three, one, a->params.trainable, 2e-5, "pre-training by three workers");
	free(one);
	free(three);
	model_free(a);
	model_free(b);
	/* the same seed and number of workers: the same bytes, dropout and all */
	a = pretrain(&w, 3, 3, .2, false, NULL, &loss);
	b = pretrain(&w, 3, 3, .2, false, NULL, &loss);
	assert_memory_equal(a->params.value, b->params.value, (size_t)a->params.size * sizeof(float));
	model_free(a);
	model_free(b);
	free_world(&w);
}

/* Words of a large table, whose gradients are by rows: the same training. */
static void test_pretraining_by_rows(void **state)
{
	(void)state;
	struct small_world w = make_world();
	for (int threads = 1; threads <= 3; threads += 2) {
		double loss, by_rows;
		struct model *a = pretrain(&w, threads, 6, .2, false, NULL, &loss),
					 *b = pretrain(&w, threads, 6, .2, true, NULL, &by_rows);
		assert_true(b->params.by_rows == param_count(b->params.list[0]));
		assert_true(fabs(loss - by_rows) < 1e-5 * loss);
		assert_near(b->params.value, a->params.value, a->params.size, 2e-4, "pre-training by rows");
		model_free(a);
		model_free(b);
	}
	free_world(&w);
}

static void test_pretraining_learns(void **state)
{
	(void)state;
	struct small_world w = make_world();
	double first, last;
	model_free(pretrain(&w, 1, 1, 0, false, NULL, &first));
	struct model *model = pretrain(&w, 1, 170, 0, false, NULL, &last);
	assert_true(last < .5 * first); /* the contrast is learned by heart, the words are not */
	/* an item alone is the only one of a history */
	float *items = xaligned((size_t)(ITEMS * model->width), sizeof *items),
		  *query = xaligned((size_t)model->width, sizeof *query);
	encoder_items(model, items);
	unit_length(items, ITEMS, model->width);
	for (int32_t item = 0; item < ITEMS; item += 7) {
		const int64_t indptr_of_one[] = {0, 1};
		model_queries(model, &(struct histories){.rows = 1, .indptr = indptr_of_one, .item = &item}, query);
		assert_near(query, items + item * model->width, model->width, 1e-5, "an item alone");
	}
	free(items);
	free(query);
	model_free(model);
	free_world(&w);
}

/* --- a start from the words --- */

/* x: of a word without its first column, as its layer norm leaves it */
static void add_word(const float *word, int64_t d, double weight, double sum[])
{
	double mean = 0, square = 0;
	for (int64_t i = 0; i < d; i++) {
		mean += (double)word[i] / (double)d;
		square += (double)word[i] * (double)word[i] / (double)d;
	}
	for (int64_t i = 1; i < d; i++)
		sum[i] += weight * ((double)word[i] - mean) / sqrt(square - mean * mean);
}

static double cosine(const double a[], const float *b, int64_t d)
{
	double ab = 0, aa = 0, bb = 0;
	for (int64_t i = 1; i < d; i++) {
		ab += a[i] * (double)b[i];
		aa += a[i] * a[i];
		bb += (double)b[i] * (double)b[i];
	}
	return ab / sqrt(aa * bb);
}

/* Items that hold the token, of the small world. */
static int items_with(const struct catalog *catalog, int32_t token)
{
	int count = 0;
	for (int64_t item = 0; item < catalog->n_items; item++) {
		bool has = false;
		for (int64_t t = catalog->indptr[item]; t < catalog->indptr[item + 1]; t++)
			has |= catalog->input_ids[t] == token;
		count += has;
	}
	return count;
}

#define WIDE 256

/*
 * A history's vector is the mean of its words by idf and by 0.7
 * to the power of items since; more so than without weights.
 */
static void test_start_from_words(void **state)
{
	(void)state;
	struct small_world w = make_world();
	struct rng rng;
	rng_seed(&rng, 1);
	json_t *config = json_pack("{s:i, s:i, s:i, s:s}", "hidden_size", WIDE, "num_hidden_layers", 1,
		"num_attention_heads", 2, "initialiser", "words");
	const struct recformer_from from = {.size = -1};
	struct recformer_start start = {.config = config,
		.tokenizer = w.tokenizer,
		.rng = &rng,
		.from = &from,
		.catalog = &w.catalog};
	struct model *model = recformer_started(&start, true);
	encoder_read(model, &w.catalog);
	const struct param *words = params_find(&model->params, "longformer.embeddings.word_embeddings.weight");
	const int32_t history[] = {3, 6, 9, 12}; /* of two attributes each */
	double weighed[WIDE] = {0}, plain[WIDE] = {0};
	for (int i = 0; i < 4; i++)
		for (int64_t t = w.catalog.indptr[history[i]]; t < w.catalog.indptr[history[i] + 1]; t++) {
			int32_t token = w.catalog.input_ids[t];
			double idf = log((ITEMS + 1.0) / (items_with(&w.catalog, token) + 1.0));
			add_word(words->value + token * WIDE, WIDE, idf * pow(.7, 3 - i), weighed);
			add_word(words->value + token * WIDE, WIDE, 1, plain);
		}
	float vector[WIDE];
	const int64_t one[] = {0, 4};
	model_queries(model, &(struct histories){.rows = 1, .indptr = one, .item = history}, vector);
	assert_true(cosine(weighed, vector, WIDE) > .95);
	assert_true(cosine(plain, vector, WIDE) < .92);
	model_free(model);
	free_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contrast),
		cmocka_unit_test(test_finetune),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_finite_differences),
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_masks),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_published_weights),
		cmocka_unit_test(test_pretraining_by_any_number_of_workers),
		cmocka_unit_test(test_pretraining_by_rows),
		cmocka_unit_test(test_pretraining_learns),
		cmocka_unit_test(test_start_from_words),
	};
	return cmocka_run_group_tests_name("recformer", tests, golden_load, golden_unload);
}
