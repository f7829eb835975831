/*
 * What there is to recommend: which row of the model an item of the
 * catalog is, which items are offered, and how popular each is.
 */
#ifndef RECPIPE_ASSORTMENT_H
#define RECPIPE_ASSORTMENT_H

#include "data/catalog.h"
#include "data/sequences.h"
#include "model/content.h"
#include "model/model_group.h"

/* All arrays are by item of the catalog. Zeroed: row for row what the model knows, all of it offered. */
struct assortment {
	int64_t n_items;    /* of the catalog */
	int32_t *own_row;   /* of models with content: model.h has it too */
	int32_t *model_row; /* -1: the model does not know it, and it is never recommended; NULL: row for row the same */
	bool *offered;      /* others are never recommended; NULL: all are */
	/*
	 * How often each was met: an empty history is answered with
	 * the most popular. NULL: with what the model makes of it.
	 */
	int64_t *popularity;
};

/*
 * What of the catalog a model ranks, whichever kind it is: it can rank from then on, by what these groups say of items.
 * Returns how many it knows nothing of. Dies as assortment_match(), and where the groups are not what it reads.
 */
int64_t assortment_of_model(struct assortment *assortment, struct model_group *model, const struct item_groups *groups);
/*
 * Items of the catalog by their ids in the model, where its catalog was another: grown, smaller or in another order.
 * Returns how many the model does not know. Dies, naming both files, where they have none in common, or the model was
 * written before models knew ids.
 */
int64_t assortment_match(struct assortment *assortment, struct model_group *model, const struct catalog *catalog);
/*
 * Only the items that are listed in a file, an id a line; or, not, all but them. Ids that nobody knows are counted in
 * one line; of those that are to be offered, dies where all are, or there are none.
 */
void assortment_offer(struct assortment *assortment, struct catalog *catalog, const char *path, bool only);
/* Counts all events. */
void assortment_count(struct assortment *assortment, const struct sequences *sequences);
void assortment_free(struct assortment *assortment);

/* The lines of a file of ids; empty ones are left out. Dies where there are none. */
struct strings ids_read(const char *path);

#endif
