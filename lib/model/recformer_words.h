/*
 * Starts of a new Recformer that are not the paper's, whose models go on from a trained Longformer.
 */
#ifndef RECPIPE_RECFORMER_WORDS_H
#define RECPIPE_RECFORMER_WORDS_H

#include "data/sequences.h"
#include "data/tokenizer.h"
#include "model/model.h"

/*
 * Word vectors are an LLM's token vectors (file or folder) along their principal axes, of the deviation the others
 * have. Dies where the LLM's tokenizer is not the one given, or its vectors are narrower than the model's.
 */
void words_of_llm(struct model *model, const char *path, const struct tokenizer *tokenizer);
/*
 * The vector of a text is the mean of its words, weighed by their inverse document frequency in the catalog, whose
 * items have texts, and, of each item, by 0.7 of the one after it.
 */
void start_as_words(struct model *model, const struct catalog *catalog);

#endif
