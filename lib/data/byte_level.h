/*
 * Bytes as characters: how GPT-2 (Radford et al. 2019) writes the 256 bytes in a
 * vocabulary, each as one printable character.
 */
#ifndef RECPIPE_BYTE_LEVEL_H
#define RECPIPE_BYTE_LEVEL_H

#include "data/strings.h"

/* The character that stands for a byte, in UTF-8; returns its length. */
size_t byte_level_put(unsigned byte, char text[2]);
/* Appends the characters for the bytes of the text. */
void byte_level_spell(const char *text, size_t length, struct buffer *out);
/* Adds the 256 of them, in the order of their code points, as GPT-2's vocabulary has them. */
void byte_level_add_tokens(struct strings *tokens);
/* Appends the bytes that a token stands for; the token itself where a character of it stands for none. */
void byte_level_bytes(const char *token, size_t length, struct buffer *bytes);

#endif
