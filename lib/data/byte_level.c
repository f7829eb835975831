#include "data/byte_level.h"

#include "data/utf8.h"

/* GPT-2's characters for bytes: printable ones stand for themselves, the others follow from U+0100 on, in order. */
static uint32_t char_of_byte(unsigned byte)
{
	static const unsigned char hidden[][2] = {{0, 32}, {127, 160}, {173, 173}};
	uint32_t before = 0;
	for (int i = 0; i < 3; i++) {
		if (byte >= hidden[i][0] && byte <= hidden[i][1])
			return 256 + before + byte - hidden[i][0];
		before += hidden[i][1] - hidden[i][0] + 1u;
	}
	return byte;
}

/* The inverse; -1 where the character stands for no byte. */
static int byte_of_char(uint32_t c)
{
	if (c < 256)
		return char_of_byte(c) == c ? (int)c : -1;
	if (c < 256 + 33)
		return (int)c - 256;
	if (c < 256 + 33 + 34)
		return (int)c - 256 - 33 + 127;
	return c == 256 + 33 + 34 ? 173 : -1;
}

size_t byte_level_put(unsigned byte, char text[2])
{
	uint32_t c = char_of_byte(byte);
	if (c < 0x80) {
		text[0] = (char)c;
		return 1;
	}
	text[0] = (char)(0xc0 | c >> 6);
	text[1] = (char)(0x80 | (c & 0x3f));
	return 2;
}

void byte_level_spell(const char *text, size_t length, struct buffer *out)
{
	for (size_t i = 0; i < length; i++) {
		char spelt[2];
		buffer_append(out, spelt, byte_level_put((unsigned char)text[i], spelt));
	}
}

void byte_level_bytes(const char *token, size_t length, struct buffer *bytes)
{
	size_t before = bytes->size;
	for (size_t at = 0; at < length; at += (size_t)utf8_next(token + at, length - at)) {
		int byte = byte_of_char(utf8_code_point(token + at));
		if (byte < 0) {
			/* not made of bytes: an added token, which is plain text */
			bytes->size = before;
			buffer_append(bytes, token, length);
			return;
		}
		buffer_append(bytes, &(char){(char)byte}, 1);
	}
}

/* The bytes in the order of the characters that stand for them, as GPT-2's vocabulary has them. */
void byte_level_add_tokens(struct strings *tokens)
{
	for (uint32_t c = '!'; c <= 256 + 33 + 34; c++) {
		char text[2];
		if (byte_of_char(c) >= 0)
			strings_add(tokens, text, byte_level_put((unsigned)byte_of_char(c), text));
	}
}
