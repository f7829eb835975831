/*
 * Recformer: equal to the public code (golden/recformer.py), its operations to their own finite differences, and
 * histories as the paper writes them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden.h"
#include "model/recformer.h"
#include "nn/loss.h"
#include "nn/ops.h"
#include "nn/rows.h"
#include "nn/window.h"

#define GOLDEN "tests/golden/recformer.tar.zst"

static int load(void **state)
{
	(void)state;
	golden_open(GOLDEN);
	return 0;
}

static int unload(void **state)
{
	(void)state;
	golden_close();
	return 0;
}

/* --- the public code's numbers --- */

static const char *const cases[] = {"narrow", "paper", "one"};

struct golden_case {
	const char *name;
	json_t *document;
	struct model *model;
};

static struct golden_case open_case(const char *name)
{
	struct golden_case c = {.name = name};
	const struct golden_member *manifest = golden_find(name, "case.json");
	c.document = json_parse(manifest->bytes, manifest->size, name);
	json_t *config = json_deep_copy(json_object_get(c.document, "config"));
	c.model = model_new(config, json_get_int(config, "vocab_size", 1, 100, name), "0123456789abcdef", name);
	float *values = golden_array(name, "value.npy", F4);
	const char *key;
	json_t *count;
	int64_t from = 0;
	json_object_foreach(json_object_get(c.document, "params"), key, count) {
		struct param *param = params_find(&c.model->params, key);
		if (!param || param_count(param) != json_integer_value(count))
			fail_msg("%s: parameter %s is not as the public code's", name, key);
		memcpy(param->value, values + from, (size_t)param_count(param) * sizeof *values);
		from += param_count(param);
	}
	assert_int_equal(from, c.model->params.size);
	free(values);
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
	struct sentences s = {.indptr = golden_array(group, "indptr.npy", I8), .token = golden_array(group, "token.npy", I4),
	                      .item = golden_array(group, "item.npy", I4)};
	s.rows = golden_find(group, "indptr.npy")->tensor.shape[0] - 1;
	s.tokens = s.indptr[s.rows];
	s.type = xcalloc((size_t)s.tokens, sizeof *s.type);
	const uint8_t *kind = golden_find(group, "kind.npy")->tensor.data;
	for (int64_t t = 0; t < s.tokens; t++)
		s.type[t] = kind[t];
	return s;
}

static void compare_gradients(const struct golden_case *c, const float *gradient, const char *loss)
{
	char group[64];
	snprintf(group, sizeof group, "%s/%s", c->name, loss);
	float *expected = golden_array(group, "gradient.npy", F4);
	const char *key;
	json_t *count;
	int64_t from = 0;
	json_object_foreach(json_object_get(c->document, "params"), key, count) {
		const struct param *param = params_find(&c->model->params, key);
		char what[160];
		snprintf(what, sizeof what, "%s, %s: gradient of %s", c->name, loss, key);
		/* a key's bias changes all scores of a query alike: its gradient is rounding alone */
		bool none = strstr(key, "key.bias") || strstr(key, "key_global.bias");
		for (int64_t i = 0; none && i < param_count(param); i++)
			assert_true(fabsf(gradient[param->offset + i]) < 1e-5f);
		if (!none)
			assert_near(gradient + param->offset, expected + from, param_count(param), 2e-5, what);
		from += param_count(param);
	}
	free(expected);
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
		compare_gradients(&c, gradient, "contrast");
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
		compare_gradients(&c, gradient, "finetune");
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
		compare_gradients(&c, gradient, "words");
		tape_free(&tape);
		free(gradient);
		free(label);
		free(target);
		free(chosen);
		sentences_free(&s);
		close_case(&c);
	}
}

/* --- finite differences, with dropout: the same key is the same mask --- */

#define D 6
#define N 120

static const int64_t indptr[] = {7, 8, 13, 13 + N - 8, 7 + N - 1, 7 + N};
static int32_t ids[N];

typedef struct array *build(struct tape *tape, struct array *const p[]);

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

static const struct {
	int64_t rows, columns;
} shapes[] = {{5, D}, {5, D}, {3 * D, D}, {D, D}, {0, D}, {D, D}, {D, D}, {0, D}};

/* A fixed random weighting of the output, as a loss; sets its gradient. */
static double weigh(build *forward, struct params *params, float *gradient)
{
	struct tape tape = {0};
	float *scratch = xaligned((size_t)params->trainable, sizeof *scratch);
	struct array *p[COUNT_OF(shapes)];
	tape_begin(&tape, gradient ? gradient : scratch, 77, 3);
	for (size_t i = 0; i < COUNT_OF(shapes); i++)
		p[i] = tape_param(&tape, params->list[i], params->list[i]);
	struct array *out = forward(&tape, p);
	struct rng rng;
	rng_seed(&rng, 5);
	double sum = 0;
	float *dout = tape_gradient(&tape, out);
	for (int64_t i = 0; i < out->rows * out->columns; i++) {
		dout[i] = (float)rng_normal(&rng);
		sum += (double)dout[i] * (double)out->value[i];
	}
	out->touched = true;
	if (gradient)
		tape_backward(&tape);
	tape_free(&tape);
	free(scratch);
	return sum;
}

static void differences_of(build *forward, const char *what)
{
	struct params params = {0};
	struct rng rng;
	rng_seed(&rng, 3);
	for (int i = 0; i < N; i++)
		ids[i] = (int32_t)rng_below(&rng, 5);
	for (size_t i = 0; i < COUNT_OF(shapes); i++)
		params_add(&params, shapes[i].rows, shapes[i].columns, false, "p%zu", i);
	params_allocate(&params);
	for (int64_t i = 0; i < params.size; i++)
		params.value[i] = (float)(.6 * rng_normal(&rng));
	float *gradient = xaligned((size_t)params.trainable, sizeof *gradient);
	float *numeric = xaligned((size_t)params.trainable, sizeof *numeric);
	weigh(forward, &params, gradient);
	for (int64_t i = 0; i < params.trainable; i++) {
		float held = params.value[i], step = 4e-3f;
		params.value[i] = held + step;
		double above = weigh(forward, &params, NULL);
		params.value[i] = held - step;
		numeric[i] = (float)((above - weigh(forward, &params, NULL)) / (2 * (double)step));
		params.value[i] = held;
	}
	/* row 2 of the first table is padding there */
	if (forward == build_window)
		memset(numeric + 2 * D, 0, D * sizeof *numeric);
	assert_near(gradient, numeric, params.trainable, 3e-3, what);
	gradient[params.trainable / 2] += 1; /* the check can fail */
	assert_true(relative_difference(gradient, numeric, params.trainable) > 3e-3);
	free(gradient);
	free(numeric);
	params_free(&params);
}

static void test_finite_differences(void **state)
{
	(void)state;
	differences_of(build_window, "window and global attention");
	differences_of(build_unit, "unit rows");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contrast),
		cmocka_unit_test(test_finetune),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_finite_differences),
	};
	return cmocka_run_group_tests_name("recformer", tests, load, unload);
}
