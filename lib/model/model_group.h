/*
 * The group `model`: config.json, training.json (how it was trained, see task/like.h), the parameters, and of models
 * that know items by their ids, these ids and how often each was met.
 */
#ifndef RECPIPE_MODEL_GROUP_H
#define RECPIPE_MODEL_GROUP_H

#include "data/catalog.h"
#include "model/model.h"
#include "stream/bag.h"

struct model_group {
	struct group group;
	struct model *model; /* whole where the group is complete */
	/* Row i is the item that is i to the model. Empty: it reads tokens, or was written before models said so. */
	struct strings item_id;
	bool *loaded;     /* by parameter */
	json_t *training; /* training.json; NULL: written before models said how they were trained */
};
#define MODEL_GROUP "model" /* its name, for those who need no model */
extern const struct group_kind model_group;
/* Dies, naming both files, unless the items it knows are this catalog's, in its order. */
void model_require_catalog(const struct model_group *read, const struct catalog *catalog);
/*
 * Which item of the model each of the catalog is, by its id, or -1; to be freed. NULL: row for row the same, or the
 * model was written before models said the ids of their items, and then dies where it is not for this catalog. n_new:
 * how many the model does not know.
 */
int32_t *model_rows_by_id(struct model_group *read, const struct catalog *catalog, int64_t *n_new);
/* The same; dies, naming both files, where they have no item in common. */
int32_t *model_match_items(struct model_group *read, const struct catalog *catalog, int64_t *n_new);
/* Of a model that reads tokens: dies unless the items were read with its tokenizer. */
void model_require_tokenizer(const struct model_group *read, const struct catalog *catalog);
/* The model too. */
void model_group_free(struct model_group *read);

/*
 * Writes the group. catalog: whose items it knows; not looked at where the model reads tokens. id: of the training.
 * training: how it was done, for training.json.
 */
void model_write(struct bag_out *out, const struct model *model, const struct catalog *catalog, uint64_t id,
	const json_t *training);

#endif
