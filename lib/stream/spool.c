#include "stream/spool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static FILE *temporary_file(void)
{
	const char *folder = getenv("TMPDIR");
	char *path = xasprintf("%s/recpipe-XXXXXX", folder && *folder ? folder : "/tmp");
	int fd = mkstemp(path);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w+b");
	if (!file || unlink(path))
		die_errno("%s: temporary file", path);
	free(path);
	return file;
}

static void write_file(struct spool *spool, const void *data, size_t size)
{
	if (fwrite(data, 1, size, spool->file) != size)
		die_errno("temporary file");
}

void spool_write(struct spool *spool, const void *data, size_t size)
{
	if (!spool->file && spool->memory.size + size > SPOOL_MEMORY) {
		spool->file = temporary_file();
		write_file(spool, spool->memory.data, spool->memory.size);
		buffer_free(&spool->memory);
	}
	if (spool->file)
		write_file(spool, data, size);
	else
		buffer_append(&spool->memory, data, size);
}

void spool_rewind(struct spool *spool)
{
	spool->read = 0;
	if (spool->file && (fflush(spool->file) || fseek(spool->file, 0, SEEK_SET)))
		die_errno("temporary file");
}

bool spool_read(struct spool *spool, void *data, size_t size)
{
	if (!size)
		return true;
	if (spool->file) {
		size_t got = fread(data, 1, size, spool->file);
		if (ferror(spool->file) || (got && got < size))
			die_errno("temporary file");
		return got == size;
	}
	if (spool->memory.size - spool->read < size)
		return false;
	memcpy(data, spool->memory.data + spool->read, size);
	spool->read += size;
	return true;
}

void spool_free(struct spool *spool)
{
	buffer_free(&spool->memory);
	if (spool->file)
		fclose(spool->file);
	*spool = (struct spool){0};
}
