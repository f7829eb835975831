/* Between the files of item_sources.h. */
#ifndef RECPIPE_ITEM_SOURCES_PARTS_H
#define RECPIPE_ITEM_SOURCES_PARTS_H

#include "model/item_sources.h"

/* Room for the vectors. */
void take_vectors(struct item_vectors_job *job, int64_t width);
/* A text encoder of the stream reads the items. */
void from_recformer(struct item_vectors_job *job);

/* item_sources_made.c: vectors that are there already */
void from_model(struct item_vectors_job *job);
void from_file(struct item_vectors_job *job);

#endif
