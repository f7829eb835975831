/* Tables written as a stream and taken back, and what of them is refused. */
#include "data/embedding.h"
#include "data/sequences.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "death.h"

static char path[] = "/tmp/test_tables.XXXXXX";

static const char *const ids = "a\0b\0c";

/* What is written, and where it differs from a whole embedding of the three items. */
struct case_of {
	const char *catalog; /* NULL: theirs */
	int64_t rows, width, said_width;
	float value; /* of the last entry */
	int shards;
	bool no_catalog, no_embedding;
};

static void write_embedding(struct bag_out *out, const struct case_of *c, const char *catalog, int shard)
{
	float vector[3][2] = {{1, 2}, {3, 4}, {5, c->value}};
	int64_t from = c->rows * (shard - 1) / c->shards, rows = c->rows * shard / c->shards - from;
	const struct column column = {"vector", COLUMN_WIDE, F4, c->width};
	bag_begin(out, &embedding_group, 7, shard, c->shards,
		json_pack("{s:s, s:I, s:s}", "catalog", c->catalog ? c->catalog : catalog, "width", (json_int_t)c->said_width,
			"source", "tfidf"));
	bag_add_rows(out, rows, &column, (const void *[]){vector[from]}, 1);
	bag_end(out);
}

static void write_stream(const struct case_of *c)
{
	char catalog[17];
	struct bag_out *out = bag_create(path, 1);
	fingerprint_text(fingerprint(FINGERPRINT_START, ids, 6), catalog);
	if (!c->no_catalog) {
		const struct column column = {"item_id", COLUMN_TEXT, U1, 0};
		bag_begin(out, &catalog_group, 1, 1, 1, json_pack("{s:s}", "fingerprint", catalog));
		bag_add_rows(out, 3, &column, (const void *[]){ids}, 1);
		bag_end(out);
	}
	for (int shard = 1; shard <= c->shards && !c->no_embedding; shard++)
		write_embedding(out, c, catalog, shard);
	bag_finish(out, NULL);
}

static void read_stream(struct catalog *catalog, struct embedding *embedding)
{
	struct bag *bag = bag_open((char *const[]){path, NULL});
	bag_take(bag, &catalog_group, catalog);
	bag_take(bag, &embedding_group, embedding);
	bag_read(bag);
	embedding_check(embedding, catalog);
}

static void shards_of_an_embedding_join(void **state)
{
	(void)state;
	for (int shards = 1; shards <= 3; shards++) {
		struct catalog catalog = {0};
		struct embedding embedding = {0};
		write_stream(&(struct case_of){.rows = 3, .width = 2, .said_width = 2, .value = 6, .shards = shards});
		read_stream(&catalog, &embedding);
		assert_int_equal(embedding.rows, 3);
		assert_int_equal(embedding.width, 2);
		assert_string_equal(embedding.group.id, "0000000000000007");
		assert_string_equal(json_get_string(embedding.group.meta, "source", "meta"), "tfidf");
		for (int i = 0; i < 6; i++)
			assert_true(embedding.vector[i] == (float)(i + 1));
		embedding_free(&embedding);
		catalog_free(&catalog);
	}
}

static void read_it(const void *context)
{
	(void)context;
	read_stream(&(struct catalog){0}, &(struct embedding){0});
}

static void refuse(const struct case_of *c, const char *says)
{
	write_stream(c);
	expect_death(read_it, NULL, says);
}

static void wrong_embeddings_are_errors(void **state)
{
	(void)state;
	const struct case_of good = {.rows = 3, .width = 2, .said_width = 2, .shards = 1};
	struct case_of c = good;
	c.rows = 2;
	refuse(&c, "2 vectors, the catalog has 3 items");
	c = good;
	c.said_width = 3;
	refuse(&c, "vector: (3, 2) <f4, (3, 3) was expected");
	c.said_width = 0;
	refuse(&c, "width");
	c = good;
	c.value = 1.0f / 0.0f;
	refuse(&c, "vector");
	c = good;
	c.catalog = "0123456789abcdef";
	refuse(&c, "of another catalog than that of");
	c.catalog = "0123";
	refuse(&c, "16 hexadecimal digits");
	c = good;
	c.no_catalog = true;
	refuse(&c, "no catalog");
	c = good;
	c.no_embedding = true;
	refuse(&c, "no embedding");
}

/* How many of 0, 2, 3 and 5 events are training, and the indices of the targets, by what is held out. */
static void test_holdout(void **state)
{
	(void)state;
	static const struct {
		enum holdout holdout;
		int64_t train[4], valid[4], test[4];
	} cases[] = {
		{HOLDOUT_LAST, {0, 2, 1, 3}, {-1, -1, 1, 3}, {-1, -1, 2, 4}},
		{HOLDOUT_TIME, {0, 1, 1, 1}, {-1, 1, 1, 1}, {-1, -1, 2, 2}},
		{HOLDOUT_NONE, {0, 2, 3, 5}, {-1, -1, -1, -1}, {-1, -1, -1, -1}},
	};
	int64_t indptr[] = {0, 0, 2, 5, 10}, timestamp[] = {1, 2, 1, 2, 3, 1, 2, 3, 4, 5};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct sequences sequences = {.n_users = 4,
			.indptr = indptr,
			.timestamp = timestamp,
			.holdout = cases[i].holdout,
			.split_time = 3};
		for (int64_t user = 0; user < 4; user++) {
			assert_int_equal(train_length(&sequences, user), cases[i].train[user]);
			assert_int_equal(target_index(&sequences, user, PART_TRAIN), -1);
			assert_int_equal(target_index(&sequences, user, PART_VALID), cases[i].valid[user]);
			assert_int_equal(target_index(&sequences, user, PART_TEST), cases[i].test[user]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holdout),
		cmocka_unit_test(shards_of_an_embedding_join),
		cmocka_unit_test(wrong_embeddings_are_errors),
	};
	int fd = mkstemp(path);
	if (fd < 0)
		return 1;
	close(fd);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
