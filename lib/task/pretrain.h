/*
 * Recformer's pre-training (section 2.3.1 of the paper): a history should be closer to the item
 * that followed than to those of other users in the batch, and masked words of
 * both should be guessed:
 *
 *     loss = contrast(cosine / temperature) + weight (words of histories + words of items)
 *
 * An example is a user's training events, cut at a random point of their second half.
 */
#ifndef RECPIPE_PRETRAIN_H
#define RECPIPE_PRETRAIN_H

#include "data/tokenizer.h"
#include "model/recformer.h"
#include "task/run.h"

struct pretrain_options {
	double words_weight; /* 0: none are masked */
	double mask_rate;
	int64_t accumulate; /* parts of a step, whose gradients are added up */
	/* of the first so many it is measured whether history and validation item find each other */
	int64_t valid_users;
};
extern const struct option pretrain_options[];

/*
 * The model reads the catalog already (encoder_read); compared: users compared with one another; a step of more
 * adds up the gradients of several such parts. Everything is borrowed. Dies where no user has two training events.
 */
struct task *pretrain_task(struct model *model, const struct sequences *sequences, const struct tokenizer *tokenizer,
	int64_t compared, const struct pretrain_options *options, int workers);

#endif
