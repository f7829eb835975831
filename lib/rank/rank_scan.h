/*
 * The inner loops of rank.c, once for each kind of processor: products in 8 bits, and in more where that pays,
 * of a tile of the catalog with a few queries, and the f32 scores of items.
 */
#ifndef RECPIPE_RANK_SCAN_H
#define RECPIPE_RANK_SCAN_H

#include <stdint.h>

#include "nn/cpu.h"

#define SCAN_LANES 16                         /* items side by side: bytes [dimension / 4][lane][dimension % 4] */
#define SCAN_TILE 128                         /* items to a call */
#define SCAN_QUERIES 16                       /* queries to a call at most */
#define SCAN_DEPTH 64                         /* bytes of a query that may be read at a time */
#define SCAN_BEYOND (SCAN_DEPTH * SCAN_LANES) /* bytes that may be read behind the last items */

#define SCAN_FINER 254    /* residues to a code: what 8 bits lose of a number, in 8 bits more */
#define SCAN_LEFT 2.0e-3f /* of a code, that a residue loses at most: half of one, and what f32 rounds */

/*
 * A query made ready: an item's score lies within scale[item] * factor * (product + offset) +- reach[item] * slack,
 * and, with the finer product, within scale[item] * factor * (product + offset + (fine + fine_offset) / SCAN_FINER)
 * +- scale[item] * fine_slack; by numbers of 16 bits, within scale[item] * wide_factor * product +- scale[item] *
 * fine_slack. Scale and factor first: of a huge query the others would leave f32's range.
 */
struct probe {
	const float *query;
	int8_t *codes, *residues;
	int16_t *wide;
	int32_t offset, fine_offset;
	float factor, slack, wide_factor, fine_slack;
};

/* Of a query on a tile. Given are bar and target, found the hits, a bit each, and how many others are above. */
struct verdict {
	float bar, target;
	uint64_t hits[SCAN_TILE / 64];
	int32_t above;
};

struct scan {
	enum cpu level;   /* that it needs */
	int query_levels; /* 8-bit queries lie in [-query_levels, query_levels] */
	int queries;      /* to a call, or one; at most SCAN_QUERIES */
	int fine_rows;    /* queries from which on it pays that residues, or numbers of 16 bits, of a tile are made */
	/*
	 * products[q * SCAN_TILE + i] = sum of items[i] * queries[q] over `words` words of four dimensions; items unsigned,
	 * queries signed. Queries are `stride` bytes apart, a multiple of SCAN_DEPTH, with zeros behind their words; up to
	 * SCAN_BEYOND bytes behind the items are read. n_queries is 1 or `queries`.
	 */
	void (*products)(const uint8_t *items, int64_t words, const int8_t *queries, int64_t stride, int n_queries,
		int32_t *products);
	/*
	 * Where products are so fast that exact scores are rather avoided, else NULL: residues of the first n items of a
	 * tile, in the layout of their codes; and products of `queries` queries from probe on, together with the finer
	 * ones, items * the queries' residues + the items' residues * queries.
	 */
	void (*residues)(const float *vectors, int64_t width, const float *scale, int n, uint8_t *residues);
	void (*fine)(const uint8_t *items, const uint8_t *residues, int64_t words, const struct probe *probe,
		int64_t stride, int32_t *products, int32_t *fine);
	/*
	 * The items of a tile that may matter: that may reach `bar`, or of which it is not sure on which side of `target`
	 * they are. Writes their places to hits, ascending, and returns how many; adds to *greater the others above
	 * `target`. fine: NULL, or the finer products, and then reach is scale.
	 */
	int (*filter)(const struct probe *probe, float bar, float target, const int32_t *products, const int32_t *fine,
		const float *scale, const float *reach, uint8_t hits[SCAN_TILE], int32_t *greater);
	/*
	 * NULL, or in place of the four above both in one go, products and what they tell, which are never stored: of one
	 * query or `queries`, from probe on, whose codes are `stride` bytes apart.
	 */
	void (*judge)(const uint8_t *items, int64_t words, const struct probe *probe, int64_t stride, int n_queries,
		const float *scale, const float *reach, struct verdict *verdict);
	/*
	 * Beside judge(), where targets are counted and products of 16 bits take little longer than those of 8, else NULL:
	 * the first n items of a tile times finer / scale, rounded, as [dimension / 2][lane][dimension % 2]; and the same
	 * by them, of `queries` queries, whose numbers are `stride` apart. None of their sums leaves 32 bits.
	 */
	void (*widen)(const float *vectors, int64_t width, const float *scale, float finer, int n, int16_t *wide);
	void (*judge_wide)(const int16_t *items, int64_t words, const struct probe *probe, int64_t stride,
		const float *scale, struct verdict *verdict);
	/*
	 * scores[i] = query * item hits[i] of the tile. Sums in 16 lanes, lane by lane over the dimensions, then halves
	 * onto halves: the same bits from every processor.
	 */
	void (*scores)(const float *query, const float *items, int64_t width, const uint8_t hits[], int n, float *scores);
};

/* The places in a verdict's hits, ascending; returns how many. */
static inline int scan_places(const uint64_t of[SCAN_TILE / 64], uint8_t places[SCAN_TILE])
{
	int n = 0;
	for (int i = 0; i < SCAN_TILE / 64; i++)
		for (uint64_t hits = of[i]; hits; hits &= hits - 1)
			places[n++] = (uint8_t)(64 * i + __builtin_ctzll(hits));
	return n;
}

static inline float scan_score(const struct scan *scan, const float *query, const float *item, int64_t width)
{
	float score;
	scan->scores(query, item, width, (const uint8_t[]){0}, 1, &score);
	return score;
}

/* The best that cpu_level() has. */
const struct scan *scan_choose(void);

#endif
