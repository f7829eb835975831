/*
 * The group `catalog`: items, their texts as tokens, and as they were read.
 *
 * A column of text for each attribute is named after it, as far
 * as names of members allow: what is not a letter, a digit,
 * - or _ becomes _, at most 48 bytes are kept, and -2, -3, ... tell it from columns there are. meta.json lists the
 * attributes' names, and in the same order, as "attribute_fields", the columns'.
 */
#ifndef RECPIPE_CATALOG_H
#define RECPIPE_CATALOG_H

#include "data/strings.h"
#include "stream/bag.h"

/* Of a token: of the attribute's name, or of what it says. */
enum token_type { TOKEN_OF_KEY = 1, TOKEN_OF_VALUE = 2 };

/* Without text, indptr and what follows are NULL. */
struct catalog {
	struct group group;   /* meta, with text: also "attributes" (names) and "tokenizer" (fingerprint) */
	char fingerprint[17]; /* of the item ids in order: what id-based models belong to */
	struct strings item_id;
	int64_t n_items;
	int64_t *indptr; /* n_items + 1: tokens of item i are [indptr[i], indptr[i + 1]) */
	int32_t *input_ids;
	uint8_t *token_type_ids; /* enum token_type */
	uint8_t *attribute;      /* which attribute a token belongs to, from 0 */
	int64_t n_tokens;
	struct ragged tokens; /* how those four grow */
	/*
	 * The attributes as they were read, for whoever sets `keeps_text`
	 * before: n_items strings each, "" where there is none.
	 */
	bool keeps_text;
	struct strings *text; /* NULL: not asked for, or written before there were any */
	int n_attributes;
};
extern const struct group_kind catalog_group;

/* What the attribute of this name says of an item; NULL where text is not there, or no such attribute. Borrowed. */
const char *catalog_text(const struct catalog *catalog, int64_t item, const char *attribute);
/*
 * Dies unless a group belongs to this catalog, by the catalog's fingerprint that it was made for. Names both and their
 * files; ids: the items it knows, where it says so, or NULL.
 */
void catalog_require(const struct catalog *catalog, const struct group_kind *kind, const struct group *group,
	const char *fingerprint, const struct strings *ids);
void catalog_free(struct catalog *catalog);

/* The ids of the items that a model or a projector knows, as a member of its group: a line for each. */
#define ITEM_IDS "item_id.txt"
void item_ids_write(struct bag_out *out, const struct strings *ids);
/* Dies unless there are n_items, whose fingerprint is that of the catalog that the group says it belongs to. */
void item_ids_read(struct strings *ids, const struct member *member, int64_t n_items, const char *catalog);

struct dataset;
struct tokenizer;
/* The fingerprint of a dataset's item ids. */
uint64_t catalog_fingerprint(const struct dataset *dataset);
/* A tokenizer learned from the names and texts of the items' attributes. */
struct tokenizer *catalog_learn_tokenizer(const struct dataset *dataset, int64_t vocab_size);
/* Writes the group, tokenised by so many threads. tokenizer NULL: ids alone. Returns the number of tokens. */
int64_t catalog_write(struct bag_out *out, const struct dataset *dataset, const struct tokenizer *tokenizer,
	int threads);

#endif
