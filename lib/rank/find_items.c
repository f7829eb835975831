#include "rank/find_items.h"

#include <stdlib.h>
#include <string.h>

#include "data/unicode.h"
#include "data/utf8.h"

#define WORDS_MAX 16 /* of a search; those behind are not looked at */

struct item_finder {
	const struct catalog *catalog;
	struct strings text; /* by item, in small letters: its id, a line for each attribute */
};

/* Appends the text in small letters. */
static void append_lower(struct buffer *buffer, const char *text, size_t length)
{
	for (size_t at = 0; at < length;) {
		int bytes = utf8_next(text + at, length - at);
		if (bytes > 0) {
			uint32_t lower[2];
			int n = unicode_lower(utf8_code_point(text + at), lower);
			for (int i = 0; i < n; i++)
				utf8_append(buffer, lower[i]);
		} else {
			buffer_append(buffer, text + at, (size_t)-bytes);
		}
		at += (size_t)abs(bytes);
	}
}

struct item_finder *item_finder_new(const struct catalog *catalog, char *const *fields)
{
	struct item_finder *finder = xcalloc(1, sizeof *finder);
	struct buffer text = {0};
	finder->catalog = catalog;
	for (int64_t item = 0; item < catalog->n_items; item++) {
		const char *id = strings_at(&catalog->item_id, item);
		text.size = 0;
		append_lower(&text, id, strlen(id));
		for (int i = 0; fields[i]; i++) {
			const char *value = catalog_text(catalog, item, fields[i]);
			buffer_append(&text, "\n", 1);
			append_lower(&text, value, strlen(value));
		}
		strings_add(&finder->text, text.data ? text.data : "", text.size);
	}
	buffer_free(&text);
	return finder;
}

/* Cuts the text, which ends with NUL, into words in place. */
static int cut_words(char *text, const char *words[WORDS_MAX])
{
	int n = 0;
	char *rest = NULL;
	for (char *word = strtok_r(text, " \t\r\n", &rest); word && n < WORDS_MAX; word = strtok_r(NULL, " \t\r\n", &rest))
		words[n++] = word;
	return n;
}

static bool has_all(const char *text, const char *const words[], int n)
{
	for (int i = 0; i < n; i++)
		if (!strstr(text, words[i]))
			return false;
	return true;
}

int32_t item_finder_find(const struct item_finder *finder, const char *text, int32_t k, int32_t *item)
{
	struct buffer lower = {0};
	const char *words[WORDS_MAX];
	int32_t found = 0;
	append_lower(&lower, text, strlen(text));
	buffer_append(&lower, "", 1);
	const int n = cut_words(lower.data, words);
	/* the index of ids was built when the advisor began: this only looks */
	struct strings ids = finder->catalog->item_id;
	const int64_t named = strings_find(&ids, text, strlen(text));
	if (named >= 0)
		item[found++] = (int32_t)named;
	for (int64_t i = 0; n && i < finder->text.count && found < k; i++)
		if (i != named && has_all(strings_at(&finder->text, i), words, n))
			item[found++] = (int32_t)i;
	buffer_free(&lower);
	return found;
}

void item_finder_free(struct item_finder *finder)
{
	if (finder)
		strings_free(&finder->text);
	free(finder);
}
