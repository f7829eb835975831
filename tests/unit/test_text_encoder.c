/*
 * Encoders of texts: states and gradients equal to Hugging Face's, vectors to sentence-transformers'
 * (golden/encoder.py), however texts are cut into batches; and what folders that are not as expected are answered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN "tests/golden/encoder.tar.zst"

#include "death.h"
#include "golden.h"
#include "folder.h"
#include "data/weights.h"
#include "model/text_encoder.h"
#include "model/transformer_parts.h"

static const char *const families[] = {"bert", "distilbert", "roberta", "xlm-roberta", "mpnet", "modernbert"};

/* --- states and gradients --- */

static void compare_states(const char *name, const char *path)
{
	struct transformer t = {0};
	struct params params = {0};
	struct weights *weights = weights_open(path);
	json_t *config = json_deep_copy(weights_config(weights));
	json_object_del(config, "pooling");
	options_read(transformer_options, config, &t, path);
	transformer_check(&t, path);
	transformer_declare(&t, &params, t.vocabulary, path);
	transformer_load(&t, &params, weights, true, path);

	int64_t *indptr = golden_array(name, "indptr.npy", I8), sequences = 4, n = indptr[4], d = 24;
	float *given = golden_array(name, "inputs.npy", F4), *hidden = golden_array(name, "hidden.npy", F4);
	float *weight = golden_array(name, "weight.npy", F4), *gradient = golden_array(name, "gradient.npy", F4);
	float none = 0;
	struct tape tape = {0};
	tape_begin(&tape, &none, 1, 0);
	struct array *inputs = tape_input(&tape, n, d);
	memcpy(inputs->value, given, (size_t)(n * d) * sizeof *given);
	tape_keep(inputs);
	struct array *states = transformer_states(&tape, &t, inputs, indptr, sequences);
	assert_near(states->value, hidden, n * d, 1e-4, name);
	memcpy(started_gradient(&tape, states), weight, (size_t)(n * d) * sizeof *weight);
	tape_backward(&tape);
	assert_near(tape_gradient(&tape, inputs), gradient, n * d, 1e-4, name);
	tape_free(&tape);
	void *const memory[] = {indptr, given, hidden, weight, gradient};
	for (size_t i = 0; i < COUNT_OF(memory); i++)
		free(memory[i]);
	transformer_release(&t);
	params_free(&params);
	json_decref(config);
}

static void test_states_equal_hugging_face(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		char *path = path_of(families[i]);
		compare_states(families[i], path);
		free(path);
	}
	char *file = path_of("bert/model.gguf");
	compare_states("bert", file);
	free(file);
}

/* --- vectors --- */

static void compare_vectors(const char *name, const char *path, const char *expected_name, int64_t width,
	double tolerance, int threads)
{
	struct text_encoder *encoder = text_encoder_open(path);
	int64_t *indptr = golden_array(name, "indptr.npy", I8);
	int32_t *ids = golden_array(name, "ids.npy", I4);
	float *expected = golden_array(name, expected_name, F4);
	assert_int_equal(text_encoder_width(encoder), width);
	assert_string_equal(text_encoder_prompt(encoder), "");
	/* texts without tokens before, between and behind */
	int64_t with_empty[] = {0, 0, indptr[1], indptr[2], indptr[2], indptr[3], indptr[4], indptr[4]};
	const struct item_tokens tokens = {.rows = 7, .indptr = with_empty, .ids = ids};
	static const int row_of[] = {1, 2, 4, 5};
	float *vectors = xaligned((size_t)(7 * width), sizeof *vectors);
	text_encoder_vectors(encoder, &tokens, vectors, threads);
	for (int row = 0; row < 4; row++)
		assert_near(vectors + row_of[row] * width, expected + row * width, width, tolerance, name);
	for (int64_t i = 0; i < width; i++)
		assert_true(vectors[i] == 0 && vectors[3 * width + i] == 0 && vectors[6 * width + i] == 0);
	text_encoder_pack(encoder, PACKED_PANELS);
	text_encoder_vectors(encoder, &tokens, vectors, threads);
	for (int row = 0; row < 4; row++)
		assert_near(vectors + row_of[row] * width, expected + row * width, width, tolerance, name);
	text_encoder_free(encoder);
	encoder = text_encoder_open(path);
	text_encoder_pack(encoder, PACKED_INTEGERS);
	text_encoder_vectors(encoder, &tokens, vectors, threads);
	for (int row = 0; row < 4; row++)
		assert_near(vectors + row_of[row] * width, expected + row * width, width, .05, name);
	free(vectors);
	free(expected);
	free(indptr);
	free(ids);
	text_encoder_free(encoder);
}

static void test_vectors_equal_sentence_transformers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		char *path = path_of(families[i]);
		for (int threads = 1; threads < 3; threads++)
			compare_vectors(families[i], path, "vectors.npy", i ? 24 : 9, 1e-4, threads);
		free(path);
	}
	char *file = path_of("bert/model.gguf");
	compare_vectors("bert", file, "first.npy", 24, 1e-4, 1);
	free(file);
}

/* The file of a folder as it was, or none. */
static void restore(const char *name)
{
	char *path = path_of(name);
	unlink(path);
	for (int i = 0; i < n_golden; i++)
		if (!strcmp(golden_members[i].name, name))
			write_file(name, golden_members[i].bytes, golden_members[i].size);
	free(path);
}

static void write_text(const char *name, const char *text)
{
	write_file(name, text, strlen(text));
}

/* Of mpnet's states, without the modules behind; skipped: with the prompt "red", whose tokens do not count. */
static void compare_pooling(const char *path, const char *mode, int skipped)
{
	char *config = xasprintf("{\"pooling_mode\":\"%s\",\"include_prompt\":%s}", mode, skipped ? "false" : "true");
	char *name = xasprintf("%s-%d.npy", mode, skipped);
	write_text("mpnet/1_Pooling/config.json", config);
	int64_t *indptr = golden_array("mpnet", "indptr.npy", I8);
	int32_t *ids = golden_array("mpnet", "ids.npy", I4);
	float *expected = golden_array("mpnet", name, F4), vectors[4 * 24];
	struct text_encoder *encoder = text_encoder_open(path);
	assert_string_equal(text_encoder_pooling(encoder), mode);
	text_encoder_vectors(encoder, &(struct item_tokens){.rows = 4, .indptr = indptr, .ids = ids}, vectors, 1);
	for (int row = 0; row < 4; row++) {
		bool has_more = indptr[row + 1] - indptr[row] > skipped;
		for (int i = 0; !has_more && i < 24; i++)
			assert_true(vectors[row * 24 + i] == 0);
		if (has_more)
			assert_near(vectors + row * 24, expected + row * 24, 24, 1e-4, name);
	}
	text_encoder_free(encoder);
	free(expected);
	free(ids);
	free(indptr);
	free(name);
	free(config);
}

static void test_poolings_equal_sentence_transformers(void **state)
{
	(void)state;
	static const char *const modes[] = {"mean", "cls", "lasttoken", "max", "mean_sqrt_len_tokens", "weightedmean"};
	char *path = path_of("mpnet");
	write_text("mpnet/modules.json",
		"[{\"path\":\"\",\"type\":\"m.Transformer\"},{\"path\":\"1_Pooling\",\"type\":\"m.Pooling\"}]");
	write_text("mpnet/config_sentence_transformers.json",
		"{\"default_prompt_name\":\"q\",\"prompts\":{\"q\":\"red \"}}");
	for (size_t i = 0; i < COUNT_OF(modes); i++)
		for (int skipped = 0; skipped <= 2; skipped += 2)
			compare_pooling(path, modes[i], skipped);
	restore("mpnet/modules.json");
	restore("mpnet/1_Pooling/config.json");
	restore("mpnet/config_sentence_transformers.json");
	free(path);
}

/* --- what is refused --- */

static void open_encoder(const void *path)
{
	text_encoder_free(text_encoder_open(path));
}

static void test_refusals(void **state)
{
	(void)state;
	static const struct {
		const char *file, *text, *says;
	} bad[] = {
		{"mpnet/modules.json", "{}", "modules.json: a list of modules was expected"},
		{"mpnet/modules.json", "[{\"path\":\"\",\"type\":\"m.Transformer\"}]", "a list of modules was expected"},
		{"mpnet/modules.json", "[{\"path\":\"\",\"type\":\"m.Transformer\"},{\"path\":\"x\",\"type\":\"m.CNN\"}]",
			"module 1 is \"CNN\": a Transformer, a Pooling, then Dense and Normalize are supported"},
		{"mpnet/modules.json", "[{\"path\":\"..\",\"type\":\"m.Transformer\"},{\"path\":\"x\",\"type\":\"m.Pooling\"}]",
			"the path of module 0 leaves the folder"},
		{"mpnet/1_Pooling/config.json", "{\"pooling_mode\":\"attention\"}",
			"pooling by \"attention\" is not supported: mean, cls, lasttoken, max, mean_sqrt_len_tokens and "
			"weightedmean are"},
		{"mpnet/1_Pooling/config.json", "{\"pooling_mode\":[\"max\",\"cls\"]}", "pooling by \"several at once\""},
		{"mpnet/1_Pooling/config.json", "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":true}",
			"pooling by \"several at once\""},
		{"mpnet/sentence_bert_config.json", "{\"do_lower_case\":true}", "\"do_lower_case\", which is not supported"},
		{"mpnet/config_sentence_transformers.json", "{\"default_prompt_name\":\"q\",\"prompts\":{}}",
			"no prompt \"q\""},
		{"mpnet/config.json", "{\"model_type\":\"longformer\"}",
			"mpnet: a \"longformer\" is no encoder of texts; those that are: bert, distilbert"},
		{"mpnet/tokenizer.json", "{}", "tokenizer.json"},
		{"bert/2_Dense/config.json", "{\"activation_function\":\"torch.nn.modules.activation.ReLU\"}",
			"\"activation_function\" is \"torch.nn.modules.activation.ReLU\": Tanh and Identity are supported"},
	};
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		write_text(bad[i].file, bad[i].text);
		char *path = path_of(strncmp(bad[i].file, "bert", 4) ? "mpnet" : "bert");
		expect_death(open_encoder, path, bad[i].says);
		restore(bad[i].file);
		free(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_states_equal_hugging_face),
		cmocka_unit_test(test_vectors_equal_sentence_transformers),
		cmocka_unit_test(test_poolings_equal_sentence_transformers), cmocka_unit_test(test_refusals)};
	return cmocka_run_group_tests_name("text_encoder", tests, golden_unpack, golden_remove);
}
