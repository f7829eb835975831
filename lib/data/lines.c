#include "data/lines.h"

#include <stdlib.h>
#include <string.h>

#include "data/container.h"
#include "data/utf8.h"

#define READ_BYTES (256 << 10)

struct lines {
	struct container *container;
	char *bytes; /* what was read of the file; [at, filled) is not handed out yet */
	size_t at, filled;
	bool at_end;
	int64_t number;
	bool ended, after_return; /* the last piece had its line's end; it was a CR */
};

static bool refill(struct lines *lines)
{
	if (!lines->at_end) {
		lines->at = 0;
		lines->filled = container_read(lines->container, lines->bytes, READ_BYTES);
		lines->at_end = lines->filled < READ_BYTES;
	}
	return lines->at < lines->filled;
}

struct lines *lines_open(const char *path, const char *expected)
{
	struct lines *lines = xcalloc(1, sizeof *lines);
	lines->container = container_open(path, expected);
	lines->bytes = xmalloc(READ_BYTES);
	lines->ended = true;
	if (refill(lines) && lines->filled >= 3 && !memcmp(lines->bytes, "\xef\xbb\xbf", 3))
		lines->at = 3;
	return lines;
}

void lines_close(struct lines *lines)
{
	container_close(lines->container);
	free(lines->bytes);
	free(lines);
}

bool lines_peek(struct lines *lines, const char **bytes, size_t *size)
{
	if (lines->at == lines->filled && !refill(lines))
		return false;
	*bytes = lines->bytes + lines->at;
	*size = lines->filled - lines->at;
	return true;
}

bool line_ends(const char *piece, size_t size)
{
	return size && (piece[size - 1] == '\n' || piece[size - 1] == '\r');
}

static void count_piece(struct lines *lines, const char *piece, size_t size)
{
	bool second_half = lines->after_return && size == 1 && *piece == '\n'; /* of a CRLF cut in two */
	lines->number += lines->ended && !second_half;
	lines->ended = line_ends(piece, size);
	lines->after_return = piece[size - 1] == '\r';
}

bool lines_piece(struct lines *lines, const char **piece, size_t *size)
{
	if (lines->at == lines->filled && !refill(lines))
		return false;
	const char *begin = lines->bytes + lines->at;
	size_t left = lines->filled - lines->at;
	const char *end = memchr(begin, '\n', left);
	size_t length = end ? (size_t)(end - begin) + 1 : left;
	/* a CR that no LF follows ends a line, too */
	const char *carriage_return = memchr(begin, '\r', length);
	if (carriage_return && !(end && carriage_return + 1 == end))
		length = (size_t)(carriage_return - begin) + 1;
	*piece = begin;
	*size = length;
	lines->at += length;
	count_piece(lines, begin, length);
	return true;
}

static size_t without_end(const char *line, size_t size)
{
	while (size && line_ends(line, size))
		size--;
	return size;
}

bool lines_whole(struct lines *lines, struct buffer *scratch, const char **line, size_t *size)
{
	if (!lines_piece(lines, line, size))
		return false;
	if (!lines->ended) {
		scratch->size = 0;
		do {
			buffer_append(scratch, *line, *size);
			if (scratch->size > LINE_MAX_BYTES)
				die("%s: line %lld: longer than 64 mebibytes", lines_name(lines), (long long)lines->number);
		} while (!lines->ended && lines_piece(lines, line, size));
		*line = scratch->data;
		*size = scratch->size;
	}
	*size = without_end(*line, *size);
	return true;
}

bool lines_skip_rest(struct lines *lines, const char *piece, size_t size)
{
	size_t skipped = size;
	while (!line_ends(piece, size) && lines_piece(lines, &piece, &size)) {
		skipped += size;
		if (skipped > LINE_MAX_BYTES)
			return false;
	}
	return true;
}

int64_t lines_number(const struct lines *lines)
{
	return lines->number;
}

bool lines_open_end(const struct lines *lines)
{
	return !lines->ended && lines->at_end && lines->at == lines->filled;
}

const char *lines_name(const struct lines *lines)
{
	return container_name(lines->container);
}

const char *lines_unpacker(const struct lines *lines)
{
	return container_unpacker(lines->container);
}

void lines_progress(const struct lines *lines, int64_t *done, int64_t *total)
{
	long long bytes, all;
	container_progress(lines->container, &bytes, &all);
	*done = bytes;
	*total = all;
}

static void check_id(const struct lines *lines, const char *id, size_t size)
{
	const bool has_nul = memchr(id, '\0', size);
	if (has_nul || !utf8_is_valid(id, size))
		die("%s: line %lld: %s, an id a line was expected", lines_name(lines), (long long)lines->number,
			has_nul ? "a NUL byte inside" : "not UTF-8");
}

struct strings lines_ids(const char *path)
{
	struct strings ids = {0};
	struct lines *lines = lines_open(path, "ids as text were expected, one a line");
	struct buffer scratch = {0};
	const char *id;
	size_t size;
	while (lines_whole(lines, &scratch, &id, &size)) {
		check_id(lines, id, size);
		strings_add(&ids, id, size);
	}
	lines_close(lines);
	buffer_free(&scratch);
	return ids;
}
