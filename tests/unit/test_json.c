/* JSON of others: what is missing or of another kind is named, and of ours: what cannot be written ends in a line. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "death.h"
#include "stream/json.h"

static const char document[] =
	"{\"text\": \"a\", \"whole\": 3, \"number\": 2.5, \"yes\": true, \"object\": {}, \"list\": [], \"none\": null}";

static void values_of_their_kind(void **state)
{
	(void)state;
	json_t *object = json_parse(document, sizeof document - 1, "that");
	assert_string_equal(json_get_string(object, "text", "that"), "a");
	assert_int_equal(json_get_int(object, "whole", 3, 3, "that"), 3);
	assert_true(json_get_number(object, "whole", "that") == 3 && json_get_number(object, "number", "that") == 2.5);
	assert_true(json_get_bool(object, "yes", "that"));
	assert_true(json_is_object(json_get_object(object, "object", "that")));
	json_decref(object);
}

static void get_string(const json_t *object, const char *key)
{
	json_get_string(object, key, "that");
}

static void get_int(const json_t *object, const char *key)
{
	json_get_int(object, key, -1, 2, "that");
}

static void get_number(const json_t *object, const char *key)
{
	json_get_number(object, key, "that");
}

static void get_bool(const json_t *object, const char *key)
{
	json_get_bool(object, key, "that");
}

static void get_object(const json_t *object, const char *key)
{
	json_get_object(object, key, "that");
}

struct getting {
	void (*get)(const json_t *object, const char *key);
	const char *key, *says;
};

static void get_it(const void *context)
{
	const struct getting *getting = context;
	getting->get(json_parse(document, sizeof document - 1, "that"), getting->key);
}

static void values_of_another_kind(void **state)
{
	(void)state;
	static const struct getting wrong[] = {
		{get_string, "whole", "that: \"whole\" is not a string"},
		{get_string, "missing", "\"missing\""},
		{get_int, "number", "that: \"number\" is not a whole number from -1 to 2"},
		{get_int, "whole", "that: \"whole\" is not a whole number from -1 to 2"},
		{get_number, "text", "that: \"text\" is not a number"},
		{get_bool, "whole", "that: \"whole\" is not true or false"},
		{get_bool, "none", "\"none\""},
		{get_object, "list", "that: \"list\" is not an object"},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		expect_death(get_it, &wrong[i], wrong[i].says);
}

static void parse(const void *text)
{
	json_get_string(json_parse(text, strlen(text), "that"), "key", "that");
}

static void what_is_no_json(void **state)
{
	(void)state;
	static const char *const wrong[][2] = {
		{"", "that: line 1, column 0: not JSON: it ends before it is complete"},
		{"{\"key\": ", "not JSON: it ends before it is complete"},
		{"{} {}", "not JSON: more follows behind its end"},
		{"{\"key\": \"\\u0000\"}", "not JSON: a text has \\u0000 in it, which no text here may hold"},
		{"{\"\\u0000\": 1}", "not JSON: a text has \\u0000 in it"},
		{"{\"key\": \"\xff\"}", "not JSON: a byte of it is not UTF-8"},
		{"{\"key\": 1e999}", "not JSON: a number is too large"},
		{"{\"key\": 99999999999999999999}", "not JSON: a number is too large"},
		{"{\"key\": 1, \"key\": 2}", "not JSON: duplicate object key near '\"key\"'"},
		{"{\"key\" 1}", "not JSON: ':' expected near '1'"},
		{"[]", "that: a JSON object with \"key\" was expected"},
		{"3", "that: a JSON object with \"key\" was expected"},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		expect_death(parse, wrong[i][0], wrong[i][1]);
}

static void build_text(const void *context)
{
	json_build("{s:s}", "key", context);
}

static void set_number(const void *context)
{
	json_set(json_object(), "rate", json_real(*(const double *)context));
}

static void append_number(const void *context)
{
	json_append(json_array(), json_real(*(const double *)context));
}

static void what_cannot_be_written(void **state)
{
	(void)state;
	static const double infinite = INFINITY;
	expect_death(build_text, "\xff", "this cannot be written as JSON");
	expect_death(set_number, &infinite, "rate: this cannot be written as JSON");
	expect_death(append_number, &infinite, "a list of JSON");
	json_t *text = json_any_text("caf\xc3\xa9"), *other = json_any_text("caf\xe9");
	assert_string_equal(json_string_value(text), "caf\xc3\xa9");
	assert_string_equal(json_string_value(other), "caf?");
	json_decref(text);
	json_decref(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_of_their_kind),
		cmocka_unit_test(values_of_another_kind),
		cmocka_unit_test(what_is_no_json),
		cmocka_unit_test(what_cannot_be_written),
	};
	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
