/*
 * Items tokenised as seq-tokenize does it, and their texts again: to the letter, on real titles, by template, and as
 * tokens.
 */
#include "data/item_tokens.h"

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

static void default_template_has_the_catalogs_order(void **state)
{
	(void)state;
	with_pens(NULL,
		(const char *const[]){"Title Red pen, 2\xc2\xbd mm Brand Bic Main_category Pens",
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

static void names_are_capitalised(void **state)
{
	(void)state;
	struct strings strings = strings_of((const char *const[]){"name", "\xc3\xa9tat", "Pen", "new", NULL});
	struct tokenizer *tokenizer = golden_tokenizer("byte_level");
	struct catalog catalog = make_catalog(tokenizer, &strings, 2);
	struct item_texts *texts = item_texts_new(&catalog, tokenizer, NULL);
	expect_text(texts, 0, "Name Pen \xc3\xa9tat new");
	assert_string_equal(item_texts_template(texts), "Name {name} \xc3\xa9tat {\xc3\xa9tat}");
	item_texts_free(texts);
	catalog_free(&catalog);
	tokenizer_free(tokenizer);
	strings_free(&strings);
}

/* What a tokenizer of small letters loses is there where the catalog keeps its texts. */
static void texts_as_read_are_preferred(void **state)
{
	(void)state;
	struct strings strings = strings_of((const char *const[]){"title", "A Red PEN", NULL}), kept = {0};
	struct tokenizer *tokenizer = golden_tokenizer("wordpiece");
	struct catalog catalog = make_catalog(tokenizer, &strings, 1);
	struct item_texts *texts = item_texts_new(&catalog, tokenizer, "{title}");
	struct buffer text = {0};
	item_text(texts, 0, &text);
	assert_true(text.size && memcmp(text.data, "A Red PEN", 9) != 0);
	strings_add(&kept, "A Red PEN", 9);
	catalog.text = &kept;
	expect_text(texts, 0, "A Red PEN");
	catalog.text = NULL;
	buffer_free(&text);
	item_texts_free(texts);
	catalog_free(&catalog);
	tokenizer_free(tokenizer);
	strings_free(&kept);
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
	for (int special = 0; special < 2; special++) {
		/* of one attribute the first tokens are kept, of several all where there is room */
		struct item_texts *texts = item_texts_new(&catalog, tokenizer, special ? "{title}" : NULL);
		struct tokenize_worker *worker = tokenize_worker_new(other,
			(struct tokenize_options){.add_special = special, .special_as_text = true});
		for (int64_t budget = special ? 1 : 60; budget < 70; budget += 19) {
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
			assert_int_equal(json_integer_value(json_object_get(tokens.cut, "title")), cut);
			assert_true(budget > 1 || cut == 2);
			item_tokens_free(&tokens);
		}
		tokenize_worker_free(worker);
		item_texts_free(texts);
	}
	catalog_free(&catalog);
	tokenizer_free(tokenizer);
	tokenizer_free(other);
	strings_free(&strings);
}

/* What an item's tokens say. */
static void expect_tokens(const struct item_tokens *tokens, const struct tokenizer *tokenizer, int64_t item,
	const char *expected)
{
	struct buffer text = {0};
	const int64_t first = tokens->indptr[item];
	assert_true(tokens->indptr[item + 1] - first <= tokens->budget);
	tokenizer_decode(tokenizer, tokens->ids + first, tokens->indptr[item + 1] - first, &text);
	buffer_append(&text, "", 1);
	assert_string_equal(text.data, expected);
	buffer_free(&text);
}

#define TEN_WORDS "aa bb cc dd ee ff gg hh ii jj"

/* Of a tokenizer of bytes, so that a letter is a token: a long description takes nothing from the others. */
static void each_attribute_has_a_budget_of_its_own(void **state)
{
	(void)state;
	struct learner *learner = learner_new();
	struct tokenizer *tokenizer = learner_finish(learner, LEARNED_VOCAB_MIN);
	static const char *const items[] = {"title", "text", "brand", "red pen", TEN_WORDS, "Bic", "", TEN_WORDS, "Bic",
		TEN_WORDS, TEN_WORDS, "", TEN_WORDS, "", "", "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", TEN_WORDS, "B", NULL};
	struct strings strings = strings_of(items);
	struct catalog catalog = make_catalog(tokenizer, &strings, 3);
	struct item_texts *texts = item_texts_new(&catalog, tokenizer, NULL);
	struct item_tokens tokens = item_texts_encode(texts, tokenizer, 40, false, 1);
	expect_tokens(&tokens, tokenizer, 0, "Title red pen Text aa bb cc dd Brand Bic");
	expect_tokens(&tokens, tokenizer, 1, "Text aa bb cc dd ee ff gg hh Brand Bic");
	expect_tokens(&tokens, tokenizer, 2, "Title aa bb cc dd ee Text aa bb cc dd ee");
	expect_tokens(&tokens, tokenizer, 3, "Title " TEN_WORDS);
	expect_tokens(&tokens, tokenizer, 4, "Title \xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9 Text aa bb cc Brand B");
	assert_int_equal(tokens.n_cut, 4);
	assert_int_equal(json_integer_value(json_object_get(tokens.cut, "text")), 4);
	assert_int_equal(json_integer_value(json_object_get(tokens.cut, "title")), 1);
	assert_null(json_object_get(tokens.cut, "brand"));
	item_tokens_free(&tokens);
	/* too little for names: the first attribute alone, without its own; a character is not cut */
	tokens = item_texts_encode(texts, tokenizer, 5, false, 1);
	expect_tokens(&tokens, tokenizer, 0, "red");
	expect_tokens(&tokens, tokenizer, 4, "\xc3\xa9");
	item_tokens_free(&tokens);
	tokens = item_texts_encode(texts, tokenizer, 1, true, 1);
	for (int item = 0; item < 5; item++)
		assert_int_equal(tokens.indptr[item + 1] - tokens.indptr[item], 1);
	item_tokens_free(&tokens);
	item_texts_begin(texts, "query: "); /* what all begin with stays, as what all end with */
	tokens = item_texts_encode(texts, tokenizer, 47, false, 1);
	expect_tokens(&tokens, tokenizer, 0, "query: Title red pen Text aa bb cc dd Brand Bic");
	item_tokens_free(&tokens);
	item_texts_free(texts);
	texts = item_texts_new(&catalog, tokenizer, "{text} ({title}).");
	tokens = item_texts_encode(texts, tokenizer, 25, true, 1);
	expect_tokens(&tokens, tokenizer, 0, "aa bb cc dd (red pen).");
	item_tokens_free(&tokens);
	item_texts_free(texts);
	catalog_free(&catalog);
	tokenizer_free(tokenizer);
	strings_free(&strings);
}

/* Names of special tokens in a title are text for every kind of tokenizer: none of them is among its tokens. */
static void special_tokens_in_titles_are_text(void **state)
{
	(void)state;
	static const char *const bases[] = {"byte_level", "sentencepiece", "wordpiece", "unigram"};
	static const char *const titles[] = {"title", "A [SEP] pen", "<s>A pen</s>", "A pen<|endoftext|>", "</s>", "[CLS]",
		"<s>", "<unk>", "[UNK]", "<mask> <pad>", "[MASK][PAD]", NULL};
	static const char *const specials[] = {"<s>", "</s>", "<unk>", "<pad>", "<mask>", "[CLS]", "[SEP]", "[UNK]",
		"[PAD]", "[MASK]"};
	struct strings strings = strings_of(titles), kept = {0};
	for (int i = 1; titles[i]; i++)
		strings_add(&kept, titles[i], strlen(titles[i]));
	for (size_t base = 0; base < COUNT_OF(bases); base++) {
		struct tokenizer *tokenizer = golden_tokenizer(bases[base]);
		struct catalog catalog = make_catalog(tokenizer, &strings, 1);
		catalog.text = &kept;
		struct item_texts *texts = item_texts_new(&catalog, tokenizer, "{title}");
		struct item_tokens tokens = item_texts_encode(texts, tokenizer, 64, false, 1);
		const int32_t unknown = tokenizer_special(tokenizer, SPECIAL_UNK);
		for (int64_t item = 0; item < kept.count; item++) {
			assert_true(tokens.indptr[item + 1] > tokens.indptr[item]);
			/* characters that the vocabulary does not have are unknown, whatever they spell */
			for (int64_t t = tokens.indptr[item]; t < tokens.indptr[item + 1]; t++)
				for (size_t i = 0; i < COUNT_OF(specials) && tokens.ids[t] != unknown; i++)
					assert_string_not_equal(tokenizer_token(tokenizer, tokens.ids[t]), specials[i]);
			expect_text(texts, item, strings_at(&kept, item));
		}
		item_tokens_free(&tokens);
		item_texts_free(texts);
		catalog.text = NULL;
		catalog_free(&catalog);
		tokenizer_free(tokenizer);
	}
	strings_free(&kept);
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
		cmocka_unit_test(default_template_has_the_catalogs_order),
		cmocka_unit_test(templates_leave_out_what_is_empty),
		cmocka_unit_test(names_are_capitalised),
		cmocka_unit_test(texts_as_read_are_preferred),
		cmocka_unit_test(texts_come_back_to_the_letter),
		cmocka_unit_test(product_titles_come_back_to_the_letter),
		cmocka_unit_test(tokens_are_those_of_the_text),
		cmocka_unit_test(each_attribute_has_a_budget_of_its_own),
		cmocka_unit_test(special_tokens_in_titles_are_text),
		cmocka_unit_test(tokens_do_not_depend_on_threads),
		cmocka_unit_test(wrong_catalogs_and_templates_are_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
