/*
 * Models that rank together. Each gives scores for all items of the catalog; for each history their mean over the items
 * that the model knows is taken off, and what is left divided by the root of its deviation. Items that it does not know
 * have 0 there, as its average one. Where some of the models score items by their texts, scores of those that
 * know items neither by texts nor by features are completed by these, whatever they weigh, for items that were seldom
 * met (unmet.h). A score of the whole is the weighted sum (late fusion). Weights are given, or chosen on validation
 * items (blend.h). A single model is itself, and so is one of several beside which the others weigh nothing.
 */
#ifndef RECPIPE_ENSEMBLE_H
#define RECPIPE_ENSEMBLE_H

#include "rank/assortment.h"
#include "rank/blend.h"
#include "stream/bag.h"
#include "stream/option.h"

#define ENSEMBLE_MOST 8

/* As the command line has them. */
struct ensemble_options {
	char *models[ENSEMBLE_MOST]; /* streams that have one each; none: the stream at hand has it */
	int n_models;
	double weights[ENSEMBLE_MOST];
	int n_weights; /* 0: they are chosen */
};
extern const struct option ensemble_options[];
/* Wrong usage where they do not go together. */
void ensemble_check(const struct ensemble_options *options);

struct ensemble {
	int n;
	char *const *paths; /* of streams with a model each; NULL: the stream at hand has the only one */
	struct model_group group[ENSEMBLE_MOST];
	struct assortment part[ENSEMBLE_MOST]; /* what of the catalog each knows; not of a single one */
	float *unmet[ENSEMBLE_MOST];           /* by item of the catalog: unmet.h; NULL: not completed, or not known */
	bool is_mapped[ENSEMBLE_MOST];         /* whether it gives scores by the catalog because others are beside it */
	double weight[ENSEMBLE_MOST];
	struct architecture architecture; /* of the whole: its name is "ease+sasrec"; NULL: one model ranks alone */
	struct model *model;              /* the whole, or the only one */
	char id[17];                      /* tells it from others, weights included */
	json_t *history;                  /* of their streams, and of that at hand */
};

/* Before the bag is read. The options' texts are borrowed. */
void ensemble_take(struct ensemble *ensemble, struct bag *bag, const struct ensemble_options *options);
/* Behind it. Dies where a stream has no model. */
void ensemble_read(struct ensemble *ensemble);
/* What of the catalog they rank together, as assortment_of_model() says of each; how many items none knows is told. */
void ensemble_match(struct ensemble *ensemble, struct assortment *assortment, const struct item_groups *groups);

/* Warns of each model that may have learned what these sequences hold out. */
void ensemble_tell_learned(const struct ensemble *ensemble, const struct group *sequences,
	const struct catalog *catalog);
/*
 * The weights of several models: given or, as the best for the validation items of all users, chosen and told, never
 * worse for these than the best model by itself: where nothing else is found, it has all the weight. Users come chunk
 * by chunk, or are known whole; either may be NULL. Dies where nobody has a validation item. What ranks then, and the
 * assortment, is the whole or, where one model alone has weight, that one.
 */
void ensemble_choose(struct ensemble *ensemble, const struct ensemble_options *options, struct assortment *assortment,
	struct kept_sequences *users, const struct sequences *known, const struct catalog *catalog);
/* For the history: files, architectures and weights; NULL of a single model. */
json_t *ensemble_describe(const struct ensemble *ensemble);
void ensemble_free(struct ensemble *ensemble);

#endif
