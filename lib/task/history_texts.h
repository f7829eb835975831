/*
 * Tuning a language model on histories, as LLM2Rec begins (He et al., KDD 2025, its collaborative supervised
 * fine-tuning): the texts of a user's latest items, oldest first, each followed by a separator; the model learns to say
 * the texts behind the first, and so what is met after what. Its hidden states then know more of an item than words.
 *
 * Validated by the text of the users' validation items behind the histories before them.
 */
#ifndef RECPIPE_HISTORY_TEXTS_H
#define RECPIPE_HISTORY_TEXTS_H

#include "data/item_tokens.h"
#include "data/sequences.h"
#include "model/model.h"
#include "task/run.h"

/* How a history becomes text; all is borrowed. */
struct history_form {
	int32_t start;            /* the token in front */
	const int32_t *separator; /* tokens behind each item's text */
	int64_t n_separator;
	int64_t items;       /* the latest so many of a history */
	int64_t valid_users; /* how many to validate on, spread over all */
};

/*
 * An example is a user with two training events whose items have texts; items without are passed over. Texts are those
 * of the sequences' catalog, at most texts->budget tokens each. Borrows model, sequences, texts. Dies where there is
 * nothing to learn, or a history may be longer than the model reads.
 */
struct task *history_texts_task(struct model *model, const struct sequences *sequences, const struct item_tokens *texts,
	const struct history_form *form, int workers);
/* Tokens that an epoch reads, and users that are validated on. */
void history_texts_counts(const struct task *task, int64_t *tokens, int64_t *validated);

#endif
