/*
 * Tuning language models on histories: loss, gradients and one step of AdamW, and states of a layer, equal to PyTorch's
 * (golden/histories.py).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN "tests/golden/histories.tar.zst"
#include "golden.h"
#include "model/llm.h"
#include "task/history_texts.h"

static const char *const cases[] = {"llama", "qwen3", "gemma3"};
static const char *const files[] = {"config.json", "model.safetensors"};

/* The case's weights by way of a folder as Hugging Face have it. */
static struct model *open_model(const char *name)
{
	char folder[] = "/tmp/recpipe-histories-XXXXXX";
	assert_non_null(mkdtemp(folder));
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		const struct golden_member *member = golden_find(name, files[i]);
		char *path = xasprintf("%s/%s", folder, files[i]);
		FILE *file = fopen(path, "wb");
		assert_non_null(file);
		assert_int_equal(fwrite(member->bytes, 1, member->size, file), member->size);
		assert_int_equal(fclose(file), 0);
		free(path);
	}
	struct model *model = llm_open(folder, LLM_LEARNS);
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		char *path = xasprintf("%s/%s", folder, files[i]);
		unlink(path);
		free(path);
	}
	rmdir(folder);
	return model;
}

/* All that a task is made of. */
struct setting {
	struct model *model;
	struct sequences sequences;
	struct item_tokens texts;
	int32_t *form; /* items, start, separator */
	struct trainer *trainer;
	struct task *task;
};

static void set_up(struct setting *s, const char *name, int threads)
{
	s->model = open_model(name);
	const struct tensor *texts = &golden_find("texts", "indptr.npy")->tensor;
	const struct tensor *users = &golden_find("users", "indptr.npy")->tensor;
	s->sequences = (struct sequences){.n_users = users->shape[0] - 1,
		.indptr = golden_array("users", "indptr.npy", I8),
		.item = golden_array("users", "item.npy", I4),
		.holdout = HOLDOUT_LAST};
	s->texts = (struct item_tokens){.rows = texts->shape[0] - 1,
		.indptr = golden_array("texts", "indptr.npy", I8),
		.ids = golden_array("texts", "ids.npy", I4),
		.budget = 4};
	const struct tensor *form = &golden_file("form.npy")->tensor;
	s->form = tensor_as(form, I4, "form.npy");
	struct optimisation optimisation = {.adamw = ADAMW_DEFAULTS};
	optimisation.adamw.rate = .01;
	optimisation.adamw.epsilon = 1e-4;
	optimisation.adamw.weight_decay = strcmp(name, "gemma3") != 0 ? .1 : 0;
	const struct history_form how = {.items = s->form[0],
		.start = s->form[1],
		.separator = s->form + 2,
		.n_separator = form->shape[0] - 2,
		.valid_users = 100};
	s->trainer = trainer_new(&s->model->params, &optimisation, threads);
	s->task = history_texts_task(s->model, &s->sequences, &s->texts, &how, s->trainer->n_workers);
}

static void tear_down(struct setting *s)
{
	s->task->free(s->task);
	trainer_free(s->trainer);
	model_free(s->model);
	free(s->sequences.indptr);
	free(s->sequences.item);
	free(s->texts.indptr);
	free(s->texts.ids);
	free(s->form);
}

static void assert_valid(const struct setting *s, const char *name, const char *member)
{
	float *expected = golden_array(name, member, F4);
	double measured[RUN_MEASURES];
	assert_true(s->task->validate(s->task, s->trainer, 0, measured));
	const float is = (float)measured[0];
	assert_near(&is, expected, 1, 1e-5, member);
	free(expected);
}

/* values: a block of parameters, or of their gradients. */
static void assert_parameters(const struct setting *s, const char *name, const char *what, const float *values)
{
	for (int i = 0; i < s->model->params.count; i++) {
		const struct param *param = s->model->params.list[i];
		char *member = xasprintf("%s/%s.npy", what, param->name);
		float *expected = golden_array(name, member, F4);
		assert_near(values + param->offset, expected, param_count(param), 1e-4, member);
		free(expected);
		free(member);
	}
}

static void check(const char *name, int threads)
{
	struct setting s;
	set_up(&s, name, threads);
	float *loss = golden_array(name, "loss.npy", F4);
	struct step_result result;
	/* users 0, 2 and 3: 1 and 5 have one event to train on, 4 no two that have texts */
	assert_int_equal(s.task->examples, 3);
	assert_valid(&s, name, "valid.npy");
	s.task->step(s.task, s.trainer, (const int64_t[]){2, 0, 1}, 3, 1, &result);
	const float is = (float)result.loss;
	assert_near(&is, loss, 1, 1e-5, name);
	assert_int_equal(result.positions, (int64_t)loss[1]);
	assert_parameters(&s, name, "gradient", trainer_gradient(s.trainer));
	assert_parameters(&s, name, "stepped", s.model->params.value);
	assert_valid(&s, name, "valid_after.npy");
	free(loss);
	tear_down(&s);
}

static void test_equals_pytorch(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		check(cases[i], 1);
		check(cases[i], 2);
	}
}

static void test_states_of_a_layer(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct setting s;
		set_up(&s, cases[i], 1);
		struct tape tape = {0};
		float *expected = golden_array(cases[i], "middle.npy", F4);
		const struct histories texts = {.rows = s.texts.rows, .indptr = s.texts.indptr, .item = s.texts.ids};
		llm_read_layer(s.model, 1);
		tape_begin(&tape, NULL, 0, 0);
		const struct array *states = model_hidden(&tape, s.model, &texts);
		assert_near(states->value, expected, states->rows * states->columns, 1e-5, cases[i]);
		free(expected);
		tape_free(&tape);
		tear_down(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_equals_pytorch), cmocka_unit_test(test_states_of_a_layer)};
	return cmocka_run_group_tests(tests, golden_load, golden_unload);
}
