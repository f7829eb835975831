/*
 * What Unicode says of characters, as the tokenizers' reference sees it: normal
 * forms, marks, punctuation, numbers, small letters, grapheme clusters. The only
 * file that knows utf8proc.
 *
 * A model has learned from what its tokenizer made of its texts. Where the
 * tables of Hugging Face's tokenizers are older or newer than utf8proc's (its
 * categories are of Unicode 8, its normal forms of Unicode 9, Rust's own
 * properties of Unicode 17), theirs hold here, for every utf8proc alike.
 */
#ifndef RECPIPE_UNICODE_H
#define RECPIPE_UNICODE_H

#include "stream/util.h"

bool unicode_is_white_space(uint32_t c);
/* Category Mn. */
bool unicode_is_nonspacing_mark(uint32_t c);
/* Categories Mn, Mc and Me. */
bool unicode_is_mark(uint32_t c);
/* Categories P*, and every ASCII character that is printed and is neither letter nor digit. */
bool unicode_is_punctuation(uint32_t c);
/* Categories N*. */
bool unicode_is_number(uint32_t c);
/* Letters, marks, digits, connectors: \w of regular expressions (UTS 18, annex C). */
bool unicode_is_word(uint32_t c);
/* Categories Cc, Cf and Co. */
bool unicode_is_control(uint32_t c);
/* The small letter of a capital, anything else as it is; İ alone becomes two. Returns how many. */
int unicode_lower(uint32_t c, uint32_t lower[2]);

enum normal_form { NFD, NFC, NFKD, NFKC };
/* Appends the text, well-formed UTF-8, in the normal form (UAX 15); `work` is scratch memory. */
void unicode_normalize(enum normal_form form, const char *text, size_t length, struct buffer *work, struct buffer *out);
/* Whether the text is in the normal form for sure, by its bytes alone. */
bool unicode_is_plainly(enum normal_form form, const char *text, size_t length);

/* Bytes of the first extended grapheme cluster of well-formed text that is not empty (UAX 29). */
size_t unicode_grapheme(const char *text, size_t length);

#endif
