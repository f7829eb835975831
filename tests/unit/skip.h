/* Skipped tests say why, in a line that tests/run prints beside their name. */
#ifndef RECPIPE_TEST_SKIP_H
#define RECPIPE_TEST_SKIP_H

#include <stdlib.h>
#include <unistd.h>

#include "stream/util.h"

static inline void skip_for_lack_of(const char *what)
{
	print_message("skipped: no %s\n", what);
	skip();
}

/* The path of a file of the data sets that are not shipped; yours to free. */
static inline char *shared_file(const char *name)
{
	const char *folder = getenv("RECPIPE_DATA");
	char *path = xasprintf("%s/%s", folder ? folder : "../shared/data", name);
	if (access(path, R_OK))
		skip_for_lack_of(path);
	return path;
}

#endif
