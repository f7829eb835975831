/*
 * What every tool has in common: the shared options, usage errors, the
 * history record.
 *
 * A tool's main() begins with process_begin(), parses with cli_parse() and ends with `return cli_done(&cli)`.
 */
#ifndef RECPIPE_CLI_H
#define RECPIPE_CLI_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "stream/json.h"
#include "stream/progress.h"
#include "stream/util.h"

#define RECPIPE_VERSION "0.1.0"

struct cli {
	const char *output; /* -o FILE, or NULL for stdout */
	char **inputs;      /* the remaining arguments, NULL-terminated; empty means stdin */
	int n_inputs;
	int threads;    /* -j N, of each rank; default: the processors (rank 0) may run on */
	uint64_t seed;  /* --seed N; default 1 */
	int level;      /* -#; default 1 */
	bool history;   /* unless --no-history */
	char *command;  /* the command line, shell-quoted, for the history */
	double started; /* seconds_now() */
};

/* What a tool says about itself; all strings are static. */
struct cli_tool {
	const char *name;
	const char *arguments;             /* as in usage: "[STREAM...]" */
	const char *summary;               /* one paragraph shown before the options */
	const char *examples;              /* shown after the options: worked examples, one a line */
	const struct argp_option *options; /* ends with {0} */
	/* called for each of the tool's own options; state->input is `settings` */
	argp_parser_t option;
	bool usage_without_input; /* no arguments and a terminal as stdin mean usage (all filters) */
	bool binary_output;       /* refuse to write a stream to a terminal */
};

/*
 * Parses argv into *cli and, through tool->option, into *settings. Answers --help and --version on stdout
 * and leaves. Wrong usage is one line on stderr and exit 2. Clamps OpenMP to cli->threads.
 */
void cli_parse(const struct cli_tool *tool, int argc, char **argv, struct cli *cli, void *settings);

/* Wrong usage found later: one line "tool: ..., try --help", exit 2. */
_Noreturn void die_usage(const char *format, ...) PRINTF_LIKE(1, 2);

/* Option values for use in tool->option: die with wrong usage unless in [low, high]. */
int64_t option_int(const char *option, const char *value, int64_t low, int64_t high);
double option_float(const char *option, const char *value, double low, double high);
/* The index of value in the NULL-terminated list of names. */
int option_choice(const char *option, const char *value, const char *const names[]);

/* The history document: version, command, seed, threads, seconds, peak memory; add to it what was measured. */
json_t *cli_history(const struct cli *cli);

/* Frees; the exit status of main. */
int cli_done(const struct cli *cli);

#endif
