/*
 * Weights of several scores that are added up, as they rank held-out targets best: NDCG@10, items of the history left
 * out. Of each history only the items among the best hundreds by some source are kept, and the target; others hardly
 * come among the first ten of any mixture.
 */
#ifndef RECPIPE_BLEND_H
#define RECPIPE_BLEND_H

#include "data/histories.h"

#define BLEND_SOURCES 16
/* Of more users, evenly chosen ones do. */
#define BLEND_USERS 20000

struct blend;
struct blend *blend_new(int sources);
void blend_free(struct blend *blend);
/*
 * Adds histories and their targets; scores[source]: rows x n_items. Scores are counted in units of a source's mean
 * deviation among the items, over all histories. False where one is not finite.
 */
bool blend_add(struct blend *blend, const float *const scores[], int64_t n_items, const struct histories *histories,
	const int32_t *target) MUST_USE;
/* Mean NDCG@10 of weights. */
double blend_measure(const struct blend *blend, const double weights[]);
/*
 * Weights, and their NDCG@10. The best are looked for, shares in hundredths of all, one source after another until none
 * gains, each then by the unit of its scores; the first source keeps at least a hundredth. What is best of few is
 * chance, so of those around them that are not worse by more than the standard error of the mean difference, and whose
 * NDCG@10 is `at_least` that, each share but the first becomes that of the largest NDCG@200, which more of the
 * histories tell something of. Less than at_least is returned where no shares reach it.
 */
double blend_fit(const struct blend *blend, double at_least, double weights[]);
/*
 * Of a source by itself, of which nothing need be added: its targets' NDCG@10, summed, among the items that it knows,
 * row[item] >= 0, or, row NULL, all. What it does not know it does not find.
 */
double blend_of_one(const struct blend *blend, const float *scores, int64_t n_items, const int32_t *row,
	const struct histories *histories, const int32_t *target);

/* For people: to so many digits. */
double blend_rounded(double weight, int digits);
/* How many histories were added. */
int64_t blend_count(const struct blend *blend);

/* Of so many users, every step-th is enough: no more than BLEND_USERS. */
int64_t blend_step(int64_t n_users);
/*
 * Validation items of those of every step-th user, the first of whom is user number `first` of the stream: rows of
 * `packed` have a target each. Both are the caller's to free. Returns the rows.
 */
int64_t blend_targets(const struct sequences *sequences, int64_t first, int64_t step, struct ragged *packed,
	int32_t **target);

#endif
