/*
 * Members of a tensor stream: a POSIX tar inside zstd frames (tensor-stream(5)).
 * What tar is, is known here alone; what zstd is, in bytes.c.
 *
 * Reading: any number of inputs and frames, uncompressed tar too. A member's
 * data are read with frame_read(); what was not read is skipped. Every
 * irregularity (truncation, checksum, header, name, size) dies with
 * "tool: file: member: what".
 * Writing: no end-of-archive blocks; frame_close() alone ends the zstd frame,
 * so whatever ends early is seen as truncated downstream.
 */
#ifndef RECPIPE_FRAME_H
#define RECPIPE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream/util.h"

#define MEMBER_NAME_MAX 100

struct frame_in;
/* Opens the paths one after another, a NULL-terminated list, borrowed; none, or "-", is stdin. */
struct frame_in *frame_open(char *const *paths);
/* The next member: its name, valid until the next call, and size; NULL at the proven end of all inputs. */
const char *frame_next(struct frame_in *in, uint64_t *size) MUST_USE;
/* The next `size` bytes of the member's data; dies where there are fewer. */
void frame_read(struct frame_in *in, void *data, size_t size);
/* The whole member (or its rest), NUL-terminated, to be freed by the caller. Dies above `limit` bytes. */
char *frame_read_all(struct frame_in *in, size_t limit, size_t *size);
/* The input that is being read, for messages: its path, or "stdin". */
const char *frame_source(const struct frame_in *in);
/* "file: member" for messages; borrowed, valid until the next frame_next(). */
const char *frame_where(const struct frame_in *in);
void frame_free(struct frame_in *in);

struct frame_out;
/* To a file (a temporary one until frame_close) or, NULL, stdout, at a level of compression. */
struct frame_out *frame_create(const char *path, int level);
/* Dies unless name is a valid member name and size below 8 GiB. */
void frame_begin(struct frame_out *out, const char *name, uint64_t size);
/* Parts of the member's data; together exactly `size` bytes before the next frame_begin(). */
void frame_write(struct frame_out *out, const void *data, size_t size);
/* Whole member at once. */
void frame_member(struct frame_out *out, const char *name, const void *data, size_t size);
/* Ends the frame; -o: fsync and rename. Frees. */
void frame_close(struct frame_out *out);

#endif
