/*
 * The texts of items, put together from their attributes by a template.
 *
 * Attributes are as they were read, where the catalog keeps its texts (`keeps_text`, and a stream that has them); else
 * they are decoded from its tokens with the tokenizer that made them, which loses what that tokenizer does: one for
 * small letters alone knows no others.
 */
#ifndef RECPIPE_ITEM_TEXT_H
#define RECPIPE_ITEM_TEXT_H

#include "data/sequences.h"
#include "data/tokenizer.h"

/* Read-only once made, and shared by threads; borrows catalog and tokenizer, which may be NULL where texts are kept. */
struct item_texts;

/*
 * template: text with attributes' names in braces, "Brand {brand} Title {title}". What stands before an attribute
 * is left out with it where the attribute is empty. NULL: each attribute as "Name value", capitalised, in the
 * catalog's order, joined by blanks.
 * Dies where the catalog has no text, its tokens are another tokenizer's
 * and needed, or the template names an attribute it does not have.
 */
struct item_texts *item_texts_new(const struct catalog *catalog, const struct tokenizer *tokenizer,
	const char *template);
/*
 * The template of all values without their names, "{title} {brand}", to be freed. Dies where the catalog has no text.
 */
char *item_template_of_values(const struct catalog *catalog);
/* From now on each text that is not empty begins with this, borrowed. */
void item_texts_begin(struct item_texts *texts, const char *with);
void item_texts_free(struct item_texts *texts);
int64_t item_texts_count(const struct item_texts *texts); /* the catalog's items */
/* Appends the text of an item to the buffer, without a NUL; nothing where all its attributes are empty. */
void item_text(const struct item_texts *texts, int64_t item, struct buffer *text);
/*
 * What a part of the template became in a text: bytes begin ..
 * end, of which the attribute's value those from `value` on.
 */
struct text_part {
	int attribute; /* -1: the template's end */
	size_t begin, value, end;
};
int item_texts_parts(const struct item_texts *texts); /* the most that a text has */
/* The same, and its parts in their order; returns how many. */
int item_text_parts(const struct item_texts *texts, int64_t item, struct buffer *text, struct text_part *parts);
/* The template in use, as text; borrowed. */
const char *item_texts_template(const struct item_texts *texts);
/* The name of an attribute; borrowed. */
const char *item_texts_attribute(const struct item_texts *texts, int attribute);

#endif
