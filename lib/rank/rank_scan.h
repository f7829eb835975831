/*
 * The inner loops of rank.c, once for each kind of processor: 8-bit products
 * of a tile of the catalog with a few queries, and the f32 score of an item.
 */
#ifndef RECPIPE_RANK_SCAN_H
#define RECPIPE_RANK_SCAN_H

#include <stdint.h>

#include "nn/cpu.h"

#define SCAN_LANES 16  /* items side by side: bytes [dimension / 4][lane][dimension % 4] */
#define SCAN_TILE 128  /* items to a call */
#define SCAN_QUERIES 8 /* queries to a call, or one */

/* A query made ready: an item's score lies within scale[item] * (factor * (product + offset) +- slack). */
struct probe {
	const float *query;
	int8_t *codes;
	int32_t offset;
	float factor, slack;
};

struct scan {
	enum cpu level;   /* that it needs */
	int query_levels; /* 8-bit queries lie in [-query_levels, query_levels] */
	/*
	 * products[q * SCAN_TILE + i] = sum of items[i] * queries[q] over `words` words of four dimensions; items unsigned,
	 * queries signed. n_queries is 1 or SCAN_QUERIES.
	 */
	void (*products)(const uint8_t *items, int64_t words, const int8_t *const queries[], int n_queries,
		int32_t *products);
	/*
	 * The items of a tile that may matter: that may reach `bar`, or of which it is not sure on which side of `target` they
	 * are. Writes their places to hits, ascending, and returns how many; adds to *greater the others above `target`.
	 */
	int (*filter)(const struct probe *probe, float bar, float target, const int32_t *products, const float *scale,
		uint8_t hits[SCAN_TILE], int32_t *greater);
	/* Sums in 16 lanes, lane by lane over the dimensions, then halves onto halves: the same bits from every processor. */
	float (*score)(const float *query, const float *item, int64_t width);
};

/* The best that cpu_level() has. */
const struct scan *scan_choose(void);

#endif
