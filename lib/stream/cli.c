#include "stream/cli_parts.h"

#include <errno.h>
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream/ranks.h"
#include "stream/version.h"

enum { KEY_SEED = 0x1000, KEY_NO_HISTORY, KEY_VERSION };

static const struct argp_option shared_options[] = {{NULL, 0, NULL, 0, "Options of every tool:", 100},
	{"output", 'o', "FILE", 0, "Write to FILE, which appears only when it is complete", 100},
	{"threads", 'j', "N", 0, "Use N threads (default: the processors there are)", 100},
	{"seed", KEY_SEED, "N", 0, "Seed of everything random (default 1)", 100},
	{"level", '#', NULL, 0, "Compression level, -1 (default) to -19", 100},
	{"no-history", KEY_NO_HISTORY, NULL, 0, "Leave no log/NN-tool.json in the stream", 100},
	{"quiet", 'q', NULL, 0, "No progress and no notices", 100},
	{"version", KEY_VERSION, NULL, 0, "Print the version", 100}, {"0", '0', NULL, OPTION_HIDDEN, NULL, 100},
	{"1", '1', NULL, OPTION_HIDDEN, NULL, 100}, {"2", '2', NULL, OPTION_HIDDEN, NULL, 100},
	{"3", '3', NULL, OPTION_HIDDEN, NULL, 100}, {"4", '4', NULL, OPTION_HIDDEN, NULL, 100},
	{"5", '5', NULL, OPTION_HIDDEN, NULL, 100}, {"6", '6', NULL, OPTION_HIDDEN, NULL, 100},
	{"7", '7', NULL, OPTION_HIDDEN, NULL, 100}, {"8", '8', NULL, OPTION_HIDDEN, NULL, 100},
	{"9", '9', NULL, OPTION_HIDDEN, NULL, 100}, {0}};

static int processors(void)
{
	cpu_set_t set;
	if (!sched_getaffinity(0, sizeof set, &set))
		return CPU_COUNT(&set);
	long online = sysconf(_SC_NPROCESSORS_ONLN); /* more of them than a cpu_set_t holds */
	return online > 0 ? (int)online : 1;
}

static void count_processors(void *cli)
{
	((struct cli *)cli)->threads = processors();
}

const struct option cli_shared_options[] = {
	{OPTIONS_TITLE("Options of every tool:")},
	{"output", .letter = 'o', .argument = "FILE", FILE_OPTION(struct cli, output), .no_effect = true,
		.help = "Write to FILE, which appears only when it is complete"},
	{"threads", .letter = 'j', .argument = "N", WHOLE_OPTION(struct cli, threads, 1, 4096), .derive = count_processors,
		.fallback = "the processors there are", .help = "Use N threads"},
	{"seed", .argument = "N", WHOLE_OPTION(struct cli, seed, 0, INT64_MAX), .fallback = "1",
		.help = "Seed of everything random"},
	{"level", .argument = "N", WHOLE_OPTION(struct cli, level, 1, 19), .fallback = "1", .no_effect = true,
		.help = "Compression level, 1 to 19; -N is the same"},
	{"no-history", FLAG_OPTION(struct cli, history), .fallback = "yes", .no_effect = true,
		.help = "Leave no log/NN-tool.json in the stream"},
	{"quiet", .letter = 'q', FLAG_OPTION(struct cli, quiet), .no_effect = true, .help = "No progress and no notices"},
	{"help", .letter = '?', FLAG_OPTION(struct cli, help), .no_effect = true, .help = "Print this help"},
	{"usage", FLAG_OPTION(struct cli, usage), .no_effect = true, .help = "Print a line of usage"},
	{"version", FLAG_OPTION(struct cli, version), .no_effect = true, .help = "Print the version"},
	{0},
};

/* What the parsers need to know of each other. */
struct parse {
	const struct cli_tool *tool;
	struct cli *cli;
	void *settings;
	int digits; /* of the level so far; 0: none */
};

static void print_version(const struct cli_tool *tool)
{
	printf("%s (recpipe) %s", tool->name, recpipe_version);
	printf(*recpipe_commit ? " (%s)\n" : "\n", recpipe_commit);
	exit(0);
}

static error_t parse_shared(int key, char *value, struct argp_state *state)
{
	struct parse *parse = state->input;
	struct cli *cli = parse->cli;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = parse->settings;
		state->err_stream = NULL; /* getopt's complaint is one line, argp would add another */
		return 0;
	case 'o': cli->output = strcmp(value, "-") ? value : NULL; return 0;
	case 'j': cli->threads = (int)option_int("-j", value, 1, 4096); return 0;
	case 'q': progress_quiet = true; return 0;
	case KEY_SEED: cli->seed = (uint64_t)option_int("--seed", value, 0, INT64_MAX); return 0;
	case KEY_NO_HISTORY: cli->history = false; return 0;
	case KEY_VERSION: print_version(parse->tool); return 0;
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9': cli->level = (parse->digits++ ? cli->level * 10 : 0) + (key - '0'); return 0;
	case '#': die_usage("the level is given as a number, -1 to -19");
	case ARGP_KEY_ARG: cli_add_input(cli, value); return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

/* For a shell; bytes that text cannot hold, as those of a path in another encoding, by their numbers. */
static void quote(struct buffer *text, const char *word)
{
	json_t *as_text = json_string(word);
	bool by_number = !as_text;
	json_decref(as_text);
	buffer_append(text, "$'", by_number ? 2 : 0);
	buffer_append(text, "'", by_number ? 0 : 1);
	for (; *word; word++) {
		char number[5];
		snprintf(number, sizeof number, "\\x%02x", (unsigned char)*word);
		if (by_number && (*word & 0x80 || strchr("'\\", *word)))
			buffer_append(text, number, 4);
		else
			buffer_append(text, *word == '\'' ? "'\\''" : word, *word == '\'' ? 4 : 1);
	}
	buffer_append(text, "'", 1);
}

static char *quoted_command(int argc, char **argv)
{
	struct buffer text = {0};
	for (int i = 0; i < argc; i++) {
		const char *word = i ? argv[i] : program_name;
		buffer_append(&text, " ", i ? 1 : 0);
		bool plain = *word &&
			strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/=:,+@%-") == strlen(word);
		if (plain) {
			buffer_append(&text, word, strlen(word));
			continue;
		}
		quote(&text, word);
	}
	buffer_append(&text, "", 1);
	return text.data;
}

static _Noreturn void leave_usage(void)
{
	if (die_waits)
		die_waits();
	leave(2);
}

static void parse_by_argp(const struct cli_tool *tool, int argc, char **argv, struct cli *cli, void *settings)
{
	char *doc = xasprintf("%s\v%s%s", tool->summary, tool->examples ? "Examples:\n" : "",
		tool->examples ? tool->examples : "");
	const struct argp own = {tool->options, tool->option, NULL, NULL, NULL, NULL, NULL};
	const struct argp_child children[] = {{&own, 0, NULL, 0}, {0}};
	const struct argp all = {shared_options, parse_shared, tool->arguments, doc, children, NULL, NULL};
	struct parse parse = {.tool = tool, .cli = cli, .settings = settings};

	/* argp wraps the examples unless told the terminal is wide */
	setenv("ARGP_HELP_FMT", "rmargin=100,no-dup-args-note", 0);
	argp_err_exit_status = 2;
	if (tool->usage_without_input && argc == 1 && isatty(STDIN_FILENO)) {
		argp_help(&all, stderr, ARGP_HELP_SHORT_USAGE | ARGP_HELP_SEE, (char *)(uintptr_t)tool->name);
		leave_usage();
	}
	error_t problem = argp_parse(&all, argc, argv, 0, NULL, &parse);
	if (problem == ENOMEM)
		die_memory(0, 0);
	if (problem)
		leave_usage();
	free(doc);
}

void cli_print_usage(const struct cli_tool *tool, FILE *to)
{
	fprintf(to, "Usage: %s [OPTION...] %s\n", tool->name, tool->arguments);
}

static void parse_by_table(const struct cli_tool *tool, int argc, char **argv, struct cli *cli, void *settings)
{
	if (tool->usage_without_input && argc == 1 && isatty(STDIN_FILENO)) {
		cli_print_usage(tool, stderr);
		fprintf(stderr, "Try `%s --help' for more.\n", tool->name);
		leave_usage();
	}
	cli_read_words(tool, argc, argv, cli, settings);
	if (cli->output && !strcmp(cli->output, "-"))
		cli->output = NULL;
	if (cli->version)
		print_version(tool);
	if (cli->usage) {
		cli_print_usage(tool, stdout);
		exit(0);
	}
}

void cli_parse(const struct cli_tool *tool, int argc, char **argv, struct cli *cli, void *settings)
{
	program_name = tool->name;
	*cli = (struct cli){.threads = processors(), .seed = 1, .level = 1, .history = true, .started = seconds_now()};
	cli->inputs = xcalloc(1, sizeof *cli->inputs);
	cli->options = json_array();
	cli->command = quoted_command(argc, argv);
	if (argc > 0)
		argv[0] = (char *)(uintptr_t)tool->name;

	if (tool->table)
		parse_by_table(tool, argc, argv, cli, settings);
	else
		parse_by_argp(tool, argc, argv, cli, settings);
	if (cli->level < 1 || cli->level > 19)
		die_usage("level -%d, -1 to -19 was expected", cli->level);
	if (tool->binary_output && !cli->output && !ranks_launched() && isatty(STDOUT_FILENO))
		die_usage("refusing to write a binary stream to a terminal; use -o FILE or a pipe");
	ranks_copy(&cli->threads, sizeof cli->threads);
	omp_set_num_threads(cli->threads);
}

int64_t option_int(const char *option, const char *value, int64_t low, int64_t high)
{
	int64_t number;
	if (!parse_int(value, low, high, &number))
		die_usage("%s %s: a whole number from %lld to %lld was expected", option, value, (long long)low,
			(long long)high);
	return number;
}

double option_float(const char *option, const char *value, double low, double high)
{
	double number;
	if (!parse_float(value, low, high, &number))
		die_usage("%s %s: a number from %g to %g was expected", option, value, low, high);
	return number;
}

int option_choice(const char *option, const char *value, const char *const names[])
{
	struct buffer list = {0};
	for (int i = 0; names[i]; i++) {
		if (!strcmp(value, names[i])) {
			buffer_free(&list);
			return i;
		}
		buffer_append(&list, i ? ", " : "", i ? 2 : 0);
		buffer_append(&list, names[i], strlen(names[i]));
	}
	die_usage("%s %s: one of %.*s was expected", option, value, (int)list.size, list.data);
}

void cli_check_stdin(const struct cli *cli, const char *option, const char *path)
{
	bool from_stdin = !cli->n_inputs;
	for (int i = 0; i < cli->n_inputs; i++)
		from_stdin |= !strcmp(cli->inputs[i], "-");
	if (path && !strcmp(path, "-") && from_stdin)
		die_usage("%s - and the stream cannot both be read from stdin", option);
}

void cli_finish(const struct cli *cli, struct bag_out *out, json_t *measured)
{
	json_t *record = json_build("{s:s, s:s, s:s*, s:s, s:I, s:i, s:f, s:f}", "tool", program_name, "version",
		recpipe_version, "commit", *recpipe_commit ? recpipe_commit : NULL, "command", cli->command, "seed",
		(json_int_t)cli->seed, "threads", cli->threads, "seconds", seconds_now() - cli->started, "peak_memory_mib",
		peak_memory_mib());
	if (ranks_count() > 1)
		json_set(record, "ranks", json_integer(ranks_count()));
	json_object_update_new(record, measured);
	bag_finish(out, cli->history ? json_incref(record) : NULL);
	json_decref(record);
}

int cli_done(const struct cli *cli)
{
	free(cli->command);
	free(cli->inputs);
	json_decref(cli->options);
	return 0;
}
