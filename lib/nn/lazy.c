#include "nn/lazy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/vec.h"

/* Rows touched that are sorted, and updated, at a time: what that takes stays in the nearest caches. */
#define BUCKET 2048

/* Floats of a row that has pages of its own, more or less. */
#define WIDE 512

/* A term of the gradient, of the row that stands at `place` among those touched. */
struct weighted {
	const float *vector;
	float factor;
	int32_t place;
};

/* A thread's own. */
struct sorter {
	float *sum;                /* of a row's terms: columns */
	int32_t begin[BUCKET + 2]; /* of the bucket's rows: where their terms begin in `order` */
	int32_t *order;            /* the bucket's terms by row */
	int64_t capacity;
	double squares;
};

struct lazy {
	const struct param *param;
	struct adamw *adamw;
	int threads;
	int32_t *done; /* by row: how many of adamw's passed steps it has made */
	bool wide;
	/* of this step */
	int64_t words;
	uint64_t *touched; /* by slot, [words] each: a bit for each row; the first is all slots' after catching up */
	int32_t *before;   /* [words]: touched rows before those of a word */
	int32_t *row;      /* of those touched, in order */
	int64_t n_rows, row_capacity;
	int64_t n_buckets;
	int64_t *begin; /* [n_buckets + 1]: where a bucket's terms begin */
	struct weighted *term;
	int32_t *place; /* of the terms as they come */
	int64_t n_terms, term_capacity;
	struct sorter *sorters; /* a thread each */
};

/* A large page would be taken for all of its rows by the first that is met. */
static void moments_in_small_pages(const struct lazy *lazy)
{
	const struct adamw *adamw = lazy->adamw;
	const size_t bytes = (size_t)param_count(lazy->param) * sizeof(float);
	memory_in_small_pages(adamw->first + lazy->param->offset, bytes);
	memory_in_small_pages(adamw->second + lazy->param->offset, bytes);
}

struct lazy *lazy_new(struct adamw *adamw, const struct param *param, int threads)
{
	struct lazy *lazy = xcalloc(1, sizeof *lazy);
	*lazy = (struct lazy){.param = param, .adamw = adamw, .threads = threads, .words = (param->rows + 63) / 64};
	lazy->done = xcalloc((size_t)param->rows, sizeof *lazy->done);
	lazy->touched = xcalloc((size_t)(lazy->words * threads), sizeof *lazy->touched);
	lazy->before = xcalloc((size_t)lazy->words, sizeof *lazy->before);
	lazy->sorters = xcalloc((size_t)threads, sizeof *lazy->sorters);
	for (int thread = 0; thread < threads; thread++)
		lazy->sorters[thread].sum = xaligned((size_t)param->columns, sizeof(float));
	lazy->wide = param->columns >= WIDE;
	if (lazy->wide)
		moments_in_small_pages(lazy);
	return lazy;
}

void lazy_free(struct lazy *lazy)
{
	if (!lazy)
		return;
	free(lazy->done);
	free(lazy->touched);
	free(lazy->before);
	free(lazy->row);
	free(lazy->begin);
	free(lazy->term);
	free(lazy->place);
	for (int thread = 0; thread < lazy->threads; thread++) {
		free(lazy->sorters[thread].sum);
		free(lazy->sorters[thread].order);
	}
	free(lazy->sorters);
	free(lazy);
}

void lazy_begin(struct lazy *lazy)
{
	memset(lazy->touched, 0, (size_t)(lazy->words * lazy->threads) * sizeof *lazy->touched);
	lazy->n_rows = lazy->n_terms = 0;
}

void lazy_touch(struct lazy *lazy, int slot, const int32_t *row, int64_t n)
{
	uint64_t *touched = lazy->touched + slot * lazy->words;
	for (int64_t i = 0; i < n; i++)
		if (row[i] >= 0)
			touched[row[i] / 64] |= UINT64_C(1) << row[i] % 64;
}

/* --- catching up --- */

static void list_touched(struct lazy *lazy)
{
	int64_t n = 0;
	for (int64_t word = 0; word < lazy->words; word++) {
		for (int slot = 1; slot < lazy->threads; slot++)
			lazy->touched[word] |= lazy->touched[slot * lazy->words + word];
		lazy->before[word] = (int32_t)n;
		n += __builtin_popcountll(lazy->touched[word]);
	}
	lazy->n_rows = n;
	if (n > lazy->row_capacity) {
		lazy->row_capacity = n;
		lazy->row = xreallocarray(lazy->row, (size_t)n, sizeof *lazy->row);
		lazy->begin = xreallocarray(lazy->begin, (size_t)(n / BUCKET) + 2, sizeof *lazy->begin);
	}
	n = 0;
	for (int64_t word = 0; word < lazy->words; word++)
		for (uint64_t left = lazy->touched[word]; left; left &= left - 1)
			lazy->row[n++] = (int32_t)(word * 64 + __builtin_ctzll(left));
}

/* Asks for a row's values and moments. */
static void fetch(const struct lazy *lazy, int64_t row)
{
	enum { LINE = 64 / sizeof(float) };
	const int64_t columns = lazy->param->columns, at = row * columns, in_block = lazy->param->offset + at;
	for (int64_t i = 0; i < columns; i += LINE) {
		__builtin_prefetch(lazy->param->value + at + i, 1);
		__builtin_prefetch(lazy->adamw->first + in_block + i, 1);
		__builtin_prefetch(lazy->adamw->second + in_block + i, 1);
	}
}

static bool is_behind(const struct lazy *lazy, int64_t row)
{
	return lazy->done[row] < lazy->adamw->n_passed;
}

#define ROWS_AHEAD 12 /* what memory can have under way, and a little */

/* Whether a step without a gradient changes nothing of it, so that memory of its moments is not to be written to. */
static bool rests(const struct lazy *lazy, int64_t row)
{
	const struct adamw *adamw = lazy->adamw;
	const int64_t columns = lazy->param->columns, in_block = lazy->param->offset + row * columns;
	if (!lazy->wide || adamw->options.weight_decay > 0)
		return false;
	for (int64_t i = in_block; i < in_block + columns; i++)
		if (adamw->first[i] != 0 || adamw->second[i] != 0)
			return false;
	return true;
}

static void catch_up(struct lazy *lazy, int64_t row)
{
	const struct adamw *adamw = lazy->adamw;
	const int64_t columns = lazy->param->columns, at = row * columns, in_block = lazy->param->offset + at;
	const int32_t done = lazy->done[row];
	if (is_behind(lazy, row) && !rests(lazy, row))
		vec_adam_idle(adamw->passed + done, adamw->n_passed - done, adamw->first + in_block, adamw->second + in_block,
			lazy->param->value + at, columns);
	lazy->done[row] = (int32_t)adamw->n_passed;
}

int64_t lazy_catch_up_touched(struct lazy *lazy)
{
	list_touched(lazy);
	if (lazy->adamw->n_passed == INT32_MAX)
		die("%s: more than %d steps without a validation", lazy->param->name, INT32_MAX);
#pragma omp parallel for schedule(static) num_threads(lazy->threads)
	for (int64_t i = 0; i < lazy->n_rows; i++) {
		if (i + ROWS_AHEAD < lazy->n_rows && is_behind(lazy, lazy->row[i + ROWS_AHEAD]))
			fetch(lazy, lazy->row[i + ROWS_AHEAD]);
		catch_up(lazy, lazy->row[i]);
	}
	return lazy->n_rows;
}

void lazy_catch_up(struct lazy *lazy)
{
#pragma omp parallel for schedule(static) num_threads(lazy->threads)
	for (int64_t row = 0; row < lazy->param->rows; row++)
		catch_up(lazy, row);
	memset(lazy->done, 0, (size_t)lazy->param->rows * sizeof *lazy->done);
}

/* --- the gradient, in order --- */

/* Where the row stands among those touched, which it must be. */
static int32_t place_of(const struct lazy *lazy, int32_t row)
{
	const uint64_t word = lazy->touched[row / 64], bit = UINT64_C(1) << row % 64;
	if (!(word & bit))
		die("%s: row %d has a gradient and was not touched", lazy->param->name, row);
	return lazy->before[row / 64] + __builtin_popcountll(word & (bit - 1));
}

/* The places of all terms, and how many each bucket has, which becomes where its first one belongs. */
static void count_terms(struct lazy *lazy, const struct row_gradient *const gradients[], int workers)
{
	int64_t n = 0, total = 0;
	lazy->n_buckets = (lazy->n_rows + BUCKET - 1) / BUCKET;
	memset(lazy->begin, 0, (size_t)(lazy->n_buckets + 1) * sizeof *lazy->begin);
	for (int w = 0; w < workers; w++)
		for (int64_t i = 0; i < gradients[w]->n_terms; i++) {
			lazy->place[n] = place_of(lazy, gradients[w]->term[i].row);
			lazy->begin[lazy->place[n++] / BUCKET]++;
		}
	for (int64_t bucket = 0; bucket <= lazy->n_buckets; bucket++) {
		const int64_t count = lazy->begin[bucket];
		lazy->begin[bucket] = total;
		total += count;
	}
}

void lazy_gather(struct lazy *lazy, const struct row_gradient *const gradients[], int workers)
{
	int64_t n = 0;
	for (int w = 0; w < workers; w++)
		n += gradients[w]->n_terms;
	if (!lazy->n_rows)
		return;
	if (n > lazy->term_capacity) {
		lazy->term_capacity = n + n / 8;
		lazy->term = xreallocarray(lazy->term, (size_t)lazy->term_capacity, sizeof *lazy->term);
		lazy->place = xreallocarray(lazy->place, (size_t)lazy->term_capacity, sizeof *lazy->place);
	}
	count_terms(lazy, gradients, workers);
	lazy->n_terms = n;
	n = 0;
	for (int w = 0; w < workers; w++)
		for (int64_t i = 0; i < gradients[w]->n_terms; i++) {
			const struct row_term *from = &gradients[w]->term[i];
			const int32_t place = lazy->place[n++];
			lazy->term[lazy->begin[place / BUCKET]++] = (struct weighted){
				gradients[w]->vector + from->vector * gradients[w]->columns, from->factor, place};
		}
	/* every bucket now stands where the next one begins */
	memmove(lazy->begin + 1, lazy->begin, (size_t)lazy->n_buckets * sizeof *lazy->begin);
	lazy->begin[0] = 0;
}

static void sort_bucket(const struct lazy *lazy, int64_t bucket, struct sorter *sorter)
{
	const struct weighted *term = lazy->term + lazy->begin[bucket];
	const int64_t n = lazy->begin[bucket + 1] - lazy->begin[bucket];
	int32_t *next = sorter->begin + 1;
	if (n > sorter->capacity) {
		sorter->capacity = n;
		sorter->order = xreallocarray(sorter->order, (size_t)n, sizeof *sorter->order);
	}
	memset(sorter->begin, 0, sizeof sorter->begin);
	for (int64_t i = 0; i < n; i++)
		next[term[i].place % BUCKET + 1]++;
	for (int place = 0; place < BUCKET; place++)
		next[place + 1] += next[place];
	for (int64_t i = 0; i < n; i++)
		sorter->order[next[term[i].place % BUCKET]++] = (int32_t)i;
}

#define TERMS_AHEAD 12

/* The gradient of the row at that place of the bucket. */
static void sum_of_row(const struct lazy *lazy, int64_t place, const struct sorter *sorter, float *sum)
{
	const int64_t columns = lazy->param->columns, n = lazy->begin[place / BUCKET + 1] - lazy->begin[place / BUCKET];
	const struct weighted *term = lazy->term + lazy->begin[place / BUCKET];
	memset(sum, 0, (size_t)columns * sizeof *sum);
	for (int32_t i = sorter->begin[place % BUCKET]; i < sorter->begin[place % BUCKET + 1]; i++) {
		prefetch_floats(term[sorter->order[i + TERMS_AHEAD < n ? i + TERMS_AHEAD : i]].vector, columns);
		vec_axpy(term[sorter->order[i]].factor, term[sorter->order[i]].vector, sum, columns);
	}
}

/* The end of the places of a bucket. */
static int64_t end_of(const struct lazy *lazy, int64_t bucket)
{
	return (bucket + 1) * BUCKET < lazy->n_rows ? (bucket + 1) * BUCKET : lazy->n_rows;
}

static double sum_of_squares(const struct lazy *lazy)
{
	double sum = 0;
	for (int thread = 0; thread < lazy->threads; thread++)
		sum += lazy->sorters[thread].squares;
	return sum;
}

double lazy_squares(struct lazy *lazy)
{
#pragma omp parallel for schedule(static, 1) num_threads(lazy->threads)
	for (int thread = 0; thread < lazy->threads; thread++) {
		struct sorter *sorter = &lazy->sorters[thread];
		sorter->squares = 0;
		for (int64_t b = lazy->n_buckets * thread / lazy->threads; b < lazy->n_buckets * (thread + 1) / lazy->threads;
			 b++) {
			sort_bucket(lazy, b, sorter);
			for (int64_t place = b * BUCKET; place < end_of(lazy, b); place++) {
				sum_of_row(lazy, place, sorter, sorter->sum);
				sorter->squares += vec_sum_of_squares(sorter->sum, lazy->param->columns);
			}
		}
	}
	return sum_of_squares(lazy);
}

/* --- the update --- */

/* Returns the sum of the row's magnitudes. */
static double update_row(struct lazy *lazy, const struct adam_factors *factors, int64_t place, struct sorter *sorter)
{
	const struct adamw *adamw = lazy->adamw;
	const int64_t row = lazy->row[place], columns = lazy->param->columns, at = row * columns,
				  in_block = lazy->param->offset + at;
	sum_of_row(lazy, place, sorter, sorter->sum);
	sorter->squares += vec_sum_of_squares(sorter->sum, columns);
	lazy->done[row] = (int32_t)adamw->n_passed + 1;
	return (double)vec_adam(factors, sorter->sum, adamw->first + in_block, adamw->second + in_block,
		lazy->param->value + at, columns);
}

/* Rows [from, to), which are not touched, make the step as well. */
static void pass_rows(struct lazy *lazy, const struct adam_factors *factors, int64_t from, int64_t to)
{
	const struct adamw *adamw = lazy->adamw;
	const int64_t columns = lazy->param->columns, at = from * columns, in_block = lazy->param->offset + at;
	for (int64_t row = from; row < to; row++) {
		catch_up(lazy, row);
		lazy->done[row] = (int32_t)adamw->n_passed + 1;
	}
	vec_adam_idle(factors, 1, adamw->first + in_block, adamw->second + in_block, lazy->param->value + at,
		(to - from) * columns);
}

/*
 * Memory is read in order so much faster than here and there that where a quarter of the rows is touched, all are
 * better updated at once: then none has to be read again to catch up. Wide ones are in order themselves.
 */
static bool updates_all(const struct lazy *lazy)
{
	return !lazy->wide && lazy->n_rows >= lazy->param->rows / 4;
}

static double update_bucket(struct lazy *lazy, const struct adam_factors *factors, int64_t bucket,
	struct sorter *sorter)
{
	const int64_t from = bucket * BUCKET, to = end_of(lazy, bucket);
	const bool all = updates_all(lazy);
	int64_t passed = bucket ? lazy->row[from] : 0;
	double size = 0;
	sort_bucket(lazy, bucket, sorter);
	for (int64_t place = from; place < to; place++) {
		if (all && lazy->row[place] > passed)
			pass_rows(lazy, factors, passed, lazy->row[place]);
		if (!all && place + ROWS_AHEAD < to)
			fetch(lazy, lazy->row[place + ROWS_AHEAD]);
		size += update_row(lazy, factors, place, sorter);
		passed = lazy->row[place] + 1;
	}
	const int64_t end = to < lazy->n_rows ? lazy->row[to] : lazy->param->rows;
	if (all && end > passed)
		pass_rows(lazy, factors, passed, end);
	return size;
}

bool lazy_update(struct lazy *lazy, double rate, float gradient_scale, double *squares)
{
	const struct adam_factors factors = adamw_factors(lazy->adamw, rate, gradient_scale);
	double size = 0;
#pragma omp parallel for schedule(static, 1) num_threads(lazy->threads) reduction(+ : size)
	for (int thread = 0; thread < lazy->threads; thread++) {
		struct sorter *sorter = &lazy->sorters[thread];
		sorter->squares = 0;
		for (int64_t b = lazy->n_buckets * thread / lazy->threads; b < lazy->n_buckets * (thread + 1) / lazy->threads;
			 b++)
			size += update_bucket(lazy, &factors, b, sorter);
	}
	*squares += sum_of_squares(lazy);
	return isfinite(size);
}
