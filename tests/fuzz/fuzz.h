/*
 * What every libFuzzer target needs: input as a file, and die() as a normal way to end a run.
 *
 *     static void fuzz_one(const char *path, const uint8_t *data, size_t size) { ... }
 *     #include "fuzz.h"
 *
 * The linker wraps _exit() and write() (see `make fuzz`), so that die() comes back here by longjmp and its line is
 * swallowed. What the run had allocated by then is freed with the help of the sanitizer's hooks, what it had mapped is
 * unmapped, and its descriptors are closed: millions of runs fit one process.
 */
#ifndef RECPIPE_FUZZ_H
#define RECPIPE_FUZZ_H

#include <sanitizer/allocator_interface.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define FUZZ_LIVE (1u << 16)

static _Thread_local bool fuzz_running; /* libFuzzer has threads of its own, which allocate as well */
static jmp_buf fuzz_end;
static const volatile void *fuzz_live[FUZZ_LIVE];   /* open addressing */
static uintptr_t fuzz_used[FUZZ_LIVE], fuzz_n_used; /* its slots in use */
static struct {
	void *memory;
	size_t size;
} fuzz_mapped[16];

void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));
ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
void *__real_mmap(void *where, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *where, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *memory, size_t size);
int __wrap_munmap(void *memory, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void __wrap__exit(int status)
{
	if (fuzz_running)
		longjmp(fuzz_end, 1);
	__real__exit(status);
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	return fuzz_running && (fd == STDERR_FILENO || fd == STDOUT_FILENO) ? (ssize_t)size : __real_write(fd, data, size);
}

/* Only files are mapped in a run, few of them. */
void *__wrap_mmap(void *where, size_t size, int protection, int flags, int fd, off_t offset)
{
	void *memory = __real_mmap(where, size, protection, flags, fd, offset);
	if (!fuzz_running || fd < 0 || memory == MAP_FAILED)
		return memory;
	size_t i = 0;
	while (fuzz_mapped[i].memory)
		if (++i == sizeof fuzz_mapped / sizeof *fuzz_mapped)
			abort();
	fuzz_mapped[i].memory = memory;
	fuzz_mapped[i].size = size;
	return memory;
}

int __wrap_munmap(void *memory, size_t size)
{
	for (size_t i = 0; i < sizeof fuzz_mapped / sizeof *fuzz_mapped; i++)
		if (fuzz_mapped[i].memory == memory)
			fuzz_mapped[i].memory = NULL;
	return __real_munmap(memory, size);
}

static uintptr_t fuzz_slot(const volatile void *memory)
{
	return ((uintptr_t)memory >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 48;
}

static void fuzz_allocated(const volatile void *memory, size_t size)
{
	(void)size;
	for (unsigned i = 0; fuzz_running && i < 64; i++) {
		uintptr_t slot = (fuzz_slot(memory) + i) % FUZZ_LIVE;
		if (!fuzz_live[slot] && fuzz_n_used < FUZZ_LIVE)
			fuzz_used[fuzz_n_used++] = slot;
		else if (fuzz_live[slot] != memory)
			continue;
		fuzz_live[slot] = memory;
		return;
	}
}

/* A freed entry becomes a tombstone that equals no memory, so that those behind it are found. */
static void fuzz_freed(const volatile void *memory)
{
	static char tombstone;
	for (unsigned i = 0; fuzz_running && memory && i < 64; i++) {
		uintptr_t slot = (fuzz_slot(memory) + i) % FUZZ_LIVE;
		if (!fuzz_live[slot])
			return;
		if (fuzz_live[slot] == memory) {
			fuzz_live[slot] = &tombstone;
			return;
		}
	}
}

static void fuzz_clean(int first_fd, bool died)
{
	while (fuzz_n_used) {
		uintptr_t slot = fuzz_used[--fuzz_n_used];
		void *memory = (void *)(uintptr_t)fuzz_live[slot];
		fuzz_live[slot] = NULL;
		if (died && __sanitizer_get_ownership(memory))
			free(memory);
	}
	for (size_t i = 0; i < sizeof fuzz_mapped / sizeof *fuzz_mapped; i++)
		if (fuzz_mapped[i].memory)
			__wrap_munmap(fuzz_mapped[i].memory, fuzz_mapped[i].size);
	close_range((unsigned)first_fd, ~0u, 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return __sanitizer_install_malloc_and_free_hooks(fuzz_allocated, fuzz_freed) ? 0 : 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("input", 0);
	if (fd < 0 || __real_write(fd, data, size) != (ssize_t)size)
		abort();
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	bool died = setjmp(fuzz_end);
	fuzz_running = !died;
	if (!died)
		fuzz_one(path, data, size);
	fuzz_running = false;
	fuzz_clean(fd, died);
	return 0;
}

#endif
