/*
 * The items most like those of a history, by their words or by vectors of the stream's embedding. Nothing is trained,
 * and an item that nobody has met is ranked like any other: what every model that reads texts has to beat.
 */
#include <string.h>

#include "model/content.h"

static const struct option options[] = {
	{OPTIONS_TITLE("Model:")},
	{.key = "text_weight", FIXED_OPTION("1")},
	{.key = "text_unmet", FIXED_OPTION("0")},
	{.kind = OPTION_INCLUDE, .included = content_options},
	{0},
};

static void check(const void *state, const char *where)
{
	const struct content_options *content = state;
	if (content->text == CONTENT_NONE)
		die("%s: nearest goes by the texts of items or by an embedding, and has neither; "
			"seq-tokenize --items gives texts, item-project an embedding",
			where);
}

static void declare(struct model *model, const char *where)
{
	(void)where;
	content_declare(model, model->state);
}

static void score(const struct model *model, const struct histories *histories, float *scores)
{
	memset(scores, 0, (size_t)(histories->rows * model->n_items) * sizeof *scores);
}

const struct architecture nearest_architecture = {
	.name = "nearest",
	.summary = "items whose texts or vectors are like the last ones'; untrained",
	.options = options,
	.size = sizeof(struct content_options),
	.reads_items = true,
	.check = check,
	.declare = declare,
	.score = score,
};
