#include "stream/cli_parts.h"

#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream/ranks.h"
#include "stream/version.h"

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
	{"version", FLAG_OPTION(struct cli, version), .no_effect = true, .help = "Print the version"},
	{0},
};

static void print_version(const struct cli_tool *tool)
{
	printf("%s (recpipe) %s", tool->name, recpipe_version);
	printf(*recpipe_commit ? " (%s)\n" : "\n", recpipe_commit);
	exit(0);
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

void cli_print_usage(const struct cli_tool *tool, FILE *to)
{
	fprintf(to, "Usage: %s [OPTION...] %s\n", tool->name, tool->arguments);
}

static void read_command(const struct cli_tool *tool, int argc, char **argv, struct cli *cli, void *settings)
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
}

void cli_parse(const struct cli_tool *tool, int argc, char **argv, struct cli *cli, void *settings)
{
	program_name = tool->name;
	*cli = (struct cli){.threads = processors(), .seed = 1, .level = 1, .history = true, .started = seconds_now()};
	cli->inputs = xcalloc(1, sizeof *cli->inputs);
	cli->options = json_array();
	cli->given = json_object();
	cli->command = quoted_command(argc, argv);
	if (argc > 0)
		argv[0] = (char *)(uintptr_t)tool->name;

	read_command(tool, argc, argv, cli, settings);
	if (tool->binary_output && !cli->output && !ranks_launched() && isatty(STDOUT_FILENO))
		die_usage("refusing to write a binary stream to a terminal; use -o FILE or a pipe");
	ranks_copy(&cli->threads, sizeof cli->threads);
	omp_set_num_threads(cli->threads);
}

void cli_finish(const struct cli *cli, struct bag_out *out, json_t *measured)
{
	json_t *record = json_build("{s:s, s:s, s:s*, s:s, s:O, s:I, s:i, s:f, s:f}", "tool", program_name, "version",
		recpipe_version, "commit", *recpipe_commit ? recpipe_commit : NULL, "command", cli->command, "options",
		cli->given, "seed", (json_int_t)cli->seed, "threads", cli->threads, "seconds", seconds_now() - cli->started,
		"peak_memory_mib", peak_memory_mib());
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
	for (int i = 0; i < cli->n_words; i++)
		free(cli->words[i]);
	free(cli->words);
	json_decref(cli->options);
	json_decref(cli->given);
	return 0;
}
