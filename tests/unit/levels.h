/*
 * The levels of nn/cpu.h that a test goes through: all that there are; and where the program has the model of the
 * instructions (tests/unit/modelled), those of which it models some.
 */
#ifndef RECPIPE_TEST_LEVELS_H
#define RECPIPE_TEST_LEVELS_H

#include "nn/cpu.h"
#include "skip.h"

extern const enum cpu first_modelled __attribute__((weak));

static inline enum cpu first_level(void)
{
	return &first_modelled ? first_modelled : CPU_NONE;
}

/* Where a program beside has the model. */
static inline void skip_for_lack_of_level(enum cpu level)
{
	print_message("skipped: no %s: the code runs by a model of the instructions alone\n", cpu_names[level]);
	skip();
}

#endif
