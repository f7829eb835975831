/*
 * What a model may have learned that the sequences at hand hold out: it was trained on others, of which less or
 * something else was held out, or which have more events, as those of a later week. The history of its stream tells;
 * where it does not, nothing is said.
 */
#ifndef RECPIPE_LEARNED_H
#define RECPIPE_LEARNED_H

#include "stream/json.h"

/*
 * Warns where the model, one that it went on from, or one that made vectors of its items may have. records:
 * bag_take_history(), of the model's stream and of the sequences'; NULL ids are of nothing. whose: the model, as
 * "its model", "the model of FILE". what: follows, "its figures are too good".
 */
void learned_warn(const json_t *records, const char *model, const char *sequences, const char *catalog,
	const char *whose, const char *what);

#endif
