/* Words, weights and their decomposition: scikit-learn's (golden/tfidf.py), whatever the number of threads. */
#include "model/tfidf.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN "tests/golden/tfidf.tar.zst"
#include "golden.h"
#include "items.h"

/* --- a golden case, and ours of the same texts --- */

struct fixture {
	json_t *document, *words;
	struct tokenizer *tokenizer;
	struct catalog catalog;
	struct item_texts *texts;
};

static void fixture_make(struct fixture *fixture, const char *group)
{
	struct strings strings = {0};
	const struct golden_member *document = golden_find(group, "texts.json");
	fixture->tokenizer = golden_tokenizer("byte_level");
	fixture->document = json_parse(document->bytes, document->size, document->name);
	fixture->words = json_object_get(fixture->document, "words");
	const json_t *texts = json_object_get(fixture->document, "texts"), *text;
	size_t i;
	strings_add(&strings, "title", strlen("title"));
	json_array_foreach (texts, i, text)
		strings_add(&strings, json_string_value(text), json_string_length(text));
	fixture->catalog = make_catalog(fixture->tokenizer, &strings, 1);
	fixture->texts = item_texts_new(&fixture->catalog, fixture->tokenizer, "{title}");
	strings_free(&strings);
}

static void fixture_free(struct fixture *fixture)
{
	json_decref(fixture->document);
	item_texts_free(fixture->texts);
	catalog_free(&fixture->catalog);
	tokenizer_free(fixture->tokenizer);
}

/* --- weights --- */

static float weight_of(struct tfidf *tfidf, int64_t item, const char *word)
{
	int64_t id = strings_find(&tfidf->vocabulary, word, strlen(word));
	for (int64_t i = tfidf->indptr[item]; i < tfidf->indptr[item + 1]; i++)
		if (tfidf->word[i] == id)
			return tfidf->weight[i];
	fail_msg("item %lld has no word \"%s\"", (long long)item, word);
	return 0;
}

static void expect_weights(const char *group)
{
	struct fixture fixture;
	fixture_make(&fixture, group);
	struct tfidf tfidf = tfidf_new(fixture.texts, 2);
	int64_t *indptr = golden_array(group, "indptr.npy", I8);
	int32_t *word = golden_array(group, "word.npy", I4);
	float *weight = golden_array(group, "weight.npy", F4);
	assert_int_equal(tfidf.words, json_array_size(fixture.words));
	for (int64_t item = 0; item < tfidf.items; item++) {
		assert_int_equal(tfidf.indptr[item + 1], indptr[item + 1]);
		for (int64_t i = indptr[item]; i < indptr[item + 1]; i++) {
			float ours = weight_of(&tfidf, item, json_string_value(json_array_get(fixture.words, (size_t)word[i])));
			if (fabsf(ours - weight[i]) > 1e-6f)
				fail_msg("%s, item %lld, word %d: %.8g, %.8g was expected", group, (long long)item, word[i],
					(double)ours, (double)weight[i]);
		}
		for (int64_t i = indptr[item] + 1; i < indptr[item + 1]; i++)
			assert_true(tfidf.word[i] > tfidf.word[i - 1]);
	}
	free(indptr);
	free(word);
	free(weight);
	tfidf_free(&tfidf);
	fixture_free(&fixture);
}

static void weights_are_the_reference_s(void **state)
{
	(void)state;
	expect_weights("hard");
	expect_weights("items");
}

static double cosine(const struct tfidf *tfidf, int64_t a, int64_t b)
{
	double sum = 0;
	for (int64_t i = tfidf->indptr[a]; i < tfidf->indptr[a + 1]; i++)
		for (int64_t j = tfidf->indptr[b]; j < tfidf->indptr[b + 1]; j++)
			if (tfidf->word[i] == tfidf->word[j])
				sum += (double)tfidf->weight[i] * (double)tfidf->weight[j];
	return sum;
}

/* Titles that differ in a word or two are near each other in every script. */
static void near_duplicates_are_near(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_make(&fixture, "hard");
	struct tfidf tfidf = tfidf_new(fixture.texts, 1);
	assert_true(cosine(&tfidf, 12, 13) > .2);
	assert_true(cosine(&tfidf, 12, 14) < 1e-6);
	tfidf_free(&tfidf);
	fixture_free(&fixture);
}

/* --- the decomposition --- */

static void vectors_are_the_exact_ones(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_make(&fixture, "items");
	struct tfidf tfidf = tfidf_new(fixture.texts, 2);
	float *singular = golden_array("items", "singular.npy", F4), *squares = golden_array("items", "squares.npy", F4);
	float *vectors = golden_array("items", "vectors.npy", F4);
	double held = 0;
	const struct tensor *shown = &golden_find("items", "vectors.npy")->tensor;
	int64_t width = golden_find("items", "singular.npy")->tensor.shape[0];
	struct projection ours = tfidf_project(&tfidf, width, 1, 2);
	assert_int_equal(ours.width, width);
	for (int64_t i = 0; i < width; i++) {
		held += (double)singular[i] * (double)singular[i] / (double)squares[0];
		if (!(fabs(ours.singular[i] / (double)singular[i] - 1) < (i < width / 2 ? 1e-5 : 1e-3)))
			fail_msg("singular value %lld: %.9g, %.9g was expected", (long long)i, ours.singular[i],
				(double)singular[i]);
	}
	assert_true(fabs(ours.share / held - 1) < 1e-4);
	for (int64_t item = 0; item < shown->shape[0]; item++)
		for (int64_t i = 0; i < shown->shape[1]; i++)
			if (!(fabsf(ours.vectors[item * width + i] - vectors[item * shown->shape[1] + i]) < 1e-3f))
				fail_msg("item %lld, dimension %lld: %.6g, %.6g was expected", (long long)item, (long long)i,
					(double)ours.vectors[item * width + i], (double)vectors[item * shown->shape[1] + i]);
	free(singular);
	free(squares);
	free(vectors);
	projection_free(&ours);
	tfidf_free(&tfidf);
	fixture_free(&fixture);
}

/* As wide as the rank: nothing is lost, distances between items are those of the whole rows. */
static void no_wider_than_the_rank(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_make(&fixture, "hard");
	struct tfidf tfidf = tfidf_new(fixture.texts, 1);
	struct projection ours = tfidf_project(&tfidf, 300, 1, 1);
	assert_int_equal(tfidf.items, 18);
	assert_int_equal(tfidf_wordless(&tfidf), 2);
	assert_int_equal(ours.width, 16); /* two texts have no words, the others are linearly independent */
	assert_true(fabs(ours.share - 1) < 1e-6);
	for (int64_t item = 0; item < tfidf.items; item++) {
		double length = 0;
		for (int64_t i = 0; i < ours.width; i++)
			length += (double)ours.vectors[item * ours.width + i] * (double)ours.vectors[item * ours.width + i];
		assert_true(fabs(length - (tfidf.indptr[item + 1] > tfidf.indptr[item])) < 1e-5);
	}
	projection_free(&ours);
	tfidf_free(&tfidf);
	fixture_free(&fixture);
}

static void threads_leave_no_trace(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_make(&fixture, "items");
	struct tfidf one = tfidf_new(fixture.texts, 1), three = tfidf_new(fixture.texts, 3);
	int64_t count = one.indptr[one.items];
	assert_int_equal(one.words, three.words);
	assert_memory_equal(one.word, three.word, (size_t)count * sizeof *one.word);
	assert_memory_equal(one.weight, three.weight, (size_t)count * sizeof *one.weight);
	struct projection a = tfidf_project(&one, 20, 5, 1), b = tfidf_project(&one, 20, 5, 3),
					  c = tfidf_project(&one, 20, 6, 3);
	assert_memory_equal(a.vectors, b.vectors, (size_t)(a.items * a.width) * sizeof *a.vectors);
	assert_true(memcmp(a.vectors, c.vectors, (size_t)(a.items * a.width) * sizeof *a.vectors) != 0);
	projection_free(&a);
	projection_free(&b);
	projection_free(&c);
	tfidf_free(&one);
	tfidf_free(&three);
	fixture_free(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weights_are_the_reference_s),
		cmocka_unit_test(near_duplicates_are_near),
		cmocka_unit_test(vectors_are_the_exact_ones),
		cmocka_unit_test(no_wider_than_the_rank),
		cmocka_unit_test(threads_leave_no_trace),
	};
	return cmocka_run_group_tests(tests, golden_load, golden_unload);
}
