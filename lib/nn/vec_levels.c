#include "nn/vec.h"

#define DECLARE_BASE(name) __typeof__(*(name)) name##_base;
#define POINT_TO_BASE(name) __typeof__(name) name = name##_base;
VEC_FUNCTIONS(DECLARE_BASE)
VEC_FUNCTIONS(POINT_TO_BASE)

#ifdef __x86_64__

#define DECLARE(name) __typeof__(*(name)) name##_avx2, name##_avx512;
#define CHOOSE(name) name = level >= CPU_AVX512 ? name##_avx512 : level >= CPU_AVX2 ? name##_avx2 : name##_base;
VEC_FUNCTIONS(DECLARE)

void vec_use(enum cpu level)
{
	VEC_FUNCTIONS(CHOOSE)
}

#else

void vec_use(enum cpu level)
{
	(void)level;
}

#endif
