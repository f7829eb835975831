/*
 * The parameters of a model: named tensors, end to end in one block in the
 * order they were declared, without gaps. Gradients and an optimiser's moments are
 * blocks laid out the same way, so optimiser, clipping and checkpoints are
 * flat loops, and adjacent matrices (query, key, value) multiply as one.
 *
 * A frozen parameter is one without gradient. A derived one is computed from
 * others before each step (item vectors from features): its gradient is an intermediate
 * result, and the optimiser leaves it alone. In the block those trained come first, then
 * the derived, then the frozen, whatever the order of declaration.
 */
#ifndef RECPIPE_PARAMS_H
#define RECPIPE_PARAMS_H

#include "nn/matrix.h"
#include "stream/npy.h"

struct param {
	char name[80];         /* Hugging Face style: "layers.0.attention.query.weight" */
	int n_dims;            /* 1 or 2 */
	int64_t rows, columns; /* one row where n_dims is 1 */
	bool frozen;
	bool borrowed;         /* value is someone else's memory: it has no place in the block */
	bool derived;          /* set between params_add and params_allocate; the next two too */
	bool of_items;         /* row i belongs to the model's item i */
	bool by_rows;          /* its gradient is a list of rows (nn/row_gradient.h): set by functions below */
	bool summed;           /* each row at most once in that list */
	bool optional;         /* streams of older versions do not have it: zeros */
	int64_t offset;        /* in floats, in every block */
	float *value;          /* rows x columns */
	struct packed *packed; /* what products take (nn/matrix.h), of it and those up to some other; or NULL */
};

struct params {
	struct param **list;
	int count, capacity;
	int64_t size;      /* floats of all */
	int64_t trainable; /* floats of those the optimiser changes: [0, trainable) of every block */
	int64_t gradients; /* floats of those with a gradient: with the derived */
	int64_t by_rows;   /* floats of those by rows, [0, by_rows): a block of gradients begins behind them */
	float *value;      /* [size], 64-byte aligned */
};

/*
 * rows 0 declares a vector of `columns`. The param lives as long as params; its value is there after params_allocate.
 */
struct param *params_add(struct params *params, int64_t rows, int64_t columns, bool frozen, const char *name, ...)
	PRINTF_LIKE(5, 6);
/*
 * No gradient. value: where its numbers lie, and stay while it
 * is used, not to be written; or NULL. Before params_allocate.
 */
void param_freeze(struct param *param, const float *value);
/*
 * Products by these frozen ones, adjacent from first to last as tape_params()
 * takes them, go by their values packed as they are now.
 */
void params_pack(struct param *first, const struct param *last, enum packing packing);
/* Their values are not read again: gives the memory back that they have to themselves. What is read there then is 0. */
void params_drop(const struct param *first, const struct param *last);
/* And all by the values themselves again. */
void params_unpack(struct params *params);
/* After the last params_add: lays out the block, zeroed. */
void params_allocate(struct params *params);
/*
 * Trained tables of items at the beginning of the block get their gradients row by row, of which a step touches few:
 * they are only read where rows are looked up. Before trainer_new().
 */
void params_by_rows(struct params *params);
/* So does the trained table next in the block, whose rows are looked up again and again in a step. */
void param_by_rows(struct params *params, struct param *param);
/* NULL where there is none. */
struct param *params_find(const struct params *params, const char *name);
int64_t param_count(const struct param *param);
/* A view for reading and writing streams. */
struct tensor param_tensor(const struct param *param);
void params_free(struct params *params);

/* Initial values. Xavier: normal with variance 2 / (rows + columns). */
void param_fill(struct param *param, float value);
void param_normal(struct param *param, struct rng *rng, double deviation);
void param_uniform(struct param *param, struct rng *rng, double bound);
void param_xavier(struct param *param, struct rng *rng);

#endif
