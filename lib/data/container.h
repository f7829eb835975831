/*
 * The bytes of a file that holds text, whatever it is packed in: gzip and
 * zstd are taken apart, told by their first bytes and not by the file's name.
 * What cannot be read is named, with what to run before. The only file that
 * knows zlib.
 */
#ifndef RECPIPE_CONTAINER_H
#define RECPIPE_CONTAINER_H

#include <stddef.h>

struct container;
/*
 * path "-" is stdin. Dies where it cannot be opened, or holds no text, and says what was expected: "ids were expected".
 * Both are borrowed.
 */
struct container *container_open(const char *path, const char *expected);
/* Fills data with `size` bytes; fewer only at the proven end. Dies where the file is truncated or corrupt. */
size_t container_read(struct container *container, void *data, size_t size);
/* The path, or "stdin", for messages. */
const char *container_name(const struct container *container);
/* Bytes of the file consumed so far and in all (0 where unknown), as they are packed. */
void container_progress(const struct container *container, long long *done, long long *total);
/* What unpacks the file on a command line, "gzip -dc" or "zstd -dc"; NULL: it is not packed. */
const char *container_unpacker(const struct container *container);
void container_close(struct container *container);

/* The path as a word of a shell's command, to be freed; FILE for stdin. */
char *container_shell_name(const char *name);

#endif
