#include "model/tfidf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/pattern.h"
#include "data/unicode.h"
#include "data/utf8.h"
#include "nn/blas.h"
#include "nn/vec.h"

/* --- words --- */

#define ITEMS_AT_ONCE 256 /* cut into words by a thread at a time */

static void append_lower(struct buffer *words, const char *text, const char *end)
{
	while (text < end) {
		uint32_t lower[2];
		int n = unicode_lower(utf8_code_point(text), lower);
		for (int i = 0; i < n; i++)
			utf8_append(words, lower[i]);
		text += utf8_next(text, (size_t)(end - text));
	}
	buffer_append(words, "", 1);
}

/*
 * Words are runs of letters, marks and digits; those of `unspaced`
 * scripts, which have no blanks between words, are cut.
 */
struct cutter {
	struct pattern *words, *unspaced;
};

static struct cutter cutter_new(void)
{
	static const char scripts[] = "\\p{Han}\\p{Hiragana}\\p{Katakana}\\p{Thai}\\p{Lao}\\p{Khmer}\\p{Myanmar}";
	char *unspaced = xasprintf("[%s][%s\\p{M}]*", scripts, scripts);
	struct cutter cutter = {pattern_new("[\\p{L}\\p{M}\\p{N}]+", false, "words"),
		pattern_new(unspaced, false, "words without blanks")};
	free(unspaced);
	return cutter;
}

static void cutter_free(struct cutter *cutter)
{
	pattern_free(cutter->words);
	pattern_free(cutter->unspaced);
}

/* Appends every two neighbouring characters as a word, one that stands alone as itself; returns how many. */
static int64_t append_bigrams(struct buffer *words, const char *text, const char *end)
{
	int64_t count = 0;
	const char *second = text + utf8_next(text, (size_t)(end - text));
	do {
		const char *third = second < end ? second + utf8_next(second, (size_t)(end - second)) : end;
		append_lower(words, text, third);
		count++;
		text = second;
		second = third;
	} while (second < end);
	return count;
}

/* The characters of all unspaced scripts are of three bytes and more. */
static bool may_be_unspaced(const char *text, const char *end)
{
	while (text < end && (unsigned char)*text < 0xe0)
		text++;
	return text < end;
}

/* Appends a run of letters, marks and digits as a word, or what it is cut into; returns how many words. */
static int64_t append_run(const struct cutter *cutter, struct matcher *matcher, struct buffer *words, const char *text,
	size_t length)
{
	int64_t count = 0;
	size_t from = 0, start, end;
	while (may_be_unspaced(text + from, text + length) &&
		pattern_find(cutter->unspaced, matcher, text, length, from, &start, &end)) {
		if (start > from) {
			append_lower(words, text + from, text + start);
			count++;
		}
		count += append_bigrams(words, text + start, text + end);
		from = end;
	}
	if (from == length)
		return count;
	append_lower(words, text + from, text + length);
	return count + 1;
}

/* Appends the words of well-formed text, each with a NUL; returns how many. */
static int64_t cut_words(const struct cutter *cutter, struct matcher *matcher, const char *text, size_t length,
	struct buffer *words)
{
	int64_t count = 0;
	size_t start, end;
	for (size_t from = 0; pattern_find(cutter->words, matcher, text, length, from, &start, &end); from = end)
		count += append_run(cutter, matcher, words, text + start, end - start);
	return count;
}

static int by_id(const void *a, const void *b)
{
	int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;
	return (left > right) - (left < right);
}

/* A matrix that grows by rows. */
struct counts {
	struct strings vocabulary;
	struct buffer word, count, ids; /* int32_t, float, int32_t of one item */
};

/* Appends the item's row of counts; returns how many different words it has. */
static int64_t count_words(struct counts *counts, const char **words, int64_t n)
{
	counts->ids.size = 0;
	int32_t *ids = buffer_add(&counts->ids, (size_t)n * sizeof *ids);
	for (int64_t i = 0; i < n; i++) {
		size_t length = strlen(*words);
		ids[i] = (int32_t)strings_intern(&counts->vocabulary, *words, length);
		*words += length + 1;
	}
	if (n)
		qsort(ids, (size_t)n, sizeof *ids, by_id);
	int64_t different = 0;
	for (int64_t i = 0, same; i < n; i += same, different++) {
		for (same = 1; i + same < n && ids[i + same] == ids[i]; same++)
			;
		buffer_append(&counts->word, &ids[i], sizeof *ids);
		buffer_append(&counts->count, &(float){(float)same}, sizeof(float));
	}
	return different;
}

/* The words of an item's text, appended; returns how many. */
static int64_t cut_item(const struct cutter *cutter, struct matcher *matcher, const struct item_texts *texts,
	int64_t item, struct buffer *text, struct buffer *clean, struct buffer *words)
{
	text->size = 0;
	item_text(texts, item, text);
	const char *data = text->data;
	size_t length = text->size;
	utf8_clean(&data, &length, clean);
	return length ? cut_words(cutter, matcher, data, length, words) : 0;
}

bool tfidf_any_word(const struct item_texts *texts)
{
	struct cutter cutter = cutter_new();
	struct matcher *matcher = matcher_new();
	struct buffer text = {0}, clean = {0}, words = {0};
	bool any = false;
	for (int64_t item = 0; item < item_texts_count(texts) && !any; item++)
		any = cut_item(&cutter, matcher, texts, item, &text, &clean, &words);
	buffer_free(&text);
	buffer_free(&clean);
	buffer_free(&words);
	matcher_free(matcher);
	cutter_free(&cutter);
	return any;
}

/* Threads cut texts into words, each in turn counts them, so that words are numbered in the order of the items. */
static void count_all(const struct item_texts *texts, struct counts *counts, int64_t *indptr, int threads)
{
	int64_t items = item_texts_count(texts);
	struct cutter cutter = cutter_new();
#pragma omp parallel num_threads(threads)
	{
		struct matcher *matcher = matcher_new();
		struct buffer text = {0}, clean = {0}, words = {0};
		int64_t n_words[ITEMS_AT_ONCE];
#pragma omp for ordered schedule(dynamic)
		for (int64_t from = 0; from < items; from += ITEMS_AT_ONCE) {
			int64_t to = from + ITEMS_AT_ONCE < items ? from + ITEMS_AT_ONCE : items;
			words.size = 0;
			for (int64_t item = from; item < to; item++)
				n_words[item - from] = cut_item(&cutter, matcher, texts, item, &text, &clean, &words);
			const char *next = words.data;
#pragma omp ordered
			for (int64_t item = from; item < to; item++)
				indptr[item + 1] = indptr[item] + count_words(counts, &next, n_words[item - from]);
		}
		matcher_free(matcher);
		buffer_free(&text);
		buffer_free(&clean);
		buffer_free(&words);
	}
	cutter_free(&cutter);
}

/* --- weights --- */

static void weigh(struct tfidf *tfidf)
{
	double *idf = xcalloc((size_t)tfidf->words + 1, sizeof *idf);
	for (int64_t i = 0; i < tfidf->indptr[tfidf->items]; i++)
		idf[tfidf->word[i]]++;
	for (int64_t word = 0; word < tfidf->words; word++)
		idf[word] = 1 + log((1 + (double)tfidf->items) / (1 + idf[word]));
	for (int64_t item = 0; item < tfidf->items; item++) {
		int64_t first = tfidf->indptr[item], end = tfidf->indptr[item + 1];
		double squares = 0;
		for (int64_t i = first; i < end; i++) {
			double weight = (1 + log((double)tfidf->weight[i])) * idf[tfidf->word[i]];
			tfidf->weight[i] = (float)weight;
			squares += weight * weight;
		}
		for (int64_t i = first; i < end; i++)
			tfidf->weight[i] = (float)(tfidf->weight[i] / sqrt(squares));
	}
	free(idf);
}

struct tfidf tfidf_new(const struct item_texts *texts, int threads)
{
	struct counts counts = {.vocabulary = {.count = 0}};
	struct tfidf tfidf = {.items = item_texts_count(texts)};
	tfidf.indptr = xcalloc((size_t)tfidf.items + 1, sizeof *tfidf.indptr);
	count_all(texts, &counts, tfidf.indptr, threads);
	tfidf.vocabulary = counts.vocabulary;
	tfidf.words = counts.vocabulary.count;
	tfidf.word = (void *)counts.word.data;
	tfidf.weight = (void *)counts.count.data;
	buffer_free(&counts.ids);
	weigh(&tfidf);
	return tfidf;
}

struct sparse tfidf_matrix(const struct tfidf *tfidf)
{
	return (struct sparse){tfidf->items, tfidf->words, tfidf->indptr, tfidf->word, tfidf->weight};
}

int64_t tfidf_wordless(const struct tfidf *tfidf)
{
	int64_t count = 0;
	for (int64_t item = 0; item < tfidf->items; item++)
		count += tfidf->indptr[item] == tfidf->indptr[item + 1];
	return count;
}

void tfidf_free(struct tfidf *tfidf)
{
	free(tfidf->indptr);
	free(tfidf->word);
	free(tfidf->weight);
	strings_free(&tfidf->vocabulary);
	*tfidf = (struct tfidf){0};
}

/* --- truncated singular value decomposition --- */

#define ROWS_AT_ONCE 256 /* of a panel, through the cache */
#define PARTS 8          /* that a panel's products are summed up in */
#define MAX_ITERATIONS 20
#define ENOUGH 3e-4   /* relative growth of the captured squares that ends the iteration */
#define NOTHING 1e-12 /* of the largest squared singular value: what rounding leaves */

/* Columns of a subspace: rows x columns, `stride` floats from row to row. */
struct panel {
	int64_t rows, columns, stride;
	float *x;
};

static struct panel panel_new(int64_t rows, int64_t columns)
{
	return (struct panel){rows, columns, columns, xaligned((size_t)(rows * columns), sizeof(float))};
}

/* y = a x */
static void multiply(const struct sparse *a, const struct panel *x, struct panel *y, int threads)
{
	y->columns = x->columns;
#pragma omp parallel for schedule(dynamic, 64) num_threads(threads)
	for (int64_t row = 0; row < a->rows; row++) {
		float *sum = y->x + row * y->stride;
		memset(sum, 0, (size_t)y->columns * sizeof *sum);
		for (int64_t i = a->indptr[row]; i < a->indptr[row + 1]; i++)
			vec_axpy(a->value[i], x->x + a->column[i] * x->stride, sum, y->columns);
	}
}

/* A row's numbers depend on seed and row alone. */
static void randomise(struct panel *panel, uint64_t seed, int threads)
{
#pragma omp parallel for num_threads(threads)
	for (int64_t row = 0; row < panel->rows; row++) {
		struct rng rng;
		uint64_t key = fingerprint(FINGERPRINT_START, &seed, sizeof seed);
		rng_seed(&rng, fingerprint(key, &row, sizeof row));
		for (int64_t i = 0; i < panel->columns; i++)
			panel->x[row * panel->stride + i] = (float)rng_normal(&rng);
	}
}

/*
 * The eigenvalues of x^T x, the largest first, and its eigenvectors as rows of `vectors`. In double precision: with
 * squares of singular values in single precision, those a thousand times smaller than the first would be lost.
 */
static void decompose(const struct panel *panel, double *values, double *vectors, int threads)
{
	int64_t n = panel->columns, size = n * n;
	double *sums = xcalloc((size_t)(PARTS * size), sizeof *sums), *rising = xcalloc((size_t)n, sizeof *rising);
#pragma omp parallel for num_threads(threads)
	for (int64_t part = 0; part < PARTS; part++) {
		int64_t from = panel->rows * part / PARTS, to = panel->rows * (part + 1) / PARTS;
		gram(panel->x + from * panel->stride, to - from, n, panel->stride, sums + part * size);
	}
	for (int64_t part = 1; part < PARTS; part++)
		for (int64_t i = 0; i < size; i++)
			sums[i] += sums[part * size + i];
	symmetric_eigen(sums, n, rising);
	for (int64_t i = 0; i < n; i++) {
		values[i] = rising[n - 1 - i];
		memcpy(vectors + i * n, sums + (n - 1 - i) * n, (size_t)n * sizeof *vectors);
	}
	free(sums);
	free(rising);
}

/* x = x map^T, in place; map has `columns` rows, as long as x has columns now. */
static void rotate(struct panel *panel, const float *map, int64_t columns, int threads)
{
#pragma omp parallel num_threads(threads)
	{
		float *block = xaligned((size_t)(ROWS_AT_ONCE * columns), sizeof *block);
#pragma omp for
		for (int64_t from = 0; from < panel->rows; from += ROWS_AT_ONCE) {
			int64_t rows = panel->rows - from < ROWS_AT_ONCE ? panel->rows - from : ROWS_AT_ONCE;
			float *x = panel->x + from * panel->stride;
			blas_gemm(false, true, rows, columns, panel->columns, 1, x, panel->stride, map, panel->columns, 0, block,
				columns);
			for (int64_t row = 0; row < rows; row++)
				memcpy(x + row * panel->stride, block + row * columns, (size_t)columns * sizeof *x);
		}
		free(block);
	}
	panel->columns = columns;
}

/*
 * Replaces the columns of the panel by an orthonormal basis of what they span, its principal axes, the longest first;
 * fewer where columns are linear combinations of others. Returns their squared lengths, to be freed.
 */
static double *orthonormalise(struct panel *panel, int threads)
{
	int64_t n = panel->columns, rank = 0;
	double *squares = xcalloc((size_t)n + 1, sizeof *squares), *vectors = xcalloc((size_t)(n * n), sizeof *vectors);
	float *map = xcalloc((size_t)(n * n), sizeof *map);
	decompose(panel, squares, vectors, threads);
	while (rank < n && squares[rank] > NOTHING * squares[0])
		rank++;
	for (int64_t i = 0; i < rank; i++)
		for (int64_t j = 0; j < n; j++)
			map[i * n + j] = (float)(vectors[i * n + j] / sqrt(squares[i]));
	rotate(panel, map, rank, threads);
	free(vectors);
	free(map);
	return squares;
}

/* Sign is a matter of chance: the largest entry of each column becomes positive. */
static void choose_signs(struct projection *projection)
{
	int64_t width = projection->width;
	float *largest = xcalloc((size_t)width + 1, sizeof *largest);
	for (int64_t item = 0; item < projection->items; item++)
		for (int64_t i = 0; i < width; i++) {
			float value = projection->vectors[item * width + i];
			if (fabsf(value) > fabsf(largest[i]))
				largest[i] = value;
		}
	for (int64_t item = 0; item < projection->items; item++)
		for (int64_t i = 0; i < width; i++)
			if (largest[i] < 0)
				projection->vectors[item * width + i] *= -1;
	free(largest);
}

/* The vectors are u, each column as long as its singular value. */
static struct projection take_projection(const struct panel *u, const double *squares, int64_t width)
{
	width = width < u->columns ? width : u->columns;
	struct projection projection = {.items = u->rows, .width = width};
	projection.vectors = xreallocarray(NULL, (size_t)(u->rows * width) + 1, sizeof(float));
	projection.singular = xcalloc((size_t)width + 1, sizeof(double));
	for (int64_t i = 0; i < width; i++)
		projection.singular[i] = sqrt(squares[i]);
	for (int64_t item = 0; item < u->rows; item++)
		for (int64_t i = 0; i < width; i++)
			projection.vectors[item * width + i] = u->x[item * u->stride + i] * (float)projection.singular[i];
	choose_signs(&projection);
	return projection;
}

static double sum_of_squares(const struct sparse *a)
{
	double sum = 0;
	for (int64_t i = 0; i < a->indptr[a->rows]; i++)
		sum += (double)a->value[i] * a->value[i];
	return sum;
}

/* u is orthonormal, y was a a^T u: its singular values, of which these are the squares, tend to the squares of a's */
static double captured(const double *squares, int64_t columns, int64_t width)
{
	double sum = 0;
	for (int64_t i = 0; i < columns && i < width; i++)
		sum += sqrt(squares[i]);
	return sum;
}

struct projection tfidf_project(const struct tfidf *tfidf, int64_t width, uint64_t seed, int threads)
{
	const struct sparse a = tfidf_matrix(tfidf);
	struct sparse transposed = sparse_transpose(&a);
	int64_t most = a.rows < a.columns ? a.rows : a.columns, columns = width + width / 4 + 32;
	columns = columns < most ? columns : most;
	struct panel of_words = panel_new(a.columns, columns), of_items = panel_new(a.rows, columns);
	double before, now = 0, *squares;
	int iterations = 0;

	randomise(&of_words, seed, threads);
	do {
		multiply(&a, &of_words, &of_items, threads);
		squares = orthonormalise(&of_items, threads);
		multiply(&transposed, &of_items, &of_words, threads);
		before = now;
		now = captured(squares, of_items.columns, width);
		free(squares);
	} while (++iterations < MAX_ITERATIONS && (iterations < 3 || fabs(now - before) > ENOUGH * now));
	free(orthonormalise(&of_words, threads));
	free(orthonormalise(&of_words, threads)); /* the first one's rounding errors */
	multiply(&a, &of_words, &of_items, threads);
	squares = orthonormalise(&of_items, threads);

	struct projection projection = take_projection(&of_items, squares, width);
	double all = sum_of_squares(&a);
	for (int64_t i = 0; i < projection.width; i++)
		projection.share += squares[i] / all;
	projection.iterations = iterations;
	free(squares);
	free(of_words.x);
	free(of_items.x);
	sparse_free(&transposed);
	return projection;
}

void projection_free(struct projection *projection)
{
	free(projection->vectors);
	free(projection->singular);
	*projection = (struct projection){0};
}
