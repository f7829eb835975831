/*
 * Starts of a Recformer from encoders of texts that others trained (BERT, RoBERTa, sentence-transformers' folders): the
 * paper's own goes on from a trained Longformer, of which there are few and none small.
 */
#ifndef RECPIPE_RECFORMER_ENCODER_H
#define RECPIPE_RECFORMER_ENCODER_H

#include "model/text_encoder.h"
#include "stream/json.h"

struct model;
struct catalog;

/*
 * What a config has to say for a model to read texts as the encoder does, where it does not say otherwise: its sizes;
 * attributes as long as it has room for, and a window as wide as an item; the mean of all tokens or the first one's
 * state as a text's vector; items that see themselves and the first token alone, each counted from its own beginning,
 * without the names of attributes and closed as the tokenizer closes a text. Dies with `where`, naming what can be
 * taken, where its layers are not Recformer's or it goes on behind the pooling.
 */
void recformer_config_of_encoder(json_t *config, const struct text_encoder *encoder, const char *where);
/*
 * The encoder's parameters into a model of such a config that is initialised: layers as they are, its queries, keys and
 * values for the first tokens too, its vector of the first type for all types, none for places of items. Dies with
 * `where` where an option gave the model another shape.
 */
void recformer_take_encoder(struct model *model, const struct text_encoder *encoder, const char *where);
/*
 * The pooler, if it has one, brings the vectors of the catalog's items, which it reads, to mean 0, variance 1 and no
 * correlations: those of a trained encoder share a few large directions that tell little. A large catalog is known by
 * some of its items. Of less items than twice the width it is left as it is.
 */
void recformer_whiten(struct model *model, int threads);

#endif
