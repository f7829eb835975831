#include "stream/spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream/descriptor.h"
#include "stream/output.h"

static const char *folder(void)
{
	const char *named = getenv("TMPDIR");
	return named && *named ? named : "/tmp";
}

static _Noreturn void spool_die(void)
{
	die_errno("temporary file in %s (TMPDIR names another folder)", folder());
}

static int temporary_file(void)
{
	int fd = output_nameless(folder());
	if (fd >= 0)
		return fd;
	char *path = xasprintf("%s/recpipe-XXXXXX", folder());
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0 || unlink(path))
		spool_die();
	free(path);
	return fd;
}

static void write_file(struct spool *spool, const void *data, size_t size)
{
	if (!descriptor_write(spool->fd, data, size))
		spool_die();
}

void spool_write(struct spool *spool, const void *data, size_t size)
{
	if (!spool->in_file && spool->memory.size + size > SPOOL_MEMORY) {
		spool->fd = temporary_file();
		spool->in_file = true;
		write_file(spool, spool->memory.data, spool->memory.size);
		buffer_free(&spool->memory);
	}
	if (spool->in_file)
		write_file(spool, data, size);
	else
		buffer_append(&spool->memory, data, size);
}

void spool_rewind(struct spool *spool)
{
	spool->read = 0;
	if (spool->in_file && lseek(spool->fd, 0, SEEK_SET) < 0)
		spool_die();
}

static bool read_file(struct spool *spool, char *data, size_t size)
{
	size_t done = 0;
	while (done < size) {
		ssize_t got = descriptor_read(spool->fd, data + done, size - done);
		if (got < 0)
			spool_die();
		if (!got && done)
			die("temporary file in %s: it has become shorter", folder());
		if (!got)
			return false;
		done += (size_t)got;
	}
	return true;
}

bool spool_read(struct spool *spool, void *data, size_t size)
{
	if (!size)
		return true;
	if (spool->in_file)
		return read_file(spool, data, size);
	if (spool->memory.size - spool->read < size)
		return false;
	memcpy(data, spool->memory.data + spool->read, size);
	spool->read += size;
	return true;
}

void spool_free(struct spool *spool)
{
	buffer_free(&spool->memory);
	if (spool->in_file)
		close(spool->fd);
	*spool = (struct spool){0};
}
