#include "data/item_text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "data/utf8.h"

/* A piece of the template: literal text, then an attribute's value (-1: the template's end, none). */
struct template_part {
	char *before;
	int attribute;
};

struct item_texts {
	const struct catalog *catalog;
	const struct tokenizer *tokenizer;
	const json_t *names; /* of the attributes, in the catalog's order */
	struct template_part *parts;
	int n_parts;
	char *template;
	const char *begin; /* of each text that is not empty; NULL: nothing */
};

/* --- the template --- */

static int n_attributes(const struct item_texts *texts)
{
	return (int)json_array_size(texts->names);
}

static const char *attribute_name(const struct item_texts *texts, int attribute)
{
	return json_string_value(json_array_get(texts->names, (size_t)attribute));
}

/* The attribute of this name, or -1. */
static int find_attribute(const struct item_texts *texts, const char *name, size_t length)
{
	for (int i = 0; i < n_attributes(texts); i++)
		if (strlen(attribute_name(texts, i)) == length && !memcmp(attribute_name(texts, i), name, length))
			return i;
	return -1;
}

static _Noreturn void die_unknown(const struct item_texts *texts, const char *name, int length)
{
	struct buffer list = {0};
	for (int i = 0; i < n_attributes(texts); i++) {
		buffer_append(&list, ", ", i ? 2 : 0);
		buffer_append(&list, attribute_name(texts, i), strlen(attribute_name(texts, i)));
	}
	buffer_append(&list, "", 1);
	die("template: no attribute {%.*s}; the catalog has %s", length, name, list.data);
}

static void add_part(struct item_texts *texts, char *before, int attribute)
{
	texts->parts = xreallocarray(texts->parts, (size_t)texts->n_parts + 1, sizeof *texts->parts);
	texts->parts[texts->n_parts++] = (struct template_part){before, attribute};
}

static void parse_template(struct item_texts *texts, const char *template)
{
	const char *rest = template, *open, *close;
	if (!utf8_is_valid(template, strlen(template)))
		die("template: '%s': UTF-8 was expected", template);
	while ((open = strchr(rest, '{'))) {
		close = strchr(open, '}');
		if (!close)
			die("template: '%s': a } was expected after the last {", template);
		int attribute = find_attribute(texts, open + 1, (size_t)(close - open - 1));
		if (attribute < 0)
			die_unknown(texts, open + 1, (int)(close - open - 1));
		add_part(texts, xstrndup(rest, (size_t)(open - rest)), attribute);
		rest = close + 1;
	}
	if (!texts->n_parts)
		die("template: '%s': an attribute in braces, like {%s}, was expected", template, attribute_name(texts, 0));
	add_part(texts, xstrdup(rest), -1);
}

static void add_named(struct item_texts *texts, int attribute)
{
	char *before = xasprintf("%s%s ", texts->n_parts ? " " : "", attribute_name(texts, attribute));
	char *initial = before + (texts->n_parts ? 1 : 0);
	*initial = (char)toupper((unsigned char)*initial);
	add_part(texts, before, attribute);
}

static void default_template(struct item_texts *texts)
{
	for (int i = 0; i < n_attributes(texts); i++)
		add_named(texts, i);
}

static char *template_text(const struct item_texts *texts)
{
	struct buffer text = {0};
	for (int i = 0; i < texts->n_parts; i++) {
		const struct template_part *part = &texts->parts[i];
		buffer_append(&text, part->before, strlen(part->before));
		if (part->attribute < 0)
			continue;
		const char *name = attribute_name(texts, part->attribute);
		buffer_append(&text, "{", 1);
		buffer_append(&text, name, strlen(name));
		buffer_append(&text, "}", 1);
	}
	buffer_append(&text, "", 1);
	return text.data;
}

/* --- the catalog's text --- */

static const json_t *attribute_names(const struct catalog *catalog)
{
	const json_t *names = json_object_get(catalog->group.meta, "attributes");
	size_t n = json_array_size(names), i;
	for (i = 0; i < n && json_is_string(json_array_get(names, i)); i++)
		;
	if (!n || i < n || n > UINT8_MAX + 1)
		die("catalog/meta.json: \"attributes\": a list of names was expected");
	return names;
}

static void check_text(const struct catalog *catalog)
{
	if (!catalog->group.complete)
		die("no catalog in the stream; seq-tokenize writes one");
	if (!catalog->indptr)
		die("catalog: no text of the items; seq-tokenize --items adds it");
}

static void check_tokenizer(const struct catalog *catalog, const struct tokenizer *tokenizer)
{
	if (!tokenizer)
		die("no tokenizer in the stream; seq-tokenize --items writes one");
	char of_tokenizer[17];
	fingerprint_text(tokenizer_fingerprint(tokenizer), of_tokenizer);
	const char *of_text = json_get_string(catalog->group.meta, "tokenizer", "catalog/meta.json");
	if (strcmp(of_text, of_tokenizer))
		die("catalog of %s: its text was made by another tokenizer than the stream's; seq-tokenize writes both",
			group_source(&catalog->group));
}

static void check_tokens(const struct catalog *catalog, int attributes, int64_t vocab_size)
{
	for (int64_t i = 0; i < catalog->n_tokens; i++) {
		if (catalog->input_ids[i] < 0 || catalog->input_ids[i] >= vocab_size)
			die("catalog: token %lld: id %d, one below %lld was expected", (long long)i, catalog->input_ids[i],
				(long long)vocab_size);
		if (catalog->attribute[i] >= attributes)
			die("catalog: token %lld: attribute %d, one of %d was expected", (long long)i, catalog->attribute[i],
				attributes);
	}
}

struct item_texts *item_texts_new(const struct catalog *catalog, const struct tokenizer *tokenizer,
	const char *template)
{
	check_text(catalog);
	if (!catalog->text)
		check_tokenizer(catalog, tokenizer);
	struct item_texts *texts = xcalloc(1, sizeof *texts);
	texts->catalog = catalog;
	texts->tokenizer = tokenizer;
	texts->names = attribute_names(catalog);
	if (!catalog->text)
		check_tokens(catalog, n_attributes(texts), tokenizer_vocab_size(tokenizer));
	if (template)
		parse_template(texts, template);
	else
		default_template(texts);
	texts->template = template_text(texts);
	return texts;
}

char *item_template_of_values(const struct catalog *catalog)
{
	check_text(catalog);
	const json_t *names = attribute_names(catalog);
	struct buffer template = {0};
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		buffer_append(&template, " {", i ? 2 : 0);
		buffer_append(&template, "{", i ? 0 : 1);
		buffer_append(&template, name, strlen(name));
		buffer_append(&template, "}", 1);
	}
	buffer_append(&template, "", 1);
	return template.data;
}

void item_texts_free(struct item_texts *texts)
{
	for (int i = 0; i < texts->n_parts; i++)
		free(texts->parts[i].before);
	free(texts->parts);
	free(texts->template);
	free(texts);
}

const char *item_texts_attribute(const struct item_texts *texts, int attribute)
{
	return attribute_name(texts, attribute);
}

int item_texts_parts(const struct item_texts *texts)
{
	return texts->n_parts;
}

int64_t item_texts_count(const struct item_texts *texts)
{
	return texts->catalog->n_items;
}

const char *item_texts_template(const struct item_texts *texts)
{
	return texts->template;
}

/* --- texts --- */

/* The tokens of an attribute's value stand together; returns how many, from *first on. */
static int64_t find_value(const struct catalog *catalog, int64_t item, int attribute, int64_t *first)
{
	int64_t at = catalog->indptr[item], end = catalog->indptr[item + 1];
	while (at < end && (catalog->attribute[at] != attribute || catalog->token_type_ids[at] != 2))
		at++;
	*first = at;
	while (at < end && catalog->attribute[at] == attribute && catalog->token_type_ids[at] == 2)
		at++;
	return at - *first;
}

/* Appends an attribute's value, as it was read where the stream has that; whether there is one. */
static bool append_value(const struct item_texts *texts, int64_t item, int attribute, struct buffer *text)
{
	const struct catalog *catalog = texts->catalog;
	size_t before = text->size;
	if (catalog->text) {
		const char *value = strings_at(&catalog->text[attribute], item);
		buffer_append(text, value, strlen(value));
		return text->size > before;
	}
	int64_t first, count = find_value(catalog, item, attribute, &first);
	if (count)
		tokenizer_decode(texts->tokenizer, catalog->input_ids + first, count, text);
	return count > 0;
}

/* Blanks around what stands from `from` on; the parts go with their texts. */
static void trim(struct buffer *text, size_t from, struct text_part *parts, int n_parts)
{
	size_t blanks = 0;
	while (text->size > from && text->data[text->size - 1] == ' ')
		text->size--;
	while (from + blanks < text->size && text->data[from + blanks] == ' ')
		blanks++;
	if (blanks) {
		text->size -= blanks;
		memmove(text->data + from, text->data + from + blanks, text->size - from);
	}
	for (int i = 0; i < n_parts; i++) {
		size_t *const places[] = {&parts[i].begin, &parts[i].value, &parts[i].end};
		for (size_t j = 0; j < COUNT_OF(places); j++) {
			size_t moved = *places[j] > from + blanks ? *places[j] - blanks : from;
			*places[j] = moved < text->size ? moved : text->size;
		}
	}
}

int item_text_parts(const struct item_texts *texts, int64_t item, struct buffer *text, struct text_part *parts)
{
	size_t before = text->size, start;
	int n = 0;
	if (texts->begin)
		buffer_append(text, texts->begin, strlen(texts->begin));
	start = text->size;
	for (int i = 0; i < texts->n_parts; i++) {
		const struct template_part *part = &texts->parts[i];
		const size_t begin = text->size;
		if (part->attribute < 0 && !n)
			continue;
		buffer_append(text, part->before, strlen(part->before));
		const size_t value = text->size;
		if (part->attribute >= 0 && !append_value(texts, item, part->attribute, text))
			text->size = begin;
		else if (text->size > begin)
			parts[n++] = (struct text_part){part->attribute, begin, value, text->size};
	}
	trim(text, start, parts, n);
	if (text->size > start)
		return n;
	text->size = before;
	return 0;
}

void item_text(const struct item_texts *texts, int64_t item, struct buffer *text)
{
	struct text_part *parts = xcalloc((size_t)texts->n_parts, sizeof *parts);
	item_text_parts(texts, item, text, parts);
	free(parts);
}

void item_texts_begin(struct item_texts *texts, const char *with)
{
	texts->begin = with;
}
