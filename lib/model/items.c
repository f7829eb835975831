#include "model/items.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/ops.h"
#include "nn/rows.h"
#include "nn/vec.h"

static const char *const feature_names[] = {"none", "frozen", "trainable", NULL};
static const char *const adaptor_names[] = {"linear", "two-layer", "mlp", NULL};
/* As learned item vectors start: normal with this deviation. */
#define START_DEVIATION .02
#define REFRESH_ROWS 1024

static const char *const score_names[] = {"dot", "cosine", NULL};

/* One worker's share of the catalog, on a tape of its own until its gradients come back. */
struct share {
	struct tape tape;
	int64_t from, to;
	struct array *z, *unit;
};

struct items {
	enum { NONE, FROZEN, TRAINABLE } features;
	enum { LINEAR, TWO_LAYER, MLP } adaptor;
	int64_t feature_size;
	bool cosine;
	float temperature;
	double feature_scale;    /* their root mean square; 0: as they come */
	const float *frozen;     /* the features, borrowed */
	struct param *trainable; /* the features, learned */
	struct param *own;       /* learned vectors that are added to what the adaptor gives */
	struct param *first, *first_bias, *second, *second_bias;
	struct param *z, *candidates; /* derived; NULL: is not */
	struct param *scored;         /* what candidates are the unit vectors of: z, or a trained table */
	struct share *shares;
	int n_shares;
};

static struct param *declare_derived(struct model *model, int64_t width, const char *name)
{
	struct param *param = params_add(&model->params, model->n_items, width, false, "%s", name);
	param->derived = true;
	return param;
}

static void declare_adaptor(struct items *items, struct model *model, int64_t width, const char *where)
{
	struct params *params = &model->params;
	int64_t in = items->feature_size = config_int(model, "feature_size", 0, 1, 1 << 20, where);
	items->feature_scale = config_real(model, "feature_scale", 0, 0, 1e6, where);
	items->adaptor = config_choice(model, "adaptor", adaptor_names, LINEAR, where);
	if (items->features == TRAINABLE)
		items->trainable = params_add(params, model->n_items, in, false, "item_feature.weight");
	if (items->adaptor != LINEAR) {
		int64_t inner = config_int(model, "adaptor_size", in / 2 > 1 ? in / 2 : 1, 1, 1 << 20, where);
		items->first = params_add(params, inner, in, false, "adaptor.0.weight");
		items->first_bias = params_add(params, 0, inner, false, "adaptor.0.bias");
		in = inner;
	}
	items->second = params_add(params, width, in, false, "adaptor.weight");
	items->second_bias = params_add(params, 0, width, false, "adaptor.bias");
	if (config_bool(model, "feature_ids", false, where))
		items->own = params_add(params, model->n_items, width, false, "item_id.weight");
}

struct param *items_declare(struct model *model, int64_t width, int64_t out, const char *where)
{
	struct items *items = xcalloc(1, sizeof *items);
	items->features = config_choice(model, "features", feature_names, NONE, where);
	items->cosine = config_choice(model, "score", score_names, 0, where) == 1;
	bool tied = config_bool(model, "tied", true, where);
	struct param *z;
	if (items->features == NONE) {
		z = params_add(&model->params, model->n_items, width, false, "item_embedding.weight");
	} else {
		z = items->z = declare_derived(model, width, "item_embedding.weight");
		declare_adaptor(items, model, width, where);
	}
	struct param *scored = tied ? z : params_add(&model->params, model->n_items, out, false, "output.weight");
	if (items->cosine) {
		items->temperature = (float)config_real(model, "temperature", .05, 1e-4, 1e4, where);
		items->scored = scored;
		scored = items->candidates = declare_derived(model, out, "candidates.weight");
	}
	model->item_vectors = scored;
	if (items->z || items->candidates)
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
	return model->items && model->items->features != NONE ? model->items->feature_size : 0;
}

static void bring_to_scale(float *x, int64_t n, double root_mean_square)
{
	double squares = vec_sum_of_squares(x, n);
	float factor = squares > 0 ? (float)(root_mean_square / sqrt(squares / (double)n)) : 0;
	for (int64_t i = 0; i < n; i++)
		x[i] *= factor;
}

void items_set_features(struct model *model, float *features)
{
	struct items *items = model->items;
	if (items->feature_scale > 0)
		bring_to_scale(features, model->n_items * items->feature_size, items->feature_scale);
	items->frozen = features;
	if (items->trainable)
		memcpy(items->trainable->value, features, (size_t)param_count(items->trainable) * sizeof *features);
}

void items_initialise(struct model *model, struct rng *rng)
{
	const struct items *items = model->items;
	if (!items || items->features == NONE)
		return;
	if (items->first)
		param_normal(items->first, rng, 1 / sqrt((double)items->first->columns));
	param_normal(items->second, rng, START_DEVIATION / sqrt((double)items->second->columns));
	if (items->first)
		param_fill(items->first_bias, 0);
	param_fill(items->second_bias, 0);
	if (items->own)
		param_normal(items->own, rng, START_DEVIATION);
	if (items->trainable)
		memcpy(items->trainable->value, items->frozen, (size_t)param_count(items->trainable) * sizeof(float));
}

/* --- z of some items: adaptor(feature) + own --- */

static struct array *adapt(struct tape *tape, const struct items *items, int64_t from, int64_t to)
{
	struct array *x = items->trainable ?
		tape_param_rows(tape, items->trainable, from, to - from) :
		tape_constant(tape, items->frozen + from * items->feature_size, to - from, items->feature_size);
	if (items->first)
		x = linear(tape, x, tape_param(tape, items->first), tape_param(tape, items->first_bias),
			items->adaptor == MLP ? ACT_GELU : ACT_NONE, 0);
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
	if (!items)
		return;
#pragma omp parallel for schedule(static)
	for (int64_t from = 0; from < model->n_items; from += REFRESH_ROWS) {
		struct share share = {.from = from,
			.to = from + REFRESH_ROWS < model->n_items ? from + REFRESH_ROWS : model->n_items};
		derive(items, &share, NULL);
		tape_free(&share.tape);
	}
}

struct array *items_query(struct tape *tape, const struct model *model, struct array *hidden)
{
	const struct items *items = model->items;
	return items && items->cosine ? unit_rows(tape, hidden, 1 / items->temperature) : hidden;
}
