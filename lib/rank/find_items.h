/*
 * Items by words: those whose id or texts have all of them, capitals and small letters alike.
 */
#ifndef RECPIPE_FIND_ITEMS_H
#define RECPIPE_FIND_ITEMS_H

#include "data/catalog.h"

struct item_finder;
/* Of id and these attributes, a NULL-terminated list, of each item. */
struct item_finder *item_finder_new(const struct catalog *catalog, char *const *fields);
/*
 * The first k items, in the order of the catalog, with all blank-separated words of the text, well-formed UTF-8; the
 * item whose id the text is stands before all. Returns how many. Any number of threads may ask.
 */
int32_t item_finder_find(const struct item_finder *finder, const char *text, int32_t k, int32_t *item);
void item_finder_free(struct item_finder *finder);

#endif
