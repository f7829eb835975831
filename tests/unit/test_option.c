/* Tables of options: what their rows say is what is read, refused, written and suggested. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "death.h"
#include "stream/option.h"
#include "task/training.h"

enum colour { RED, GREEN };
static const char *const colours[] = {"red", "green", NULL};

struct inner {
	float dropout, other;
	int64_t half;
};

struct outer {
	int layers;
	int64_t width;
	double rate;
	bool bias, loud;
	enum colour colour;
	int unset;
	const char *path, *name;
	struct inner inner;
	int64_t shard, shards;
};

static void derive_half(void *values)
{
	struct inner *inner = values;
	inner->half = inner->dropout > 0 ? 3 : 4;
}

static void read_shard(const char *option, const char *value, void *values)
{
	struct outer *outer = values;
	assert_string_equal(option, "--shard");
	outer->shard = value[0] - '0';
	outer->shards++;
}

static const struct option inner_options[] = {
	{"dropout", .argument = "P", REAL_OPTION(struct inner, dropout, 0, .99), .fallback = "0.2", .help = "Dropout"},
	{.key = "other_dropout", REAL_OPTION(struct inner, other, 0, .99), .fallback = "=dropout", .help = "Of others"},
	{.key = "half",
		WHOLE_OPTION(struct inner, half, 0, 10),
		.derive = derive_half,
		.fallback = "of dropout",
		.help = "Half"},
	{0},
};
static const struct option outer_options[] = {
	{OPTIONS_TITLE("Options:")},
	{"layers", .key = "num_layers", .argument = "N", WHOLE_OPTION(struct outer, layers, 1, 64), .fallback = "2",
		.help = "Layers"},
	{"width", .argument = "N", WHOLE_OPTION(struct outer, width, 1, INT64_MAX), .fallback = "64", .help = "Width"},
	{"learning-rate", .argument = "R", REAL_OPTION(struct outer, rate, 0, 10), .fallback = "0.001", .help = "Rate"},
	{"bias", YES_NO_OPTION(struct outer, bias), .fallback = "yes", .help = "Biases"},
	{"quiet", .key = "loud", FLAG_OPTION(struct outer, loud), .fallback = "yes", .no_effect = true, .help = "Quiet"},
	{"colour", CHOICE_OPTION(struct outer, colour, colours), .fallback = "green", .help = "Colour"},
	{"unset", CHOICE_OPTION(struct outer, unset, colours), .help = "No default"},
	{"path", .argument = "FILE", FILE_OPTION(struct outer, path), .only = "colour=red", .help = "A path"},
	{"name", .argument = "TEXT", TEXT_OPTION(struct outer, name), .help = "A name"},
	{"shard", .argument = "I", OWN_OPTION(read_shard), .help = "Read by a function"},
	{.key = "dropout", OTHER_DEFAULT("0.5")},
	{INCLUDED_OPTIONS(struct outer, inner, inner_options)},
	{0},
};

static void read_into(struct outer *outer, json_t *object)
{
	memset(outer, 0, sizeof *outer);
	options_read(outer_options, object, outer, "test.json");
}

static void defaults_are_filled_in(void **state)
{
	(void)state;
	struct outer outer;
	json_t *object = json_object();
	read_into(&outer, object);
	assert_int_equal(outer.layers, 2);
	assert_int_equal(outer.width, 64);
	assert_true(outer.rate == 1e-3 && outer.bias && outer.loud);
	assert_int_equal(outer.colour, GREEN);
	assert_int_equal(outer.unset, -1);
	assert_null(outer.path);
	assert_int_equal(outer.shards, 0);
	/* an outer table's default, and one that follows another */
	assert_true(outer.inner.dropout == .5f && outer.inner.other == .5f);
	assert_int_equal(outer.inner.half, 3);
	char *text = json_text(object);
	assert_string_equal(text,
		"{\"num_layers\":2,\"width\":64,\"learning-rate\":0.001,\"bias\":true,\"loud\":true,"
		"\"colour\":\"green\",\"dropout\":0.5,\"other_dropout\":0.5,\"half\":3}\n");
	/* what is complete reads as the same */
	json_t *again = json_parse(text, strlen(text), "again");
	struct outer twice;
	read_into(&twice, again);
	assert_memory_equal(&outer, &twice, sizeof outer);
	assert_true(json_equal(object, again));
	free(text);
	json_decref(again);
	json_decref(object);
}

static void values_are_taken(void **state)
{
	(void)state;
	struct outer outer;
	json_t *object = json_pack("{s:i, s:s, s:f, s:b, s:b, s:[ss], s:i}", "num_layers", 64, "colour", "red", "dropout",
		0., "bias", false, "loud", false, "shard", "3", "4", "half", 9);
	read_into(&outer, object);
	assert_int_equal(outer.layers, 64);
	assert_int_equal(outer.colour, RED);
	assert_true(outer.inner.other == 0 && !outer.bias && !outer.loud);
	assert_int_equal(outer.shard, 4);
	assert_int_equal(outer.shards, 2);
	assert_int_equal(outer.inner.half, 9);
	json_decref(object);
}

static void read_text(const void *text)
{
	struct outer outer;
	read_into(&outer, json_parse(text, strlen(text), "test"));
}

static void what_does_not_fit_is_named(void **state)
{
	(void)state;
	static const char *const wrong[][2] = {
		{"{\"num_layers\": 0}", "test.json: \"num_layers\" is not a whole number from 1 to 64"},
		{"{\"num_layers\": 2.5}", "\"num_layers\" is not a whole number"},
		{"{\"learning-rate\": 11}", "\"learning-rate\" is 11, from 0 to 10 was expected"},
		{"{\"learning-rate\": \"1\"}", "\"learning-rate\" is not a number"},
		{"{\"bias\": 1}", "\"bias\" is not true or false"},
		{"{\"colour\": \"blue\"}", "\"colour\" is \"blue\", one of red, green was expected"},
		{"{\"path\": 3}", "\"path\" is not a string"},
		{"{\"num_layer\": 2}", "\"num_layer\" is not known here; did you mean \"num_layers\"?"},
		{"{\"zzz\": 2}", "test.json: \"zzz\" is not known here"},
	};
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		expect_death(read_text, wrong[i][0], wrong[i][1]);
}

struct parsing {
	const char *key, *text;
};

static void parse(const void *data)
{
	const struct parsing *parsing = data;
	struct option *rows = options_of(outer_options);
	const struct option *row = option_keyed(rows, parsing->key);
	option_parse(row, option_spelt(row), parsing->text);
}

static void words_that_do_not_fit_are_wrong_usage(void **state)
{
	(void)state;
	static const struct {
		struct parsing parsing;
		const char *said;
	} wrong[] = {
		{{"num_layers", "65"}, "--layers 65: a whole number from 1 to 64 was expected"},
		{{"num_layers", "2x"}, "--layers 2x: a whole number"},
		{{"learning-rate", "nan"}, "--learning-rate nan: a number from 0 to 10 was expected"},
		{{"colour", "gren"}, "--colour gren: one of red, green was expected; did you mean green?"},
		{{"bias", "true"}, "--bias true: yes or no was expected"},
		{{"name", "\xff"}, "--name: its value is not UTF-8"},
	};
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		expect_end(parse, &wrong[i].parsing, 2, wrong[i].said);
}

static void paths_are_kept_as_they_are(void **state)
{
	(void)state;
	struct option *rows = options_of(outer_options);
	json_t *value = option_parse(option_keyed(rows, "path"), "--path", "\xff\xfe"), *given = json_object();
	struct outer outer;
	json_object_set_new_nocheck(given, "path", value);
	read_into(&outer, given);
	assert_string_equal(outer.path, "\xff\xfe");
	json_decref(given);
	free(rows);
}

/* Two tables that go together: the one above, and one whose rows are for its values. */
static const struct option beside_options[] = {
	{"rough", WHOLE_OPTION(struct inner, half, 0, 9), .only = "width!=64|65", .help = "Where the width is unusual"},
	{"either", WHOLE_OPTION(struct inner, half, 0, 9), .only = "colour=red, width=7, there=9", .help = "Of several"},
	{"beside", WHOLE_OPTION(struct inner, half, 0, 9), .only = "shard", .help = "Where another is given"},
	{"alone", WHOLE_OPTION(struct inner, half, 0, 9), .only = "!name|shard", .help = "Where others are not"},
	{"derived", WHOLE_OPTION(struct inner, half, 0, 9), .only = "half=4", .help = "For what follows from values"},
	{"both", WHOLE_OPTION(struct inner, half, 0, 9), .only = "colour=red, shard, beside; width!=65; !name",
		.help = "All"},
	{"all", WHOLE_OPTION(struct inner, half, 0, 9), .only = "!width, !name, !path", .help = "Where one is not"},
	{"most", WHOLE_OPTION(struct inner, half, 0, 99), .at_most = "width", .help = "Up to another"},
	{"half-there", WHOLE_OPTION(struct inner, half, 0, 9), .only = "colour=red; there", .help = "In part there is not"},
	{"nowhere", WHOLE_OPTION(struct inner, half, 0, 9), .only = "there=9", .help = "For what there is not"},
	{"follows", WHOLE_OPTION(struct inner, half, 0, 9), .depends = "there|colour|width", .help = "From values"},
	{0},
};

/* With ' for ". */
static json_t *parse_quoted(const char *text)
{
	char *quoted = xstrdup(text);
	for (char *at = quoted; (at = strchr(at, '\'')); at++)
		*at = '"';
	json_t *object = json_parse(quoted, strlen(quoted), "test");
	free(quoted);
	return object;
}

static void check_only(const void *data)
{
	const json_t *const *given = data;
	const struct option_set sets[] = {{options_of(outer_options), given[0], given[1], given[2] != NULL},
		{options_of(beside_options), given[0], NULL, false}};
	options_check(sets, COUNT_OF(sets));
}

static void rows_are_for_values_of_others(void **state)
{
	(void)state;
	static const struct {
		const char *given, *base, *said; /* NULL: it fits */
		bool is_open;
	} cases[] = {
		{"{'path': 'x', 'colour': 'red'}", "{}", NULL, false},
		{"{'path': 'x'}", "{'colour': 'red'}", NULL, false},
		{"{'path': 'x'}", "{}", "--path is for --colour red, which is green here (see", false},
		{"{'path': 'x'}", "{}", NULL, true},
		{"{'path': 'x', 'colour': 'green'}", "{}", "--path is for --colour red, which is green here (see", true},
		{"{'rough': 1, 'width': 66}", "{}", NULL, false},
		{"{'rough': 1, 'width': 65}", "{}", "--rough is for --width other than 64|65 (see", false},
		{"{'rough': 1}", "{}", "--rough is for --width other than 64|65 (see", false},
		{"{'either': 1, 'width': 7}", "{}", NULL, false},
		{"{'either': 1, 'colour': 'red'}", "{}", NULL, false},
		{"{'either': 1}", "{}", "--either is for --colour red, which is green here, or --width 7, which is 64 here",
			false},
		{"{'beside': 1, 'shard': '3'}", "{}", NULL, false},
		{"{'beside': 1}", "{}", "--beside is for --shard, which is not given (see", false},
		{"{'alone': 1, 'width': 3}", "{}", NULL, false},
		{"{'alone': 1, 'name': 'x'}", "{}", "--alone does not go with --name (see", false},
		{"{'all': 1, 'width': 3, 'name': 'x'}", "{}", NULL, false},
		{"{'all': 1, 'width': 3, 'name': 'x', 'path': 'x', 'colour': 'red'}", "{}",
			"--all does not go with --width and --name and --path (see", false},
		{"{'most': 64}", "{}", NULL, false},
		{"{'most': 65}", "{}", "--most 65 is more than --width, which is 64 here (see", false},
		{"{'most': 65}", "{'width': 70}", NULL, false},
		{"{'both': 1, 'shard': '3'}", "{}", NULL, false},
		{"{'both': 1, 'colour': 'red'}", "{}", NULL, false},
		{"{'both': 1, 'width': 3}", "{}",
			"--both is for --colour red, which is green here, or --shard, or --beside (see", false},
		{"{'both': 1, 'colour': 'red', 'width': 65}", "{}", "--both is for --width other than 65 (see", false},
		{"{'both': 1, 'colour': 'red', 'name': 'x'}", "{}", "--both does not go with --name (see", false},
		{"{'derived': 1}", "{}", NULL, false},
		{"{'derived': 1}", "{'half': 3}", "--derived is for --set half=4, which is 3 here (see", false},
		{"{'derived': 1}", "{'half': 4}", NULL, false},
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		json_t *given = parse_quoted(cases[i].given), *base = parse_quoted(cases[i].base);
		const json_t *const data[] = {given, base, cases[i].is_open ? given : NULL};
		if (cases[i].said)
			expect_end(check_only, data, 2, cases[i].said);
		else
			check_only(data);
		json_decref(given);
		json_decref(base);
	}
}

static void rows_of_no_use_and_what_values_follow_from(void **state)
{
	(void)state;
	struct option *rows[] = {options_of(outer_options), options_of(beside_options)};
	json_t *given = parse_quoted("{'width': 3, 'colour': 'red'}"), *base = parse_quoted("{'colour': 'red'}");
	const struct option_set sets[] = {{rows[0], given, base, false}, {rows[1], given, base, false}};
	const struct option *follows = option_keyed(rows[1], "follows");
	assert_true(option_has_use(option_keyed(rows[0], "path"), sets, 2));
	assert_true(option_has_use(option_keyed(rows[1], "either"), sets, 2));
	assert_true(option_has_use(option_keyed(rows[1], "alone"), sets + 1, 1));
	assert_true(option_has_use(option_keyed(rows[1], "both"), sets, 2));
	assert_false(option_has_use(option_keyed(rows[1], "half-there"), sets, 2));
	assert_false(option_has_use(option_keyed(rows[1], "nowhere"), sets, 2));
	assert_ptr_equal(option_cause(follows, sets, 2), option_keyed(rows[0], "width"));
	json_object_set(base, "width", json_object_get(given, "width"));
	assert_null(option_cause(follows, sets, 2));
	json_decref(given);
	json_decref(base);
	free(rows[0]);
	free(rows[1]);
}

/* Each word of .only after its KEY= is one that the other row takes, in whichever table that is. */
static void require_choices(const struct option *row, const struct option *const tables[])
{
	char *only = xstrdup(row->only), *rest = only, *condition;
	while ((condition = strsep(&rest, ",;"))) {
		char *key = condition + strspn(condition, " "), *values = strchr(key, '=');
		if (*key == '!' || !values)
			continue;
		*values++ = '\0';
		key[strcspn(key, "!")] = '\0';
		for (char *value; (value = strsep(&values, "|"));)
			for (int i = 0; tables[i]; i++) {
				struct option *rows = options_of(tables[i]);
				const struct option *other = option_keyed(rows, key);
				if (other)
					json_decref(option_parse(other, key, value));
				free(rows);
			}
	}
	free(only);
}

static void what_options_are_for_there_is(void **state)
{
	(void)state;
	const struct option *tables[64] = {NULL};
	int n = 0;
	for (int i = 0; trainings[i]; i++)
		tables[n++] = trainings[i]->options;
	for (int i = 0; architecture_names[i]; i++)
		if (architecture_named(architecture_names[i])->options)
			tables[n++] = architecture_named(architecture_names[i])->options;
	assert_true(n > 10 && n < (int)COUNT_OF(tables));
	for (int i = 0; i < n; i++) {
		struct option *rows = options_of(tables[i]);
		for (const struct option *row = rows; row->kind; row++)
			if (option_is_value(row) && row->only)
				require_choices(row, tables);
		free(rows);
	}
}

static void an_identity_leaves_out_what_changes_nothing(void **state)
{
	(void)state;
	struct outer outer;
	json_t *one = json_object(), *two = json_pack("{s:b}", "loud", false), *three = json_pack("{s:i}", "width", 65);
	read_into(&outer, one);
	read_into(&outer, two);
	read_into(&outer, three);
	json_t *of_one = options_identity(outer_options, one), *of_two = options_identity(outer_options, two),
		   *of_three = options_identity(outer_options, three);
	assert_true(json_equal(of_one, of_two));
	assert_false(json_equal(of_one, of_three));
	json_t *all[] = {one, two, three, of_one, of_two, of_three};
	for (size_t i = 0; i < COUNT_OF(all); i++)
		json_decref(all[i]);
}

/* Of command lines, tables and requests: decimal, and nothing beside it. */
static void numbers_are_decimal(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t value;
	} whole[] = {{"0", 0}, {"-7", -7}, {"+7", 7}, {"007", 7}, {"9223372036854775807", INT64_MAX},
		{"-9223372036854775808", INT64_MIN}};
	static const char *const neither[] = {"", "-", "+", " 1", "1 ", "\t1", "0x10", "1x", "--1", "+-1", "1_000", "1,5",
		"inf", "nan", "0x1p3", "e1", "1e", "1d", "\xd9\xa1"};
	static const char *const no_whole[] = {"1e1", "1.0", ".5", "9223372036854775808", "-9223372036854775809",
		"99999999999999999999999"};
	int64_t value;
	double real;
	for (size_t i = 0; i < COUNT_OF(whole); i++)
		assert_true(parse_int(whole[i].text, INT64_MIN, INT64_MAX, &value) && value == whole[i].value);
	for (size_t i = 0; i < COUNT_OF(no_whole); i++)
		assert_false(parse_int(no_whole[i], INT64_MIN, INT64_MAX, &value));
	for (size_t i = 0; i < COUNT_OF(neither); i++) {
		assert_false(parse_int(neither[i], INT64_MIN, INT64_MAX, &value));
		assert_false(parse_float(neither[i], -1e300, 1e300, &real));
	}
	assert_false(parse_int("10", 0, 9, &value) || parse_int("-1", 0, 9, &value));
	assert_false(parse_float("1e999", -1e308, 1e308, &real) || parse_float("2", 0, 1, &real));
	assert_true(parse_float("-2.5e-1", -1, 1, &real) && real == -.25);
	assert_true(parse_float(".5", -1, 1, &real) && real == .5 && parse_float("+1.", -1, 1, &real) && real == 1);
}

static void the_word_that_was_meant(void **state)
{
	(void)state;
	static const char *const words[] = {"learning-rate", "layers", "epochs", "batch-size", "num_hidden_layers"};
	static const char *const cases[][2] = {{"lr", "learning-rate"}, {"learnin-rate", "learning-rate"},
		{"bs", "batch-size"}, {"nhl", "num_hidden_layers"}, {"epohcs", "epochs"}, {"layer", "layers"},
		{"rate", "learning-rate"}, {"zzz", NULL}, {"x", NULL}};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *meant = nearest_word(cases[i][0], words, COUNT_OF(words));
		assert_true(meant == NULL ? !cases[i][1] : cases[i][1] && !strcmp(meant, cases[i][1]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_filled_in),
		cmocka_unit_test(values_are_taken),
		cmocka_unit_test(what_does_not_fit_is_named),
		cmocka_unit_test(words_that_do_not_fit_are_wrong_usage),
		cmocka_unit_test(paths_are_kept_as_they_are),
		cmocka_unit_test(rows_are_for_values_of_others),
		cmocka_unit_test(rows_of_no_use_and_what_values_follow_from),
		cmocka_unit_test(what_options_are_for_there_is),
		cmocka_unit_test(an_identity_leaves_out_what_changes_nothing),
		cmocka_unit_test(numbers_are_decimal),
		cmocka_unit_test(the_word_that_was_meant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
