/* Rows out of CSV and TSV, the times and texts in their fields. */
#include "data/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "data/dataset.h"
#include "data/text.h"
#include "data/times.h"

static char path[] = "/tmp/test_table.XXXXXX";

static struct table *open_bytes(const char *bytes, size_t size, bool skip_bad)
{
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
	return table_open(path, &(struct table_format){.skip_bad = skip_bad});
}

static struct table *open_text(const char *text, bool skip_bad)
{
	return open_bytes(text, strlen(text), skip_bad);
}

/* Rows as "a|b/c|d/", to be freed. */
static char *rows(struct table *table)
{
	struct buffer text = {0};
	while (table_next(table)) {
		for (int i = 0; i < table_columns(table); i++) {
			size_t length;
			const char *field = table_field(table, i, &length);
			assert_int_equal(strlen(field), length);
			buffer_append(&text, "|", i ? 1 : 0);
			buffer_append(&text, field, length);
		}
		buffer_append(&text, "/", 1);
	}
	buffer_append(&text, "", 1);
	return text.data;
}

static void expect_rows(const char *file, const char *expected)
{
	struct table *table = open_text(file, false);
	char *got = rows(table);
	assert_string_equal(got, expected);
	free(got);
	table_close(table);
}

static void test_csv(void **state)
{
	(void)state;
	expect_rows("a,b\n1,2\n3,4\n", "1|2/3|4/");
	expect_rows("a,b\n1,2\n3,4", "1|2/3|4/");
	expect_rows("\xef\xbb\xbf"
				"a,b\r\n1,2\r\n\r\n3,4\r\n",
		"1|2/3|4/");
	expect_rows("a,b\r1,2\r\r3,4\r", "1|2/3|4/");
	expect_rows("\n\r\n  \na,b\n\n 1 , 2 \n\n", "1|2/");
	expect_rows("a,b\n\"1,\"\"2\"\"\",\"x\ny\r\nz\"\n,\n", "1,\"2\"|x\ny\r\nz/|/");
	expect_rows("a;b\n1,5;2\n", "1,5|2/");
	expect_rows("a|b\n1;5|2\n", "1;5|2/");
	expect_rows("a\n1\n\"\"\n", "1//");
	expect_rows("\"a,b\";c\n1;2\n", "1|2/");
}

/* What Python's csv module makes of quotes where RFC 4180 has none, and blanks around fields as ever. */
static void test_quotes(void **state)
{
	(void)state;
	expect_rows("a,b\n1,5\" nail\n3,4\n", "1|5\" nail/3|4/");
	expect_rows("a,b\r\n\"1\"x,2\r\n3,4\r\n", "1x|2/3|4/");
	expect_rows("a,b\n\"C\" St - West,2\n", "C St - West|2/");
	expect_rows("a,b\n\"C\" \"D\" E,2\n", "C \"D\" E|2/");
	expect_rows("a;b\n\"the \\\"J. P.\\\" Story\";\"\\\"\n", "the \\J. P.\\\" Story\"|\\/");
	expect_rows("a,b\n\"x\" , \"y\"\n", "x|y/");
	expect_rows("a,b\n\"\"\"x\"\"\",\"\"\"\"\n", "\"x\"|\"/");
	expect_rows("a,b\n\"1\"2\"3\",4\n5,6", "12\"3\"|4/5|6/");
}

static void test_tsv(void **state)
{
	(void)state;
	expect_rows("a\tb\n1\t2\n", "1|2/");
	expect_rows("a\tb\r\n\r\n1\t 5\" nail \r\n\t\r\n", "1| 5\" nail /|/");
	expect_rows("user_id:token\titem_id:token\n\"1\t2", "\"1|2/");
}

static void test_header(void **state)
{
	(void)state;
	struct table *table = open_text("user_id:token\ttitle:token_seq\tx:y\nu\tt\tx\n", false);
	assert_int_equal(table_columns(table), 3);
	assert_string_equal(table_column(table, 0), "user_id");
	assert_string_equal(table_column(table, 1), "title");
	assert_int_equal(table_find(table, "x:y"), 2);
	assert_int_equal(table_find(table, "user_id:token"), -1);
	table_close(table);
}

static void expect_skipped(const char *bytes, size_t size, const char *expected, int64_t skipped, const char *problem)
{
	struct table *table = open_bytes(bytes, size, true);
	char *got = rows(table);
	assert_string_equal(got, expected);
	assert_int_equal(table_skipped(table), skipped);
	if (!table_first_problem(table) || !strstr(table_first_problem(table), problem))
		fail_msg("'%s' was expected in: %s", problem, table_first_problem(table));
	free(got);
	table_close(table);
}

#define EXPECT_SKIPPED(bytes, ...) expect_skipped(bytes, sizeof bytes - 1, __VA_ARGS__)

static void test_skip_bad(void **state)
{
	(void)state;
	EXPECT_SKIPPED("a,b\n1\n1,2\n1,2,3\n3,4\n", "1|2/3|4/", 2, "line 2: 1 field, 2 were expected (a, b)");
	EXPECT_SKIPPED("a,b\n\"x\n\ny\",2\n1,\xff\n3,4\n", "x\n\ny|2/3|4/", 1, "line 5, column b: '\xff': not UTF-8");
	EXPECT_SKIPPED("a,b\n1,2\0\n3,4\n", "3|4/", 1, "line 2, column b: '2': a NUL byte inside");
	EXPECT_SKIPPED("a,b\n\"\"\0,2\n3,4\n", "3|4/", 1, "line 2, column a: '': a NUL byte inside");
	EXPECT_SKIPPED("a,b\n\"1\n2\"x,2\n3,4\n", "3|4/", 1,
		"line 2, column a: '2\"': a quote opened here is closed in line 3");
	EXPECT_SKIPPED("a,b\n\xed\xa0\x80,2\n\xc0\x80,2\n\xf4\x90\x80\x80,2\n\xe2\x82,2\n\xf0\x9f\x98\x80,4\n",
		"\xf0\x9f\x98\x80|4/", 4, "column a");
	EXPECT_SKIPPED("a\tb\n1\n1\t2\0\n3\t4\n", "3|4/", 2, "line 2: 1 field");
}

/* Lines, quoted breaks and long fields across the borders of what is read at once. */
static void test_long(void **state)
{
	(void)state;
	const int ends[] = {262140, 262141, 262142, 262143, 262144, 262145, 524287};
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		for (int tab = 0; tab < 2; tab++) {
			struct buffer text = {0};
			buffer_append(&text, tab ? "a\tb\r\n" : "a,b\r\n", 5);
			while (text.size < (size_t)ends[i])
				buffer_append(&text, "x", 1);
			buffer_append(&text, tab ? "\ty\r\n1\t2\r\n3\r\n4\t5" : ",y\r\n1,2\r\n3\r\n4,5", 15);
			struct table *table = open_bytes(text.data, text.size, true);
			char *got = rows(table);
			assert_string_equal(got + ends[i] - 5, "|y/1|2/4|5/");
			assert_non_null(strstr(table_first_problem(table), "line 4: 1 field"));
			table_close(table);
			free(got);
			buffer_free(&text);
		}
	}
}

static void expect_endless(const char *before, const char *after, int64_t skipped)
{
	struct buffer text = {0};
	buffer_append(&text, before, strlen(before));
	memset(buffer_add(&text, 10000000), 'x', 10000000);
	buffer_append(&text, after, strlen(after));
	struct table *table = open_bytes(text.data, text.size, true);
	char *got = rows(table);
	assert_string_equal(got, "1|2/3|4/");
	assert_int_equal(table_skipped(table), skipped);
	assert_non_null(strstr(table_first_problem(table), "line 3, column b: '"));
	assert_non_null(strstr(table_first_problem(table), "longer than a mebibyte"));
	free(got);
	table_close(table);
	buffer_free(&text);
}

static void test_endless_field(void **state)
{
	(void)state;
	expect_endless("a,b\n1,2\n1,", "\n3,4\n", 1);
	expect_endless("a,b\n1,2\n1,\"", "\"\n3,4\n", 1);
	expect_endless("a\tb\n1\t2\n1\t", "\n3\t4\n", 1);
}

static void test_time(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t seconds;
		uint32_t nanoseconds;
	} good[] = {{"0", 0, 0}, {"-5", -5, 0}, {"1600000005123456789", 1600000005, 123456789},
		{"999999999999999999", 999999999, 999999999}, {"978300019", 978300019, 0}, {"1.5", 1, 500000000},
		{"-0.5", -1, 500000000}, {"9.783e8", 978300000, 0}, {"1970-01-01", 0, 0}, {"2011-11-21", 1321833600, 0},
		{"2011-11-21T08:26", 1321863960, 0}, {"2011-11-21 08:26:07", 1321863967, 0},
		{"2011-11-21T08:26:07.25Z", 1321863967, 250000000}, {"2011-11-21T08:26:07+01:00", 1321860367, 0},
		{"2011-11-21T08:26:07-0130", 1321869367, 0}, {"2012-02-29", 1330473600, 0}, {"1969-12-31T23:59:59Z", -1, 0}};
	struct time time;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		assert_true(parse_time(good[i].text, &time, NULL));
		assert_int_equal(time.seconds, good[i].seconds);
		assert_int_equal(time.nanoseconds, good[i].nanoseconds);
	}
	const char *bad[] = {"", " 1", "1 ", "x", "nan", "inf", "1e300", "0x10", "2011-02-30", "2011-13-01",
		"12/1/2010 8:26", "2011-11-21T", "2011-11-21T08", "2011-11-21T25:00", "2011-11-21T08:26:07.",
		"2011-11-21T08:26+1", "2011-11-21T08:26Q", "99999999999999999999", "2011-11-21+24:00", "2011-11", "1,5"};
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (parse_time(bad[i], &time, NULL))
			fail_msg("'%s' was taken for a time", bad[i]);
}

static void test_text(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {{"", ""}, {" \t\n", ""}, {"  a \r\n\t b\xc2\xa0 c  ", "a b c"},
		{"a\x01\x7f"
		 "b",
			"a b"},
		{"Q&amp;A &lt;b&gt; &quot;x&quot; &#39;y&apos;", "Q&A <b> \"x\" 'y'"}, {"&amp;amp;", "&amp;"},
		{"caf&eacute;&nbsp;&nbsp;&Ouml;l&yuml;", "caf\xc3\xa9 \xc3\x96l\xc3\xbf"}, {"&nbsp;x&#160;", "x"},
		{"\xe3\x80\x80\xe4\xb9\xa6\xe3\x80\x80 \xe2\x80\x83\xe7\xac\x94\xe2\x80\x89", "\xe4\xb9\xa6 \xe7\xac\x94"},
		{"&#x2019;&#8217;&#146;", "\xe2\x80\x99\xe2\x80\x99\xe2\x80\x99"}, {"&#128512;", "\xf0\x9f\x98\x80"},
		{"&trade;&hearts;&Omega;&mu;", "\xe2\x84\xa2\xe2\x99\xa5\xce\xa9\xce\xbc"},
		{"&omegA;&Sigmaf;", "&omegA;&Sigmaf;"},
		{"AT&T; &; &#; &#x; &#xg; &#-1; &bogus; & &amp", "AT&T; &; &#; &#x; &#xg; &#-1; &bogus; & &amp"},
		{"&#0;&#xd800;&#1114112;&#99999999999999999999;", "&#0;&#xd800;&#1114112;&#99999999999999999999;"},
		{"&thisisnoentityatall;", "&thisisnoentityatall;"}, {"&#10;a&#9;b", "a b"},
		{"cafe\xcc\x81 cafe&#769;", "caf\xc3\xa9 caf\xc3\xa9"},
		{"\xef\xbc\xa1\xef\xac\x81", "\xef\xbc\xa1\xef\xac\x81"}};
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		struct buffer text = {0};
		size_t length = text_clean(&text, pairs[i][0], strlen(pairs[i][0]), &(struct text_rules){0});
		assert_string_equal(text.data, pairs[i][1]);
		assert_int_equal(length, strlen(pairs[i][1]));
		assert_int_equal(text.size, length + 1);
		buffer_free(&text);
	}
	struct buffer text = {0};
	text_clean(&text, "\xef\xbc\xa1\xef\xac\x81", 6, &(struct text_rules){.normal_form = NORMAL_NFKC});
	assert_string_equal(text.data, "Afi");
	text.size = 0;
	text_clean(&text, "e\xcc\x81", 3, &(struct text_rules){.normal_form = NORMAL_NONE});
	assert_string_equal(text.data, "e\xcc\x81");
	text.size = 0;
	text_clean(&text, " &amp; ", 7, &(struct text_rules){.keep_entities = true});
	assert_string_equal(text.data, "&amp;");
	buffer_free(&text);
}

int main(void)
{
	close(mkstemp(path));
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_csv), cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_tsv), cmocka_unit_test(test_header), cmocka_unit_test(test_skip_bad),
		cmocka_unit_test(test_long), cmocka_unit_test(test_endless_field), cmocka_unit_test(test_time),
		cmocka_unit_test(test_text)};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
