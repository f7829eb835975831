#include "nn/tape.h"

#include <assert.h>
#include <string.h>

#include "nn/matrix.h"
#include "nn/vec.h"

/* Written into the memory itself. */
struct spare {
	struct spare *next;
	int64_t count; /* floats */
};

void tape_begin(struct tape *tape, float *gradients, uint64_t key, int64_t first_row)
{
	arena_reset(&tape->arena);
	tape->spare = NULL;
	tape->made = NULL;
	tape->last = NULL;
	tape->training = gradients != NULL;
	tape->in_floats = false;
	tape->gradients = gradients;
	tape->key = key;
	tape->drawn = 0;
	tape->first_row = first_row;
	tape->tokens = NULL;
}

float *tape_take(struct tape *tape, int64_t rows, int64_t columns)
{
	for (struct spare **spare = &tape->spare; *spare; spare = &(*spare)->next)
		if ((*spare)->count == rows * columns) {
			float *memory = (float *)*spare;
			*spare = (*spare)->next;
			return memory;
		}
	return arena_take(&tape->arena, rows, columns, sizeof(float));
}

void tape_give(struct tape *tape, float *memory, int64_t rows, int64_t columns)
{
	if (!rows || !columns)
		return;
	struct spare *spare = (struct spare *)(void *)memory; /* the arena's pieces are of 64 bytes at least */
	*spare = (struct spare){tape->spare, rows * columns};
	tape->spare = spare;
}

static bool any_gradient(const struct array *array)
{
	while (array && !array->gradient)
		array = array->before;
	return array;
}

/* Of what the operation made that is now behind: gradients, and values that were made again. */
static void give_back(struct tape *tape, struct array *array)
{
	for (; array; array = array->before) {
		if (array->gradient) {
			tape_give(tape, array->gradient, array->rows, array->stride);
			array->gradient = NULL;
		}
		if (array->again)
			tape_done(tape, array);
	}
}

void tape_backward(struct tape *tape)
{
	for (struct operation *operation = tape->last; operation; operation = operation->before) {
		if (operation->made && !any_gradient(operation->made))
			continue;
		operation->backward(tape, operation);
		give_back(tape, operation->made);
	}
}

void tape_free(struct tape *tape)
{
	arena_free(&tape->arena);
}

static struct array *new_array(struct tape *tape, int64_t rows, int64_t columns, int64_t stride)
{
	struct array *array = arena_take(&tape->arena, 1, 1, sizeof *array);
	*array = (struct array){.rows = rows, .columns = columns, .stride = stride};
	return array;
}

struct array *tape_array(struct tape *tape, int64_t rows, int64_t columns, bool gradient)
{
	struct array *array = new_array(tape, rows, columns, columns);
	array->value = tape_take(tape, rows, columns);
	array->wanted = gradient && tape->training;
	array->before = tape->made;
	tape->made = array;
	return array;
}

struct array *tape_input(struct tape *tape, int64_t rows, int64_t columns)
{
	struct array *array = new_array(tape, rows, columns, columns);
	array->value = tape_take(tape, rows, columns);
	array->wanted = tape->training;
	return array;
}

static struct array *owner_of(struct array *array)
{
	return array->owner ? array->owner : array;
}

void tape_keep(struct array *array)
{
	owner_of(array)->kept = true;
}

void tape_keep_restored(struct array *array)
{
	owner_of(array)->restored = true;
}

void tape_restore(struct tape *tape, struct array *array)
{
	struct array *owner = owner_of(array);
	if (!owner->value) {
		owner->value = tape_take(tape, owner->rows, owner->stride);
		owner->again->again(owner->again);
	}
	array->value = owner->value + array->offset;
}

void tape_done(struct tape *tape, struct array *array)
{
	struct array *owner = owner_of(array);
	if (owner->kept || (owner->restored && !owner->again) || !owner->value)
		return;
	tape_give(tape, owner->value, owner->rows, owner->stride);
	owner->value = NULL;
}

/* The list of the table's gradient: there is one for each table, in the order of the block. */
static struct row_gradient *rows_of(const struct tape *tape, const struct param *param)
{
	struct row_gradient *list = tape->by_rows;
	while (list->offset != param->offset)
		list++;
	return list;
}

struct array *tape_params(struct tape *tape, const struct param *first, const struct param *last)
{
	int64_t count = last->value + param_count(last) - first->value;
	int64_t columns = first->n_dims == 1 ? count : first->columns;
	struct array *array = new_array(tape, count / columns, columns, columns);
	array->value = first->value;
	bool is_whole = first->packed && packed_rows(first->packed) == array->rows;
	array->packed = is_whole && !tape->in_floats ? first->packed : NULL;
	array->wanted = tape->training && !first->frozen;
	if (array->wanted && first->by_rows)
		array->by_rows = rows_of(tape, first);
	else if (array->wanted)
		array->gradient = tape->gradients + (first->offset - tape->by_rows_size);
	array->kept = array->touched = true;
	return array;
}

struct array *tape_param(struct tape *tape, const struct param *param)
{
	return param ? tape_params(tape, param, param) : NULL;
}

struct array *tape_columns(struct tape *tape, struct array *array, int64_t first, int64_t count)
{
	struct array *view = new_array(tape, array->rows, count, array->stride);
	view->value = array->value + first;
	view->wanted = array->wanted;
	view->owner = owner_of(array);
	view->offset = array->offset + first;
	return view;
}

struct array *tape_param_rows(struct tape *tape, const struct param *param, int64_t first, int64_t count)
{
	struct array *rows = tape_param(tape, param);
	rows->rows = count;
	rows->packed = NULL;
	rows->value += first * rows->stride;
	if (rows->wanted)
		rows->gradient += first * rows->stride;
	return rows;
}

struct array *tape_constant(struct tape *tape, const float *value, int64_t rows, int64_t columns)
{
	struct array *array = new_array(tape, rows, columns, columns);
	array->value = (float *)(uintptr_t)value;
	return array;
}

void tape_record(struct tape *tape, const void *operation, size_t size)
{
	struct operation *copy = memcpy(arena_take(&tape->arena, 1, 1, size), operation, size);
	copy->before = tape->last;
	copy->made = tape->made;
	tape->last = copy;
	tape->made = NULL;
}

float *tape_gradient(struct tape *tape, struct array *array)
{
	struct array *owner = owner_of(array);
	assert(!owner->by_rows);
	if (!owner->gradient)
		owner->gradient = tape_take(tape, owner->rows, owner->stride);
	return owner->gradient + array->offset;
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

float *started_gradient(struct tape *tape, struct array *array)
{
	if (!array->wanted)
		return NULL;
	float *gradient = tape_gradient(tape, array);
	if (!gradient_beta(array))
		for (int64_t r = 0; r < array->rows; r++)
			memset(gradient + r * array->stride, 0, (size_t)array->columns * sizeof *gradient);
	return gradient;
}

void tape_add_rows(struct tape *tape, struct array *table, const int32_t *id, const float *vectors, int64_t n,
	int64_t stride, float factor)
{
	if (table->by_rows) {
		row_gradient_add(table->by_rows, id, vectors, n, stride, factor);
		return;
	}
	float *gradient = started_gradient(tape, table);
	for (int64_t t = 0; t < n; t++)
		vec_axpy(factor, vectors + t * stride, gradient + id[t] * table->stride, table->columns);
}

int64_t sequences_at_once(const int64_t *indptr, int64_t first, int64_t end, int64_t tokens)
{
	int64_t last = first + 1;
	while (last < end && indptr[last + 1] - indptr[first] <= tokens)
		last++;
	return last;
}
