#include "nn/cpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nn/vec.h"
#include "stream/util.h"

#ifdef __x86_64__
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

const char *const cpu_names[] = {"none", "avx2", "avx512", "vnni", "bf16", "amx", NULL};

static enum cpu best, level;

#ifdef __x86_64__

#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

/* Tiles are so large that the kernel saves them for those alone who ask. */
static bool may_use_tiles(void)
{
	const unsigned bf16 = 1u << 22, tile = 1u << 24, int8 = 1u << 25;
	unsigned a, b, c, d;
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (bf16 | tile | int8)) != (bf16 | tile | int8))
		return false;
	return !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA);
}

static enum cpu of_processor(void)
{
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi") ||
		!__builtin_cpu_supports("bmi2"))
		return CPU_NONE;
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
		!__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
		!__builtin_cpu_supports("avx512vl"))
		return CPU_AVX2;
	if (!__builtin_cpu_supports("avx512vnni"))
		return CPU_AVX512;
	if (!__builtin_cpu_supports("avx512bf16"))
		return CPU_VNNI;
	return may_use_tiles() ? CPU_AMX : CPU_BF16;
}

#else

static enum cpu of_processor(void)
{
	return CPU_NONE;
}

#endif

static enum cpu of_environment(void)
{
	const char *name = getenv("RECPIPE_CPU");
	if (!name || !*name)
		return N_CPU - 1;
	for (int i = 0; i < N_CPU; i++)
		if (!strcmp(name, cpu_names[i]))
			return (enum cpu)i;
	program_name = program_invocation_short_name;
	die("RECPIPE_CPU is \"%.20s\": none, avx2, avx512, vnni, bf16 or amx was expected", name);
}

/* Before main(), as the functions of vec.h are called without asking. */
__attribute__((constructor)) static void begin(void)
{
	enum cpu most = of_environment();
	best = of_processor();
	best = best < most ? best : most;
	cpu_use(best);
}

enum cpu cpu_level(void)
{
	return level;
}

enum cpu cpu_best(void)
{
	return best;
}

bool cpu_use(enum cpu wanted)
{
	if (wanted > best)
		return false;
	level = wanted;
	vec_use(level);
	return true;
}
