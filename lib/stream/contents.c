#include "stream/contents.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream/bytes.h"
#include "stream/descriptor.h"
#include "stream/ranks.h"
#include "stream/util.h"

#define BYTES_AT_ONCE (1 << 20)

/* FNV-1a over words of eight bytes, the last one filled up with zeros: files may be of many gigabytes. */
static uint64_t add_words(uint64_t hash, const unsigned char *bytes, size_t size)
{
	for (size_t at = 0; at < size; at += sizeof hash) {
		uint64_t word = 0;
		memcpy(&word, bytes + at, size - at < sizeof word ? size - at : sizeof word);
		hash = (hash ^ word) * UINT64_C(0x100000001b3);
		hash ^= hash >> 32;
	}
	return hash;
}

static uint64_t add_file(uint64_t hash, const char *path, unsigned char *bytes)
{
	int file = descriptor_open(path, O_RDONLY);
	size_t held = 0, total = 0;
	ssize_t n;
	if (file < 0)
		die_errno("%s", path);
	while ((n = descriptor_read(file, bytes + held, BYTES_AT_ONCE - held))) {
		if (n < 0)
			die_errno("%s", path);
		held += (size_t)n;
		total += (size_t)n;
		if (held == BYTES_AT_ONCE) {
			hash = add_words(hash, bytes, held);
			held = 0;
		}
	}
	close(file);
	return fingerprint(add_words(hash, bytes, held), &total, sizeof total);
}

static uint64_t add_folder(uint64_t hash, const char *path, unsigned char *bytes)
{
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort);
	if (n < 0)
		die_errno("%s", path);
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		char *file = xasprintf("%s/%s", path, name);
		struct stat status;
		if (!stat(file, &status) && S_ISREG(status.st_mode))
			hash = add_file(fingerprint(hash, name, strlen(name) + 1), file, bytes);
		free(file);
		free(entries[i]);
	}
	free(entries);
	return hash;
}

uint64_t contents_fingerprint(const char *path)
{
	uint64_t hash = FINGERPRINT_START;
	if (!ranks_index()) {
		unsigned char *bytes = xcalloc(BYTES_AT_ONCE, 1);
		hash = (file_kind(path) == FILE_FOLDER ? add_folder : add_file)(hash, path, bytes);
		free(bytes);
	}
	ranks_copy(&hash, sizeof hash);
	return hash;
}
