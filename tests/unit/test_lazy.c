/*
 * Tables of which a step touches few rows: after hundreds of steps, whoever looked at them in between, what the update
 * of the whole table makes of them; and trainings by rows beside those by blocks.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/cpu.h"
#include "nn/lazy.h"
#include "nn/schedule.h"
#include "nn/train.h"
#include "skip.h"
#include "stream/json.h"
#include "task/next.h"

/* --- the optimiser --- */

#define ROWS 50
#define STEPS 600 /* where nothing else is said */

struct setting {
	struct adamw_options adamw;
	enum schedule schedule;
	int64_t warmup, columns;
	double clip;
	int threads, looked; /* at all rows, in one of so many steps; 0: never */
	float size;          /* of gradients */
	uint64_t terms;      /* of a step, fewer than these; 0: 6 */
	bool summed;         /* each row at most once in a list */
	int steps;
};

/* A table beside a whole one, of the same values. */
struct pair {
	struct params params[2];
	struct adamw *adamw[2];
	struct lazy *lazy;
	float *gradient; /* of the whole */
	struct row_gradient rows[2];
};

static void begin_pair(struct pair *pair, const struct setting *s, struct rng *rng)
{
	*pair = (struct pair){0};
	for (int which = 0; which < 2; which++) {
		params_add(&pair->params[which], ROWS, s->columns, false, "table");
		params_allocate(&pair->params[which]);
		pair->adamw[which] = adamw_new(&s->adamw, &pair->params[which]);
		pair->rows[which].columns = s->columns;
		if (s->summed)
			row_gradient_sum(&pair->rows[which], ROWS);
	}
	param_normal(pair->params[0].list[0], rng, .02);
	memset(pair->params[0].value, 0, 3 * sizeof(float)); /* a value of 0 moves as well */
	memcpy(pair->params[1].value, pair->params[0].value, (size_t)(ROWS * s->columns) * sizeof(float));
	pair->lazy = lazy_new(pair->adamw[1], pair->params[1].list[0], s->threads);
	pair->gradient = xcalloc((size_t)(ROWS * s->columns), sizeof *pair->gradient);
}

static void end_pair(struct pair *pair)
{
	for (int which = 0; which < 2; which++) {
		pair->adamw[which]->optimiser.free(&pair->adamw[which]->optimiser);
		params_free(&pair->params[which]);
		row_gradient_free(&pair->rows[which]);
	}
	lazy_free(pair->lazy);
	free(pair->gradient);
}

/* Few rows, half of them twice, and in some steps none at all; the last rows never. */
static void draw_gradient(struct pair *pair, const struct setting *s, struct rng *rng)
{
	const int64_t columns = s->columns;
	float vector[520];
	memset(pair->gradient, 0, (size_t)(ROWS * columns) * sizeof *pair->gradient);
	lazy_begin(pair->lazy);
	row_gradient_clear(&pair->rows[0]);
	row_gradient_clear(&pair->rows[1]);
	for (uint64_t terms = rng_below(rng, s->terms ? s->terms : 6); terms > 0; terms--) {
		/* the later a row, the more seldom */
		const double place = rng_uniform(rng);
		const int32_t row = (int32_t)(place * place * place * (ROWS - 2));
		const int worker = s->threads > 1 ? (int)(terms % 2) : 0;
		for (int64_t i = 0; i < columns; i++)
			vector[i] = s->size * (float)rng_normal(rng);
		for (int twice = 0; twice < 2; twice++) {
			row_gradient_add(&pair->rows[worker], &row, vector, 1, columns, .5f);
			for (int64_t i = 0; i < columns; i++)
				pair->gradient[row * columns + i] += .5f * vector[i];
		}
		lazy_touch(pair->lazy, worker, &row, 1);
	}
}

static void assert_equal(const struct pair *pair, const struct setting *s, int step)
{
	const float *both[3][2] = {{pair->params[0].value, pair->params[1].value},
		{pair->adamw[0]->first, pair->adamw[1]->first}, {pair->adamw[0]->second, pair->adamw[1]->second}};
	for (int what = 0; what < 3; what++)
		for (int64_t i = 0; i < ROWS * s->columns; i++) {
			const double whole = (double)both[what][0][i], lazy = (double)both[what][1][i];
			/* rounding, of values that moved by the rate in every step and of means of gradients that cancel */
			const double moved = what == 0 ? s->adamw.rate * step * 1e-7 : what == 1 ? (double)s->size * 1e-6 : 0;
			if (!(fabs(whole - lazy) <= 1e-5 * fabs(whole) + moved + 1e-37))
				fail_msg("step %d, what %d, row %d: %.9g, whole %.9g", step, what, (int)(i / s->columns), lazy, whole);
		}
}

/* Steps by both ways; returns the lazy one's values. */
static float *steps_of(const struct setting *s, int looked)
{
	struct rng rng;
	rng_seed(&rng, 5);
	struct pair pair;
	begin_pair(&pair, s, &rng);
	const int steps = s->steps ? s->steps : STEPS;
	for (int step = 1; step <= steps; step++) {
		draw_gradient(&pair, s, &rng);
		lazy_catch_up_touched(pair.lazy);
		const struct row_gradient *const gradients[] = {&pair.rows[0], &pair.rows[1]};
		lazy_gather(pair.lazy, gradients, s->threads > 1 ? 2 : 1);
		double squares = lazy_squares(pair.lazy), whole = 0, again = 0;
		for (int64_t i = 0; i < ROWS * s->columns; i++)
			whole += (double)pair.gradient[i] * (double)pair.gradient[i];
		assert_true(fabs(squares - whole) <= 1e-5 * whole);
		const double rate = s->adamw.rate * schedule_factor(s->schedule, step, s->warmup, steps);
		const float scale = clip_scale(sqrt(squares), s->clip);
		for (int which = 0; which < 2; which++)
			pair.adamw[which]->step = step;
		assert_true(adamw_update(pair.adamw[0], rate, pair.gradient, scale, 0, ROWS * s->columns));
		assert_true(lazy_update(pair.lazy, rate, scale, &again));
		assert_true(again == squares);
		adamw_passed(pair.adamw[1], rate);
		if ((looked && step % looked == 0) || step == steps) {
			lazy_catch_up(pair.lazy);
			adamw_forget_passed(pair.adamw[1]);
			assert_equal(&pair, s, step);
		}
	}
	float *values = xcalloc((size_t)(3 * ROWS * s->columns), sizeof *values);
	const float *blocks[] = {pair.params[1].value, pair.adamw[1]->first, pair.adamw[1]->second};
	for (int i = 0; i < 3; i++)
		memcpy(values + i * ROWS * s->columns, blocks[i], (size_t)(ROWS * s->columns) * sizeof *values);
	end_pair(&pair);
	return values;
}

static const struct setting settings[] = {
	{.adamw = ADAMW_DEFAULTS, .columns = 64, .threads = 1, .size = 1e-3f},
	/* where epsilon counts, as it does for gbce */
	{.adamw = ADAMW_DEFAULTS, .columns = 12, .threads = 2, .size = 1e-8f, .clip = 1e-8},
	{.adamw = {.rate = 1e-2, .beta1 = .8, .beta2 = .98, .epsilon = 1e-6, .weight_decay = .1},
		.schedule = SCHEDULE_COSINE,
		.warmup = 40,
		.columns = 20,
		.threads = 2,
		.clip = 1,
		.size = 1},
	{.adamw = {.rate = 1e-2, .beta1 = 0, .beta2 = .5, .epsilon = 1e-8},
		.schedule = SCHEDULE_LINEAR,
		.warmup = 10,
		.columns = 16,
		.threads = 1,
		.size = 1},
	/* in many steps so many rows that all are updated at once */
	{.adamw = ADAMW_DEFAULTS, .columns = 64, .threads = 2, .size = 1e-3f, .terms = 60},
	/* wide rows, whose moments are left alone until they have a gradient, and go on with weight decay */
	{.adamw = ADAMW_DEFAULTS, .columns = 520, .threads = 1, .size = 1e-3f, .terms = 20, .summed = true, .steps = 90},
	{.adamw = {.rate = 1e-2, .beta1 = .8, .beta2 = .98, .epsilon = 1e-6, .weight_decay = .1},
		.columns = 516,
		.threads = 2,
		.size = 1,
		.summed = true,
		.steps = 90},
	/* the mean of gradients outlasts that of squares */
	{.adamw = {.rate = 1e-3, .beta1 = .99, .beta2 = .9, .epsilon = 1e-3}, .columns = 33, .threads = 1, .size = .1f},
};

static void with_level(enum cpu level)
{
	if (!cpu_use(level))
		skip_for_lack_of(cpu_names[level]);
	for (size_t i = 0; i < COUNT_OF(settings); i++) {
		const size_t bytes = (size_t)(3 * ROWS * settings[i].columns) * sizeof(float);
		float *never = steps_of(&settings[i], 0), *often = steps_of(&settings[i], 7);
		assert_memory_equal(never, often, bytes);
		free(never);
		free(often);
	}
}

static void test_equals_whole(void **state)
{
	(void)state;
	with_level(cpu_best());
}

static void test_equals_whole_avx2(void **state)
{
	(void)state;
	with_level(CPU_AVX2);
}

static void test_equals_whole_none(void **state)
{
	(void)state;
	with_level(CPU_NONE);
}

static int best_level(void **state)
{
	(void)state;
	cpu_use(cpu_best());
	return 0;
}

/* --- trainings --- */

#define ITEMS 300
#define USERS 12

static int64_t batch_indptr[USERS + 1];
static int32_t batch_item[USERS * 20], batch_target[USERS * 20];

static struct histories random_batch(uint64_t seed)
{
	struct rng rng;
	rng_seed(&rng, seed);
	for (int64_t user = 0; user < USERS; user++)
		batch_indptr[user + 1] = batch_indptr[user] + (int64_t)rng_below(&rng, 20);
	for (int64_t t = 0; t < batch_indptr[USERS]; t++) {
		batch_item[t] = (int32_t)rng_below(&rng, ITEMS);
		batch_target[t] = rng_below(&rng, 10) ? (batch_item[t] * 7 + 1) % ITEMS : -1;
	}
	return (struct histories){.rows = USERS, .indptr = batch_indptr, .item = batch_item};
}

struct trained {
	struct model *model;
	double loss, norm; /* of the last step */
};

static struct trained train(const char *config, const struct loss_options *loss, int threads, bool by_rows, int looked)
{
	struct trained trained = {
		.model = model_new(json_parse(config, strlen(config), "test"), ITEMS, "0123456789abcdef", "test")};
	struct rng rng;
	rng_seed(&rng, 1);
	model_initialise(trained.model, &rng);
	struct optimisation options = {.adamw = ADAMW_DEFAULTS,
		.clip = threads == 2 ? 1e-2 : 0,
		.schedule = SCHEDULE_COSINE,
		.warmup = 5,
		.total = 30};
	if (by_rows) {
		next_by_rows(trained.model, loss, 1, 1);
		assert_true(trained.model->params.by_rows > 0);
	}
	struct trainer *trainer = trainer_new(&trained.model->params, &options, threads);
	struct next *next = next_new(trained.model, loss, trainer->n_workers);
	struct step_result result;
	for (uint64_t i = 0; i < 30; i++) {
		struct histories batch = random_batch(i);
		next_step(next, trainer, &batch, batch_target, 100 + i, &result);
		if (looked && i % (uint64_t)looked == 0)
			trainer_catch_up(trainer);
	}
	trainer_catch_up(trainer);
	trained.norm = result.gradient_norm;
	struct histories batch = random_batch(77);
	next_loss(next, trainer, &batch, batch_target, 5, &result);
	trained.loss = result.loss;
	next_free(next);
	trainer_free(trainer);
	return trained;
}

static void assert_same_training(const struct trained *a, const struct trained *b, const char *what)
{
	assert_true(fabs(a->norm - b->norm) <= 1e-3 * a->norm);
	assert_true(fabs(a->loss - b->loss) <= 1e-4 * a->loss);
	for (int64_t i = 0; i < a->model->params.size; i++)
		if (!(fabsf(a->model->params.value[i] - b->model->params.value[i]) <= 3e-4f))
			fail_msg("%s: parameter %d is %.7g by rows, %.7g by blocks", what, (int)i,
				(double)b->model->params.value[i], (double)a->model->params.value[i]);
}

static const char *const configs[] = {
	"{\"architecture\": \"sasrec\", \"hidden_size\": 12, \"num_attention_heads\": 2, \"dropout\": 0.3, "
	"\"max_length\": 20}",
	"{\"architecture\": \"gru\", \"hidden_size\": 16, \"dropout\": 0.3, \"score\": \"dot\", \"tied\": false}",
};

static void test_trainings_by_rows(void **state)
{
	(void)state;
	for (size_t c = 0; c < COUNT_OF(configs); c++)
		for (enum loss loss = LOSS_SAMPLED; loss <= LOSS_GBCE; loss++)
			for (int threads = 1; threads <= 3; threads++) {
				const struct loss_options options = {loss, .negatives = loss == LOSS_BCE ? 1 : 5, .gbce_t = .75};
				struct trained blocks = train(configs[c], &options, threads, false, 0);
				struct trained rows = train(configs[c], &options, threads, true, 0);
				struct trained looked = train(configs[c], &options, threads, true, 4);
				assert_same_training(&blocks, &rows, loss_names[loss]);
				assert_memory_equal(rows.model->params.value, looked.model->params.value,
					(size_t)rows.model->params.size * sizeof(float));
				model_free(blocks.model);
				model_free(rows.model);
				model_free(looked.model);
			}
}

/* Where whole tables are read, or most rows, nothing is by rows. */
static void test_who_is_by_rows(void **state)
{
	(void)state;
	static const struct {
		const char *config;
		struct loss_options loss;
		int64_t examples;
		bool by_rows;
	} cases[] = {
		{"{\"architecture\": \"sasrec\", \"hidden_size\": 12}", {LOSS_GBCE, .negatives = 10}, 10, true},
		{"{\"architecture\": \"sasrec\", \"hidden_size\": 12}", {LOSS_GBCE, .negatives = 10}, 1000, false},
		{"{\"architecture\": \"sasrec\", \"hidden_size\": 12}", {LOSS_CE}, 10, false},
		{"{\"architecture\": \"sasrec\", \"hidden_size\": 12, \"score\": \"cosine\"}", {LOSS_BCE, .negatives = 1}, 10,
			false},
		{"{\"architecture\": \"sasrec\", \"hidden_size\": 12, \"features\": \"trainable\", \"feature_size\": 3}",
			{LOSS_BCE, .negatives = 1}, 10, false},
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct model *model = model_new(json_parse(cases[i].config, strlen(cases[i].config), "test"), ITEMS,
			"0123456789abcdef", "test");
		next_by_rows(model, &cases[i].loss, cases[i].examples, cases[i].examples);
		assert_true((model->params.by_rows > 0) == cases[i].by_rows);
		model_free(model);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_equals_whole, best_level),
		cmocka_unit_test_teardown(test_equals_whole_avx2, best_level),
		cmocka_unit_test_teardown(test_equals_whole_none, best_level),
		cmocka_unit_test(test_trainings_by_rows),
		cmocka_unit_test(test_who_is_by_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
