/*
 * Decoders: how tokens become text again, by the "decoder" of a tokenizer.json.
 */
#ifndef RECPIPE_DECODER_H
#define RECPIPE_DECODER_H

#include "data/pattern.h"
#include "stream/json.h"

#define MAX_DECODERS 16

struct decoder; /* one step */

struct decoders {
	struct decoder *step[MAX_DECODERS];
	int n;
};

/* Reads the document's decoder. Dies with `where` on one that is not known or is malformed. */
void decoders_read(struct decoders *decoders, const json_t *object, const char *where);
void decoders_free(struct decoders *decoders);

/* Strings one after another: string i ends at ends[i]. */
struct pieces {
	struct buffer text, ends; /* size_t */
};
void pieces_add(struct pieces *pieces, const char *text, size_t length);
void pieces_free(struct pieces *pieces);

/* What the tokens are together, in place; their text is the answer. */
void decoders_run(const struct decoders *decoders, struct pieces *tokens);

#endif
