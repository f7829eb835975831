/*
 * Where a tool writes: stdout, or a file that appears under its name only when it is complete.
 *
 * Until then a regular file has no name at all, and goes away with the process whatever ends it; where a file system
 * cannot do that, it is .recpipe-PID-N beside its place, removed when the process dies. It takes the place of the file
 * that is there with one rename, and its mode; a symbolic link is followed. Devices and pipes are written as they are.
 *
 * Where there are several ranks (ranks.h), the output of all but rank 0 is /dev/null.
 */
#ifndef RECPIPE_OUTPUT_H
#define RECPIPE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct output;
/* path NULL is stdout. Dies where nothing can be written there. The path is borrowed. */
struct output *output_open(const char *path);
/* The path, or "stdout", for messages. */
const char *output_name(const struct output *output);
void output_write(struct output *output, const void *data, size_t size);
/*
 * A stream whose bytes go there, for printf; to be closed with
 * output_file_close(), which dies where any was not written.
 */
FILE *output_file(struct output *output);
void output_file_close(struct output *output, FILE *file);
/* fsync and rename, or for stdout a checked close. Frees. */
void output_commit(struct output *output);
/* Leaves everything as it was. Frees. */
void output_abandon(struct output *output);

/* A file of its own in `folder` for as long as it is open, without a name. -1: failed, errno says why. */
int output_nameless(const char *folder);

#endif
