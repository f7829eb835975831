/*
 * Tokenizers by path. What is no tokenizer.json becomes one here, or in
 * tokenizer_gguf.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/gguf.h"
#include "data/tokenizer_document.h"
#include "data/utf8.h"
#include "data/word_rules.h"
#include "stream/bytes.h"

#define LARGEST_FILE (1u << 30)

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

/* The file of this name beside `path`, parsed; NULL: there is none. */
static json_t *read_beside(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	char *beside = xasprintf("%.*s%s", slash ? (int)(slash - path + 1) : 0, path, name);
	json_t *document = access(beside, F_OK) ? NULL : read_json(beside);
	free(beside);
	return document;
}

/* --- vocab.json and merges.txt --- */

/* How the pair's family cuts words, which the pair does not say. */
static const struct word_rule *rule_of_pair(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!strcmp(slash ? slash + 1 : path, "encoder.json"))
		return word_rule("gpt-2"); /* its files alone are called so */
	json_t *config = read_beside(path, "config.json");
	const char *family = json_string_value(json_object_get(config, "model_type"));
	const struct word_rule *rule = family ? word_rule_of_family(family) : NULL;
	if (!rule && family)
		warn(
			"%s: how model_type \"%.80s\" cuts words is not known here, and the file does not say; as GPT-2 is assumed",
			path, family);
	else if (!rule)
		warn("%s: no config.json beside it says which family's this is; words are cut as GPT-2's", path);
	json_decref(config);
	return rule ? rule : word_rule("gpt-2");
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
	json_t *vocab = read_json(vocab_path);
	struct document document = {.added = json_array()};
	if (!json_is_object(vocab))
		die("%s: not a vocabulary: an object of token: id was expected", vocab_path);
	for (size_t i = 0; i < COUNT_OF(specials); i++)
		if (id_in(vocab, specials[i]) >= 0)
			json_append(document.added,
				document_added_token(specials[i], id_in(vocab, specials[i]), true, !strcmp(specials[i], "<mask>"),
					vocab_path));
	const struct word_rule *rule = rule_of_pair(vocab_path);
	json_int_t cls = id_in(vocab, "<s>"), sep = id_in(vocab, "</s>");
	if (cls >= 0 && sep >= 0)
		document.post_processor = document_roberta(cls, sep);
	document.normalizer = word_rule_normalizer(rule);
	document.pre_tokenizer = word_rule_pre_tokenizer(rule);
	document.decoder = document_byte_level(true);
	document.model = document_bpe(NULL, false, rule->flags & IGNORES_MERGES, vocab_path);
	json_set(document.model, "vocab", vocab);
	json_set(document.model, "merges", read_merges(merges_path));
	return document_finish(&document, vocab_path);
}

/* --- BERT's vocab.txt --- */

/* A token a line, in the order of their ids. */
static json_t *read_vocab_lines(const char *path)
{
	struct buffer text = read_file(path);
	json_t *vocab = json_object();
	int64_t id = 0;
	buffer_append(&text, "", 1);
	if (strlen(text.data) != text.size - 1)
		die("%s: a NUL byte: this is no list of tokens", path);
	for (char *line = text.data, *next; *line; line = next, id++) {
		size_t length = strcspn(line, "\n");
		next = line + length + (line[length] == '\n');
		while (length && strchr(" \t\r", line[length - 1]))
			length--;
		line[length] = '\0';
		if (json_object_get(vocab, line))
			die("%s: line %lld: token \"%.80s\" occurs twice", path, (long long)id + 1, line);
		if (!utf8_is_valid(line, length))
			die("%s: line %lld: not UTF-8", path, (long long)id + 1);
		json_set(vocab, line, json_integer(id));
	}
	buffer_free(&text);
	return vocab;
}

static struct tokenizer *load_wordpiece(const char *path)
{
	static const char *const specials[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
	json_t *vocab = read_vocab_lines(path), *config = read_beside(path, "tokenizer_config.json");
	bool lower = !json_is_false(json_object_get(config, "do_lower_case"));
	if (!json_object_get(config, "do_lower_case"))
		warn("%s: no tokenizer_config.json beside it says whether capitals count; they are taken as small letters",
			path);
	json_decref(config);
	struct document document = {.added = json_array()};
	for (size_t i = 0; i < COUNT_OF(specials); i++) {
		if (id_in(vocab, specials[i]) < 0)
			die("%s: not the vocabulary of a BERT: it has no %s", path, specials[i]);
		json_append(document.added, document_added_token(specials[i], id_in(vocab, specials[i]), true, false, path));
	}
	document.normalizer = json_build("{s:s,s:b,s:b,s:n,s:b}", "type", "BertNormalizer", "clean_text", 1,
		"handle_chinese_chars", 1, "strip_accents", "lowercase", lower);
	document.pre_tokenizer = json_build("{s:s}", "type", "BertPreTokenizer");
	document.post_processor = document_around(id_in(vocab, "[CLS]"), "[CLS]", id_in(vocab, "[SEP]"), "[SEP]", path);
	document.decoder = json_build("{s:s,s:s,s:b}", "type", "WordPiece", "prefix", "##", "cleanup", 1);
	document.model = json_build("{s:s,s:s,s:s,s:i,s:o}", "type", "WordPiece", "unk_token", "[UNK]",
		"continuing_subword_prefix", "##", "max_input_chars_per_word", 100, "vocab", vocab);
	return document_finish(&document, path);
}

/* --- by path --- */

static struct tokenizer *load_json(const char *path)
{
	struct buffer text = read_file(path);
	size_t at = 0;
	while (at < text.size && text.data[at] && strchr(" \t\r\n", text.data[at]))
		at++;
	if (at == text.size || text.data[at] != '{')
		die("%s: no tokenizer: a tokenizer.json, a GGUF, a BERT's vocab.txt, vocab.json,merges.txt, or a folder with "
			"one was expected",
			path);
	json_t *document = json_parse(text.data, text.size, path);
	buffer_free(&text);
	struct tokenizer *tokenizer = tokenizer_from_json(document, path);
	json_decref(document);
	return tokenizer;
}

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
	char *vocab = xasprintf("%s/vocab.txt", path);
	if (!tokenizer && !access(vocab, F_OK))
		tokenizer = load_wordpiece(vocab);
	free(vocab);
	if (!tokenizer)
		die("%s: no tokenizer there: tokenizer.json, vocab.json with merges.txt, encoder.json with vocab.bpe or "
			"vocab.txt was expected; a GGUF file is named itself",
			path);
	free(file);
	return tokenizer;
}

struct tokenizer *tokenizer_load(const char *path)
{
	struct stat status;
	const char *comma = strrchr(path, ','), *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
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
	return strcmp(name, "vocab.txt") ? load_json(path) : load_wordpiece(path);
}
