#include "data/utf8.h"

#include <stdlib.h>
#include <string.h>

#include "data/short_bytes.h"

int utf8_next(const char *text, size_t left)
{
	const unsigned char *byte = (const unsigned char *)text;
	if (byte[0] < 0x80)
		return 1;
	if (byte[0] < 0xc2 || byte[0] > 0xf4)
		return -1;
	int length = byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
	/* the second byte's range keeps out overlong forms, surrogates and what lies beyond U+10FFFF */
	unsigned low = byte[0] == 0xe0 ? 0xa0 : byte[0] == 0xf0 ? 0x90 : 0x80;
	unsigned high = byte[0] == 0xed ? 0x9f : byte[0] == 0xf4 ? 0x8f : 0xbf;
	for (int i = 1; i < length; i++) {
		if ((size_t)i >= left || byte[i] < low || byte[i] > high)
			return -i;
		low = 0x80;
		high = 0xbf;
	}
	return length;
}

static bool is_ascii(const char eight[8])
{
	return !(eight_bytes(eight) & UINT64_C(0x8080808080808080));
}

bool utf8_is_valid(const char *text, size_t length)
{
	size_t at = 0;
	while (at < length) {
		if (at + 8 <= length && is_ascii(text + at)) {
			at += 8;
			continue;
		}
		if (at + 8 > length && length >= 8 && is_ascii(text + length - 8))
			return true;
		int step = utf8_next(text + at, length - at);
		if (step < 0)
			return false;
		at += (size_t)step;
	}
	return true;
}

void utf8_clean(const char **text, size_t *length, struct buffer *clean)
{
	clean->size = 0;
	for (size_t at = 0; at < *length;) {
		int step = utf8_next(*text + at, *length - at);
		if (step < 0)
			buffer_append(clean, "\xef\xbf\xbd", 3);
		else
			buffer_append(clean, *text + at, (size_t)step);
		at += (size_t)abs(step);
	}
	*text = clean->data;
	*length = clean->size;
}

size_t utf8_previous(const char *text, size_t at)
{
	do
		at--;
	while (((unsigned char)text[at] & 0xc0) == 0x80);
	return at;
}

uint32_t utf8_code_point(const char *text)
{
	const unsigned char *byte = (const unsigned char *)text;
	if (byte[0] < 0x80)
		return byte[0];
	if (byte[0] < 0xe0)
		return (byte[0] & 0x1fu) << 6 | (byte[1] & 0x3fu);
	if (byte[0] < 0xf0)
		return (byte[0] & 0x0fu) << 12 | (byte[1] & 0x3fu) << 6 | (byte[2] & 0x3fu);
	return (byte[0] & 0x07u) << 18 | (byte[1] & 0x3fu) << 12 | (byte[2] & 0x3fu) << 6 | (byte[3] & 0x3fu);
}

int utf8_put(char out[4], uint32_t c)
{
	if (c < 0x80)
		return out[0] = (char)c, 1;
	if (c < 0x800)
		return out[0] = (char)(0xc0 | c >> 6), out[1] = (char)(0x80 | (c & 63)), 2;
	if (c < 0x10000)
		return out[0] = (char)(0xe0 | c >> 12), out[1] = (char)(0x80 | (c >> 6 & 63)), out[2] = (char)(0x80 | (c & 63)),
			   3;
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 63));
	out[2] = (char)(0x80 | (c >> 6 & 63));
	out[3] = (char)(0x80 | (c & 63));
	return 4;
}

void utf8_append(struct buffer *buffer, uint32_t c)
{
	char text[4];
	buffer_append(buffer, text, (size_t)utf8_put(text, c));
}
