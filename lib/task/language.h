/*
 * The task of language models: the next token of items' texts, from a start token
 * to an end token. Every 20th text is held out to validate on.
 */
#ifndef RECPIPE_LANGUAGE_H
#define RECPIPE_LANGUAGE_H

#include "data/item_tokens.h"
#include "task/next.h"
#include "task/run.h"
#include "task/training.h"

/*
 * What a text begins and ends with: the tokenizer's own tokens for it, either for both where it has but one. Dies,
 * naming `where`, where it has neither.
 */
struct text_ends {
	int32_t start, end;
};
struct text_ends text_ends_of(const struct tokenizer *tokenizer, const char *where);

/* What trainings of language models share: whom they suit, and what is checked before anything is read. */
bool language_suits(const struct architecture *architecture);
void language_check(const struct training_job *job, const struct run_options *run);
/* They are validated by the mean loss of a token and its perplexity: names the two, and measures them. */
void language_measures(struct task *task);
void language_measure(struct next *next, struct trainer *trainer, const struct histories *texts, const int32_t *targets,
	double measured[2]);

/* The model's "items" are the tokenizer's ids. Dies where there is no text. Borrows the model alone. */
struct task *language_task(struct model *model, const struct item_tokens *texts, struct text_ends ends, int workers);

#endif
