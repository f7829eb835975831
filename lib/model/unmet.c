#include "model/unmet.h"

#include <math.h>
#include <stdlib.h>

#include "stream/util.h"

#define BEST 10

/* What is done to the scores of one history. */
struct step {
	float *scores;
	const float *texts;
	int64_t n_items;
	const float *share;
	double worth;
};

static double mean_of(const float *scores, int64_t n)
{
	double sum = 0;
	for (int64_t i = 0; i < n; i++)
		sum += (double)scores[i];
	return sum / (double)n;
}

/* h of scores whose mean is that; 0 where no item is left. seen: by item, those of the history. */
static double height(const float *scores, int64_t n_items, double mean, const bool seen[])
{
	float best[BEST]; /* falling */
	int n = 0;
	for (int64_t item = 0; item < n_items; item++) {
		if (seen[item] || (n == BEST && !(scores[item] > best[BEST - 1])))
			continue;
		int at = n < BEST ? n++ : BEST - 1;
		for (; at > 0 && best[at - 1] < scores[item]; at--)
			best[at] = best[at - 1];
		best[at] = scores[item];
	}
	return n ? fmax((double)best[n - 1] - mean, 0) : 0;
}

static void complete(const struct step *step, const bool seen[])
{
	const int64_t n = step->n_items;
	const double mean = mean_of(step->texts, n), of_texts = height(step->texts, n, mean, seen);
	const double of_scores = height(step->scores, n, mean_of(step->scores, n), seen);
	const double unit = of_texts > 0 ? step->worth * of_scores / of_texts : 0;
	for (int64_t item = 0; unit > 0 && item < n; item++)
		step->scores[item] += (float)(unit * (double)step->share[item] * ((double)step->texts[item] - mean));
}

static void add_texts(const struct step *step, const bool seen[])
{
	const double of_texts = height(step->texts, step->n_items, mean_of(step->texts, step->n_items), seen);
	for (int64_t item = 0; of_texts > 0 && item < step->n_items; item++)
		step->scores[item] += (float)((double)step->texts[item] / of_texts);
}

static void each_history(const struct step *all, const struct histories *histories,
	void (*one)(const struct step *step, const bool seen[]))
{
#pragma omp parallel if (histories->rows > 1)
	{
		bool *seen = xcalloc((size_t)all->n_items, sizeof *seen);
#pragma omp for schedule(dynamic, 4)
		for (int64_t row = 0; row < histories->rows; row++) {
			struct step step = *all;
			step.scores += row * all->n_items;
			step.texts += row * all->n_items;
			for (int64_t i = histories->indptr[row]; i < histories->indptr[row + 1]; i++)
				seen[histories->item[i]] = true;
			one(&step, seen);
			for (int64_t i = histories->indptr[row]; i < histories->indptr[row + 1]; i++)
				seen[histories->item[i]] = false;
		}
		free(seen);
	}
}

float *unmet_shares(const int32_t met[], int64_t n_items)
{
	float *share = xreallocarray(NULL, (size_t)n_items + 1, sizeof *share);
	double known = 0;
	for (int64_t item = 0; item < n_items; item++)
		known += 1 - 1 / (1 + 2 * (double)met[item]);
	known /= (double)n_items;
	for (int64_t item = 0; item < n_items; item++)
		share[item] = (float)(known * known / (1 + 2 * (double)met[item]));
	return share;
}

float *unmet_shares_of(const struct model *model, const int32_t *row, int64_t n_items)
{
	int32_t *met = model_met(model, row, n_items);
	float *share = met ? unmet_shares(met, n_items) : NULL;
	free(met);
	return share;
}

void unmet_complete(float *scores, const float *texts, int64_t n_items, const float share[], double worth,
	const struct histories *histories)
{
	each_history(&(struct step){scores, texts, n_items, share, worth}, histories, complete);
}

void unmet_add_texts(float *sum, const float *texts, int64_t n_items, const struct histories *histories)
{
	each_history(&(struct step){.scores = sum, .texts = texts, .n_items = n_items}, histories, add_texts);
}
