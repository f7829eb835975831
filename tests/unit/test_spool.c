/* What is kept comes back the same, from memory and from the file behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "death.h"
#include "stream/spool.h"

#define BLOCK (1 << 20)

static void keep_and_replay(struct spool *spool, size_t blocks)
{
	uint64_t *block = xmalloc(BLOCK);
	struct rng written, read;
	rng_seed(&written, 7);
	rng_seed(&read, 7);
	for (size_t i = 0; i < blocks; i++) {
		for (size_t word = 0; word < BLOCK / sizeof *block; word++)
			block[word] = rng_next(&written);
		spool_write(spool, block, BLOCK);
	}
	for (int pass = 0; pass < 2; pass++) {
		spool_rewind(spool);
		rng_seed(&read, 7);
		for (size_t i = 0; i < blocks; i++) {
			assert_true(spool_read(spool, block, BLOCK));
			for (size_t word = 0; word < BLOCK / sizeof *block; word++)
				assert_int_equal(block[word], rng_next(&read));
		}
		assert_true(spool_read(spool, block, 0));
		assert_false(spool_read(spool, block, 1));
	}
	free(block);
}

static void in_memory(void **state)
{
	(void)state;
	struct spool spool = {0};
	keep_and_replay(&spool, 3);
	assert_false(spool.in_file);
	spool_free(&spool);
	keep_and_replay(&spool, 1);
	spool_free(&spool);
}

static void in_a_file(void **state)
{
	(void)state;
	struct spool spool = {0};
	keep_and_replay(&spool, SPOOL_MEMORY / BLOCK + 2);
	assert_true(spool.in_file);
	spool_free(&spool);
}

static void nothing(void **state)
{
	(void)state;
	struct spool spool = {0};
	char byte;
	spool_rewind(&spool);
	assert_false(spool_read(&spool, &byte, 1));
	spool_free(&spool);
}

static void fill(const void *folder)
{
	struct spool spool = {0};
	setenv("TMPDIR", folder, 1);
	char *block = xcalloc(BLOCK, 1);
	for (size_t i = 0; i <= SPOOL_MEMORY / BLOCK; i++)
		spool_write(&spool, block, BLOCK);
}

static void nowhere(void **state)
{
	(void)state;
	expect_death(fill, "/missing/folder", "temporary file in /missing/folder (TMPDIR names another folder): ");
	expect_death(fill, "/proc", "temporary file in /proc");
}

int main(void)
{
	program_name = "test_spool";
	const struct CMUnitTest tests[] = {cmocka_unit_test(in_memory), cmocka_unit_test(in_a_file),
		cmocka_unit_test(nothing), cmocka_unit_test(nowhere)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
