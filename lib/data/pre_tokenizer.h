/*
 * Pre-tokenizers: how a text is cut into the words that the model then encodes,
 * by the "pre_tokenizer" of a tokenizer.json.
 */
#ifndef RECPIPE_PRE_TOKENIZER_H
#define RECPIPE_PRE_TOKENIZER_H

#include "data/pattern.h"
#include "stream/json.h"

#define MAX_CUTS 16

enum behavior { ISOLATED, REMOVED, CONTIGUOUS, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT };

/* One step: rewrites the text a little, then cuts it into pieces for the next step. */
struct cut {
	char *prefix;                  /* put before text that does not begin with it; or NULL */
	bool prefix_at_start;          /* only at the very start of the text */
	char *space;                   /* what spaces become; or NULL */
	struct pattern *pattern;       /* cuts at its matches; or */
	bool (*is_in_class)(uint32_t); /* at every character of a class; or, both NULL, not at all */
	enum behavior behavior;
	bool invert; /* what is found are the pieces, not what is between them */
	bool spells; /* its pieces' bytes become characters, as byte-level vocabularies have them */
};

struct pre_tokenizer {
	struct cut cut[MAX_CUTS];
	int n;
	bool adds_space; /* put before the text: decoding takes it away */
	char *space;     /* what Metaspace makes of spaces, borrowed; NULL: they stay */
};

/* Reads the document's pre-tokenizer. Dies with `where` on one that is not known or is malformed. */
void pre_tokenizer_read(struct pre_tokenizer *pre_tokenizer, const json_t *object, const char *where);
void pre_tokenizer_free(struct pre_tokenizer *pre_tokenizer);

/* Scratch memory of one thread, and where the words go. */
struct pre_tokenizing {
	struct matcher *matcher; /* borrowed */
	void (*word)(void *to, const char *word, size_t length);
	void *to;
	struct buffer rewritten[MAX_CUTS];
};
void pre_tokenizing_free(struct pre_tokenizing *work);
/* Cuts well-formed text that is not empty. at_start: nothing of the whole text is before it. */
void pre_tokenize(const struct pre_tokenizer *pre_tokenizer, struct pre_tokenizing *work, const char *text,
	size_t length, bool at_start);

#endif
