/*
 * To be preloaded into a tool: makes one call of the C library fail.
 *
 * FAULT         what fails: alloc, eio-read, enospc-write, short-read, short-write, eintr-read, eintr-write,
 *               eagain-read, eagain-write.
 *               alloc is malloc() and its like, and mmap(); writes to stderr are left alone
 * FAULT_AT      which one, from 1; 0: none, they are only counted
 * FAULT_STICKY  1: and all that follow
 * FAULT_MIN     only allocations of so many bytes and more
 * FAULT_COUNT   a file for the number of calls there were
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
	*__libc_memalign(size_t, size_t);

enum kind { NONE, ALLOC, READ, WRITE, SHORT_READ, SHORT_WRITE, EINTR_READ, EINTR_WRITE, EAGAIN_READ, EAGAIN_WRITE };
static const char *const names[] = {"none", "alloc", "eio-read", "enospc-write", "short-read", "short-write",
	"eintr-read", "eintr-write", "eagain-read", "eagain-write"};
static enum kind kind;
static long at, seen;
static size_t least;
static bool sticky;

static long number_of(const char *variable)
{
	const char *text = getenv(variable);
	return text ? atol(text) : 0;
}

__attribute__((constructor)) static void begin(void)
{
	const char *name = getenv("FAULT");
	at = number_of("FAULT_AT");
	least = (size_t)number_of("FAULT_MIN");
	sticky = number_of("FAULT_STICKY");
	for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i]))
			kind = (enum kind)i;
}

__attribute__((destructor)) static void end(void)
{
	const char *path = getenv("FAULT_COUNT");
	char text[32];
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
	if (fd >= 0 && syscall(SYS_write, fd, text, snprintf(text, sizeof text, "%ld\n", seen)) > 0)
		syscall(SYS_close, fd);
}

void _exit(int status)
{
	end();
	syscall(SYS_exit_group, status);
	__builtin_unreachable();
}

static bool fails(enum kind which)
{
	if (kind != which)
		return false;
	const long now = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
	return at && (sticky ? now >= at : now == at);
}

static bool no_memory(size_t size)
{
	if (size < least || !fails(ALLOC))
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return no_memory(size) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return no_memory(count * size) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return no_memory(size) ? NULL : __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, bytes);
}

void *memalign(size_t alignment, size_t size)
{
	return no_memory(size) ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
	*memory = memalign(alignment, size);
	return *memory ? 0 : ENOMEM;
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return no_memory(size) ? MAP_FAILED : (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

ssize_t read(int fd, void *data, size_t size)
{
	errno = fails(READ) ? EIO : fails(EINTR_READ) ? EINTR : fails(EAGAIN_READ) ? EAGAIN : 0;
	if (errno)
		return -1;
	if (size > 1 && fails(SHORT_READ))
		size = size > 7 ? 7 : 1;
	return syscall(SYS_read, fd, data, size);
}

ssize_t write(int fd, const void *data, size_t size)
{
	if (fd != STDERR_FILENO) {
		errno = fails(WRITE) ? ENOSPC : fails(EINTR_WRITE) ? EINTR : fails(EAGAIN_WRITE) ? EAGAIN : 0;
		if (errno)
			return -1;
		if (size > 1 && fails(SHORT_WRITE))
			size = size > 7 ? 7 : 1;
	}
	return syscall(SYS_write, fd, data, size);
}
