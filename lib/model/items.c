#include "model/items.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/item_vectors.h"
#include "nn/ops.h"
#include "nn/rows.h"
#include "nn/vec.h"

static const char *const feature_names[] = {"none", "frozen", "trainable", "initial", "alphafuse", NULL};
static const char *const adaptor_names[] = {"linear", "two-layer", "mlp", NULL};
static const char *const score_names[] = {"dot", "cosine", NULL};
#define WITH_FEATURES "features=frozen|trainable|initial|alphafuse"
#define WITH_ADAPTOR "features=frozen|trainable"

static void no_features(void *values)
{
	((struct item_options *)values)->features = FEATURES_NONE;
}

static void half_of_features(void *values)
{
	struct item_options *options = values;
	options->adaptor_size = options->feature_size / 2 > 1 ? options->feature_size / 2 : 1;
}

static void ids_beside_frozen(void *values)
{
	struct item_options *options = values;
	options->feature_ids = options->features == FEATURES_FROZEN;
}

const struct option item_options[] = {
	{"features", CHOICE_OPTION(struct item_options, features, feature_names), .argument = "HOW", .derive = no_features,
		.fallback = "frozen where the stream has one, else none",
		.help = "Items by their embedding: frozen, trainable, initial (a start), alphafuse, or none"},
	{.key = "adaptor",
		CHOICE_OPTION(struct item_options, adaptor, adaptor_names),
		.fallback = "linear",
		.only = WITH_ADAPTOR,
		.help = "From the embedding's width to the model's: linear, two-layer, or mlp"},
	{.key = "feature_size", WHOLE_OPTION(struct item_options, feature_size, 0, 1 << 20), .fallback = "0"},
	{.key = "adaptor_size",
		WHOLE_OPTION(struct item_options, adaptor_size, 1, 1 << 20),
		.derive = half_of_features,
		.fallback = "half the embedding's",
		.only = "adaptor=two-layer|mlp",
		.help = "Width between two layers of the adaptor"},
	{.key = "feature_ids",
		YES_NO_OPTION(struct item_options, feature_ids),
		.derive = ids_beside_frozen,
		.fallback = "yes with frozen features",
		.only = WITH_ADAPTOR,
		.help = "Add a learned vector for each item to what the adaptor gives"},
	{.key = "feature_whiten",
		YES_NO_OPTION(struct item_options, feature_whiten),
		.fallback = "yes",
		.only = WITH_FEATURES,
		.help = "Features with mean 0, variance 1 and no correlations"},
	{.key = "feature_share",
		REAL_OPTION(struct item_options, feature_share, 0.01, .99),
		.fallback = "0.5",
		.only = "features=alphafuse",
		.help = "Of an item vector's columns, that are the embedding's principal axes; the others are learned"},
	{.key = "feature_scale",
		REAL_OPTION(struct item_options, feature_scale, 0, 1e6),
		.fallback = "0.3",
		.only = WITH_FEATURES,
		.help = "Root mean square that features are brought to, of principal axes 0.1; 0: as they are"},
	{.key = "tied",
		YES_NO_OPTION(struct item_options, tied),
		.fallback = "yes",
		.help = "Score with the input's item vectors, not with a table of their own"},
	{.key = "score",
		CHOICE_OPTION(struct item_options, score, score_names),
		.fallback = "dot",
		.help = "What hidden states and item vectors are scored by: dot or cosine"},
	{.key = "temperature",
		REAL_OPTION(struct item_options, temperature, 1e-4, 1e4),
		.fallback = "0.05",
		.only = "score=cosine",
		.going_on = VALUE_CHANGES,
		.help = "What cosines are divided by"},
	{0},
};

/* As learned item vectors start: normal with this deviation. */
#define START_DEVIATION .02
#define REFRESH_ROWS 1024

/* One worker's share of the catalog, on a tape of its own until its gradients come back. */
struct share {
	struct tape tape;
	int64_t from, to;
	struct array *z, *unit;
};

struct items {
	struct item_options options;
	const float *frozen;     /* the features, borrowed */
	struct param *trainable; /* the features, learned */
	struct param *own;       /* learned vectors that are added to what the adaptor gives */
	struct param *start;     /* learned vectors that start from the features */
	int64_t axes;            /* of the features, that are taken; 0: all, as they are */
	struct param *first, *first_bias, *second, *second_bias;
	struct param *mean, *matrix,
		*scale;                   /* from the embedding's vectors to features, frozen; the first two may be NULL */
	struct param *z, *candidates; /* derived; NULL: is not */
	struct param *scored;         /* what candidates are the unit vectors of: z, or a trained table */
	struct share *shares;
	int n_shares;
};

static struct param *declare_derived(struct model *model, int64_t width, const char *name)
{
	struct param *param = params_add(&model->params, model->n_items, width, false, "%s", name);
	param->derived = param->of_items = true;
	return param;
}

static struct param *declare_table(struct model *model, int64_t width, const char *name)
{
	struct param *param = params_add(&model->params, model->n_items, width, false, "%s", name);
	param->of_items = true;
	return param;
}

/* A part of the map from the embedding's vectors to features. */
static struct param *declare_map(struct model *model, int64_t rows, int64_t columns, const char *name)
{
	struct param *param = params_add(&model->params, rows, columns, true, "feature.%s", name);
	param->optional = true;
	return param;
}

static void declare_maps(struct items *items, struct model *model)
{
	if (items->options.feature_whiten || items->axes) {
		items->mean = declare_map(model, 0, items->options.feature_size, "mean");
		items->matrix = declare_map(model, items->options.feature_size, items->options.feature_size, "matrix");
	}
	items->scale = declare_map(model, 0, 1, "scale");
}

static void declare_adaptor(struct items *items, struct model *model, int64_t width)
{
	struct params *params = &model->params;
	int64_t in = items->options.feature_size;
	if (items->options.features == FEATURES_TRAINABLE)
		items->trainable = declare_table(model, in, "item_feature.weight");
	if (items->options.adaptor != ADAPTOR_LINEAR) {
		int64_t inner = items->options.adaptor_size;
		items->first = params_add(params, inner, in, false, "adaptor.0.weight");
		items->first_bias = params_add(params, 0, inner, false, "adaptor.0.bias");
		in = inner;
	}
	items->second = params_add(params, width, in, false, "adaptor.weight");
	items->second_bias = params_add(params, 0, width, false, "adaptor.bias");
	if (items->options.feature_ids)
		items->own = declare_table(model, width, "item_id.weight");
	declare_maps(items, model);
}

/* AlphaFuse (Hu et al., SIGIR 2025): the embedding's principal axes, and ids in the columns that these leave. */
static void declare_fused(struct items *items, struct model *model, int64_t width, const char *where)
{
	items->axes = llround(items->options.feature_share * (double)width);
	if (items->axes < 1 || items->axes >= width || items->axes > items->options.feature_size)
		die("%s: \"feature_share\" %g of %s is %" PRId64 " principal axes, and 1 to %" PRId64
			" can be had, of an embedding %" PRId64 " wide; --set feature_share= is another share",
			where, items->options.feature_share, counted(width, "columns"), items->axes,
			width - 1 < items->options.feature_size ? width - 1 : items->options.feature_size,
			items->options.feature_size);
	items->own = declare_table(model, width - items->axes, "item_id.weight");
	declare_maps(items, model);
}

struct param *items_declare(struct model *model, const struct item_options *options, int64_t width, int64_t out,
	const char *where)
{
	struct items *items = xcalloc(1, sizeof *items);
	items->options = *options;
	if (options->features && !options->feature_size)
		die("%s: \"features\" of no \"feature_size\"", where);
	struct param *z;
	if (options->features == FEATURES_NONE || options->features == FEATURES_INITIAL) {
		z = declare_table(model, width, "item_embedding.weight");
	} else {
		z = items->z = declare_derived(model, width, "item_embedding.weight");
		if (options->features == FEATURES_ALPHAFUSE)
			declare_fused(items, model, width, where);
		else
			declare_adaptor(items, model, width);
	}
	if (options->features == FEATURES_INITIAL) {
		items->start = z;
		items->axes = width < options->feature_size ? width : options->feature_size;
	}
	struct param *scored = options->tied ? z : declare_table(model, out, "output.weight");
	if (options->score == SCORE_COSINE) {
		items->scored = scored;
		scored = items->candidates = declare_derived(model, out, "candidates.weight");
	}
	model->item_vectors = scored;
	if (options->features || items->candidates)
		model->items = items;
	else
		free(items);
	return z;
}

void items_free(struct items *items)
{
	if (!items)
		return;
	for (int i = 0; i < items->n_shares; i++)
		tape_free(&items->shares[i].tape);
	free(items->shares);
	free(items);
}

int64_t items_feature_size(const struct model *model)
{
	return model->items && model->items->options.features ? model->items->options.feature_size : 0;
}

int64_t items_kept_feature_size(const struct model *model)
{
	return model->items && model->items->z ? model->items->options.feature_size : 0;
}

bool items_derives(const struct model *model)
{
	return model->items && (model->items->z || model->items->candidates);
}

/* --- features --- */

/* Returns what all were multiplied by. */
static float bring_to_scale(float *x, int64_t n, double root_mean_square)
{
	double squares = vec_sum_of_squares(x, n);
	float factor = squares > 0 ? (float)(root_mean_square / sqrt(squares / (double)n)) : 0;
	for (int64_t i = 0; i < n; i++)
		x[i] *= factor;
	return factor;
}

void items_set_features(struct model *model, float *features)
{
	struct items *items = model->items;
	const int64_t width = items->options.feature_size, taken = items->axes ? items->axes : width;
	float scale = 1;
	if (items->options.feature_scale > 0) /* what is not taken is 0 */
		scale = bring_to_scale(features, model->n_items * width,
			items->options.feature_scale * sqrt((double)taken / (double)width));
	if (items->scale)
		items->scale->value[0] = scale;
	items->frozen = features;
	if (items->trainable)
		memcpy(items->trainable->value, features, (size_t)param_count(items->trainable) * sizeof *features);
}

void items_fit_features(struct model *model, float *features, int threads)
{
	const struct items *items = model->items;
	if (items->axes)
		principal_axis_vectors(features, model->n_items, items->options.feature_size, items->axes,
			items->options.feature_whiten, threads, items->mean ? items->mean->value : NULL,
			items->matrix ? items->matrix->value : NULL);
	else if (items->matrix)
		whiten_vectors(features, model->n_items, items->options.feature_size, threads, items->mean->value,
			items->matrix->value);
	items_set_features(model, features);
}

static void initialise_adaptor(const struct items *items, struct rng *rng)
{
	if (items->first)
		param_normal(items->first, rng, 1 / sqrt((double)items->first->columns));
	param_normal(items->second, rng, START_DEVIATION / sqrt((double)items->second->columns));
	if (items->first)
		param_fill(items->first_bias, 0);
	param_fill(items->second_bias, 0);
}

void items_initialise(struct model *model, struct rng *rng)
{
	const struct items *items = model->items;
	if (!items || !items->options.features)
		return;
	if (items->second)
		initialise_adaptor(items, rng);
	if (items->own)
		param_normal(items->own, rng, START_DEVIATION);
	if (items->trainable)
		memcpy(items->trainable->value, items->frozen, (size_t)param_count(items->trainable) * sizeof(float));
	for (int64_t i = 0; i < model->n_items && items->start; i++)
		memcpy(items->start->value + i * items->start->columns, items->frozen + i * items->options.feature_size,
			(size_t)items->axes * sizeof(float));
}

bool items_has_feature(const struct model *model, int64_t item)
{
	const struct items *items = model->items;
	const int64_t width = items_feature_size(model);
	return width && vec_sum_of_squares(items->frozen + item * width, width) > 0;
}

void items_forget_own(struct model *model, const int32_t met[])
{
	const struct param *own = model->items ? model->items->own : NULL;
	for (int64_t item = 0; own && item < model->n_items; item++)
		if (!met[item])
			memset(own->value + item * own->columns, 0, (size_t)own->columns * sizeof *own->value);
}

/* --- z of some items: adaptor(feature) + own, or the features' axes and own beside each other --- */

static struct array *fuse(struct tape *tape, const struct items *items, int64_t from, int64_t to)
{
	const int64_t width = items->options.feature_size;
	struct array *features = tape_constant(tape, items->frozen + from * width, to - from, width);
	return beside(tape, tape_columns(tape, features, 0, items->axes),
		tape_param_rows(tape, items->own, from, to - from));
}

static struct array *adapt(struct tape *tape, const struct items *items, int64_t from, int64_t to)
{
	if (items->axes)
		return fuse(tape, items, from, to);
	struct array *x = items->trainable ?
		tape_param_rows(tape, items->trainable, from, to - from) :
		tape_constant(tape, items->frozen + from * items->options.feature_size, to - from, items->options.feature_size);
	if (items->first)
		x = linear(tape, x, tape_param(tape, items->first), tape_param(tape, items->first_bias),
			items->options.adaptor == ADAPTOR_MLP ? ACT_GELU : ACT_NONE, 0);
	struct array *z = linear(tape, x, tape_param(tape, items->second), tape_param(tape, items->second_bias), ACT_NONE,
		0);
	return items->own ? add(tape, z, tape_param_rows(tape, items->own, from, to - from)) : z;
}

static void store(const struct array *array, struct param *param, int64_t from)
{
	memcpy(param->value + from * param->columns, array->value,
		(size_t)(array->rows * param->columns) * sizeof *array->value);
}

static void derive(const struct items *items, struct share *share, float *gradient)
{
	struct tape *tape = &share->tape;
	int64_t from = share->from, to = share->to;
	share->z = share->unit = NULL;
	tape_begin(tape, gradient, 0, 0);
	if (from == to)
		return;
	if (items->z) {
		share->z = adapt(tape, items, from, to);
		store(share->z, items->z, from);
	}
	if (items->candidates) {
		struct array *scored = share->z && items->scored == items->z ?
			share->z :
			tape_param_rows(tape, items->scored, from, to - from);
		share->unit = unit_rows(tape, scored, 1);
		store(share->unit, items->candidates, from);
	}
}

static void prepare_shares(struct items *items, int n)
{
	items->shares = xcalloc((size_t)n, sizeof *items->shares);
	items->n_shares = n;
}

void items_prepare(struct model *model, int workers)
{
	if (model->items && !model->items->shares)
		prepare_shares(model->items, workers);
}

void items_derive(struct model *model, struct worker *worker, bool learn)
{
	struct share *share = &model->items->shares[worker->slot];
	worker_share(worker, model->n_items, &share->from, &share->to);
	derive(model->items, share, learn ? worker->gradient : NULL);
}

void items_gather(struct model *model, const struct trainer *trainer)
{
	struct param *const derived[] = {model->items->z, model->items->candidates};
	for (size_t i = 0; i < COUNT_OF(derived); i++)
		if (derived[i])
			trainer_gather_shares(trainer, derived[i]->value, model->n_items, derived[i]->columns);
}

/* The summed gradient of the derived parameter, for the share's rows. */
static void give_gradient(struct share *share, struct array *array, const struct param *param, const float *gradient)
{
	float *to = tape_gradient(&share->tape, array);
	gradient_beta(array);
	memcpy(to, gradient + param->offset + share->from * param->columns,
		(size_t)(array->rows * param->columns) * sizeof *to);
}

void items_derive_backward(struct model *model, struct worker *worker)
{
	const struct items *items = model->items;
	struct share *share = &items->shares[worker->slot];
	const float *gradient = trainer_gradient(worker->trainer);
	if (share->z)
		give_gradient(share, share->z, items->z, gradient);
	if (share->unit)
		give_gradient(share, share->unit, items->candidates, gradient);
	tape_backward(&share->tape);
}

void items_refresh(struct model *model)
{
	struct items *items = model->items;
	if (!items_derives(model))
		return;
#pragma omp parallel for schedule(static)
	for (int64_t from = 0; from < model->n_items; from += REFRESH_ROWS) {
		struct share share = {.from = from,
			.to = from + REFRESH_ROWS < model->n_items ? from + REFRESH_ROWS : model->n_items};
		derive(items, &share, NULL);
		tape_free(&share.tape);
	}
}

/* --- in another catalog --- */

#define ROWS_COMPARED 4096
/*
 * Squared distance of vectors of the same items, of their squared
 * length: rounding, which instruction sets do differently.
 */
#define SAME 1e-3
/* Cosine of features that were learned with where they started; of others it is near 0. */
#define LEARNED .2

/* Squared distance of what features make of the items from `from` on from what the model has of those that it knows. */
static double distance(const struct items *items, const float *features, const int32_t row[], int64_t from, int64_t to,
	double *size)
{
	const int64_t width = items->z->columns;
	struct items fixed = *items;
	struct tape tape = {0};
	double sum = 0;
	fixed.frozen = features;
	tape_begin(&tape, NULL, 0, 0);
	const struct array *z = adapt(&tape, &fixed, from, to);
	for (int64_t i = from; i < to; i++) {
		const float *made = z->value + (i - from) * z->stride, *known = items->z->value + i * width;
		for (int64_t j = 0; j < width && row[i] >= 0; j++) {
			const double difference = (double)made[j] - (double)known[j];
			sum += difference * difference;
			*size += (double)known[j] * (double)known[j];
		}
	}
	tape_free(&tape);
	return sum;
}

static double cosine_with_learned(const struct items *items, const float *features, const int32_t row[], int64_t rows)
{
	const int64_t width = items->options.feature_size;
	double product = 0, squares[2] = {0};
	for (int64_t i = 0; i < rows; i++)
		for (int64_t j = i * width; j < (i + 1) * width && row[i] >= 0; j++) {
			const double feature = (double)features[j], learned = (double)items->trainable->value[j];
			product += feature * learned;
			squares[0] += feature * feature;
			squares[1] += learned * learned;
		}
	return product / sqrt(squares[0] * squares[1]);
}

bool items_map_features(struct model *model, float *features, const int32_t row[], int threads)
{
	const struct items *items = model->items;
	if (!(items->scale->value[0] > 0))
		return false;
	map_vectors(features, model->n_items, items->options.feature_size, items->mean ? items->mean->value : NULL,
		items->matrix ? items->matrix->value : NULL, items->scale->value[0], threads);
	const int64_t rows = model->n_items < ROWS_COMPARED ? model->n_items : ROWS_COMPARED;
	if (items->trainable)
		return cosine_with_learned(items, features, row, rows) >= LEARNED;
	double size = 0, sum = 0;
	for (int64_t from = 0; from < rows; from += REFRESH_ROWS)
		sum += distance(items, features, row, from, from + REFRESH_ROWS < rows ? from + REFRESH_ROWS : rows, &size);
	return sum <= SAME * size;
}

void items_take_features(struct model *model, const float *features, const int32_t row[])
{
	struct items *items = model->items;
	const int64_t width = items->options.feature_size;
	items->frozen = features;
	for (int64_t i = 0; i < model->n_items && items->trainable; i++)
		if (row[i] < 0)
			memcpy(items->trainable->value + i * width, features + i * width, (size_t)width * sizeof *features);
}

void items_derive_new(struct model *model, const float *features, const int32_t row[])
{
	struct items *items = model->items;
	items_take_features(model, features, row);
	for (int64_t from = 0, to; from < model->n_items; from = to) {
		to = from + 1;
		if (row[from] >= 0)
			continue;
		while (to < model->n_items && to - from < REFRESH_ROWS && row[to] < 0)
			to++;
		struct share share = {.from = from, .to = to};
		derive(items, &share, NULL);
		tape_free(&share.tape);
	}
	items->frozen = NULL;
}

struct array *items_query(struct tape *tape, const struct model *model, struct array *hidden)
{
	const struct items *items = model->items;
	return items && items->options.score == SCORE_COSINE ? unit_rows(tape, hidden, 1 / items->options.temperature) :
														   hidden;
}
