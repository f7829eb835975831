/*
 * The task of language models: the next token of items' texts, from a start token
 * to an end token. Every 20th text is held out to validate on.
 */
#ifndef RECPIPE_LANGUAGE_H
#define RECPIPE_LANGUAGE_H

#include "data/item_tokens.h"
#include "task/next.h"
#include "task/run.h"

/*
 * What a text begins and ends with: the tokenizer's own tokens for it, either for both where it has but one. Dies,
 * naming `where`, where it has neither.
 */
struct text_ends {
	int32_t start, end;
};
struct text_ends text_ends_of(const struct tokenizer *tokenizer, const char *where);

/* The model's "items" are the tokenizer's ids. Dies where there is no text. Borrows the model alone. */
struct task *language_task(struct model *model, const struct item_tokens *texts, struct text_ends ends, int workers);

#endif
