#include "data/text.h"

#include <stdlib.h>
#include <string.h>

#include "data/unicode.h"
#include "data/unicode.h"
#include "data/utf8.h"

/* U+00A0 to U+00FF in order: HTML 4, 24.2.1 */
static const char *const latin1[] = {"nbsp", "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect", "uml", "copy",
	"ordf", "laquo", "not", "shy", "reg", "macr", "deg", "plusmn", "sup2", "sup3", "acute", "micro", "para", "middot",
	"cedil", "sup1", "ordm", "raquo", "frac14", "frac12", "frac34", "iquest", "Agrave", "Aacute", "Acirc", "Atilde",
	"Auml", "Aring", "AElig", "Ccedil", "Egrave", "Eacute", "Ecirc", "Euml", "Igrave", "Iacute", "Icirc", "Iuml", "ETH",
	"Ntilde", "Ograve", "Oacute", "Ocirc", "Otilde", "Ouml", "times", "Oslash", "Ugrave", "Uacute", "Ucirc", "Uuml",
	"Yacute", "THORN", "szlig", "agrave", "aacute", "acirc", "atilde", "auml", "aring", "aelig", "ccedil", "egrave",
	"eacute", "ecirc", "euml", "igrave", "iacute", "icirc", "iuml", "eth", "ntilde", "ograve", "oacute", "ocirc",
	"otilde", "ouml", "divide", "oslash", "ugrave", "uacute", "ucirc", "uuml", "yacute", "thorn", "yuml"};

/* U+03B1 to U+03C9, and with a capital U+0391 to U+03A9: 24.3.1; final sigma has no capital */
static const char *const greek[] = {"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota",
	"kappa", "lambda", "mu", "nu", "xi", "omicron", "pi", "rho", "", "sigma", "tau", "upsilon", "phi", "chi", "psi",
	"omega"};

/* 24.4 and the symbols of 24.3 that product titles have */
static const struct {
	const char *name;
	uint32_t character;
} others[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}, {"OElig", 0x152}, {"oelig", 0x153},
	{"Scaron", 0x160}, {"scaron", 0x161}, {"Yuml", 0x178}, {"circ", 0x2c6}, {"tilde", 0x2dc}, {"ensp", ' '},
	{"emsp", ' '}, {"thinsp", ' '}, {"ndash", 0x2013}, {"mdash", 0x2014}, {"lsquo", 0x2018}, {"rsquo", 0x2019},
	{"sbquo", 0x201a}, {"ldquo", 0x201c}, {"rdquo", 0x201d}, {"bdquo", 0x201e}, {"dagger", 0x2020}, {"Dagger", 0x2021},
	{"bull", 0x2022}, {"hellip", 0x2026}, {"permil", 0x2030}, {"prime", 0x2032}, {"Prime", 0x2033}, {"lsaquo", 0x2039},
	{"rsaquo", 0x203a}, {"frasl", 0x2044}, {"euro", 0x20ac}, {"trade", 0x2122}, {"larr", 0x2190}, {"rarr", 0x2192},
	{"minus", 0x2212}, {"radic", 0x221a}, {"infin", 0x221e}, {"asymp", 0x2248}, {"ne", 0x2260}, {"le", 0x2264},
	{"ge", 0x2265}, {"loz", 0x25ca}, {"sigmaf", 0x3c2}, {"spades", 0x2660}, {"clubs", 0x2663}, {"hearts", 0x2665},
	{"diams", 0x2666}};

/* &#128; to &#159; mean Windows-1252, as in every browser (HTML Living Standard, 13.2.5.80) */
static const uint16_t windows1252[] = {0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030,
	0x160, 0x2039, 0x152, 0x8d, 0x17d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc,
	0x2122, 0x161, 0x203a, 0x153, 0x9d, 0x17e, 0x178};

static uint32_t numeric_entity(const char *digits)
{
	bool hexadecimal = *digits == 'x' || *digits == 'X';
	const char *first = digits + hexadecimal;
	const char *allowed = hexadecimal ? "0123456789abcdefABCDEF" : "0123456789";
	if (!*first || first[strspn(first, allowed)])
		return 0;
	unsigned long value = strtoul(first, NULL, hexadecimal ? 16 : 10);
	if (value >= 128 && value < 160)
		return windows1252[value - 128];
	return value > 0x10ffff || (value >= 0xd800 && value < 0xe000) ? 0 : (uint32_t)value;
}

/* 0: no such entity */
static uint32_t entity(const char *name)
{
	if (*name == '#')
		return numeric_entity(name + 1);
	for (size_t i = 0; i < COUNT_OF(others); i++)
		if (!strcmp(name, others[i].name))
			return others[i].character;
	for (size_t i = 0; i < COUNT_OF(latin1); i++)
		if (!strcmp(name, latin1[i]))
			return 0xa0 + (uint32_t)i;
	for (size_t i = 0; i < COUNT_OF(greek); i++)
		if ((*name | 0x20) == *greek[i] && !strcmp(name + 1, greek[i] + 1))
			return (*name & 0x20 ? 0x3b1 : 0x391) + (uint32_t)i;
	return 0;
}

/* The entity at text, as UTF-8 in out; returns the length of its source, 0: none. */
static size_t decode_entity(const char *text, size_t length, char out[4], size_t *out_length)
{
	char name[16];
	const char *end = memchr(text, ';', length < sizeof name + 1 ? length : sizeof name + 1);
	if (!end)
		return 0;
	size_t size = (size_t)(end - text) - 1;
	memcpy(name, text + 1, size);
	name[size] = '\0';
	uint32_t character = entity(name);
	if (!character)
		return 0;
	*out_length = (size_t)utf8_put(out, character);
	return size + 2;
}

/* Length of the white space at well-formed text, Unicode's or a control character, 0: none. */
static size_t space_at(const char *text)
{
	unsigned char byte = (unsigned char)*text;
	if (byte <= ' ' || byte == 127)
		return 1;
	if (byte != 0xc2 && (byte < 0xe1 || byte > 0xe3))
		return 0;
	return unicode_is_white_space(utf8_code_point(text)) ? byte == 0xc2 ? 2 : 3 : 0;
}

const char *const text_normal_forms[] = {"nfc", "nfkc", "none", NULL};

/* Replaces the buffer's text from `start` on, without a NUL, by its normal form. */
static void normalise(struct buffer *buffer, size_t start, enum text_normal_form form)
{
	const enum normal_form of_unicode = form == NORMAL_NFC ? NFC : NFKC;
	size_t length = buffer->size - start;
	if (form == NORMAL_NONE || unicode_is_plainly(of_unicode, buffer->data + start, length))
		return;
	struct buffer work = {0}, normal = {0};
	unicode_normalize(of_unicode, buffer->data + start, length, &work, &normal);
	buffer->size = start;
	buffer_append(buffer, normal.data, normal.size);
	buffer_free(&work);
	buffer_free(&normal);
}

/* How many bytes from here on stay as they are: no blanks, no entities, ASCII. */
static size_t plain_length(const char *text, size_t length)
{
	size_t plain = 0;
	while (plain < length && text[plain] > ' ' && text[plain] < 127 && text[plain] != '&')
		plain++;
	return plain;
}

size_t text_clean(struct buffer *buffer, const char *text, size_t length, const struct text_rules *rules)
{
	size_t before = buffer->size;
	char *start = buffer_add(buffer, length + 1), *out = start;
	bool space = false;
	while (length) {
		char decoded[4];
		const char *from = text;
		const size_t plain = plain_length(text, length);
		size_t size = plain ? plain : 1, used = size;
		size_t entity_length = !rules->keep_entities && *text == '&' ? decode_entity(text, length, decoded, &size) : 0;
		if (entity_length) {
			from = decoded;
			used = entity_length;
		}
		size_t blank = plain ? 0 : space_at(from);
		if (blank) {
			space = out > start;
			used = entity_length ? used : blank;
		} else {
			if (space)
				*out++ = ' ';
			space = false;
			memcpy(out, from, size);
			out += size;
		}
		text += used;
		length -= used;
	}
	buffer->size = before + (size_t)(out - start);
	normalise(buffer, before, rules->normal_form);
	buffer_append(buffer, "", 1);
	return buffer->size - before - 1;
}
