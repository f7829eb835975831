/* Rows of differing length, packed end to end. */
#include "stream/ragged.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const int32_t numbers[] = {10, 11, 12, 13, 14, 15};
static const int64_t times[] = {100, 101, 102, 103, 104, 105};

static void expect_rows(const struct ragged *ragged, const int64_t *indptr, int64_t rows, const int32_t *number)
{
	assert_int_equal(ragged->rows, rows);
	assert_int_equal(ragged_count(ragged), indptr[rows]);
	for (int64_t row = 0; row <= rows; row++)
		assert_int_equal(ragged->indptr[row], indptr[row]);
	for (int64_t i = 0; i < indptr[rows]; i++) {
		assert_int_equal(((const int32_t *)ragged->field[0])[i], number[i]);
		assert_int_equal(((const int64_t *)ragged->field[1])[i], number[i] + 90);
	}
}

static void rows_are_appended_alone_and_together(void **state)
{
	(void)state;
	struct ragged ragged = RAGGED(I4, I8), other = RAGGED(I4, I8);
	ragged_clear(&ragged);
	expect_rows(&ragged, (const int64_t[]){0}, 0, NULL);
	ragged_append(&ragged, 2, (const void *[]){numbers, times});
	ragged_append(&ragged, 0, (const void *[]){NULL, NULL});
	ragged_append(&ragged, 1, (const void *[]){numbers + 4, times + 4});
	expect_rows(&ragged, (const int64_t[]){0, 2, 2, 3}, 3, (const int32_t[]){10, 11, 14});
	/* of another table, which starts anywhere */
	ragged_append_rows(&ragged, 2, (const int64_t[]){7, 8, 10}, (const void *[]){numbers + 1, times + 1});
	expect_rows(&ragged, (const int64_t[]){0, 2, 2, 3, 4, 6}, 5, (const int32_t[]){10, 11, 14, 11, 12, 13});
	ragged_append_row(&other, &ragged, 4);
	expect_rows(&other, (const int64_t[]){0, 2}, 1, (const int32_t[]){12, 13});
	ragged_clear(&ragged);
	ragged_append_rows(&ragged, 0, (const int64_t[]){0}, (const void *[]){NULL, NULL});
	expect_rows(&ragged, (const int64_t[]){0}, 0, NULL);
	ragged_free(&ragged);
	ragged_append(&ragged, 1, (const void *[]){numbers, times});
	expect_rows(&ragged, (const int64_t[]){0, 1}, 1, numbers);
	ragged_free(&ragged);
	ragged_free(&other);
}

static void a_row_is_filled_in_place_and_cut(void **state)
{
	(void)state;
	struct ragged ragged = RAGGED(I4);
	for (int64_t row = 0; row < 1000; row++) {
		int64_t at = ragged_add(&ragged, 8);
		for (int64_t i = 0; i < row % 8; i++)
			((int32_t *)ragged.field[0])[at + i] = (int32_t)(row + i);
		ragged_shorten(&ragged, row % 8);
	}
	assert_int_equal(ragged_count(&ragged), 125 * 28);
	for (int64_t row = 0; row < 1000; row++) {
		assert_int_equal(ragged.indptr[row + 1] - ragged.indptr[row], row % 8);
		for (int64_t i = 0; i < row % 8; i++)
			assert_int_equal(((int32_t *)ragged.field[0])[ragged.indptr[row] + i], row + i);
	}
	ragged_free(&ragged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_appended_alone_and_together),
		cmocka_unit_test(a_row_is_filled_in_place_and_cut),
	};
	return cmocka_run_group_tests_name("ragged", tests, NULL, NULL);
}
