/*
 * Weights against the numbers that the formats' own packages read (golden/weights.py), and what damaged or foreign
 * files are answered: a child must die with one line that names the file.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN "tests/golden/weights.tar.zst"

#include "death.h"
#include "golden.h"
#include "folder.h"
#include "data/gguf.h"
#include "data/safetensors.h"
#include "data/tokenizer.h"
#include "data/weights_parts.h"

/* --- helpers --- */

static void open_weights(const void *name)
{
	char *path = path_of(name);
	weights_close(weights_open(path));
	free(path);
}

/* --- equal to the formats' own packages --- */

static void compare_config(const json_t *expected, const json_t *config, const char *name)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)expected, key, value) {
		const json_t *is = json_object_get(config, key);
		bool same = json_is_null(value) ? !is : json_equal(value, is);
		if (json_is_number(value) && json_is_number(is))
			same = json_number_value(value) == json_number_value(is);
		if (!same)
			fail_msg("%s: the configuration's %s is not as expected: %s", name, key, json_text(config));
	}
}

static void compare_tensor(const struct weights *weights, const char *name, const json_t *shape, const float *expected,
	int64_t count)
{
	int n_dims;
	int64_t is[WEIGHTS_MAX_DIMS];
	if (!weights_shape(weights, name, &n_dims, is))
		fail_msg("no tensor %s", name);
	assert_int_equal(n_dims, json_array_size(shape));
	for (int i = 0; i < WEIGHTS_MAX_DIMS; i++)
		assert_int_equal(is[i], i < n_dims ? json_integer_value(json_array_get(shape, (size_t)i)) : 1);
	float *values = xmalloc((size_t)count * sizeof *values);
	weights_read(weights, name, values);
	for (int64_t i = 0; i < count; i++)
		if (memcmp(&values[i], &expected[i], sizeof *values))
			fail_msg("%s: number %lld is %.9g, not %.9g", name, (long long)i, (double)values[i], (double)expected[i]);
	const float *mapped = weights_map(weights, name);
	if (mapped)
		assert_memory_equal(mapped, values, (size_t)count * sizeof *values);
	free(values);
}

/* How many of its tensors are where they can be used without a copy. */
static int compare_case(const char *name)
{
	char *manifest_name = xasprintf("%s.json", name), *numbers_name = xasprintf("%s.npy", name);
	const struct golden_member *manifest = golden_file(manifest_name), *numbers = golden_file(numbers_name);
	json_t *document = json_parse(manifest->bytes, manifest->size, name);
	const struct tensor *tensor = &numbers->tensor;
	char *path = path_of(json_get_string(document, "path", name));
	struct weights *weights = weights_open(path);
	compare_config(json_object_get(document, "config"), weights_config(weights), name);

	int64_t done = 0, mapped = 0;
	size_t i, j;
	json_t *entry, *extent;
	json_array_foreach (json_object_get(document, "tensors"), i, entry) {
		const char *tensor_name = json_string_value(json_array_get(entry, 0));
		int64_t count = 1;
		json_array_foreach (json_array_get(entry, 1), j, extent)
			count *= json_integer_value(extent);
		compare_tensor(weights, tensor_name, json_array_get(entry, 1), (const float *)tensor->data + done, count);
		mapped += weights_map(weights, tensor_name) != NULL;
		done += count;
	}
	assert_int_equal(done, tensor_count(tensor));
	struct tokenizer *tokenizer = weights_tokenizer(weights);
	assert_int_equal(tokenizer ? tokenizer_vocab_size(tokenizer) : 0,
		json_integer_value(json_object_get(document, "tokens")));
	if (tokenizer)
		tokenizer_free(tokenizer);
	int n_dims;
	int64_t shape[WEIGHTS_MAX_DIMS];
	assert_false(weights_shape(weights, "model.layers.99.input_layernorm.weight", &n_dims, shape));
	assert_null(weights_map(weights, "no.such.weight"));
	weights_close(weights);
	json_decref(document);
	free(path);
	free(manifest_name);
	free(numbers_name);
	return (int)mapped;
}

static void gguf_files(void **state)
{
	(void)state;
	assert_int_equal(compare_case("llama3"), 10);
	assert_int_equal(compare_case("linear"), 11);
	assert_int_equal(compare_case("split"), 15);
	assert_int_equal(compare_case("yarn"), 27);
	assert_int_equal(compare_case("gpt2-gguf"), 29);
}

static void folders(void **state)
{
	(void)state;
	assert_int_equal(compare_case("sharded"), 0);
	assert_int_equal(compare_case("mistral"), 0);
	assert_int_equal(compare_case("qwen2"), 26);
	assert_int_equal(compare_case("seeing"), 26);
	assert_int_equal(compare_case("fp8"), 5);
	assert_int_equal(compare_case("gpt2"), 20); /* all but the four of each block that are turned */
	assert_int_equal(compare_case("bare"), 20);
}

#define LLAMA "\"hidden_size\":8,\"num_attention_heads\":2,\"num_hidden_layers\":2"

/* What a config.json may leave out, and older ones spell otherwise; null: is not there. */
static void config_spellings(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"{\"model_type\":\"llama\"," LLAMA "}",
			"{\"num_key_value_heads\":2,\"head_dim\":4,\"max_position_embeddings\":2048,\"rms_norm_eps\":1e-6,"
			"\"rope_theta\":10000,\"rope_scaling\":null,\"attention_bias\":false,\"mlp_bias\":false,"
			"\"tie_word_embeddings\":false,\"rope_pairing\":\"half\"}"},
		{"{\"model_type\":\"llama\"," LLAMA ",\"rope_theta\":5,\"rope_scaling\":{\"type\":\"linear\",\"factor\":2.5}}",
			"{\"rope_theta\":5,\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":2.5}}"},
		{"{\"model_type\":\"llama\"," LLAMA ",\"rope_theta\":5,\"rope_scaling\":null,\"head_dim\":null}",
			"{\"rope_theta\":5,\"rope_scaling\":null,\"head_dim\":4}"},
		{"{\"model_type\":\"qwen2\"," LLAMA ",\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":7}}",
			"{\"rope_theta\":7,\"rope_scaling\":null,\"attention_bias\":true,\"max_position_embeddings\":32768}"},
		{"{\"model_type\":\"qwen2\"," LLAMA ",\"sliding_window\":4}", "{\"max_position_embeddings\":32768}"},
		{"{\"model_type\":\"qwen2\"," LLAMA ",\"sliding_window\":4,\"use_sliding_window\":true}",
			"{\"max_position_embeddings\":32768,\"sliding_window\":4,\"layer_types\":[\"full_attention\","
			"\"full_attention\"]}"},
		{"{\"model_type\":\"qwen3\"," LLAMA
		 ",\"sliding_window\":4,\"use_sliding_window\":true,\"max_window_layers\":1}",
			"{\"head_dim\":128,\"layer_types\":[\"full_attention\",\"sliding_attention\"]}"},
		{"{\"model_type\":\"mistral\"," LLAMA "}",
			"{\"max_position_embeddings\":131072,\"num_key_value_heads\":8,\"sliding_window\":4096,"
			"\"layer_types\":[\"sliding_attention\",\"sliding_attention\"]}"},
		{"{\"model_type\":\"gemma2\"," LLAMA ",\"final_logit_softcapping\":null}",
			"{\"head_dim\":256,\"attention_multiplier\":0.0625,\"attn_logit_softcapping\":50,"
			"\"final_logit_softcapping\":null,\"layer_types\":[\"sliding_attention\",\"full_attention\"],"
			"\"hidden_act\":\"gelu_pytorch_tanh\",\"tie_word_embeddings\":true}"},
		{"{\"model_type\":\"gemma3_text\"," LLAMA ",\"sliding_window_pattern\":1,\"rope_scaling\":{\"rope_type\":"
		 "\"linear\",\"factor\":8}}",
			"{\"rope_theta\":1000000,\"rope_local_base_freq\":10000,\"rope_scaling\":{\"rope_type\":\"linear\","
			"\"factor\":8},\"layer_types\":[\"full_attention\",\"full_attention\"]}"},
		{"{\"model_type\":\"gemma3_text\"," LLAMA ",\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"default\","
		 "\"rope_theta\":7},\"sliding_attention\":{\"rope_theta\":3}}}",
			"{\"rope_theta\":7,\"rope_local_base_freq\":3,\"rope_scaling\":null}"},
		{"{\"model_type\":\"smollm3\"," LLAMA ",\"no_rope_layer_interval\":2,\"use_sliding_window\":true,"
		 "\"sliding_window\":5}",
			"{\"no_rope_layers\":[1,0],\"layer_types\":[\"full_attention\",\"sliding_attention\"]}"},
		{"{\"model_type\":\"gpt_neox\"," LLAMA ",\"rotary_emb_base\":5,\"use_parallel_residual\":false}",
			"{\"rope_theta\":5,\"partial_rotary_factor\":0.25,\"use_parallel_residual\":null,"
			"\"intermediate_size\":32,\"hidden_act\":\"gelu\",\"mlp_bias\":true}"},
		{"{\"model_type\":\"phi3\"," LLAMA ",\"original_max_position_embeddings\":16,\"max_position_embeddings\":256,"
		 "\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1,2],\"long_factor\":[3,4]}}",
			"{\"max_position_embeddings\":16,\"rope_scaling\":{\"rope_type\":\"factors\",\"factors\":[1,2],"
			"\"short_factor\":[1,2],\"long_factor\":[3,4],\"original_max_position_embeddings\":16,"
			"\"attention_factor\":1.4142135623730951}}"},
		{"{\"model_type\":\"mistral\"," LLAMA ",\"sliding_window\":null}", "{\"max_position_embeddings\":131072}"},
		{"{\"model_type\":\"gpt2\",\"n_embd\":4,\"n_head\":1,\"n_layer\":1,\"n_inner\":null}",
			"{\"intermediate_size\":16,\"max_position_embeddings\":1024,\"layer_norm_eps\":1e-5,"
			"\"tie_word_embeddings\":true}"},
	};
	static const char one[] = "\x38\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}     ";
	write_file("spelling/model.safetensors", one, 8 + 0x38);
	char *path = path_of("spelling");
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		write_file("spelling/config.json", cases[i][0], strlen(cases[i][0]));
		struct weights *weights = weights_open(path);
		json_t *expected = json_parse(cases[i][1], strlen(cases[i][1]), "expected");
		compare_config(expected, weights_config(weights), cases[i][0]);
		json_decref(expected);
		weights_close(weights);
	}
	free(path);
}

/* Threads share a tensor's rows: more than one of them must give the same. */
static void large_tensors(void **state)
{
	(void)state;
	enum { ROWS = 300, COLUMNS = 500 };
	char header[] = "{\"h.0.attn.c_attn.weight\":{\"dtype\":\"F16\",\"shape\":[300,500],\"data_offsets\":[0,300000]}}";
	struct buffer file = {0};
	buffer_append(&file, &(uint64_t){sizeof header - 1}, 8);
	buffer_append(&file, header, sizeof header - 1);
	for (int i = 0; i < ROWS * COLUMNS; i++)
		buffer_append(&file, &(uint16_t){(uint16_t)(i * 7 % 0x7c00)}, 2);
	write_file("large/a.safetensors", file.data, file.size);
	static const char config[] = "{\"model_type\":\"gpt2\",\"n_embd\":4,\"n_head\":1}";
	write_file("large/config.json", config, sizeof config - 1);
	char *path = path_of("large/a.safetensors");
	struct weights *weights = weights_open(path);
	float *values = xmalloc(ROWS * COLUMNS * sizeof *values);
	weights_read(weights, "transformer.h.0.attn.c_attn.weight", values);
	for (int row = 0; row < ROWS; row++)
		for (int column = 0; column < COLUMNS; column++) {
			int half = (row * COLUMNS + column) * 7 % 0x7c00, exponent = half >> 10;
			double expected = exponent ? ldexp(1024 + half % 1024, exponent - 25) : ldexp(half, -24);
			assert_true((double)values[column * ROWS + row] == expected);
		}
	assert_null(weights_tokenizer(weights));
	weights_close(weights);
	buffer_free(&file);
	free(values);
	free(path);
}

/* --- damaged and foreign files --- */

/* Shorter files are refused by name; of GGUF and JSON the last few bytes may be padding. */
static void truncation(void **state)
{
	(void)state;
	static const char *const names[] = {"llama3.gguf", "gpt2.gguf", "gpt2/model.safetensors",
		"bare/weights.safetensors", "sharded/model-00002-of-00003.safetensors", "sharded/model.safetensors.index.json",
		"mistral/config.json"};
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		const struct golden_member *whole = golden_file(names[i]);
		const char *slash = strchr(names[i], '/');
		bool is_file = !slash || strstr(names[i], "weights.");
		char *opened = is_file ? xstrdup(names[i]) : xstrndup(names[i], (size_t)(slash - names[i]));
		for (size_t size = 0; size < whole->size; size += size < 16 ? 3 : 512 - size % 512) {
			write_file(names[i], whole->bytes, size);
			expect_death(open_weights, opened, slash ? slash : names[i]);
		}
		write_file(names[i], whole->bytes, whole->size - (strstr(names[i], ".json") || !slash ? 33 : 1));
		expect_death(open_weights, opened, slash ? slash : names[i]);
		write_file(names[i], whole->bytes, whole->size);
		free(opened);
	}
}

static void parse_header(const void *text)
{
	struct buffer file = {0};
	uint64_t size = strlen(text);
	buffer_append(&file, &size, sizeof size);
	buffer_append(&file, text, size);
	memset(buffer_add(&file, 64), 0, 64);
	struct safetensors parsed;
	safetensors_parse(&parsed, file.data, file.size, "f.safetensors");
	safetensors_close(&parsed);
	buffer_free(&file);
}

#define TENSOR(name, dtype, shape, offsets)                                                                            \
	"\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void safetensors_headers(void **state)
{
	(void)state;
	parse_header("{\"__metadata__\":{\"format\":\"pt\"}," TENSOR("b", "F32", "[]", "[60,64]") "," TENSOR("e", "U8",
		"[7,0]", "[60,60]") "," TENSOR("a", "BF16", "[3,10,1,1]", "[0,60]") "}   ");
	static const char *const cases[][2] = {
		{"", "f.safetensors: not a safetensors file"},
		{"[]", "its header does not begin with {"},
		{" {}", "its header does not begin with {"},
		{"{", "f.safetensors: line 1"},
		{"{}", "64 bytes after the last tensor"},
		{"{\"a\":3}", "f.safetensors: a: a JSON object with \"dtype\" was expected"},
		{"{\"a\":{\"dtype\":\"F32\"}}", "a: \"shape\": a list of 0 to 4 numbers was expected"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[16]}}", "a: \"data_offsets\": a list of 2 to 2 numbers"},
		{"{" TENSOR("a", "Q4", "[16]", "[0,64]") "}", "a: dtype \"Q4\" is not known"},
		{"{" TENSOR("a", "F32", "[1,1,1,1,16]", "[0,64]") "}", "a list of 0 to 4"},
		{"{" TENSOR("a", "F32", "[-16]", "[0,64]") "}", "a: \"shape\" is not a list of whole numbers"},
		{"{" TENSOR("a", "F32", "[16.0]", "[0,64]") "}", "a: \"shape\" is not a list of whole numbers"},
		{"{" TENSOR("a", "F32", "[99999999999999999999]", "[0,64]") "}", "f.safetensors: line 1"},
		{"{" TENSOR("a", "F32", "[4611686018427387904,4]", "[0,64]") "}", "a: its size overflows"},
		{"{" TENSOR("a", "F32", "[16]", "[0,64,64]") "}", "a list of 2 to 2"},
		{"{" TENSOR("a", "F32", "[16]", "[64,0]") "}", "a: bytes 64 to 0"},
		{"{" TENSOR("a", "F32", "[17]", "[0,68]") "}", "a: bytes 0 to 68 were expected, the file has 64"},
		{"{" TENSOR("a", "F32", "[15]", "[0,64]") "}", "a: its shape takes 60 bytes, its offsets are 64 apart"},
		{"{" TENSOR("a", "F32", "[12]", "[16,64]") "}",
			"a: its data begin at offset 16, the tensors before it end at 0"},
		{"{" TENSOR("a", "F32", "[15]", "[0,60]") "}", "4 bytes after the last tensor"},
		{"{" TENSOR("a", "F32", "[8]", "[0,32]") "," TENSOR("b", "F32", "[9]", "[28,64]") "}",
			"b: its data begin at offset 28, the tensors before it end at 32"},
		{"{" TENSOR("a", "F32", "[8]", "[0,32]") "," TENSOR("b", "F32", "[7]", "[36,64]") "}",
			"b: its data begin at offset 36, the tensors before it end at 32"},
		{"{" TENSOR("a", "F32", "[8]", "[0,32]") "," TENSOR("a", "F32", "[8]", "[32,64]") "}", "duplicate"},
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		expect_death(parse_header, cases[i][0], cases[i][1]);
}

static void open_path(const void *path)
{
	weights_close(weights_open(path));
}

static void foreign_files(void **state)
{
	(void)state;
	expect_death(open_path, "/nonexistent/m.gguf", "/nonexistent/m.gguf: No such file");
	expect_death(open_path, "tests", "tests: neither model.safetensors nor model.safetensors.index.json there");
	/* whatever it is called */
	static const char neither[] = ": neither a GGUF nor a safetensors file, nor a Hugging Face folder";
	static const char *const starts[][2] = {{"m.gguf", "GGML and more"}, {"m.safetensors", "PK\3\4 and more"},
		{"empty", ""}};
	expect_death(open_path, "Makefile", neither);
	expect_death(open_path, "/dev/null", neither);
	for (size_t i = 0; i < COUNT_OF(starts); i++) {
		write_file(starts[i][0], starts[i][1], strlen(starts[i][1]));
		expect_death(open_weights, starts[i][0], neither);
		expect_death(open_weights, starts[i][0], starts[i][0]);
	}
}

/* One place of a golden file changed, then what is opened must die. */
struct damage {
	const char *file, *opened; /* opened: NULL: the file */
	const char *text;          /* is found; what is put over it begins `offset` behind its first byte */
	size_t offset;
	const char *put;
	size_t size;
	const char *says;
};

static void expect_damage_noticed(const struct damage *damage)
{
	const struct golden_member *whole = golden_file(damage->file);
	char *copy = xmalloc(whole->size);
	memcpy(copy, whole->bytes, whole->size);
	char *at = memmem(copy, whole->size, damage->text, strlen(damage->text));
	if (!at)
		fail_msg("%s: there is no %s", damage->file, damage->text);
	memcpy(at + damage->offset, damage->put, damage->size);
	write_file(damage->file, copy, whole->size);
	expect_death(open_weights, damage->opened ? damage->opened : damage->file, damage->says);
	write_file(damage->file, whole->bytes, whole->size);
	free(copy);
}

/* Text over text of the same length; bytes behind a metadata key (its kind, 4 bytes, then the value) or a tensor's
 * name (dimensions, 4 bytes and 8 for each; type, 4; offset, 8). */
#define TEXT(file, opened, old, new, says)                                                                             \
	{                                                                                                                  \
		file, opened, old, 0, new, sizeof(new) - 1, says                                                               \
	}
#define BYTES(file, old, behind, put, says)                                                                            \
	{                                                                                                                  \
		file, NULL, old, sizeof(old) - 1 + (behind), put, sizeof(put) - 1, says                                        \
	}

static void damaged_gguf(void **state)
{
	(void)state;
	static const struct damage cases[] = {
		TEXT("llama3.gguf", NULL, "llama", "llamb",
			"llama3.gguf: general.architecture is \"llamb\", which is not supported; language models that are: "
			"llama, qwen2, qwen3, "
			"gemma2, gemma3, phi3, olmo2, granite, smollm3, gptneox, gpt2; encoders: bert"),
		TEXT("llama3.gguf", NULL, "general.arch", "general.arcx",
			"general.architecture is \"\", which is not supported"),
		TEXT("llama3.gguf", NULL, "token_embd", "token_embe", "no token_embd.weight"),
		TEXT("llama3.gguf", NULL, "blk.0.ffn_up.", "blk.0.ffn_uq.",
			"blk.0.ffn_uq.weight: a tensor that architecture llama"),
		TEXT("llama3.gguf", NULL, "blk.0.ffn_up.weight", "blk.0.ffn_up.scales", "blk.0.ffn_up.scales: a tensor that"),
		TEXT("llama3.gguf", NULL, "blk.0.ffn_up.weight", "blk_0_ffn_up_weight", "blk_0_ffn_up_weight: a tensor that"),
		TEXT("llama3.gguf", NULL, "blk.1.ffn_up.", "blk.0.ffn_up.",
			"blk.0.ffn_up.weight: a tensor of this name occurs twice"),
		TEXT("llama3.gguf", NULL, "blk.1.attn_norm.weight", "blk.0000.ffn_up.weight",
			"model.layers.0.mlp.up_proj.weight: there are two tensors for this one"),
		BYTES("llama3.gguf", "blk.0.ffn_up.weight", 20, "\x10",
			"blk.0.ffn_up.weight: of type IQ2_XXS: F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, "
			"Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, BF16, MXFP4 can be read"),
		BYTES("llama3.gguf", "blk.0.ffn_up.weight", 20, "\x63", "blk.0.ffn_up.weight: tensor type 99 is not known"),
		BYTES("llama3.gguf", "blk.0.ffn_up.weight", 24, "\0\0", "its data overlap another tensor's"),
		BYTES("llama3.gguf", "blk.0.ffn_up.weight", 24, "\0\0\1", "blk.0.ffn_up.weight: 528 bytes at offset 65536"),
		BYTES("llama3.gguf", "rope_freqs.weight", 12, "\1", "rope_freqs.weight: 2 numbers of type F32 were expected"),
		TEXT("llama3.gguf", NULL, "llama.context_length", "llama.context_lengti",
			"no llama.context_length, a whole number"),
		BYTES("llama3.gguf", "llama.attention.head_count", 4, "\0", "llama.attention.head_count: a number from 1"),
		BYTES("llama3.gguf", "llama.attention.value_length", 4, "\5", "heads of 4, values of 5: the same number"),
		BYTES("llama3.gguf", "llama.rope.dimension_count", 4, "\6", "heads of 4, 6 of them rotated"),
		BYTES("llama3.gguf", "llama.rope.freq_base", 7, "\xc8", "llama.rope.freq_base: a number above 0 was expected"),
		BYTES("llama3.gguf", "llama.attention.layer_norm_rms_epsilon", 6, "\x80\x7f",
			"llama.attention.layer_norm_rms_epsilon: a number above 0"),
		BYTES("llama3.gguf", "llama.attention.layer_norm_rms_epsilon", 0, "\4",
			"layer_norm_rms_epsilon: the value is of type uint32"),
		TEXT("linear.gguf", NULL, "linear", "longer",
			"rope.scaling.type is \"longer\": none, linear or yarn was expected"),
		TEXT("yarn.gguf", NULL, "rope.scaling.original", "rope.scaling.originam",
			"no qwen2.rope.scaling.original_context_length")};
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		expect_damage_noticed(&cases[i]);
}

static void damaged_folders(void **state)
{
	(void)state;
	static const char index[] = "sharded/model.safetensors.index.json";
	static const struct damage cases[] = {
		TEXT("mistral/config.json", "mistral", "\"mistral\"", "\"mixtral\"",
			"mistral/config.json: model_type is \"mixtral\", which is not supported; language models that are: "
			"llama, mistral, qwen2, "
			"qwen3, gemma2, gemma3_text, phi3, olmo2, granite, smollm3, gpt_neox, gpt2; encoders: bert, "
			"distilbert, roberta, xlm-roberta, mpnet, modernbert, longformer"),
		TEXT("mistral/config.json", "mistral", "model_type", "model_typo", "mistral/config.json: no \"model_type\""),
		TEXT("mistral/config.json", "mistral", "hidden_size\": 8", "hidden_size\": 0",
			"\"hidden_size\" is not a whole number"),
		TEXT("mistral/model.safetensors", "mistral", "\"F16\"", "\"F13\"", "dtype \"F13\" is not known"),
		TEXT(index, "sharded", "weight_map", "weight_mop", "index.json: no \"weight_map\""),
		TEXT(index, "sharded", "model-00001", "/model-0001", "the name of a file in this folder was expected"),
		TEXT(index, "sharded", "model-00001", "model-00009", "model-00009-of-00003.safetensors: No such file"),
		TEXT(index, "sharded", "model-00001", "model-00003", "which the index says is here")};
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		expect_damage_noticed(&cases[i]);
}

static void read_bare(const void *name)
{
	char *path = path_of("bare/weights.safetensors");
	weights_read(weights_open(path), name, &(float){0});
}

static void read_scaled(const void *unused)
{
	(void)unused;
	char *path = path_of("fp8");
	struct weights *weights = weights_open(path);
	for (int64_t i = 0; i < weights->count; i++) {
		int n_dims;
		int64_t shape[WEIGHTS_MAX_DIMS], count = 1;
		weights_shape(weights, weights->list[i].name, &n_dims, shape);
		for (int j = 0; j < n_dims; j++)
			count *= shape[j];
		float *numbers = xreallocarray(NULL, (size_t)count, sizeof *numbers);
		weights_read(weights, weights->list[i].name, numbers);
		free(numbers);
	}
}

/* Scales of blocks that the config says have another size. */
static void scales_of_others(void **state)
{
	(void)state;
	const struct golden_member *config = golden_file("fp8/config.json");
	char *text = xstrndup(config->bytes, config->size), *block = strstr(text, "[4, 3]");
	assert_non_null(block);
	block[1] = '2';
	write_file("fp8/config.json", text, config->size);
	expect_death(read_scaled, NULL, "scales that do not fit what they are of");
	write_file("fp8/config.json", config->bytes, config->size);
	free(text);
}

/* The parts of a split model, which belong together. */
static void split_files(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to, *opened, *says;
	} cases[] = {
		{"split-00002-of-00006.gguf", "split-00002-of-00006.gguf", "split-00002-of-00006.gguf",
			"part 2 of a split model: the first, whose name ends in -00001-of-00006.gguf, was expected"},
		{"split-00001-of-00006.gguf", "other.gguf", "other.gguf",
			"part 1 of a split model: the first, whose name ends in -00001-of-00006.gguf, was expected"},
		{"split-00003-of-00006.gguf", "split-00002-of-00006.gguf", "split-00001-of-00006.gguf",
			"split-00002-of-00006.gguf: it is not part 2 of 6, as its name says"},
		{NULL, "split-00002-of-00006.gguf", "split-00001-of-00006.gguf", "split-00002-of-00006.gguf: No such file"},
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct golden_member *from = cases[i].from ? golden_file(cases[i].from) : NULL;
		char *path = path_of(cases[i].to);
		if (from)
			write_file(cases[i].to, from->bytes, from->size);
		else
			unlink(path);
		expect_death(open_weights, cases[i].opened, cases[i].says);
		free(path);
	}
}

/* What is in the file and no weight can be there, but not be read. */
static void unreadable_tensors(void **state)
{
	(void)state;
	expect_death(read_bare, "transformer.h.0.attn.bias", "transformer.h.0.attn.bias: of type BOOL: F32, F16, Q4_0");
	expect_death(read_bare, "transformer.h.9.attn.bias", "there is no tensor transformer.h.9.attn.bias");
	static const char header[] = "{" TENSOR("wte.weight", "F32", "[0]", "[0,0]") "," TENSOR("transformer.wte.weight",
		"F32", "[0]", "[0,0]") "}";
	struct buffer file = {0};
	buffer_append(&file, &(uint64_t){sizeof header - 1}, 8);
	buffer_append(&file, header, sizeof header - 1);
	write_file("gpt2/model.safetensors", file.data, file.size);
	expect_death(open_weights, "gpt2", "transformer.wte.weight: there are two tensors for this one");
	buffer_free(&file);
}

/* --- */

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(gguf_files), cmocka_unit_test(folders),
		cmocka_unit_test(config_spellings), cmocka_unit_test(large_tensors), cmocka_unit_test(truncation),
		cmocka_unit_test(safetensors_headers), cmocka_unit_test(foreign_files), cmocka_unit_test(damaged_gguf),
		cmocka_unit_test(damaged_folders), cmocka_unit_test(scales_of_others), cmocka_unit_test(split_files),
		cmocka_unit_test(unreadable_tensors)};
	return cmocka_run_group_tests(tests, golden_unpack, golden_remove);
}
