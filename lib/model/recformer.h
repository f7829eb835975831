/*
 * Recformer (Li et al., KDD 2023): items are sentences, a history is a text, and
 * both become vectors by one Longformer; the next item is the one whose vector is
 * closest to the history's. A model belongs to a tokenizer, not to a catalog: what
 * it never saw needs nothing but its text.
 *
 * Parameters have the names of the public code's checkpoints.
 */
#ifndef RECPIPE_RECFORMER_H
#define RECPIPE_RECFORMER_H

#include "model/item_table.h"
#include "model/model.h"
#include "model/sentence.h"

/* Of models of the architecture "recformer". */
const struct sentence_limits *recformer_limits(const struct model *model);
int32_t recformer_bos(const struct model *model);
double recformer_temperature(const struct model *model);
/*
 * How many tokens a worker takes at once where it can choose: what is kept of them for the backward pass stays small.
 */
int64_t recformer_tokens_at_once(const struct model *model);
/* Whether it has the head that says masked words: pre-training's alone. */
bool recformer_has_words(const struct model *model);

/* Items' own vectors, if it has any. */
struct item_table *recformer_own(const struct model *model);

/* Vectors of whole sequences, the states of their first tokens: (rows, width). */
struct array *recformer_pooled(struct tape *tape, const struct model *model, const struct sentences *sentences);
/* The same of histories of these items, from the vectors of their texts, of a model that has items' own. */
struct array *recformer_joined(struct tape *tape, const struct model *model, struct array *pooled,
	const struct histories *histories);
/* Vectors of histories whose vector is the mean of their items', rows of `items`. */
struct array *recformer_means(struct tape *tape, const struct model *model, struct array *items,
	const struct histories *histories);
/* States of the tokens chosen, counted from the first of the sentences: (n, width). */
struct array *recformer_states(struct tape *tape, const struct model *model, const struct sentences *sentences,
	const int64_t *chosen, int64_t n);
/*
 * From states to what is multiplied with the word vectors for the logits of words; those vectors, and the bias of each
 * word.
 */
struct array *recformer_words(struct tape *tape, const struct model *model, struct array *states);
struct array *recformer_word_vectors(struct tape *tape, const struct model *model);
struct array *recformer_word_bias(struct tape *tape, const struct model *model);

#endif
