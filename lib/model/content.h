/*
 * What items are like by what is known of them besides events: the words of their texts, or vectors of the stream's
 * embedding. A history is the weighted mean of its items' vectors of unit length, the latest counting 1 and each as
 * much as `decay` of the one after it; an item's score is the cosine with that. A model adds it, times a weight, to
 * scores of its own, which are first completed by it where items were seldom met (unmet.h); `nearest` has no others.
 *
 * Vectors stay with the model. Words are read again from any catalog, so items that are new to the model need nothing
 * but their text; with vectors they need those of an embedding of that catalog.
 */
#ifndef RECPIPE_CONTENT_H
#define RECPIPE_CONTENT_H

#include "data/embedding.h"
#include "model/model.h"

/* Of config.json; a part of an architecture's own, whose table includes these rows. */
struct content_options {
	enum { CONTENT_NONE, CONTENT_WORDS, CONTENT_EMBEDDING } text;
	double decay;
	double weight;      /* NaN: not chosen yet */
	double unmet;       /* what the text of an item is worth in place of events that it lacks: unmet.h */
	bool whiten;        /* vectors */
	int64_t width;      /* of vectors */
	const char *source; /* of vectors: as the embedding's meta.json has it */
};
extern const struct option content_options[];

/* Groups of a stream that tell of items, each as far as it is there. Borrowed. */
struct item_groups {
	const struct catalog *catalog; /* with its texts kept */
	const struct embedding *embedding;
	int threads;
};

/* For an architecture's declare(): sets model->content where there is any. The options live as long as the model. */
void content_declare(struct model *model, struct content_options *options);
/*
 * Before a model is made: what the stream has becomes what `config` says of it, as far as that leaves it open. False:
 * there are texts, but no words in them, and they are left out.
 */
bool content_choose(json_t *config, const struct item_groups *groups);
/* Of the stream a model is trained on: its vectors become the model's, or its words are read. */
void content_learn(struct model *model, const struct item_groups *groups);
/*
 * From now on items are rows of this catalog, and so are those of histories. own_row: which item of the model each is,
 * or -1; NULL: the same. Both are borrowed as long as the model lives.
 */
void content_read(struct model *model, const struct item_groups *groups, const int32_t *own_row);
/* Whether it says anything of an item of that catalog. */
bool content_knows(const struct content *content, int64_t item);
/* NaN: not chosen yet. */
double content_weight(const struct content *content);
/* In config.json too. */
void content_set_weight(struct model *model, double weight);
/* How much the item counts that was met `back` items before the latest one of a history. */
double history_weight(double decay, int64_t back);
/* How many of the latest items of a history of `length` count for more than rounding. */
int64_t history_reach(double decay, int64_t length);
/*
 * Cosines, rows x the catalog's items. These and the next have the same bits for a history whatever else is asked with
 * it.
 */
void content_scores(const struct content *content, const struct histories *histories, float *scores);
/* A model's own scores, where these are the cosines: those of items that it has seldom or never met. */
void content_complete(const struct content *content, const struct histories *histories, const float *cosines,
	float *own);
/* The two together: own scores, completed, += weight x cosine. */
void content_add(const struct content *content, const struct histories *histories, float *own);
void content_free(struct content *content);

#endif
