#include "rank/advisor.h"

#include <stdlib.h>
#include <string.h>

#include "stream/option.h"

#define FIELDS_MAX 64 /* that a question may ask for */

/* The first look-up builds the index of a column. */
static void index_ids(struct strings *ids)
{
	int64_t row = strings_find(ids, "", 0);
	(void)row;
}

void advisor_begin(struct advisor *advisor)
{
	index_ids(&advisor->catalog->item_id);
	if (advisor->users)
		index_ids(&advisor->users->user_id);
}

static void set_text(struct buffer *buffer, const char *text, size_t length)
{
	buffer->size = 0;
	buffer_append(buffer, text, length);
	buffer_append(buffer, "", 1);
}

void question_clear(struct question *question, const struct advisor *advisor)
{
	question->history.size = question->exclude.size = question->unknown.size = question->fields.size = 0;
	set_text(&question->user, "", 0);
	question->n_unknown = 0;
	question->wants_why = advisor->wants_why;
	question->k = advisor->k;
}

void question_free(struct question *question)
{
	buffer_free(&question->user);
	buffer_free(&question->history);
	buffer_free(&question->exclude);
	buffer_free(&question->unknown);
	buffer_free(&question->fields);
}

static void add_item(struct question *question, const struct advisor *advisor, struct buffer *list, const char *id,
	size_t length)
{
	int64_t item = strings_find(&advisor->catalog->item_id, id, length);
	if (item >= 0)
		buffer_append(list, &(int32_t){(int32_t)item}, sizeof(int32_t));
	else if (!question->n_unknown++)
		set_text(&question->unknown, id, length);
}

/* The whole history of a user of the stream; false where nobody is called that. */
static bool add_known(struct question *question, const struct advisor *advisor)
{
	struct sequences *users = advisor->users;
	int64_t user = users ? strings_find(&users->user_id, question->user.data, question->user.size - 1) : -1;
	if (user < 0)
		return false;
	const int64_t first = users->indptr[user], end = users->indptr[user + 1];
	buffer_append(&question->history, users->item + first, (size_t)(end - first) * sizeof *users->item);
	return true;
}

/* --- JSON --- */

static bool refuse(char reason[REASON], const char *key, const char *expected)
{
	snprintf(reason, REASON, "\"%s\": %s was expected", key, expected);
	return false;
}

static bool add_list(struct question *question, const struct advisor *advisor, struct buffer *list, const json_t *json,
	const char *key, char reason[REASON])
{
	const json_t *ids = json_object_get(json, key);
	if (!ids)
		return true;
	if (!json_is_array(ids))
		return refuse(reason, key, "a list of ids");
	for (size_t i = 0; i < json_array_size(ids); i++) {
		const json_t *id = json_array_get(ids, i);
		char number[32];
		if (json_is_integer(id))
			add_item(question, advisor, list, number,
				(size_t)snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(id)));
		else if (json_is_string(id))
			add_item(question, advisor, list, json_string_value(id), json_string_length(id));
		else
			return refuse(reason, key, "a list of ids");
	}
	return true;
}

static bool check_keys(const json_t *json, char reason[REASON])
{
	static const char *const known[] = {"user", "history", "k", "exclude", "why", "fields", NULL};
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)json, key, value) {
		int i = 0;
		while (known[i] && strcmp(key, known[i]) != 0)
			i++;
		if (known[i])
			continue;
		char *list = list_words(known, " and ");
		snprintf(reason, REASON, "\"%.40s\" is not known; %s are", key, list);
		free(list);
		return false;
	}
	return true;
}

static bool read_user(struct question *question, const json_t *json, char reason[REASON])
{
	const json_t *user = json_object_get(json, "user");
	char number[32];
	if (json_is_integer(user))
		set_text(&question->user, number,
			(size_t)snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(user)));
	else if (!user || json_is_string(user))
		set_text(&question->user, user ? json_string_value(user) : "", user ? json_string_length(user) : 0);
	else
		return refuse(reason, "user", "an id");
	return true;
}

bool question_count(const struct advisor *advisor, const json_t *json, const char *key, int32_t *count,
	char reason[REASON])
{
	const json_t *value = json_object_get(json, key);
	if (value &&
		(!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > advisor->longest)) {
		snprintf(reason, REASON, "\"%s\": a whole number from 1 to %d was expected", key, advisor->longest);
		return false;
	}
	*count = value ? (int32_t)json_integer_value(value) : advisor->k;
	return true;
}

static bool read_why(struct question *question, const json_t *json, char reason[REASON])
{
	const json_t *why = json_object_get(json, "why");
	if (why && !json_is_boolean(why))
		return refuse(reason, "why", "true or false");
	if (why)
		question->wants_why = json_is_true(why);
	return true;
}

/* The catalog's own name of an attribute whose texts it has; NULL: there is none. */
static const char *attribute_named(const struct catalog *catalog, const char *name)
{
	const json_t *names = catalog->text ? json_object_get(catalog->group.meta, "attributes") : NULL;
	for (size_t i = 0; name && i < json_array_size(names); i++) {
		const char *known = json_string_value(json_array_get(names, i));
		if (known && !strcmp(known, name))
			return known;
	}
	return NULL;
}

bool question_fields(const struct advisor *advisor, const json_t *json, struct buffer *fields, char reason[REASON])
{
	const json_t *names = json_object_get(json, "fields");
	if (!names)
		return true;
	if (!json_is_array(names) || json_array_size(names) > FIELDS_MAX)
		return refuse(reason, "fields", "a list of at most " NUMBER_TEXT(FIELDS_MAX) " attributes");
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		const char *known = attribute_named(advisor->catalog, name);
		if (!name)
			return refuse(reason, "fields", "a list of names of attributes");
		if (!known) {
			snprintf(reason, REASON, "\"fields\": the catalog has no attribute \"%.100s\"", name);
			return false;
		}
		buffer_append(fields, &known, sizeof known);
	}
	buffer_append(fields, &(const char *){NULL}, sizeof(const char *));
	return true;
}

bool question_of_json(struct question *question, const struct advisor *advisor, const json_t *json, char reason[REASON])
{
	question_clear(question, advisor);
	if (!json_is_object(json)) {
		snprintf(reason, REASON, "an object with \"user\" or \"history\" was expected");
		return false;
	}
	if (!check_keys(json, reason) || !read_user(question, json, reason) ||
		!question_count(advisor, json, "k", &question->k, reason) || !read_why(question, json, reason) ||
		!question_fields(advisor, json, &question->fields, reason) ||
		!add_list(question, advisor, &question->history, json, "history", reason) ||
		!add_list(question, advisor, &question->exclude, json, "exclude", reason))
		return false;
	if (json_object_get(json, "history"))
		return true;
	if (!*question->user.data) {
		snprintf(reason, REASON, "\"user\" or \"history\" was expected");
		return false;
	}
	if (add_known(question, advisor))
		return true;
	snprintf(reason, REASON, "user \"%.100s\" is not known, and there is no \"history\"", question->user.data);
	return false;
}

/* --- lines --- */

static void add_split(struct question *question, const struct advisor *advisor, const char *at, const char *end,
	char separator)
{
	while (at < end) {
		const char *next = memchr(at, separator, (size_t)(end - at));
		if (!next)
			next = end;
		if (next > at)
			add_item(question, advisor, &question->history, at, (size_t)(next - at));
		at = next + 1;
	}
}

static bool read_json_line(struct question *question, const struct advisor *advisor, const char *line, size_t length,
	char reason[REASON])
{
	json_error_t error;
	json_t *json = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
	if (!json) {
		question_clear(question, advisor);
		snprintf(reason, REASON, "not JSON: %.150s", json_problem(&error));
		return false;
	}
	bool is_right = question_of_json(question, advisor, json, reason);
	json_decref(json);
	return is_right;
}

bool question_of_line(struct question *question, const struct advisor *advisor, const char *line, size_t length,
	char reason[REASON])
{
	if (length && *line == '{')
		return read_json_line(question, advisor, line, length, reason);
	const char *end = line + length, *tab = memchr(line, '\t', length);
	question_clear(question, advisor);
	question->wants_why = false; /* its answer has no place for that */
	set_text(&question->user, line, tab ? (size_t)(tab - line) : length);
	if (!tab) {
		if (add_known(question, advisor))
			return true;
		snprintf(reason, REASON, "no tab: \"user<TAB>item<TAB>item ...\" was expected, or a user of the stream");
		return false;
	}
	const char *items = tab + 1;
	bool has_blanks = !memchr(items, '\t', (size_t)(end - items)) &&
		strings_find(&advisor->catalog->item_id, items, (size_t)(end - items)) < 0;
	add_split(question, advisor, items, end, has_blanks ? ' ' : '\t');
	return true;
}
