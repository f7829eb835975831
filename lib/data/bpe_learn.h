/* Learning a byte-level BPE's merges from words (Sennrich et al. 2016, arXiv 1508.07909). */
#ifndef RECPIPE_BPE_LEARN_H
#define RECPIPE_BPE_LEARN_H

#include "data/strings.h"

/*
 * Learns merges from words and how often each occurs: tokens holds the special tokens on entry and the whole
 * vocabulary on return; merges the pairs as "left right". The most frequent pair is merged first, ties go to the pair
 * of lower ids; ends at vocab_size or when no pair occurs twice.
 */
void bpe_learn(struct strings *words, const int64_t *counts, int64_t vocab_size, struct strings *tokens,
	struct strings *merges);

#endif
