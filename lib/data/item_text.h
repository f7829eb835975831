/*
 * The texts of items again: decoded, attribute by attribute, from the catalog's
 * tokens with the tokenizer that made them, put together by a template; and
 * those texts as tokens of any tokenizer.
 *
 * The decoded texts are what was tokenised, except where a text spells a
 * special token ("<s>"): that is left out.
 */
#ifndef RECPIPE_ITEM_TEXT_H
#define RECPIPE_ITEM_TEXT_H

#include "data/sequences.h"
#include "data/tokenizer.h"
#include "stream/ragged.h"

/* Read-only once made, and shared by threads; borrows catalog and tokenizer. */
struct item_texts;

/*
 * template: text with attributes' names in braces, "Brand {brand} Title {title}". What stands before an attribute
 * is left out with it where the attribute is empty. NULL: each attribute as "Name value", capitalised, in the
 * catalog's order but the title ("title", else the first) last, joined by blanks.
 * Dies where the catalog has no text, its text is another tokenizer's, or the template names an attribute it
 * does not have.
 */
struct item_texts *item_texts_new(const struct catalog *catalog, const struct tokenizer *tokenizer,
	const char *template);
/* The template of all values without their names, "{title} {brand}", to be freed. Dies where the catalog has no text. */
char *item_template_of_values(const struct catalog *catalog);
/* From now on each text that is not empty begins with this, borrowed. */
void item_texts_begin(struct item_texts *texts, const char *with);
void item_texts_free(struct item_texts *texts);
int64_t item_texts_count(const struct item_texts *texts); /* the catalog's items */
/* Appends the text of an item to the buffer, without a NUL; nothing where all its attributes are empty. */
void item_text(const struct item_texts *texts, int64_t item, struct buffer *text);
/* The template in use, as text; borrowed. */
const char *item_texts_template(const struct item_texts *texts);

/* Tokens of texts: those of item i are ids[indptr[i] .. indptr[i + 1]). */
struct item_tokens {
	int64_t rows;
	int64_t *indptr; /* rows + 1 */
	int32_t *ids;
	int64_t n_cut; /* items that have more than the budget */
};
/*
 * The first `budget` tokens of each item's text. add_special: with what the tokenizer puts around a text, as far as the
 * budget goes. In parallel over items.
 */
struct item_tokens item_texts_encode(const struct item_texts *texts, const struct tokenizer *tokenizer, int64_t budget,
	bool add_special, int threads);
void item_tokens_free(struct item_tokens *tokens);

#endif
