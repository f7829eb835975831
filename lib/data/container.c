#include "data/container.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "stream/bytes.h"
#include "stream/util.h"

#define HEAD_BYTES 1024 /* enough to tell what a file is: a tar archive says so from byte 257 on */
#define PACKED_BYTES (64 << 10)

struct container {
	struct source *source;
	unsigned char head[HEAD_BYTES]; /* of the text, until it is handed out */
	size_t head_at, head_size;
	bool is_gzip, in_member, at_end;
	z_stream zlib;
	unsigned char *packed;
	const char *expected;
};

/* --- what a file is --- */

#define PANDAS(reader)                                                                                                 \
	"python3 -c 'import pandas, sys; pandas." reader "(sys.argv[1]).to_csv(sys.stdout, index=False)' %s >table.csv"
#define BYTES(text) (text), sizeof(text) - 1

/* By their first bytes, or those at an offset; advice: what to run before, with the file's name for %s. */
static const struct magic {
	const char *bytes;
	size_t size, offset;
	const char *what, *advice;
} magics[] = {
	{BYTES("\xfd"
		   "7zXZ\0"),
		0, "an xz file", "xz -dk %s"},
	{BYTES("1AY&SY"), 4, "a bzip2 file", "bzip2 -dk %s"},
	{BYTES("\x17\x72\x45\x38\x50\x90"), 4, "a bzip2 file", "bzip2 -dk %s"},
	{BYTES("\x5d\0\0"), 0, "an lzma file", "xz -dk %s"},
	{BYTES("LZIP\x01"), 0, "an lzip file", "lzip -dk %s"},
	{BYTES("\x04\x22\x4d\x18"), 0, "an lz4 file", "lz4 -dc %s >table.csv"},
	{BYTES("\x1f\x9d"), 0, "a file of compress(1)", "gzip -dc %s >table.csv"},
	{BYTES("\x1f\x8b"), 0, "gzip within gzip or zstd", "gzip -dc %s >table.csv.gz"},
	{BYTES("\x28\xb5\x2f\xfd"), 0, "zstd within gzip", "gzip -dc %s >table.csv.zst"},
	{BYTES("x\x9c"), 0, "a zlib stream",
		"python3 -c 'import sys, zlib; "
		"sys.stdout.buffer.write(zlib.decompress(open(sys.argv[1], \"rb\").read()))' %s >table.csv"},
	{BYTES("\xff\x06\0\0sNaPpY"), 0, "a snappy file", "python3 -m snappy -d %s table.csv"},
	{BYTES("7z\xbc\xaf\x27\x1c"), 0, "a 7z archive", "7z x %s"},
	{BYTES("Rar!\x1a\x07"), 0, "a RAR archive", "unrar x %s"},
	{BYTES("PAR1"), 0, "a Parquet file", PANDAS("read_parquet")},
	{BYTES("ARROW1"), 0, "an Arrow (Feather) file", PANDAS("read_feather")},
	{BYTES("FEA1"), 0, "a Feather file", PANDAS("read_feather")},
	{BYTES("\xff\xff\xff\xff"), 0, "an Arrow stream",
		"python3 -c 'import pyarrow, sys; "
		"pyarrow.ipc.open_stream(sys.argv[1]).read_pandas().to_csv(sys.stdout, index=False)' %s >table.csv"},
	{BYTES("Obj\x01"), 0, "an Avro file", "fastavro %s >table.jsonl"},
	{BYTES("\x89HDF\r\n"), 0, "an HDF5 file", PANDAS("read_hdf")},
	{BYTES("SQLite format 3"), 0, "an SQLite database", "sqlite3 -header -csv %s 'select * from TABLE' >table.csv"},
	{BYTES("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), 0, "an Excel workbook", PANDAS("read_excel")},
	{BYTES("\x93NUMPY"), 0, "a NumPy array",
		"python3 -c 'import numpy, sys; "
		"numpy.savetxt(sys.stdout, numpy.load(sys.argv[1]), \"%%s\", \",\")' %s >table.csv"},
	{BYTES("\x80\x02"), 0, "a Python pickle", PANDAS("read_pickle")},
	{BYTES("\x80\x03"), 0, "a Python pickle", PANDAS("read_pickle")},
	{BYTES("\x80\x04"), 0, "a Python pickle", PANDAS("read_pickle")},
	{BYTES("\x80\x05"), 0, "a Python pickle", PANDAS("read_pickle")},
	{BYTES("(dp"), 0, "a Python pickle", PANDAS("read_pickle")},
	{BYTES("(lp"), 0, "a Python pickle", PANDAS("read_pickle")},
	{BYTES("ccopy_reg"), 0, "a Python pickle", PANDAS("read_pickle")},
	{BYTES("RDX2\n"), 0, "an R workspace",
		"Rscript -e 'load(commandArgs(TRUE)); write.csv(TABLE, row.names=FALSE)' %s >table.csv"},
	{BYTES("RDX3\n"), 0, "an R workspace",
		"Rscript -e 'load(commandArgs(TRUE)); write.csv(TABLE, row.names=FALSE)' %s >table.csv"},
	{BYTES("<stata_dta>"), 0, "a Stata file", PANDAS("read_stata")},
	{BYTES("MATLAB 5.0"), 0, "a MATLAB file",
		"python3 -c 'import scipy.io, sys; print(scipy.io.loadmat(sys.argv[1]))' %s"},
	{BYTES("\x89PNG\r\n"), 0, "an image", NULL},
	{BYTES("\xff\xd8\xff"), 0, "an image", NULL},
	{BYTES("GIF8"), 0, "an image", NULL},
	{BYTES("\x7f"
		   "ELF"),
		0, "a program", NULL},
	{BYTES("%PDF-"), 0, "a PDF document", "pdftotext -layout %s"},
	{BYTES("GGUF"), 0, "a GGUF model (for --tokenizer)", NULL},
	{BYTES("version https://git-lfs"), 0, "a Git LFS pointer, not the file itself", "git lfs pull --include %s"},
	{BYTES("/annex/objects/"), 0, "a git-annex pointer, not the file itself", "git annex get %s"},
	{BYTES("../.git/annex/"), 0, "a git-annex pointer, not the file itself", "git annex get %s"},
	{BYTES("outs:\n- md5:"), 0, "a DVC pointer, not the file itself", "dvc pull %s"},
	{BYTES("\xff\xfe\0\0"), 0, "UTF-32, UTF-8 was expected", "iconv -f utf-32 -t utf-8 %s >table.csv"},
	{BYTES("\0\0\xfe\xff"), 0, "UTF-32, UTF-8 was expected", "iconv -f utf-32 -t utf-8 %s >table.csv"},
	{BYTES("\xff\xfe"), 0, "UTF-16, UTF-8 was expected", "iconv -f utf-16 -t utf-8 %s >table.csv"},
	{BYTES("\xfe\xff"), 0, "UTF-16, UTF-8 was expected", "iconv -f utf-16 -t utf-8 %s >table.csv"},
};

char *container_shell_name(const char *name)
{
	if (!strcmp(name, "stdin"))
		return xstrdup("FILE");
	bool is_plain = !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+,:@%-")];
	return is_plain ? xstrdup(name) : xasprintf("'%s'", name);
}

static _Noreturn void die_kind(const struct container *container, const char *what, const char *advice)
{
	const char *name = container_name(container);
	if (!advice)
		die("%s: %s; %s", name, what, container->expected);
		/* advice is a format of this file's own, with one %s */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	char *command = xasprintf(advice, container_shell_name(name));
#pragma GCC diagnostic pop
	die("%s: %s; before it is read: %s", name, what, command);
}

static bool holds(const unsigned char *head, size_t size, const char *text)
{
	return memmem(head, size, text, strlen(text));
}

static void refuse_zip(const struct container *container, const unsigned char *head, size_t size)
{
	if (size < 4 || (memcmp(head, "PK\3\4", 4) && memcmp(head, "PK\5\6", 4)))
		return;
	if (holds(head, size, "[Content_Types].xml") || holds(head, size, "xl/"))
		die_kind(container, "an Excel workbook", PANDAS("read_excel"));
	if (holds(head, size, "opendocument.spreadsheet"))
		die_kind(container, "an OpenDocument spreadsheet", PANDAS("read_excel"));
	if (holds(head, size, ".npy"))
		die_kind(container, "NumPy arrays (npz)",
			"python3 -c 'import numpy, sys; print(numpy.load(sys.argv[1]).files)' %s");
	die_kind(container, "a zip archive", "unzip %s");
}

static void refuse_tar(const struct container *container, const unsigned char *head, size_t size)
{
	if (size < 263 || memcmp(head + 257, "ustar", 5))
		return;
	if (memchr(head, 0, 100) && strstr((const char *)head, "/meta.json"))
		die_kind(container, "a tensor stream", NULL);
	die_kind(container, "a tar archive", "tar -xf %s");
}

/* Without a byte order mark: every second byte of what is nearly always ASCII, a header, is zero. */
static void refuse_wide(const struct container *container, const unsigned char *head, size_t size)
{
	if (size < 8)
		return;
	for (size_t zero = 0; zero < 2; zero++) {
		size_t i = 0;
		while (i < 8 && (head[i] == 0) == (i % 2 == zero))
			i++;
		if (i == 8)
			die_kind(container, "UTF-16, UTF-8 was expected",
				zero ? "iconv -f utf-16le -t utf-8 %s >table.csv" : "iconv -f utf-16be -t utf-8 %s >table.csv");
	}
}

static void refuse_markup(const struct container *container, const unsigned char *head, size_t size)
{
	size_t at = 0;
	if (size >= 3 && !memcmp(head, "\xef\xbb\xbf", 3))
		at = 3;
	while (at < size && strchr(" \t\r\n", head[at]) && head[at])
		at++;
	if (size - at < 2)
		return;
	const unsigned char *text = head + at;
	if (*text == '[' && strchr("{[ \t\r\n", text[1]) && text[1])
		die_kind(container, "one JSON array, not an object a line", "jq -c '.[]' %s >table.jsonl");
	if (*text != '<' || !(text[1] == '!' || text[1] == '?' || ((text[1] | 32) >= 'a' && (text[1] | 32) <= 'z')))
		return;
	for (size_t i = at; i + 4 <= size; i++)
		if (!strncasecmp((const char *)head + i, "html", 4))
			die("%s: an HTML page, not a table: the answer of a server that did not send the file?",
				container_name(container));
	die_kind(container, "XML, not a table", NULL);
}

/* Characters that text has not; those that some tables have as delimiters, ^A and the separators, do not count. */
static void refuse_controls(const struct container *container, const unsigned char *head, size_t size)
{
	size_t controls = 0;
	for (size_t i = 0; i < size; i++)
		controls += head[i] < 28 && head[i] != 1 && (!head[i] || !strchr("\t\n\v\f\r\x1b", head[i]));
	if (controls >= 4 && controls * 20 > size)
		die_kind(container, "not text", NULL);
}

/* Dies where these first bytes are not those of text that can be a table. */
static void refuse_kinds(const struct container *container, const unsigned char *head, size_t size)
{
	for (size_t i = 0; i < COUNT_OF(magics); i++) {
		const struct magic *magic = &magics[i];
		if (magic->offset + magic->size <= size && !memcmp(head + magic->offset, magic->bytes, magic->size))
			die_kind(container, magic->what, magic->advice);
	}
	refuse_zip(container, head, size);
	refuse_tar(container, head, size);
	refuse_wide(container, head, size);
	refuse_controls(container, head, size);
	refuse_markup(container, head, size);
}

/* --- bytes --- */

static void start_gzip(struct container *container, const unsigned char *head, size_t size)
{
	container->is_gzip = true;
	container->packed = xmalloc(PACKED_BYTES);
	memcpy(container->packed, head, size);
	container->zlib.next_in = container->packed;
	container->zlib.avail_in = (uInt)size;
	if (inflateInit2(&container->zlib, MAX_WBITS + 16) != Z_OK) /* + 16: gzip alone */
		die_memory(0, 0);
	container->in_member = true;
}

/* More packed bytes; false at the end of the file. */
static bool refill(struct container *container)
{
	size_t got = source_read(container->source, container->packed, PACKED_BYTES);
	container->zlib.next_in = container->packed;
	container->zlib.avail_in = (uInt)got;
	return got > 0;
}

/* Between members: another one begins, or the file ends, perhaps with zeros that fill a block. */
static bool next_member(struct container *container)
{
	do
		for (; container->zlib.avail_in; container->zlib.next_in++, container->zlib.avail_in--)
			if (*container->zlib.next_in) {
				inflateReset(&container->zlib);
				return container->in_member = true;
			}
	while (refill(container));
	return false;
}

/* What went wrong, for people, and what to do. message: zlib's, or NULL. */
static const char *gzip_problem(int result, const char *message)
{
	if (result == Z_MEM_ERROR)
		return "there is not enough memory to decompress it";
	if (message && !strcmp(message, "incorrect header check"))
		return "behind its end comes what is no gzip file";
	if (message && strstr(message, "check"))
		return "its checksum is another: bytes were changed on the way; copy or make it anew";
	return "bytes of it are damaged; copy or make it anew";
}

static size_t read_gzip(struct container *container, void *data, size_t size)
{
	z_stream *zlib = &container->zlib;
	size_t done = 0;
	while (done < size && !container->at_end) {
		if (!container->in_member && !next_member(container)) {
			container->at_end = true;
			break;
		}
		if (!zlib->avail_in && !refill(container))
			die("%s: truncated gzip file", container_name(container));
		size_t room = size - done < 1 << 30 ? size - done : 1 << 30;
		zlib->next_out = (Bytef *)data + done;
		zlib->avail_out = (uInt)room;
		int result = inflate(zlib, Z_NO_FLUSH);
		if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
			die("%s: corrupt gzip file: %s", container_name(container), gzip_problem(result, zlib->msg));
		done += room - zlib->avail_out;
		container->in_member = result != Z_STREAM_END;
	}
	return done;
}

struct container *container_open(const char *path, const char *expected)
{
	struct container *container = xcalloc(1, sizeof *container);
	container->expected = expected;
	container->source = source_open(path);
	size_t size = source_read(container->source, container->head, HEAD_BYTES);
	if (size > 2 && !memcmp(container->head, "\x1f\x8b\x08", 3)) {
		start_gzip(container, container->head, size);
		size = read_gzip(container, container->head, HEAD_BYTES);
	}
	container->head_size = size;
	refuse_kinds(container, container->head, size);
	return container;
}

size_t container_read(struct container *container, void *data, size_t size)
{
	size_t ready = container->head_size - container->head_at;
	ready = ready < size ? ready : size;
	memcpy(data, container->head + container->head_at, ready);
	container->head_at += ready;
	char *rest = (char *)data + ready;
	return ready +
		(container->is_gzip ? read_gzip(container, rest, size - ready) :
							  source_read(container->source, rest, size - ready));
}

const char *container_name(const struct container *container)
{
	return source_name(container->source);
}

void container_progress(const struct container *container, long long *done, long long *total)
{
	source_progress(container->source, done, total);
}

const char *container_unpacker(const struct container *container)
{
	return container->is_gzip ? "gzip -dc" : source_is_compressed(container->source) ? "zstd -dc" : NULL;
}

void container_close(struct container *container)
{
	if (container->is_gzip)
		inflateEnd(&container->zlib);
	source_close(container->source);
	free(container->packed);
	free(container);
}
