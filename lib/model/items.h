/*
 * What an item is to a sequence model: a vector of its own that is learned, or
 * its features (a table `embedding`: SAID's, TF-IDF, ...) brought down to the
 * model's width by an adaptor:
 *
 *     z = adaptor(feature) [+ a learned vector of its own]
 *
 * Or the features' principal axes are columns of it, and the others are learned (AlphaFuse: Hu et al., SIGIR 2025); or
 * it is learned from a start at these axes.
 *
 * On the target side an item is z itself (SAID, WWW 2024), scored by dot product or by
 * cosine / temperature. z of the whole catalog is computed once for a step, by all workers,
 * as a derived parameter (nn/params.h); so sequence models see one table of item vectors, whatever
 * it is made of.
 */
#ifndef RECPIPE_ITEMS_H
#define RECPIPE_ITEMS_H

#include "model/model.h"
#include "nn/train.h"

struct items;

/* Of config.json; a part of an architecture's own, whose table includes these rows. */
struct item_options {
	enum { FEATURES_NONE, FEATURES_FROZEN, FEATURES_TRAINABLE, FEATURES_INITIAL, FEATURES_ALPHAFUSE } features;
	enum { ADAPTOR_LINEAR, ADAPTOR_TWO_LAYER, ADAPTOR_MLP } adaptor;
	enum { SCORE_DOT, SCORE_COSINE } score;
	int64_t feature_size, adaptor_size;
	bool feature_ids, feature_whiten, tied;
	double feature_share; /* of a vector's columns, alphafuse's */
	double feature_scale; /* root mean square that features are brought to; 0: as they come */
	float temperature;
};
extern const struct option item_options[];

/*
 * For an architecture's declare(): the table, n_items x width, that histories are embedded with. Sets
 * model->item_vectors to it where it is tied, else to a table of width `out`; and model->items where there
 * is anything to derive.
 */
struct param *items_declare(struct model *model, const struct item_options *options, int64_t width, int64_t out,
	const char *where);
/* How wide features have to be, of which its items are made or which they start from; 0: none are needed. */
int64_t items_feature_size(const struct model *model);
/* The same once it is trained: 0 where features were but the start. */
int64_t items_kept_feature_size(const struct model *model);
/* Whether item vectors are derived from other parameters. */
bool items_derives(const struct model *model);
/*
 * n_items x feature_size, brought to a root mean square of "feature_scale" in place, where that is not 0: the adaptor
 * adds up many features, so that with large ones it learns far faster than an item's own vector does. Frozen: borrowed
 * as long as the model is trained; trainable and initial: copied, where they start. Before the first step; a trained
 * model needs none. Of alphafuse and initial the features' first columns are taken, and the others must be 0.
 */
void items_set_features(struct model *model, float *features);
/*
 * The same, whitened before where "feature_whiten" says so, and turned to their principal axes where these are taken.
 * The model keeps the map (model/item_vectors.h) as its parameters feature.mean, feature.matrix and feature.scale, by
 * which items that come later get their features.
 */
void items_fit_features(struct model *model, float *features, int threads);

/*
 * A trained model in another catalog, whose items it has rows for (carry.h): row[i] is what item i was before, -1: it
 * is new. features: of all items, as the stream's embedding has them; mapped in place. False: they are not of the kind
 * that it was trained with, as what they make of the items that it knows is something else; or it has no map, as those
 * of older versions.
 */
bool items_map_features(struct model *model, float *features, const int32_t row[], int threads) MUST_USE;
/* Then, to train it further: from these features, borrowed; those of items that it knows stay as they were learned. */
void items_take_features(struct model *model, const float *features, const int32_t row[]);
/* Or, to rank: z of the new items; where features are zeros, nothing tells of the item. */
void items_derive_new(struct model *model, const float *features, const int32_t row[]);
/*
 * Adaptors start such that z of features of size 1 has the deviation of a learned vector at the start. After the
 * architecture's own initialise().
 */
void items_initialise(struct model *model, struct rng *rng);

/* Whether features tell anything of an item: that they are not all 0. */
bool items_has_feature(const struct model *model, int64_t item);
/* What nobody met (met: by item) has learned no vector of its own: zeros, beside what its features make of it. */
void items_forget_own(struct model *model, const int32_t met[]);

/* Room for so many workers of this rank, before the first phase. */
void items_prepare(struct model *model, int workers);
/* Phases of a step. Derive: z of the worker's share of the catalog; learn: so that gradients can come back. */
void items_derive(struct model *model, struct worker *worker, bool learn);
/* Then, between phases: what the workers of other ranks derived. */
void items_gather(struct model *model, const struct trainer *trainer);
/* From the summed gradients of derived parameters to the worker's gradients of what they were derived from. */
void items_derive_backward(struct model *model, struct worker *worker);
/* Of the whole catalog, for whoever does not train. Nothing happens where nothing is derived. */
void items_refresh(struct model *model);

/* Hidden states as they are scored with item vectors by dot product: for cosine, unit vectors / temperature. */
struct array *items_query(struct tape *tape, const struct model *model, struct array *hidden);
void items_free(struct items *items);

#endif
