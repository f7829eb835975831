/*
 * Items and histories as a text encoder reads them (Li et al. 2023, Recformer,
 * section 2.2): an item is the sentence of its attributes, each a key and a value;
 * a history is <s> and the sentences of its items, the latest first.
 */
#ifndef RECPIPE_SENTENCE_H
#define RECPIPE_SENTENCE_H

#include "data/sequences.h"
#include "stream/ragged.h"

/*
 * What is left of long texts: of an item the first attributes it
 * has, of an attribute the first tokens, its key's included.
 */
struct sentence_limits {
	int64_t attributes, attribute_tokens;
	int64_t items;    /* the latest */
	int64_t tokens;   /* of the whole sequence, with <s> */
	bool values_only; /* without the attributes' names */
	int32_t closing;  /* the token behind each item, of type 0; -1: none */
};

/* Packed end to end: sequence r is tokens [indptr[r], indptr[r + 1]), at least one. Zeroed is empty. */
struct sentences {
	int64_t rows, tokens;
	int64_t *indptr;
	int32_t *token;
	int32_t *type;        /* 0 <s> and the closing token, 1 key, 2 value */
	int32_t *item;        /* 0 <s>, 1 the latest item, 2 the one before it, ... */
	struct ragged packed; /* where they are */
};

/* Empties it; the memory stays. */
void sentences_clear(struct sentences *sentences);
/* Appends a history of n rows of the catalog, oldest first; none: <s> alone. The catalog must have text. */
void sentences_add(struct sentences *sentences, const struct catalog *catalog, const struct sentence_limits *limits,
	int32_t bos, const int32_t *history, int64_t n);
/* Appends row `row` of another. */
void sentences_copy(struct sentences *sentences, const struct sentences *from, int64_t row);
/* Rows [first, end), borrowed. */
struct sentences sentences_part(const struct sentences *sentences, int64_t first, int64_t end);
/*
 * By token: those of an item weigh the same, and all of them together `decay` of those of the item after it; 1 a text.
 */
void sentences_weigh(const struct sentences *text, double decay, float weights[]);
void sentences_free(struct sentences *sentences);

#endif
