#include "data/python_literal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "data/utf8.h"

bool python_literal_begins(const char *line, size_t size)
{
	size_t at = 0;
	while (at < size && (line[at] == ' ' || line[at] == '\t'))
		at++;
	if (at == size || line[at++] != '{')
		return false;
	while (at < size && line[at] == ' ')
		at++;
	return at < size && (line[at] == '\'' || line[at] == 'u');
}

static void put(struct buffer *json, const char *text)
{
	buffer_append(json, text, strlen(text));
}

static void put_character(struct buffer *json, uint32_t c)
{
	char text[8];
	if (c < ' ' || c == '"' || c == '\\' || (c >= 0xd800 && c < 0xe000))
		buffer_append(json, text, (size_t)snprintf(text, sizeof text, "\\u%04x", (unsigned)c));
	else
		buffer_append(json, text, (size_t)utf8_put(text, c));
}

/* The digits of \xhh, \uhhhh or \Uhhhhhhhh; returns how many were read, 0: they are not there. */
static size_t put_hexadecimal(struct buffer *json, const char *digits, size_t left, size_t count)
{
	uint32_t value = 0;
	for (size_t i = 0; i < count; i++) {
		if (i >= left || !isxdigit((unsigned char)digits[i]))
			return 0;
		value = value << 4 | (uint32_t)(digits[i] <= '9' ? digits[i] - '0' : (digits[i] | 32) - 'a' + 10);
	}
	if (value > 0x10ffff)
		return 0;
	put_character(json, value);
	return count;
}

/* The escape behind a backslash; returns the length of its source, 0: none. */
static size_t put_escape(struct buffer *json, const char *text, size_t left)
{
	static const char names[] = "abfnrtv0'\"\\", values[] = "\a\b\f\n\r\t\v\0'\"\\";
	if (!left)
		return 0;
	size_t digits = *text == 'x' ? 2 : *text == 'u' ? 4 : *text == 'U' ? 8 : 0;
	if (digits) {
		digits = put_hexadecimal(json, text + 1, left - 1, digits);
		return digits ? digits + 1 : 0;
	}
	const char *name = memchr(names, *text, sizeof names - 1);
	if (name) {
		put_character(json, (unsigned char)values[name - names]);
	} else { /* Python keeps the backslash of what is no escape */
		put(json, "\\\\");
		put_character(json, (unsigned char)*text);
	}
	return (unsigned char)*text < 0x80 ? 1 : 0;
}

/* The string that begins at text, a quote; returns the length of its source, 0: it does not end. */
static size_t put_string(struct buffer *json, const char *text, size_t size)
{
	size_t at = 1;
	buffer_append(json, "\"", 1);
	while (at < size && text[at] != *text) {
		if (text[at] == '\\') {
			size_t used = put_escape(json, text + at + 1, size - at - 1);
			if (!used)
				return 0;
			at += used + 1;
		} else if (text[at] == '"' || (unsigned char)text[at] < ' ') {
			put_character(json, (unsigned char)text[at++]);
		} else {
			buffer_append(json, text + at++, 1);
		}
	}
	buffer_append(json, "\"", 1);
	return at < size ? at + 1 : 0;
}

/* A name or a number; returns the length of its source, 0: none that is known. */
static size_t put_word(struct buffer *json, const char *text, size_t size)
{
	static const char *const words[][2] = {{"True", "true"}, {"False", "false"}, {"None", "null"}, {"nan", "null"}};
	size_t length = 0;
	while (length < size && (isalnum((unsigned char)text[length]) || strchr("+-._", text[length])) && text[length])
		length++;
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (length == strlen(words[i][0]) && !memcmp(text, words[i][0], length)) {
			put(json, words[i][1]);
			return length;
		}
	if (!length || !(isdigit((unsigned char)*text) || *text == '-'))
		return 0;
	buffer_append(json, text, text[length - 1] == 'L' ? length - 1 : length);
	return length;
}

bool python_literal_to_json(const char *line, size_t size, struct buffer *json)
{
	json->size = 0;
	for (size_t at = 0; at < size;) {
		char byte = line[at];
		size_t used = 1;
		if ((byte == 'u' || byte == 'b') && at + 1 < size && (line[at + 1] == '\'' || line[at + 1] == '"'))
			byte = line[++at];
		if (byte == '\'' || byte == '"')
			used = put_string(json, line + at, size - at);
		else if (byte == '(' || byte == ')')
			put(json, byte == '(' ? "[" : "]");
		else if (byte && strchr("{}[]:, \t", byte))
			buffer_append(json, &byte, 1);
		else
			used = put_word(json, line + at, size - at);
		if (!used)
			return false;
		at += used;
	}
	return true;
}
