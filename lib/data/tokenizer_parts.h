/*
 * What a tokenizer consists of, in the order in which text meets it: filled in
 * by tokenizer_json.c, used by tokenizer.c, no business of others.
 */
#ifndef RECPIPE_TOKENIZER_PARTS_H
#define RECPIPE_TOKENIZER_PARTS_H

#include "data/added_tokens.h"
#include "data/decoder.h"
#include "data/normalizer.h"
#include "data/pre_tokenizer.h"
#include "data/subword.h"

struct tokenizer {
	struct strings tokens;               /* row = id; "" where an id has no token */
	bool *is_special;                    /* by id */
	struct added_tokens raw, normalized; /* found in the text as it is, and after normalization */
	struct normalizers normalizers;
	struct pre_tokenizer pre_tokenizer;
	struct subword subword;
	struct buffer prefix, suffix; /* int32_t: ids around a sequence */
	char **normal_spelling;       /* by id: of added tokens that normalization changes, which is decoded */
	struct decoders decoders;
	char *json;
	size_t json_size;
	uint64_t fingerprint; /* of that text */
};

#endif
