/*
 * The catalog in 8 bits, and queries made ready to be compared with it: what rounding can change is in their bounds.
 */
#ifndef RECPIPE_RANK_CODES_H
#define RECPIPE_RANK_CODES_H

#include <stdbool.h>

#include "rank/rank.h"
#include "rank/rank_scan.h"

struct ranker {
	const struct scan *scan;
	const float *vectors;
	int64_t n_items, width, words; /* words: of four dimensions */
	int64_t stride;                /* bytes of a query in 8 bits */
	int64_t n_tiles;
	uint8_t *codes;             /* by tile, then as SCAN_LANES says; round(vector / scale) + 128 */
	float *scale;               /* by item; NaN behind the last: it compares as false, whatever is asked */
	float *reach;               /* by item: its scale, less than the worst item's by how much less it can be wrong */
	double max_error, max_code; /* over the items: |vector / scale - code| and |code| */
	double max_norm;
	float finer; /* numbers of 16 bits to a code: item and query have as many bits, and their products fit 32 */
};

static inline int64_t tile_bytes(const struct ranker *ranker)
{
	return SCAN_TILE * ranker->words * 4;
}

/* Fills in the rest of a probe, whose query and rooms for codes are there. False where scores would not be finite. */
bool probe_ready(struct probe *probe, const struct ranker *ranker);

#endif
