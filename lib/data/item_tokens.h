/*
 * The texts of items as tokens of any tokenizer, and what is kept of those that are longer than a model reads.
 */
#ifndef RECPIPE_ITEM_TOKENS_H
#define RECPIPE_ITEM_TOKENS_H

#include "data/item_text.h"
#include "stream/ragged.h"

/* Tokens of texts: those of item i are ids[indptr[i] .. indptr[i + 1]). */
struct item_tokens {
	int64_t rows;
	int64_t *indptr; /* rows + 1 */
	int32_t *ids;
	int64_t budget, n_cut; /* items that have more than the budget */
	json_t *cut;           /* in how many of them each attribute was shortened or left out, by its name */
};
/*
 * At most `budget` tokens of each item's text. add_special: with what the tokenizer puts around a text, as far as the
 * budget goes. In parallel over items.
 *
 * Of a longer text each attribute keeps a share of its own, so that a long one takes nothing from the others: the first
 * of the template what the others leave, and half of the budget at least; these what is left in equal shares, of which
 * what one does not need goes to the others. An attribute is cut behind a word where it has several, and left out where
 * not even a word's beginning stands behind its name. A text of one attribute keeps its first tokens.
 */
struct item_tokens item_texts_encode(const struct item_texts *texts, const struct tokenizer *tokenizer, int64_t budget,
	bool add_special, int threads);
/* Says in a line how many were cut, and of which attributes; nothing where none was. */
void item_tokens_tell(const struct item_tokens *tokens);
void item_tokens_free(struct item_tokens *tokens);

#endif
