/*
 * Vectors of items by id beside those of their texts, in a Recformer that was fine-tuned with them. They are not the
 * paper's, whose models know an item by its text alone; they join what texts say with which items occur together:
 *
 *     vector of a history = that of its text, of unit length, + scale x the mean of the id vectors of its items
 *
 * where an item weighs `decay` of the one after it, so that an item's vector is that of a history of it alone. Items
 * that no training event has keep a zero here: their texts' vectors. So do those of any other catalog.
 */
#ifndef RECPIPE_ITEM_TABLE_H
#define RECPIPE_ITEM_TABLE_H

#include "model/model.h"

/* A part of a model's state, filled by these rows. */
struct item_table {
	int64_t rows;          /* items of the catalog they were learned on; 0: there are none */
	const char *catalog;   /* its fingerprint, borrowed from the config */
	float scale, dropout;  /* scale: what vectors are kept divided by, so that they learn so many times as fast */
	struct param *vectors; /* rows x width; NULL: there are none */
	/*
	 * A history's vector is that of its text, as above, or the mean of its items' as they are ranked. Those are fixed
	 * but for their own vectors, so that nothing else is trained beside them and texts are read once.
	 */
	enum { HISTORIES_TEXT, HISTORIES_ITEMS } histories;
};
extern const struct option item_table_options[];

/* Declares the parameter, where there are rows, which start at zero. */
void item_table_declare(struct item_table *table, struct model *model);
/* Whether it is that of the catalog that the model reads. */
bool item_table_fits(const struct item_table *table, const struct model *model);
/* Vectors of histories as means of rows of `vectors`, in training with dropout; no items: zeros. Otherwise as below. */
struct array *item_table_means(struct tape *tape, const struct item_table *table, struct array *vectors,
	const struct histories *histories, int64_t items, double decay);
/* The same of one history, of the items of the catalog as the model ranks them. */
void item_table_query(const struct model *model, const struct histories *history, double decay, float *query);
/* Vectors of histories from those of their texts, (rows, width): of the latest `items` of each. Borrows all. */
struct array *item_table_join(struct tape *tape, const struct item_table *table, struct array *text,
	const struct histories *histories, int64_t items, double decay);

#endif
