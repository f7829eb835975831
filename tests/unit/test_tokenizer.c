/*
 * Tokenizers against the ids that their originals give (tests/golden/tokenizer.py; the shared test data where they
 * are), and what malformed tokenizers and GGUF files are answered.
 */
#include "data/tokenizer.h"

#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "death.h"
#include "data/gguf.h"
#include "data/utf8.h"
#include "skip.h"
#include "stream/bytes.h"

/* --- helpers --- */

static struct buffer read_all(const char *path)
{
	struct source *source = source_open(path);
	struct buffer bytes = {0};
	size_t got;
	do {
		got = source_read(source, buffer_add(&bytes, 4096), 4096);
		bytes.size -= 4096 - got;
	} while (got);
	source_close(source);
	buffer_append(&bytes, "", 1);
	bytes.size--;
	return bytes;
}

static bool same_ids_by(const struct tokenizer *tokenizer, struct tokenize_options options, const char *text,
	size_t length, const json_t *expected)
{
	struct tokenize_worker *worker = tokenize_worker_new(tokenizer, options);
	struct buffer ids = {0};
	tokenize(worker, text, length, -1, &ids);
	size_t n = ids.size / sizeof(int32_t);
	bool same = n == json_array_size(expected);
	for (size_t i = 0; same && i < n; i++)
		same = ((int32_t *)(void *)ids.data)[i] == json_integer_value(json_array_get(expected, i));
	tokenize_worker_free(worker);
	buffer_free(&ids);
	return same;
}

static bool same_ids(const struct tokenizer *tokenizer, const char *text, size_t length, bool special,
	const json_t *expected)
{
	return same_ids_by(tokenizer, (struct tokenize_options){.add_special = special}, text, length, expected);
}

static bool same_text(const struct tokenizer *tokenizer, const json_t *ids, const json_t *expected)
{
	struct buffer text = {0};
	size_t n = json_array_size(ids);
	int32_t *numbers = xcalloc(n + 1, sizeof *numbers);
	for (size_t i = 0; i < n; i++)
		numbers[i] = (int32_t)json_integer_value(json_array_get(ids, i));
	tokenizer_decode(tokenizer, numbers, (int64_t)n, &text);
	bool same = text.size == json_string_length(expected) &&
		!memcmp(text.data ? text.data : "", json_string_value(expected), text.size);
	free(numbers);
	buffer_free(&text);
	return same;
}

static json_t *golden(void)
{
	struct buffer text = read_all("tests/golden/tokenizer.json.zst");
	json_t *document = json_parse(text.data, text.size, "tokenizer.json.zst");
	buffer_free(&text);
	return document;
}

/* --- equal to the originals --- */

/* Whether a text of which special tokens are text has one: the unknown token apart. */
static bool has_special(const struct tokenizer *tokenizer, const char *text, size_t length)
{
	struct tokenize_worker *worker = tokenize_worker_new(tokenizer, (struct tokenize_options){.special_as_text = true});
	struct buffer ids = {0};
	bool found = false;
	tokenize(worker, text, length, -1, &ids);
	for (size_t i = 0; i < ids.size / sizeof(int32_t); i++)
		for (int special = 0; special < N_SPECIAL; special++)
			found |= special != SPECIAL_UNK &&
				((int32_t *)(void *)ids.data)[i] == tokenizer_special(tokenizer, (enum special)special);
	tokenize_worker_free(worker);
	buffer_free(&ids);
	return found;
}

/* What the reference makes of one text: ids, ids where special tokens are text, and the text of the ids. */
static void expect_case(const struct tokenizer *tokenizer, bool has_decoder, const json_t *variant, size_t i, size_t j,
	const json_t *text)
{
	const json_t *ids = json_array_get(json_object_get(variant, "ids"), j);
	const char *bytes = json_string_value(text);
	size_t length = json_string_length(text);
	if (!same_ids(tokenizer, bytes, length, true, ids))
		fail_msg("variant %zu, text %zu: \"%s\": other ids", i, j, bytes);
	const json_t *plain = json_array_get(json_object_get(variant, "plain"), j);
	struct tokenize_options as_text = {.special_as_text = true};
	if (json_is_null(plain) ? has_special(tokenizer, bytes, length) :
							  !same_ids_by(tokenizer, as_text, bytes, length, plain))
		fail_msg("variant %zu, text %zu: \"%s\": other ids where special tokens are text", i, j, bytes);
	if (has_decoder && !same_text(tokenizer, ids, json_array_get(json_object_get(variant, "decoded"), j)))
		fail_msg("variant %zu, text %zu: \"%s\": other text of the ids", i, j, bytes);
}

static void variants_give_the_reference_ids(void **state)
{
	(void)state;
	json_t *document = golden(), *texts = json_object_get(document, "texts"), *variant, *text;
	size_t i, j;
	json_array_foreach (json_object_get(document, "variants"), i, variant) {
		json_t *base = json_object_get(json_object_get(document, "bases"), json_get_string(variant, "base", "golden"));
		json_t *patched = json_copy(base);
		json_object_update(patched, json_object_get(variant, "patch"));
		struct tokenizer *tokenizer = tokenizer_from_json(patched, "golden");
		bool has_decoder = json_is_object(json_object_get(patched, "decoder"));
		json_array_foreach (texts, j, text)
			expect_case(tokenizer, has_decoder, variant, i, j, text);
		tokenizer_free(tokenizer);
		json_decref(patched);
	}
	assert_int_equal(i, 70);
	json_decref(document);
}

/* The document the tokenizer writes. */
static json_t *written(const struct tokenizer *tokenizer)
{
	size_t size;
	const char *text = tokenizer_json(tokenizer, &size);
	return json_parse(text, size, "written");
}

/* The lines of the example items: what the golden tokenizers were trained on. */
static struct tokenizer *learn(int64_t vocab_size)
{
	struct buffer text = read_all("examples/online-retail/items.csv");
	struct learner *learner = learner_new();
	for (char *line = text.data, *end; (end = strchr(line, '\n')); line = end + 1)
		learner_add(learner, line, (size_t)(end - line));
	buffer_free(&text);
	return learner_finish(learner, vocab_size);
}

static void learns_what_the_reference_learns(void **state)
{
	(void)state;
	json_t *document = golden(), *base = json_object_get(json_object_get(document, "bases"), "byte_level");
	json_t *model = json_object_get(base, "model"), *merge;
	struct tokenizer *tokenizer = learn(700);
	size_t i;
	json_t *learned = written(tokenizer);
	json_t *learned_model = json_object_get(learned, "model"), *merges = json_object_get(learned_model, "merges");
	assert_true(json_equal(json_object_get(model, "vocab"), json_object_get(learned_model, "vocab")));
	json_array_foreach (json_object_get(model, "merges"), i, merge) {
		char *pair = xasprintf("%s %s", json_string_value(json_array_get(merge, 0)),
			json_string_value(json_array_get(merge, 1)));
		assert_string_equal(pair, json_string_value(json_array_get(merges, i)));
		free(pair);
	}
	assert_int_equal(json_array_size(merges), i);
	assert_int_equal(tokenizer_vocab_size(tokenizer), 700);
	assert_int_equal(tokenizer_special(tokenizer, SPECIAL_BOS), 0);
	assert_int_equal(tokenizer_special(tokenizer, SPECIAL_PAD), 1);
	assert_int_equal(tokenizer_special(tokenizer, SPECIAL_EOS), 2);
	assert_int_equal(tokenizer_special(tokenizer, SPECIAL_UNK), 3);
	assert_int_equal(tokenizer_special(tokenizer, SPECIAL_MASK), 4);
	tokenizer_free(tokenizer);
	json_decref(learned);
	json_decref(document);
}

/* Item titles with the ids of GPT-2 and RoBERTa. */
static void golden_titles(void **state)
{
	(void)state;
	char *gpt2_path = shared_file("tokenizers/gpt2"), *roberta_path = shared_file("tokenizers/roberta");
	char *path = shared_file("tokenizers/golden/titles_gpt2_roberta.jsonl");
	struct buffer lines = read_all(path);
	struct tokenizer *gpt2 = tokenizer_load(gpt2_path), *roberta = tokenizer_load(roberta_path);
	int n = 0;
	for (char *line = lines.data, *end; (end = strchr(line, '\n')); line = end + 1, n++) {
		json_t *row = json_parse(line, (size_t)(end - line), path);
		const char *text = json_get_string(row, "text", path);
		if (!same_ids(gpt2, text, strlen(text), false, json_object_get(row, "gpt2")) ||
			!same_ids(roberta, text, strlen(text), true, json_object_get(row, "roberta")))
			fail_msg("line %d: \"%s\"", n + 1, text);
		json_decref(row);
	}
	assert_int_equal(n, 2000);
	tokenizer_free(gpt2);
	tokenizer_free(roberta);
	buffer_free(&lines);
	free(gpt2_path);
	free(roberta_path);
	free(path);
}

/* A line of ids as an array; moves on to the next. */
static json_t *ids_of_line(char **next)
{
	json_t *ids = json_array();
	char *end = *next + strcspn(*next, "\n");
	for (char *stop; strtol(*next, &stop, 10), stop != *next && stop <= end; *next = stop)
		json_array_append_new(ids, json_integer(strtol(*next, NULL, 10)));
	*next = end + (*end == '\n');
	return ids;
}

static void expect_strings(const char *strings, const char *tokenizer_name)
{
	static const char separator[] = "\n__ggml_vocab_test__\n";
	char *input_name = xasprintf("tokenizers/%s.inp", strings), *ids_name = xasprintf("tokenizers/%s.out", strings);
	char *file_name = xasprintf("tokenizers/%s", tokenizer_name);
	char *input_path = shared_file(input_name), *ids_path = shared_file(ids_name), *path = shared_file(file_name);
	struct buffer input = read_all(input_path), ids = read_all(ids_path);
	struct tokenizer *tokenizer = tokenizer_load(path);
	char *text = input.data, *line = ids.data;
	for (bool more = true; more;) {
		char *end = strstr(text, separator);
		size_t length = end ? (size_t)(end - text) : strlen(text);
		json_t *expected = ids_of_line(&line);
		if (!same_ids(tokenizer, text, length, false, expected))
			fail_msg("%s: \"%.*s\"", path, (int)length, text);
		json_decref(expected);
		more = end;
		text = end + (end ? sizeof separator - 1 : 0);
	}
	tokenizer_free(tokenizer);
	buffer_free(&input);
	buffer_free(&ids);
	free(file_name);
	free(input_name);
	free(ids_name);
	free(input_path);
	free(ids_path);
	free(path);
}

static void golden_strings(void **state)
{
	(void)state;
	expect_strings("gpt2/ggml-vocab-gpt-2.gguf", "gpt2");
	expect_strings("gpt2/ggml-vocab-gpt-2.gguf", "gpt2/ggml-vocab-gpt-2.gguf");
	expect_strings("roberta/ggml-vocab-roberta-bpe.gguf", "roberta");
	expect_strings("llama-spm/ggml-vocab-llama-spm.gguf", "llama-spm/tokenizer.json");
	expect_strings("llama-spm/ggml-vocab-llama-spm.gguf", "llama-spm/ggml-vocab-llama-spm.gguf");
	expect_strings("llama-spm/ggml-vocab-phi-3.gguf", "llama-spm/ggml-vocab-phi-3.gguf");
}

/* A sentencepiece model's merges, made from its scores, are those of its tokenizer.json. */
static void merges_of_scores(void **state)
{
	(void)state;
	char *gguf = shared_file("tokenizers/llama-spm/ggml-vocab-llama-spm.gguf"),
		 *path = shared_file("tokenizers/llama-spm/tokenizer.json");
	struct tokenizer *made = tokenizer_load(gguf), *original = tokenizer_load(path);
	size_t i;
	json_t *left = written(made), *right = written(original), *merge;
	json_t *merges = json_object_get(json_object_get(left, "model"), "merges");
	json_array_foreach (json_object_get(json_object_get(right, "model"), "merges"), i, merge) {
		char *pair = xasprintf("%s %s", json_string_value(json_array_get(json_array_get(merges, i), 0)),
			json_string_value(json_array_get(json_array_get(merges, i), 1)));
		assert_string_equal(pair, json_string_value(merge));
		free(pair);
	}
	assert_int_equal(i, 61249);
	json_decref(left);
	json_decref(right);
	tokenizer_free(made);
	tokenizer_free(original);
	free(gguf);
	free(path);
}

/* --- what holds of every tokenizer --- */

static void written_and_read_again_is_the_same(void **state)
{
	(void)state;
	struct tokenizer *tokenizer = learn(400);
	json_t *document = written(tokenizer);
	struct tokenizer *again = tokenizer_from_json(document, "written");
	assert_int_equal(tokenizer_fingerprint(tokenizer), tokenizer_fingerprint(again));
	tokenizer_free(tokenizer);
	tokenizer_free(again);
	json_decref(document);
}

static void threads_agree(void **state)
{
	(void)state;
	struct tokenizer *tokenizer = learn(500);
	struct buffer text = read_all("examples/online-retail/items.csv"), ids[4] = {{0}};
#pragma omp parallel for num_threads(4)
	for (int i = 0; i < 4; i++) {
		struct tokenize_worker *worker = tokenize_worker_new(tokenizer, (struct tokenize_options){.add_special = true});
		tokenize(worker, text.data, text.size, -1, &ids[i]);
		ids[i].size = 0;
		tokenize(worker, text.data, text.size, -1, &ids[i]);
		tokenize_worker_free(worker);
	}
	for (int i = 1; i < 4; i++) {
		assert_int_equal(ids[i].size, ids[0].size);
		assert_memory_equal(ids[i].data, ids[0].data, ids[0].size);
	}
	struct buffer back = {0};
	tokenizer_decode(tokenizer, (int32_t *)(void *)ids[0].data, (int64_t)(ids[0].size / sizeof(int32_t)), &back);
	assert_int_equal(back.size, text.size);
	assert_memory_equal(back.data, text.data, text.size);
	for (int i = 0; i < 4; i++)
		buffer_free(&ids[i]);
	buffer_free(&back);
	buffer_free(&text);
	tokenizer_free(tokenizer);
}

static void ill_formed_text(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"a\xff"
		 "b",
			"a\xef\xbf\xbd"
			"b"},
		{"\xe2\x82", "\xef\xbf\xbd"},
		{"\xe2\x82"
		 "x\xc3",
			"\xef\xbf\xbdx\xef\xbf\xbd"},
		{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xf0\x9f\x91 \xf5\x80", "\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd"},
		{"\xc0\xaf\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xf4\x8f\xbf\xbf\xf4\x90", "\xf4\x8f\xbf\xbf\xef\xbf\xbd\xef\xbf\xbd"},
	};
	struct buffer clean = {0};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *text = cases[i][0];
		size_t length = strlen(text);
		assert_false(utf8_is_valid(text, length));
		utf8_clean(&text, &length, &clean);
		assert_int_equal(length, strlen(cases[i][1]));
		assert_memory_equal(text, cases[i][1], length);
		assert_true(utf8_is_valid(text, length));
	}
	buffer_free(&clean);
}

/* --- malformed documents and files --- */

static void read_document(const void *text)
{
	json_t *document = json_parse(text, strlen(text), "t.json");
	tokenizer_free(tokenizer_from_json(document, "t.json"));
	json_decref(document);
}

#define MODEL "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}"

#define WORDPIECE(vocab, unk, longest)                                                                                 \
	"\"model\":{\"type\":\"WordPiece\",\"continuing_subword_prefix\":\"##\",\"unk_token\":\"" unk                      \
	"\",\"max_input_chars_per_word\":" longest ",\"vocab\":{" vocab "}}"
#define UNIGRAM(vocab, unk) "\"model\":{\"type\":\"Unigram\",\"unk_id\":" unk ",\"vocab\":[" vocab "]}"
#define ROBERTA "{\"type\":\"RobertaProcessing\",\"sep\":[\"a\",0],\"cls\":[\"b\",1]}"

/* Normalizers within a hundred others. */
static void read_nested(const void *unused)
{
	(void)unused;
	json_t *part = json_pack("{s:s}", "type", "NFC");
	for (int i = 0; i < 100; i++)
		part = json_pack("{s:s, s:[o]}", "type", "Sequence", "normalizers", part);
	json_t *document = json_loads("{" MODEL "}", 0, NULL);
	json_object_set_new(document, "normalizer", part);
	tokenizer_from_json(document, "nested");
}

/* A pattern that tries more ways than there are seconds. */
static void match_for_ever(const void *unused)
{
	(void)unused;
	json_t *document = json_loads("{" MODEL
								  ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?:a|aa)+$\"},"
								  "\"behavior\":\"Isolated\"}}",
		0, NULL);
	struct tokenizer *tokenizer = tokenizer_from_json(document, "slow");
	struct tokenize_worker *worker = tokenize_worker_new(tokenizer, (struct tokenize_options){.add_special = false});
	struct buffer ids = {0};
	char text[61];
	memset(text, 'a', 60);
	text[60] = 'b';
	tokenize(worker, text, sizeof text, -1, &ids);
}

static void malformed_documents(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"[]", "an object was expected"},
		{"{}", "no \"model\""},
		{"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[],\"type\":\"Unigram\"}}",
			"an array of [token, score] was expected"},
		{"{\"model\":{\"vocab\":{\"a\":0},\"type\":\"WordLevel\"}}",
			"model \"WordLevel\" is not supported: BPE, WordPiece"},
		{"{\"model\":{\"vocab\":{\"a\":0},\"type\":7}}", "\"type\" is not a string"},
		{"{" WORDPIECE("\"a\":0", "b", "9") "}", "the unknown token \"b\" is not in the vocabulary"},
		{"{" WORDPIECE("\"a\":0", "", "9") "}", "the unknown token \"\" is not in the vocabulary"},
		{"{" WORDPIECE("\"a\":0", "a", "-1") "}", "\"max_input_chars_per_word\" is not a whole number"},
		{"{" WORDPIECE("\"a\":0", "a", "\"9\"") "}", "\"max_input_chars_per_word\" is not a whole number"},
		{"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0},\"unk_token\":\"a\"}}",
			"no \"continuing_subword_prefix\""},
		{"{" UNIGRAM("[\"a\",0]", "1") "}", "\"unk_id\" is not a whole number from 0 to 0"},
		{"{" UNIGRAM("[\"a\",0]", "null") "}", "\"unk_id\" is not a whole number"},
		{"{" UNIGRAM("[\"a\",\"0\"]", "0") "}", "token 0 is not a pair of text and score"},
		{"{" UNIGRAM("[\"a\",0],[\"b\"]", "0") "}", "token 1 is not a pair of text and score"},
		{"{" UNIGRAM("[\"a\",0],[\"\",0]", "0") "}", "the token of id 1 is empty"},
		{"{" UNIGRAM("[\"a\",0],[\"a\",-1]", "0") "}", "token 1, \"a\", occurs twice"},
		{"{" UNIGRAM("", "0") "}", "the vocabulary is empty"},
		{"{\"model\":{\"vocab\":{},\"merges\":[]}}", "the vocabulary is empty"},
		{"{\"model\":{\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}", "id 0 belongs to both"},
		{"{\"model\":{\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]}}", "duplicate"},
		{"{\"model\":{\"vocab\":{\"a\":-1},\"merges\":[]}}", "ids are from 0 to"},
		{"{\"model\":{\"vocab\":{\"a\":99999999999},\"merges\":[]}}", "ids are from 0 to"},
		{"{\"model\":{\"vocab\":{\"a\":16777215},\"merges\":[]}}", "without a token"},
		{"{\"model\":{\"vocab\":{\"a\":0.5},\"merges\":[]}}", "not a whole number"},
		{"{\"model\":{\"vocab\":{\"\":0},\"merges\":[]}}", "is empty"},
		{"{\"model\":{\"vocab\":{\"a\\u0000\":0},\"merges\":[]}}", "line 1"},
		{"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a a\"]}}", "merge 0"},
		{"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}", "not two tokens"},
		{"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a a a\"]}}", "not two tokens"},
		{"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", "not a pair"},
		{"{\"model\":{\"vocab\":{\"a\":0},\"merges\":{}}}", "not an array"},
		{"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[],\"unk_token\":\"x\"}}", "the unknown token"},
		{"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[],\"dropout\":0.1}}", "\"dropout\" is not supported"},
		{"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[],\"end_of_word_suffix\":\"</w>\"}}", "not supported"},
		{"{" MODEL ",\"normalizer\":{\"type\":\"Magic\"}}", "normalizer \"Magic\" is not supported: NFC, NFD,"},
		{"{" MODEL ",\"normalizer\":{\"type\":\"Strip\"}}", "no \"strip_left\""},
		{"{" MODEL ",\"normalizer\":{\"type\":\"BertNormalizer\",\"lowercase\":1}}",
			"\"lowercase\" is not true or false"},
		{"{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"*\"}}", "not base64"},
		{"{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"\"}}",
			"a trie of 0 bytes in 0"},
		{"{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"/////wAAAAA=\"}}",
			"a trie of 4294967295 bytes in 8"},
		{"{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"BAAAAAAAAAD/\"}}",
			"its replacements are not UTF-8"},
		{"{" MODEL ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":7}}", "\"normalizers\" is not an array"},
		{"{" MODEL ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[7]}}", "an object with a \"type\""},
		{"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Magic\"}}",
			"pre-tokenizer \"Magic\" is not supported: BertPreTokenizer,"},
		{"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\"}}", "\"replacement\" is empty"},
		{"{" MODEL ",\"pre_tokenizer\":{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"\"}}",
			"\"delimiter\" is empty"},
		{"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Punctuation\",\"behavior\":\"x\"}}", "\"behavior\""},
		{"{" MODEL ",\"decoder\":{\"type\":\"CTC\"}}", "decoder \"CTC\" is not supported: BPEDecoder,"},
		{"{" MODEL ",\"decoder\":{\"type\":\"BPEDecoder\",\"suffix\":\"\"}}", "\"suffix\" is empty"},
		{"{" MODEL ",\"decoder\":{\"type\":\"Strip\",\"content\":\"\",\"start\":0,\"stop\":0}}",
			"\"content\" is empty"},
		{"{" MODEL ",\"post_processor\":{\"type\":\"Magic\"}}",
			"post_processor \"Magic\" is not supported: BertProcessing,"},
		{"{" MODEL ",\"post_processor\":{\"type\":\"Sequence\",\"processors\":[" ROBERTA "," ROBERTA "]}}",
			"another one has put tokens around the text"},
		{"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"}}",
			"not a pattern"},
		{"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"x\"}}",
			"\"behavior\""},
		{"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"\"},\"behavior\":\"Isolated\"}}",
			"\"pattern\" is an empty string"},
		{"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{},\"behavior\":\"Isolated\"}}",
			"\"pattern\" is neither"},
		{"{" MODEL
		 ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a&&b]\"},\"behavior\":\"Isolated\"}}",
			"&& within a class"},
		{"{" MODEL ",\"post_processor\":{\"type\":\"RobertaProcessing\",\"sep\":[\"a\",7],\"cls\":[\"a\",0]}}",
			"an id of the vocabulary"},
		{"{" MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}}", "has no sequence"},
		{"{" MODEL ",\"added_tokens\":[{\"id\":2,\"content\":\"x\"}]}", "id 2 belongs to both"},
		{"{" MODEL ",\"added_tokens\":[{\"id\":5,\"content\":\"a\"}]}", "but the vocabulary says 0"},
		{"{" MODEL ",\"added_tokens\":[7]}", "\"content\""},
	};
	read_document("{" MODEL "}");
	expect_death(read_nested, NULL, "sequences within sequences, more than");
	expect_death(match_for_ever, NULL, "its pattern fails on a text of 61 bytes: match limit exceeded");
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		expect_death(read_document, cases[i][0], cases[i][1]);
}

static void load_path(const void *path)
{
	tokenizer_free(tokenizer_load(path));
}

static void missing_files(void **state)
{
	(void)state;
	expect_death(load_path, "/nonexistent/tokenizer.json", "/nonexistent/tokenizer.json: No such file");
	expect_death(load_path, "/nonexistent/v.json,m.txt", "/nonexistent/v.json: No such file");
	expect_death(load_path, "examples", "no tokenizer there");
	expect_death(load_path, "Makefile", "no tokenizer: a tokenizer.json, a GGUF");
	expect_death(load_path, "/dev/null", "no tokenizer: a tokenizer.json, a GGUF");
}

/* --- GGUF --- */

static void put(struct buffer *file, uint64_t number, size_t size)
{
	for (size_t i = 0; i < size; i++)
		buffer_append(file, &(char){(char)(number >> (8 * i))}, 1);
}

static void put_text(struct buffer *file, const char *text)
{
	put(file, strlen(text), 8);
	buffer_append(file, text, strlen(text));
}

static void put_head(struct buffer *file, uint64_t n_tensors, uint64_t n_values)
{
	file->size = 0;
	buffer_append(file, "GGUF", 4);
	put(file, 3, 4);
	put(file, n_tensors, 8);
	put(file, n_values, 8);
}

static void put_value(struct buffer *file, const char *key, enum gguf_kind kind)
{
	put_text(file, key);
	put(file, kind, 4);
}

static void put_strings(struct buffer *file, const char *key, int n, const char *const strings[])
{
	put_value(file, key, GGUF_ARRAY);
	put(file, GGUF_STRING, 4);
	put(file, (uint64_t)n, 8);
	for (int i = 0; i < n; i++)
		put_text(file, strings[i]);
}

static void put_tensor(struct buffer *file, const char *name, uint64_t rows, uint64_t columns, uint32_t type,
	uint64_t offset)
{
	put_text(file, name);
	put(file, 2, 4);
	put(file, columns, 8);
	put(file, rows, 8);
	put(file, type, 4);
	put(file, offset, 8);
}

static void put_data(struct buffer *file, size_t size)
{
	size_t padded = (file->size + 31) / 32 * 32 + size;
	while (file->size < padded)
		put(file, file->size & 0xff, 1);
}

static void parse_file(const void *file)
{
	const struct buffer *bytes = file;
	char *exact = malloc(bytes->size); /* its own block, so that the sanitizer sees every byte read beyond it */
	struct gguf gguf;
	memcpy(exact, bytes->data, bytes->size);
	gguf_parse(&gguf, exact, bytes->size, "f.gguf");
	gguf_close(&gguf);
	free(exact);
}

static void gguf_values(void **state)
{
	(void)state;
	struct buffer file = {0};
	put_head(&file, 2, 4);
	put_value(&file, "n", GGUF_I16);
	put(&file, (uint64_t)-5, 2);
	put_value(&file, "f", GGUF_F32);
	put(&file, 0x3fc00000, 4);
	put_value(&file, "yes", GGUF_BOOL);
	put(&file, 1, 1);
	put_value(&file, "s", GGUF_STRING);
	put_text(&file, "text");
	put_tensor(&file, "w", 3, 32, 8, 128);
	put_tensor(&file, "b", 1, 32, 0, 0);
	put_data(&file, 128 + 3 * 34);
	struct gguf gguf;
	gguf_parse(&gguf, file.data, file.size, "f.gguf");
	assert_int_equal(gguf_get_int(&gguf, "n", -10, 10, 0), -5);
	assert_int_equal(gguf_get_int(&gguf, "m", -10, 10, 3), 3);
	assert_true(gguf_get_float(&gguf, "f", 0) == 1.5);
	assert_true(gguf_get_bool(&gguf, "yes", false));
	char *text = gguf_get_string(&gguf, "s", NULL);
	assert_string_equal(text, "text");
	free(text);
	const struct gguf_tensor *w = gguf_tensor(&gguf, "w"), *b = gguf_tensor(&gguf, "b");
	assert_true(w && b && w->shape[0] == 32 && w->shape[1] == 3 && w->size == 3 * 34 && w->data == b->data + 128);
	assert_ptr_equal(w->data + w->size, (unsigned char *)file.data + file.size);
	assert_null(gguf_tensor(&gguf, "x"));
	gguf_close(&gguf);
	/* shorter files are refused */
	for (size_t size = file.size - 1; size > 6; size -= size > 400 ? 97 : 7) {
		struct buffer part = {.data = file.data, .size = size};
		expect_death(parse_file, &part, "f.gguf: ");
	}
	buffer_free(&file);
}

static void gguf_malformed(void **state)
{
	(void)state;
	struct buffer file = {0};
	put_head(&file, 0, UINT64_MAX);
	expect_death(parse_file, &file, "number of metadata: there are said to be 18446744073709551615");
	put_head(&file, UINT64_MAX / 8, 0);
	expect_death(parse_file, &file, "number of tensors");
	put_head(&file, 0, 1);
	put(&file, UINT64_MAX, 8);
	put_data(&file, 64);
	expect_death(parse_file, &file, "a metadata key: 18446744073709551615 bytes were expected");
	put_head(&file, 0, 1);
	put_value(&file, "k", 77);
	put_data(&file, 64);
	expect_death(parse_file, &file, "value type 77");
	put_head(&file, 0, 1);
	put_value(&file, "k", GGUF_ARRAY);
	put(&file, GGUF_U64, 4);
	put(&file, UINT64_C(1) << 61, 8);
	put_data(&file, 64);
	expect_death(parse_file, &file, "k: there are said to be 2305843009213693952");
	put_head(&file, 0, 2);
	for (int i = 0; i < 2; i++) {
		put_value(&file, "k", GGUF_U8);
		put(&file, 1, 1);
	}
	expect_death(parse_file, &file, "k: this key occurs twice");
	put_head(&file, 1, 1);
	put_value(&file, "general.alignment", GGUF_U32);
	put(&file, 33, 4);
	put_data(&file, 64);
	expect_death(parse_file, &file, "a power of two was expected");
	static const struct {
		uint64_t rows, columns, type, offset;
		const char *says;
	} tensors[] = {
		{UINT64_C(1) << 62, 32, 0, 0, "its size overflows"},
		{UINT64_C(1) << 63, 1, 0, 0, "a dimension of"},
		{1, 33, 8, 0, "not whole blocks of 32"},
		{1, 32, 4, 0, "tensor type 4 is not known"},
		{1, 32, 9999, 0, "tensor type 9999 is not known"},
		{1, 32, 0, 32, "overlap"},
		{1, 32, 0, 8, "not a multiple of 32"},
		{1, 32, 0, UINT64_MAX - 31, "the file has 256 bytes of data"},
		{3, 32, 0, 0, "the file has 256 bytes of data"},
	};
	for (size_t i = 0; i < COUNT_OF(tensors); i++) {
		put_head(&file, 2, 0);
		put_tensor(&file, "a", 1, 16, 0, 0);
		put_tensor(&file, "w", tensors[i].rows, tensors[i].columns, (uint32_t)tensors[i].type, tensors[i].offset);
		put_data(&file, 256);
		expect_death(parse_file, &file, tensors[i].says);
	}
	put_head(&file, 2, 0);
	put_tensor(&file, "a", 1, 8, 0, 0);
	put_tensor(&file, "a", 1, 8, 0, 32);
	put_data(&file, 64);
	expect_death(parse_file, &file, "a: a tensor of this name occurs twice");
	put_head(&file, 0, 0);
	file.data[4] = 1;
	expect_death(parse_file, &file, "GGUF version 1: 2 or 3, little-endian, was expected");
	file.data[0] = 'g';
	expect_death(parse_file, &file, "not a GGUF file");
	put_head(&file, 0, 1);
	put(&file, 2, 8);
	buffer_append(&file, "k", 2);
	put_data(&file, 64);
	expect_death(parse_file, &file, "a metadata key: a NUL byte within a string");
	buffer_free(&file);
}

static void put_vocabulary(struct buffer *file, const char *model, const char *pre, const char *const tokens[],
	int n_scores)
{
	put_head(file, 0, 5);
	put_value(file, "tokenizer.ggml.model", GGUF_STRING);
	put_text(file, model);
	put_value(file, "tokenizer.ggml.pre", GGUF_STRING);
	put_text(file, pre);
	put_strings(file, "tokenizer.ggml.tokens", 4, tokens);
	put_strings(file, "tokenizer.ggml.merges", 1, (const char *const[]){"a b"});
	put_value(file, "tokenizer.ggml.scores", GGUF_ARRAY);
	put(file, GGUF_F32, 4);
	put(file, (uint64_t)n_scores, 8);
	for (int i = 0; i < n_scores; i++)
		put(file, 0xbf800000, 4);
}

static void read_vocabulary(const void *file)
{
	const struct buffer *bytes = file;
	struct gguf gguf;
	gguf_parse(&gguf, bytes->data, bytes->size, "f.gguf");
	struct tokenizer *tokenizer = tokenizer_from_gguf(&gguf);
	gguf_close(&gguf);
	json_t *ids = json_pack("[i,i]", 2, 3);
	if (!same_ids(tokenizer, "abc", 3, false, ids))
		die("other ids were expected");
	json_decref(ids);
	tokenizer_free(tokenizer);
}

static void gguf_vocabularies(void **state)
{
	(void)state;
	struct buffer file = {0};
	const char *const good[] = {"a", "b", "ab", "c"};
	put_vocabulary(&file, "gpt2", "gpt-2", good, 4);
	read_vocabulary(&file);
	put_vocabulary(&file, "gpt2", "gpt-2", good, 3);
	expect_death(read_vocabulary, &file, "not equally many");
	put_vocabulary(&file, "gpt2", "wonder", good, 4);
	expect_death(read_vocabulary, &file, "how \"wonder\" cuts words is not known");
	put_vocabulary(&file, "rwkv", "gpt-2", good, 4);
	expect_death(read_vocabulary, &file, "gpt2, llama, bert or t5 was expected");
	put_vocabulary(&file, "gpt2", "gpt-2", (const char *const[]){"a", "b", "ab", "ab"}, 4);
	expect_death(read_vocabulary, &file, "token 3, \"ab\", occurs twice");
	put_vocabulary(&file, "gpt2", "gpt-2", (const char *const[]){"a", "b", "ab", "\xff"}, 4);
	expect_death(read_vocabulary, &file, "token 3 is empty or not UTF-8");
	put_vocabulary(&file, "gpt2", "gpt-2", (const char *const[]){"a", "b", "d", "c"}, 4);
	expect_death(read_vocabulary, &file, "merge 0, \"a b\"");
	put_head(&file, 0, 0);
	expect_death(read_vocabulary, &file, "carries no vocabulary");
	buffer_free(&file);
}

/* A vocabulary of the kind with these tokens, all of score -1 and of these types. */
static void put_small(struct buffer *file, const char *model, int n, const char *const tokens[], const int types[],
	int n_more)
{
	put_head(file, 0, (uint64_t)(4 + n_more));
	put_value(file, "tokenizer.ggml.model", GGUF_STRING);
	put_text(file, model);
	put_strings(file, "tokenizer.ggml.tokens", n, tokens);
	put_value(file, "tokenizer.ggml.scores", GGUF_ARRAY);
	put(file, GGUF_F32, 4);
	put(file, (uint64_t)n, 8);
	for (int i = 0; i < n; i++)
		put(file, 0xbf800000, 4);
	put_value(file, "tokenizer.ggml.token_type", GGUF_ARRAY);
	put(file, GGUF_I32, 4);
	put(file, (uint64_t)n, 8);
	for (int i = 0; i < n; i++)
		put(file, (uint64_t)types[i], 4);
}

static void put_id(struct buffer *file, const char *key, uint64_t id)
{
	put_value(file, key, GGUF_U32);
	put(file, id, 4);
}

static void expect_ids(const struct buffer *file, const char *text, const char *ids)
{
	struct gguf gguf;
	gguf_parse(&gguf, file->data, file->size, "f.gguf");
	struct tokenizer *tokenizer = tokenizer_from_gguf(&gguf);
	json_t *expected = json_loads(ids, 0, NULL);
	if (!same_ids(tokenizer, text, strlen(text), true, expected))
		fail_msg("\"%s\": other ids than %s", text, ids);
	json_decref(expected);
	tokenizer_free(tokenizer);
	gguf_close(&gguf);
}

static void read_small(const void *file)
{
	expect_ids(file, "", "[]");
}

/* Ids that are not those of a token, or are asked for and not given. */
static void gguf_special_ids(void **state)
{
	(void)state;
	struct buffer file = {0};
	static const char *const tokens[] = {"a", "b", "\xe2\x96\x81", "c"};
	static const int types[] = {1, 1, 1, 1};
	put_small(&file, "llama", 4, tokens, types, 1);
	put_id(&file, "tokenizer.ggml.bos_token_id", 4);
	expect_death(read_small, &file, "tokenizer.ggml.bos_token_id: token 4 of 4");
	put_small(&file, "llama", 4, tokens, types, 1);
	put_value(&file, "tokenizer.ggml.add_bos_token", GGUF_BOOL);
	put(&file, 1, 1);
	expect_death(read_small, &file, "a token is to be put around texts, but its id is not given");
	buffer_free(&file);
}

/* Beginnings of words are marked in the file, as "##" marks what continues them elsewhere. */
static void gguf_bert(void **state)
{
	(void)state;
	static const char *const tokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "\xe2\x96\x81ink", "ing", "\xe2\x96\x81,"};
	static const int types[] = {3, 3, 3, 3, 1, 1, 1};
	struct buffer file = {0};
	put_small(&file, "bert", 7, tokens, types, 3);
	put_id(&file, "tokenizer.ggml.bos_token_id", 2);
	put_id(&file, "tokenizer.ggml.seperator_token_id", 3);
	put_id(&file, "tokenizer.ggml.unknown_token_id", 1);
	expect_ids(&file, "Ink,  \xc3\x8dnking ing [SEP]", "[2, 4, 6, 4, 5, 1, 3, 3]");
	put_small(&file, "bert", 7, tokens, types, 0);
	expect_death(read_small, &file, "no tokenizer.ggml.unknown_token_id");
	static const char *const twins[] = {"[PAD]", "[UNK]", "[CLS]", "##ing", "\xe2\x96\x81ink", "ing", "\xe2\x96\x81,"};
	put_small(&file, "bert", 7, twins, types, 0);
	expect_death(read_small, &file, "two tokens are \"##ing\" in a WordPiece vocabulary");
	buffer_free(&file);
}

static void gguf_t5(void **state)
{
	(void)state;
	static const char *const tokens[] = {"<pad>", "</s>", "<unk>", "\xe2\x96\x81", "\xe2\x96\x81ink", "s", "<x>"};
	static const int types[] = {3, 3, 2, 1, 1, 1, 4};
	struct buffer file = {0};
	put_small(&file, "t5", 7, tokens, types, 1);
	put_value(&file, "tokenizer.ggml.remove_extra_whitespaces", GGUF_BOOL);
	put(&file, 1, 1);
	/* what is not said: EOS is 1, the unknown token 2, and EOS is added */
	expect_ids(&file, " inks  ink q<x>", "[4, 5, 4, 3, 2, 6, 1]");
	put_small(&file, "t5", 7, tokens, types, 1);
	put_value(&file, "tokenizer.ggml.precompiled_charsmap", GGUF_ARRAY);
	put(&file, GGUF_F32, 4);
	put(&file, 1, 8);
	put(&file, 0, 4);
	expect_death(read_small, &file, "precompiled_charsmap: an array of bytes was expected");
	buffer_free(&file);
}

/* --- what a caller asks for --- */

static void expect_tokens(const struct tokenizer *tokenizer, struct tokenize_options options, const char *text,
	int64_t budget, int64_t left_out, const char *expected)
{
	struct tokenize_worker *worker = tokenize_worker_new(tokenizer, options);
	struct buffer ids = {0};
	json_t *list = json_loads(expected, 0, NULL);
	assert_int_equal(tokenize(worker, text, strlen(text), budget, &ids), left_out);
	assert_int_equal(ids.size / sizeof(int32_t), json_array_size(list));
	for (size_t i = 0; i < json_array_size(list); i++)
		assert_int_equal(((int32_t *)(void *)ids.data)[i], json_integer_value(json_array_get(list, i)));
	json_decref(list);
	buffer_free(&ids);
	tokenize_worker_free(worker);
}

/* What closes a text stays where it is cut, as far as there is room; and a special token in a text is text. */
static void cut_and_plain(void **state)
{
	(void)state;
	static const char text[] =
		"{\"added_tokens\":[{\"id\":0,\"content\":\"<s>\",\"special\":true},{\"id\":7,\"content\":\"</s>\","
		"\"special\":true},{\"id\":8,\"content\":\"bb\"}],\"post_processor\":{\"type\":\"RobertaProcessing\","
		"\"cls\":[\"<s>\",0],\"sep\":[\"</s>\",7]},\"model\":{\"type\":\"Unigram\",\"unk_id\":6,"
		"\"vocab\":[[\"<s>\",0],[\"a\",-1],[\"b\",-1],[\"<\",-2],[\"s\",-2],[\">\",-2],[\"<unk>\",0]]}}";
	json_t *document = json_parse(text, strlen(text), "t.json");
	struct tokenizer *tokenizer = tokenizer_from_json(document, "t.json");
	struct tokenize_options around = {.add_special = true}, plain = {.special_as_text = true};
	expect_tokens(tokenizer, around, "abba", -1, 0, "[0, 1, 8, 1, 7]");
	expect_tokens(tokenizer, around, "abba", 5, 0, "[0, 1, 8, 1, 7]");
	expect_tokens(tokenizer, around, "abba", 4, 1, "[0, 1, 8, 7]");
	expect_tokens(tokenizer, around, "abba", 2, 3, "[0, 7]");
	expect_tokens(tokenizer, around, "abba", 1, 4, "[7]");
	expect_tokens(tokenizer, around, "abba", 0, 5, "[]");
	expect_tokens(tokenizer, plain, "abba", 2, 1, "[1, 8]");
	expect_tokens(tokenizer, around, "a<s>", -1, 0, "[0, 1, 0, 7]");
	expect_tokens(tokenizer, plain, "a<s>bb", -1, 0, "[1, 3, 4, 5, 8]");
	tokenizer_free(tokenizer);
	json_decref(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variants_give_the_reference_ids),
		cmocka_unit_test(learns_what_the_reference_learns),
		cmocka_unit_test(golden_titles),
		cmocka_unit_test(golden_strings),
		cmocka_unit_test(merges_of_scores),
		cmocka_unit_test(written_and_read_again_is_the_same),
		cmocka_unit_test(threads_agree),
		cmocka_unit_test(ill_formed_text),
		cmocka_unit_test(malformed_documents),
		cmocka_unit_test(missing_files),
		cmocka_unit_test(gguf_values),
		cmocka_unit_test(gguf_malformed),
		cmocka_unit_test(gguf_vocabularies),
		cmocka_unit_test(gguf_special_ids),
		cmocka_unit_test(gguf_bert),
		cmocka_unit_test(gguf_t5),
		cmocka_unit_test(cut_and_plain),
	};
	return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
