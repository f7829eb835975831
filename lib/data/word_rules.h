/*
 * How families of byte-level models cut text into words, for files that name the
 * family and not the rule: GGUF's tokenizer.ggml.pre, a config.json's model_type.
 */
#ifndef RECPIPE_WORD_RULES_H
#define RECPIPE_WORD_RULES_H

#include "stream/json.h"

enum word_rule_flags {
	TAKES_NFC = 1,      /* of the text, before it is cut */
	IGNORES_MERGES = 2, /* a word that is a token is that token */
	ADDS_BOS = 4        /* unless the file says otherwise */
};

struct word_rule {
	const char *name; /* as tokenizer.ggml.pre has it */
	/* The pre_tokenizer of the document. */
	json_t *(*build)(const char *const *patterns);
	const char *patterns[7]; /* cut at one after another; for some kinds */
	unsigned flags;
};

/* NULL: not known. */
const struct word_rule *word_rule(const char *name);
/* The rule of a model_type, or of a GGUF's general.architecture; NULL where it is not known or has several. */
const struct word_rule *word_rule_of_family(const char *family);
json_t *word_rule_normalizer(const struct word_rule *rule);
json_t *word_rule_pre_tokenizer(const struct word_rule *rule);

#endif
