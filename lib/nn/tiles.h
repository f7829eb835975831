/*
 * Instructions in assembly. AMX's tiles, as all that use them do: eight of 16 rows of 64 bytes, only for where
 * cpu_level() has CPU_AMX: the compilers' own do not tell that they read and write memory. And VNNI's products: the
 * compiler would fetch a unit by an instruction of its own, and move its sums to and fro between registers.
 */
#ifndef RECPIPE_TILES_H
#define RECPIPE_TILES_H

#if defined(__x86_64__)

#include <stdbool.h>
#include <stdint.h>

#ifndef TILE_INSTRUCTION /* else a test has a model of all these */
#define TILE_INSTRUCTION(text) __asm__ volatile(text ::: "memory")
#define TILE_MOVE(text, memory, stride) __asm__ volatile(text ::"r"(memory), "r"((int64_t)(stride)) : "memory")
#define TILE_CONFIGURE(config) __asm__ volatile("ldtilecfg %0" ::"m"(config))
/* sum += products of right's numbers, of bytes without sign, and left's */
#define VNNI_PRODUCTS(name, sum, right, left) __asm__(name " %2, %1, %0" : "+v"(sum) : "v"(right), "v"(left))
/* The same of four bytes of memory, again and again. */
#define VNNI_PRODUCTS_OF_UNIT(name, sum, right, unit)                                                                  \
	__asm__(name " %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(right), "m"(*(const uint8_t(*)[4])(unit)))
#endif

#define TILE_LOAD(tile, from, stride) TILE_MOVE("tileloadd (%0,%1,1), %%tmm" #tile, from, stride)
/* The same, of what is read in order and seldom again: it leaves the first-level cache to the rest. */
#define TILE_STREAM(tile, from, stride) TILE_MOVE("tileloaddt1 (%0,%1,1), %%tmm" #tile, from, stride)
#define TILE_STORE(tile, to, stride) TILE_MOVE("tilestored %%tmm" #tile ", (%0,%1,1)", to, stride)
#define TILE_ZERO(tile) TILE_INSTRUCTION("tilezero %%tmm" #tile)
/* sum += left x right, of bfloat16; and of left's bytes with sign and right's without, in 32 bits */
#define TILE_PRODUCT(sum, left, right) TILE_INSTRUCTION("tdpbf16ps %%tmm" #right ", %%tmm" #left ", %%tmm" #sum)
#define TILE_BYTE_PRODUCT(sum, left, right) TILE_INSTRUCTION("tdpbsud %%tmm" #right ", %%tmm" #left ", %%tmm" #sum)

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
		TILE_CONFIGURE(config);
	done = true;
}

#endif

#endif
