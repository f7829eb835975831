/*
 * Items tokenised as seq-tokenize does it, and their texts again: to the letter, on real titles, by template, and as
 * tokens.
 */
#include "data/item_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "death.h"
#include "data/table.h"
#include "items.h"
#include "skip.h"

static void expect_text(const struct item_texts *texts, int64_t item, const char *expected)
{
	struct buffer text = {0};
	buffer_append(&text, "before ", 7); /* what is there stays */
	item_text(texts, item, &text);
	buffer_append(&text, "", 1);
	assert_memory_equal(text.data, "before ", 7);
	assert_string_equal(text.data + 7, expected);
	buffer_free(&text);
}

/* --- texts --- */

static const char *const pens[] = {"title", "brand", "main_category", "Red pen, 2\xc2\xbd mm", "Bic", "Pens",
	"Ink \xe2\x80\x9c"
	"blue\xe2\x80\x9d {x} \xf0\x9f\x96\x8b",
	"", "", "", "Bic", "", "", "", "", NULL};

static void with_pens(const char *template, const char *const expected[4])
{
	static const char *const bases[] = {"byte_level", "sentencepiece"};
	struct strings strings = strings_of(pens);
	for (size_t base = 0; base < COUNT_OF(bases); base++) {
		struct tokenizer *tokenizer = golden_tokenizer(bases[base]);
		struct catalog catalog = make_catalog(tokenizer, &strings, 3);
		struct item_texts *texts = item_texts_new(&catalog, tokenizer, template);
		assert_int_equal(item_texts_count(texts), 4);
		for (int item = 0; item < 4; item++)
			expect_text(texts, item, expected[item]);
		if (template)
			assert_string_equal(item_texts_template(texts), template);
		item_texts_free(texts);
		catalog_free(&catalog);
		tokenizer_free(tokenizer);
	}
	strings_free(&strings);
}

static void default_template_has_the_title_last(void **state)
{
	(void)state;
	with_pens(NULL,
		(const char *const[]){"Brand Bic Main_category Pens Title Red pen, 2\xc2\xbd mm",
			"Title Ink \xe2\x80\x9c"
			"blue\xe2\x80\x9d {x} \xf0\x9f\x96\x8b",
			"Brand Bic", ""});
}

static void templates_leave_out_what_is_empty(void **state)
{
	(void)state;
	with_pens("{title} by {brand}.",
		(const char *const[]){"Red pen, 2\xc2\xbd mm by Bic.",
			"Ink \xe2\x80\x9c"
			"blue\xe2\x80\x9d {x} \xf0\x9f\x96\x8b.",
			"by Bic.", ""});
	with_pens("{title}",
		(const char *const[]){"Red pen, 2\xc2\xbd mm",
			"Ink \xe2\x80\x9c"
			"blue\xe2\x80\x9d {x} \xf0\x9f\x96\x8b",
			"", ""});
	with_pens("{brand}/{brand} ", (const char *const[]){"Bic/Bic", "", "Bic/Bic", ""});
}

static void first_attribute_stands_for_the_title(void **state)
{
	(void)state;
	struct strings strings = strings_of((const char *const[]){"name", "\xc3\xa9tat", "Pen", "new", NULL});
	struct tokenizer *tokenizer = golden_tokenizer("byte_level");
	struct catalog catalog = make_catalog(tokenizer, &strings, 2);
	struct item_texts *texts = item_texts_new(&catalog, tokenizer, NULL);
	expect_text(texts, 0, "\xc3\xa9tat new Name Pen");
	assert_string_equal(item_texts_template(texts), "\xc3\xa9tat {\xc3\xa9tat} Name {name}");
	item_texts_free(texts);
	catalog_free(&catalog);
	tokenizer_free(tokenizer);
	strings_free(&strings);
}

/* Every value of a table of items comes back, in the default order, through a tokenizer that never saw it. */
static void round_trip(const char *path, const struct tokenizer *tokenizer)
{
	struct table *table = table_open(path, &(struct table_format){.delimiter = NULL});
	struct strings strings = {0};
	int columns = table_columns(table) - 1;
	for (int i = 1; i <= columns; i++)
		strings_add(&strings, table_column(table, i), strlen(table_column(table, i)));
	while (table_next(table))
		for (int i = 1; i <= columns; i++) {
			size_t length;
			const char *text = table_field(table, i, &length);
			while (length && text[length - 1] == ' ')
				length--;
			while (length && *text == ' ')
				text++, length--;
			strings_add(&strings, text, length);
		}
	table_close(table);
	struct catalog catalog = make_catalog(tokenizer, &strings, columns);
	assert_true(catalog.n_items > 1000);
	for (int i = 0; i < columns; i++) {
		char *template = xasprintf("{%s}", strings_at(&strings, i));
		struct item_texts *texts = item_texts_new(&catalog, tokenizer, template);
		for (int64_t item = 0; item < catalog.n_items; item++)
			expect_text(texts, item, strings_at(&strings, (item + 1) * columns + i));
		item_texts_free(texts);
		free(template);
	}
	catalog_free(&catalog);
	strings_free(&strings);
}

static void texts_come_back_to_the_letter(void **state)
{
	(void)state;
	static const char *const bases[] = {"byte_level", "sentencepiece"};
	for (size_t base = 0; base < COUNT_OF(bases); base++) {
		struct tokenizer *tokenizer = golden_tokenizer(bases[base]);
		round_trip("examples/online-retail/items.csv", tokenizer);
		tokenizer_free(tokenizer);
	}
}

static void product_titles_come_back_to_the_letter(void **state)
{
	(void)state;
	char *vocabulary = shared_file("tokenizers/gpt2"), *scientific = shared_file("scientific/items.csv"),
		 *beauty = shared_file("beauty/items.csv");
	struct tokenizer *tokenizer = tokenizer_load(vocabulary);
	round_trip(scientific, tokenizer);
	round_trip(beauty, tokenizer);
	tokenizer_free(tokenizer);
	free(vocabulary);
	free(scientific);
	free(beauty);
}

/* --- tokens --- */

static void tokens_are_those_of_the_text(void **state)
{
	(void)state;
	struct strings strings = strings_of(pens);
	struct tokenizer *tokenizer = golden_tokenizer("byte_level"), *other = golden_tokenizer("sentencepiece");
	struct catalog catalog = make_catalog(tokenizer, &strings, 3);
	struct item_texts *texts = item_texts_new(&catalog, tokenizer, NULL);
	for (int special = 0; special < 2; special++) {
		struct tokenize_worker *worker = tokenize_worker_new(other,
			(struct tokenize_options){.add_special = special, .special_as_text = true});
		for (int64_t budget = 1; budget < 40; budget += 19) {
			struct item_tokens tokens = item_texts_encode(texts, other, budget, special, 2);
			int64_t cut = 0;
			assert_int_equal(tokens.rows, 4);
			for (int item = 0; item < 4; item++) {
				struct buffer text = {0}, ids = {0};
				item_text(texts, item, &text);
				if (text.size)
					cut += tokenize(worker, text.data, text.size, budget, &ids) > 0;
				int64_t kept = (int64_t)(ids.size / sizeof(int32_t));
				assert_true(kept <= budget);
				assert_int_equal(tokens.indptr[item + 1] - tokens.indptr[item], kept);
				if (kept)
					assert_memory_equal(tokens.ids + tokens.indptr[item], ids.data, (size_t)kept * sizeof(int32_t));
				buffer_free(&text);
				buffer_free(&ids);
			}
			assert_int_equal(tokens.n_cut, cut);
			assert_true(budget > 1 || cut == 3);
			item_tokens_free(&tokens);
		}
		tokenize_worker_free(worker);
	}
	item_texts_free(texts);
	catalog_free(&catalog);
	tokenizer_free(tokenizer);
	tokenizer_free(other);
	strings_free(&strings);
}

/* Threads and blocks leave no trace: 1,105 items are five blocks. */
static void tokens_do_not_depend_on_threads(void **state)
{
	(void)state;
	struct tokenizer *tokenizer = golden_tokenizer("byte_level");
	struct strings strings = {0};
	for (int i = 0; i <= 1105; i++) {
		char text[64];
		snprintf(text, sizeof text, i ? "Pen number %d of %d" : "title", i, i * 7919);
		strings_add(&strings, text, strlen(text));
	}
	struct catalog catalog = make_catalog(tokenizer, &strings, 1);
	struct item_texts *texts = item_texts_new(&catalog, tokenizer, NULL);
	struct item_tokens one = item_texts_encode(texts, tokenizer, 8, false, 1);
	struct item_tokens three = item_texts_encode(texts, tokenizer, 8, false, 3);
	assert_memory_equal(one.indptr, three.indptr, 1106 * sizeof *one.indptr);
	assert_memory_equal(one.ids, three.ids, (size_t)one.indptr[1105] * sizeof *one.ids);
	assert_int_equal(one.n_cut, three.n_cut);
	item_tokens_free(&one);
	item_tokens_free(&three);
	item_texts_free(texts);
	catalog_free(&catalog);
	tokenizer_free(tokenizer);
	strings_free(&strings);
}

/* --- errors --- */

struct making {
	const struct catalog *catalog;
	const struct tokenizer *tokenizer;
	const char *template;
};

static void make_texts(const void *context)
{
	const struct making *making = context;
	item_texts_new(making->catalog, making->tokenizer, making->template);
}

static void refuse(const struct catalog *catalog, const struct tokenizer *tokenizer, const char *template,
	const char *says)
{
	expect_death(make_texts, &(struct making){catalog, tokenizer, template}, says);
}

static void wrong_catalogs_and_templates_are_errors(void **state)
{
	(void)state;
	struct strings strings = strings_of(pens);
	struct tokenizer *tokenizer = golden_tokenizer("byte_level"), *other = golden_tokenizer("sentencepiece");
	struct catalog catalog = make_catalog(tokenizer, &strings, 3), changed = catalog;
	refuse(&catalog, tokenizer, "{title} {Brand}", "no attribute {Brand}; the catalog has title, brand, main_category");
	refuse(&catalog, tokenizer, "{}", "no attribute {}");
	refuse(&catalog, tokenizer, "{title", "a } was expected");
	refuse(&catalog, tokenizer, "title", "like {title}, was expected");
	refuse(&catalog, tokenizer, "", "like {title}, was expected");
	refuse(&catalog, NULL, NULL, "no tokenizer in the stream");
	refuse(&catalog, other, NULL, "made by another tokenizer");
	changed.group.complete = false;
	refuse(&changed, tokenizer, NULL, "no catalog in the stream");
	changed = catalog;
	changed.indptr = NULL;
	refuse(&changed, tokenizer, NULL, "no text of the items");
	catalog.input_ids[3] = (int32_t)tokenizer_vocab_size(tokenizer);
	refuse(&catalog, tokenizer, NULL, "token 3: id");
	catalog.input_ids[3] = -1;
	refuse(&catalog, tokenizer, NULL, "token 3: id -1");
	catalog.input_ids[3] = 0;
	catalog.attribute[5] = 3;
	refuse(&catalog, tokenizer, NULL, "token 5: attribute 3, one of 3 was expected");
	json_object_set_new(catalog.group.meta, "attributes", json_pack("[s, i]", "title", 1));
	refuse(&catalog, tokenizer, NULL, "\"attributes\": a list of names was expected");
	json_object_del(catalog.group.meta, "attributes");
	refuse(&catalog, tokenizer, NULL, "\"attributes\": a list of names was expected");
	catalog_free(&catalog);
	tokenizer_free(tokenizer);
	tokenizer_free(other);
	strings_free(&strings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_template_has_the_title_last),
		cmocka_unit_test(templates_leave_out_what_is_empty),
		cmocka_unit_test(first_attribute_stands_for_the_title),
		cmocka_unit_test(texts_come_back_to_the_letter),
		cmocka_unit_test(product_titles_come_back_to_the_letter),
		cmocka_unit_test(tokens_are_those_of_the_text),
		cmocka_unit_test(tokens_do_not_depend_on_threads),
		cmocka_unit_test(wrong_catalogs_and_templates_are_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
