#include "stream/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream/bytes.h"
#include "stream/process.h"

#define BLOCK 512
#define ZEROS_MAX (1 << 17)                        /* blocks: 64 MiB, where tar pads to a few KiB */
#define MEMBER_BYTES_MAX ((UINT64_C(1) << 33) - 1) /* eleven octal digits */

/* POSIX.1-1988 ustar */
struct tar_header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, linked[100];
	char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], padding[12];
};
_Static_assert(sizeof(struct tar_header) == BLOCK, "a tar header is one block");

static unsigned checksum_of(const struct tar_header *header)
{
	struct tar_header copy = *header;
	memset(copy.checksum, ' ', sizeof copy.checksum);
	unsigned sum = 0;
	for (size_t i = 0; i < BLOCK; i++)
		sum += ((const unsigned char *)&copy)[i];
	return sum;
}

static bool name_is_valid(const char *name)
{
	size_t length = strlen(name);
	if (!length || length > MEMBER_NAME_MAX || name[0] == '/' || name[length - 1] == '/')
		return false;
	for (const char *c = name; *c; c++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-", *c))
			return false;
	for (const char *part = name; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
		if (!strncmp(part, "..", 2) && (part[2] == '/' || !part[2]))
			return false;
	return true;
}

/* --- reading --- */

struct frame_in {
	char *const *paths;    /* the inputs still to come */
	struct source *source; /* the current one, or NULL */
	char name[MEMBER_NAME_MAX + 160];
	char *where;
	char *context;          /* what a truncation is reported against */
	bool any_member;        /* in this input */
	uint64_t left, padding; /* of the current member */
};

static char *const only_stdin[] = {"-", NULL};

struct frame_in *frame_open(char *const *paths)
{
	struct frame_in *in = xcalloc(1, sizeof *in);
	in->paths = paths && *paths ? paths : only_stdin;
	return in;
}

static void set_context(struct frame_in *in, char *context)
{
	free(in->context);
	in->context = context;
	source_context(in->source, context);
}

static _Noreturn void die_truncated(const struct frame_in *in)
{
	die("%s: truncated stream", frame_where(in));
}

static bool parse_octal(const char *digits, size_t size, uint64_t *value)
{
	uint64_t result = 0;
	size_t i = 0;
	while (i < size && digits[i] == ' ')
		i++;
	size_t first = i;
	for (; i < size && digits[i] >= '0' && digits[i] <= '7'; i++)
		result = result * 8 + (uint64_t)(digits[i] - '0');
	if (i == first || (i < size && digits[i] != ' ' && digits[i]))
		return false;
	*value = result;
	return true;
}

static bool is_zero(const void *block)
{
	const char *bytes = block;
	return !bytes[0] && !memcmp(bytes, bytes + 1, BLOCK - 1);
}

/* The name with ustar's prefix, without the "./" that tar writes for the files of a folder. */
static void take_name(struct frame_in *in, const struct tar_header *header)
{
	bool is_posix = !memcmp(header->magic, "ustar", 6);
	int prefix = is_posix ? (int)strnlen(header->prefix, sizeof header->prefix) : 0;
	snprintf(in->name, sizeof in->name, "%.*s%s%.*s", prefix, header->prefix, prefix ? "/" : "",
		(int)sizeof header->name, header->name);
	size_t skip = 0;
	while (!strncmp(in->name + skip, "./", 2))
		skip += 2;
	memmove(in->name, in->name + skip, strlen(in->name + skip) + 1);
}

/* Of what is no stream: what it is instead, by its first bytes. */
static const char *kind_of(const unsigned char *head, size_t size)
{
	static const struct {
		const char *bytes, *kind;
	} kinds[] = {{"GGUF", "a GGUF model"}, {"\x93NUMPY", "a NumPy array"}, {"PK\3\4", "a zip archive"},
		{"\x1f\x8b", "a gzip file"}, {"%PDF", "a PDF document"},
		{"\x7f"
		 "ELF",
			"a program"}};
	bool is_text = size > 0;
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (size >= strlen(kinds[i].bytes) && !memcmp(head, kinds[i].bytes, strlen(kinds[i].bytes)))
			return kinds[i].kind;
	for (size_t i = 0; i < size; i++)
		is_text &= head[i] >= ' ' || (head[i] && strchr("\t\n\r\f", head[i]));
	return is_text && strchr("{[", *head) ? "JSON" : is_text ? "text (seq-tokenize makes a stream of a table)" : NULL;
}

static _Noreturn void die_no_stream(const struct frame_in *in, const void *head, size_t size)
{
	const char *kind = kind_of(head, size);
	if (kind)
		die("%s: not a tensor stream: %s", source_name(in->source), kind);
	if (size < BLOCK)
		die("%s: not a tensor stream: %zu bytes", source_name(in->source), size);
	die("%s: not a tensor stream: %s", source_name(in->source),
		source_is_compressed(in->source) ? "no tar inside the zstd frame" : "neither zstd nor tar");
}

static void check_header(struct frame_in *in, const struct tar_header *header)
{
	const char *source = source_name(in->source);
	uint64_t checksum;
	bool has_magic = !memcmp(header->magic, "ustar", 5);
	if (!in->any_member && !has_magic)
		die_no_stream(in, header, sizeof *header);
	if (!has_magic || !parse_octal(header->checksum, sizeof header->checksum, &checksum) ||
		checksum != checksum_of(header))
		die("%s: after %s: damaged tar header", source, in->name[0] ? in->name : "the start");
	take_name(in, header);
	if (header->type == 'x' || header->type == 'g' || header->type == 'L')
		die("%s: %s: extended tar header, plain members were expected (tar --format=ustar)", source, in->name);
	if (header->type != '0' && header->type && header->type != '5')
		die("%s: %s: not a regular file", source, in->name);
	if (!parse_octal(header->size, sizeof header->size, &in->left) || in->left > MEMBER_BYTES_MAX)
		die("%s: %s: bad member size, less than 8 GiB in octal was expected", source, in->name);
	if (header->type != '5' && !name_is_valid(in->name))
		die("%s: \"%s\": bad member name, at most %d of [A-Za-z0-9._/-] without .. were expected", source, in->name,
			MEMBER_NAME_MAX);
}

/*
 * The next header of the current input; false at its end. Between tars that were joined there are blocks of zeros:
 * some, for an input of many more is no stream and may never end.
 */
static bool read_header(struct frame_in *in, struct tar_header *header)
{
	for (int zeros = 0;; zeros++) {
		if (zeros > ZEROS_MAX)
			die("%s: %s: not a tensor stream: zeros", source_name(in->source),
				in->any_member ? "behind it" : "the start");
		size_t got = source_read(in->source, header, BLOCK);
		if (got == 0)
			return false;
		if (got < BLOCK && !in->any_member)
			die_no_stream(in, header, got);
		if (got < BLOCK)
			die_truncated(in);
		if (!is_zero(header))
			return true;
	}
}

static void open_next(struct frame_in *in)
{
	in->source = source_open(*in->paths++);
	process_awaits(source_is_pipe(in->source));
	in->any_member = false;
	in->name[0] = '\0';
	set_context(in, NULL);
}

static void close_current(struct frame_in *in)
{
	if (!in->any_member)
		die("%s: empty input, a tensor stream was expected", source_name(in->source));
	source_close(in->source);
	in->source = NULL;
	process_awaits(false);
}

static void skip(struct frame_in *in, uint64_t size)
{
	char scratch[1 << 14];
	while (size) {
		size_t part = size < sizeof scratch ? (size_t)size : sizeof scratch;
		if (source_read(in->source, scratch, part) < part)
			die_truncated(in);
		size -= part;
	}
}

const char *frame_next(struct frame_in *in, uint64_t *size)
{
	if (in->source)
		skip(in, in->left + in->padding);
	in->left = in->padding = 0;
	for (;;) {
		if (!in->source) {
			if (!*in->paths)
				return NULL;
			open_next(in);
		}
		if (in->any_member)
			set_context(in, xasprintf("after %s", in->name));
		struct tar_header header;
		if (!read_header(in, &header)) {
			close_current(in);
			continue;
		}
		check_header(in, &header);
		in->any_member = true;
		if (header.type == '5')
			continue;
		in->padding = -in->left % BLOCK;
		set_context(in, xstrdup(in->name));
		free(in->where);
		in->where = xasprintf("%s: %s", source_name(in->source), in->name);
		*size = in->left;
		return in->name;
	}
}

void frame_read(struct frame_in *in, void *data, size_t size)
{
	if (size > in->left)
		die("%s: %zu more bytes were expected, the member has %llu", in->where, size, (unsigned long long)in->left);
	if (source_read(in->source, data, size) < size)
		die_truncated(in);
	in->left -= size;
}

char *frame_read_all(struct frame_in *in, size_t limit, size_t *size)
{
	if (in->left > limit)
		die("%s: %llu bytes, at most %zu were expected", in->where, (unsigned long long)in->left, limit);
	*size = (size_t)in->left;
	char *data = xmalloc(*size + 1);
	frame_read(in, data, *size);
	data[*size] = '\0';
	return data;
}

const char *frame_source(const struct frame_in *in)
{
	return in->source ? source_name(in->source) : "stdin";
}

const char *frame_where(const struct frame_in *in)
{
	return in->where ? in->where : in->source ? source_name(in->source) : "stdin";
}

void frame_free(struct frame_in *in)
{
	if (in->source)
		source_close(in->source);
	free(in->context);
	free(in->where);
	free(in);
}

/* --- writing --- */

struct frame_out {
	struct sink *sink;
	uint64_t left, padding;
};

struct frame_out *frame_create(const char *path, int level)
{
	struct frame_out *out = xcalloc(1, sizeof *out);
	out->sink = sink_open(output_open(path), level);
	return out;
}

static void end_member(struct frame_out *out)
{
	static const char zeros[BLOCK];
	if (out->left)
		die("internal error: a member of the output was not written to its end");
	sink_write(out->sink, zeros, (size_t)out->padding);
	out->padding = 0;
}

void frame_begin(struct frame_out *out, const char *name, uint64_t size)
{
	end_member(out);
	if (!name_is_valid(name))
		die("\"%s\": bad member name, at most %d of [A-Za-z0-9._/-] without .. were expected", name, MEMBER_NAME_MAX);
	if (size > MEMBER_BYTES_MAX)
		die("%s: %llu bytes, a member must stay below 8 GiB", name, (unsigned long long)size);
	struct tar_header header = {.mode = "0000644",
		.uid = "0000000",
		.gid = "0000000",
		.mtime = "00000000000",
		.type = '0',
		.version = {'0', '0'}};
	memcpy(header.name, name, strlen(name));
	memcpy(header.magic, "ustar", 6);
	for (int digit = 10; digit >= 0; digit--)
		header.size[10 - digit] = (char)('0' + (size >> (3 * digit) & 7));
	snprintf(header.checksum, 7, "%06o", checksum_of(&header));
	header.checksum[7] = ' ';
	sink_write(out->sink, &header, BLOCK);
	out->left = size;
	out->padding = -size % BLOCK;
}

void frame_write(struct frame_out *out, const void *data, size_t size)
{
	if (size > out->left)
		die("internal error: more than a member's size was written");
	sink_write(out->sink, data, size);
	out->left -= size;
}

void frame_member(struct frame_out *out, const char *name, const void *data, size_t size)
{
	frame_begin(out, name, size);
	frame_write(out, data, size);
}

void frame_close(struct frame_out *out)
{
	end_member(out);
	sink_close(out->sink);
	free(out);
}
