/* Golden files: archives of .npy and .json members that a script of tests/golden wrote. */
#ifndef RECPIPE_TEST_GOLDEN_H
#define RECPIPE_TEST_GOLDEN_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream/frame.h"
#include "stream/json.h"
#include "stream/npy.h"

static struct golden_member {
	char name[MEMBER_NAME_MAX + 1];
	char *bytes;
	size_t size;
	struct tensor tensor;
} golden_members[512];
static int n_golden;

static void golden_open(const char *path)
{
	char *paths[] = {(char *)(uintptr_t)path, NULL};
	struct frame_in *in = frame_open(paths);
	uint64_t size;
	for (const char *name; (name = frame_next(in, &size)); n_golden++) {
		struct golden_member *member = &golden_members[n_golden];
		assert_true(n_golden < (int)COUNT_OF(golden_members));
		snprintf(member->name, sizeof member->name, "%s", name);
		member->bytes = frame_read_all(in, 1 << 22, &member->size);
		if (strstr(name, ".npy"))
			npy_parse(member->bytes, member->size, &member->tensor, name);
	}
	frame_free(in);
}

static void golden_close(void)
{
	while (n_golden)
		free(golden_members[--n_golden].bytes);
}

/* For groups of tests, of those who define GOLDEN, the file. */
#ifdef GOLDEN
static inline int golden_load(void **state)
{
	(void)state;
	golden_open(GOLDEN);
	return 0;
}

static inline int golden_unload(void **state)
{
	(void)state;
	golden_close();
	return 0;
}
#endif

static const struct golden_member *golden_file(const char *name)
{
	for (int i = 0; i < n_golden; i++)
		if (!strcmp(golden_members[i].name, name))
			return &golden_members[i];
	fail_msg("no member %s", name);
	return NULL;
}

static inline const struct golden_member *golden_find(const char *group, const char *name)
{
	char full[MEMBER_NAME_MAX + 1];
	snprintf(full, sizeof full, "%s/%s", group, name);
	return golden_file(full);
}

/* Memory the caller frees. */
static inline void *golden_array(const char *group, const char *name, enum dtype dtype)
{
	return tensor_as(&golden_find(group, name)->tensor, dtype, name);
}

static inline double golden_number(const char *group, const char *name)
{
	return *(const double *)(const void *)golden_find(group, name)->tensor.data;
}

/* Largest difference relative to the largest value. */
static inline double relative_difference(const float *a, const float *b, int64_t n)
{
	double worst = 0, largest = 1e-30;
	for (int64_t i = 0; i < n; i++) {
		double one = fabs((double)a[i] - (double)b[i]);
		worst = one > worst || isnan(one) ? one : worst;
		largest = fabs((double)b[i]) > largest ? fabs((double)b[i]) : largest;
	}
	return worst / largest;
}

static inline void assert_near(const float *a, const float *b, int64_t n, double tolerance, const char *what)
{
	double is = relative_difference(a, b, n);
	if (!(is <= tolerance))
		fail_msg("%s: differs by %.2g of its largest value", what, is);
}

#endif
