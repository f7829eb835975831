#include "rank/seen.h"

#include <stdlib.h>

static int compare_items(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return (x > y) - (x < y);
}

int64_t seen_tidy(int32_t *seen, int64_t n, int32_t target)
{
	int64_t kept = 0;
	if (n)
		qsort(seen, (size_t)n, sizeof *seen, compare_items);
	for (int64_t i = 0; i < n; i++)
		if (seen[i] != target && (!kept || seen[kept - 1] != seen[i]))
			seen[kept++] = seen[i];
	return kept;
}

bool seen_has(const int32_t *seen, int64_t n, int32_t item)
{
	int64_t low = 0, high = n;
	while (low < high) {
		int64_t middle = low + (high - low) / 2;
		if (seen[middle] < item)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && seen[low] == item;
}
