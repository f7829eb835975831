/* Tensors from .npy of every type, as NumPy would convert them, and headers that are wrong. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "death.h"
#include "stream/npy.h"

/* --- other types --- */

static void floats_of_other_widths(void **state)
{
	(void)state;
	/* 1, -2, the largest, the smallest normal, the largest and the smallest subnormal, -0 */
	static const uint16_t half[] = {0x3c00, 0xc000, 0x7bff, 0x0400, 0x03ff, 0x0001, 0x8000};
	static const float of_half[] = {1, -2, 65504, 0x1p-14f, 0x3ffp-24f, 0x1p-24f, -0.0f};
	static const double wide[] = {1.0 / 3, -1e-40, 3e38};
	struct tensor tensor = tensor_1d(F2, COUNT_OF(half), half);
	float *values = tensor_as(&tensor, F4, "half");
	assert_memory_equal(values, of_half, sizeof of_half);
	free(values);
	tensor = tensor_1d(F8, COUNT_OF(wide), wide);
	values = tensor_as(&tensor, F4, "wide");
	for (size_t i = 0; i < COUNT_OF(wide); i++)
		assert_true(values[i] == (float)wide[i]);
	free(values);
}

static void integers_of_other_widths(void **state)
{
	(void)state;
	static const int8_t one[] = {-128, 127};
	static const int16_t two[] = {-32768, 32767};
	static const int32_t four[] = {INT32_MIN, INT32_MAX};
	static const uint8_t u1[] = {0, 255};
	static const uint16_t u2[] = {0, 65535};
	static const uint32_t u4[] = {0, UINT32_MAX};
	static const struct {
		enum dtype dtype;
		const void *data;
		int64_t values[2];
	} cases[] = {{I1, one, {-128, 127}}, {I2, two, {-32768, 32767}}, {I4, four, {INT32_MIN, INT32_MAX}},
		{U1, u1, {0, 255}}, {U2, u2, {0, 65535}}, {U4, u4, {0, UINT32_MAX}}};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct tensor tensor = tensor_1d(cases[i].dtype, 2, cases[i].data);
		int64_t *values = tensor_as(&tensor, I8, "integers");
		assert_memory_equal(values, cases[i].values, sizeof cases[i].values);
		free(values);
	}
	static const int64_t fit[] = {0, 7, 255};
	struct tensor tensor = tensor_1d(I8, COUNT_OF(fit), fit);
	uint8_t *bytes = tensor_as(&tensor, U1, "bytes");
	assert_memory_equal(bytes, ((uint8_t[]){0, 7, 255}), 3);
	free(bytes);
}

struct conversion {
	enum dtype from, to;
	const void *data;
	int64_t n;
};

static void convert(const void *context)
{
	const struct conversion *c = context;
	struct tensor tensor = tensor_1d(c->from, c->n, c->data);
	free(tensor_as(&tensor, c->to, "that"));
}

static void what_does_not_fit(void **state)
{
	(void)state;
	static const uint16_t infinite[] = {0x3c00, 0xfc00}, none[] = {0x7e00};
	static const double large[] = {1e39};
	static const int64_t long_one[] = {5, 1ll << 31}, negative[] = {-1};
	static const float number[] = {1};
	expect_death(convert, &(struct conversion){F2, F4, infinite, 2}, "that: row 1: -inf, finite numbers were expected");
	expect_death(convert, &(struct conversion){F2, F4, none, 1}, "that: row 0: nan");
	expect_death(convert, &(struct conversion){F8, F4, large, 1}, "that: row 0: inf");
	expect_death(convert, &(struct conversion){I8, I4, long_one, 2}, "that: row 1: 2147483648 does not fit <i4");
	expect_death(convert, &(struct conversion){I8, U1, negative, 1}, "that: row 0: -1 does not fit |u1");
	expect_death(convert, &(struct conversion){F4, I4, number, 1}, "that: dtype <f4, <i4 was expected");
	expect_death(convert, &(struct conversion){I8, F4, negative, 1}, "that: dtype <i8, <f4 was expected");
}

/* --- headers --- */

/* The bytes of an array with this dictionary and eight bytes of data. */
static size_t with_dictionary(const char *dictionary, char bytes[256])
{
	size_t length = strlen(dictionary);
	memcpy(bytes, "\x93NUMPY\1\0", 8);
	bytes[8] = (char)length;
	bytes[9] = 0;
	memcpy(bytes + 10, dictionary, length);
	memset(bytes + 10 + length, 0, 8);
	return length + 18;
}

static void parse(const void *context)
{
	char bytes[256];
	struct tensor tensor;
	npy_parse(bytes, with_dictionary(context, bytes), &tensor, "that");
}

static void headers_as_others_write_them(void **state)
{
	(void)state;
	static const char *const fine[] = {
		"{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }\n",
		"{\"shape\":(2,1),\"fortran_order\":False,\"descr\":\"<i4\"}",
		"{'descr': '<f8', 'fortran_order': False, 'shape': ()}",
		"{'descr': '|b1', 'fortran_order': False, 'shape': (2, 4), }      ",
		"{'descr': '<u1', 'fortran_order': False, 'shape': (8,)}",
	};
	for (size_t i = 0; i < COUNT_OF(fine); i++) {
		char bytes[256];
		struct tensor tensor;
		npy_parse(bytes, with_dictionary(fine[i], bytes), &tensor, fine[i]);
		assert_int_equal(tensor_bytes(&tensor), 8);
	}
}

static void headers_that_are_wrong(void **state)
{
	(void)state;
	static const struct {
		const char *dictionary, *says;
	} wrong[] = {
		{"", "that: bad .npy header, { expected"},
		{"{'descr': '<i4'", "that: bad .npy header, } expected"},
		{"{descr: '<i4'}", "a quoted string expected"},
		{"{'descr", "the end of a quoted string expected"},
		{"{'descr' '<i4'}", "that: bad .npy header, : expected"},
		{"{'descr': '<i4', 'descr': '<i4'}", "descr, fortran_order and shape were expected"},
		{"{'descr': '<i4', 'shape': (2,)}", "descr, fortran_order and shape were expected"},
		{"{'descr': '>i4', 'fortran_order': False, 'shape': (2,)}", "dtype '>i4'"},
		{"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", "dtype '<c8'"},
		{"{'descr': '<i4', 'fortran_order': True, 'shape': (2,)}", "Fortran order, C order was expected"},
		{"{'descr': '<i4', 'fortran_order': no, 'shape': (2,)}", "False expected"},
		{"{'descr': '<i4', 'fortran_order': False, 'shape': 2}", "( expected"},
		{"{'descr': '<i4', 'fortran_order': False, 'shape': (two,)}", "a dimension expected"},
		{"{'descr': '<i4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 2)}", "more than 4 dimensions"},
		{"{'descr': '<i4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
			"a dimension does not fit 64 bits"},
		{"{'descr': '<i4', 'fortran_order': False, 'shape': (9223372036854775807, 2)}",
			"the shape's product overflows"},
		{"{'descr': '<i4', 'fortran_order': False, 'shape': (3,)}", "that: "},
	};
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		expect_death(parse, wrong[i].dictionary, wrong[i].says);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(floats_of_other_widths),
		cmocka_unit_test(integers_of_other_widths),
		cmocka_unit_test(what_does_not_fit),
		cmocka_unit_test(headers_as_others_write_them),
		cmocka_unit_test(headers_that_are_wrong),
	};
	return cmocka_run_group_tests_name("npy", tests, NULL, NULL);
}
