/* Ids and their rows, one by one and many at a time; batches made ahead. */
#include "data/strings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "data/short_bytes.h"
#include "data/utf8.h"
#include "death.h"
#include "stream/ahead.h"

/* Ids of differing length, the same ones again and again, also within a group; one is empty. */
static void test_intern_all(void **state)
{
	(void)state;
	enum { COUNT = 100000, BATCH = 777 };
	struct strings one = {0}, all = {0};
	struct rng rng;
	rng_seed(&rng, 1);
	for (int done = 0; done < COUNT; done += BATCH) {
		static char id[BATCH][64];
		const char *text[BATCH];
		size_t length[BATCH];
		int32_t row[BATCH];
		for (int i = 0; i < BATCH; i++) {
			const int number = (int)rng_below(&rng, i % 2 ? 20000 : 20);
			length[i] = number ? (size_t)snprintf(id[i], sizeof id[i], "%0*d", number % 40 + 1, number) : 0;
			text[i] = id[i];
		}
		strings_intern_all(&all, text, length, BATCH, row);
		for (int i = 0; i < BATCH; i++)
			assert_int_equal(row[i], strings_intern(&one, text[i], length[i]));
	}
	assert_int_equal(one.count, all.count);
	assert_int_equal(one.text.size, all.text.size);
	assert_memory_equal(one.text.data, all.text.data, one.text.size);
	for (int64_t row = 0; row < all.count; row++)
		assert_int_equal(strings_find(&all, strings_at(&all, row), strlen(strings_at(&all, row))), row);
	assert_int_equal(strings_find(&all, "none", 4), -1);
	strings_free(&one);
	strings_free(&all);
}

/* Of every length, where one byte differs, at every place; and one that is no UTF-8. */
static void test_one_byte(void **state)
{
	(void)state;
	char text[41], other[41];
	for (size_t length = 0; length <= sizeof text; length++) {
		memset(text, 'a', length);
		memset(other, 'a', length);
		assert_true(same_bytes(text, other, length));
		assert_true(utf8_is_valid(text, length));
		for (size_t i = 0; i < length; i++) {
			struct strings ids = {0};
			other[i] = (char)0x80;
			assert_false(same_bytes(text, other, length));
			assert_false(utf8_is_valid(other, length));
			assert_int_equal(strings_intern(&ids, text, length), 0);
			assert_int_equal(strings_intern(&ids, other, length), 1);
			assert_int_equal(strings_find(&ids, text, length), 0);
			strings_free(&ids);
			other[i] = 'a';
		}
	}
	memcpy(text, "ab", 2);
	memcpy(other, "ba", 2);
	assert_true(few_bytes(text, 2) != few_bytes(other, 2));
}

/* What is added after an index was made is found, too; of equal strings the first. */
static void test_added(void **state)
{
	(void)state;
	struct strings ids = {0};
	strings_add(&ids, "a", 1);
	assert_int_equal(strings_find(&ids, "a", 1), 0);
	strings_add(&ids, "ab", 2);
	strings_add(&ids, "a", 1);
	assert_int_equal(strings_find(&ids, "ab", 2), 1);
	assert_int_equal(strings_find(&ids, "a", 1), 0);
	assert_int_equal(strings_intern(&ids, "b", 1), 3);
	strings_free(&ids);
}

enum { BATCHES = 1000 };
struct counting {
	int next, taken, dies_at;
};

static bool make(void *context, void *batch)
{
	struct counting *counting = context;
	*(int *)batch = counting->next++;
	if (counting->next == counting->dies_at)
		die("made %d", counting->next);
	return counting->next < BATCHES;
}

static void take(void *context, void *batch)
{
	struct counting *counting = context;
	assert_int_equal(*(int *)batch, counting->taken++);
	if (counting->dies_at && counting->taken == counting->dies_at - 1)
		die("took %d", counting->taken);
}

static void run(struct counting *counting, int n)
{
	int number[4];
	ahead_run(&(struct ahead_work){make, take, counting}, (void *[]){number, number + 1, number + 2, number + 3}, n);
}

static void test_ahead(void **state)
{
	(void)state;
	for (int n = 1; n <= 4; n++) {
		struct counting counting = {0};
		run(&counting, n);
		assert_int_equal(counting.taken, BATCHES);
	}
}

static void die_behind(const void *n)
{
	run(&(struct counting){.dies_at = 20}, *(const int *)n);
}

/* The maker is at its end before the taker is at its own, and yet that comes first. */
static void test_order_of_death(void **state)
{
	(void)state;
	for (int n = 1; n <= 4; n++)
		expect_death(die_behind, &n, "took 19");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intern_all),
		cmocka_unit_test(test_one_byte),
		cmocka_unit_test(test_added),
		cmocka_unit_test(test_ahead),
		cmocka_unit_test(test_order_of_death),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
