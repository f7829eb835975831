/*
 * AMX's tiles, as all that use them do: eight of 16 rows of 64 bytes. Only for where cpu_level() has CPU_AMX. In
 * assembly, as the compilers' own do not tell that they read and write memory.
 */
#ifndef RECPIPE_TILES_H
#define RECPIPE_TILES_H

#if defined(__x86_64__)

#include <stdbool.h>
#include <stdint.h>

#define TILE_LOAD(tile, from, stride)                                                                                  \
	__asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile ::"r"(from), "r"((int64_t)(stride)) : "memory")
/* The same, of what is read in order and seldom again: it leaves the first-level cache to the rest. */
#define TILE_STREAM(tile, from, stride)                                                                                \
	__asm__ volatile("tileloaddt1 (%0,%1,1), %%tmm" #tile ::"r"(from), "r"((int64_t)(stride)) : "memory")
#define TILE_STORE(tile, to, stride)                                                                                   \
	__asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" ::"r"(to), "r"((int64_t)(stride)) : "memory")
#define TILE_ZERO(tile) __asm__ volatile("tilezero %%tmm" #tile ::: "memory")
/* sum += left x right, of bfloat16; and of left's bytes with sign and right's without, in 32 bits */
#define TILE_PRODUCT(sum, left, right)                                                                                 \
	__asm__ volatile("tdpbf16ps %%tmm" #right ", %%tmm" #left ", %%tmm" #sum ::: "memory")
#define TILE_BYTE_PRODUCT(sum, left, right)                                                                            \
	__asm__ volatile("tdpbsud %%tmm" #right ", %%tmm" #left ", %%tmm" #sum ::: "memory")

/* Before a thread's first. */
static inline void tiles_configure(void)
{
	static _Thread_local bool done;
	static const struct {
		uint8_t palette, start, reserved[14];
		uint16_t row_bytes[16];
		uint8_t rows[16];
	} config = {.palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
	if (!done)
		__asm__ volatile("ldtilecfg %0" ::"m"(config));
	done = true;
}

#endif

#endif
