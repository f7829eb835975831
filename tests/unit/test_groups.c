/* Groups written as a stream and read again: by whom, in which parts, and what of them is refused. */
#include "data/embedding.h"
#include "data/sequences.h"
#include "data/tokenizer_group.h"
#include "model/model_group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "death.h"
#include "stream/progress.h"

static char path[] = "/tmp/test_groups.XXXXXX", other[] = "/tmp/test_groups.XXXXXX";

static const char ids[] = "a\0b\0c";
enum { ITEMS = 3 };

static const struct column item_id = {"item_id", COLUMN_TEXT, U1, 0};

static void read_into(const struct group_kind *kind, void *group)
{
	struct bag *bag = bag_open((char *const[]){path, NULL});
	bag_take(bag, kind, group);
	bag_read(bag);
}

/* --- the catalog's text --- */

static void write_text(struct bag_out *out, json_t *meta, const char *column_name)
{
	const struct column columns[] = {item_id, {column_name, COLUMN_TEXT, U1, 0}};
	char text[17];
	fingerprint_text(fingerprint(FINGERPRINT_START, ids, sizeof ids), text);
	json_set(meta, "fingerprint", json_string(text));
	bag_begin(out, &catalog_group, 1, 1, 1, meta);
	bag_add_rows(out, ITEMS, columns, (const void *[]){ids, "first\0\0third"}, 2);
	bag_end(out);
}

static void write_catalog(json_t *meta, const char *column_name)
{
	struct bag_out *out = bag_create(path, 1);
	write_text(out, meta, column_name);
	bag_finish(out, NULL);
}

static void text_is_kept_for_whoever_asks(void **state)
{
	(void)state;
	struct catalog catalog = {.keeps_text = false};
	write_catalog(json_build("{s:[s], s:[s]}", "attributes", "the title", "attribute_fields", "the_title"),
		"the_title");
	read_into(&catalog_group, &catalog);
	assert_int_equal(catalog.n_items, ITEMS);
	assert_null(catalog_text(&catalog, 0, "the title"));
	catalog.keeps_text = true;
	read_into(&catalog_group, &catalog);
	assert_string_equal(catalog_text(&catalog, 0, "the title"), "first");
	assert_string_equal(catalog_text(&catalog, 1, "the title"), "");
	assert_string_equal(catalog_text(&catalog, 2, "the title"), "third");
	assert_null(catalog_text(&catalog, 0, "brand"));
	/* written before there was any */
	write_catalog(json_build("{s:[s]}", "attributes", "the title"), "the_title");
	read_into(&catalog_group, &catalog);
	assert_null(catalog_text(&catalog, 0, "the title"));
	catalog_free(&catalog);
	assert_true(catalog.keeps_text);
	catalog_free(&catalog);
}

static void read_text(const void *context)
{
	(void)context;
	read_into(&catalog_group, &(struct catalog){.keeps_text = true});
}

static void text_that_meta_does_not_describe_is_an_error(void **state)
{
	(void)state;
	write_catalog(json_build("{s:[s, s], s:[s]}", "attributes", "a", "b", "attribute_fields", "a"), "a");
	expect_death(read_text, NULL, "a column for each of the \"attributes\"");
	write_catalog(json_build("{s:[s], s:[i]}", "attributes", "a", "attribute_fields", 1), "a");
	expect_death(read_text, NULL, "are not all names");
	write_catalog(json_build("{s:[s], s:[s]}", "attributes", "a", "attribute_fields", "b"), "a");
	expect_death(read_text, NULL, "no field \"b\"");
}

/* --- sequences, whole and chunk by chunk --- */

static const struct column events[] = {{"user_id", COLUMN_TEXT, U1, 0}, {"indptr", COLUMN_INDPTR, I8, 0},
	{"item", COLUMN_RAGGED, I4, 0}, {"timestamp", COLUMN_RAGGED, I8, 0}};
static const int32_t item[] = {0, 1, 2, 2, 1};
static const int64_t timestamp[] = {10, 11, 12, 13, 14}, indptr[] = {0, 3, 3, 5};

/* Three users, in as many shards; or in two, of a table that is replaced, with other items. */
static void write_shard(struct bag_out *out, const char *catalog, uint64_t id, int shard, int shards, bool timed)
{
	static const char *const users[] = {"u", "v", "w"};
	int first = shard - 1, end = shard == shards ? 3 : shard;
	char names[8] = {0};
	for (int user = first, at = 0; user < end; user++, at += 2)
		strcpy(names + at, users[user]);
	bag_begin(out, &sequences_group, id, shard, shards, json_build("{s:s}", "catalog", catalog));
	bag_add_rows(out, end - first, events,
		(const void *[]){names, indptr + first, item + indptr[first], timed ? timestamp + indptr[first] : NULL}, 4);
	bag_end(out);
}

static void write_sequences(bool timed)
{
	struct bag_out *out = bag_create(path, 1);
	json_t *meta = json_object();
	write_text(out, meta, "title");
	char catalog[17];
	fingerprint_text(fingerprint(FINGERPRINT_START, ids, sizeof ids), catalog);
	write_shard(out, catalog, 5, 1, 2, !timed);
	write_shard(out, catalog, 5, 2, 2, !timed);
	for (int shard = 1; shard <= 3; shard++)
		write_shard(out, catalog, 6, shard, 3, timed);
	bag_finish(out, NULL);
}

static void chunks_of_users_are_those_of_the_whole(void **state)
{
	(void)state;
	for (int timed = 0; timed < 2; timed++) {
		struct catalog catalog = {.keeps_text = false};
		struct sequences whole = {.n_users = 0};
		struct kept_sequences kept = {.n_users = 0};
		write_sequences(timed);
		read_into(&catalog_group, &catalog);
		read_into(&sequences_group, &whole);
		read_into(&kept_sequences_group, &kept);
		assert_int_equal(whole.n_users, 3);
		assert_int_equal(whole.n_events, 5);
		assert_int_equal(kept.n_users, 3);
		int64_t user = 0;
		for (; sequences_next(&kept, &catalog); user++) {
			const struct sequences *part = &kept.part;
			const int64_t length = whole.indptr[user + 1] - whole.indptr[user];
			assert_int_equal(part->n_users, 1);
			assert_int_equal(part->indptr[1], length);
			assert_string_equal(strings_at(&part->user_id, 0), strings_at(&whole.user_id, user));
			assert_memory_equal(part->item, whole.item + whole.indptr[user], (size_t)length * sizeof *item);
			assert_int_equal(part->timestamp != NULL, timed);
			if (timed)
				assert_memory_equal(part->timestamp, whole.timestamp + whole.indptr[user],
					(size_t)length * sizeof *timestamp);
		}
		assert_int_equal(user, 3);
		assert_memory_equal(whole.item, item, sizeof item);
		kept_sequences_free(&kept);
		sequences_free(&whole);
		catalog_free(&catalog);
	}
}

/* --- what is refused --- */

struct wrong {
	const char *name;
	const void *data;
	enum column_shape shape;
	enum dtype dtype;
	int64_t width;
	const char *says;
};

static void read_sequences(const void *context)
{
	(void)context;
	struct catalog catalog = {.keeps_text = false};
	struct sequences sequences = {.n_users = 0};
	read_into(&catalog_group, &catalog);
	read_into(&sequences_group, &sequences);
	sequences_check(&sequences, &catalog);
	sequences_free(&sequences);
	catalog_free(&catalog);
}

/* Sequences of one user, of which one column is another. */
static void write_wrong(const struct wrong *wrong, json_t *meta)
{
	struct bag_out *out = bag_create(path, 1);
	struct column columns[3];
	const void *data[] = {"u", indptr, item};
	write_text(out, json_object(), "title");
	for (int i = 0; i < 3; i++) {
		columns[i] = events[i];
		if (wrong && !strcmp(events[i].name, wrong->name)) {
			columns[i] = (struct column){wrong->name, wrong->shape, wrong->dtype, wrong->width};
			data[i] = wrong->data;
		}
	}
	bag_begin(out, &sequences_group, 1, 1, 1, meta);
	bag_add_rows(out, 1, columns, data, 3);
	bag_end(out);
	bag_finish(out, NULL);
}

static json_t *meta_of(const char *catalog)
{
	char text[17];
	fingerprint_text(fingerprint(FINGERPRINT_START, ids, sizeof ids), text);
	return json_build("{s:s}", "catalog", catalog ? catalog : text);
}

static void columns_of_another_kind_are_errors(void **state)
{
	(void)state;
	static const int64_t none[] = {0, 0};
	static const float real[] = {0, 1, 2};
	static const int32_t far[] = {0, 1, 3};
	const struct wrong cases[] = {
		{"user_id", item, COLUMN_ONE, I4, 0, "user_id: text was expected"},
		{"item", "x", COLUMN_TEXT, U1, 0, "item: an array was expected"},
		{"item", item, COLUMN_ONE, I4, 0, "item: (1,) <i4, (3,) was expected"},
		{"item", real, COLUMN_RAGGED, F4, 0, "item: "},
		{"item", far, COLUMN_RAGGED, I4, 0, "row 0 (user u): item 3, a row of the catalog below 3"},
		{"item", NULL, COLUMN_RAGGED, I4, 0, "the chunk has no field \"item\""},
		{"indptr", none, COLUMN_INDPTR, I8, 0, NULL},
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		write_wrong(&cases[i], meta_of(NULL));
		if (cases[i].says)
			expect_death(read_sequences, NULL, cases[i].says);
		else
			read_sequences(NULL);
	}
	write_wrong(NULL, json_build("{s:s}", "catalog", "123"));
	expect_death(read_sequences, NULL, "\"catalog\" is \"123\", 16 hexadecimal digits were expected");
	write_wrong(NULL, meta_of("0123456789abcdef"));
	expect_death(read_sequences, NULL, "of another catalog than that of");
	json_t *split = meta_of(NULL);
	json_set(split, "split_time", json_integer(3));
	write_wrong(NULL, split);
	expect_death(read_sequences, NULL, "split by time, but without timestamps");
}

static void read_tokenizer(const void *context)
{
	(void)context;
	read_into(&tokenizer_group, &(struct tokenizer_group){.tokenizer = NULL});
}

static void read_model(const void *context)
{
	(void)context;
	read_into(&model_group, &(struct model_group){.model = NULL});
}

static void groups_of_another_kind_are_errors(void **state)
{
	(void)state;
	struct bag_out *out = bag_create(path, 1);
	bag_begin(out, &tokenizer_group, 1, 1, 1, NULL);
	bag_end(out);
	bag_begin(out, &model_group, 1, 1, 1, NULL);
	bag_add_bytes(out, "000000.item_id.txt", "a\n", 2);
	bag_end(out);
	bag_finish(out, NULL);
	expect_death(read_tokenizer, NULL, "the tokenizer has no tokenizer.json");
	expect_death(read_model, NULL, "a chunk of a table, which a model is not");
}

/* --- a group of another stream --- */

static void read_from(const void *context)
{
	struct bag *bag = bag_open((char *const[]){path, NULL});
	bag_take_from(bag, &embedding_group, (void *)(uintptr_t)context, other);
	bag_read(bag);
}

static void a_group_is_taken_from_another_stream(void **state)
{
	(void)state;
	struct catalog catalog = {.n_items = ITEMS};
	const float vectors[2][ITEMS] = {{1, 2, 3}, {4, 5, 6}};
	struct embedding embedding = {.rows = 0};
	for (int i = 0; i < 2; i++) {
		struct bag_out *out = bag_create(i ? other : path, 1);
		strcpy(catalog.fingerprint, "0123456789abcdef");
		embedding_write(out, &catalog, vectors[i], 1, "tfidf", NULL);
		bag_finish(out, NULL);
	}
	read_from(&embedding);
	assert_int_equal(embedding.rows, ITEMS);
	assert_memory_equal(embedding.vector, vectors[1], sizeof vectors[1]);
	assert_string_equal(group_source(&embedding.group), other);
	embedding_free(&embedding);
	struct bag_out *out = bag_create(other, 1);
	write_text(out, json_object(), "title");
	bag_finish(out, NULL);
	expect_death(read_from, &embedding, "no embedding in it; item-project writes one");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_kept_for_whoever_asks),
		cmocka_unit_test(text_that_meta_does_not_describe_is_an_error),
		cmocka_unit_test(chunks_of_users_are_those_of_the_whole),
		cmocka_unit_test(columns_of_another_kind_are_errors),
		cmocka_unit_test(groups_of_another_kind_are_errors),
		cmocka_unit_test(a_group_is_taken_from_another_stream),
	};
	int first = mkstemp(path), second = mkstemp(other);
	if (first < 0 || second < 0)
		return 1;
	close(first);
	close(second);
	progress_quiet = true;
	int failed = cmocka_run_group_tests_name("groups", tests, NULL, NULL);
	unlink(path);
	unlink(other);
	return failed;
}
