/*
 * A file of text, line by line. Lines end with LF, CRLF or CR; a byte order mark is dropped; numbers count from 1.
 */
#ifndef RECPIPE_LINES_H
#define RECPIPE_LINES_H

#include "data/strings.h"

#define LINE_MAX_BYTES (64 << 20)

struct lines;
/* path "-" is stdin. See container.h for what is unpacked and what is refused, as other than expected. */
struct lines *lines_open(const char *path, const char *expected);
void lines_close(struct lines *lines);

/* What is read already and not handed out, without moving on; false at the end of the file. Borrowed. */
bool lines_peek(struct lines *lines, const char **bytes, size_t *size);
/* The next piece: a line with its end, or the part of one that is read already. false at the end of the file. */
bool lines_piece(struct lines *lines, const char **piece, size_t *size) MUST_USE;
/*
 * The next line whole, without its end; borrowed, from the file's buffer or from scratch. Dies beyond LINE_MAX_BYTES.
 */
bool lines_whole(struct lines *lines, struct buffer *scratch, const char **line, size_t *size) MUST_USE;
/* The rest of a line of which this piece was read; false where it is longer than LINE_MAX_BYTES, and may never end. */
bool lines_skip_rest(struct lines *lines, const char *piece, size_t size) MUST_USE;
/* Whether a piece holds its line's end. */
bool line_ends(const char *piece, size_t size);

/* Of the piece or line handed out last. */
int64_t lines_number(const struct lines *lines);
/* Whether the line handed out last was the file's last, and ended without a line break. */
bool lines_open_end(const struct lines *lines);
/* The path, or "stdin". */
const char *lines_name(const struct lines *lines);
/* As container_unpacker(). */
const char *lines_unpacker(const struct lines *lines);
/* Bytes of the file read and in all (0: unknown). */
void lines_progress(const struct lines *lines, int64_t *done, int64_t *total);

/*
 * The lines of a file of ids, empty ones too. Dies at one that no id can be, with a NUL inside or not UTF-8.
 */
struct strings lines_ids(const char *path);

#endif
