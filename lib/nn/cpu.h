/*
 * Which of the processor's instructions are used: the one place that asks for them. What exists once for each level
 * stands in a list, the best first, of which the first is taken that needs no more than cpu_level(). The environment
 * variable RECPIPE_CPU, with a level's name, lowers it; results differ in their last bits between levels, and only
 * between levels.
 */
#ifndef RECPIPE_CPU_H
#define RECPIPE_CPU_H

#include <stdbool.h>

/* Each with those before it. */
enum cpu {
	CPU_NONE,   /* what every processor of the architecture has */
	CPU_AVX2,   /* x86-64-v3: AVX2 and FMA */
	CPU_AVX512, /* x86-64-v4: AVX-512 F, BW, CD, DQ, VL */
	CPU_VNNI,   /* AVX-512 VNNI: products of bytes */
	CPU_BF16,   /* AVX-512 BF16: products of bfloat16 */
	CPU_AMX,    /* tiles of bytes and of bfloat16 */
	N_CPU
};
extern const char *const cpu_names[]; /* "none", "avx2", "avx512", "vnni", "bf16", "amx", NULL */

enum cpu cpu_level(void);
/* For tests: that level from here on; false, and nothing is changed, where the processor or RECPIPE_CPU has less. */
bool cpu_use(enum cpu level);
/* And what there is at most. */
enum cpu cpu_best(void);

/* A body that functions for several levels share: each compiles it with its own instructions. */
#define INLINE static inline __attribute__((always_inline))

#endif
