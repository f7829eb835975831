#include "data/unicode.h"

#include <string.h>
#include <utf8proc.h>

#include "data/utf8.h"

bool unicode_is_white_space(uint32_t c)
{
	return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
		c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

struct range {
	uint32_t first, last;
	int is;
};

/* What the range says that holds the character; -1 where none does. The ranges ascend. */
static int find_range(const struct range *ranges, size_t n, uint32_t c)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (ranges[middle].last < c)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && ranges[low].first <= c ? ranges[low].is : -1;
}

/* --- categories --- */

/* Marks, punctuation and controls of today that Unicode 8 did not have as such: what they are to the reference. */
enum { NOTHING, COMBINING, NONSPACING, PUNCTUATION };

static const struct range OLDER[] = {{0x61d, 0x61d, NOTHING}, {0x7fd, 0x7fd, NOTHING}, {0x890, 0x8d3, NOTHING},
	{0x8d4, 0x8e1, COMBINING}, {0x8e2, 0x8e2, NOTHING}, {0x9fd, 0x9fe, NOTHING}, {0xa76, 0xa76, NOTHING},
	{0xafa, 0xaff, NOTHING}, {0xb55, 0xb55, NOTHING}, {0xc04, 0xc3c, NOTHING}, {0xc77, 0xc77, NOTHING},
	{0xc84, 0xc84, NOTHING}, {0xcf3, 0xd00, NOTHING}, {0xd3b, 0xd3c, NOTHING}, {0xd81, 0xd81, NOTHING},
	{0xeba, 0xeba, NOTHING}, {0xece, 0xece, NOTHING}, {0x166d, 0x166d, PUNCTUATION}, {0x1715, 0x1715, NOTHING},
	{0x1734, 0x1734, NONSPACING}, {0x180f, 0x180f, NOTHING}, {0x1885, 0x1886, COMBINING}, {0x1abf, 0x1ace, NOTHING},
	{0x1b7d, 0x1b7e, NOTHING}, {0x1cf2, 0x1cf3, COMBINING}, {0x1cf7, 0x1cf7, NOTHING}, {0x1df6, 0x1dfa, NOTHING},
	{0x1dfb, 0x1dfb, COMBINING}, {0x2e43, 0x2e5d, NOTHING}, {0xa82c, 0xa82c, NOTHING}, {0xa8c5, 0xa8c5, COMBINING},
	{0xa8ff, 0xa8ff, NOTHING}, {0xa9bd, 0xa9bd, COMBINING}, {0x10d24, 0x10f89, NOTHING}, {0x11070, 0x11074, NOTHING},
	{0x110c2, 0x110cd, NOTHING}, {0x11145, 0x11146, NOTHING}, {0x111c9, 0x111c9, PUNCTUATION},
	{0x111ce, 0x111cf, NOTHING}, {0x1123e, 0x1123e, COMBINING}, {0x11241, 0x11241, NOTHING},
	{0x1133b, 0x1133b, NOTHING}, {0x11438, 0x11446, COMBINING}, {0x1144b, 0x1145e, NOTHING},
	{0x11660, 0x1166c, NOTHING}, {0x116b9, 0x116b9, NOTHING}, {0x1182c, 0x11b09, NOTHING},
	{0x11c30, 0x11c36, COMBINING}, {0x11c38, 0x11c3f, COMBINING}, {0x11c41, 0x11c71, NOTHING},
	{0x11c92, 0x11ca7, COMBINING}, {0x11caa, 0x11cb6, COMBINING}, {0x11d31, 0x11fff, NOTHING},
	{0x12ff1, 0x13455, NOTHING}, {0x16e97, 0x16f4f, NOTHING}, {0x16f7f, 0x16f87, NOTHING}, {0x16fe2, 0x16ff1, NOTHING},
	{0x1cf00, 0x1cf46, NOTHING}, {0x1e000, 0x1e006, COMBINING}, {0x1e008, 0x1e018, COMBINING},
	{0x1e01b, 0x1e021, COMBINING}, {0x1e023, 0x1e024, COMBINING}, {0x1e026, 0x1e02a, COMBINING},
	{0x1e08f, 0x1e4ef, NOTHING}, {0x1e944, 0x1e94a, COMBINING}, {0x1e95e, 0x1e95f, NOTHING}};

/* Letters and digits that came with Unicode 16 and 17: by category, where utf8proc does not have them yet. */
static const struct range NEWER[] = {{0x897, 0x897, UTF8PROC_CATEGORY_LO}, {0x1c89, 0x1c8a, UTF8PROC_CATEGORY_LO},
	{0xa7cb, 0xa7cd, UTF8PROC_CATEGORY_LO}, {0xa7da, 0xa7dc, UTF8PROC_CATEGORY_LO},
	{0x105c0, 0x105f3, UTF8PROC_CATEGORY_LO}, {0x10d40, 0x10d49, UTF8PROC_CATEGORY_ND},
	{0x10d4a, 0x10d65, UTF8PROC_CATEGORY_LO}, {0x10d69, 0x10d6d, UTF8PROC_CATEGORY_LO},
	{0x10d6f, 0x10d85, UTF8PROC_CATEGORY_LO}, {0x10ec2, 0x10ec4, UTF8PROC_CATEGORY_LO},
	{0x10efc, 0x10efc, UTF8PROC_CATEGORY_LO}, {0x11380, 0x11389, UTF8PROC_CATEGORY_LO},
	{0x1138b, 0x1138b, UTF8PROC_CATEGORY_LO}, {0x1138e, 0x1138e, UTF8PROC_CATEGORY_LO},
	{0x11390, 0x113b5, UTF8PROC_CATEGORY_LO}, {0x113b7, 0x113c0, UTF8PROC_CATEGORY_LO},
	{0x113c2, 0x113c2, UTF8PROC_CATEGORY_LO}, {0x113c5, 0x113c5, UTF8PROC_CATEGORY_LO},
	{0x113c7, 0x113ca, UTF8PROC_CATEGORY_LO}, {0x113cc, 0x113d3, UTF8PROC_CATEGORY_LO},
	{0x113e1, 0x113e2, UTF8PROC_CATEGORY_LO}, {0x116d0, 0x116e3, UTF8PROC_CATEGORY_ND},
	{0x11bc0, 0x11be0, UTF8PROC_CATEGORY_LO}, {0x11bf0, 0x11bf9, UTF8PROC_CATEGORY_ND},
	{0x11de0, 0x11de9, UTF8PROC_CATEGORY_NO}, {0x11f5a, 0x11f5a, UTF8PROC_CATEGORY_LO},
	{0x13460, 0x143fa, UTF8PROC_CATEGORY_LO}, {0x16100, 0x1612f, UTF8PROC_CATEGORY_LO},
	{0x16130, 0x16139, UTF8PROC_CATEGORY_ND}, {0x16d40, 0x16d6c, UTF8PROC_CATEGORY_LO},
	{0x16d70, 0x16d79, UTF8PROC_CATEGORY_ND}, {0x16ff4, 0x16ff6, UTF8PROC_CATEGORY_NO},
	{0x18cff, 0x18cff, UTF8PROC_CATEGORY_LO}, {0x1ccf0, 0x1ccf9, UTF8PROC_CATEGORY_ND},
	{0x1e5d0, 0x1e5f0, UTF8PROC_CATEGORY_LO}, {0x1e5f1, 0x1e5fa, UTF8PROC_CATEGORY_ND},
	{0x2ebf0, 0x2ee5d, UTF8PROC_CATEGORY_LO}};

static int older(uint32_t c)
{
	return c < 0x61d ? -1 : find_range(OLDER, COUNT_OF(OLDER), c);
}

static utf8proc_category_t category(uint32_t c)
{
	return utf8proc_category((utf8proc_int32_t)c);
}

static utf8proc_category_t category_today(uint32_t c)
{
	utf8proc_category_t known = category(c);
	int newer = known == UTF8PROC_CATEGORY_CN ? find_range(NEWER, COUNT_OF(NEWER), c) : -1;
	return newer < 0 ? known : (utf8proc_category_t)newer;
}

bool unicode_is_nonspacing_mark(uint32_t c)
{
	int was = older(c);
	return was < 0 ? category(c) == UTF8PROC_CATEGORY_MN : was == NONSPACING;
}

bool unicode_is_mark(uint32_t c)
{
	int was = older(c);
	utf8proc_category_t is = category(c);
	return was < 0 ? is >= UTF8PROC_CATEGORY_MN && is <= UTF8PROC_CATEGORY_ME : was == NONSPACING || was == COMBINING;
}

bool unicode_is_punctuation(uint32_t c)
{
	if (c < 0x80)
		return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
	int was = older(c);
	utf8proc_category_t is = category(c);
	return was < 0 ? is >= UTF8PROC_CATEGORY_PC && is <= UTF8PROC_CATEGORY_PO : was == PUNCTUATION;
}

bool unicode_is_control(uint32_t c)
{
	utf8proc_category_t is = category(c);
	return older(c) < 0 && (is == UTF8PROC_CATEGORY_CC || is == UTF8PROC_CATEGORY_CF || is == UTF8PROC_CATEGORY_CO);
}

bool unicode_is_number(uint32_t c)
{
	utf8proc_category_t is = category_today(c);
	return is >= UTF8PROC_CATEGORY_ND && is <= UTF8PROC_CATEGORY_NO;
}

bool unicode_is_word(uint32_t c)
{
	utf8proc_category_t is = category_today(c);
	/* letters in circles and squares are alphabetic; the joiners belong to words */
	return (is >= UTF8PROC_CATEGORY_LU && is <= UTF8PROC_CATEGORY_NL) || is == UTF8PROC_CATEGORY_PC || c == 0x200c ||
		c == 0x200d || (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
		(c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
}

/* --- small letters --- */

/* Capitals of Unicode 16 and 17, and how far their small letters are. */
static const struct range NEW_CAPITALS[] = {{0x1c89, 0x1c89, 1}, {0xa7cb, 0xa7cb, -42343}, {0xa7cc, 0xa7cc, 1},
	{0xa7ce, 0xa7ce, 1}, {0xa7d2, 0xa7d2, 1}, {0xa7d4, 0xa7d4, 1}, {0xa7da, 0xa7da, 1}, {0xa7dc, 0xa7dc, -42561},
	{0x10d50, 0x10d65, 32}, {0x16ea0, 0x16eb8, 27}};

int unicode_lower(uint32_t c, uint32_t lower[2])
{
	lower[0] = c;
	if (c < 0x80) {
		lower[0] += c >= 'A' && c <= 'Z' ? 32 : 0;
		return 1;
	}
	if (c == 0x130) {
		lower[0] = 'i';
		lower[1] = 0x307;
		return 2;
	}
	lower[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
	if (lower[0] != c || c < NEW_CAPITALS[0].first)
		return 1;
	for (size_t i = 0; i < COUNT_OF(NEW_CAPITALS); i++)
		if (c >= NEW_CAPITALS[i].first && c <= NEW_CAPITALS[i].last)
			lower[0] = c + (uint32_t)NEW_CAPITALS[i].is;
	return 1;
}

/* --- normal forms --- */

/* Characters whose decomposition is newer than Unicode 9. */
static const struct range NEW_DECOMPOSITIONS[] = {{0x32ff, 0x32ff, 1}, {0xa7f2, 0xa7f4, 1}, {0xab69, 0xab69, 1},
	{0x10781, 0x107ba, 1}, {0x11938, 0x11938, 1}, {0x1e030, 0x1e06d, 1}, {0x1f16c, 0x1f16c, 1}, {0x1fbf0, 0x1fbf9, 1}};

static void decompose(uint32_t c, utf8proc_option_t options, struct buffer *out)
{
	utf8proc_int32_t parts[32]; /* the longest decomposition has 18 */
	utf8proc_ssize_t n = 0;
	if (c >= 0x80 && find_range(NEW_DECOMPOSITIONS, COUNT_OF(NEW_DECOMPOSITIONS), c) < 0)
		n = utf8proc_decompose_char((utf8proc_int32_t)c, parts, 32, options, NULL);
	if (n <= 0 || n > 32) {
		parts[0] = (utf8proc_int32_t)c;
		n = 1;
	}
	buffer_append(out, parts, (size_t)n * sizeof *parts);
}

static int combining_class(utf8proc_int32_t c)
{
	return c < 0x300 ? 0 : utf8proc_get_property(c)->combining_class;
}

/*
 * Canonical ordering: marks that follow each other ascend by class, those of one class stay in order. A long run of
 * marks is sorted by counting, so that hostile text takes no quadratic time.
 */
static void order_marks(utf8proc_int32_t *text, size_t n, struct buffer *work)
{
	for (size_t from = 0, to; from < n; from = to) {
		to = from + 1;
		if (!combining_class(text[from]))
			continue;
		while (to < n && combining_class(text[to]))
			to++;
		size_t start[256] = {0}, run = to - from;
		if (run == 1)
			continue;
		for (size_t i = from; i < to; i++)
			start[(unsigned char)combining_class(text[i])]++;
		for (size_t class = 0, sum = 0; class < 256; class ++) {
			size_t count = start[class];
			start[class] = sum;
			sum += count;
		}
		work->size = 0;
		utf8proc_int32_t *sorted = buffer_add(work, run * sizeof *sorted);
		for (size_t i = from; i < to; i++)
			sorted[start[(unsigned char)combining_class(text[i])]++] = text[i];
		memcpy(text + from, sorted, run * sizeof *sorted);
	}
}

void unicode_normalize(enum normal_form form, const char *text, size_t length, struct buffer *work, struct buffer *out)
{
	utf8proc_option_t options = UTF8PROC_DECOMPOSE | (form == NFKD || form == NFKC ? UTF8PROC_COMPAT : 0);
	work->size = 0;
	for (size_t at = 0; at < length; at += (size_t)utf8_next(text + at, length - at))
		decompose(utf8_code_point(text + at), options, work);
	size_t n = work->size / sizeof(utf8proc_int32_t);
	utf8proc_int32_t *characters = (utf8proc_int32_t *)(void *)work->data;
	struct buffer sorted = {0};
	order_marks(characters, n, &sorted);
	buffer_free(&sorted);
	if (form == NFC || form == NFKC)
		n = (size_t)utf8proc_normalize_utf32(characters, (utf8proc_ssize_t)n, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
	for (size_t i = 0; i < n; i++)
		utf8_append(out, (uint32_t)characters[i]);
}

bool unicode_is_plainly(enum normal_form form, const char *text, size_t length)
{
	/* nothing below U+0300 changes by NFC; ASCII changes by none */
	unsigned char limit = form == NFC ? 0xcc : 0x80;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] >= limit)
			return false;
	return true;
}

/* --- grapheme clusters --- */

size_t unicode_grapheme(const char *text, size_t length)
{
	utf8proc_int32_t state = 0;
	size_t at = (size_t)utf8_next(text, length);
	uint32_t before = utf8_code_point(text);
	while (at < length) {
		uint32_t c = utf8_code_point(text + at);
		if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)c, &state))
			break;
		before = c;
		at += (size_t)utf8_next(text + at, length - at);
	}
	return at;
}
