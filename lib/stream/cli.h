/*
 * What every tool has in common: the shared options, usage errors, the
 * history record.
 *
 * A tool's main() begins with process_begin(), parses with cli_parse() and ends with `return cli_done(&cli)`.
 */
#ifndef RECPIPE_CLI_H
#define RECPIPE_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "stream/bag_out.h"
#include "stream/option.h"
#include "stream/progress.h"
#include "stream/util.h"

struct cli {
	const char *output; /* -o FILE, or NULL for stdout */
	char **inputs;      /* the remaining arguments, NULL-terminated; empty means stdin */
	int n_inputs;
	char **words; /* the options as they were given: "--name=value", or "--name" */
	int n_words;
	const char *of_stdin; /* what is read from there: "--items -", "the stream"; NULL: nothing is */
	int threads;          /* -j N, of each rank; default: the processors (rank 0) may run on */
	uint64_t seed;        /* --seed N; default 1 */
	int level;            /* -#; default 1 */
	bool quiet;           /* -q */
	bool history;         /* unless --no-history */
	char *command;        /* the command line, shell-quoted, for the history */
	json_t *given;  /* the options that were given and change what comes out, as they are spelt; for the history */
	double started; /* seconds_now() */
	/* complete, their texts borrowed by settings: the tool's own options, those of all tools, chosen ones */
	json_t *options;
	bool help, version; /* asked for */
};

/* Options that apply by what was chosen. */
struct cli_section {
	const struct option *table;
	void *values;  /* filled; NULL: `given` alone is */
	json_t *given; /* what the command line says, by key; the caller's, or NULL where he does not look */
	bool by_key;   /* --set reaches the rows */
	/*
	 * An object of the table, for what the command line does not
	 * say, and whose it is, to tell where that differs; or NULL.
	 */
	const json_t *base;
	const char *base_of;
	bool is_open; /* what is not given may still come from a stream */
	json_t *said; /* NULL, or an object of the caller's for what the command line says, without the base's */
};
#define CLI_SECTIONS 4
struct cli_choice {
	/* what the sections are of, for "--steps is no option of --arch gru" */
	char of[96];
	bool for_help;                            /* whatever is open may be chosen */
	struct cli_section section[CLI_SECTIONS]; /* ends with a table NULL, if it is not full */
};

/* What a tool says about itself; all strings are static. */
struct cli_tool {
	const char *name;
	const char *arguments;      /* as in usage: "[STREAM...]" */
	const char *summary;        /* one paragraph shown before the options */
	const char *examples;       /* shown after the options: worked examples, one a line */
	const struct option *table; /* its own rows, which fill `settings` */
	/*
	 * Where other options depend on its own: says which, and returns whose they are; and all tables that it can give.
	 */
	void (*choose)(void *settings, struct cli_choice *choice);
	const struct option *(*table_at)(int i); /* NULL behind the last */
	void (*print_more)(void);                /* behind the examples of --help; may be NULL */
	bool usage_without_input;                /* no arguments and a terminal as stdin mean usage (all filters) */
	bool binary_output;                      /* refuse to write a stream to a terminal */
};

/*
 * Parses argv into *cli and *settings. Answers --help and --version on stdout
 * and leaves. Wrong usage is one line on stderr and exit 2. Clamps OpenMP to cli->threads.
 *
 * Long options may be cut short and stand anywhere; of one that is repeated the last counts, and where another value
 * was given before that is told.
 */
void cli_parse(const struct cli_tool *tool, int argc, char **argv, struct cli *cli, void *settings);

/*
 * Ends the stream, with the tool's record of the history unless --no-history: version, command, options, seed, threads,
 * seconds, peak memory, and what was measured (reference stolen).
 */
void cli_finish(const struct cli *cli, struct bag_out *out, json_t *measured);

/* Frees; the exit status of main. */
int cli_done(const struct cli *cli);

#endif
