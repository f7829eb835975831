#include "nn/array.h"

#include <pthread.h>
#include <stdlib.h>

struct arena_old {
	struct arena_old *next;
	char *block;
};

void *arena_take(struct arena *arena, int64_t rows, int64_t columns, size_t size)
{
	size_t bytes;
	if (rows < 0 || columns < 0 || __builtin_mul_overflow((size_t)rows, (size_t)columns, &bytes) ||
		__builtin_mul_overflow(bytes, size, &bytes) || bytes > SIZE_MAX / 4)
		die("out of memory: an array of %lld x %lld was asked for", (long long)rows, (long long)columns);
	bytes = (bytes + 63) / 64 * 64;
	if (bytes > arena->size - arena->used) {
		if (arena->block) {
			struct arena_old *old = xmalloc(sizeof *old);
			*old = (struct arena_old){arena->old, arena->block};
			arena->old = old;
		}
		arena->size = bytes > (1u << 20) ? bytes : (1u << 20);
		arena->block = aligned_alloc(64, arena->size);
		if (!arena->block)
			die("out of memory: %zu bytes were asked for", arena->size);
		arena->used = 0;
	}
	void *memory = arena->block + arena->used;
	arena->used += bytes;
	arena->total += bytes;
	return memory;
}

static void free_old(struct arena *arena)
{
	while (arena->old) {
		struct arena_old *old = arena->old;
		arena->old = old->next;
		free(old->block);
		free(old);
	}
}

void arena_reset(struct arena *arena)
{
	/* outgrown: one block for all of it from now on */
	if (arena->old) {
		free_old(arena);
		free(arena->block);
		arena->size = arena->total + arena->total / 8 / 64 * 64;
		arena->block = aligned_alloc(64, arena->size);
		if (!arena->block)
			die("out of memory: %zu bytes were asked for", arena->size);
	}
	arena->used = arena->total = 0;
}

/* OpenMP ends threads of its own accord. */
static pthread_key_t at_thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_scratch(void *arenas)
{
	for (int use = 0; use < N_SCRATCH; use++)
		arena_free((struct arena *)arenas + use);
}

static void make_key(void)
{
	pthread_key_create(&at_thread_end, free_scratch);
}

float *thread_scratch(enum scratch_use use, int64_t floats)
{
	static _Thread_local struct arena scratch[N_SCRATCH];
	if (!scratch[use].block) {
		pthread_once(&once, make_key);
		pthread_setspecific(at_thread_end, scratch);
	}
	arena_reset(&scratch[use]);
	return arena_take(&scratch[use], floats, 1, sizeof(float));
}

void arena_free(struct arena *arena)
{
	free_old(arena);
	free(arena->block);
	*arena = (struct arena){0};
}
