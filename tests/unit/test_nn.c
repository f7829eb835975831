/*
 * The nn floor and its models: equal to PyTorch's (golden/nn.py), to their own finite differences, and to
 * themselves however a batch is cut.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN "tests/golden/nn.tar.zst"
#include "differences.h"
#include "golden_model.h"
#include "model/items.h"
#include "nn/cpu.h"
#include "nn/kernel.h"
#include "nn/loss.h"
#include "nn/ops.h"
#include "nn/rows.h"
#include "nn/vec.h"
#include "skip.h"
#include "stream/frame.h"
#include "task/next.h"

/* --- the golden file --- */

/* A model with the golden parameters and batch. Parameters come in PyTorch's order and are found by name. */
struct golden_case {
	const char *name;
	json_t *document;
	struct model *model;
	struct histories histories;
	int64_t *indptr;
	int32_t *item, *target, *negative;
	int64_t tokens;
};

static struct golden_case open_case(const char *name)
{
	struct golden_case c = {.name = name, .document = golden_document(name)};
	json_t *config = json_deep_copy(json_object_get(c.document, "config"));
	/* PyTorch's have these where the case says so, and its scores are dot products */
	json_object_update_missing_new(config,
		json_pack("{s:b, s:i, s:s}", "feature_ids", 0, "feature_scale", 0, "score", "dot"));
	c.model = golden_model(name, c.document, config, json_get_int(c.document, "items", 1, 100, name));
	c.indptr = golden_array(name, "indptr.npy", I8);
	c.item = golden_array(name, "item.npy", I4);
	c.target = golden_array(name, "target.npy", I4);
	c.negative = golden_array(name, "negative.npy", I4);
	c.histories = (struct histories){.rows = golden_find(name, "indptr.npy")->tensor.shape[0] - 1,
		.indptr = c.indptr,
		.item = c.item};
	c.tokens = c.indptr[c.histories.rows];
	return c;
}

static void close_case(struct golden_case *c)
{
	model_free(c->model);
	json_decref(c->document);
	free(c->indptr);
	free(c->item);
	free(c->target);
	free(c->negative);
}

static double loss_of(struct tape *tape, const struct golden_case *c, enum loss loss, struct array *hidden, float scale)
{
	struct array *items = tape_param(tape, c->model->item_vectors);
	const int64_t k = 7;
	int32_t first_negatives[256];
	for (int64_t t = 0; t < c->tokens; t++)
		first_negatives[t] = c->negative[t * k];
	switch (loss) {
	case LOSS_CE: return full_cross_entropy(tape, hidden, items, c->target, scale);
	case LOSS_SAMPLED:
		return sampled_cross_entropy(tape, hidden, 0, c->tokens, items, c->target, c->negative, k, scale);
	case LOSS_BCE: return binary_cross_entropy(tape, hidden, items, c->target, first_negatives, 1, 1, 1, scale);
	case LOSS_GBCE:
		return binary_cross_entropy(tape, hidden, items, c->target, c->negative, k,
			gbce_beta(k, c->model->n_items, .75), 1. / (double)(k + 1), scale);
	}
	return 0;
}

static const char *const cases[] = {"original", "pre", "post", "recbole", "ligr", "gru", "gru4rec", "mean"};

static void test_equals_pytorch(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct golden_case c = open_case(cases[i]);
		float *expected = golden_array(c.name, "hidden.npy", F4);
		int64_t n = 0;
		for (int64_t t = 0; t < c.tokens; t++)
			n += c.target[t] >= 0;
		for (enum loss loss = LOSS_CE; loss <= LOSS_GBCE; loss++) {
			struct tape tape = {0};
			float *gradient = xaligned((size_t)c.model->params.trainable, sizeof *gradient);
			tape_begin(&tape, gradient, 1, 0);
			struct array *hidden = c.model->architecture->hidden(&tape, c.model, &c.histories);
			assert_near(hidden->value, expected, hidden->rows * hidden->columns, 1e-5, c.name);
			double sum = loss_of(&tape, &c, loss, hidden, 1 / (float)n);
			tape_backward(&tape);
			char name[32];
			snprintf(name, sizeof name, "%s/loss.npy", loss_names[loss]);
			double should_be = *(const double *)(const void *)golden_find(c.name, name)->tensor.data;
			if (!(fabs(sum / (double)n - should_be) <= 1e-5 * should_be))
				fail_msg("%s, %s: loss %.9g, PyTorch's is %.9g", c.name, loss_names[loss], sum / (double)n, should_be);
			compare_gradients(c.name, c.document, c.model, loss_names[loss], gradient, 1e-5);
			free(gradient);
			tape_free(&tape);
		}
		free(expected);
		close_case(&c);
	}
}

/* A step's gradients of cross-entropy, beside the golden ones: through a trainer, whose workers cut the batch. */
static double compare_step(const char *name, enum precision precision, int threads, double tolerance)
{
	struct golden_case c = open_case(name);
	struct optimisation options = {.adamw = ADAMW_DEFAULTS, .precision = precision};
	struct trainer *trainer = trainer_new(&c.model->params, &options, threads);
	struct next *next = next_new(c.model, &(struct loss_options){.loss = LOSS_CE}, threads);
	struct step_result result;
	next_step(next, trainer, &c.histories, c.target, 1, &result);
	const double error = compare_gradients(c.name, c.document, c.model, "ce", trainer_gradient(trainer), tolerance);
	next_free(next);
	trainer_free(trainer);
	close_case(&c);
	return error;
}

static void test_workers_add_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		for (int threads = 1; threads <= 4; threads++)
			compare_step(cases[i], PRECISION_F32, threads, 1e-5);
}

/*
 * And where every product is of numbers in two parts, by whatever instructions there are and in plain C: the gradient
 * is within 1e-4, and each parameter's, which may be a small difference of large sums, not far from it.
 */
static void test_split_equals_pytorch(void **state)
{
	(void)state;
	products_where(EVERYWHERE);
	for (enum cpu level = CPU_NONE; level < N_CPU && cpu_use(level); level++)
		for (size_t i = 0; i < COUNT_OF(cases); i++)
			for (int threads = 1; threads <= 2; threads++)
				assert_true(compare_step(cases[i], PRECISION_SPLIT, threads, 2e-4) < 1e-4);
	products_where(WHERE_FASTER);
	cpu_use(cpu_best());
}

/* Items from features through an adaptor, cosine scores: through derived tables, by several workers. */
static void test_features_equal_pytorch(void **state)
{
	static const char *const feature_cases[] = {"frozen", "cosine", "mlp", "unit", "alphafuse"};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(feature_cases); i++)
		for (int threads = 1; threads <= 3; threads++) {
			struct golden_case c = open_case(feature_cases[i]);
			float *feature = golden_array(c.name, "feature.npy", F4),
				  *expected = golden_array(c.name, "hidden.npy", F4);
			if (items_feature_size(c.model))
				items_set_features(c.model, feature);
			items_refresh(c.model);
			struct tape tape = {0};
			tape_begin(&tape, NULL, 0, 0);
			struct array *hidden = model_hidden(&tape, c.model, &c.histories);
			assert_near(hidden->value, expected, hidden->rows * hidden->columns, 1e-5, c.name);
			tape_free(&tape);

			struct trainer *trainer = trainer_new(&c.model->params, &(struct optimisation){.adamw = ADAMW_DEFAULTS},
				threads);
			struct next *next = next_new(c.model, &(struct loss_options){.loss = LOSS_CE}, threads);
			struct step_result result;
			next_step(next, trainer, &c.histories, c.target, 1, &result);
			double should_be = *(const double *)(const void *)golden_find(c.name, "ce/loss.npy")->tensor.data;
			assert_true(fabs(result.loss / (double)result.positions - should_be) <= 1e-5 * should_be);
			compare_gradients(c.name, c.document, c.model, "ce", trainer_gradient(trainer), 1e-5);
			next_free(next);
			trainer_free(trainer);
			free(feature);
			free(expected);
			close_case(&c);
		}
}

/* Features of any size start a model alike. */
static void test_feature_scale(void **state)
{
	enum { ITEMS = 7, SIZE = 5, N = ITEMS * SIZE };
	(void)state;
	for (int size = 1; size <= 1024; size *= 32) {
		struct model *model = model_new(json_pack("{s:s, s:s, s:i, s:f, s:i, s:i}", "architecture", "sasrec",
											"features", "frozen", "feature_size", (int)SIZE, "feature_scale", .5,
											"hidden_size", 8, "num_attention_heads", 1),
			ITEMS, "", "options");
		float feature[N], zero[N] = {0};
		double squares = 0;
		for (int i = 0; i < N; i++)
			feature[i] = (float)(size * (i % 11 - 4));
		items_set_features(model, feature);
		for (int i = 0; i < N; i++)
			squares += (double)feature[i] * (double)feature[i];
		assert_float_equal(squares / N, .25, 1e-6);
		assert_float_equal(feature[9] / feature[1], -5. / 3, 1e-6);
		items_set_features(model, zero);
		for (int i = 0; i < N; i++)
			assert_true(zero[i] >= 0 && zero[i] <= 0);
		model_free(model);
	}
}

static void test_one_by_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct golden_case c = open_case(cases[i]);
		float *expected = golden_array(c.name, "hidden.npy", F4);
		float *queries = xaligned((size_t)(c.histories.rows * c.model->width), sizeof *queries);
		model_queries(c.model, &c.histories, queries);
		for (int64_t row = 0; row < c.histories.rows; row++) {
			const float *query = queries + row * c.model->width;
			if (c.indptr[row + 1] > c.indptr[row])
				assert_near(query, expected + (c.indptr[row + 1] - 1) * c.model->width, c.model->width, 1e-5, c.name);
			else
				for (int64_t j = 0; j < c.model->width; j++)
					assert_true(query[j] == 0);
		}
		free(expected);
		free(queries);
		close_case(&c);
	}
}

/* --- optimiser --- */

static void optimiser_case(const char *name, const struct adamw_options *options, double clip)
{
	float *value = golden_array(name, "value.npy", F4), *gradients = golden_array(name, "gradient.npy", F4);
	float *after = golden_array(name, "after.npy", F4);
	const double *norms = golden_find(name, "norm.npy")->tensor.data;
	int64_t n = golden_find(name, "value.npy")->tensor.shape[0],
			steps = golden_find(name, "gradient.npy")->tensor.shape[0];
	struct params params = {0};
	struct param *param = params_add(&params, 0, n, false, "p");
	params_allocate(&params);
	struct adamw *adamw = adamw_new(options, &params);
	for (int again = 0; again < 2; again++) {
		memcpy(param->value, value, (size_t)n * sizeof *value);
		while (adamw->step < steps) {
			const float *gradient = gradients + adamw->step * n;
			double norm = sqrt(vec_sum_of_squares(gradient, n));
			assert_true(fabs(norm - norms[adamw->step]) <= 1e-6 * norm);
			adamw->step++;
			/* in two parts, as workers do */
			adamw_update(adamw, options->rate, gradient, clip_scale(norm, clip), 0, 16);
			adamw_update(adamw, options->rate, gradient + 16, clip_scale(norm, clip), 16, n);
		}
		for (int64_t i = 0; i < n; i++) {
			double moved = fabs((double)after[i] - (double)value[i]);
			assert_true(
				fabs((double)param->value[i] - (double)after[i]) <= 1e-5 * moved + 3e-7 * fabs((double)after[i]));
		}
		adamw->optimiser.reset(&adamw->optimiser);
	}
	adamw->optimiser.free(&adamw->optimiser);
	params_free(&params);
	free(value);
	free(gradients);
	free(after);
}

static void test_optimiser_equals_pytorch(void **state)
{
	(void)state;
	optimiser_case("adam", &(struct adamw_options)ADAMW_DEFAULTS, 0);
	optimiser_case("adamw",
		&(struct adamw_options){.rate = 1e-2, .beta1 = .8, .beta2 = .98, .epsilon = 1e-6, .weight_decay = .1}, 1.5);
}

/* Their squares are numbers too small to be normal. */
static void test_tiny_gradients(void **state)
{
	(void)state;
	struct params params = {0};
	struct param *param = params_add(&params, 0, 64, false, "p");
	params_allocate(&params);
	struct adamw *adamw = adamw_new(&(struct adamw_options)ADAMW_DEFAULTS, &params);
	float *gradient = xaligned(64, sizeof *gradient);
	for (int i = 0; i < 64; i++)
		gradient[i] = powf(10, -(float)i / 1.5f);
	adamw->step = 1;
	assert_true(adamw_update(adamw, 1e-3, gradient, 1, 0, 64));
	for (int i = 0; i < 64; i++)
		assert_true(isfinite(param->value[i]) && fabsf(param->value[i]) < 1.001e-3f);
	adamw->optimiser.free(&adamw->optimiser);
	params_free(&params);
	free(gradient);
}

static void test_schedules(void **state)
{
	(void)state;
	assert_true(schedule_factor(SCHEDULE_CONSTANT, 1, 0, 0) == 1);
	assert_true(schedule_factor(SCHEDULE_LINEAR, 5, 10, 110) == .5);
	assert_true(schedule_factor(SCHEDULE_LINEAR, 10, 10, 110) == 1);
	assert_true(schedule_factor(SCHEDULE_LINEAR, 11, 10, 110) == 1);
	assert_true(fabs(schedule_factor(SCHEDULE_LINEAR, 61, 10, 110) - .5) < 1e-12);
	assert_true(fabs(schedule_factor(SCHEDULE_COSINE, 61, 10, 110) - .5) < 1e-12);
	assert_true(schedule_factor(SCHEDULE_LINEAR, 111, 10, 110) == 0);
}

/* --- finite differences --- */

#define N 11
#define D 6

static const int64_t indptr[] = {100, 101, 106, 106, 100 + N};
static const int32_t ids[N] = {0, 3, 3, 1, 2, 4, 0, 1, 1, 2, 3}, places[N] = {0, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4};

static struct array *build_embedding(struct tape *tape, struct array *const p[])
{
	return embedding(tape, p[0], ids, N, 1.7f, p[1], places, .3f);
}

static struct array *build_relu(struct tape *tape, struct array *const p[])
{
	return linear(tape, embedding(tape, p[0], ids, N, 1, NULL, NULL, 0), p[2], p[3], ACT_RELU, .3f);
}

static struct array *build_gelu(struct tape *tape, struct array *const p[])
{
	return linear(tape, embedding(tape, p[0], ids, N, 1, NULL, NULL, 0), p[2], p[3], ACT_GELU, .3f);
}

static struct array *build_norm(struct tape *tape, struct array *const p[])
{
	struct array *x = embedding(tape, p[0], ids, N, 1, p[1], places, 0), *sum;
	struct array *y = residual_norm(tape, x, linear(tape, x, p[2], p[3], ACT_NONE, .3f), p[4], p[5], 1e-5f, &sum);
	return residual_norm(tape, y, sum, p[5], p[4], 1e-5f, NULL);
}

static struct array *build_attention(struct tape *tape, struct array *const p[])
{
	struct array *x = embedding(tape, p[0], ids, N, 1, p[1], places, 0);
	struct array *q = linear(tape, x, p[2], NULL, ACT_NONE, 0), *v = linear(tape, x, p[2], p[3], ACT_NONE, 0);
	return self_attention(tape, q, x, v, &(struct attention_kind){.heads = 2, .dropout = .3f}, indptr, 4);
}

static struct array *build_of_gelu(struct tape *tape, struct array *const p[])
{
	return linear_of_gelu(tape, linear(tape, embedding(tape, p[0], ids, N, 1, NULL, NULL, 0), p[2], p[3], ACT_NONE, 0),
		p[2], p[3], .3f);
}

static struct array *build_gelu_new(struct tape *tape, struct array *const p[])
{
	return linear(tape, embedding(tape, p[0], ids, N, 1, NULL, NULL, 0), p[2], p[3], ACT_GELU_NEW, .3f);
}

static struct array *build_rms_norm(struct tape *tape, struct array *const p[])
{
	struct array *x = embedding(tape, p[0], ids, N, 1, p[1], places, 0), *sum;
	struct array *y = residual_rms_norm(tape, x, linear(tape, x, p[2], p[3], ACT_NONE, .3f), p[4], 1e-5f, &sum);
	return residual_rms_norm(tape, y, sum, p[5], 1e-5f, NULL);
}

static struct array *build_gated(struct tape *tape, struct array *const p[])
{
	struct array *x = embedding(tape, p[0], ids, N, 1, p[1], places, 0);
	struct array *two = linear(tape, gated(tape, linear(tape, x, p[2], p[3], ACT_NONE, 0), x, ACT_SILU), p[10], NULL,
		ACT_NONE, 0);
	return gated(tape, tape_columns(tape, two, 0, 2), tape_columns(tape, two, 2, 2), ACT_SILU);
}

static struct array *build_beside(struct tape *tape, struct array *const p[])
{
	struct array *x = embedding(tape, p[0], ids, N, 1, p[1], places, 0);
	struct array *two = linear(tape, x, p[10], NULL, ACT_NONE, 0);
	return beside(tape, beside(tape, tape_columns(tape, two, 2, 2), tape_columns(tape, two, 0, 2)), x);
}

static struct array *build_gated_gelu(struct tape *tape, struct array *const p[])
{
	struct array *x = embedding(tape, p[0], ids, N, 1, p[1], places, 0);
	struct array *two = linear(tape, gated(tape, linear(tape, x, p[2], p[3], ACT_NONE, 0), x, ACT_GELU), p[10], NULL,
		ACT_NONE, 0);
	return gated(tape, tape_columns(tape, two, 0, 2), tape_columns(tape, two, 2, 2), ACT_GELU_NEW);
}

/*
 * Of what a window shows, before a token or on both sides; scores capped, heads brought to one length, turned in part.
 */
static struct array *build_banded(struct tape *tape, struct array *const p[])
{
	static const float frequency[] = {.7f};
	const struct rope rope = {.width = 3, .pairing = ROPE_HALF, .frequency = frequency, .turned = 2, .scale = 1.2f};
	const struct attention_kind before = {.heads = 2, .scale = .7f, .softcap = 1.5f, .window = 2};
	const struct attention_kind around = {.heads = 2, .both_ways = true, .window = 2, .dropout = .3f};
	struct array *x = embedding(tape, p[0], ids, N, 1, p[1], places, 0), *weight = tape_columns(tape, p[4], 0, 3);
	struct array *q = residual_rms_norm(tape, linear(tape, x, p[2], p[3], ACT_NONE, 0), NULL, weight, 1e-5f, NULL);
	rotate(tape, q, rope_angles(tape, &rope, indptr, 4));
	struct array *seen = self_attention(tape, q, x, scaled(tape, x, -2), &before, indptr, 4);
	return self_attention(tape, seen, q, x, &around, indptr, 4);
}

/* Three heads of queries that share one of keys and values, turned. */
static struct array *build_grouped(struct tape *tape, struct array *const p[])
{
	static const float frequency[] = {.7f};
	struct rope rope = {.width = 2, .pairing = ROPE_HALF, .frequency = frequency};
	struct array *x = embedding(tape, p[0], ids, N, 1, p[1], places, 0);
	struct array *q = linear(tape, x, p[2], p[3], ACT_NONE, 0), *kv = linear(tape, x, p[10], NULL, ACT_NONE, 0);
	struct array *k = tape_columns(tape, kv, 0, 2), *v = tape_columns(tape, kv, 2, 2);
	const struct rope_angles *angles = rope_angles(tape, &rope, indptr, 4);
	rotate(tape, q, angles);
	rotate(tape, k, angles);
	return self_attention(tape, q, k, v, &(struct attention_kind){.heads = 3, .dropout = .3f}, indptr, 4);
}

static struct array *build_interleaved(struct tape *tape, struct array *const p[])
{
	static const float frequency[] = {1, .5f, .25f};
	struct rope rope = {.width = D, .pairing = ROPE_INTERLEAVED, .frequency = frequency};
	struct array *x = embedding(tape, p[0], ids, N, 1, p[1], places, 0);
	struct array *q = linear(tape, x, p[2], p[3], ACT_NONE, 0), *v = linear(tape, x, p[2], NULL, ACT_NONE, 0);
	rotate(tape, q, rope_angles(tape, &rope, indptr, 4));
	return self_attention(tape, q, x, v, &(struct attention_kind){.heads = 2, .dropout = 0}, indptr, 4);
}

static struct array *build_gru(struct tape *tape, struct array *const p[])
{
	return gru_layer(tape, embedding(tape, p[0], ids, N, 1, NULL, NULL, 0), p[6], p[7], p[8], p[9], indptr, 4);
}

static const struct shape shapes[] = {{5, D}, {5, D}, {D, D}, {0, D}, {0, D}, {0, D}, {3 * D, D}, {3 * D, D},
	{0, 3 * D}, {0, 3 * D}, {4, D}};

static void test_finite_differences(void **state)
{
	(void)state;
	const struct differences all = {.shapes = shapes, .count = COUNT_OF(shapes), .tolerance = 2e-3};
	differences_of(&all, build_embedding, "embedding");
	differences_of(&all, build_relu, "linear, relu");
	differences_of(&all, build_gelu, "linear, gelu");
	differences_of(&all, build_of_gelu, "linear of gelu");
	differences_of(&all, build_norm, "residual and norm");
	differences_of(&all, build_attention, "attention");
	differences_of(&all, build_gru, "gru");
	differences_of(&all, build_gelu_new, "linear, gelu_new");
	differences_of(&all, build_rms_norm, "residual and root mean square norm");
	differences_of(&all, build_gated, "gated");
	differences_of(&all, build_gated_gelu, "gated by gelu");
	differences_of(&all, build_beside, "beside");
	differences_of(&all, build_banded, "banded attention");
	differences_of(&all, build_grouped, "grouped attention, rotary positions");
	differences_of(&all, build_interleaved, "rotary positions, interleaved");
}

/* --- full cross-entropy of more items than a tile and more positions than a block, by its definition in double --- */

static void by_definition(const float *h, const float *e, const int32_t *target, int64_t n, int64_t items, int64_t d,
	double *loss, float *dh, float *de)
{
	double *p = xcalloc((size_t)items, sizeof *p), *sums = xcalloc((size_t)((n + items) * d), sizeof *sums);
	*loss = 0;
	for (int64_t t = 0; t < n; t++) {
		double max = -INFINITY, sum = 0;
		for (int64_t i = 0; target[t] >= 0 && i < items; i++) {
			p[i] = 0;
			for (int64_t j = 0; j < d; j++)
				p[i] += (double)h[t * d + j] * (double)e[i * d + j];
			max = p[i] > max ? p[i] : max;
		}
		if (target[t] < 0)
			continue;
		for (int64_t i = 0; i < items; i++)
			sum += exp(p[i] - max);
		*loss += max + log(sum) - p[target[t]];
		for (int64_t i = 0; i < items; i++)
			for (int64_t j = 0; j < d; j++) {
				double error = (exp(p[i] - max) / sum - (i == target[t])) / (double)n;
				sums[t * d + j] += error * (double)e[i * d + j];
				sums[(n + i) * d + j] += error * (double)h[t * d + j];
			}
	}
	for (int64_t i = 0; i < n * d; i++)
		dh[i] = (float)sums[i];
	for (int64_t i = 0; i < items * d; i++)
		de[i] = (float)sums[n * d + i];
	free(p);
	free(sums);
}

/* The item that scores highest with row t of h. */
static int32_t most_alike(const struct param *h, int64_t t, const struct param *e)
{
	int32_t best = 0;
	double highest = -INFINITY;
	for (int64_t i = 0; i < e->rows; i++) {
		double score = 0;
		for (int64_t j = 0; j < e->columns; j++)
			score += (double)h->value[t * e->columns + j] * (double)e->value[i * e->columns + j];
		if (score > highest) {
			best = (int32_t)i;
			highest = score;
		}
	}
	return best;
}

/* Items without a gradient; position by position. */
static void frozen_case(const struct param *h, struct param *e, const int32_t *target, double loss,
	const float *expected)
{
	int64_t n = h->rows, d = h->columns;
	float *gradient = xaligned((size_t)(n * d), sizeof *gradient), *nll = xaligned((size_t)n, sizeof *nll);
	bool *said = xaligned((size_t)n, sizeof *said);
	double sum = 0;
	struct tape tape = {0};
	e->frozen = true;
	tape_begin(&tape, gradient, 1, 0);
	double again = full_cross_entropy_each(&tape, tape_param(&tape, h), tape_param(&tape, e), target, 1 / (float)n, 0,
		nll, said);
	assert_true(fabs(again - loss) <= 1e-6 * (1 + loss));
	assert_near(gradient, expected, n * d, 1e-5, "full cross-entropy: hidden, items frozen");
	for (int64_t t = 0; t < n; t++) {
		assert_true(said[t] == (target[t] == most_alike(h, t, e)));
		assert_true(target[t] >= 0 || nll[t] == 0);
		sum += (double)nll[t];
	}
	assert_true(fabs(sum - loss) <= 1e-6 * (1 + loss));
	tape_free(&tape);
	free(gradient);
	free(nll);
	free(said);
}

static void definition_case(int64_t n, int64_t items, int64_t d)
{
	struct rng rng;
	rng_seed(&rng, (uint64_t)d);
	struct params params = {0};
	struct param *h = params_add(&params, n, d, false, "h"), *e = params_add(&params, items, d, false, "e");
	params_allocate(&params);
	int32_t *target = xcalloc((size_t)n, sizeof *target);
	for (int64_t i = 0; i < n * d; i++)
		h->value[i] = (float)rng_normal(&rng);
	for (int64_t i = 0; i < items * d; i++)
		/* later ones score higher */
		e->value[i] = (float)(rng_normal(&rng) * (double)(i + 1) / (double)(items * d));
	for (int64_t t = 0; t < n; t++)
		target[t] = t % 7 == 3 ? -1 : t % 3 ? (int32_t)rng_below(&rng, (uint64_t)items) : most_alike(h, t, e);
	float *gradient = xaligned((size_t)params.size, sizeof *gradient),
		  *expected = xaligned((size_t)params.size, sizeof *expected);
	struct tape tape = {0};
	tape_begin(&tape, gradient, 1, 0);
	double loss = full_cross_entropy(&tape, tape_param(&tape, h), tape_param(&tape, e), target, 1 / (float)n);
	double should_be;
	by_definition(h->value, e->value, target, n, items, d, &should_be, expected, expected + n * d);
	assert_true(fabs(loss - should_be) <= 1e-6 * (1 + should_be));
	assert_near(gradient, expected, n * d, 1e-5, "full cross-entropy: hidden");
	assert_near(gradient + n * d, expected + n * d, items * d, 1e-5, "full cross-entropy: items");
	frozen_case(h, e, target, loss, expected);
	tape_free(&tape);
	params_free(&params);
	free(target);
	free(gradient);
	free(expected);
}

static void test_full_cross_entropy(void **state)
{
	(void)state;
	definition_case(1, 1, 16);
	definition_case(5, 300, 16);
	definition_case(150, 601, 48);
	definition_case(70, 1100, 96);
	definition_case(64, 256, 64);
	definition_case(70, 601, 50);
	definition_case(600, 2100, 20);
	definition_case(40, 1100, 320);
}

/* --- the products of narrow matrices --- */

static void product_case(int64_t m, int64_t n, int64_t k, bool transposed, bool add)
{
	struct rng rng;
	rng_seed(&rng, (uint64_t)(m + n + k));
	int64_t step_i = transposed ? 1 : k + 3, step_k = transposed ? m + 3 : 1, stride_b = n + 5, stride_c = n + 7;
	int64_t size_a = (m + 3) * (k + 3), size_b = k * stride_b, size_c = m * stride_c;
	float *a = xaligned((size_t)size_a, sizeof *a), *b = xaligned((size_t)size_b, sizeof *b);
	float *c = xaligned((size_t)size_c, sizeof *c), *expected = xaligned((size_t)size_c, sizeof *expected);
	for (int64_t i = 0; i < size_a; i++)
		a[i] = (float)rng_normal(&rng);
	for (int64_t i = 0; i < size_b; i++)
		b[i] = (float)rng_normal(&rng);
	for (int64_t i = 0; i < size_c; i++)
		c[i] = expected[i] = (float)rng_normal(&rng);
	for (int64_t i = 0; i < m; i++)
		for (int64_t j = 0; j < n; j++) {
			double sum = add ? (double)c[i * stride_c + j] : 0;
			for (int64_t l = 0; l < k; l++)
				sum += (double)a[i * step_i + l * step_k] * (double)b[l * stride_b + j];
			expected[i * stride_c + j] = (float)sum;
		}
	kernel_product(m, n, k, a, step_i, step_k, b, stride_b, c, stride_c, add);
	assert_near(c, expected, size_c, 1e-5, "product");
	free(a);
	free(b);
	free(c);
	free(expected);
}

static void products_with(enum cpu level)
{
	if (!cpu_use(level))
		skip_for_lack_of(cpu_names[level]);
	for (int64_t m = 1; m < 14; m++)
		for (int64_t n = KERNEL_LANE; n <= 6 * KERNEL_LANE; n += KERNEL_LANE)
			for (int flags = 0; flags < 4; flags++)
				product_case(m, n, m * 11, flags & 1, flags & 2);
	product_case(7, 16, 64, false, false);
	product_case(7, 16, 300, true, true);
	product_case(0, 16, 3, false, false);
}

static void test_products_avx512(void **state)
{
	(void)state;
	products_with(CPU_AVX512);
}

static void test_products_avx2(void **state)
{
	(void)state;
	products_with(CPU_AVX2);
}

static int best_level(void **state)
{
	(void)state;
	cpu_use(cpu_best());
	return 0;
}

/* --- training --- */

#define ITEMS 40
#define USERS 30

static int64_t batch_indptr[USERS + 1];
static int32_t batch_item[USERS * 70], batch_target[USERS * 70];

static struct histories random_batch(void)
{
	struct rng rng;
	rng_seed(&rng, 9);
	for (int64_t user = 0; user < USERS; user++)
		batch_indptr[user + 1] = batch_indptr[user] + (int64_t)rng_below(&rng, 70);
	for (int64_t t = 0; t < batch_indptr[USERS]; t++) {
		batch_item[t] = (int32_t)rng_below(&rng, ITEMS);
		batch_target[t] = rng_below(&rng, 10) ? (batch_item[t] * 7 + 1) % ITEMS : -1; /* something to learn */
	}
	return (struct histories){.rows = USERS, .indptr = batch_indptr, .item = batch_item};
}

static struct model *train(const char *config, enum loss loss, int threads, int steps, float **gradient)
{
	struct histories batch = random_batch();
	struct model *model = model_new(json_parse(config, strlen(config), "test"), ITEMS, "0123456789abcdef", "test");
	struct rng rng;
	rng_seed(&rng, 1);
	model_initialise(model, &rng);
	struct optimisation options = {.adamw = ADAMW_DEFAULTS, .clip = 1};
	options.adamw.rate = 1e-2;
	struct trainer *trainer = trainer_new(&model->params, &options, threads);
	struct next *next = next_new(model, &(struct loss_options){loss, .negatives = 5, .gbce_t = .75}, threads);
	struct step_result result;
	for (int i = 0; i < steps; i++)
		next_step(next, trainer, &batch, batch_target, 100 + (uint64_t)i, &result);
	next_free(next);
	if (gradient) {
		*gradient = xaligned((size_t)model->params.trainable, sizeof **gradient);
		memcpy(*gradient, trainer_gradient(trainer), (size_t)model->params.trainable * sizeof **gradient);
	}
	trainer_free(trainer);
	return model;
}

static const char *const configs[] = {
	"{\"architecture\": \"sasrec\", \"hidden_size\": 12, \"num_attention_heads\": 2, \"dropout\": 0.3, "
	"\"max_length\": 70}",
	"{\"architecture\": \"gru\", \"hidden_size\": 12, \"dropout\": 0.3}",
};

static void test_same_seed_same_bytes(void **state)
{
	(void)state;
	for (size_t c = 0; c < COUNT_OF(configs); c++)
		for (enum loss loss = LOSS_CE; loss <= LOSS_GBCE; loss++)
			for (int threads = 1; threads <= 3; threads++) {
				struct model *a = train(configs[c], loss, threads, 3, NULL),
							 *b = train(configs[c], loss, threads, 3, NULL);
				assert_memory_equal(a->params.value, b->params.value, (size_t)a->params.size * sizeof(float));
				model_free(a);
				model_free(b);
			}
}

/* Dropout masks and negatives do not depend on who computes what: gradients differ by rounding alone. */
static void test_any_number_of_workers(void **state)
{
	(void)state;
	for (size_t c = 0; c < COUNT_OF(configs); c++)
		for (enum loss loss = LOSS_CE; loss <= LOSS_GBCE; loss++) {
			float *one, *three;
			struct model *a = train(configs[c], loss, 1, 1, &one), *b = train(configs[c], loss, 3, 1, &three);
			assert_near(three, one, a->params.trainable, 1e-5, loss_names[loss]);
			model_free(a);
			model_free(b);
			free(one);
			free(three);
		}
}

/* Every other item, made of features, was never met: nothing is learned of it, and the softmax is over the rest. */
static void test_unmet_are_no_negatives(void **state)
{
	static const char config[] = "{\"architecture\": \"sasrec\", \"hidden_size\": 12, \"num_attention_heads\": 2, "
								 "\"max_length\": 70, \"features\": \"frozen\", \"feature_size\": 3}";
	(void)state;
	struct histories batch = random_batch();
	for (int64_t t = 0; t < batch_indptr[USERS]; t++) {
		batch_item[t] &= ~1;
		batch_target[t] = batch_target[t] < 0 ? -1 : batch_target[t] & ~1;
	}
	struct model *model = model_new(json_parse(config, strlen(config), "test"), ITEMS, "0123456789abcdef", "test");
	float feature[ITEMS * 3];
	struct rng rng;
	rng_seed(&rng, 1);
	for (size_t i = 0; i < COUNT_OF(feature); i++)
		feature[i] = (float)rng_uniform(&rng);
	items_fit_features(model, feature, 1);
	model_initialise(model, &rng);
	int32_t met[ITEMS];
	for (int item = 0; item < ITEMS; item++)
		met[item] = item % 2 == 0;
	items_forget_own(model, met);
	items_refresh(model);

	struct tape tape = {0};
	tape_begin(&tape, NULL, 0, 0);
	const struct array *hidden = model_hidden(&tape, model, &batch);
	double expected = 0;
	for (int64_t t = 0; t < batch_indptr[USERS]; t++) {
		double sum = 0, score[ITEMS];
		for (int item = 0; item < ITEMS; item += 2) {
			score[item] = vec_dot(hidden->value + t * hidden->stride, model->item_vectors->value + item * 12, 12);
			sum += exp(score[item]);
		}
		expected += batch_target[t] < 0 ? 0 : log(sum) - score[batch_target[t]];
	}
	tape_free(&tape);

	const struct param *own = params_find(&model->params, "item_id.weight");
	for (enum loss loss = LOSS_CE; loss <= LOSS_GBCE; loss++) {
		struct trainer *trainer = trainer_new(&model->params, &(struct optimisation){.adamw = ADAMW_DEFAULTS}, 2);
		struct next *next = next_new(model, &(struct loss_options){loss, .negatives = 5, .gbce_t = .75}, 2);
		next_leave_out_unmet(next, met);
		struct step_result result;
		next_loss(next, trainer, &batch, batch_target, 1, &result);
		if (loss == LOSS_CE)
			assert_true(fabs(result.loss - expected) <= 1e-5 * expected);
		next_step(next, trainer, &batch, batch_target, 1, &result);
		const float *gradient = trainer_gradient(trainer) + own->offset;
		for (int item = 0; item < ITEMS; item++)
			assert_int_equal(met[item], vec_sum_of_squares(gradient + item * 12, 12) > 0);
		next_free(next);
		trainer_free(trainer);
	}
	model_free(model);
}

static void test_learns(void **state)
{
	(void)state;
	for (size_t c = 0; c < COUNT_OF(configs); c++) {
		struct model *model = train(configs[c], LOSS_CE, 2, 300, NULL);
		struct histories batch = random_batch();
		struct trainer *trainer = trainer_new(&model->params, &(struct optimisation){.adamw = ADAMW_DEFAULTS}, 2);
		struct next *next = next_new(model, &(struct loss_options){.loss = LOSS_CE}, 2);
		struct step_result result;
		next_loss(next, trainer, &batch, batch_target, 1, &result);
		assert_true(result.loss / (double)result.positions < .5 * log(ITEMS));
		next_free(next);
		trainer_free(trainer);
		model_free(model);
	}
}

/* A step of a model with one value of one parameter replaced dies in a child; what it says. */
static void dies_with(const char *name, float value, float rate, char *line, size_t size)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		struct histories batch = random_batch();
		struct model *model = model_new(json_parse(configs[0], strlen(configs[0]), "test"), ITEMS, "0123456789abcdef",
			"test");
		struct rng rng;
		rng_seed(&rng, 1);
		model_initialise(model, &rng);
		params_find(&model->params, name)->value[3] = value;
		struct optimisation options = {.adamw = ADAMW_DEFAULTS};
		options.adamw.rate = (double)rate;
		struct trainer *trainer = trainer_new(&model->params, &options, 1);
		struct next *next = next_new(model, &(struct loss_options){.loss = LOSS_CE}, 1);
		struct step_result result;
		next_step(next, trainer, &batch, batch_target, 1, &result);
		_exit(0);
	}
	close(ends[1]);
	ssize_t n = read(ends[0], line, size - 1);
	line[n > 0 ? n : 0] = 0;
	close(ends[0]);
	int status;
	waitpid(child, &status, 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

static void test_not_finite_is_fatal(void **state)
{
	(void)state;
	char line[512];
	dies_with("layers.0.attention.key.weight", NAN, 1e-3f, line, sizeof line);
	assert_non_null(strstr(line, "not finite at step 1"));
	dies_with("layers.1.ffn.intermediate.weight", NAN, 1e-3f, line, sizeof line);
	assert_non_null(strstr(line, "layers.1.ffn.intermediate.weight is not finite at step 1"));
	dies_with("layers.1.ffn.output.bias", INFINITY, 1e-3f, line, sizeof line);
	assert_non_null(strstr(line, "not finite at step 1"));
	dies_with("item_embedding.weight", 1, 3e38f, line, sizeof line);
	assert_non_null(strstr(line, "parameter "));
}

/* However deep, gradients of little more than one layer exist at a time; that of an input stays. */
static void test_gradient_memory(void **state)
{
	(void)state;
	enum { ROWS = 50, COLUMNS = 16, BYTES = ROWS * COLUMNS * 4, DEEP = 40 };
	struct params params = {0};
	params_add(&params, COLUMNS, COLUMNS, true, "weight");
	params_allocate(&params);
	for (int i = 0; i < COLUMNS; i++)
		params.value[i * COLUMNS + i] = 2;
	float none;
	struct tape tape = {0};
	tape_begin(&tape, &none, 1, 0);
	struct array *weight = tape_param(&tape, params.list[0]), *input = tape_input(&tape, ROWS, COLUMNS);
	struct array *x = input, *unused = NULL;
	memset(input->value, 0, BYTES);
	for (int i = 0; i < DEEP; i++) {
		x = linear(&tape, x, weight, NULL, ACT_NONE, 0);
		unused = linear(&tape, x, weight, NULL, ACT_NONE, 0);
	}
	float *gradient = tape_gradient(&tape, x);
	for (int i = 0; i < ROWS * COLUMNS; i++)
		gradient[i] = (float)i;
	gradient_beta(x);
	size_t before = tape.arena.total;
	tape_backward(&tape);
	assert_true(tape.arena.total - before <= 2 * BYTES);
	assert_false(unused->touched);
	for (int i = 0; i < ROWS * COLUMNS; i++)
		assert_true(tape_gradient(&tape, input)[i] == ldexpf((float)i, DEEP));
	/* without training, values are given back as the caller is done with them */
	tape_begin(&tape, NULL, 0, 0);
	weight = tape_param(&tape, params.list[0]);
	x = tape_input(&tape, ROWS, COLUMNS);
	before = tape.arena.total;
	for (int i = 0; i < DEEP; i++) {
		struct array *next = linear(&tape, x, weight, NULL, ACT_GELU_NEW, 0);
		tape_done(&tape, x);
		x = next;
	}
	assert_true(tape.arena.total - before <= 2 * BYTES + DEEP * 2 * sizeof(struct array));
	tape_free(&tape);
	params_free(&params);
}

/*
 * A stack of norms and linear maps; done: with what norms make. Returns the memory that its values and gradients took.
 */
static size_t stack_of_norms(const struct params *params, float *gradients, bool root_mean_square, bool done)
{
	enum { ROWS = 50, DEEP = 20 };
	struct tape tape = {0};
	tape_begin(&tape, gradients, 1, 0);
	struct array *weight = tape_param(&tape, params->list[0]), *gain = tape_param(&tape, params->list[1]);
	struct array *bias = tape_param(&tape, params->list[2]), *x = tape_input(&tape, ROWS, weight->columns);
	for (int64_t i = 0; i < x->rows * x->columns; i++)
		x->value[i] = sinf((float)i);
	for (int i = 0; i < DEEP; i++) {
		struct array *normal = root_mean_square ? residual_rms_norm(&tape, x, NULL, gain, 1e-6f, NULL) :
												  residual_norm(&tape, x, NULL, gain, bias, 1e-6f, NULL);
		struct array *map = linear(&tape, normal, weight, NULL, ACT_NONE, 0);
		x = linear_of_gelu(&tape, normal, weight, NULL, 0);
		if (done)
			tape_done(&tape, normal);
		x = add(&tape, x, map);
	}
	float *gradient = tape_gradient(&tape, x);
	for (int64_t i = 0; i < x->rows * x->columns; i++)
		gradient[i] = cosf((float)i);
	gradient_beta(x);
	tape_backward(&tape);
	const size_t memory = tape.arena.total;
	tape_free(&tape);
	return memory;
}

/* Values of norms are not kept for backward passes but made again, the same bytes. */
static void test_values_made_again(void **state)
{
	(void)state;
	enum { WIDTH = 24 };
	struct params params = {0};
	params_add(&params, WIDTH, WIDTH, false, "weight");
	params_add(&params, 0, WIDTH, false, "gain");
	params_add(&params, 0, WIDTH, false, "bias");
	params_allocate(&params);
	for (int64_t i = 0; i < params.size; i++)
		params.value[i] = cosf((float)(3 * i));
	for (int root_mean_square = 0; root_mean_square < 2; root_mean_square++) {
		float kept[WIDTH * (WIDTH + 2)] = {0}, again[WIDTH * (WIDTH + 2)] = {0};
		const size_t all = stack_of_norms(&params, kept, root_mean_square, false);
		const size_t less = stack_of_norms(&params, again, root_mean_square, true);
		assert_memory_equal(again, kept, sizeof kept);
		assert_true(less + 15 * 50 * WIDTH * sizeof(float) < all);
	}
	params_free(&params);
}

static void test_dropout_share(void **state)
{
	(void)state;
	enum { MANY = 200000 };
	float *x = xaligned(MANY, sizeof *x);
	for (int i = 0; i < MANY; i++)
		x[i] = 1;
	struct params params = {0};
	params_add(&params, MANY / 100, 100, false, "x");
	params_allocate(&params);
	memcpy(params.value, x, MANY * sizeof *x);
	float *gradient = xaligned(MANY, sizeof *gradient);
	int32_t row[MANY / 100];
	for (int i = 0; i < MANY / 100; i++)
		row[i] = i;
	struct tape tape = {0};
	tape_begin(&tape, gradient, 12345, 0);
	struct array *table = tape_param(&tape, params.list[0]);
	const struct array *out = embedding(&tape, table, row, MANY / 100, 1, NULL, NULL, .2f);
	int dropped = 0, pairs = 0;
	for (int i = 0; i < MANY; i++) {
		dropped += out->value[i] == 0;
		pairs += i && out->value[i] == 0 && out->value[i - 1] == 0;
		assert_true(out->value[i] == 0 || fabsf(out->value[i] - 1.25f) < 1e-6f);
	}
	assert_true(abs(dropped - MANY / 5) < 900); /* five deviations */
	assert_true(abs(pairs - MANY / 25) < 600);
	tape_free(&tape);
	params_free(&params);
	free(gradient);
	free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equals_pytorch),
		cmocka_unit_test(test_workers_add_up),
		cmocka_unit_test(test_split_equals_pytorch),
		cmocka_unit_test(test_features_equal_pytorch),
		cmocka_unit_test(test_feature_scale),
		cmocka_unit_test(test_one_by_one),
		cmocka_unit_test(test_optimiser_equals_pytorch),
		cmocka_unit_test(test_tiny_gradients),
		cmocka_unit_test(test_schedules),
		cmocka_unit_test(test_finite_differences),
		cmocka_unit_test(test_full_cross_entropy),
		cmocka_unit_test(test_gradient_memory),
		cmocka_unit_test(test_values_made_again),
		cmocka_unit_test_teardown(test_products_avx512, best_level),
		cmocka_unit_test_teardown(test_products_avx2, best_level),
		cmocka_unit_test(test_same_seed_same_bytes),
		cmocka_unit_test(test_any_number_of_workers),
		cmocka_unit_test(test_unmet_are_no_negatives),
		cmocka_unit_test(test_learns),
		cmocka_unit_test(test_not_finite_is_fatal),
		cmocka_unit_test(test_dropout_share),
	};
	return cmocka_run_group_tests_name("nn", tests, golden_load, golden_unload);
}
