#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream/option.h"

#define COLUMNS 80
#define HELP_COLUMN 27

void write_wrapped(FILE *to, const char *text, int column, int indent)
{
	while (*text) {
		int length = (int)strcspn(text, " \n");
		if (column > indent && column + length + 1 > COLUMNS) {
			fprintf(to, "\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			putc(' ', to);
			column++;
		}
		fprintf(to, "%.*s", length, text);
		column += length;
		text += length + (text[length] != '\0');
	}
	putc('\n', to);
}

/* What help says of the default; to be freed. Empty: nothing. */
static char *default_words(const struct option *rows, const struct option *row)
{
	if (!row->fallback || row->kind == OPTION_FLAG)
		return xstrdup("");
	if (*row->fallback != '=' || row->derive)
		return xasprintf(" (default %s)", row->fallback);
	char *other = option_spelt(option_keyed(rows, row->fallback + 1));
	char *words = xasprintf(" (default as %s)", other);
	free(other);
	return words;
}

/* "--norm=original|pre|post" */
static char *argument_of(const struct option *row)
{
	if (!option_takes_value(row))
		return xstrdup("");
	if (row->argument)
		return xstrdup(row->argument);
	if (row->kind == OPTION_YES_NO)
		return xstrdup("yes|no");
	struct buffer list = {0};
	for (int i = 0; row->choices && row->choices[i]; i++) {
		buffer_append(&list, "|", i ? 1 : 0);
		buffer_append(&list, row->choices[i], strlen(row->choices[i]));
	}
	buffer_append(&list, "", 1);
	return list.data;
}

static void print_row(const struct option *rows, const struct option *row)
{
	char letter[8] = "    ", *argument = argument_of(row), *words = default_words(rows, row);
	if (row->letter)
		snprintf(letter, sizeof letter, "-%c, ", row->letter);
	int column = printf("  %s--%s%s%s", letter, row->name, *argument ? "=" : "", argument);
	if (column + 2 > HELP_COLUMN) {
		putchar('\n');
		column = 0;
	}
	printf("%*s", HELP_COLUMN - column, "");
	char *help = xasprintf("%s%s", row->help, words);
	write_wrapped(stdout, help, HELP_COLUMN, HELP_COLUMN);
	free(help);
	free(words);
	free(argument);
}

void options_print(const struct option *rows)
{
	const char *title = NULL;
	for (const struct option *row = rows; row->kind; row++) {
		if (row->kind == OPTION_TITLE)
			title = row->help;
		if (!option_is_value(row) || !row->name || !row->help)
			continue;
		if (title)
			printf("\n%s\n", title);
		title = NULL;
		print_row(rows, row);
	}
}

void options_list_keys(const struct option *rows, struct buffer *list)
{
	for (const struct option *row = rows; row->kind; row++) {
		if (!option_is_value(row) || row->name || !row->help)
			continue;
		const char *fallback = row->fallback ? row->fallback : "";
		const struct option *other = *fallback == '=' ? option_keyed(rows, fallback + 1) : NULL;
		char *entry = other ? xasprintf("%s (as %s)", row->key, option_key(other)) :
			*fallback       ? xasprintf("%s (%s)", row->key, fallback) :
							  xstrdup(row->key);
		buffer_append(list, ", ", list->size ? 2 : 0);
		buffer_append(list, entry, strlen(entry));
		free(entry);
	}
}

void options_print_rows(const struct option *rows)
{
	for (const struct option *row = rows; row->kind; row++) {
		if (!option_is_value(row) || !row->help)
			continue;
		char letter[2] = {row->letter, '\0'}, *argument = argument_of(row), *words = default_words(rows, row);
		char *choices = row->choices ? list_words(row->choices, ", ") : xstrdup("");
		printf("%s\t%s\t%s\t%s\t%s\t%s\t%s\n", row->name ? row->name : "", letter, option_key(row), argument,
			row->kind == OPTION_YES_NO ? "yes, no" : choices, words, row->help);
		free(choices);
		free(words);
		free(argument);
	}
}
