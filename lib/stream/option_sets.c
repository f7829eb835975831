/* Options that go together: what one is for, what follows from another, and what is taken over from before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream/option.h"

#define KEY_SIZE 64

/* One of what .only asks for. */
struct condition {
	char key[KEY_SIZE];
	const char *values; /* "A|B", so long; NULL: any that is given */
	int length;
	bool differs; /* none of these */
	bool alone;   /* `values` are other keys, none of which is given */
	bool is_last; /* of those of which one will do */
};

/* Returns what follows it, or NULL. */
static const char *next_condition(const char *only, struct condition *condition)
{
	const int key = (int)strcspn(only, "!=,;"), all = (int)strcspn(only, ",;");
	const char *next = only[all] ? only + all + 2 : NULL;
	*condition = (struct condition){
		.differs = key && only[key] == '!',
		.alone = only[0] == '!',
		.is_last = only[all] != ',',
	};
	if (condition->alone) {
		condition->values = only + 1;
		condition->length = all - 1;
		return next;
	}
	snprintf(condition->key, sizeof condition->key, "%.*s", key, only);
	const int values = key + condition->differs + 1;
	if (key < all) {
		condition->values = only + values;
		condition->length = all - values;
	}
	return next;
}

static bool is_among(const char *text, const struct condition *condition)
{
	const size_t length = strlen(text);
	for (const char *at = condition->values, *end = at + condition->length; at < end;) {
		const size_t n = strcspn(at, "|,;");
		if (n == length && !strncmp(at, text, n))
			return true;
		at += n + 1;
	}
	return false;
}

/* The row of a key, and whose it is; NULL. */
static const struct option *find_keyed(const struct option_set sets[], int n, const char *key,
	const struct option_set **of)
{
	for (*of = sets; *of < sets + n; (*of)++) {
		const struct option *row = option_keyed((*of)->rows, key);
		if (row)
			return row;
	}
	return NULL;
}

/* As text; NULL: that is open yet. Empty: there is none. */
static char *value_in(const struct option_set *set, const struct option *row)
{
	const json_t *value = json_object_get(set->given, option_key(row));
	if (!value)
		value = json_object_get(set->base, option_key(row));
	if (value)
		return option_text(value);
	if (set->is_open || row->derive)
		return NULL;
	if (row->fallback && *row->fallback == '=')
		return value_in(set, option_keyed(set->rows, row->fallback + 1));
	return xstrdup(row->fallback ? row->fallback : "");
}

static bool holds(const struct condition *condition, const char *text)
{
	return condition->values ? is_among(text, condition) != condition->differs : *text;
}

/* The first of the keys that a row goes without that is given; NULL: none is. */
static const struct option *given_of(const struct condition *condition, const struct option_set sets[], int n)
{
	for (int i = 0; i < n; i++)
		for (const struct option *other = sets[i].rows; other->kind; other++)
			if (option_is_value(other) && is_among(option_key(other), condition) &&
				json_object_get(sets[i].given, option_key(other)))
				return other;
	return NULL;
}

/* What .only says of it, for people, with what there is instead. */
static char *told(const struct condition *condition, const struct option *other, const char *is)
{
	char *spelt = option_spelt(other);
	char *text = condition->alone || !condition->values ? xstrdup(spelt) :
		condition->differs ? xasprintf("%s other than %.*s", spelt, condition->length, condition->values) :
							 xasprintf("%s%s%.*s%s%s%s", spelt, other->name ? " " : "=", condition->length,
								 condition->values, *is ? ", which is " : "", is, *is ? " here" : "");
	free(spelt);
	return text;
}

/* Whether it is fulfilled; if not, what it asks for is added to the words. */
static bool is_fulfilled(const struct condition *condition, const struct option_set sets[], int n, struct buffer *words)
{
	const struct option_set *of = NULL;
	const struct option *other = condition->alone ? given_of(condition, sets, n) :
													find_keyed(sets, n, condition->key, &of);
	if (!other)
		return condition->alone;
	char *is = of ? value_in(of, other) : xstrdup("");
	const bool fits = of && (!is || holds(condition, is));
	if (!fits) {
		char *text = told(condition, other, is);
		const char *between = condition->alone ? " and " : ", or ";
		buffer_append(words, between, words->size ? strlen(between) : 0);
		buffer_append(words, text, strlen(text));
		free(text);
	}
	free(is);
	return fits;
}

/* Of the conditions at `only` up to the last of which one will do. Returns what follows them, or NULL. */
static const char *check_some(const struct option *row, const char *only, const struct option_set sets[], int n)
{
	struct buffer words = {0};
	struct condition condition = {.is_last = false};
	int tried = 0;
	bool fits = false;
	for (; !condition.is_last; tried++) {
		only = next_condition(only, &condition);
		fits = fits || is_fulfilled(&condition, sets, n, &words);
	}
	if (!fits)
		die_usage("%s %s %.*s%s", option_spelt(row), condition.alone ? "does not go with" : "is for", (int)words.size,
			words.data, tried == 1 && !condition.values ? ", which is not given" : "");
	buffer_free(&words);
	return only;
}

/* Wrong usage where it is more than the value of another row. */
static void check_at_most(const struct option *row, const struct option_set *set, const struct option_set sets[], int n)
{
	const struct option_set *of;
	const struct option *other = find_keyed(sets, n, row->at_most, &of);
	char *most = other ? value_in(of, other) : NULL;
	int64_t number;
	if (most && parse_int(most, INT64_MIN, INT64_MAX, &number) &&
		json_integer_value(json_object_get(set->given, option_key(row))) > number)
		die_usage("%s %lld is more than %s, which is %s here", option_spelt(row),
			(long long)json_integer_value(json_object_get(set->given, option_key(row))), option_spelt(other), most);
	free(most);
}

void options_check(const struct option_set sets[], int n)
{
	for (int i = 0; i < n; i++)
		for (const struct option *row = sets[i].rows; row->kind; row++) {
			if (!option_is_value(row) || !json_object_get(sets[i].given, option_key(row)))
				continue;
			for (const char *at = row->only; at;)
				at = check_some(row, at, sets, n);
			if (row->at_most)
				check_at_most(row, &sets[i], sets, n);
		}
}

bool option_has_use(const struct option *row, const struct option_set sets[], int n)
{
	for (const char *at = row->only; at;) {
		struct condition condition = {.is_last = false};
		const struct option_set *of;
		for (bool has = false; !condition.is_last;) {
			at = next_condition(at, &condition);
			has |= condition.alone || find_keyed(sets, n, condition.key, &of);
			if (condition.is_last && !has)
				return false;
		}
	}
	return true;
}

const struct option *option_cause(const struct option *row, const struct option_set sets[], int n)
{
	for (const char *at = row->depends; at && *at;) {
		char key[KEY_SIZE];
		const size_t length = strcspn(at, "|");
		snprintf(key, sizeof key, "%.*s", (int)length, at);
		at += length + (at[length] == '|');
		const struct option_set *of;
		const struct option *other = find_keyed(sets, n, key, &of);
		const json_t *is = other ? json_object_get(of->given, key) : NULL;
		if (is && !json_equal(is, json_object_get(of->base, key)))
			return other;
	}
	return NULL;
}

/* Whether another value that is given stands behind this one: what it follows, or what it is for. */
static bool is_overruled(const struct option *row, const json_t *given, const json_t *base)
{
	if (row->fallback && *row->fallback == '=')
		return json_object_get(given, row->fallback + 1);
	bool is = false;
	for (const char *at = row->only; at && !is;) {
		struct condition condition;
		at = next_condition(at, &condition);
		const json_t *other = condition.alone ? NULL : json_object_get(given, condition.key);
		char *text = other ? option_text(other) : NULL;
		is = other && !json_equal(other, json_object_get(base, condition.key)) &&
			(!condition.differs || !holds(&condition, text));
		free(text);
	}
	return is;
}

/* The struct that the rows fill is no larger. */
static size_t size_of_values(const struct option *rows)
{
	size_t size = 0;
	for (; rows->kind; rows++)
		if (option_is_value(rows) && rows->offset + sizeof(int64_t) > size)
			size = rows->offset + sizeof(int64_t);
	return size + 64;
}

/*
 * Whether the row's value in `base` is what .derive makes of the
 * others, which are those of `given` before those of `base`.
 */
static bool is_derived(const struct option *table, const struct option *rows, const struct option *row,
	const json_t *given, const json_t *base)
{
	json_t *others = json_object();
	for (const struct option *other = rows; other->kind; other++) {
		const char *key = option_key(other);
		json_t *value = option_is_value(other) && other != row ? json_object_get(given, key) : NULL;
		if (!value && option_is_value(other) && other != row)
			value = json_object_get(base, key);
		if (value)
			json_set(others, key, json_incref(value));
	}
	void *values = xcalloc(1, size_of_values(rows));
	options_read(table, others, values, OPTIONS_GIVEN);
	const bool same = json_equal(json_object_get(others, option_key(row)), json_object_get(base, option_key(row)));
	free(values);
	json_decref(others);
	return same;
}

/* Whether the base's value was derived, and what is given makes another. */
static bool is_derived_anew(const struct option *table, const struct option *rows, const struct option *row,
	const json_t *given, const json_t *base)
{
	return row->derive && row->derive != option_depends && is_derived(table, rows, row, NULL, base) &&
		!is_derived(table, rows, row, given, base);
}

void options_inherit(const struct option *table, json_t *given, const json_t *base, enum derived_values derived)
{
	struct option *rows = options_of(table);
	json_t *more = json_object();
	for (const struct option *row = rows; row->kind; row++) {
		json_t *value = option_is_value(row) ? json_object_get(base, option_key(row)) : NULL;
		if (value && !json_object_get(given, option_key(row)) && !is_overruled(row, given, base) &&
			(derived == DERIVED_KEPT || !is_derived_anew(table, rows, row, given, base)))
			json_set(more, option_key(row), json_incref(value));
	}
	if (json_object_update(given, more))
		die_memory(0, 0);
	json_decref(more);
	free(rows);
}
