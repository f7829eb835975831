/*
 * The system calls on descriptors as everybody means them: what a signal interrupted goes on, and a pipe or socket
 * that others have set not to wait is waited for. All leave the reason in errno.
 */
#ifndef RECPIPE_DESCRIPTOR_H
#define RECPIPE_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "stream/util.h"

/* open(2), not inherited by other programs; -1: failed. A file that is made gets mode 0666 less the umask. */
int descriptor_open(const char *path, int flags) MUST_USE;
/* As many bytes as there are now, at most `size`; 0 at the end, -1: failed. */
ssize_t descriptor_read(int fd, void *data, size_t size) MUST_USE;
/* All bytes; false: failed. */
bool descriptor_write(int fd, const void *data, size_t size) MUST_USE;
/* A pipe holds more at a time, where that is allowed; anything else stays as it is. */
void descriptor_widen(int fd);
bool descriptor_sync(int fd) MUST_USE;
bool descriptor_close(int fd) MUST_USE;

#endif
