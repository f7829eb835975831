/*
 * UTF-8, read strictly: no overlong forms, no surrogates, nothing beyond U+10FFFF.
 */
#ifndef RECPIPE_UTF8_H
#define RECPIPE_UTF8_H

#include "stream/util.h"

/*
 * Bytes of the character at text, `left` > 0 of them there. Ill-formed: minus the length of the maximal ill-formed
 * part, which readers replace by one U+FFFD (Unicode 15, section 3.9, table 3-8).
 */
int utf8_next(const char *text, size_t left);
bool utf8_is_valid(const char *text, size_t length);
/* The text with U+FFFD for every maximal ill-formed part; *text and *length move into `clean`, emptied first. */
void utf8_clean(const char **text, size_t *length, struct buffer *clean);
/* Where the character begins that ends before `at` > 0, in well-formed text. */
size_t utf8_previous(const char *text, size_t at);
/* The code point of a well-formed character. */
uint32_t utf8_code_point(const char *text);
/* Writes the character; returns its length. */
int utf8_put(char out[4], uint32_t code_point);
/* Appends the character to the buffer. */
void utf8_append(struct buffer *buffer, uint32_t code_point);

#endif
