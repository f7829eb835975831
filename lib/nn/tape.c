#include "nn/tape.h"

#include <string.h>

void tape_begin(struct tape *tape, float *gradients, uint64_t key, int64_t first_row)
{
	arena_reset(&tape->arena);
	tape->last = NULL;
	tape->training = gradients != NULL;
	tape->gradients = gradients;
	tape->key = key;
	tape->drawn = 0;
	tape->first_row = first_row;
}

void tape_backward(struct tape *tape)
{
	for (struct operation *operation = tape->last; operation; operation = operation->before)
		operation->backward(tape, operation);
}

void tape_free(struct tape *tape)
{
	arena_free(&tape->arena);
}

static struct array *new_array(struct tape *tape, int64_t rows, int64_t columns, int64_t stride)
{
	struct array *array = arena_take(&tape->arena, 1, 1, sizeof *array);
	*array = (struct array){ .rows = rows, .columns = columns, .stride = stride };
	return array;
}

struct array *tape_array(struct tape *tape, int64_t rows, int64_t columns, bool gradient)
{
	struct array *array = new_array(tape, rows, columns, columns);
	array->value = arena_take(&tape->arena, rows, columns, sizeof *array->value);
	if (gradient && tape->training)
		array->gradient = arena_take(&tape->arena, rows, columns, sizeof *array->gradient);
	return array;
}

struct array *tape_param(struct tape *tape, const struct param *first, const struct param *last)
{
	int64_t count = last->offset + param_count(last) - first->offset;
	int64_t columns = first->n_dims == 1 ? count : first->columns;
	struct array *array = new_array(tape, count / columns, columns, columns);
	array->value = first->value;
	if (tape->training && !first->frozen)
		array->gradient = tape->gradients + first->offset;
	array->touched = true;
	return array;
}

struct array *tape_columns(struct tape *tape, struct array *array, int64_t first, int64_t count)
{
	struct array *view = new_array(tape, array->rows, count, array->stride);
	view->value = array->value + first;
	if (array->gradient)
		view->gradient = array->gradient + first;
	return view;
}

void tape_record(struct tape *tape, const void *operation, size_t size)
{
	struct operation *copy = memcpy(arena_take(&tape->arena, 1, 1, size), operation, size);
	copy->before = tape->last;
	tape->last = copy;
}

uint64_t tape_mask(struct tape *tape)
{
	return tape->key + UINT64_C(0x9e3779b97f4a7c15) * ++tape->drawn;
}

float gradient_beta(struct array *array)
{
	float beta = array->touched ? 1 : 0;
	array->touched = true;
	return beta;
}
