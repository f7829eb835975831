/*
 * A transformer that says one token after another, of any family that differs from LLaMA (Touvron et al. 2023) by facts:
 * data/family.h has them. Between llm.c, which is what others see, and the families.
 */
#ifndef RECPIPE_TRANSFORMER_H
#define RECPIPE_TRANSFORMER_H

#include "model/model.h"

struct weights;

/* vocabulary x width. Borrowed. */
const struct param *transformer_tokens(const struct model *model);
/* Hidden states, (n, width), of packed sequences of input vectors (n, width), which are as token vectors lie in the table. */
struct array *transformer_states(struct tape *tape, const struct model *model, struct array *embeddings,
	const int64_t *indptr, int64_t sequences);
/* Products by its matrices, but for the head, go by them packed so. */
void transformer_pack(const struct model *model, enum packing packing);
/* The file whose memory some parameters are; closed with the model. */
void transformer_keep(struct model *model, struct weights *weights);

#endif
