/*
 * SAID's first stage on a small random LLM: gradients of the projector against finite differences of what the LLM says.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/llm.h"
#include "task/align.h"

#define ITEMS 4
#define VOCABULARY 23
#define WIDTH 16

static int64_t text_indptr[ITEMS + 1] = {0, 3, 3, 10, 12}; /* item 1 has no text */
static int32_t text_ids[] = {5, 9, 2, 7, 7, 1, 3, 20, 11, 4, 22, 6};
static const struct text_ends ends = {0, 1};

static const struct item_tokens texts = {.rows = ITEMS, .indptr = text_indptr, .ids = text_ids};

static struct model *small_llm(void)
{
	const char *config = "{\"architecture\": \"llama\", \"hidden_size\": 16, \"num_hidden_layers\": 2, "
						 "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"intermediate_size\": 24}";
	struct model *llm = model_new(json_parse(config, strlen(config), "test"), VOCABULARY, "0123456789abcdef", "test");
	struct rng rng;
	rng_seed(&rng, 3);
	for (int i = 0; i < llm->params.count; i++)
		if (llm->params.list[i]->n_dims == 2)
			param_normal(llm->params.list[i], &rng, .4);
		else
			param_fill(llm->params.list[i], 1);
	llm_freeze(llm);
	return llm;
}

struct setting {
	struct model *llm;
	struct catalog catalog;
	struct projector *projector;
	struct trainer *trainer;
	struct task *task;
};

static struct setting set_up(enum projector_kind kind, int lead, double radius, double ridge, int threads)
{
	struct setting s = {.llm = small_llm()};
	struct rng rng;
	rng_seed(&rng, 5);
	s.catalog = (struct catalog){.n_items = ITEMS, .fingerprint = "fedcba9876543210"};
	strings_add_all(&s.catalog.item_id, "a\0b\0c\0d", ITEMS);
	const float *words = llm_token_vectors(s.llm);
	s.projector = kind == PROJECTOR_TABLE ?
		projector_table(&s.catalog, s.llm->belongs_to, &texts, words, VOCABULARY, WIDTH) :
		projector_mlp(&s.catalog, s.llm->belongs_to, &texts, words, VOCABULARY, WIDTH, 3, 10, &rng);
	if (kind == PROJECTOR_MLP)
		param_normal(s.projector->second, &rng, .3);
	const struct align_options options = {.descent = {.radius = radius, .memory = .98, .ridge = ridge}, .lead = lead};
	struct optimisation optimisation = {.adamw = ADAMW_DEFAULTS};
	optimisation.adamw.rate = radius;
	s.task = align_task(s.projector, s.llm, &texts, ends, &options);
	s.trainer = trainer_new(&s.projector->params, &optimisation, threads);
	return s;
}

static void tear_down(struct setting *s)
{
	s->task->free(s->task);
	trainer_free(s->trainer);
	projector_free(s->projector);
	model_free(s->llm);
	strings_free(&s->catalog.item_id);
}

static const int64_t all[] = {0, 2, 3};

static double mean_nll(struct setting *s)
{
	struct align_result learned, held_out;
	align_measure(s->task, s->trainer, &learned, &held_out);
	assert_int_equal(learned.items, COUNT_OF(all));
	assert_int_equal(learned.tokens, 3 + 7 + 2 + 3);
	return learned.nll;
}

static double difference(struct setting *s, float *value)
{
	const float step = 4e-3f, held = *value;
	*value = held + step;
	double up = mean_nll(s);
	*value = held - step;
	double down = mean_nll(s);
	*value = held;
	return (up - down) / (2 * (double)step);
}

static void step(struct setting *s)
{
	struct step_result result;
	s->task->begin_epoch(s->task, 0, (int64_t[ITEMS]){0});
	s->task->step(s->task, s->trainer, all, COUNT_OF(all), 1, &result);
	assert_int_equal(result.positions, 15);
}

static void test_network_gradient(void **state)
{
	(void)state;
	for (int lead = 0; lead <= 1; lead++)
		for (int threads = 1; threads <= 2; threads++) {
			struct setting s = set_up(PROJECTOR_MLP, lead, 0, 1, threads);
			step(&s);
			const float *gradient = trainer_gradient(s.trainer);
			int checked = 0;
			for (int64_t i = 0; i < s.projector->params.size; i += 31) {
				double expected = difference(&s, s.projector->params.value + i);
				/* the measuring has set the gradients to 0: they are computed anew */
				step(&s);
				assert_true(fabs((double)gradient[i] - expected) < 2e-3 + .02 * fabs(expected));
				checked += fabs(expected) > .01;
			}
			assert_true(checked > 8);
			tear_down(&s);
		}
}

/*
 * Where the ridge outweighs the moment, the first step is along the
 * gradient, as far as the radius; it is taken where it leads down.
 */
static void test_rows_go_down(void **state)
{
	(void)state;
	for (int lead = 0; lead <= 1; lead++) {
		struct setting s = set_up(PROJECTOR_TABLE, lead, .02, 1e12, 2);
		double slope[ITEMS * WIDTH], size[ITEMS] = {0}, length[ITEMS] = {0};
		float before[ITEMS * WIDTH];
		int checked = 0;
		for (int i = 0; i < ITEMS * WIDTH; i++) {
			slope[i] = difference(&s, s.projector->vectors + i);
			size[i / WIDTH] += slope[i] * slope[i];
			length[i / WIDTH] += (double)s.projector->vectors[i] * (double)s.projector->vectors[i];
		}
		memcpy(before, s.projector->vectors, sizeof before);
		step(&s);
		assert_memory_equal(before, s.projector->vectors, sizeof before);
		step(&s);
		for (int i = 0; i < ITEMS * WIDTH; i++) {
			double moved = (double)s.projector->vectors[i] - (double)before[i];
			double expected = size[i / WIDTH] > 0 ? -.02 * slope[i] * sqrt(length[i / WIDTH] / size[i / WIDTH]) : 0;
			assert_true(fabs(moved - expected) < 2e-4);
			checked += fabs(expected) > .002;
		}
		assert_true(checked > 20);
		tear_down(&s);
	}
}

static void test_learns_what_to_say(void **state)
{
	(void)state;
	struct setting s = set_up(PROJECTOR_TABLE, 1, .2, .03, 2);
	double before = mean_nll(&s);
	for (int i = 0; i < 200; i++)
		step(&s);
	assert_true(mean_nll(&s) < .7 * before);
	tear_down(&s);
}

/* What is said from the vector alone is what teacher forcing counts as exact. */
static void test_exact_is_greedy(void **state)
{
	(void)state;
	struct setting s = set_up(PROJECTOR_TABLE, 1, .2, .03, 1);
	struct align_result learned, held_out;
	for (int i = 0; i < 600; i++)
		step(&s);
	align_measure(s.task, s.trainer, &learned, &held_out);
	int exact = 0;
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		int32_t said[8];
		int64_t length, expected = text_indptr[all[i] + 1] - text_indptr[all[i]];
		llm_say(s.llm, ends.start, s.projector->vectors + all[i] * WIDTH, 1, ends.end, 8, said, &length);
		exact += length == expected && !memcmp(said, text_ids + text_indptr[all[i]], (size_t)length * sizeof *said);
	}
	assert_true(exact > 0);
	assert_true(fabs(learned.exact * COUNT_OF(all) - exact) < 1e-9);
	tear_down(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_network_gradient),
		cmocka_unit_test(test_rows_go_down),
		cmocka_unit_test(test_learns_what_to_say),
		cmocka_unit_test(test_exact_is_greedy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
