#include "stream/option.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream/contents.h"

void die_usage(const char *format, ...)
{
	char text[1024];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	die_status = 2;
	die("%s (see %s --help)", text, program_name);
}

/* --- tables --- */

bool option_is_value(const struct option *row)
{
	return row->kind >= OPTION_FLAG;
}

bool option_takes_value(const struct option *row)
{
	return row->kind > OPTION_FLAG;
}

const char *option_key(const struct option *row)
{
	return row->key ? row->key : row->name;
}

const struct option *option_named(const struct option *rows, const char *name)
{
	for (; rows->kind; rows++)
		if (rows->name && !strcmp(rows->name, name))
			return rows;
	return NULL;
}

const struct option *option_keyed(const struct option *rows, const char *key)
{
	for (; rows->kind; rows++)
		if (option_is_value(rows) && !strcmp(option_key(rows), key))
			return rows;
	return NULL;
}

char *option_spelt(const struct option *row)
{
	return row->name ? xasprintf("--%s", row->name) : xasprintf(row->help ? "--set %s" : "%s", row->key);
}

void option_require_multiple(const struct option *table, const char *where, const char *key, int64_t value,
	const char *of, int64_t unit)
{
	if (value % unit == 0)
		return;
	if (strcmp(where, OPTIONS_GIVEN) != 0)
		die("%s: \"%s\" %lld is not a multiple of \"%s\" %lld", where, key, (long long)value, of, (long long)unit);
	struct option *rows = options_of(table);
	char *whole = option_spelt(option_keyed(rows, key)), *part = option_spelt(option_keyed(rows, of));
	die_usage("%s %lld is not a multiple of %s %lld", whole, (long long)value, part, (long long)unit);
}

static int count_rows(const struct option *table)
{
	int n = 0;
	for (; table->kind; table++)
		n += table->kind == OPTION_INCLUDE ? count_rows(table->included) : 1;
	return n;
}

static void set_other_default(struct option *rows, int n, const struct option *other)
{
	for (int i = 0; i < n; i++) {
		struct option *row = &rows[i];
		if (!option_is_value(row) || strcmp(option_key(row), option_key(other)))
			continue;
		row->fallback = other->fallback;
		row->derive = other->derive;
		row->depends = other->depends ? other->depends : row->depends;
		if (other->kind == OPTION_FIXED) {
			row->key = option_key(row);
			row->name = row->help = NULL;
		}
		return;
	}
	die("%s: no option has this key, whose default is set", option_key(other));
}

/* Defaults of an outer table are set last, and stand. */
static int flatten(const struct option *table, size_t base, struct option *out)
{
	int n = 0;
	for (const struct option *row = table; row->kind; row++) {
		if (row->kind == OPTION_INCLUDE) {
			n += flatten(row->included, base + row->offset, out + n);
		} else if (row->kind != OPTION_OTHER && row->kind != OPTION_FIXED) {
			out[n] = *row;
			out[n].base = base;
			out[n++].offset += base;
		}
	}
	for (const struct option *row = table; row->kind; row++)
		if (row->kind == OPTION_OTHER || row->kind == OPTION_FIXED)
			set_other_default(out, n, row);
	return n;
}

struct option *options_of(const struct option *table)
{
	struct option *rows = xcalloc((size_t)count_rows(table) + 1, sizeof *rows);
	flatten(table, 0, rows);
	return rows;
}

/* --- words --- */

char *list_words(const char *const words[], const char *last)
{
	struct buffer list = {0};
	for (int i = 0; words[i]; i++) {
		const char *between = !i ? "" : words[i + 1] ? ", " : last;
		buffer_append(&list, between, strlen(between));
		buffer_append(&list, words[i], strlen(words[i]));
	}
	buffer_append(&list, "", 1);
	return list.data;
}

#define LONGEST_WORD 63

/* Letters put in, left out, changed, or two changed round (Damerau 1964). */
static int edit_distance(const char *a, const char *b)
{
	int rows[3][LONGEST_WORD + 1], n = (int)strlen(a), m = (int)strlen(b);
	if (n > LONGEST_WORD || m > LONGEST_WORD)
		return LONGEST_WORD;
	for (int j = 0; j <= m; j++)
		rows[0][j] = j;
	for (int i = 1; i <= n; i++) {
		int *now = rows[i % 3], *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];
		now[0] = i;
		for (int j = 1; j <= m; j++) {
			now[j] = before[j - 1] + (a[i - 1] != b[j - 1]);
			now[j] = before[j] + 1 < now[j] ? before[j] + 1 : now[j];
			now[j] = now[j - 1] + 1 < now[j] ? now[j - 1] + 1 : now[j];
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && two_before[j - 2] + 1 < now[j])
				now[j] = two_before[j - 2] + 1;
		}
	}
	return rows[n % 3][m];
}

/* "lr" of "learning-rate" */
static bool are_initials(const char *word, const char *of)
{
	size_t n = 0;
	for (const char *at = of; at; at = strpbrk(at, "-_")) {
		at += at != of;
		if (word[n++] != *at)
			return false;
	}
	return n > 1 && !word[n];
}

const char *nearest_word(const char *word, const char *const words[], int n)
{
	const char *nearest = NULL;
	int least = (int)strlen(word) / 3 + 1;
	for (int i = 0; i < n; i++) {
		int distance = are_initials(word, words[i]) ? 0 : edit_distance(word, words[i]);
		if (distance < least || (distance == least && !nearest && least > 1)) {
			least = distance;
			nearest = words[i];
		}
	}
	for (int i = 0; i < n && !nearest && strlen(word) > 2; i++) /* "rate", "epochs-max" */
		if (strstr(words[i], word) || strstr(word, words[i]))
			nearest = words[i];
	return nearest;
}

/* --- text to JSON --- */

static json_t *parse_choice(const struct option *row, const char *spelt, const char *text)
{
	int n = 0;
	for (; row->choices[n]; n++)
		if (!strcmp(row->choices[n], text))
			return json_string(text);
	const char *meant = nearest_word(text, row->choices, n);
	char *list = list_words(row->choices, ", ");
	die_usage("%s %s: one of %s was expected%s%s%s", spelt, text, list, meant ? "; did you mean " : "",
		meant ? meant : "", meant ? "?" : "");
}

static json_t *parse_number(const struct option *row, const char *spelt, const char *text)
{
	int64_t whole;
	double real;
	if (row->kind == OPTION_REAL) {
		if (!parse_float(text, row->from, row->to, &real))
			die_usage("%s %s: a number from %g to %g was expected", spelt, text, row->from, row->to);
		return json_real(real);
	}
	if (!parse_int(text, row->low, row->high, &whole))
		die_usage("%s %s: a whole number from %lld to %lld was expected", spelt, text, (long long)row->low,
			(long long)row->high);
	return json_integer(whole);
}

json_t *option_parse(const struct option *row, const char *spelt, const char *text)
{
	json_t *value = NULL;
	switch (row->kind) {
	case OPTION_FLAG:
	case OPTION_YES_NO:
		if (strcmp(text, "yes") && strcmp(text, "no"))
			die_usage("%s %s: yes or no was expected", spelt, text);
		return json_boolean(*text == 'y');
	case OPTION_WHOLE:
	case OPTION_REAL: return parse_number(row, spelt, text);
	case OPTION_CHOICE: return parse_choice(row, spelt, text);
	case OPTION_JSON: return json_parse(text, strlen(text), spelt);
	case OPTION_FILE:
	case OPTION_OWN: value = json_string_nocheck(text); break; /* paths may be of any bytes */
	default: value = json_string(text);
	}
	if (!value)
		die_usage("%s: its value is not UTF-8", spelt);
	return value;
}

char *option_text(const json_t *value)
{
	if (json_is_boolean(value))
		return xstrdup(json_is_true(value) ? "yes" : "no");
	if (json_is_integer(value))
		return xasprintf("%lld", (long long)json_integer_value(value));
	if (json_is_real(value))
		return xasprintf("%.9g", json_real_value(value));
	if (json_is_string(value))
		return xstrdup(json_string_value(value));
	char *text = json_text(value);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

json_t *option_flag(const struct option *row)
{
	return json_boolean(!row->fallback || *row->fallback != 'y');
}

/* --- JSON to values --- */

static int64_t checked_whole(const struct option *row, const json_t *value, const char *where)
{
	int64_t number = json_integer_value(value);
	if (!json_is_integer(value) || number < row->low || number > row->high)
		die("%s: \"%s\" is not a whole number from %lld to %lld", where, option_key(row), (long long)row->low,
			(long long)row->high);
	return number;
}

static double checked_real(const struct option *row, const json_t *value, const char *where)
{
	double number = json_number_value(value);
	if (!json_is_number(value))
		die("%s: \"%s\" is not a number", where, option_key(row));
	if (!(number >= row->from && number <= row->to))
		die("%s: \"%s\" is %g, from %g to %g was expected", where, option_key(row), number, row->from, row->to);
	return number;
}

static const char *checked_string(const struct option *row, const json_t *value, const char *where)
{
	if (!json_is_string(value))
		die("%s: \"%s\" is not a string", where, option_key(row));
	return json_string_value(value);
}

static int checked_choice(const struct option *row, const json_t *value, const char *where)
{
	const char *name = checked_string(row, value, where);
	for (int i = 0; row->choices[i]; i++)
		if (!strcmp(row->choices[i], name))
			return i;
	die("%s: \"%s\" is \"%s\", one of %s was expected", where, option_key(row), name, list_words(row->choices, ", "));
}

/* Each of the words of an option that a function reads. */
static void read_own(const struct option *row, const json_t *value, void *values, const char *where)
{
	char *spelt = option_spelt(row);
	const size_t n = json_is_array(value) ? json_array_size(value) : 1;
	for (size_t i = 0; i < n; i++)
		row->read(spelt, checked_string(row, json_is_array(value) ? json_array_get(value, i) : value, where),
			(char *)values + row->base);
	free(spelt);
}

static void store(const struct option *row, const json_t *value, void *values, const char *where)
{
	void *field = (char *)values + row->offset;
	switch (row->kind) {
	case OPTION_FLAG:
	case OPTION_YES_NO:
		if (!json_is_boolean(value))
			die("%s: \"%s\" is not true or false", where, option_key(row));
		*(bool *)field = json_is_true(value);
		return;
	case OPTION_WHOLE:
		if (row->size == sizeof(int))
			*(int *)field = (int)checked_whole(row, value, where);
		else
			*(int64_t *)field = checked_whole(row, value, where);
		return;
	case OPTION_REAL:
		if (row->size == sizeof(float))
			*(float *)field = (float)checked_real(row, value, where);
		else
			*(double *)field = checked_real(row, value, where);
		return;
	case OPTION_CHOICE: *(int *)field = checked_choice(row, value, where); return;
	case OPTION_OWN: read_own(row, value, values, where); return;
	case OPTION_JSON: *(const json_t **)field = value; return;
	case OPTION_SET: return;
	default: *(const char **)field = checked_string(row, value, where); return;
	}
}

/* What a function derived, as JSON. */
static json_t *derived(const struct option *row, const void *values)
{
	const void *field = (const char *)values + row->offset;
	switch (row->kind) {
	case OPTION_FLAG:
	case OPTION_YES_NO: return json_boolean(*(const bool *)field);
	case OPTION_WHOLE: return json_integer(row->size == sizeof(int) ? *(const int *)field : *(const int64_t *)field);
	case OPTION_REAL:
		return json_real(row->size == sizeof(float) ? (double)*(const float *)field : *(const double *)field);
	case OPTION_CHOICE: return json_string(row->choices[*(const int *)field]);
	case OPTION_JSON: return json_incref(*(json_t *const *)field);
	default: return json_string(*(const char *const *)field);
	}
}

void option_depends(void *values)
{
	(void)values;
}

/* The value of a row that was not given, or NULL: there is none. */
static json_t *default_of(const struct option *row, const json_t *complete, void *values)
{
	if (row->derive == option_depends)
		return NULL;
	if (row->derive) {
		row->derive((char *)values + row->base);
		return derived(row, values);
	}
	if (!row->fallback)
		return row->kind == OPTION_FLAG ? json_false() : NULL;
	if (*row->fallback == '=')
		return json_incref(json_object_get(complete, row->fallback + 1));
	return option_parse(row, option_key(row), row->fallback);
}

static void refuse_unknown(const struct option *rows, json_t *object, const char *where)
{
	const char *key, *known[256];
	json_t *value;
	int n = 0;
	for (const struct option *row = rows; row->kind && n < (int)COUNT_OF(known); row++)
		if (option_is_value(row))
			known[n++] = option_key(row);
	json_object_foreach (object, key, value) {
		if (option_keyed(rows, key))
			continue;
		const char *meant = nearest_word(key, known, n);
		die("%s: \"%.100s\" is not known here%s%s%s", where, key, meant ? "; did you mean \"" : "", meant ? meant : "",
			meant ? "\"?" : "");
	}
}

static void leave_unset(const struct option *row, void *values)
{
	void *field = (char *)values + row->offset;
	if (row->kind == OPTION_CHOICE)
		*(int *)field = -1;
	else if (row->kind == OPTION_REAL && row->size == sizeof(float))
		*(float *)field = NAN;
	else if (row->kind == OPTION_REAL)
		*(double *)field = NAN;
}

void options_read(const struct option *table, json_t *object, void *values, const char *where)
{
	struct option *rows = options_of(table);
	json_t *complete = json_object();
	const int status = die_status;
	if (!where) {
		die_status = 2;
		where = "options";
	}
	refuse_unknown(rows, object, where);
	for (const struct option *row = rows; row->kind; row++) {
		const json_t *value = option_is_value(row) ? json_object_get(object, option_key(row)) : NULL;
		if (value)
			store(row, value, values, where);
	}
	for (const struct option *row = rows; row->kind; row++) {
		if (!option_is_value(row) || row->kind == OPTION_SET)
			continue;
		json_t *value = json_incref(json_object_get(object, option_key(row)));
		const bool is_given = value;
		if (!value)
			value = default_of(row, complete, values);
		if (value)
			json_set(complete, option_key(row), value);
		else
			leave_unset(row, values);
		if (value && !is_given && !row->derive)
			store(row, value, values, where);
	}
	json_object_clear(object);
	if (json_object_update(object, complete))
		die_memory(0, 0);
	json_decref(complete);
	free(rows);
	die_status = status;
}

/* --- parts of what was given --- */

json_t *options_to_repeat(const struct option *table, const json_t *object)
{
	struct option *rows = options_of(table);
	json_t *part = json_object();
	for (const struct option *row = rows; row->kind; row++) {
		json_t *value = option_is_value(row) && row->help && !row->no_effect ?
			json_object_get(object, option_key(row)) :
			NULL;
		if (value)
			json_set(part, option_key(row), json_incref(value));
	}
	free(rows);
	return part;
}

json_t *options_identity(const struct option *table, const json_t *object)
{
	struct option *rows = options_of(table);
	json_t *identity = json_object();
	for (const struct option *row = rows; row->kind; row++) {
		json_t *value = option_is_value(row) ? json_object_get(object, option_key(row)) : NULL;
		if (!value || row->no_effect)
			continue;
		if (row->kind == OPTION_FILE) {
			char contents[17];
			fingerprint_text(contents_fingerprint(json_string_value(value)), contents);
			json_set(identity, option_key(row), json_string(contents));
		} else {
			json_set(identity, option_key(row), json_incref(value));
		}
	}
	free(rows);
	return identity;
}

char **split_list(const char *words)
{
	const size_t length = strlen(words), pointers = (length / 2 + 2) * sizeof(char *);
	char **list = xcalloc(1, pointers + length + 1), *rest = (char *)list + pointers, *word;
	memcpy(rest, words, length);
	for (int n = 0; (word = strsep(&rest, ","));)
		if (*word)
			list[n++] = word;
	return list;
}
