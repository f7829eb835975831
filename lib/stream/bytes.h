/*
 * Bytes in and out; what zstd is, is known here alone.
 *
 * A source is a path or stdin; zstd frames (any number) are taken apart,
 * anything else is read as it is. A sink compresses what goes to an output.
 *
 * Where there are several ranks (ranks.h), rank 0 reads for all of them.
 */
#ifndef RECPIPE_BYTES_H
#define RECPIPE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream/output.h"

struct source;
/* path "-" is stdin. Dies where it cannot be opened. The path is borrowed. */
struct source *source_open(const char *path);
/* Fills data with `size` bytes; fewer only at the proven end. Dies on truncated or corrupt frames. */
size_t source_read(struct source *source, void *data, size_t size);
/* input_name() of its path. */
const char *source_name(const struct source *source);
/* Whether another process writes them while they are read. */
bool source_is_pipe(const struct source *source);
/* Whether the bytes come out of zstd frames; known after the first read. */
bool source_is_compressed(const struct source *source);
/* Bytes of input consumed so far and in all (0 where unknown), before decompression: for progress. */
void source_progress(const struct source *source, long long *done, long long *total);
/* What is being read, for messages about truncation ("catalog/000000.item_id.txt"); borrowed; NULL: nothing yet. */
void source_context(struct source *source, const char *context);
void source_close(struct source *source);

enum file_kind { FILE_MISSING, FILE_FOLDER, FILE_OTHER };
/* FILE_MISSING: errno says why it cannot be looked at. */
enum file_kind file_kind(const char *path);
/* Another number for another file, and for another content of the same; 0: there is none. */
uint64_t file_identity(const char *path);

/* A whole regular file that is not empty, mapped for reading; dies on anything else. */
const void *file_map(const char *path, size_t *size);
void file_unmap(const void *bytes, size_t size);

/* A zstd frame with content checksum on an output. Only sink_close() ends the frame. */
struct sink;
struct sink *sink_open(struct output *output, int level);
void sink_write(struct sink *sink, const void *data, size_t size);
void sink_close(struct sink *sink); /* ends the frame and commits the output */

#endif
