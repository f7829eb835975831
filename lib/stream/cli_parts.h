/* Between the files of cli.h. */
#ifndef RECPIPE_CLI_PARTS_H
#define RECPIPE_CLI_PARTS_H

#include <stdio.h>

#include "stream/cli.h"

extern const struct option cli_shared_options[]; /* fill a struct cli */
/* *cli and *settings from the words of the command line; answers --help and leaves. */
void cli_read_words(const struct cli_tool *tool, int argc, char **argv, struct cli *cli, void *settings);
void cli_add_input(struct cli *cli, char *path);
/* "Usage: seq-train [OPTION...] [STREAM...]" */
void cli_print_usage(const struct cli_tool *tool, FILE *to);

#endif
