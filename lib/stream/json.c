#include "stream/json.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "stream/util.h"

const char *json_problem(const json_error_t *error)
{
	switch (json_error_code(error)) {
	case json_error_null_character:
	case json_error_null_byte_in_key: return "a text has \\u0000 in it, which no text here may hold";
	case json_error_premature_end_of_input: return "it ends before it is complete";
	case json_error_end_of_input_expected: return "more follows behind its end";
	case json_error_stack_overflow: return "lists and objects are too deep in each other";
	case json_error_invalid_utf8: return "a byte of it is not UTF-8";
	case json_error_numeric_overflow: return "a number is too large";
	default: return error->text; /* what was expected, and near what */
	}
}

json_t *json_parse(const char *text, size_t size, const char *where)
{
	json_error_t error;
	json_t *document = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!document)
		die("%s: line %d, column %d: not JSON: %s", where, error.line, error.column, json_problem(&error));
	return document;
}

static json_t *get(const json_t *object, const char *key, const char *expected, const char *where)
{
	json_t *value = json_object_get(object, key);
	if (!json_is_object(object))
		die("%s: a JSON object with \"%s\" was expected", where, key);
	if (!value)
		die("%s: no \"%s\", %s was expected", where, key, expected);
	return value;
}

const char *json_get_string(const json_t *object, const char *key, const char *where)
{
	const char *text = json_string_value(get(object, key, "a string", where));
	if (!text)
		die("%s: \"%s\" is not a string", where, key);
	return text;
}

int64_t json_get_int(const json_t *object, const char *key, int64_t low, int64_t high, const char *where)
{
	json_t *value = get(object, key, "a whole number", where);
	if (!json_is_integer(value) || json_integer_value(value) < low || json_integer_value(value) > high)
		die("%s: \"%s\" is not a whole number from %lld to %lld", where, key, (long long)low, (long long)high);
	return json_integer_value(value);
}

double json_get_number(const json_t *object, const char *key, const char *where)
{
	json_t *value = get(object, key, "a number", where);
	if (!json_is_number(value))
		die("%s: \"%s\" is not a number", where, key);
	return json_number_value(value);
}

bool json_get_bool(const json_t *object, const char *key, const char *where)
{
	json_t *value = get(object, key, "true or false", where);
	if (!json_is_boolean(value))
		die("%s: \"%s\" is not true or false", where, key);
	return json_is_true(value);
}

json_t *json_get_object(const json_t *object, const char *key, const char *where)
{
	json_t *value = get(object, key, "an object", where);
	if (!json_is_object(value))
		die("%s: \"%s\" is not an object", where, key);
	return value;
}

json_t *json_build(const char *format, ...)
{
	json_error_t error;
	va_list arguments;
	va_start(arguments, format);
	json_t *value = json_vpack_ex(&error, 0, format, arguments);
	va_end(arguments);
	if (!value)
		die("this cannot be written as JSON: UTF-8 or a finite number was expected");
	return value;
}

void json_set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value))
		die("%s: this cannot be written as JSON: UTF-8 or a finite number was expected", key);
}

void json_append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value))
		die("a list of JSON: UTF-8 or finite numbers were expected");
}

json_t *json_any_text(const char *text)
{
	json_t *value = json_string(text);
	if (value)
		return value;
	char *ascii = xstrdup(text);
	for (char *byte = ascii; *byte; byte++)
		if (*byte & 0x80)
			*byte = '?';
	value = json_string(ascii);
	free(ascii);
	return value;
}

static char *dump(const json_t *document, size_t digits)
{
	char *text = json_dumps(document, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
	if (!text)
		die_memory(0, 0);
	size_t length = strlen(text);
	text = xreallocarray(text, length + 2, 1);
	text[length] = '\n';
	text[length + 1] = '\0';
	return text;
}

char *json_text(const json_t *document)
{
	return dump(document, 9);
}

char *json_text_exact(const json_t *document)
{
	return dump(document, 17);
}
