/* A tokenizer learned from text: the words are counted here, bpe_learn.c finds the merges. */
#include <stdlib.h>
#include <string.h>

#include "data/bpe_learn.h"
#include "data/pattern.h"
#include "data/strings.h"
#include "data/tokenizer_document.h"
#include "data/utf8.h"

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
		json_append(added, document_added_token(specials[i], (int64_t)i, true, i == 4, where));
	}
	bpe_learn(&learner->words, (const int64_t *)(void *)learner->counts.data, vocab_size, &tokens, &merges);
	for (int64_t id = 0; id < tokens.count; id++)
		json_set(vocab, strings_at(&tokens, id), json_integer(id));
	for (int64_t i = 0; i < merges.count; i++)
		json_append(list, json_build("s", strings_at(&merges, i)));
	strings_free(&tokens);
	strings_free(&merges);
	strings_free(&learner->words);
	buffer_free(&learner->counts);
	pattern_free(learner->pattern);
	matcher_free(learner->matcher);
	free(learner);
	struct document document = {
		.added = added,
		.pre_tokenizer = document_byte_level(true),
		.post_processor = document_roberta(0, 2),
		.decoder = document_byte_level(true),
		.model = document_bpe(NULL, false, false, where),
	};
	json_set(document.model, "vocab", vocab);
	json_set(document.model, "merges", list);
	return document_finish(&document, where);
}
