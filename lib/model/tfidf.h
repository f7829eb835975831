/*
 * Items as vectors of the words of their texts: TF-IDF, and its truncated
 * singular value decomposition (latent semantic analysis).
 *
 * A word is a run of letters, marks and digits, lower-cased. Scripts without blanks between words (Chinese, Japanese,
 * Thai, Lao, Khmer, Burmese) are cut into bigrams instead, every two neighbouring characters (Manning & Schuetze 1999,
 * chapter 4; as good as dictionaries for retrieval: Nie et al. 2000). The weight of word w in item i is
 *     (1 + ln tf(i, w)) (1 + ln((1 + n) / (1 + df(w)))),
 * n items in all, df(w) of which have the word; each item's weights are then divided by their Euclidean norm. So does
 * scikit-learn's TfidfVectorizer with sublinear_tf=True and its defaults (smooth_idf=True, norm="l2").
 */
#ifndef RECPIPE_TFIDF_H
#define RECPIPE_TFIDF_H

#include "data/item_text.h"
#include "model/sparse.h"

/* Rows of weights, sparse: those of item i are at [indptr[i], indptr[i + 1]), by rising word; none without words. */
struct tfidf {
	int64_t items, words;
	int64_t *indptr; /* items + 1 */
	int32_t *word;
	float *weight;
	struct strings vocabulary;
};
struct tfidf tfidf_new(const struct item_texts *texts, int threads);
/* Whether any of the texts has a word; it looks no further than for the first. */
bool tfidf_any_word(const struct item_texts *texts);
/* The weights as a matrix of items by words; borrowed. */
struct sparse tfidf_matrix(const struct tfidf *tfidf);
/* How many items have no word: their vectors are zero. */
int64_t tfidf_wordless(const struct tfidf *tfidf);
void tfidf_free(struct tfidf *tfidf);

/*
 * The matrix as U S V^T, cut to its largest `width` singular values (fewer where its rank is less): an item's vector is
 * its row of U S. By randomised subspace iteration (Halko, Martinsson & Tropp 2011, algorithm 4.4) with a subspace
 * wider by a quarter and 32, until what the vectors hold of the matrix's sum of squares hardly grows. The largest entry
 * of each dimension is positive. Memory: 5 (items + words) width bytes besides. The same bits for any number of
 * threads.
 */
struct projection {
	int64_t items, width;
	float *vectors;   /* items x width */
	double *singular; /* width, falling */
	double share;     /* of the matrix's sum of squares that they hold */
	int iterations;
};
struct projection tfidf_project(const struct tfidf *tfidf, int64_t width, uint64_t seed, int threads);
void projection_free(struct projection *projection);

#endif
