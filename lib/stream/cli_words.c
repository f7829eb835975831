/* The words of a command line, brought to the rows they belong to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream/cli_parts.h"

/* An option as it was met. */
struct word {
	const struct option *row; /* the first of its name; which row it is depends on what else was chosen */
	const char *value;        /* NULL: takes none */
	bool by_letter;
};

struct command {
	const struct cli_tool *tool;
	struct cli *cli;
	struct option *known; /* rows of all tables there are; a name may occur more than once */
	struct word *words;
	int n_words;
	/* by section: the tool's own, those chosen, those of all tools */
	struct cli_section section[2 + CLI_SECTIONS];
	struct option *rows[2 + CLI_SECTIONS];
	int n_sections;
	struct cli_choice choice;
	char *repeated; /* told at the end, when -q is known */
	char *level;    /* of -9 */
	bool print_rows;
};

void cli_add_input(struct cli *cli, char *path)
{
	cli->inputs = xreallocarray(cli->inputs, (size_t)cli->n_inputs + 2, sizeof *cli->inputs);
	cli->inputs[cli->n_inputs++] = path;
	cli->inputs[cli->n_inputs] = NULL;
}

/* --- words --- */

static void add_known(struct command *command, const struct option *table)
{
	struct option *rows = options_of(table);
	size_t n = 0, more = 0;
	while (command->known && command->known[n].kind)
		n++;
	while (rows[more].kind)
		more++;
	command->known = xreallocarray(command->known, n + more + 1, sizeof *rows);
	memcpy(command->known + n, rows, (more + 1) * sizeof *rows);
	free(rows);
}

static _Noreturn void refuse_unknown(const struct command *command, const char *name, int length)
{
	const char *names[1024], *meant;
	int n = 0;
	char *word = xstrndup(name, (size_t)length);
	for (const struct option *row = command->known; row->kind && n < (int)COUNT_OF(names); row++)
		if (row->name)
			names[n++] = row->name;
	meant = nearest_word(word, names, n);
	if (meant)
		die_usage("no option --%s; did you mean --%s?", word, meant);
	die_usage("no option --%s", word);
}

/* By its whole name, or by a beginning that only one name has. */
static const struct option *find_long(const struct command *command, const char *name, int length)
{
	const struct option *found = NULL;
	for (const struct option *row = command->known; row->kind; row++) {
		if (!row->name || strncmp(row->name, name, (size_t)length))
			continue;
		if (!row->name[length])
			return row;
		if (found && strcmp(found->name, row->name) && !option_named(command->known, xstrndup(name, (size_t)length)))
			die_usage("--%.*s: may be --%s or --%s", length, name, found->name, row->name);
		found = row;
	}
	if (!found)
		refuse_unknown(command, name, length);
	return found;
}

static void add_word(struct command *command, struct word word)
{
	struct cli *cli = command->cli;
	command->words = xreallocarray(command->words, (size_t)command->n_words + 1, sizeof word);
	command->words[command->n_words++] = word;
	cli->words = xreallocarray(cli->words, (size_t)cli->n_words + 1, sizeof *cli->words);
	cli->words[cli->n_words++] = word.value ? xasprintf("--%s=%s", word.row->name, word.value) :
											  xasprintf("--%s", word.row->name);
}

/* argv[at] is "--name" or "--name=value". Returns how many words it took. */
static int take_long(struct command *command, char **argv, int at)
{
	const char *name = argv[at] + 2, *equals = strchr(name, '=');
	const struct option *row = find_long(command, name, (int)strcspn(name, "="));
	if (!option_takes_value(row)) {
		if (equals)
			die_usage("--%s takes no value", row->name);
		add_word(command, (struct word){.row = row});
		return 1;
	}
	if (!equals && !argv[at + 1])
		die_usage("--%s needs a value", row->name);
	add_word(command, (struct word){row, equals ? equals + 1 : argv[at + 1], false});
	return equals ? 1 : 2;
}

/* Digits are the level, as with gzip. Returns what follows them. */
static char *take_level(struct command *command, char *digits)
{
	size_t n = strspn(digits, "0123456789");
	command->level = xstrndup(digits, n);
	add_word(command, (struct word){option_named(command->known, "level"), command->level, false});
	return digits + n;
}

/* argv[at] is "-abc", "-j4", or "-j" with its value behind it. */
static int take_letters(struct command *command, char **argv, int at)
{
	for (char *letter = argv[at] + 1; *letter;) {
		if (*letter >= '0' && *letter <= '9') {
			letter = take_level(command, letter);
			continue;
		}
		const struct option *row = command->known;
		while (row->kind && row->letter != *letter)
			row++;
		if (!row->kind)
			die_usage("no option -%c", *letter);
		letter++;
		if (!option_takes_value(row)) {
			add_word(command, (struct word){row, NULL, true});
			continue;
		}
		if (!*letter && !argv[at + 1])
			die_usage("-%c needs a value", row->letter);
		add_word(command, (struct word){row, *letter ? letter : argv[at + 1], true});
		return *letter ? 1 : 2;
	}
	return 1;
}

static void take_words(struct command *command, char **argv)
{
	for (int at = 1; argv[at];) {
		if (!strcmp(argv[at], "--")) {
			while (argv[++at])
				cli_add_input(command->cli, argv[at]);
		} else if (!strcmp(argv[at], "--help=rows")) {
			command->print_rows = true;
			at++;
		} else if (!strncmp(argv[at], "--", 2)) {
			at += take_long(command, argv, at);
		} else if (argv[at][0] == '-' && argv[at][1]) {
			at += take_letters(command, argv, at);
		} else {
			cli_add_input(command->cli, argv[at++]);
		}
	}
}

/* --- values --- */

static void add_section(struct command *command, struct cli_section section)
{
	section.given = section.given ? json_incref(section.given) : json_object();
	json_append(command->cli->options, json_incref(section.given));
	command->rows[command->n_sections] = options_of(section.table);
	command->section[command->n_sections++] = section;
}

static void note_repeated(struct command *command, const char *spelt, const json_t *before, const json_t *now)
{
	if (!before || json_equal(before, now))
		return;
	char *was = option_text(before), *is = option_text(now);
	free(command->repeated);
	command->repeated = xasprintf("%s %s, and then %s: the last one counts", spelt, was, is);
	free(was);
	free(is);
}

/* What decides the result, for the history: there the seed and the threads have members of their own. */
static void note_given(struct command *command, const struct option *row, const json_t *value, const char *text)
{
	if (row->no_effect || !strcmp(option_key(row), "seed") || !strcmp(option_key(row), "threads"))
		return;
	char *spelt = option_spelt(row);
	json_set(command->cli->given, spelt,
		!text                          ? json_true() :
			row->kind == OPTION_YES_NO ? json_string(text) :
										 json_deep_copy(value));
	free(spelt);
}

static void give(struct command *command, struct cli_section *section, const struct option *row, const char *spelt,
	const char *text)
{
	const char *key = option_key(row);
	json_t *value = text ? option_parse(row, spelt, text) : option_flag(row), *before;
	before = json_object_get(section->given, key);
	if (row->kind == OPTION_OWN && before) {
		if (!json_is_array(before))
			json_set(section->given, key, json_build("[O]", before));
		json_append(json_object_get(section->given, key), value);
	} else {
		note_repeated(command, spelt, before, value);
		json_set(section->given, key, value);
	}
	note_given(command, row, json_object_get(section->given, key), text);
}

/* KEY=VALUE */
static void give_by_key(struct command *command, const char *text)
{
	const char *known[256], *equals = strchr(text, '=');
	int n = 0;
	char *key = xstrndup(text, strcspn(text, "=")), *spelt = xasprintf("--set %s", key);
	for (int i = 0; i < command->n_sections; i++) {
		if (!command->section[i].by_key)
			continue;
		for (const struct option *row = command->rows[i]; row->kind; row++) {
			if (!option_is_value(row) || !row->help)
				continue;
			if (n < (int)COUNT_OF(known))
				known[n++] = option_key(row);
			if (strcmp(option_key(row), key))
				continue;
			if (!equals)
				die_usage("%s: KEY=VALUE was expected", spelt);
			give(command, &command->section[i], row, spelt, equals + 1);
			free(spelt);
			free(key);
			return;
		}
	}
	const char *meant = nearest_word(key, known, n);
	die_usage("%s is no option of %s%s%s%s", spelt, command->choice.of, meant ? "; did you mean " : "",
		meant ? meant : "", meant ? "?" : "");
}

/* The word's value, where one of the sections from `first` on has its option. */
static bool give_word(struct command *command, const struct word *word, int first)
{
	for (int i = first; i < command->n_sections; i++) {
		const struct option *row = option_named(command->rows[i], word->row->name);
		if (!row || !row->help)
			continue;
		if (row->kind == OPTION_SET) {
			if (command->choice.section[0].table)
				give_by_key(command, word->value);
			return true;
		}
		char *spelt = word->by_letter ? xasprintf("-%c", row->letter) : option_spelt(row);
		give(command, &command->section[i], row, spelt, word->value);
		free(spelt);
		return true;
	}
	return false;
}

static bool is_repeated(const struct command *command, int at)
{
	const struct option *row = command->words[at].row;
	while (row->kind != OPTION_OWN && ++at < command->n_words)
		if (command->words[at].row == row)
			return true;
	return false;
}

/* Wrong usage where several are read from stdin: the stream, or files of options. */
static void check_stdin(struct command *command)
{
	struct cli *cli = command->cli;
	bool is_stream = !cli->n_inputs;
	for (int i = 0; i < cli->n_inputs; i++)
		is_stream |= !strcmp(cli->inputs[i], "-");
	cli->of_stdin = is_stream ? "the stream" : NULL;
	for (int i = 0; i < command->n_words; i++) {
		const struct word *word = &command->words[i];
		if (!word->row->may_be_stdin || strcmp(word->value, "-") || is_repeated(command, i))
			continue;
		char *spelt = option_spelt(word->row);
		if (cli->of_stdin)
			die_usage("%s - and %s cannot both be read from stdin", spelt, cli->of_stdin);
		cli->of_stdin = xasprintf("%s -", spelt);
		free(spelt);
	}
}

/* What the command line says otherwise than the base. */
static void tell_differences(const struct option *rows, const struct cli_section *section)
{
	for (const struct option *row = rows; row->kind; row++) {
		const json_t *is = option_is_value(row) ? json_object_get(section->given, option_key(row)) : NULL;
		const json_t *was = is ? json_object_get(section->base, option_key(row)) : NULL;
		if (!was || json_equal(is, was))
			continue;
		char *spelt = option_spelt(row), *values[] = {option_text(is), option_text(was)};
		notice("%s %s, and not %s as %s has it", spelt, values[0], values[1], section->base_of);
		free(spelt);
		free(values[0]);
		free(values[1]);
	}
}

/* Returns how many. */
static int sets_of(const struct command *command, struct option_set sets[])
{
	for (int i = 0; i < command->n_sections; i++)
		sets[i] = (struct option_set){command->rows[i], command->section[i].given, command->section[i].base,
			command->section[i].is_open};
	return command->n_sections;
}

/* The base without what follows from values that are given otherwise; told. To be freed. */
static json_t *base_of(const struct command *command, const struct option_set sets[], int section)
{
	const struct cli_section *filled = &command->section[section];
	json_t *base = json_copy((json_t *)(uintptr_t)filled->base);
	for (const struct option *row = command->rows[section]; row->kind; row++) {
		const json_t *was = option_is_value(row) ? json_object_get(base, option_key(row)) : NULL;
		const struct option *cause = was && !json_object_get(filled->given, option_key(row)) ?
			option_cause(row, sets, command->n_sections) :
			NULL;
		if (!cause)
			continue;
		char *value = option_text(was), *words[] = {option_spelt(row), option_spelt(cause)};
		if (filled->base_of && row->help)
			notice("%s %s of %s is not taken over, as %s is another", words[0], value, filled->base_of, words[1]);
		json_object_del(base, option_key(row));
		free(words[0]);
		free(words[1]);
		free(value);
	}
	return base;
}

static void fill(struct command *command, int section)
{
	struct cli_section *filled = &command->section[section];
	if (filled->said && json_object_update(filled->said, filled->given))
		die_memory(0, 0);
	if (filled->base) {
		struct option_set sets[2 + CLI_SECTIONS];
		sets_of(command, sets);
		if (filled->base_of)
			tell_differences(command->rows[section], filled);
		json_t *base = base_of(command, sets, section);
		options_inherit(filled->table, filled->given, base, DERIVED_ANEW);
		json_decref(base);
	}
	if (filled->values)
		options_read(filled->table, filled->given, filled->values, NULL);
}

/* The tool's own options, and those of all, in a copy: what they are for goes by what was given. */
static void fill_own(struct command *command)
{
	for (int i = 0; i < 2; i++) {
		json_t *complete = json_copy(command->section[i].given);
		options_read(command->section[i].table, complete, command->section[i].values, NULL);
		json_array_set_new(command->cli->options, (size_t)i, complete);
	}
}

static void print_keys(const struct command *command)
{
	struct buffer list = {0};
	for (int i = 2; i < command->n_sections; i++)
		if (command->section[i].by_key)
			options_list_keys(command->rows[i], &list);
	if (!list.size)
		return;
	buffer_append(&list, "", 1);
	printf("\nKeys of --set, and their defaults:\n  ");
	write_wrapped(stdout, list.data, 2, 2);
	buffer_free(&list);
}

static void print_help(const struct command *command)
{
	const struct cli_tool *tool = command->tool;
	cli_print_usage(tool, stdout);
	write_wrapped(stdout, tool->summary, 0, 0);
	putchar('\n');
	options_print(command->rows[0]);
	for (int i = 2; i < command->n_sections; i++)
		options_print(command->rows[i]);
	options_print(command->rows[1]);
	print_keys(command);
	if (tool->examples)
		printf("\nExamples:\n%s", tool->examples);
	if (tool->print_more)
		tool->print_more();
}

static void print_rows(const struct command *command)
{
	for (int i = 0; i < command->n_sections; i++)
		options_print_rows(command->rows[i]);
}

/* What is for nothing that was chosen is no option of it. */
static void leave_out_useless(struct command *command)
{
	struct option_set sets[2 + CLI_SECTIONS];
	const int n = sets_of(command, sets);
	for (int i = 0; i < n; i++)
		for (struct option *row = command->rows[i]; row->kind; row++)
			if (option_is_value(row) && !option_has_use(row, sets, n))
				row->help = NULL;
}

static void free_command(struct command *command)
{
	for (int i = 0; i < command->n_sections; i++) {
		free(command->rows[i]);
		json_decref(command->section[i].given);
	}
	free(command->known);
	free(command->words);
	free(command->repeated);
	free(command->level);
}

void cli_read_words(const struct cli_tool *tool, int argc, char **argv, struct cli *cli, void *settings)
{
	struct command command = {.tool = tool, .cli = cli};
	(void)argc;
	add_known(&command, tool->table);
	add_known(&command, cli_shared_options);
	for (int i = 0; tool->table_at && tool->table_at(i); i++)
		add_known(&command, tool->table_at(i));
	add_section(&command, (struct cli_section){.table = tool->table, .values = settings});
	add_section(&command, (struct cli_section){.table = cli_shared_options, .values = cli});
	take_words(&command, argv);

	bool *is_given = xcalloc((size_t)command.n_words + 1, sizeof *is_given);
	for (int i = 0; i < command.n_words; i++)
		is_given[i] = give_word(&command, &command.words[i], 0);
	fill_own(&command);
	progress_quiet = cli->quiet;
	if (!cli->help && !command.print_rows)
		check_stdin(&command);
	command.choice.for_help = cli->help || command.print_rows;
	if (tool->choose)
		tool->choose(settings, &command.choice);
	for (int i = 0; i < CLI_SECTIONS && command.choice.section[i].table; i++)
		add_section(&command, command.choice.section[i]);
	leave_out_useless(&command);
	if (cli->help || command.print_rows) {
		(command.print_rows ? print_rows : print_help)(&command);
		exit(0);
	}
	for (int i = 0; i < command.n_words; i++) {
		const struct word *word = &command.words[i];
		if (word->row->kind == OPTION_SET ? !give_word(&command, word, 0) :
											!is_given[i] && !give_word(&command, word, 2))
			die_usage("--%s is no option of %s", word->row->name, command.choice.of);
	}
	struct option_set sets[2 + CLI_SECTIONS];
	options_check(sets, sets_of(&command, sets));
	for (int i = 2; i < command.n_sections; i++)
		fill(&command, i);
	if (command.repeated)
		notice("%s", command.repeated);
	free(is_given);
	free_command(&command);
}
