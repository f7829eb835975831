/*
 * A tape records operations as they compute, and runs their backward passes
 * in reverse. A model is written as its forward pass alone.
 *
 * A tape belongs to one thread, and operations are serial but for large products (nn/blas.h): training is parallel over
 * sequences (train.h), each worker with its own tape and its own block of
 * parameter gradients. Batches are ragged: tokens of all sequences packed end
 * to end, without padding. An array on the tape has one row a token.
 */
#ifndef RECPIPE_TAPE_H
#define RECPIPE_TAPE_H

#include "nn/array.h"
#include "nn/params.h"
#include "nn/row_gradient.h"

struct tape {
	struct arena arena;
	struct spare *spare;    /* memory of the arena given back */
	struct array *made;     /* since the last operation was recorded */
	struct operation *last; /* of those recorded */
	bool training;          /* record, keep gradients, drop out */
	/* frozen matrices as they are, where they are packed as well; set after tape_begin */
	bool in_floats;
	uint64_t key;   /* of this batch's dropout masks */
	uint64_t drawn; /* masks so far */
	/* the batch's tokens before this tape's: masks do not depend on who computes what */
	int64_t first_row;
	/* of this tape, that rows are from here on, where not all are; NULL; borrowed until backward */
	const int64_t *tokens;
	float *gradients; /* of the parameters, [params->gradients], added to by backward; borrowed */
	/* of those by rows, which the block of gradients lacks, and how many floats they are; kept by tape_begin() */
	struct row_gradient *by_rows;
	int64_t by_rows_size;
};

/* Forgets what was recorded. gradients NULL: nothing is recorded and nothing dropped out. */
void tape_begin(struct tape *tape, float *gradients, uint64_t key, int64_t first_row);
/* From the arrays whose gradients a loss has set, to the parameters. */
void tape_backward(struct tape *tape);
void tape_free(struct tape *tape);

/* A new array, uninitialised: the output of the operation recorded next. gradient: wanted if training. */
struct array *tape_array(struct tape *tape, int64_t rows, int64_t columns, bool gradient);
/* A new array that no operation makes. If training its gradient is wanted, and stays after tape_backward. */
struct array *tape_input(struct tape *tape, int64_t rows, int64_t columns);
/*
 * Nothing reads its value (of a view: nor its owner's) any more but backward passes; where none does either, or it can
 * be made again, its memory serves others. Until then memory grows with every array, without training too.
 */
void tape_done(struct tape *tape, struct array *array);
/* A parameter; of NULL, which a bias may be, NULL. */
struct array *tape_param(struct tape *tape, const struct param *param);
/* Adjacent parameters with the same number of columns (or all vectors), from first to last, as one array. */
struct array *tape_params(struct tape *tape, const struct param *first, const struct param *last);
/*
 * Columns [first, first + count). Gradients come through an array's views or itself, not both; views cover all of it.
 */
struct array *tape_columns(struct tape *tape, struct array *array, int64_t first, int64_t count);
/* Rows [first, first + count) of a parameter. */
struct array *tape_param_rows(struct tape *tape, const struct param *param, int64_t first, int64_t count);
/* Memory of the caller's, without a gradient. */
struct array *tape_constant(struct tape *tape, const float *value, int64_t rows, int64_t columns);

/*
 * An operation's struct begins with this one. RECORD copies it, as initialised by what follows, to the arena; its
 * backward pass is called with the tape and the copy.
 */
struct operation {
	void (*backward)(struct tape *tape, struct operation *operation);
	void (*again)(struct operation *operation); /* fills the value of the array whose `again` it is */
	struct operation *before;
	struct array *made; /* its outputs; without a gradient in any of them its backward pass is left out */
};
void tape_record(struct tape *tape, const void *operation, size_t size);
#define RECORD(tape, type, function, ...)                                                                              \
	tape_record(tape, &(type){.operation = {.backward = (function)}, __VA_ARGS__}, sizeof(type))
/* The key of the next dropout mask. */
uint64_t tape_mask(struct tape *tape);
/* For operations: their backward pass reads the array's value; or asks for it first, as it may be gone until then. */
void tape_keep(struct array *array);
void tape_keep_restored(struct array *array);
void tape_restore(struct tape *tape, struct array *array);

/*
 * For losses and backward passes. The gradient of an array, laid out like its value, uninitialised until touched. Its
 * memory is taken at the first call and given back after the backward pass of the operation that made the array: what
 * exists at a time is little more than one layer's.
 */
float *tape_gradient(struct tape *tape, struct array *array);
/* Of a table by rows: adds factor x vector t to row id[t], for t < n. Of any other: into its gradient. */
void tape_add_rows(struct tape *tape, struct array *table, const int32_t *id, const float *vectors, int64_t n,
	int64_t stride, float factor);
/* The same to add to: zeroed where nothing has been yet, and touched. NULL where none is wanted. */
float *started_gradient(struct tape *tape, struct array *array);
/* Whether to add to the gradient (1) or to set it (0, the first time); marks it touched. */
float gradient_beta(struct array *array);

/* Floats until they are given back, or the tape is begun anew; those given back serve the next of the same size. */
float *tape_take(struct tape *tape, int64_t rows, int64_t columns);
void tape_give(struct tape *tape, float *memory, int64_t rows, int64_t columns);

/*
 * Of packed sequences [first, end): the end of those to take at
 * once, as many as have at most `tokens` tokens; at least one.
 */
int64_t sequences_at_once(const int64_t *indptr, int64_t first, int64_t end, int64_t tokens);

#endif
