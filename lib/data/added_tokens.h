/*
 * Added tokens: found in a text as they are spelt, before anything else is done
 * to it, or once it is normalized.
 */
#ifndef RECPIPE_ADDED_TOKENS_H
#define RECPIPE_ADDED_TOKENS_H

#include "data/trie.h"

struct added_token {
	int32_t id;
	bool special;
	bool lstrip, rstrip; /* takes the white space before it, after it along */
	bool single_word;    /* only where no word character is next to it */
};

struct added_tokens {
	struct trie spellings; /* value: a row of */
	struct added_token *tokens;
	int32_t n_tokens;
	bool begins[256];    /* some token begins with this byte */
	int first, n_begins; /* one of these bytes, and how many there are */
};

/* The text is not empty. */
void added_tokens_add(struct added_tokens *set, const char *text, size_t length, const struct added_token *token);
void added_tokens_free(struct added_tokens *set);
/* Where a token was found, and the white space it takes along. */
struct added_match {
	size_t start, end;
	size_t next; /* where to look for the next one: the white space may be a token too */
};
/*
 * The id of the leftmost, longest token at or after match->next, or -1. It takes no white space before `least`.
 * special_as_text: special tokens are passed over.
 */
int32_t added_tokens_find(const struct added_tokens *set, const char *text, size_t length, bool special_as_text,
	size_t least, struct added_match *match);

#endif
