#include "data/charsmap.h"

#include <stdlib.h>
#include <string.h>

#include "data/unicode.h"
#include "data/utf8.h"

struct charsmap {
	uint32_t *units; /* of the double array */
	size_t n_units;
	char *replacements; /* ends with a NUL */
	size_t size;
	int64_t ascii[128]; /* where the replacement of an ASCII character alone begins; -1: it stays */
};

/* --- base64 (RFC 4648) --- */

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *bytes, size_t size)
{
	const unsigned char *from = bytes;
	struct buffer text = {0};
	for (size_t at = 0; at < size; at += 3) {
		uint32_t three = 0;
		for (size_t i = 0; i < 3; i++)
			three = three << 8 | (at + i < size ? from[at + i] : 0);
		char four[4];
		for (size_t i = 0; i < 4; i++)
			four[i] = at + i <= size ? DIGITS[three >> (18 - 6 * i) & 63] : '=';
		buffer_append(&text, four, 4);
	}
	buffer_append(&text, "", 1);
	return text.data;
}

static void base64_decode(const char *text, struct buffer *out, const char *where)
{
	uint32_t bits = 0;
	int n_bits = 0;
	size_t length = strlen(text);
	while (length && text[length - 1] == '=')
		length--;
	for (size_t i = 0; i < length; i++) {
		const char *digit = strchr(DIGITS, text[i]);
		if (!digit)
			die("%s: precompiled_charsmap: not base64", where);
		bits = bits << 6 | (uint32_t)(digit - DIGITS);
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			buffer_append(out, &(char){(char)(bits >> n_bits)}, 1);
		}
	}
}

/* --- the double array --- */

static uint32_t offset_of(uint32_t unit)
{
	return unit >> 10 << (unit >> 6 & 8);
}

/*
 * Where the replacement begins of the shortest entry that the text begins with, -1: of none. An index beyond the array
 * ends the search.
 */
static int64_t find(const struct charsmap *map, const char *text, size_t length)
{
	uint32_t node = offset_of(map->units[0]);
	for (size_t i = 0; i < length && text[i]; i++) {
		unsigned char byte = (unsigned char)text[i];
		node ^= byte;
		if (node >= map->n_units)
			return -1;
		uint32_t unit = map->units[node];
		if ((unit & (UINT32_C(1) << 31 | 0xff)) != byte)
			return -1;
		node ^= offset_of(unit);
		if (!(unit >> 8 & 1))
			continue;
		uint32_t value = node < map->n_units ? map->units[node] & ~(UINT32_C(1) << 31) : UINT32_MAX;
		return value < map->size ? (int64_t)value : -1;
	}
	return -1;
}

struct charsmap *charsmap_read(const char *base64, const char *where)
{
	struct buffer bytes = {0};
	base64_decode(base64, &bytes, where);
	uint32_t trie_size = 0;
	if (bytes.size >= sizeof trie_size)
		memcpy(&trie_size, bytes.data, sizeof trie_size);
	if (trie_size < sizeof(uint32_t) || trie_size % sizeof(uint32_t) || trie_size > bytes.size - sizeof trie_size)
		die("%s: precompiled_charsmap: a trie of %u bytes in %zu", where, trie_size, bytes.size);
	struct charsmap *map = xcalloc(1, sizeof *map);
	map->n_units = trie_size / sizeof(uint32_t);
	map->units = xmalloc(trie_size);
	memcpy(map->units, bytes.data + sizeof trie_size, trie_size);
	map->size = bytes.size - sizeof trie_size - trie_size;
	map->replacements = xmalloc(map->size + 1);
	memcpy(map->replacements, bytes.data + sizeof trie_size + trie_size, map->size);
	map->replacements[map->size] = '\0';
	buffer_free(&bytes);
	if (!utf8_is_valid(map->replacements, map->size))
		die("%s: precompiled_charsmap: its replacements are not UTF-8", where);
	for (int c = 0; c < 128; c++)
		map->ascii[c] = find(map, &(char){(char)c}, 1);
	return map;
}

void charsmap_free(struct charsmap *map)
{
	if (!map)
		return;
	free(map->units);
	free(map->replacements);
	free(map);
}

/* --- the text --- */

static void append_replaced(const struct charsmap *map, const char *text, size_t length, int64_t replacement,
	struct buffer *out)
{
	if (replacement >= 0)
		buffer_append(out, map->replacements + replacement, strlen(map->replacements + replacement));
	else
		buffer_append(out, text, length);
}

/* A short cluster is replaced as a whole where an entry fits its beginning, else each of its characters is. */
static void apply_cluster(const struct charsmap *map, const char *text, size_t length, struct buffer *out)
{
	int64_t whole = length < 6 ? find(map, text, length) : -1;
	if (whole >= 0) {
		append_replaced(map, text, length, whole, out);
		return;
	}
	for (size_t at = 0, size; at < length; at += size) {
		size = (size_t)utf8_next(text + at, length - at);
		append_replaced(map, text + at, size, find(map, text + at, size), out);
	}
}

void charsmap_apply(const struct charsmap *map, const char *text, size_t length, struct buffer *out)
{
	for (size_t at = 0, size; at < length; at += size) {
		unsigned char byte = (unsigned char)text[at];
		bool is_alone = byte < 0x80 && byte != '\r' && (at + 1 == length || (unsigned char)text[at + 1] < 0x80);
		size = is_alone ? 1 : unicode_grapheme(text + at, length - at);
		if (is_alone)
			append_replaced(map, text + at, 1, map->ascii[byte], out);
		else
			apply_cluster(map, text + at, size, out);
	}
}
