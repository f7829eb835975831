/*
 * The group `tokenizer`: tokenizer.json, in Hugging Face's format.
 */
#ifndef RECPIPE_TOKENIZER_GROUP_H
#define RECPIPE_TOKENIZER_GROUP_H

#include "data/tokenizer.h"
#include "stream/bag.h"

struct tokenizer_group {
	struct group group;
	struct tokenizer *tokenizer; /* NULL: none came */
};
extern const struct group_kind tokenizer_group;
void tokenizer_group_free(struct tokenizer_group *read); /* the tokenizer too */
void tokenizer_write(struct bag_out *out, const struct tokenizer *tokenizer);
/*
 * The tokenizer of a stream, or of whatever else tokenizer_load()
 * takes, for tokenizer_free(); dies where there is none.
 */
struct tokenizer *tokenizer_read(const char *path);

#endif
