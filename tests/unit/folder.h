/* A folder of a group of tests, with files in it; of those who define GOLDEN, its members. */
#ifndef RECPIPE_TEST_FOLDER_H
#define RECPIPE_TEST_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "stream/util.h"

static char folder[] = "/tmp/recpipe-unit.XXXXXX";

/* To be freed. */
static inline char *path_of(const char *name)
{
	return xasprintf("%s/%s", folder, name);
}

/* And the folders that its name has. */
static inline void write_file(const char *name, const void *bytes, size_t size)
{
	char *path = path_of(name);
	for (char *slash = path + sizeof folder; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		mkdir(path, 0777);
	}
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
	free(path);
}

static inline int folder_make(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : 1;
}

static inline int folder_remove(void **state)
{
	(void)state;
	char *command = xasprintf("rm -r %s", folder);
	int status = system(command);
	free(command);
	return status;
}

#ifdef GOLDEN
static inline int golden_unpack(void **state)
{
	if (folder_make(state))
		return 1;
	golden_open(GOLDEN);
	for (int i = 0; i < n_golden; i++)
		write_file(golden_members[i].name, golden_members[i].bytes, golden_members[i].size);
	return 0;
}

static inline int golden_remove(void **state)
{
	golden_close();
	return folder_remove(state);
}
#endif

#endif
