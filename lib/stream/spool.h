/*
 * Bytes kept for later: in memory up to a limit, beyond it in a temporary
 * file (in $TMPDIR, else /tmp) that has no name and so goes away with the process.
 */
#ifndef RECPIPE_SPOOL_H
#define RECPIPE_SPOOL_H

#include "stream/util.h"

#define SPOOL_MEMORY (64u << 20)

/* Zeroed is empty. */
struct spool {
	struct buffer memory;
	bool in_file; /* all of it, and memory is empty */
	int fd;
	size_t read; /* from memory */
};
void spool_write(struct spool *spool, const void *data, size_t size);
/* Reading starts at the first byte; nothing is written until it has reached the end. */
void spool_rewind(struct spool *spool);
/* The next `size` bytes; false at the end. */
bool spool_read(struct spool *spool, void *data, size_t size) MUST_USE;
/* Empties it. */
void spool_free(struct spool *spool);

#endif
