#include "stream/npy.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	size_t size;
	char kind; /* float, integer */
} types[N_DTYPES] = {[F2] = {"<f2", 2, 'f'},
	[F4] = {"<f4", 4, 'f'},
	[F8] = {"<f8", 8, 'f'},
	[I1] = {"|i1", 1, 'i'},
	[I2] = {"<i2", 2, 'i'},
	[I4] = {"<i4", 4, 'i'},
	[I8] = {"<i8", 8, 'i'},
	[U1] = {"|u1", 1, 'i'},
	[U2] = {"<u2", 2, 'i'},
	[U4] = {"<u4", 4, 'i'},
	[BOOL1] = {"|b1", 1, 'i'}};

size_t dtype_size(enum dtype dtype)
{
	return types[dtype].size;
}

const char *dtype_name(enum dtype dtype)
{
	return types[dtype].name;
}

int64_t tensor_count(const struct tensor *tensor)
{
	int64_t count = 1;
	for (int i = 0; i < tensor->n_dims; i++)
		count *= tensor->shape[i];
	return count;
}

size_t tensor_bytes(const struct tensor *tensor)
{
	return (size_t)tensor_count(tensor) * dtype_size(tensor->dtype);
}

struct tensor tensor_1d(enum dtype dtype, int64_t n, const void *data)
{
	return (struct tensor){.dtype = dtype, .n_dims = 1, .shape = {n}, .data = (void *)(uintptr_t)data};
}

struct tensor tensor_2d(enum dtype dtype, int64_t rows, int64_t columns, const void *data)
{
	return (struct tensor){.dtype = dtype, .n_dims = 2, .shape = {rows, columns}, .data = (void *)(uintptr_t)data};
}

/* As Python writes a tuple: "(3,)", "(3, 64)". */
static int print_shape(char *text, size_t size, const struct tensor *tensor)
{
	int length = snprintf(text, size, "(");
	for (int i = 0; i < tensor->n_dims; i++)
		length += snprintf(text + length, size - (size_t)length, i ? ", %lld" : "%lld", (long long)tensor->shape[i]);
	return length + snprintf(text + length, size - (size_t)length, tensor->n_dims == 1 ? ",)" : ")");
}

const char *tensor_describe(const struct tensor *tensor, char text[128])
{
	int length = print_shape(text, 120, tensor);
	snprintf(text + length, 128 - (size_t)length, " %s", dtype_name(tensor->dtype));
	return text;
}

void npy_header(const struct tensor *tensor, char header[NPY_HEADER])
{
	static const char start[10] = "\x93NUMPY\x01\x00\x76\x00"; /* 118 bytes follow */
	char shape[104];
	print_shape(shape, sizeof shape, tensor);
	memset(header, ' ', NPY_HEADER);
	memcpy(header, start, sizeof start);
	char text[NPY_HEADER];
	int length = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
		dtype_name(tensor->dtype), shape);
	memcpy(header + sizeof start, text, (size_t)length);
	header[NPY_HEADER - 1] = '\n';
}

/* --- parsing: a Python dict literal with three known keys --- */

struct cursor {
	const char *at, *end, *where;
};

static _Noreturn void bad_header(const struct cursor *cursor, const char *expected)
{
	die("%s: bad .npy header, %s expected", cursor->where, expected);
}

static void skip_blanks(struct cursor *cursor)
{
	while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\n'))
		cursor->at++;
}

static bool accept(struct cursor *cursor, const char *token)
{
	skip_blanks(cursor);
	size_t length = strlen(token);
	if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, token, length))
		return false;
	cursor->at += length;
	return true;
}

static void expect(struct cursor *cursor, const char *token)
{
	if (!accept(cursor, token))
		bad_header(cursor, token);
}

static void parse_quoted(struct cursor *cursor, char *text, size_t size)
{
	skip_blanks(cursor);
	if (cursor->at == cursor->end || (*cursor->at != '\'' && *cursor->at != '"'))
		bad_header(cursor, "a quoted string");
	char quote = *cursor->at++;
	size_t length = 0;
	while (cursor->at < cursor->end && *cursor->at != quote && length + 1 < size)
		text[length++] = *cursor->at++;
	if (cursor->at == cursor->end || *cursor->at++ != quote)
		bad_header(cursor, "the end of a quoted string");
	text[length] = '\0';
}

static void parse_descr(struct cursor *cursor, struct tensor *tensor)
{
	char text[16];
	parse_quoted(cursor, text, sizeof text);
	for (int i = 0; i < N_DTYPES; i++)
		if (!strcmp(text, types[i].name) ||
			(types[i].size == 1 && text[0] == '<' && !strcmp(text + 1, types[i].name + 1))) {
			tensor->dtype = (enum dtype)i;
			return;
		}
	die("%s: dtype '%s', little-endian floats or integers were expected", cursor->where, text);
}

static void parse_shape(struct cursor *cursor, struct tensor *tensor)
{
	expect(cursor, "(");
	while (!accept(cursor, ")")) {
		skip_blanks(cursor);
		if (tensor->n_dims == NPY_MAX_DIMS)
			die("%s: more than %d dimensions", cursor->where, NPY_MAX_DIMS);
		int64_t n = 0;
		int digits = 0;
		for (; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9'; cursor->at++, digits++)
			if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *cursor->at - '0', &n))
				die("%s: a dimension does not fit 64 bits", cursor->where);
		if (!digits)
			bad_header(cursor, "a dimension");
		tensor->shape[tensor->n_dims++] = n;
		if (!accept(cursor, ",")) {
			expect(cursor, ")");
			break;
		}
	}
}

static void parse_dict(struct cursor *cursor, struct tensor *tensor)
{
	bool has_descr = false, has_order = false, has_shape = false;
	expect(cursor, "{");
	while (!accept(cursor, "}")) {
		char key[32];
		parse_quoted(cursor, key, sizeof key);
		expect(cursor, ":");
		if (!strcmp(key, "descr") && !has_descr) {
			parse_descr(cursor, tensor);
			has_descr = true;
		} else if (!strcmp(key, "fortran_order") && !has_order) {
			if (accept(cursor, "True"))
				die("%s: Fortran order, C order was expected", cursor->where);
			expect(cursor, "False");
			has_order = true;
		} else if (!strcmp(key, "shape") && !has_shape) {
			parse_shape(cursor, tensor);
			has_shape = true;
		} else {
			bad_header(cursor, "descr, fortran_order and shape were");
		}
		if (!accept(cursor, ",")) {
			expect(cursor, "}");
			break;
		}
	}
	if (!has_descr || !has_order || !has_shape)
		bad_header(cursor, "descr, fortran_order and shape were");
}

void npy_parse(const char *bytes, size_t size, struct tensor *tensor, const char *where)
{
	if (size < 10 || memcmp(bytes, "\x93NUMPY", 6))
		die("%s: not a .npy array", where);
	if (bytes[6] != 1 || bytes[7] != 0)
		die("%s: .npy version %d.%d, 1.0 was expected", where, (unsigned char)bytes[6], (unsigned char)bytes[7]);
	size_t header = 10 + (size_t)((unsigned char)bytes[8] | (unsigned char)bytes[9] << 8);
	if (header > size)
		die("%s: the .npy header is cut off", where);
	*tensor = (struct tensor){0};
	struct cursor cursor = {bytes + 10, bytes + header, where};
	parse_dict(&cursor, tensor);
	size_t expected = dtype_size(tensor->dtype);
	for (int i = 0; i < tensor->n_dims; i++)
		if (__builtin_mul_overflow(expected, (size_t)tensor->shape[i], &expected) || expected > SIZE_MAX / 4)
			die("%s: the shape's product overflows", where);
	if (expected != size - header) {
		char text[128];
		die("%s: %zu bytes of data, %s needs %zu", where, size - header, tensor_describe(tensor, text), expected);
	}
	tensor->data = (void *)(uintptr_t)(bytes + header);
}

/* --- conversion --- */

static double half_to_double(uint16_t half)
{
	int exponent = half >> 10 & 31, fraction = half & 1023;
	double value = exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY) :
		exponent                  ? ldexp(1024 + fraction, exponent - 25) :
									ldexp(fraction, -24);
	return half & 0x8000 ? -value : value;
}

static double float_at(const struct tensor *tensor, int64_t i)
{
	const char *at = (const char *)tensor->data + (size_t)i * dtype_size(tensor->dtype);
	uint16_t half;
	float single;
	double value;
	switch (tensor->dtype) {
	case F2: memcpy(&half, at, 2); return half_to_double(half);
	case F4: memcpy(&single, at, 4); return (double)single;
	default: memcpy(&value, at, 8); return value;
	}
}

static int64_t integer_at(const struct tensor *tensor, int64_t i)
{
	const char *at = (const char *)tensor->data + (size_t)i * dtype_size(tensor->dtype);
	int64_t value = 0;
	memcpy(&value, at, dtype_size(tensor->dtype));
	switch (tensor->dtype) {
	case I1: return (int8_t)value;
	case I2: return (int16_t)value;
	case I4: return (int32_t)value;
	default: return value;
	}
}

#define BLOCK 4096 /* numbers looked at together */

static bool all_finite(const float *values, int64_t count)
{
	int32_t finite = 0; /* counted, which compilers do several at a time */
	for (int64_t i = 0; i < count; i++)
		finite += fabsf(values[i]) <= FLT_MAX;
	return finite == count;
}

void floats_check(const struct tensor *tensor, const float *values, const char *where)
{
	const int64_t count = tensor_count(tensor);
	const int64_t width = tensor->n_dims > 1 && tensor->shape[0] ? count / tensor->shape[0] : 1;
	for (int64_t from = 0; from < count; from += BLOCK) {
		const int64_t end = from + BLOCK < count ? from + BLOCK : count;
		if (all_finite(values + from, end - from))
			continue;
		while (isfinite(values[from]))
			from++;
		die("%s: row %lld: %f, finite numbers were expected", where, (long long)(from / width), (double)values[from]);
	}
}

static void to_floats(const struct tensor *tensor, float *values, const char *where)
{
	const int64_t count = tensor_count(tensor);
	if (tensor->dtype == F4 && count)
		memcpy(values, tensor->data, (size_t)count * sizeof *values);
	else
		for (int64_t i = 0; i < count; i++)
			values[i] = (float)float_at(tensor, i);
	floats_check(tensor, values, where);
}

static void to_integers(const struct tensor *tensor, enum dtype dtype, char *values, const char *where)
{
	const int64_t count = tensor_count(tensor);
	const size_t size = dtype_size(dtype);
	if (tensor->dtype == dtype) {
		if (count)
			memcpy(values, tensor->data, (size_t)count * size);
		return;
	}
	int64_t low = dtype == I4 ? INT32_MIN : dtype == U1 ? 0 : INT64_MIN;
	int64_t high = dtype == I4 ? INT32_MAX : dtype == U1 ? UINT8_MAX : INT64_MAX;
	for (int64_t i = 0; i < count; i++) {
		int64_t value = integer_at(tensor, i);
		if (value < low || value > high)
			die("%s: row %lld: %lld does not fit %s", where, (long long)i, (long long)value, dtype_name(dtype));
		memcpy(values + (size_t)i * size, &value, size);
	}
}

void tensor_convert(const struct tensor *tensor, enum dtype dtype, void *to, const char *where)
{
	if (types[tensor->dtype].kind != types[dtype].kind)
		die("%s: dtype %s, %s was expected", where, dtype_name(tensor->dtype), dtype_name(dtype));
	if (types[dtype].kind == 'f')
		to_floats(tensor, to, where);
	else
		to_integers(tensor, dtype, to, where);
}

void *tensor_as(const struct tensor *tensor, enum dtype dtype, const char *where)
{
	void *values = xaligned_room((size_t)tensor_count(tensor), dtype_size(dtype));
	tensor_convert(tensor, dtype, values, where);
	return values;
}
