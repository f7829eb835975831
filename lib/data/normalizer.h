/*
 * Normalizers: what is done to a text before it is cut, by the "normalizer" of a
 * tokenizer.json.
 */
#ifndef RECPIPE_NORMALIZER_H
#define RECPIPE_NORMALIZER_H

#include "data/pattern.h"
#include "stream/json.h"

#define MAX_NORMALIZERS 16

struct normalizer; /* one step */

struct normalizers {
	struct normalizer *step[MAX_NORMALIZERS];
	int n;
	bool adds_space; /* put before the text: decoding takes it away */
};

/* Reads the document's normalizer. Dies with `where` on one that is not known or is malformed. */
void normalizers_read(struct normalizers *normalizers, const json_t *object, const char *where);
void normalizers_free(struct normalizers *normalizers);

/* Scratch memory of one thread. */
struct normalizing {
	struct matcher *matcher; /* borrowed */
	struct buffer text[2], characters, part[2];
};
void normalizing_free(struct normalizing *work);
/* What they make of well-formed text: *text and *length move into the work's memory, unless nothing changes. */
void normalizers_run(const struct normalizers *normalizers, struct normalizing *work, const char **text,
	size_t *length);

#endif
