#include "rank/rank_codes.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "stream/util.h"

#define MAX_WIDTH 16384
#define TINY 1e-18f /* least scale: keeps bounds above what underflow could hide */
#define LEAST_SHARE 0x1p-10f
#define WIDE 32767         /* greatest number of 16 bits */
#define WIDE_NORM 46340.0f /* two such norms give a product of 31 bits at most (Cauchy-Schwarz) */
#define WIDE_LEFT 0.51     /* of such a number, that rounding loses at most: half of one, and what f32 rounds */

/* codes = round(vector / scale), within +-levels; returns scale. */
static float quantise(const float *vector, int64_t width, int levels, int8_t *codes)
{
	float largest = 0;
	for (int64_t i = 0; i < width; i++)
		largest = fabsf(vector[i]) > largest ? fabsf(vector[i]) : largest;
	const float limit = (float)levels, scale = largest / limit > TINY ? largest / limit : TINY, inverse = 1 / scale;
	for (int64_t i = 0; i < width; i++) {
		float code = vector[i] * inverse + 0x1.8p23f - 0x1.8p23f; /* to the nearest integer */
		codes[i] = (int8_t)(code > limit ? limit : code > -limit ? code : -limit);
	}
	return scale;
}

struct norms {
	double vector, code, error; /* |vector|, |code|, |vector / scale - code| */
};

static struct norms norms_of(const float *vector, float scale, const int8_t *codes, int64_t width)
{
	double vector_sum = 0, code_sum = 0, error_sum = 0, inverse = 1 / (double)scale;
	for (int64_t i = 0; i < width; i++) {
		double value = vector[i], code = codes[i], error = value * inverse - code;
		vector_sum += value * value;
		code_sum += code * code;
		error_sum += error * error;
	}
	return (struct norms){sqrt(vector_sum), sqrt(code_sum), sqrt(error_sum)};
}

static void encode_item(struct ranker *ranker, int64_t item, int8_t *codes, struct norms *norms)
{
	const float *vector = ranker->vectors + item * ranker->width;
	ranker->scale[item] = quantise(vector, ranker->width, 127, codes);
	*norms = norms_of(vector, ranker->scale[item], codes, ranker->width);
	uint8_t *block = ranker->codes + item / SCAN_LANES * SCAN_LANES * ranker->words * 4 + item % SCAN_LANES * 4;
	for (int64_t word = 0; word < ranker->words; word++)
		for (int i = 0; i < 4; i++)
			block[word * 4 * SCAN_LANES + i] = (uint8_t)(codes[4 * word + i] + 128);
}

/*
 * What rounding can change of an item's score is made of these two; so the share of the worst item's that they have is
 * enough. The least share keeps above what underflow could hide.
 */
struct loss {
	float error, code;
};

static void set_reach(struct ranker *ranker, const struct loss loss[])
{
	const float by_error = (float)(1 / fmax(ranker->max_error, 1e-9)), by_code = (float)(1 / fmax(ranker->max_code, 1));
#pragma omp parallel for
	for (int64_t item = 0; item < ranker->n_items; item++) {
		const float share = fmaxf(loss[item].error * by_error, loss[item].code * by_code) * (1 + 1e-6f);
		ranker->reach[item] = ranker->scale[item] * fmaxf(share, LEAST_SHARE);
	}
}

struct ranker *ranker_new(const float *vectors, int64_t n_items, int64_t width, const char *where)
{
	if (n_items < 1 || n_items > INT32_MAX - SCAN_TILE || width < 1 || width > MAX_WIDTH)
		die("%s: cannot rank %s of width %lld", where, counted(n_items, "items"), (long long)width);
	struct ranker *ranker = xcalloc(1, sizeof *ranker);
	*ranker = (struct ranker){.scan = scan_choose(),
		.vectors = vectors,
		.n_items = n_items,
		.width = width,
		.words = (width + 3) / 4,
		.stride = (width + SCAN_DEPTH - 1) / SCAN_DEPTH * SCAN_DEPTH,
		.n_tiles = (n_items + SCAN_TILE - 1) / SCAN_TILE};
	ranker->codes = xaligned((size_t)(ranker->n_tiles * tile_bytes(ranker) + SCAN_BEYOND), 1);
	ranker->scale = xaligned((size_t)(ranker->n_tiles * SCAN_TILE), sizeof *ranker->scale);
	ranker->reach = xaligned((size_t)(ranker->n_tiles * SCAN_TILE), sizeof *ranker->reach);
	struct loss *loss = xreallocarray(NULL, (size_t)n_items, sizeof *loss);
	double max_error = 0, max_code = 0, max_norm = 0;
	int64_t bad = n_items;
#pragma omp parallel reduction(max : max_error, max_code, max_norm) reduction(min : bad)
	{
		int8_t *codes = xcalloc((size_t)ranker->words, 4);
#pragma omp for
		for (int64_t item = 0; item < n_items; item++) {
			struct norms norms;
			encode_item(ranker, item, codes, &norms);
			loss[item] = (struct loss){(float)norms.error, (float)norms.code};
			if (!isfinite(norms.vector) && item < bad)
				bad = item;
			max_error = fmax(max_error, norms.error);
			max_code = fmax(max_code, norms.code);
			max_norm = fmax(max_norm, norms.vector);
		}
		free(codes);
	}
	if (bad < n_items)
		die("%s: the vector of item %lld is not finite", where, (long long)bad);
	for (int64_t item = n_items; item < ranker->n_tiles * SCAN_TILE; item++)
		ranker->scale[item] = NAN;
	ranker->max_error = max_error;
	ranker->max_code = max_code;
	ranker->max_norm = max_norm;
	ranker->finer = fminf(256, WIDE_NORM / (float)fmax(max_code + max_error, 1));
	set_reach(ranker, loss);
	free(loss);
	return ranker;
}

void ranker_free(struct ranker *ranker)
{
	if (!ranker)
		return;
	free(ranker->codes);
	free(ranker->scale);
	free(ranker->reach);
	free(ranker);
}

static int32_t sum_of(const int8_t *codes, int64_t width)
{
	int32_t sum = 0;
	for (int64_t i = 0; i < width; i++)
		sum += codes[i];
	return sum;
}

/*
 * What the codes lose of the query, and what is then lost still:
 * of products of residues with residues, and behind them.
 */
static double refine_probe(struct probe *probe, const struct ranker *ranker, const struct norms *norms)
{
	const float inverse = 1 / probe->factor;
	for (int64_t i = 0; i < ranker->width; i++) {
		float residue = rintf((probe->query[i] * inverse - (float)probe->codes[i]) * SCAN_FINER);
		probe->residues[i] = (int8_t)fmaxf(-127, fminf(127, residue));
	}
	probe->fine_offset = probe->offset - 128 * sum_of(probe->residues, ranker->width);
	const double left = SCAN_LEFT * sqrt((double)ranker->width), item = ranker->max_code + ranker->max_error;
	return norms->vector * left +
		probe->factor * (left * (item + left) + (norms->error + left) * (ranker->max_error + left));
}

/* The query in 16 bits; returns what these lose. */
static double widen_probe(struct probe *probe, const struct ranker *ranker, const struct norms *norms)
{
	const double rounded = WIDE_LEFT * sqrt((double)ranker->width), finer = ranker->finer;
	const double item = finer * (ranker->max_code + ranker->max_error),
				 largest = probe->factor * ranker->scan->query_levels;
	const double room = 0x1p31 / (item + rounded) * (1 - 1e-6) - rounded;
	const float factor = (float)fmax(fmax(norms->vector / room, largest / WIDE), 256 * TINY), inverse = 1 / factor;
	for (int64_t i = 0; i < ranker->width; i++)
		probe->wide[i] = (int16_t)rintf(probe->query[i] * inverse);
	probe->wide_factor = factor / ranker->finer;
	return probe->wide_factor * (norms->vector / factor * rounded + rounded * (item + rounded));
}

bool probe_ready(struct probe *probe, const struct ranker *ranker)
{
	probe->factor = quantise(probe->query, ranker->width, ranker->scan->query_levels, probe->codes);
	struct norms norms = norms_of(probe->query, probe->factor, probe->codes, ranker->width);
	if (!(norms.vector * ranker->max_norm < FLT_MAX / 4))
		return false;
	probe->offset = -128 * sum_of(probe->codes, ranker->width);
	/* What the 8 bits lose, and then what f32 arithmetic may: the score's own sum and the bound's evaluation. */
	double lost = norms.vector * ranker->max_error + norms.error * probe->factor * ranker->max_code;
	double rounding = 2 * (double)(ranker->width + 32) * FLT_EPSILON * norms.vector *
		(ranker->max_code + ranker->max_error);
	probe->slack = (float)((lost + rounding) * (1 + 1e-5)) + TINY;
	if (ranker->scan->residues) {
		lost = refine_probe(probe, ranker, &norms);
		probe->fine_slack = (float)((lost + rounding) * (1 + 1e-5)) + TINY;
	} else if (ranker->scan->widen)
		probe->fine_slack = (float)((widen_probe(probe, ranker, &norms) + rounding) * (1 + 1e-5)) + TINY;
	return true;
}
