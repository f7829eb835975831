/*
 * Vectors of items from what a language model knows of their tokens.
 * Vectors are items x width, row by row; an item without tokens has a vector of zeros. Parallel over items, the same
 * bits for any number of threads.
 */
#ifndef RECPIPE_ITEM_VECTORS_H
#define RECPIPE_ITEM_VECTORS_H

#include "data/item_tokens.h"
#include "data/weights.h"
#include "model/model.h"

/* The language model's input vectors of its tokens: vocabulary x width, to be freed. Dies where it has none. */
float *token_vectors(const struct weights *weights, const char *path, int64_t *vocabulary, int64_t *width);

/* The mean of an item's tokens' vectors. All ids are below the table's rows. */
void mean_token_vectors(const float *table, int64_t width, const struct item_tokens *tokens, float *vectors,
	int threads);

/*
 * Computes vectors of texts in parallel over batches of whole texts, of about `at_once` tokens each, on a thread's own
 * tape: `compute` is to set rows [from, to) of `vectors`.
 */
typedef void compute_vectors(struct tape *tape, const void *model, const struct item_tokens *tokens, int64_t from,
	int64_t to, float *vectors);
void vectors_of_batches(const struct item_tokens *tokens, int64_t at_once, compute_vectors *compute, const void *model,
	float *vectors, int threads);

/*
 * The mean of the model's hidden states over an item's tokens, items x model->width, for models whose items are tokens.
 * All ids are below the model's vocabulary, all sequences within its model_max_length(). Items are packed, some hundred
 * tokens at a time on each thread: that is the memory it takes besides.
 */
void mean_hidden_states(const struct model *model, const struct item_tokens *tokens, float *vectors, int threads);

/*
 * Each dimension less its mean, divided by its standard deviation, in place; a dimension that is the same for all
 * becomes 0, and so does one whose deviation is rounding beside the largest, as some encoders have. With `groups` (0:
 * that is all) then turned and scaled such that the dimensions are uncorrelated too, by the symmetric root of the
 * correlations' inverse, the one that changes vectors least (Kessy et al., Am. Stat. 2018, ZCA-cor); directions that
 * they do not have, or hardly, become 0. With more than one, at most `width`, what this makes of each group of
 * neighbouring dimensions alone is added, which leaves correlations between groups (Zhang et al. 2024, WhitenRec+).
 * An item whose vector is zero is one of which nothing is known: it has no part in this, and stays as it is. All must
 * be finite.
 */
void standardise_vectors(float *vectors, int64_t items, int64_t width, int groups, int threads);
/*
 * The same in one group, as a map for vectors of other items: mean, width, and matrix, width x width, such that a
 * vector becomes (vector - mean) matrix.
 */
void whiten_vectors(float *vectors, int64_t items, int64_t width, int threads, float *mean, float *matrix);
/*
 * Where they lie on their principal axes, from their mean, in place: on the `axes` of the largest variance, which
 * `whiten` makes 1, in falling order, each turned such that its largest part is positive; what is behind is 0. As a map
 * too, as above, where mean and matrix are not NULL.
 */
void principal_axis_vectors(float *vectors, int64_t items, int64_t width, int64_t axes, bool whiten, int threads,
	float *mean, float *matrix);
/* The map, in place, then times `scale`; mean and matrix NULL: scale alone. Vectors of zeros stay as they are. */
void map_vectors(float *vectors, int64_t items, int64_t width, const float *mean, const float *matrix, float scale,
	int threads);

#endif
