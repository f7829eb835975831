#include "stream/bytes.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "stream/descriptor.h"
#include "stream/ranks.h"
#include "stream/util.h"

#define INPUT_BYTES (256 << 10)

struct source {
	int fd;
	const char *name, *context;
	ZSTD_DCtx *zstd; /* NULL: not compressed */
	bool is_pipe, started, in_frame, at_end;
	long long consumed, total;
	ZSTD_inBuffer input;
	char buffer[INPUT_BYTES];
};

static _Noreturn void source_die(const struct source *source, const char *what)
{
	if (source->context)
		die("%s: %s: %s", source->name, source->context, what);
	die("%s: %s", source->name, what);
}

struct source *source_open(const char *path)
{
	struct source *source = xcalloc(1, sizeof *source);
	bool is_stdin = !strcmp(path, "-");
	source->name = input_name(path);
	source->input.src = source->buffer;
	if (ranks_index()) {
		source->fd = -1;
		return source;
	}
	source->fd = is_stdin ? STDIN_FILENO : descriptor_open(path, O_RDONLY);
	struct stat status;
	if (source->fd < 0 || fstat(source->fd, &status) < 0)
		die_errno("%s", source->name);
	source->is_pipe = S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode);
	if (S_ISREG(status.st_mode))
		source->total = status.st_size;
	if (S_ISDIR(status.st_mode))
		source_die(source, "is a directory, a file was expected");
	descriptor_widen(source->fd);
	return source;
}

/* The next bytes, as many as there are now, behind those in the buffer; 0 at the end of the file. */
static size_t read_more(struct source *source)
{
	char *room = source->buffer + source->input.size;
	ssize_t got = 0;
	if (!ranks_index())
		got = descriptor_read(source->fd, room, sizeof source->buffer - source->input.size);
	if (got < 0)
		die_errno("%s", source->name);
	ranks_copy(&got, sizeof got);
	ranks_copy(room, (size_t)got);
	source->consumed += got;
	source->input.size += (size_t)got;
	return (size_t)got;
}

/* Refills the input buffer; false at the end of the file. */
static bool refill(struct source *source)
{
	source->input.size = source->input.pos = 0;
	return read_more(source) > 0;
}

static bool looks_like_zstd(const unsigned char *bytes, size_t size)
{
	if (size < 4)
		return false;
	uint32_t magic = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
	return magic == ZSTD_MAGICNUMBER || (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

/* The first bytes tell zstd from anything else; a pipe may hand them out in pieces. */
static void start(struct source *source)
{
	source->started = true;
	while (source->input.size < 4 && read_more(source))
		;
	if (!looks_like_zstd((const unsigned char *)source->buffer, source->input.size))
		return;
	source->zstd = ZSTD_createDCtx();
	if (!source->zstd)
		die_memory(0, 0);
}

static size_t read_plain(struct source *source, char *data, size_t size)
{
	size_t done = 0;
	while (done < size && !source->at_end) {
		size_t ready = source->input.size - source->input.pos;
		if (ready > size - done)
			ready = size - done;
		memcpy(data + done, source->buffer + source->input.pos, ready);
		source->input.pos += ready;
		done += ready;
		if (done < size && !refill(source))
			source->at_end = true;
	}
	return done;
}

/* What went wrong, for people, and what to do. */
static const char *zstd_problem(size_t result)
{
	switch (ZSTD_getErrorCode(result)) {
	case ZSTD_error_checksum_wrong:
		return "its checksum is another: bytes were changed on the way; copy or make it anew";
	case ZSTD_error_version_unsupported:
	case ZSTD_error_frameParameter_unsupported: return "it is compressed in a way that libzstd here does not know";
	case ZSTD_error_frameParameter_windowTooLarge:
		return "it is compressed for more memory than is taken; zstd without --long or --ultra was expected";
	case ZSTD_error_dictionary_wrong: return "it is compressed with a dictionary, which is not here";
	case ZSTD_error_memory_allocation: return "there is not enough memory to decompress it";
	case ZSTD_error_prefix_unknown:
		return "behind a frame comes what is none, as where something was written behind it";
	default: return "bytes of it are damaged; copy or make it anew";
	}
}

static size_t read_zstd(struct source *source, char *data, size_t size)
{
	ZSTD_outBuffer output = {data, size, 0};
	while (output.pos < size && !source->at_end) {
		size_t consumed = source->input.pos, produced = output.pos;
		size_t result = ZSTD_decompressStream(source->zstd, &output, &source->input);
		if (ZSTD_isError(result)) {
			char what[160];
			snprintf(what, sizeof what, "corrupt stream: %s", zstd_problem(result));
			source_die(source, what);
		}
		if (source->input.pos > consumed || output.pos > produced) {
			source->in_frame = result != 0;
		} else if (!refill(source)) {
			if (source->in_frame)
				source_die(source, "truncated stream");
			source->at_end = true;
		}
	}
	return output.pos;
}

size_t source_read(struct source *source, void *data, size_t size)
{
	if (!source->started)
		start(source);
	return source->zstd ? read_zstd(source, data, size) : read_plain(source, data, size);
}

const char *source_name(const struct source *source)
{
	return source->name;
}

bool source_is_pipe(const struct source *source)
{
	return source->is_pipe;
}

bool source_is_compressed(const struct source *source)
{
	return source->zstd != NULL;
}

void source_progress(const struct source *source, long long *done, long long *total)
{
	*done = source->consumed;
	*total = source->total;
}

void source_context(struct source *source, const char *context)
{
	source->context = context;
}

void source_close(struct source *source)
{
	if (source->fd > STDIN_FILENO)
		close(source->fd);
	ZSTD_freeDCtx(source->zstd);
	free(source);
}

enum file_kind file_kind(const char *path)
{
	struct stat status;
	enum file_kind kind = FILE_OTHER;
	if (!ranks_index())
		kind = stat(path, &status) ? FILE_MISSING : S_ISDIR(status.st_mode) ? FILE_FOLDER : FILE_OTHER;
	ranks_copy(&kind, sizeof kind);
	return kind;
}

uint64_t file_identity(const char *path)
{
	struct stat status;
	if (stat(path, &status))
		return 0;
	const uint64_t facts[] = {status.st_dev, status.st_ino, (uint64_t)status.st_size, (uint64_t)status.st_mtim.tv_sec,
		(uint64_t)status.st_mtim.tv_nsec};
	return fingerprint(FINGERPRINT_START, facts, sizeof facts);
}

static void *map_here(const char *path, size_t *size)
{
	struct stat status;
	int file = descriptor_open(path, O_RDONLY);
	if (file < 0 || fstat(file, &status))
		die_errno("%s", path);
	if (!S_ISREG(status.st_mode) || status.st_size <= 0)
		die("%s: a regular file that is not empty was expected", path);
	void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
	if (bytes == MAP_FAILED)
		die_errno("%s", path);
	close(file);
	*size = (size_t)status.st_size;
	return bytes;
}

static void *map_room(size_t size)
{
	void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bytes == MAP_FAILED)
		die_errno("%zu bytes", size);
	return bytes;
}

const void *file_map(const char *path, size_t *size)
{
	void *bytes = ranks_index() ? NULL : map_here(path, size);
	ranks_copy(size, sizeof *size);
	if (!bytes)
		bytes = map_room(*size);
	ranks_copy(bytes, *size);
	return bytes;
}

void file_unmap(const void *bytes, size_t size)
{
	munmap((void *)(uintptr_t)bytes, size);
}

struct sink {
	struct output *output;
	ZSTD_CCtx *zstd;
	char *buffer;
	size_t capacity;
};

struct sink *sink_open(struct output *output, int level)
{
	struct sink *sink = xcalloc(1, sizeof *sink);
	sink->output = output;
	sink->zstd = ZSTD_createCCtx();
	sink->capacity = ZSTD_CStreamOutSize();
	sink->buffer = xmalloc(sink->capacity);
	if (!sink->zstd || ZSTD_isError(ZSTD_CCtx_setParameter(sink->zstd, ZSTD_c_compressionLevel, level)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(sink->zstd, ZSTD_c_checksumFlag, 1)))
		die_memory(0, 0);
	return sink;
}

static void compress(struct sink *sink, const void *data, size_t size, ZSTD_EndDirective directive)
{
	ZSTD_inBuffer input = {data, size, 0};
	size_t left;
	do {
		ZSTD_outBuffer output = {sink->buffer, sink->capacity, 0};
		left = ZSTD_compressStream2(sink->zstd, &output, &input, directive);
		if (ZSTD_isError(left))
			die("%s: cannot be compressed: %s", output_name(sink->output), ZSTD_getErrorName(left));
		output_write(sink->output, sink->buffer, output.pos);
	} while (directive == ZSTD_e_end ? left != 0 : input.pos < input.size);
}

void sink_write(struct sink *sink, const void *data, size_t size)
{
	if (!ranks_index())
		compress(sink, data, size, ZSTD_e_continue);
}

void sink_close(struct sink *sink)
{
	compress(sink, NULL, 0, ZSTD_e_end);
	output_commit(sink->output);
	ZSTD_freeCCtx(sink->zstd);
	free(sink->buffer);
	free(sink);
}
