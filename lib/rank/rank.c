#include "rank/rank.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "rank/rank_scan.h"
#include "rank/seen.h"
#include "stream/util.h"

#define MAX_WIDTH 16384
#define ALONE_BYTES (16 << 20) /* of products one thread makes sooner than others could be woken */
#define SLICE_ROWS 1024        /* queries that pass over the catalog together */
#define FINE_ROWS 64           /* from so many on, residues of the items pay that they are made */
#define TINY 1e-18f            /* least scale: keeps bounds above what underflow could hide */

/* --- the best k so far, and the counts, of one query over a part of the catalog --- */

struct best {
	float score;
	int32_t item;
};

struct selection {
	struct best *heap; /* the worst of the best on top */
	int32_t n, k;
	/* a score below it changes nothing: -inf until there are k, +inf where k is 0 */
	float bar;
	const int32_t *seen; /* sorted, without repetitions and the target */
	int64_t n_seen;
	int32_t target; /* -1: none */
	bool counts;
	float target_score; /* +inf where nothing is counted */
	int32_t greater, equal;
};

static bool is_better(struct best a, struct best b)
{
	return a.score > b.score || (a.score == b.score && a.item < b.item);
}

/* Puts entry at the heap's hole and moves it down to its place. */
static void sift_down(struct best *heap, int32_t n, int32_t hole, struct best entry)
{
	for (;;) {
		int32_t child = 2 * hole + 1;
		if (child >= n)
			break;
		if (child + 1 < n && is_better(heap[child], heap[child + 1]))
			child++;
		if (!is_better(entry, heap[child]))
			break;
		heap[hole] = heap[child];
		hole = child;
	}
	heap[hole] = entry;
}

static void offer(struct selection *selection, struct best entry)
{
	if (entry.score < selection->bar || seen_has(selection->seen, selection->n_seen, entry.item))
		return;
	struct best *heap = selection->heap;
	if (selection->n < selection->k) {
		heap[selection->n++] = entry;
		if (selection->n == selection->k)
			for (int32_t i = selection->k / 2; i-- > 0;)
				sift_down(heap, selection->k, i, heap[i]);
	} else if (is_better(entry, heap[0]))
		sift_down(heap, selection->k, 0, entry);
	if (selection->n == selection->k)
		selection->bar = heap[0].score;
}

/* The target is among them: answer() takes it away. */
static void count(struct selection *selection, const float *scores, int n)
{
	const float target = selection->target_score;
	int32_t greater = 0, equal = 0;
	for (int i = 0; i < n; i++) {
		greater += scores[i] > target;
		equal += scores[i] == target;
	}
	selection->greater += greater;
	selection->equal += equal;
}

static int compare_best(const void *a, const void *b)
{
	return is_better(*(const struct best *)b, *(const struct best *)a) ? 1 : -1;
}

/* The selections of all rows, `parts` of them for a row, and what they stand on. */
struct selections {
	struct selection *selection; /* row * parts + part */
	struct best *heap;
	int32_t *seen;
};

static struct selections selections_new(const struct ranks *ranks, int parts)
{
	struct selections all;
	int64_t n = ranks->rows * parts, base = ranks->seen_indptr ? ranks->seen_indptr[0] : 0;
	int64_t n_seen = ranks->seen_indptr ? ranks->seen_indptr[ranks->rows] - base : 0;
	all.selection = xcalloc((size_t)n, sizeof *all.selection);
	all.heap = xreallocarray(NULL, (size_t)n, ((size_t)ranks->k + 1) * sizeof *all.heap);
	all.seen = xreallocarray(NULL, (size_t)n_seen + 1, sizeof *all.seen);
	if (n_seen)
		memcpy(all.seen, ranks->seen_item + base, (size_t)n_seen * sizeof *all.seen);
	for (int64_t i = 0; i < n; i++) {
		struct selection *selection = &all.selection[i];
		int64_t row = i / parts;
		*selection = (struct selection){.heap = all.heap + i * ranks->k,
			.k = ranks->k,
			.bar = ranks->k ? -INFINITY : INFINITY,
			.target = ranks->target ? ranks->target[row] : -1,
			.counts = ranks->target && ranks->greater,
			.target_score = INFINITY};
		if (n_seen) {
			selection->seen = all.seen + ranks->seen_indptr[row] - base;
			selection->n_seen = ranks->seen_indptr[row + 1] - ranks->seen_indptr[row];
		}
	}
	return all;
}

static void selections_free(struct selections *all)
{
	free(all->selection);
	free(all->heap);
	free(all->seen);
}

/* Joins the parts of a row and writes its answer. */
static void answer(const struct ranks *ranks, int64_t row, struct selection *parts, int n_parts)
{
	struct selection *whole = &parts[0];
	for (int part = 1; part < n_parts; part++) {
		for (int32_t i = 0; i < parts[part].n; i++)
			offer(whole, parts[part].heap[i]);
		whole->greater += parts[part].greater;
		whole->equal += parts[part].equal;
	}
	if (whole->n)
		qsort(whole->heap, (size_t)whole->n, sizeof *whole->heap, compare_best);
	for (int32_t i = 0; i < ranks->k; i++) {
		bool there = i < whole->n;
		ranks->top_item[row * ranks->k + i] = there ? whole->heap[i].item : -1;
		ranks->top_score[row * ranks->k + i] = there ? whole->heap[i].score : -FLT_MAX;
	}
	if (whole->counts) {
		ranks->greater[row] = whole->greater;
		ranks->equal[row] = whole->equal - 1;
	}
}

/* --- the catalog in 8 bits --- */

struct ranker {
	const struct scan *scan;
	const float *vectors;
	int64_t n_items, width, words; /* words: of four dimensions */
	int64_t stride;                /* bytes of a query in 8 bits */
	int64_t n_tiles;
	uint8_t *codes;             /* by tile, then as SCAN_LANES says; round(vector / scale) + 128 */
	float *scale;               /* by item; NaN behind the last: it compares as false, whatever is asked */
	double max_error, max_code; /* over the items: |vector / scale - code| and |code| */
	double max_norm;
};

static int64_t tile_bytes(const struct ranker *ranker)
{
	return SCAN_TILE * ranker->words * 4;
}

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

struct ranker *ranker_new(const float *vectors, int64_t n_items, int64_t width, const char *where)
{
	if (n_items < 1 || n_items > INT32_MAX - SCAN_TILE || width < 1 || width > MAX_WIDTH)
		die("%s: cannot rank %lld items of width %lld", where, (long long)n_items, (long long)width);
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
	double max_error = 0, max_code = 0, max_norm = 0;
	int64_t bad = n_items;
#pragma omp parallel reduction(max : max_error, max_code, max_norm) reduction(min : bad)
	{
		int8_t *codes = xcalloc((size_t)ranker->words, 4);
#pragma omp for
		for (int64_t item = 0; item < n_items; item++) {
			struct norms norms;
			encode_item(ranker, item, codes, &norms);
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
	return ranker;
}

void ranker_free(struct ranker *ranker)
{
	if (!ranker)
		return;
	free(ranker->codes);
	free(ranker->scale);
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

/* False where scores would not be finite. */
static bool probe_ready(struct probe *probe, const struct ranker *ranker)
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
	}
	return true;
}

/* A tile of the catalog. */
struct tile {
	int64_t first, items;            /* of the catalog */
	const uint8_t *codes, *residues; /* NULL: no residues were made */
	const float *scale;
};

/* The exact scores of those items of a tile that may matter. */
static void visit_hits(const struct ranker *ranker, const struct probe *probe, struct selection *selection,
	const struct tile *tile, const uint8_t hits[], int n)
{
	float scores[SCAN_TILE];
	ranker->scan->scores(probe->query, ranker->vectors + tile->first * ranker->width, ranker->width, hits, n, scores);
	count(selection, scores, n);
	for (int i = 0; i < n; i++)
		if (scores[i] >= selection->bar)
			offer(selection, (struct best){scores[i], (int32_t)(tile->first + hits[i])});
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* A share of what the next tile reads: it is there before it is needed. */
static void prefetch(const struct ranker *ranker, int64_t tile, int64_t part, int64_t parts, bool vectors)
{
	const int64_t line = 64, codes = tile_bytes(ranker), items = least(SCAN_TILE, ranker->n_items - tile * SCAN_TILE);
	const char *from = (const char *)ranker->codes + tile * codes;
	for (int64_t at = codes * part / parts; at < codes * (part + 1) / parts; at += line)
		__builtin_prefetch(from + at, 0, 2);
	const int64_t bytes = vectors ? items * ranker->width * (int64_t)sizeof *ranker->vectors : 0;
	from = (const char *)(ranker->vectors + tile * SCAN_TILE * ranker->width);
	for (int64_t at = bytes * part / parts; at < bytes * (part + 1) / parts; at += line)
		__builtin_prefetch(from + at, 0, 2);
}

/* Rows of a batch, [0, rows), and tiles of the catalog, [tile, end). */
struct task {
	const struct probe *probes;
	struct selection *selections;
	int parts; /* selections to a row */
	int64_t rows, tile, end;
};

/* n queries of a group and their selections, `step` apart. */
static void judge_group(const struct ranker *ranker, const struct probe *probe, struct selection *selection, int step,
	int n, const struct tile *tile)
{
	const struct scan *scan = ranker->scan;
	struct verdict verdict[SCAN_QUERIES];
	for (int q = 0; q < scan->queries; q++) {
		verdict[q].bar = q < n ? selection[q * step].bar : INFINITY;
		verdict[q].target = q < n ? selection[q * step].target_score : INFINITY;
	}
	scan->judge(tile->codes, ranker->words, probe, ranker->stride, n == 1 ? 1 : scan->queries, tile->scale, verdict);
	for (int q = 0; q < n; q++) {
		uint8_t hits[SCAN_TILE];
		const int found = scan_places(verdict[q].hits, hits);
		selection[q * step].greater += verdict[q].above;
		if (found)
			visit_hits(ranker, &probe[q], &selection[q * step], tile, hits, found);
	}
}

static void filter_group(const struct ranker *ranker, const struct probe *probe, struct selection *selection, int step,
	int n, const struct tile *tile)
{
	const struct scan *scan = ranker->scan;
	int32_t products[SCAN_QUERIES * SCAN_TILE], fine[SCAN_QUERIES * SCAN_TILE];
	if (tile->residues)
		scan->fine(tile->codes, tile->residues, ranker->words, probe, ranker->stride, products, fine);
	else
		scan->products(tile->codes, ranker->words, probe->codes, ranker->stride, n == 1 ? 1 : scan->queries, products);
	for (int q = 0; q < n; q++) {
		struct selection *one = &selection[q * step];
		uint8_t hits[SCAN_TILE];
		const int found = scan->filter(&probe[q], one->bar, one->target_score, products + q * SCAN_TILE,
			tile->residues ? fine + q * SCAN_TILE : NULL, tile->scale, hits, &one->greater);
		if (found)
			visit_hits(ranker, &probe[q], one, tile, hits, found);
	}
}

/* One tile, all queries, in groups: it stays in the nearest cache while they pass over it. residues: NULL: none. */
static void scan_tile(const struct ranker *ranker, const struct task *task, int64_t number, uint8_t *residues)
{
	const struct scan *scan = ranker->scan;
	const int64_t first = number * SCAN_TILE, groups = (task->rows + scan->queries - 1) / scan->queries;
	const struct tile tile = {.first = first,
		.items = least(SCAN_TILE, ranker->n_items - first),
		.codes = ranker->codes + number * tile_bytes(ranker),
		.residues = residues,
		.scale = ranker->scale + first};
	if (residues)
		scan->residues(ranker->vectors + first * ranker->width, ranker->width, tile.scale, (int)tile.items, residues);
	for (int64_t group = 0; group < groups; group++) {
		const int64_t row = group * scan->queries;
		if (groups > 1 && number + 1 < task->end) /* one is in the order of memory */
			prefetch(ranker, number + 1, group, groups, residues);
		(scan->judge ? judge_group : filter_group)(ranker, task->probes + row, task->selections + row * task->parts,
			task->parts, (int)least(task->rows - row, scan->queries), &tile);
	}
}

static void scan_tiles(const struct ranker *ranker, const struct task *task)
{
	uint8_t *residues = NULL;
	if (ranker->scan->residues && task->selections[0].counts && task->rows >= FINE_ROWS)
		residues = xcalloc((size_t)(tile_bytes(ranker) + SCAN_BEYOND), 1);
	for (int64_t tile = task->tile; tile < task->end; tile++)
		scan_tile(ranker, task, tile, residues);
	free(residues);
}

/* The target's score, and the seen items' share of the counts taken away beforehand. */
static void prepare_selection(const struct ranker *ranker, const float *query, struct selection *parts, int n_parts)
{
	const struct scan *scan = ranker->scan;
	struct selection *first = &parts[0];
	first->n_seen = seen_tidy((int32_t *)(uintptr_t)first->seen, first->n_seen, first->target);
	if (first->counts) {
		first->target_score = scan_score(scan, query, ranker->vectors + first->target * ranker->width, ranker->width);
		for (int64_t i = 0; i < first->n_seen; i++) {
			int32_t item = first->seen[i];
			float score = scan_score(scan, query, ranker->vectors + item * ranker->width, ranker->width);
			first->greater -= score > first->target_score;
			first->equal -= score == first->target_score;
		}
	}
	for (int part = 1; part < n_parts; part++) {
		parts[part].n_seen = first->n_seen;
		parts[part].target_score = first->target_score;
	}
}

/* How the work is cut: pieces of the catalog x slices of the rows. Threads take them as they come. */
struct cut {
	int64_t tiles, n_pieces; /* of the catalog */
	int64_t rows, n_slices;
	int parts; /* selections to a row: one for each thread where the catalog is in pieces */
};

static struct cut cut_work(const struct ranker *ranker, int64_t rows)
{
	const bool is_small = rows * ranker->n_tiles * tile_bytes(ranker) < ALONE_BYTES;
	const int threads = is_small ? 1 : omp_get_max_threads();
	struct cut cut = {.tiles = ranker->n_tiles, .n_pieces = 1, .rows = SLICE_ROWS, .parts = 1};
	if (rows < SLICE_ROWS * threads && threads > 1) {
		cut.tiles = ranker->n_tiles / (8 * threads) + 1;
		cut.n_pieces = (ranker->n_tiles + cut.tiles - 1) / cut.tiles;
		cut.rows = rows;
		cut.parts = threads;
	}
	cut.n_slices = (rows + cut.rows - 1) / cut.rows;
	return cut;
}

int64_t rank_queries(const struct ranker *ranker, const float *queries, const struct ranks *ranks)
{
	if (ranks->rows < 1)
		return -1;
	const struct cut cut = cut_work(ranker, ranks->rows);
	struct selections all = selections_new(ranks, cut.parts);
	/* of whole groups; codes, and behind them residues */
	struct probe *probes = xcalloc((size_t)ranks->rows + SCAN_QUERIES, sizeof *probes);
	const int64_t room = (ranks->rows + SCAN_QUERIES) * ranker->stride;
	int8_t *codes = xcalloc((size_t)room, 2);
	int64_t bad = ranks->rows;
#pragma omp parallel for schedule(dynamic, 4) reduction(min : bad) if (ranks->rows > 8)
	for (int64_t row = 0; row < ranks->rows; row++) {
		probes[row].query = queries + row * ranker->width;
		probes[row].codes = codes + row * ranker->stride;
		probes[row].residues = probes[row].codes + room;
		if (probe_ready(&probes[row], ranker))
			prepare_selection(ranker, probes[row].query, &all.selection[row * cut.parts], cut.parts);
		else if (row < bad)
			bad = row;
	}
	if (bad == ranks->rows) {
#pragma omp parallel for schedule(dynamic, 1) if (cut.n_pieces * cut.n_slices > 1)
		for (int64_t task = 0; task < cut.n_pieces * cut.n_slices; task++) {
			const int64_t tile = task % cut.n_pieces * cut.tiles, row = task / cut.n_pieces * cut.rows;
			const int part = omp_get_thread_num() % cut.parts;
			const struct task one = {.probes = probes + row,
				.selections = &all.selection[row * cut.parts + part],
				.parts = cut.parts,
				.rows = least(cut.rows, ranks->rows - row),
				.tile = tile,
				.end = least(tile + cut.tiles, ranker->n_tiles)};
			scan_tiles(ranker, &one);
		}
#pragma omp parallel for if (ranks->rows > 8)
		for (int64_t row = 0; row < ranks->rows; row++)
			answer(ranks, row, &all.selection[row * cut.parts], cut.parts);
	}
	free(codes);
	free(probes);
	selections_free(&all);
	return bad < ranks->rows ? bad : -1;
}

/* --- from rows of scores --- */

static bool all_finite(const float *scores, int64_t n)
{
	bool bad = false;
	for (int64_t i = 0; i < n; i++)
		bad |= !(fabsf(scores[i]) <= FLT_MAX);
	return !bad;
}

static void count_scores(const float *scores, int64_t n_items, struct selection *selection)
{
	const float target = scores[selection->target];
	int32_t greater = 0, equal = 0;
	for (int64_t item = 0; item < n_items; item++) {
		greater += scores[item] > target;
		equal += scores[item] == target;
	}
	for (int64_t i = 0; i < selection->n_seen; i++) {
		greater -= scores[selection->seen[i]] > target;
		equal -= scores[selection->seen[i]] == target;
	}
	selection->greater = greater;
	selection->equal = equal;
}

/* False where a score is not finite. */
static bool select_scores(const float *scores, int64_t n_items, struct selection *selection)
{
	if (!all_finite(scores, n_items))
		return false;
	selection->n_seen = seen_tidy((int32_t *)(uintptr_t)selection->seen, selection->n_seen, selection->target);
	if (selection->counts)
		count_scores(scores, n_items, selection);
	for (int64_t item = 0; item < n_items; item++)
		if (scores[item] > selection->bar) /* of equal scores the first stay */
			offer(selection, (struct best){scores[item], (int32_t)item});
	return true;
}

int64_t rank_scores(const float *scores, int64_t n_items, const struct ranks *ranks)
{
	struct selections all = selections_new(ranks, 1);
	int64_t bad = ranks->rows;
#pragma omp parallel for schedule(dynamic, 4) reduction(min : bad)
	for (int64_t row = 0; row < ranks->rows; row++)
		if (!select_scores(scores + row * n_items, n_items, &all.selection[row]) && row < bad)
			bad = row;
	if (bad == ranks->rows)
#pragma omp parallel for
		for (int64_t row = 0; row < ranks->rows; row++)
			answer(ranks, row, &all.selection[row], 1);
	selections_free(&all);
	return bad < ranks->rows ? bad : -1;
}
