/*
 * Whole words to be guessed, as the public Recformer's collator takes them: words in
 * random order as long as they fit into a share of the tokens; of the tokens taken 80
 * in 100 become <mask>, 10 any token, 10 stay.
 */
#ifndef RECPIPE_MASKING_H
#define RECPIPE_MASKING_H

#include "data/tokenizer.h"

struct masker;

/* rate: .15. The tokenizer must have a mask token; dies where it has none. */
struct masker *masker_new(const struct tokenizer *tokenizer, double rate);
int32_t masker_token(const struct masker *masker);
/*
 * masked[i]: what stands in place of token[i]; label[i]: token[i] where it is to be guessed, else -1. token[0] (<s>)
 * never is. Returns how many are.
 */
int64_t mask_words(struct masker *masker, struct rng *rng, const int32_t *token, int64_t n, int32_t *masked,
	int32_t *label);
void masker_free(struct masker *masker);

#endif
