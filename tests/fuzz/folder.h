/* A folder of files for a fuzz target that reads one, in memory, gone with the process. */
#ifndef RECPIPE_FUZZ_FOLDER_H
#define RECPIPE_FUZZ_FOLDER_H

#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream/descriptor.h"
#include "stream/util.h"

static char fuzz_folder[] = "/dev/shm/fuzz.XXXXXX";

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

static void remove_folder(void)
{
	nftw(fuzz_folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Its path; made at the first call. */
static const char *folder(void)
{
	static bool made;
	if (!made && (!mkdtemp(fuzz_folder) || atexit(remove_folder)))
		abort();
	made = true;
	return fuzz_folder;
}

/* Writes a file there, where it has any bytes; a folder in its name is made. */
static void put(const char *name, const void *data, size_t size)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", folder(), name);
	char *slash = strrchr(path, '/');
	if (strchr(name, '/')) {
		*slash = '\0';
		mkdir(path, 0777);
		*slash = '/';
	}
	unlink(path);
	if (!size)
		return;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0 || !descriptor_write(fd, data, size))
		abort();
	close(fd);
}

/* What stands before the next NUL byte, or all there is, as a file; *data and *size become what is behind. */
static void put_next(const char *name, const uint8_t **data, size_t *size)
{
	const uint8_t *end = *size ? memchr(*data, '\0', *size) : NULL;
	const size_t length = end ? (size_t)(end - *data) : *size;
	put(name, *data, length);
	*data += length + (end != NULL);
	*size -= length + (end != NULL);
}

#endif
