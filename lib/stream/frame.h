/*
 * Members of a tensor stream: a POSIX tar inside zstd frames (tensor-stream(5)).
 * The only file that knows zstd and tar.
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

#include "stream/cli.h"

#define MEMBER_NAME_MAX 100

struct frame_in;
/* Opens the inputs of `cli` one after another; none, or "-", is stdin. */
struct frame_in *frame_open(const struct cli *cli);
/* Any list of paths, NULL-terminated, borrowed. */
struct frame_in *frame_open_paths(char *const *paths);
/* The next member: its name, valid until the next call, and size; NULL at the proven end of all inputs. */
const char *frame_next(struct frame_in *in, uint64_t *size) MUST_USE;
/* The next `size` bytes of the member's data; dies where there are fewer. */
void frame_read(struct frame_in *in, void *data, size_t size);
/* The whole member (or its rest), NUL-terminated, to be freed by the caller. Dies above `limit` bytes. */
char *frame_read_all(struct frame_in *in, size_t limit, size_t *size);
/* "file: member" for messages; borrowed, valid until the next frame_next(). */
const char *frame_where(const struct frame_in *in);
void frame_free(struct frame_in *in);

struct frame_out;
/* To cli->output (a temporary file until frame_close) or stdout, at cli->level. */
struct frame_out *frame_create(const struct cli *cli);
/* Dies unless name is a valid member name and size below 8 GiB. */
void frame_begin(struct frame_out *out, const char *name, uint64_t size);
/* Parts of the member's data; together exactly `size` bytes before the next frame_begin(). */
void frame_write(struct frame_out *out, const void *data, size_t size);
/* Whole member at once. */
void frame_member(struct frame_out *out, const char *name, const void *data, size_t size);
/* Ends the frame; -o: fsync and rename. Frees. */
void frame_close(struct frame_out *out);

#endif
