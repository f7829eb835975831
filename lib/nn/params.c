#include "nn/params.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nn/vec.h"

struct param *params_add(struct params *params, int64_t rows, int64_t columns, bool frozen, const char *name, ...)
{
	struct param *param = xcalloc(1, sizeof *param);
	va_list arguments;
	va_start(arguments, name);
	vsnprintf(param->name, sizeof param->name, name, arguments);
	va_end(arguments);
	param->n_dims = rows ? 2 : 1;
	param->rows = rows ? rows : 1;
	param->columns = columns;
	param->frozen = frozen;
	int64_t count;
	if (rows < 0 || columns < 1 || __builtin_mul_overflow(param->rows, columns, &count) || count > INT64_MAX / 64)
		die("%s: a tensor of %lld x %lld", param->name, (long long)rows, (long long)columns);
	if (params->count == params->capacity) {
		params->capacity = params->capacity ? 2 * params->capacity : 32;
		params->list = xreallocarray(params->list, (size_t)params->capacity, sizeof *params->list);
	}
	params->list[params->count++] = param;
	return param;
}

void param_freeze(struct param *param, const float *value)
{
	param->frozen = true;
	param->borrowed = value != NULL;
	param->value = (float *)(uintptr_t)value;
}

static int64_t place(struct params *params, bool derived, bool frozen, int64_t offset)
{
	for (int i = 0; i < params->count; i++) {
		struct param *param = params->list[i];
		if (param->derived != derived || param->frozen != frozen || param->borrowed)
			continue;
		param->offset = offset;
		if (__builtin_add_overflow(offset, param_count(param), &offset))
			die("%s: the model is too large", param->name);
	}
	return offset;
}

void params_allocate(struct params *params)
{
	params->trainable = place(params, false, false, 0);
	params->gradients = place(params, true, false, params->trainable);
	params->size = place(params, false, true, params->gradients);
	params->value = xaligned((size_t)params->size, sizeof *params->value);
	for (int i = 0; i < params->count; i++)
		if (!params->list[i]->borrowed)
			params->list[i]->value = params->value + params->list[i]->offset;
}

void params_pack(struct param *first, const struct param *last, enum packing packing)
{
	int64_t count = last->value + param_count(last) - first->value;
	packed_free(first->packed);
	first->packed = packing == PACKED_NOT ? NULL :
											packed_new(packing, first->value, count / first->columns, first->columns);
}

void params_drop(const struct param *first, const struct param *last)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const uintptr_t begin = ((uintptr_t)first->value + page - 1) / page * page;
	const uintptr_t end = (uintptr_t)(last->value + param_count(last)) / page * page;
	if (!first->borrowed && begin < end)
		madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void params_unpack(struct params *params)
{
	for (int i = 0; i < params->count; i++) {
		packed_free(params->list[i]->packed);
		params->list[i]->packed = NULL;
	}
}

void params_by_rows(struct params *params)
{
	for (int i = 0; i < params->count; i++) {
		struct param *param = params->list[i];
		if (param->frozen || param->derived || param->borrowed)
			continue;
		if (!param->of_items)
			return;
		param->by_rows = true;
		params->by_rows += param_count(param);
	}
}

void param_by_rows(struct params *params, struct param *param)
{
	assert(param->offset == params->by_rows && param->offset < params->trainable);
	param->by_rows = param->summed = true;
	params->by_rows += param_count(param);
}

struct param *params_find(const struct params *params, const char *name)
{
	for (int i = 0; i < params->count; i++)
		if (!strcmp(params->list[i]->name, name))
			return params->list[i];
	return NULL;
}

int64_t param_count(const struct param *param)
{
	return param->rows * param->columns;
}

struct tensor param_tensor(const struct param *param)
{
	return param->n_dims == 1 ? tensor_1d(F4, param->columns, param->value) :
								tensor_2d(F4, param->rows, param->columns, param->value);
}

void params_free(struct params *params)
{
	params_unpack(params);
	for (int i = 0; i < params->count; i++)
		free(params->list[i]);
	free(params->list);
	free(params->value);
	*params = (struct params){0};
}

void param_fill(struct param *param, float value)
{
	for (int64_t i = 0; i < param_count(param); i++)
		param->value[i] = value;
}

void param_normal(struct param *param, struct rng *rng, double deviation)
{
	enum { BLOCK = 256 };
	double u[BLOCK], v[BLOCK];
	for (int64_t from = 0, n; from < param_count(param); from += n) {
		float *value = param->value + from;
		n = param_count(param) - from < BLOCK ? param_count(param) - from : BLOCK;
		for (int64_t i = 0; i < n; i++) {
			u[i] = rng_uniform(rng);
			v[i] = rng_uniform(rng);
		}
		vec_normal(u, v, deviation, value, n);
		for (int64_t i = 0; i < n; i++)
			if (value[i] == VEC_NORMAL_UNSURE)
				value[i] = (float)(deviation * normal_of(u[i], v[i]));
	}
}

void param_uniform(struct param *param, struct rng *rng, double bound)
{
	for (int64_t i = 0; i < param_count(param); i++)
		param->value[i] = (float)(bound * (2 * rng_uniform(rng) - 1));
}

void param_xavier(struct param *param, struct rng *rng)
{
	param_normal(param, rng, sqrt(2.0 / (double)(param->rows + param->columns)));
}
