/*
 * Text encoders at work. A model that belongs to a tokenizer reads the items of any
 * catalog of that tokenizer's tokens, and ranks them by the cosine of their vectors with the
 * history's: what it never saw needs nothing but its text.
 */
#ifndef RECPIPE_ENCODER_H
#define RECPIPE_ENCODER_H

#include "data/embedding.h"
#include "data/sequences.h"
#include "model/model.h"

/*
 * From now on histories are of this catalog's rows. Borrowed. Dies where the catalog has no text, or that of another
 * tokenizer, which it names.
 */
void encoder_read(struct model *model, const struct catalog *catalog);
/* Vectors of the catalog's items, each the only one of a history; n_items x width, in parallel, by all ranks. */
void encoder_items(const struct model *model, float *vectors);
/*
 * The same of items spread evenly over the catalog, `most` at most and at least half as many where it has them: n x
 * width, which the caller frees.
 */
float *encoder_sample(const struct model *model, int64_t most, int64_t *n);
/* From now on the items are ranked by these vectors, n_items x width, which are copied, at unit length. */
void encoder_rank_by(struct model *model, const float *vectors);
/*
 * Reads the catalog, and ranks its items by the stream's embedding, where that is what the model with this id made of
 * it, or else by what it makes of them now.
 */
void encoder_rank_catalog(struct model *model, const struct catalog *catalog, const struct embedding *embedding,
	const char *model_id);
/* Each row / its length, in place; rows shorter than 1e-8 are divided by that. */
void unit_length(float *rows, int64_t n, int64_t width);

#endif
