/*
 * Language models: equal to Hugging Face's (golden/llm.py) from their folders, frozen and trained; stories260K equal to
 * llama2.c, its text to the letter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN "tests/golden/llm.tar.zst"
#include "golden.h"
#include "model/llm.h"
#include "nn/blas.h"
#include "nn/loss.h"
#include "skip.h"

/* The first four have gradients of their parameters, too. */
static const char *const cases[] = {"grouped", "biased", "qwen2", "gpt2", "yarn", "mistral", "qwen3", "gemma2",
	"gemma3", "phi3", "olmo2", "granite", "smollm3", "pythia", "neox"};
#define TRAINED 4

static void write_file(const char *folder, const char *name, const void *bytes, size_t size)
{
	char *path = xasprintf("%s/%s", folder, name);
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
	free(path);
}

/* The case's Hugging Face folder, for as long as the test runs. */
static char *make_folder(const char *name)
{
	char *folder = xstrdup("/tmp/recpipe-llm-XXXXXX");
	assert_non_null(mkdtemp(folder));
	const struct golden_member *config = golden_find(name, "config.json"),
							   *tensors = golden_find(name, "model.safetensors");
	write_file(folder, "config.json", config->bytes, config->size);
	write_file(folder, "model.safetensors", tensors->bytes, tensors->size);
	char *gguf = xasprintf("%s/model.gguf", name);
	for (int i = 0; i < n_golden; i++)
		if (!strcmp(golden_members[i].name, gguf))
			write_file(folder, "model.gguf", golden_members[i].bytes, golden_members[i].size);
	free(gguf);
	return folder;
}

static void remove_folder(char *folder)
{
	static const char *const names[] = {"config.json", "model.safetensors", "model.gguf"};
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		char *path = xasprintf("%s/%s", folder, names[i]);
		unlink(path);
		free(path);
	}
	rmdir(folder);
	free(folder);
}

/* --- equal to Hugging Face's --- */

struct golden_case {
	const char *name;
	int64_t *indptr, sequences, n;
	int32_t *target;
	float *inputs, *hidden, *logits, *nll, *gradient;
};

static struct golden_case read_case(const char *name)
{
	struct golden_case c = {.name = name};
	c.indptr = golden_array(name, "indptr.npy", I8);
	c.sequences = golden_find(name, "indptr.npy")->tensor.shape[0] - 1;
	c.n = c.indptr[c.sequences];
	c.target = golden_array(name, "target.npy", I4);
	c.inputs = golden_array(name, "inputs.npy", F4);
	c.hidden = golden_array(name, "hidden.npy", F4);
	c.logits = golden_array(name, "logits.npy", F4);
	c.nll = golden_array(name, "nll.npy", F4);
	c.gradient = golden_array(name, "inputs_gradient.npy", F4);
	return c;
}

static void free_case(struct golden_case *c)
{
	free(c->indptr);
	free(c->target);
	free(c->inputs);
	free(c->hidden);
	free(c->logits);
	free(c->nll);
	free(c->gradient);
}

/* Ours are divided by what logits are divided by. */
static void compare_hidden(const struct golden_case *c, const struct model *model, const struct array *hidden,
	double tolerance)
{
	const json_t *scaling = json_object_get(model->config, "logits_scaling");
	float divisor = scaling ? (float)json_number_value(scaling) : 1;
	int64_t floats = c->n * model->width;
	float *expected = xaligned((size_t)floats, sizeof *expected);
	for (int64_t i = 0; i < floats; i++)
		expected[i] = c->hidden[i] / divisor;
	assert_near(hidden->value, expected, floats, tolerance, c->name);
	free(expected);
}

static void compare_logits(const struct golden_case *c, const struct model *model, const struct array *hidden,
	double tolerance)
{
	int64_t vocabulary = model->n_items, d = model->width;
	float *logits = xaligned((size_t)(c->n * vocabulary), sizeof *logits);
	blas_gemm(false, true, c->n, vocabulary, d, 1, hidden->value, hidden->stride, model->item_vectors->value, d, 0,
		logits, vocabulary);
	for (int64_t i = 0; llm_softcap(model) > 0 && i < c->n * vocabulary; i++)
		logits[i] = llm_softcap(model) * tanhf(logits[i] / llm_softcap(model));
	assert_near(logits, c->logits, c->n * vocabulary, tolerance, c->name);
	free(logits);
}

/* Forward and backward from the golden input vectors. gradient: of the parameters. */
static void compare(const struct golden_case *c, const struct model *model, float *gradient, double tolerance,
	double of_gradient)
{
	struct tape tape = {0};
	tape_begin(&tape, gradient, 1, 0);
	struct array *inputs = tape_input(&tape, c->n, model->width);
	memcpy(inputs->value, c->inputs, (size_t)(c->n * model->width) * sizeof(float));
	struct array *hidden = llm_hidden(&tape, model, inputs, c->indptr, c->sequences);
	compare_hidden(c, model, hidden, tolerance);
	compare_logits(c, model, hidden, tolerance);
	int64_t positions = 0;
	for (int64_t t = 0; t < c->n; t++)
		positions += c->target[t] >= 0;
	float *nll = xaligned((size_t)c->n, sizeof *nll);
	bool *said = xaligned((size_t)c->n, sizeof *said);
	full_cross_entropy_each(&tape, hidden, tape_param(&tape, model->item_vectors), c->target, 1 / (float)positions,
		llm_softcap(model), nll, said);
	assert_near(nll, c->nll, c->n, tolerance, c->name);
	tape_backward(&tape);
	assert_near(tape_gradient(&tape, inputs), c->gradient, c->n * model->width, of_gradient, c->name);
	free(nll);
	free(said);
	tape_free(&tape);
}

static void check_frozen(const struct golden_case *c, struct model *model)
{
	float none = 0;
	assert_true(is_llm(model));
	assert_int_equal(model->params.trainable, 0);
	compare(c, model, &none, 1e-4, 1e-4);
}

/* Near in integers; and as before after that. */
static void check_integers(const struct golden_case *c, struct model *model)
{
	float none = 0;
	llm_pack(model, PACKED_INTEGERS);
	compare(c, model, &none, .02, .1);
	llm_pack(model, PACKED_NOT);
	compare(c, model, &none, 1e-4, 1e-4);
}

/* From the folder, and from GGUF where there is such a file. */
static void each_frozen(void (*check)(const struct golden_case *c, struct model *model))
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char *folder = make_folder(cases[i]), *file = xasprintf("%s/model.gguf", folder);
		struct golden_case c = read_case(cases[i]);
		struct model *model = llm_open(folder, LLM_SAYS);
		check(&c, model);
		model_free(model);
		if (!access(file, F_OK)) {
			c.name = file;
			model = llm_open(file, LLM_SAYS);
			check(&c, model);
			model_free(model);
		}
		free_case(&c);
		remove_folder(folder);
		free(file);
	}
}

static void test_frozen_equals_hugging_face(void **state)
{
	(void)state;
	each_frozen(check_frozen);
}

static void test_integers(void **state)
{
	(void)state;
	each_frozen(check_integers);
}

/* A model of our own with the same numbers: its parameters have gradients. */
static struct model *trainable_copy(const struct model *frozen)
{
	struct model *model = model_new(json_deep_copy(frozen->config), frozen->n_items, "", "copy");
	for (int i = 0; i < model->params.count; i++) {
		struct param *param = model->params.list[i];
		memcpy(param->value, params_find(&frozen->params, param->name)->value,
			(size_t)param_count(param) * sizeof(float));
	}
	return model;
}

static void test_gradients_equal_hugging_face(void **state)
{
	(void)state;
	for (size_t i = 0; i < TRAINED; i++) {
		char *folder = make_folder(cases[i]);
		struct golden_case c = read_case(cases[i]);
		struct model *frozen = llm_open(folder, LLM_SAYS), *model = trainable_copy(frozen);
		float *gradient = xaligned((size_t)model->params.trainable, sizeof *gradient);
		compare(&c, model, gradient, 1e-4, 1e-4);
		for (int k = 0; k < model->params.count; k++) {
			const struct param *param = model->params.list[k];
			char *name = xasprintf("gradient/%s.npy", param->name);
			float *expected = golden_array(c.name, name, F4), largest = 0;
			for (int64_t j = 0; j < param_count(param); j++)
				largest = fabsf(expected[j]) > largest ? fabsf(expected[j]) : largest;
			/* what is rounding alone: a key's bias, and tables no token was looked up in */
			if (largest < 1e-7f)
				for (int64_t j = 0; j < param_count(param); j++)
					assert_true(fabsf(gradient[param->offset + j]) < 1e-6f);
			else
				assert_near(gradient + param->offset, expected, param_count(param), 1e-4, name);
			free(expected);
			free(name);
		}
		free(gradient);
		model_free(model);
		model_free(frozen);
		free_case(&c);
		remove_folder(folder);
	}
}

/* Tokens and their vectors give the same states, recorded or not, and each sequence has its own. */
static void test_tokens_are_their_vectors(void **state)
{
	(void)state;
	static const int32_t tokens[] = {0, 0, 3, 1, 4, 1, 5, 9, 2, 6};
	static const int64_t indptr[] = {2, 5, 5, 10};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char *folder = make_folder(cases[i]);
		struct model *model = llm_open(folder, LLM_SAYS);
		int64_t d = model->width;
		float none = 0;
		struct tape one = {0}, other = {0};
		tape_begin(&one, NULL, 0, 0);
		const struct histories histories = {.rows = 3, .indptr = indptr, .item = tokens};
		const struct array *a = model->architecture->hidden(&one, model, &histories);
		tape_begin(&other, &none, 0, 0);
		struct array *inputs = tape_input(&other, 5, d);
		for (int64_t t = 0; t < 5; t++)
			memcpy(inputs->value + t * d, llm_token_vectors(model) + tokens[5 + t] * d, (size_t)d * sizeof(float));
		const struct array *b = llm_hidden(&other, model, inputs, indptr + 2, 1);
		assert_near(a->value + 3 * d, b->value, 5 * d, 1e-5, cases[i]);
		tape_free(&one);
		tape_free(&other);
		model_free(model);
		remove_folder(folder);
	}
}

/* --- bad weights --- */

static void dies_with(const char *folder, const char *expected)
{
	int ends[2];
	char line[512];
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		llm_open(folder, LLM_SAYS);
		_exit(0);
	}
	close(ends[1]);
	ssize_t n = read(ends[0], line, sizeof line - 1);
	line[n > 0 ? n : 0] = 0;
	close(ends[0]);
	int status;
	waitpid(child, &status, 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	if (!strstr(line, expected))
		fail_msg("\"%s\" was expected in: %s", expected, line);
}

static void test_bad_weights(void **state)
{
	(void)state;
	static const struct {
		const char *name, *key, *value, *message;
	} bad[] = {
		{"grouped", "num_hidden_layers", "3", "tensor model.layers.2.input_layernorm.weight is missing"},
		{"grouped", "vocab_size", "40", "tensor model.embed_tokens.weight is (37, 16) <f4, (40, 16) <f4 was expected"},
		{"grouped", "num_key_value_heads", "3", "not a multiple of \"num_key_value_heads\" 3"},
		{"grouped", "head_dim", "5", "\"head_dim\" is 5, an even number was expected"},
		{"grouped", "tie_word_embeddings", "0", "\"tie_word_embeddings\""},
		{"grouped", "hidden_act", "\"relu\"", "\"hidden_act\" is \"relu\", silu or a gelu was expected of a gate"},
		{"gpt2", "activation_function", "\"silu\"", "\"hidden_act\" is \"silu\", relu or a gelu was expected"},
		{"grouped", "rope_parameters",
			"{\"rope_type\":\"llama3\",\"rope_theta\":9,\"factor\":8,\"low_freq_factor\":4,\"high_freq_factor\":1}",
			"rope_scaling: \"high_freq_factor\" is not above \"low_freq_factor\""},
		{"grouped", "rope_parameters", "{\"rope_type\":\"ntk\",\"rope_theta\":9}",
			"\"rope_type\" is \"ntk\", linear, llama3, yarn, longrope, factors or dynamic was expected"},
		{"grouped", "rope_parameters", "{\"rope_type\":\"longrope\",\"rope_theta\":9}",
			"rope_scaling: no \"short_factor\", a list was expected"},
		{"grouped", "rope_parameters", "{\"rope_type\":\"longrope\",\"rope_theta\":9,\"short_factor\":[1,0,1]}",
			"rope_scaling: a factor of 0"},
		{"grouped", "rope_parameters", "{\"rope_type\":\"longrope\",\"rope_theta\":9,\"short_factor\":[1]}",
			"rope_scaling: \"factors\" are 1, 3 were expected"},
		{"gpt2", "n_head", "3", "\"hidden_size\" 16 is not a multiple of \"num_attention_heads\" 3"},
		{"gpt2", "n_positions", "65", "tensor transformer.wpe.weight is (64, 16) <f4, (65, 16) <f4 was expected"},
	};
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char *folder = make_folder(bad[i].name);
		const struct golden_member *member = golden_find(bad[i].name, "config.json");
		json_t *config = json_parse(member->bytes, member->size, "config.json");
		json_object_set_new(config, bad[i].key, json_loads(bad[i].value, JSON_DECODE_ANY, NULL));
		char *text = json_text(config);
		write_file(folder, "config.json", text, strlen(text));
		dies_with(folder, bad[i].message);
		free(text);
		json_decref(config);
		remove_folder(folder);
	}
}

/* A file without a head: hidden states need none, what is said does. */
static void test_headless(void **state)
{
	(void)state;
	char *folder = make_folder("biased");
	const struct golden_member *member = golden_find("biased", "config.json");
	json_t *config = json_parse(member->bytes, member->size, "config.json");
	json_set(config, "tie_word_embeddings", json_false());
	char *text = json_text(config);
	write_file(folder, "config.json", text, strlen(text));
	dies_with(folder, "tensor lm_head.weight is missing");
	struct golden_case c = read_case("biased");
	struct model *model = llm_open(folder, LLM_READS);
	check_frozen(&c, model);
	model_free(model);
	free_case(&c);
	free(text);
	json_decref(config);
	remove_folder(folder);
}

/* --- stories260K, in llama2.c's layout --- */

static FILE *open_story(const char *name)
{
	char *path = shared_file(name);
	FILE *file = fopen(path, "rb");
	free(path);
	assert_non_null(file);
	return file;
}

static void read_floats(FILE *file, float *to, int64_t n)
{
	assert_int_equal(fread(to, sizeof *to, (size_t)n, file), n);
}

static void read_layers(FILE *file, struct model *model, int layers, const char *part)
{
	for (int i = 0; i < layers; i++) {
		char name[80];
		snprintf(name, sizeof name, "model.layers.%d.%s.weight", i, part);
		const struct param *param = params_find(&model->params, name);
		read_floats(file, param->value, param_count(param));
	}
}

static struct model *open_stories(void)
{
	static const char *const parts[] = {"input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
		"self_attn.o_proj", "post_attention_layernorm", "mlp.gate_proj", "mlp.down_proj", "mlp.up_proj"};
	FILE *file = open_story("weights/stories260K/stories260K.bin");
	int32_t h[7]; /* width, inner, layers, heads, heads of keys, vocabulary, longest */
	assert_int_equal(fread(h, sizeof *h, COUNT_OF(h), file), COUNT_OF(h));
	json_t *config = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i}", "architecture", "llama", "rope_pairing",
		"interleaved", "hidden_size", h[0], "intermediate_size", h[1], "num_hidden_layers", h[2], "num_attention_heads",
		h[3], "num_key_value_heads", h[4], "max_position_embeddings", h[6]);
	struct model *model = model_new(config, h[5], "", "stories260K.bin");
	read_floats(file, params_find(&model->params, "model.embed_tokens.weight")->value, (int64_t)h[5] * h[0]);
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		read_layers(file, model, h[2], parts[i]);
	read_floats(file, params_find(&model->params, "model.norm.weight")->value, h[0]);
	fclose(file);
	llm_freeze(model);
	return model;
}

static const struct array *states_of(struct tape *tape, const struct model *model, const int32_t *ids, int64_t n)
{
	const int64_t indptr[] = {0, n};
	const struct histories histories = {.rows = 1, .indptr = indptr, .item = ids};
	tape_begin(tape, NULL, 0, 0);
	return model->architecture->hidden(tape, model, &histories);
}

/*
 * Lines of the golden file: IDS and all of a prompt's, then for
 * each position LOGITS or FINAL_NORMED_HIDDEN and numbers.
 */
static void test_stories_forward(void **state)
{
	(void)state;
	FILE *file = open_story("weights/stories260K/golden_forward.txt");
	struct model *model = open_stories();
	struct tape tape = {0};
	const struct array *hidden = NULL;
	int64_t d = model->width, compared = 0;
	char *line = NULL;
	size_t room = 0;
	while (getline(&line, &room, file) > 0) {
		char *at = line + strcspn(line, " ");
		bool is_ids = !strncmp(line, "IDS ", 4), is_logits = !strncmp(line, "LOGITS ", 7);
		if (is_ids) {
			int32_t ids[512];
			int64_t n = 0;
			for (char *end; n < 512; at = end) {
				long id = strtol(at, &end, 10);
				if (end == at)
					break;
				ids[n++] = (int32_t)id;
			}
			hidden = states_of(&tape, model, ids, n);
		} else if (is_logits || !strncmp(line, "FINAL_NORMED_HIDDEN ", 20)) {
			int64_t position = strtol(at, &at, 10), columns = is_logits ? model->n_items : d;
			float expected[512], is[512];
			assert_true(hidden && position < hidden->rows && columns <= 512);
			for (int64_t i = 0; i < columns; i++)
				expected[i] = strtof(at, &at);
			memcpy(is, hidden->value + position * d, (size_t)d * sizeof *is);
			if (is_logits)
				blas_gemm(false, true, 1, columns, d, 1, hidden->value + position * d, d, model->item_vectors->value, d,
					0, is, columns);
			assert_near(is, expected, columns, 1e-5, line); /* printed with six digits */
			compared++;
		}
	}
	assert_true(compared >= 40);
	free(line);
	fclose(file);
	tape_free(&tape);
	model_free(model);
}

/* Pieces of llama2.c's tokenizer file: text of each token. */
static void read_pieces(char pieces[][64], int n)
{
	FILE *file = open_story("weights/stories260K/tok512.bin");
	int32_t longest, length;
	float score;
	assert_int_equal(fread(&longest, sizeof longest, 1, file), 1);
	for (int i = 0; i < n; i++) {
		read_floats(file, &score, 1);
		assert_int_equal(fread(&length, sizeof length, 1, file), 1);
		assert_in_range(length, 0, 63);
		assert_int_equal(fread(pieces[i], 1, (size_t)length, file), length);
		pieces[i][length] = 0;
		unsigned byte;
		if (sscanf(pieces[i], "<0x%2X>", &byte) == 1)
			snprintf(pieces[i], 64, "%c", (char)byte);
	}
	fclose(file);
}

static void test_stories_greedy(void **state)
{
	(void)state;
	enum { SAID = 200, BOS = 1 };
	static char pieces[512][64], expected[4096];
	FILE *file = open_story("weights/stories260K/expected_greedy_200.txt");
	size_t size = fread(expected, 1, sizeof expected - 1, file);
	while (size && expected[size - 1] == '\n')
		expected[--size] = 0;
	fclose(file);
	struct model *model = open_stories();
	read_pieces(pieces, 512);
	/* the same twice, beside each other, and from a token that is another start */
	int64_t d = model->width, length[3];
	float *vectors = xaligned((size_t)(3 * d), sizeof *vectors);
	int32_t *tokens = xcalloc(3 * SAID, sizeof *tokens);
	for (int i = 0; i < 3; i++)
		memcpy(vectors + i * d, llm_token_vectors(model) + (i == 1 ? 410 : BOS) * d, (size_t)d * sizeof *vectors);
	llm_say(model, -1, vectors, 3, BOS, SAID, tokens, length);
	struct buffer text = {0};
	for (int64_t t = 0; t < length[0]; t++) {
		const char *piece = pieces[tokens[t]] + (t == 0 && pieces[tokens[t]][0] == ' ');
		buffer_append(&text, piece, strlen(piece));
	}
	buffer_append(&text, "", 1);
	assert_string_equal(text.data, expected);
	assert_int_equal(length[0], length[2]);
	assert_memory_equal(tokens, tokens + 2 * SAID, (size_t)length[0] * sizeof *tokens);
	assert_true(length[0] != length[1] || memcmp(tokens, tokens + SAID, (size_t)length[0] * sizeof *tokens) != 0);
	buffer_free(&text);
	free(tokens);
	free(vectors);
	model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frozen_equals_hugging_face),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_gradients_equal_hugging_face),
		cmocka_unit_test(test_tokens_are_their_vectors),
		cmocka_unit_test(test_bad_weights),
		cmocka_unit_test(test_headless),
		cmocka_unit_test(test_stories_forward),
		cmocka_unit_test(test_stories_greedy),
	};
	return cmocka_run_group_tests_name("llm", tests, golden_load, golden_unload);
}
