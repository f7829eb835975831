/*
 * Where tokenizers come from: files of several kinds, and text. Each becomes a
 * tokenizer.json document here; tokenizer.c builds the tokenizer from that.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/bpe.h"
#include "data/gguf.h"
#include "data/tokenizer.h"
#include "data/utf8.h"
#include "stream/bytes.h"

#define LARGEST_FILE (1u << 30)

/* --- parts of documents --- */

/* json_pack, or death: it fails on text that is not UTF-8. */
static json_t *pack(const char *where, const char *format, ...)
{
	json_error_t error;
	va_list arguments;
	va_start(arguments, format);
	json_t *value = json_vpack_ex(&error, 0, format, arguments);
	va_end(arguments);
	if (!value)
		die("%s: not UTF-8: %s", where, error.text);
	return value;
}

static json_t *added_token(const char *content, int64_t id, bool special, bool lstrip, const char *where)
{
	return pack(where, "{s:I,s:s,s:b,s:b,s:b,s:b,s:b}", "id", (json_int_t)id, "content", content, "single_word", 0,
		"lstrip", lstrip, "rstrip", 0, "normalized", 0, "special", special);
}

static json_t *byte_level(bool use_regex, const char *where)
{
	return pack(where, "{s:s,s:b,s:b,s:b}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1, "use_regex",
		use_regex);
}

static json_t *roberta_processing(int64_t cls, int64_t sep, const char *where)
{
	return pack(where, "{s:s,s:[s,I],s:[s,I],s:b,s:b}", "type", "RobertaProcessing", "sep", "</s>", (json_int_t)sep,
		"cls", "<s>", (json_int_t)cls, "trim_offsets", 1, "add_prefix_space", 0);
}

/* All of these are stolen; model lacks only its vocabulary and merges. */
static json_t *document(json_t *added, json_t *normalizer, json_t *pre_tokenizer, json_t *post_processor,
	json_t *decoder, json_t *model, json_t *vocab, json_t *merges, const char *where)
{
	json_set(model, "vocab", vocab);
	json_set(model, "merges", merges);
	return pack(where, "{s:s,s:n,s:n,s:o,s:o,s:o,s:o,s:o,s:o}", "version", "1.0", "truncation", "padding",
		"added_tokens", added, "normalizer", normalizer, "pre_tokenizer", pre_tokenizer, "post_processor",
		post_processor, "decoder", decoder, "model", model);
}

static json_t *byte_level_document(json_t *added, json_t *pre_tokenizer, json_t *post_processor, bool ignore_merges,
	json_t *vocab, json_t *merges, const char *where)
{
	json_t *model = pack(where, "{s:s,s:n,s:n,s:n,s:n,s:b,s:b,s:b}", "type", "BPE", "dropout", "unk_token",
		"continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0, "byte_fallback", 0, "ignore_merges",
		ignore_merges);
	return document(added, json_null(), pre_tokenizer, post_processor, byte_level(true, where), model, vocab, merges,
		where);
}

static struct tokenizer *build(json_t *finished, const char *where)
{
	struct tokenizer *tokenizer = tokenizer_from_json(finished, where);
	json_decref(finished);
	return tokenizer;
}

/* --- vocab.json and merges.txt --- */

static struct buffer read_file(const char *path)
{
	struct source *source = source_open(path);
	struct buffer text = {0};
	size_t got;
	do {
		got = source_read(source, buffer_add(&text, 1 << 16), 1 << 16);
		text.size -= (1 << 16) - got;
		if (text.size > LARGEST_FILE)
			die("%s: more than 1 GiB: this is no tokenizer", path);
	} while (got == 1 << 16);
	source_close(source);
	return text;
}

static json_t *read_json(const char *path)
{
	struct buffer text = read_file(path);
	json_t *parsed = json_parse(text.data, text.size, path);
	buffer_free(&text);
	return parsed;
}

/* A line for each merge, after an optional "#version" line. */
static json_t *read_merges(const char *path)
{
	struct buffer text = read_file(path);
	json_t *merges = json_array();
	int64_t line = 1;
	size_t length;
	for (size_t at = 0; at < text.size; at += length + 1, line++) {
		const char *start = text.data + at, *end = memchr(start, '\n', text.size - at);
		length = end ? (size_t)(end - start) : text.size - at;
		size_t shown = length && start[length - 1] == '\r' ? length - 1 : length;
		if (!shown || (shown >= 8 && !memcmp(start, "#version", 8)))
			continue;
		json_t *merge = memchr(start, '\0', shown) ? NULL : json_stringn(start, shown);
		if (!merge)
			die("%s: line %lld: not UTF-8", path, (long long)line);
		json_append(merges, merge);
	}
	buffer_free(&text);
	return merges;
}

static json_int_t id_in(const json_t *vocab, const char *token)
{
	const json_t *id = json_object_get(vocab, token);
	return json_is_integer(id) ? json_integer_value(id) : -1;
}

/* The pair does not say which tokens are special: those of GPT-2 and RoBERTa are, where the vocabulary has them. */
static struct tokenizer *load_pair(const char *vocab_path, const char *merges_path)
{
	static const char *const specials[] = {"<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>"};
	json_t *vocab = read_json(vocab_path), *added = json_array(), *post_processor = json_null();
	if (!json_is_object(vocab))
		die("%s: not a vocabulary: an object of token: id was expected", vocab_path);
	for (size_t i = 0; i < COUNT_OF(specials); i++)
		if (id_in(vocab, specials[i]) >= 0)
			json_append(added,
				added_token(specials[i], id_in(vocab, specials[i]), true, !strcmp(specials[i], "<mask>"), vocab_path));
	json_int_t cls = id_in(vocab, "<s>"), sep = id_in(vocab, "</s>");
	if (cls >= 0 && sep >= 0)
		post_processor = roberta_processing(cls, sep, vocab_path);
	return build(byte_level_document(added, byte_level(true, vocab_path), post_processor, false, vocab,
					 read_merges(merges_path), vocab_path),
		vocab_path);
}

/* --- GGUF --- */

enum token_kind { TOKEN_NORMAL = 1, TOKEN_UNKNOWN, TOKEN_CONTROL, TOKEN_USER_DEFINED, TOKEN_UNUSED, TOKEN_BYTE };

#define LLAMA3_WORDS(digits)                                                                                           \
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" digits                                         \
	"| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* What tokenizer.ggml.pre stands for. words NULL: GPT-2's. */
static const struct {
	const char *name, *words;
	bool digits, ignore_merges; /* each digit a word of its own */
} PRE_TOKENIZERS[] = {
	{"default", NULL, false, false},
	{"gpt-2", NULL, false, false},
	{"roberta-bpe", NULL, false, false},
	{"phi-2", NULL, false, false},
	{"mpt", NULL, false, false},
	{"olmo", NULL, false, false},
	{"smollm", NULL, true, false},
	{"starcoder", NULL, true, false},
	{"codeshell", NULL, true, false},
	{"refact", NULL, true, false},
	{"llama-bpe", LLAMA3_WORDS("{1,3}"), false, true},
	{"llama3", LLAMA3_WORDS("{1,3}"), false, true},
	{"llama-v3", LLAMA3_WORDS("{1,3}"), false, true},
	{"smaug-bpe", LLAMA3_WORDS("{1,3}"), false, false},
	{"dbrx", LLAMA3_WORDS("{1,3}"), false, false},
	{"qwen2", LLAMA3_WORDS(""), false, false},
	{"deepseek-r1-qwen", LLAMA3_WORDS(""), false, false},
	{"stablelm2", LLAMA3_WORDS(""), false, false},
};

/* A vocabulary as the file has it; strings are copies, by id. */
struct gguf_vocab {
	const struct gguf *gguf;
	struct strings tokens;
	const struct gguf_value *kinds, *scores; /* or NULL */
};

static void read_tokens(struct gguf_vocab *vocab, const struct gguf *gguf)
{
	const struct gguf_value *tokens = gguf_get_array(gguf, "tokenizer.ggml.tokens", GGUF_STRING, true);
	vocab->gguf = gguf;
	vocab->kinds = gguf_get_array(gguf, "tokenizer.ggml.token_type", GGUF_I32, false);
	vocab->scores = gguf_get_array(gguf, "tokenizer.ggml.scores", GGUF_F32, false);
	if ((vocab->kinds && vocab->kinds->count != tokens->count) ||
		(vocab->scores && vocab->scores->count != tokens->count))
		die("%s: tokenizer.ggml.tokens, .token_type and .scores are not equally many", gguf->path);
	const unsigned char *next = tokens->data;
	for (uint64_t i = 0; i < tokens->count; i++) {
		struct gguf_text token = gguf_next_string(&next);
		if (!token.length || !utf8_is_valid(token.text, token.length))
			die("%s: tokenizer.ggml.tokens: token %llu is empty or not UTF-8", gguf->path, (unsigned long long)i);
		if (strings_find(&vocab->tokens, token.text, token.length) >= 0)
			die("%s: tokenizer.ggml.tokens: token %llu, \"%.*s\", occurs twice", gguf->path, (unsigned long long)i,
				(int)(token.length < 80 ? token.length : 80), token.text);
		strings_intern(&vocab->tokens, token.text, token.length);
	}
}

static int kind_of(const struct gguf_vocab *vocab, int64_t id)
{
	return vocab->kinds ? gguf_i32_at(vocab->kinds, (uint64_t)id) : TOKEN_NORMAL;
}

static json_t *vocab_object(const struct gguf_vocab *vocab)
{
	json_t *object = json_object();
	for (int64_t id = 0; id < vocab->tokens.count; id++)
		json_set(object, strings_at(&vocab->tokens, id), json_integer(id));
	return object;
}

static json_t *special_tokens(const struct gguf_vocab *vocab)
{
	json_t *added = json_array();
	for (int64_t id = 0; id < vocab->tokens.count; id++) {
		int kind = kind_of(vocab, id);
		if (kind == TOKEN_UNKNOWN || kind == TOKEN_CONTROL || kind == TOKEN_USER_DEFINED)
			json_append(added,
				added_token(strings_at(&vocab->tokens, id), id, kind != TOKEN_USER_DEFINED, false, vocab->gguf->path));
	}
	return added;
}

/* The id under the key, or -1. */
static int64_t special_id(const struct gguf_vocab *vocab, const char *key)
{
	/* some writers say "none" with all bits set */
	int64_t id = gguf_get_int(vocab->gguf, key, -1, UINT32_MAX, -1);
	if (id == UINT32_MAX)
		return -1;
	if (id >= vocab->tokens.count)
		die("%s: %s: token %lld of %lld", vocab->gguf->path, key, (long long)id, (long long)vocab->tokens.count);
	return id;
}

/* Adds a special token to a template's pieces and to the table of what it means. */
static void add_to_template(const struct gguf_vocab *vocab, json_t *pieces, json_t *known, int64_t id)
{
	const char *token = strings_at(&vocab->tokens, id), *where = vocab->gguf->path;
	json_append(pieces, pack(where, "{s:{s:s,s:i}}", "SpecialToken", "id", token, "type_id", 0));
	json_set(known, token, pack(where, "{s:s,s:[I],s:[s]}", "id", token, "ids", (json_int_t)id, "tokens", token));
}

static json_t *template_processing(const struct gguf_vocab *vocab, bool bos_by_default)
{
	const struct gguf *gguf = vocab->gguf;
	int64_t bos = special_id(vocab, "tokenizer.ggml.bos_token_id"),
			eos = special_id(vocab, "tokenizer.ggml.eos_token_id");
	bool add_bos = gguf_get_bool(gguf, "tokenizer.ggml.add_bos_token", bos_by_default && bos >= 0);
	bool add_eos = gguf_get_bool(gguf, "tokenizer.ggml.add_eos_token", false);
	if (!add_bos && !add_eos)
		return json_null();
	if ((add_bos && bos < 0) || (add_eos && eos < 0))
		die("%s: a token is to be put around texts, but its id is not given", gguf->path);
	json_t *pieces = json_array(), *known = json_object();
	if (add_bos)
		add_to_template(vocab, pieces, known, bos);
	json_append(pieces, pack(gguf->path, "{s:{s:s,s:i}}", "Sequence", "id", "A", "type_id", 0));
	if (add_eos)
		add_to_template(vocab, pieces, known, eos);
	json_t *pair = json_deep_copy(pieces);
	json_append(pair, pack(gguf->path, "{s:{s:s,s:i}}", "Sequence", "id", "B", "type_id", 1));
	return pack(gguf->path, "{s:s,s:o,s:o,s:o}", "type", "TemplateProcessing", "single", pieces, "pair", pair,
		"special_tokens", known);
}

/* The kind "gpt2": byte-level BPE with its merges. */
static json_t *byte_level_gguf(const struct gguf_vocab *vocab)
{
	const char *where = vocab->gguf->path;
	char *pre = gguf_get_string(vocab->gguf, "tokenizer.ggml.pre", "default");
	size_t kind = 0;
	while (kind < COUNT_OF(PRE_TOKENIZERS) && strcmp(pre, PRE_TOKENIZERS[kind].name))
		kind++;
	if (kind == COUNT_OF(PRE_TOKENIZERS))
		die("%s: tokenizer.ggml.pre: how \"%.80s\" cuts words is not known here; its tokenizer.json would say", where,
			pre);
	free(pre);

	const char *words = PRE_TOKENIZERS[kind].words;
	json_t *pre_tokenizer = byte_level(!words, where);
	if (words)
		pre_tokenizer = pack(where, "{s:s,s:[{s:s,s:{s:s},s:s,s:b},o]}", "type", "Sequence", "pretokenizers", "type",
			"Split", "pattern", "Regex", words, "behavior", "Isolated", "invert", 0, pre_tokenizer);
	else if (PRE_TOKENIZERS[kind].digits)
		pre_tokenizer = pack(where, "{s:s,s:[{s:s,s:b},o]}", "type", "Sequence", "pretokenizers", "type", "Digits",
			"individual_digits", 1, pre_tokenizer);

	const struct gguf_value *list = gguf_get_array(vocab->gguf, "tokenizer.ggml.merges", GGUF_STRING, true);
	const unsigned char *next = list->data;
	json_t *merges = json_array();
	for (uint64_t i = 0; i < list->count; i++) {
		struct gguf_text merge = gguf_next_string(&next);
		json_t *text = json_stringn(merge.text, merge.length);
		if (!text)
			die("%s: tokenizer.ggml.merges: merge %llu is not UTF-8", where, (unsigned long long)i);
		json_append(merges, text);
	}
	return byte_level_document(special_tokens(vocab), pre_tokenizer, template_processing(vocab, false),
		PRE_TOKENIZERS[kind].ignore_merges, vocab_object(vocab), merges, where);
}

/* A pair of tokens whose join is a token too. */
struct scored_pair {
	float score;
	int32_t join, left, right;
};

static int best_score_first(const void *a, const void *b)
{
	const struct scored_pair *x = a, *y = b;
	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	if (x->join != y->join)
		return x->join < y->join ? -1 : 1;
	return x->left != y->left ? (x->left > y->left) - (x->left < y->left) :
								(x->right > y->right) - (x->right < y->right);
}

/*
 * Merges from scores: every way to cut a token in two that are tokens, the joins of best score first, then by ids. It
 * is how LLaMA's sentencepiece model was written as tokenizer.json.
 */
static json_t *merges_from_scores(struct gguf_vocab *vocab)
{
	struct buffer list = {0};
	for (int64_t id = 0; id < vocab->tokens.count; id++) {
		const char *token = strings_at(&vocab->tokens, id);
		size_t length = strlen(token);
		float score = gguf_f32_at(vocab->scores, (uint64_t)id);
		if (!isfinite(score))
			die("%s: tokenizer.ggml.scores: the score of token %lld is not finite", vocab->gguf->path, (long long)id);
		for (size_t at = (size_t)utf8_next(token, length); at < length;
			 at += (size_t)utf8_next(token + at, length - at)) {
			int64_t left = strings_find(&vocab->tokens, token, at);
			int64_t right = left < 0 ? -1 : strings_find(&vocab->tokens, token + at, length - at);
			struct scored_pair pair = {score, (int32_t)id, (int32_t)left, (int32_t)right};
			if (right >= 0)
				buffer_append(&list, &pair, sizeof pair);
		}
	}
	size_t n = list.size / sizeof(struct scored_pair);
	struct scored_pair *pairs = (struct scored_pair *)(void *)list.data;
	if (n)
		qsort(pairs, n, sizeof *pairs, best_score_first);
	json_t *merges = json_array();
	for (size_t i = 0; i < n; i++)
		json_append(merges,
			pack(vocab->gguf->path, "[s,s]", strings_at(&vocab->tokens, pairs[i].left),
				strings_at(&vocab->tokens, pairs[i].right)));
	buffer_free(&list);
	return merges;
}

/* The kind "llama": sentencepiece's BPE, with scores. */
static json_t *sentencepiece_gguf(struct gguf_vocab *vocab)
{
	const struct gguf *gguf = vocab->gguf;
	const char *where = gguf->path;
	bool prefix = gguf_get_bool(gguf, "tokenizer.ggml.add_space_prefix", true);
	if (!vocab->scores)
		die("%s: no tokenizer.ggml.scores, an array of float32 was expected", where);
	if (gguf_get_bool(gguf, "tokenizer.ggml.remove_extra_whitespaces", false))
		die("%s: tokenizer.ggml.remove_extra_whitespaces is not supported", where);
	int64_t unk = special_id(vocab, "tokenizer.ggml.unknown_token_id");

	json_t *normalizers = json_array(), *decoders = json_array();
	if (prefix)
		json_append(normalizers, pack(where, "{s:s,s:s}", "type", "Prepend", "prepend", "\u2581"));
	json_append(normalizers,
		pack(where, "{s:s,s:{s:s},s:s}", "type", "Replace", "pattern", "String", " ", "content", "\u2581"));
	json_append(decoders,
		pack(where, "{s:s,s:{s:s},s:s}", "type", "Replace", "pattern", "String", "\u2581", "content", " "));
	json_append(decoders, pack(where, "{s:s}", "type", "ByteFallback"));
	json_append(decoders, pack(where, "{s:s}", "type", "Fuse"));
	if (prefix)
		json_append(decoders, pack(where, "{s:s,s:s,s:i,s:i}", "type", "Strip", "content", " ", "start", 1, "stop", 0));
	json_t *model = pack(where, "{s:s,s:n,s:s?,s:n,s:n,s:b,s:b,s:b}", "type", "BPE", "dropout", "unk_token",
		unk < 0 ? NULL : strings_at(&vocab->tokens, unk), "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
		1, "byte_fallback", 1, "ignore_merges", 0);
	return document(special_tokens(vocab), pack(where, "{s:s,s:o}", "type", "Sequence", "normalizers", normalizers),
		json_null(), template_processing(vocab, true),
		pack(where, "{s:s,s:o}", "type", "Sequence", "decoders", decoders), model, vocab_object(vocab),
		merges_from_scores(vocab), where);
}

struct tokenizer *tokenizer_from_gguf(const struct gguf *gguf)
{
	char *kind = gguf_get_string(gguf, "tokenizer.ggml.model", NULL);
	if (!kind)
		die("%s: no tokenizer.ggml.model: this GGUF carries no vocabulary", gguf->path);
	struct gguf_vocab vocab = {0};
	json_t *finished = NULL;
	if (!strcmp(kind, "gpt2") || !strcmp(kind, "llama"))
		read_tokens(&vocab, gguf);
	if (!strcmp(kind, "gpt2"))
		finished = byte_level_gguf(&vocab);
	else if (!strcmp(kind, "llama"))
		finished = sentencepiece_gguf(&vocab);
	else
		die("%s: tokenizer.ggml.model is \"%.80s\": gpt2 or llama was expected", gguf->path, kind);
	strings_free(&vocab.tokens);
	free(kind);
	return build(finished, gguf->path);
}

/* --- by path --- */

static struct tokenizer *load_folder(const char *path)
{
	static const char *const pairs[][2] = {{"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"}};
	struct tokenizer *tokenizer = NULL;
	char *file = xasprintf("%s/tokenizer.json", path);
	if (!access(file, F_OK))
		tokenizer = tokenizer_load(file);
	for (size_t i = 0; i < COUNT_OF(pairs) && !tokenizer; i++) {
		char *vocab = xasprintf("%s/%s", path, pairs[i][0]), *merges = xasprintf("%s/%s", path, pairs[i][1]);
		if (!access(vocab, F_OK))
			tokenizer = load_pair(vocab, merges);
		free(vocab);
		free(merges);
	}
	if (!tokenizer)
		die("%s: no tokenizer there: tokenizer.json, vocab.json with merges.txt, or encoder.json with vocab.bpe was expected",
			path);
	free(file);
	return tokenizer;
}

struct tokenizer *tokenizer_load(const char *path)
{
	struct stat status;
	const char *comma = strrchr(path, ',');
	bool exists = !stat(path, &status);
	if (!exists && comma) {
		char *vocab = xstrndup(path, (size_t)(comma - path));
		struct tokenizer *tokenizer = load_pair(vocab, comma + 1);
		free(vocab);
		return tokenizer;
	}
	if (exists && S_ISDIR(status.st_mode))
		return load_folder(path);
	if (gguf_is(path)) {
		struct gguf gguf;
		gguf_open(&gguf, path);
		struct tokenizer *tokenizer = tokenizer_from_gguf(&gguf);
		gguf_close(&gguf);
		return tokenizer;
	}
	return build(read_json(path), path);
}

/* --- learned from text --- */

struct learner {
	struct pattern *pattern;
	struct matcher *matcher;
	struct strings words;
	struct buffer counts; /* int64_t */
};

struct learner *learner_new(void)
{
	struct learner *learner = xcalloc(1, sizeof *learner);
	learner->pattern = pattern_new(WORD_PATTERN, false, "tokenizer");
	learner->matcher = matcher_new();
	return learner;
}

void learner_add(struct learner *learner, const char *text, size_t length)
{
	struct buffer clean = {0};
	if (!utf8_is_valid(text, length))
		utf8_clean(&text, &length, &clean);
	size_t start, end = 0;
	while (end < length && pattern_find(learner->pattern, learner->matcher, text, length, end, &start, &end)) {
		if (memchr(text + start, '\0', end - start))
			continue; /* strings end there; a NUL is in no word worth learning */
		size_t word = (size_t)strings_intern(&learner->words, text + start, end - start);
		if (word == learner->counts.size / sizeof(int64_t))
			buffer_append(&learner->counts, &(int64_t){0}, sizeof(int64_t));
		((int64_t *)(void *)learner->counts.data)[word]++;
	}
	buffer_free(&clean);
}

struct tokenizer *learner_finish(struct learner *learner, int64_t vocab_size)
{
	static const char *const specials[] = {"<s>", "<pad>", "</s>", "<unk>", "<mask>"};
	const char *where = "learned tokenizer";
	struct strings tokens = {0}, merges = {0};
	json_t *added = json_array(), *vocab = json_object(), *list = json_array();
	for (size_t i = 0; i < COUNT_OF(specials); i++) {
		strings_add(&tokens, specials[i], strlen(specials[i]));
		json_append(added, added_token(specials[i], (int64_t)i, true, i == 4, where));
	}
	bpe_learn(&learner->words, (const int64_t *)(void *)learner->counts.data, vocab_size, &tokens, &merges);
	for (int64_t id = 0; id < tokens.count; id++)
		json_set(vocab, strings_at(&tokens, id), json_integer(id));
	for (int64_t i = 0; i < merges.count; i++)
		json_append(list, pack(where, "s", strings_at(&merges, i)));
	strings_free(&tokens);
	strings_free(&merges);
	strings_free(&learner->words);
	buffer_free(&learner->counts);
	pattern_free(learner->pattern);
	matcher_free(learner->matcher);
	free(learner);
	return build(
		byte_level_document(added, byte_level(true, where), roberta_processing(0, 2, where), false, vocab, list, where),
		where);
}
