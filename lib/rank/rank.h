/*
 * Exact ranking of a whole catalog: the k best items of each query, and how
 * many items score above, and the same as, a held-out target.
 *
 * The score of an item is the f32 dot product of query and item vector, summed
 * in one fixed order: it depends on the two vectors alone, not on the other
 * queries, the block, the number of threads or the processor.
 *
 * Most items are never multiplied in f32. An 8-bit copy of the catalog is
 * scanned first; with a bound on what rounding to 8 bits can change
 * (Cauchy-Schwarz: |q v - q'v'| <= |q| |v - v'| + |q - q'| |v'|) it tells items
 * that cannot matter from those that may, and only these get their f32 score. The
 * bounds are rigorous, so the result is that of scoring everything in f32. Where
 * items around a target are counted, they are told apart in 16 bits, a tile of the
 * catalog at a time, if the processor has tiles of bytes (8 bits, and in 8 more what
 * these lose) or AVX2 alone (numbers of 16): of a million items, a thousand are so near
 * instead of a hundred thousand.
 *
 * Order: higher score first, of equal scores the lower row of the catalog.
 */
#ifndef RECPIPE_RANK_H
#define RECPIPE_RANK_H

#include <stdint.h>

/* What is asked of a batch of queries, and the answers. All arrays are the caller's. */
struct ranks {
	int64_t rows;
	/* Items to leave out: seen_item[seen_indptr[r] .. seen_indptr[r + 1]), in any order, repeated or not; or NULL. */
	const int64_t *seen_indptr;
	const int32_t *seen_item;
	const int32_t *target; /* (rows), never left out; NULL: there are none */
	int32_t k;             /* 0: counts alone, the lists may be NULL */
	/* Of counts alone: where so many are above or more, any such number answers, and any of equal ones; 0: none */
	int32_t enough;

	int32_t *greater, *equal; /* (rows): other items that score above, and the same as, the target; NULL: not counted */
	int32_t *top_item;        /* (rows, k), best first; where fewer than k items are left, -1 ... */
	float *top_score;         /* ... with the score -FLT_MAX */
};

struct ranker;
/*
 * item vectors: n_items x width, borrowed until ranker_free(); width at most 16384. Dies with `where` on a vector
 * that is not finite. Takes about a quarter of the vectors' memory for the 8-bit copy.
 */
struct ranker *ranker_new(const float *vectors, int64_t n_items, int64_t width, const char *where);
/* Returns -1, or the first row whose query or scores are not finite; nothing is answered then. Rows x width queries. */
int64_t rank_queries(const struct ranker *ranker, const float *queries, const struct ranks *ranks);
void ranker_free(struct ranker *ranker);

/* The same from given scores, rows x n_items. */
int64_t rank_scores(const float *scores, int64_t n_items, const struct ranks *ranks);

#endif
