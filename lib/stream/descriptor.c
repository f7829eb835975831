#include "stream/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

/* After a failed call: whether it is worth another, once the descriptor is ready for `events`. */
static bool again(int fd, short events)
{
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		return errno == EINTR;
	struct pollfd wait = {.fd = fd, .events = events};
	return poll(&wait, 1, -1) >= 0 || errno == EINTR;
}

int descriptor_open(const char *path, int flags)
{
	int fd;
	do
		fd = open(path, flags | O_CLOEXEC, 0666);
	while (fd < 0 && errno == EINTR);
	return fd;
}

ssize_t descriptor_read(int fd, void *data, size_t size)
{
	ssize_t got;
	do
		got = read(fd, data, size);
	while (got < 0 && again(fd, POLLIN));
	return got;
}

bool descriptor_write(int fd, const void *data, size_t size)
{
	const char *next = data;
	while (size) {
		ssize_t written = write(fd, next, size);
		if (written < 0 && again(fd, POLLOUT))
			continue;
		if (written < 0)
			return false;
		next += written;
		size -= (size_t)written;
	}
	return true;
}

void descriptor_widen(int fd)
{
	fcntl(fd, F_SETPIPE_SZ, 1 << 20);
}

bool descriptor_sync(int fd)
{
	int result;
	do
		result = fsync(fd);
	while (result && errno == EINTR);
	return !result;
}

/* Linux has given the number back even where it says that it was interrupted. */
bool descriptor_close(int fd)
{
	return !close(fd) || errno == EINTR;
}
