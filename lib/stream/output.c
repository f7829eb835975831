#include "stream/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream/descriptor.h"
#include "stream/ranks.h"
#include "stream/util.h"

#define MOST_LINKS 40
#define MOST_TRIES 1000

struct output {
	int fd;
	const char *name;    /* as the user gave it; NULL: stdout */
	char *path;          /* behind symbolic links; NULL: written in place (stdout, devices, pipes) */
	char *folder;        /* of path, with its slash; "" is the present one */
	char *temporary;     /* until it has its own name; NULL: it has none yet */
	bool replaces;       /* a file that is there */
	struct stat where;   /* the folder */
	struct output *next; /* of those that are open */
};

static struct output *all_open;

/* The path that symbolic links lead to, whether there is a file or not. */
static char *behind_links(const char *path)
{
	char target[PATH_MAX], *at = xstrdup(path);
	for (int links = 0; links < MOST_LINKS; links++) {
		ssize_t length = readlink(at, target, sizeof target - 1);
		if (length < 0 && (errno == EINVAL || errno == ENOENT)) /* no link, or nothing yet */
			return at;
		if (length < 0)
			die_errno("%s", path);
		target[length] = '\0';
		const char *slash = *target == '/' ? NULL : strrchr(at, '/');
		char *next = xasprintf("%.*s%s", slash ? (int)(slash - at) + 1 : 0, at, target);
		free(at);
		at = next;
	}
	errno = ELOOP;
	die_errno("%s", path);
}

/* --- names for the time being --- */

static char *nth_temporary(const struct output *output, int n)
{
	return xasprintf("%s.recpipe-%d-%d", output->folder, (int)getpid(), n);
}

/* Nobody else's file has this name; it is removed when the process dies. */
static void keep_temporary(struct output *output, char *temporary)
{
	output->temporary = temporary;
	unfinished_add(temporary);
}

static void open_temporary(struct output *output)
{
	for (int n = 0; n < MOST_TRIES; n++) {
		char *temporary = nth_temporary(output, n);
		output->fd = descriptor_open(temporary, O_WRONLY | O_CREAT | O_EXCL);
		if (output->fd >= 0) {
			keep_temporary(output, temporary);
			return;
		}
		free(temporary);
		if (errno != EEXIST)
			break;
	}
	die_errno("%s", output->name);
}

/* How the kernel lets a file that has no name be found. */
static char *link_of(int fd)
{
	return xasprintf("/proc/self/fd/%d", fd);
}

static bool can_be_named(int fd)
{
	struct stat status;
	char *link = link_of(fd);
	bool can = !lstat(link, &status);
	free(link);
	return can;
}

/*
 * The name a file passes through that takes another's place: one for each path, so that the next to be written there
 * does away with what a killed program left.
 */
static char *passing_name(const struct output *output)
{
	return xasprintf("%s.recpipe-%.200s", output->folder, output->path + strlen(output->folder));
}

static void forget_passing(const struct output *output)
{
	char *passing = passing_name(output);
	unlink(passing);
	free(passing);
}

/* Two that do this at once take each other's name: what is there in the end is whole, and one of theirs. */
static void take_place(struct output *output, const char *link)
{
	char *passing = passing_name(output);
	bool done = false;
	keep_temporary(output, passing);
	for (int n = 0; !done && n < MOST_TRIES; n++) {
		bool linked = !linkat(AT_FDCWD, link, AT_FDCWD, passing, AT_SYMLINK_FOLLOW);
		if (!linked && (errno != EEXIST || (unlink(passing) && errno != ENOENT)))
			break;
		done = linked && !rename(passing, output->path);
		if (linked && !done && errno != ENOENT)
			break;
	}
	if (!done)
		die_errno("%s", output->name);
}

/* Its own name for a file that had none, at once where that is free. */
static void give_name(struct output *output)
{
	char *link = link_of(output->fd);
	if (output->replaces || linkat(AT_FDCWD, link, AT_FDCWD, output->path, AT_SYMLINK_FOLLOW))
		take_place(output, link);
	free(link);
}

int output_nameless(const char *folder)
{
	return descriptor_open(*folder ? folder : ".", O_RDWR | O_TMPFILE);
}

/* --- opening --- */

static void keep_mode(struct output *output, mode_t mode)
{
	struct stat status;
	if (fstat(output->fd, &status) < 0 || ((status.st_mode ^ mode) & 0777 && fchmod(output->fd, mode & 0777) < 0))
		die_errno("%s: the mode of the file that is there", output->name);
}

/* The later of the two would replace the other. */
static void be_the_only_one(const struct output *output)
{
	const char *name = output->path + strlen(output->folder);
	for (const struct output *other = all_open; other; other = other->next)
		if (other->where.st_dev == output->where.st_dev && other->where.st_ino == output->where.st_ino &&
			!strcmp(other->path + strlen(other->folder), name))
			die("%s: two things are to be written there", output->name);
}

static void open_file(struct output *output)
{
	struct stat status;
	output->path = behind_links(output->name);
	const char *slash = strrchr(output->path, '/');
	output->folder = xstrndup(output->path, slash ? (size_t)(slash - output->path) + 1 : 0);
	output->fd = output_nameless(output->folder);
	if (output->fd >= 0 && !can_be_named(output->fd)) {
		close(output->fd);
		output->fd = -1;
	}
	if (output->fd < 0)
		open_temporary(output);
	output->replaces = !lstat(output->path, &status);
	if (!output->replaces && (errno != ENOENT || !output->path[strlen(output->folder)])) /* and not first at the end */
		die_errno("%s", output->name);
	if (output->replaces) {
		keep_mode(output, status.st_mode);
		forget_passing(output);
	}
	if (stat(*output->folder ? output->folder : ".", &output->where))
		die_errno("%s", output->name);
	be_the_only_one(output);
	output->next = all_open;
	all_open = output;
}

static void open_in_place(struct output *output, const char *path)
{
	output->fd = path ? descriptor_open(path, O_WRONLY) : STDOUT_FILENO;
	if (output->fd < 0)
		die_errno("%s", path);
}

struct output *output_open(const char *path)
{
	struct output *output = xcalloc(1, sizeof *output);
	struct stat status;
	output->name = path = ranks_index() ? "/dev/null" : path;
	if (path && (stat(path, &status) || S_ISREG(status.st_mode)))
		open_file(output);
	else
		open_in_place(output, path);
	descriptor_widen(output->fd);
	return output;
}

/* --- writing --- */

const char *output_name(const struct output *output)
{
	return output->name ? output->name : "stdout";
}

void output_write(struct output *output, const void *data, size_t size)
{
	if (!descriptor_write(output->fd, data, size))
		die_errno("%s", output_name(output));
}

static ssize_t write_file(void *output, const char *data, size_t size)
{
	output_write(output, data, size);
	return (ssize_t)size;
}

FILE *output_file(struct output *output)
{
	FILE *file = fopencookie(output, "w", (cookie_io_functions_t){.write = write_file});
	if (!file)
		die_errno("%s", output_name(output));
	return file;
}

void output_file_close(struct output *output, FILE *file)
{
	if (ferror(file) || fclose(file))
		die_errno("%s", output_name(output));
}

/* --- the end --- */

static void output_free(struct output *output)
{
	for (struct output **at = &all_open; *at; at = &(*at)->next)
		if (*at == output) {
			*at = output->next;
			break;
		}
	if (output->temporary)
		unfinished_done(output->temporary);
	free(output->temporary);
	free(output->path);
	free(output->folder);
	free(output);
}

void output_commit(struct output *output)
{
	if (output->path) {
		if (!descriptor_sync(output->fd))
			die_errno("%s", output->name);
		if (!output->temporary)
			give_name(output);
		else if (rename(output->temporary, output->path))
			die_errno("%s", output->name);
	}
	if (!descriptor_close(output->fd))
		die_errno("%s", output_name(output));
	output_free(output);
}

void output_abandon(struct output *output)
{
	close(output->fd);
	if (output->temporary)
		unlink(output->temporary);
	output_free(output);
}
