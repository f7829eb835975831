/*
 * The vocabularies of GGUF files, by their tokenizer.ggml.model: gpt2 (byte-level
 * BPE), llama (sentencepiece's BPE), bert (WordPiece) and t5 (Unigram). What a
 * file leaves out is what llama.cpp takes for it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/charsmap.h"
#include "data/gguf.h"
#include "data/strings.h"
#include "data/tokenizer_document.h"
#include "data/utf8.h"
#include "data/word_rules.h"

#define BOS_KEY "tokenizer.ggml.bos_token_id"
#define EOS_KEY "tokenizer.ggml.eos_token_id"
#define UNK_KEY "tokenizer.ggml.unknown_token_id"
#define SPACE "\u2581"

enum token_kind { TOKEN_NORMAL = 1, TOKEN_UNKNOWN, TOKEN_CONTROL, TOKEN_USER_DEFINED, TOKEN_UNUSED, TOKEN_BYTE };

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
				document_added_token(strings_at(&vocab->tokens, id), id, kind != TOKEN_USER_DEFINED, false,
					vocab->gguf->path));
	}
	return added;
}

/* The id under the key, or the usual one where the vocabulary has it under that name; -1: none. */
static int64_t special_id(const struct gguf_vocab *vocab, const char *key, int64_t usual, const char *usual_token)
{
	/* some writers say "none" with all bits set */
	int64_t id = gguf_get_int(vocab->gguf, key, -1, UINT32_MAX, -2);
	if (id == UINT32_MAX)
		return -1;
	if (id >= vocab->tokens.count)
		die("%s: %s: token %lld of %lld", vocab->gguf->path, key, (long long)id, (long long)vocab->tokens.count);
	if (id == -2 && usual >= 0 && usual < vocab->tokens.count &&
		!strcmp(strings_at(&vocab->tokens, usual), usual_token))
		return usual;
	return id < 0 ? -1 : id;
}

static const char *token_or_null(const struct gguf_vocab *vocab, int64_t id)
{
	return id < 0 ? NULL : strings_at(&vocab->tokens, id);
}

/* BOS and EOS around a text, as the file says, else by default. */
static json_t *around(const struct gguf_vocab *vocab, int64_t bos, bool bos_by_default, int64_t eos,
	bool eos_by_default)
{
	const struct gguf *gguf = vocab->gguf;
	bool add_bos = gguf_get_bool(gguf, "tokenizer.ggml.add_bos_token", bos_by_default && bos >= 0);
	bool add_eos = gguf_get_bool(gguf, "tokenizer.ggml.add_eos_token", eos_by_default && eos >= 0);
	if ((add_bos && bos < 0) || (add_eos && eos < 0))
		die("%s: a token is to be put around texts, but its id is not given", gguf->path);
	return document_around(add_bos ? bos : -1, token_or_null(vocab, bos), add_eos ? eos : -1, token_or_null(vocab, eos),
		gguf->path);
}

/* --- gpt2: byte-level BPE with its merges --- */

/* The file does not say how its words are cut. */
static const struct word_rule *assumed_rule(const struct gguf_vocab *vocab)
{
	const struct gguf *gguf = vocab->gguf;
	char *family = gguf_get_string(gguf, "general.architecture", "gpt2");
	const struct word_rule *rule = word_rule_of_family(family);
	int64_t bos = special_id(vocab, BOS_KEY, -1, NULL);
	if (!rule)
		rule = word_rule(
			bos >= 0 && !strcmp(strings_at(&vocab->tokens, bos), "<|begin_of_text|>") ? "llama-bpe" : "gpt-2");
	warn("%s: tokenizer.ggml.pre does not say how words are cut; as \"%s\" is assumed, and vectors are off if that is "
		 "wrong",
		gguf->path, rule->name);
	free(family);
	return rule;
}

static const struct word_rule *rule_of(const struct gguf_vocab *vocab)
{
	char *name = gguf_get_string(vocab->gguf, "tokenizer.ggml.pre", "default");
	const struct word_rule *rule = strcmp(name, "default") ? word_rule(name) : assumed_rule(vocab);
	if (!rule)
		die("%s: tokenizer.ggml.pre: how \"%.80s\" cuts words is not known here; its tokenizer.json would say",
			vocab->gguf->path, name);
	free(name);
	return rule;
}

static json_t *read_merges(const struct gguf *gguf)
{
	const struct gguf_value *list = gguf_get_array(gguf, "tokenizer.ggml.merges", GGUF_STRING, true);
	const unsigned char *next = list->data;
	json_t *merges = json_array();
	for (uint64_t i = 0; i < list->count; i++) {
		struct gguf_text merge = gguf_next_string(&next);
		json_t *text = json_stringn(merge.text, merge.length);
		if (!text)
			die("%s: tokenizer.ggml.merges: merge %llu is not UTF-8", gguf->path, (unsigned long long)i);
		json_append(merges, text);
	}
	return merges;
}

static void build_gpt2(struct gguf_vocab *vocab, struct document *document)
{
	const struct word_rule *rule = rule_of(vocab);
	int64_t bos = special_id(vocab, BOS_KEY, -1, NULL), eos = special_id(vocab, EOS_KEY, -1, NULL);
	document->normalizer = word_rule_normalizer(rule);
	document->pre_tokenizer = word_rule_pre_tokenizer(rule);
	document->post_processor = around(vocab, bos, rule->flags & ADDS_BOS, eos, false);
	document->decoder = document_byte_level(true);
	document->model = document_bpe(NULL, false, rule->flags & IGNORES_MERGES, vocab->gguf->path);
	json_set(document->model, "vocab", vocab_object(vocab));
	json_set(document->model, "merges", read_merges(vocab->gguf));
}

/* --- llama: sentencepiece's BPE, with scores --- */

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
			json_build("[s,s]", strings_at(&vocab->tokens, pairs[i].left), strings_at(&vocab->tokens, pairs[i].right)));
	buffer_free(&list);
	return merges;
}

/* Blanks at both ends go, and of several in a row all but one. */
static void add_space_removal(json_t *normalizers)
{
	json_append(normalizers, json_build("{s:s,s:b,s:b}", "type", "Strip", "strip_left", 1, "strip_right", 1));
	json_append(normalizers,
		json_build("{s:s,s:{s:s},s:s}", "type", "Replace", "pattern", "Regex", " {2,}", "content", " "));
}

static void require_scores(const struct gguf_vocab *vocab)
{
	if (!vocab->scores)
		die("%s: no tokenizer.ggml.scores, an array of float32 was expected", vocab->gguf->path);
}

static void build_llama(struct gguf_vocab *vocab, struct document *document)
{
	const struct gguf *gguf = vocab->gguf;
	bool prefix = gguf_get_bool(gguf, "tokenizer.ggml.add_space_prefix", true);
	int64_t unk = special_id(vocab, UNK_KEY, 0, "<unk>");
	int64_t bos = special_id(vocab, BOS_KEY, 1, "<s>"), eos = special_id(vocab, EOS_KEY, 2, "</s>");
	json_t *normalizers = json_array(), *decoders = json_array();
	require_scores(vocab);
	if (gguf_get_bool(gguf, "tokenizer.ggml.remove_extra_whitespaces", false))
		add_space_removal(normalizers);
	if (prefix)
		json_append(normalizers, json_build("{s:s,s:s}", "type", "Prepend", "prepend", SPACE));
	json_append(normalizers, document_replace(" ", SPACE));
	json_append(decoders, document_replace(SPACE, " "));
	json_append(decoders, json_build("{s:s}", "type", "ByteFallback"));
	json_append(decoders, json_build("{s:s}", "type", "Fuse"));
	if (prefix)
		json_append(decoders, json_build("{s:s,s:s,s:i,s:i}", "type", "Strip", "content", " ", "start", 1, "stop", 0));
	document->normalizer = json_build("{s:s,s:o}", "type", "Sequence", "normalizers", normalizers);
	document->post_processor = around(vocab, bos, true, eos, false);
	document->decoder = json_build("{s:s,s:o}", "type", "Sequence", "decoders", decoders);
	document->model = document_bpe(token_or_null(vocab, unk), true, false, gguf->path);
	json_set(document->model, "vocab", vocab_object(vocab));
	json_set(document->model, "merges", merges_from_scores(vocab));
}

/* --- bert: WordPiece --- */

/*
 * The file marks the beginnings of words, BERT's vocabulary what continues them: "\u2581ink" is "ink", and "ing"
 * "##ing". Control tokens stay as they are.
 */
static void spell_as_bert(struct gguf_vocab *vocab)
{
	struct strings spelt = {0};
	for (int64_t id = 0; id < vocab->tokens.count; id++) {
		const char *token = strings_at(&vocab->tokens, id);
		int kind = kind_of(vocab, id);
		bool is_marked = !strncmp(token, SPACE, strlen(SPACE)) && token[strlen(SPACE)];
		bool is_bracketed = token[0] == '[' && token[strlen(token) - 1] == ']';
		char *spelling = is_marked                ? xstrdup(token + strlen(SPACE)) :
			kind == TOKEN_NORMAL && !is_bracketed ? xasprintf("##%s", token) :
													xstrdup(token);
		if (strings_find(&spelt, spelling, strlen(spelling)) >= 0)
			die("%s: tokenizer.ggml.tokens: two tokens are \"%.80s\" in a WordPiece vocabulary", vocab->gguf->path,
				spelling);
		strings_intern(&spelt, spelling, strlen(spelling));
		free(spelling);
	}
	strings_free(&vocab->tokens);
	vocab->tokens = spelt;
}

static void build_bert(struct gguf_vocab *vocab, struct document *document)
{
	const struct gguf *gguf = vocab->gguf;
	bool lower = gguf_get_bool(gguf, "tokenizer.ggml.normalizer.lowercase", true);
	bool strip = gguf_get_bool(gguf, "tokenizer.ggml.normalizer.strip_accents", lower);
	spell_as_bert(vocab);
	int64_t unk = special_id(vocab, UNK_KEY, 100, "[UNK]"), cls = special_id(vocab, BOS_KEY, -1, NULL);
	if (cls < 0)
		cls = special_id(vocab, "tokenizer.ggml.cls_token_id", 101, "[CLS]");
	int64_t sep = special_id(vocab, "tokenizer.ggml.seperator_token_id", 102, "[SEP]"); /* as it is spelt there */
	if (unk < 0)
		die("%s: no %s: the unknown token was expected", gguf->path, UNK_KEY);
	bool add_cls = gguf_get_bool(gguf, "tokenizer.ggml.add_bos_token", true);
	document->normalizer = json_build("{s:s,s:b,s:b,s:b,s:b}", "type", "BertNormalizer", "clean_text", 1,
		"handle_chinese_chars", 1, "strip_accents", strip, "lowercase", lower);
	document->pre_tokenizer = json_build("{s:s}", "type", "BertPreTokenizer");
	document->post_processor = document_around(add_cls ? cls : -1, token_or_null(vocab, cls), sep,
		token_or_null(vocab, sep), gguf->path);
	document->decoder = json_build("{s:s,s:s,s:b}", "type", "WordPiece", "prefix", "##", "cleanup", 1);
	document->model = json_build("{s:s,s:s,s:s,s:i}", "type", "WordPiece", "unk_token", token_or_null(vocab, unk),
		"continuing_subword_prefix", "##", "max_input_chars_per_word", 100);
	json_set(document->model, "vocab", vocab_object(vocab));
}

/* --- t5: Unigram --- */

static json_t *scored_vocab(const struct gguf_vocab *vocab, bool *has_bytes, bool *has_phrases)
{
	json_t *list = json_array();
	for (int64_t id = 0; id < vocab->tokens.count; id++) {
		const char *token = strings_at(&vocab->tokens, id);
		float score = gguf_f32_at(vocab->scores, (uint64_t)id);
		if (!isfinite(score))
			die("%s: tokenizer.ggml.scores: the score of token %lld is not finite", vocab->gguf->path, (long long)id);
		*has_bytes |= kind_of(vocab, id) == TOKEN_BYTE;
		*has_phrases |= strstr(token + 1, SPACE) != NULL;
		json_append(list, json_build("[s,f]", token, (double)score));
	}
	return list;
}

static json_t *charsmap_of(const struct gguf *gguf)
{
	const struct gguf_value *map = gguf_find(gguf, "tokenizer.ggml.precompiled_charsmap");
	if (!map || !map->count)
		return NULL;
	if (map->kind != GGUF_ARRAY || (map->element != GGUF_U8 && map->element != GGUF_I8))
		die("%s: tokenizer.ggml.precompiled_charsmap: an array of bytes was expected", gguf->path);
	char *text = base64_encode(map->data, map->count);
	json_t *normalizer = json_build("{s:s,s:s}", "type", "Precompiled", "precompiled_charsmap", text);
	free(text);
	return normalizer;
}

static void build_t5(struct gguf_vocab *vocab, struct document *document)
{
	const struct gguf *gguf = vocab->gguf;
	bool extra = gguf_get_bool(gguf, "tokenizer.ggml.remove_extra_whitespaces", false);
	bool prefix = gguf_get_bool(gguf, "tokenizer.ggml.add_space_prefix", false) || extra;
	const char *scheme = prefix ? "always" : "never";
	int64_t unk = special_id(vocab, UNK_KEY, 2, "<unk>"), eos = special_id(vocab, EOS_KEY, 1, "</s>");
	bool has_bytes = false, has_phrases = false;
	require_scores(vocab);
	if (unk < 0)
		die("%s: no %s: the unknown token was expected", gguf->path, UNK_KEY);
	json_t *normalizers = json_array(), *map = charsmap_of(gguf);
	if (map)
		json_append(normalizers, map);
	if (extra)
		add_space_removal(normalizers);
	document->model = json_build("{s:s,s:I}", "type", "Unigram", "unk_id", (json_int_t)unk);
	json_set(document->model, "vocab", scored_vocab(vocab, &has_bytes, &has_phrases));
	json_set(document->model, "byte_fallback", json_boolean(has_bytes));
	document->normalizer = json_build("{s:s,s:o}", "type", "Sequence", "normalizers", normalizers);
	/* where no token holds a blank but at its beginning, words can be encoded one by one */
	document->pre_tokenizer = json_build("{s:s,s:s,s:s,s:b}", "type", "Metaspace", "replacement", SPACE,
		"prepend_scheme", scheme, "split", !has_phrases);
	document->decoder = json_build("{s:s,s:s,s:s,s:b}", "type", "Metaspace", "replacement", SPACE, "prepend_scheme",
		scheme, "split", !has_phrases);
	document->post_processor = around(vocab, special_id(vocab, BOS_KEY, -1, NULL), false, eos, true);
}

/* --- all kinds --- */

static const struct {
	const char *name;
	void (*build)(struct gguf_vocab *vocab, struct document *document);
} MODELS[] = {
	{"gpt2", build_gpt2},
	{"llama", build_llama},
	{"bert", build_bert},
	{"t5", build_t5},
};

struct tokenizer *tokenizer_from_gguf(const struct gguf *gguf)
{
	char *name = gguf_get_string(gguf, "tokenizer.ggml.model", NULL);
	if (!name)
		die("%s: no tokenizer.ggml.model: this GGUF carries no vocabulary", gguf->path);
	size_t i = 0;
	while (i < COUNT_OF(MODELS) && strcmp(name, MODELS[i].name))
		i++;
	if (i == COUNT_OF(MODELS))
		die("%s: tokenizer.ggml.model is \"%.80s\": gpt2, llama, bert or t5 was expected", gguf->path, name);
	free(name);
	struct gguf_vocab vocab = {0};
	struct document document = {0};
	read_tokens(&vocab, gguf);
	MODELS[i].build(&vocab, &document);
	document.added = special_tokens(&vocab);
	strings_free(&vocab.tokens);
	return document_finish(&document, gguf->path);
}
