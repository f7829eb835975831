/*
 * What a tokenizer consists of, in the order in which text meets it: filled in
 * by tokenizer_json.c, used by tokenizer.c, no business of others.
 */
#ifndef RECPIPE_TOKENIZER_PARTS_H
#define RECPIPE_TOKENIZER_PARTS_H

#include "data/bpe.h"

#define MAX_STEPS 16

/* An added token: found in the text before anything else is done to it. */
struct added {
	char *text;
	size_t length;
	int32_t id;
	bool lstrip, rstrip; /* takes the white space before it, after it along */
	bool single_word;    /* only where no word character is next to it */
};

/* By first byte, then longest first: the tokens that begin with byte b are [start[b], start[b + 1]). */
struct added_set {
	struct added *tokens;
	int64_t n_tokens;
	int64_t start[257];
};

/* Replaces what the pattern finds, or, without one, puts content before the text. */
struct normalizer {
	struct pattern *pattern;
	char *content;
};

enum behavior { ISOLATED, REMOVED, CONTIGUOUS, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT };

/* A pre-tokenizer: rewrites the text a little, then cuts it into pieces for the next one. */
struct step {
	char *prefix;            /* put before text that does not begin with it; or NULL */
	bool prefix_at_start;    /* only at the very start of the text */
	char *space;             /* what spaces become; or NULL */
	struct pattern *pattern; /* or NULL: no cut */
	enum behavior behavior;
	bool invert; /* the pattern describes the pieces, not what is between them */
};

struct tokenizer {
	struct strings tokens;            /* row = id; "" where an id has no token */
	struct bpe bpe;                   /* of the model's tokens: without those that were only added */
	struct added_set raw, normalized; /* found in the text as it is, and after normalization */
	struct normalizer normalizers[MAX_STEPS];
	int n_normalizers;
	struct step steps[MAX_STEPS];
	int n_steps;
	struct buffer prefix, suffix; /* int32_t: ids around a sequence */
	struct pattern *word_character;
	bool *is_special; /* by id */
	bool adds_space;  /* a space is put before the text: decoding takes it away */
	char *json;
	size_t json_size;
};

/*
 * What the normalizers make of the text: *text and *length move into one of the work buffers, unless there is nothing
 * to do.
 */
void tokenizer_normalize(const struct tokenizer *tokenizer, struct matcher *matcher, struct buffer work[2],
	const char **text, size_t *length);

#endif
