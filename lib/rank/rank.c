#include "rank/rank.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "rank/rank_codes.h"
#include "rank/seen.h"
#include "rank/selection.h"
#include "stream/util.h"

#define ALONE_BYTES (16 << 20) /* of products one thread makes sooner than others could be woken */
#define SLICE_ROWS 1024        /* queries that pass over the catalog together */

/* A tile of the catalog. */
struct tile {
	int64_t first, items; /* of the catalog */
	const uint8_t *codes;
	const void *fine; /* NULL: no residues, or numbers of 16 bits, were made */
	const float *scale, *reach;
};

/* The exact scores of those items of a tile that may matter. */
static void visit_hits(const struct ranker *ranker, const struct probe *probe, struct selection *selection,
	const struct tile *tile, const uint8_t hits[], int n)
{
	float scores[SCAN_TILE];
	ranker->scan->scores(probe->query, ranker->vectors + tile->first * ranker->width, ranker->width, hits, n, scores);
	selection_count(selection, scores, n);
	for (int i = 0; i < n; i++)
		if (scores[i] >= selection->bar)
			selection_offer(selection, (struct best){scores[i], (int32_t)(tile->first + hits[i])});
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
	if (tile->fine)
		scan->judge_wide(tile->fine, ranker->words, probe, ranker->stride, tile->scale, verdict);
	else
		scan->judge(tile->codes, ranker->words, probe, ranker->stride, n == 1 ? 1 : scan->queries, tile->scale,
			tile->reach, verdict);
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
	if (tile->fine)
		scan->fine(tile->codes, tile->fine, ranker->words, probe, ranker->stride, products, fine);
	else
		scan->products(tile->codes, ranker->words, probe->codes, ranker->stride, n == 1 ? 1 : scan->queries, products);
	for (int q = 0; q < n; q++) {
		struct selection *one = &selection[q * step];
		uint8_t hits[SCAN_TILE];
		const int found = scan->filter(&probe[q], one->bar, one->target_score, products + q * SCAN_TILE,
			tile->fine ? fine + q * SCAN_TILE : NULL, tile->scale, tile->fine ? tile->scale : tile->reach, hits,
			&one->greater);
		if (found)
			visit_hits(ranker, &probe[q], one, tile, hits, found);
	}
}

/* Whether n selections, `step` apart, have seen enough. */
static bool all_settled(const struct selection *selection, int step, int n)
{
	for (int q = 0; q < n; q++)
		if (selection[q * step].greater < selection[q * step].enough)
			return false;
	return true;
}

/*
 * One tile, all queries, in groups: it stays in the nearest cache while they pass over it. fine: NULL, or the room for
 * what its items lose in 8 bits, or for their numbers of 16. False where all have seen enough.
 */
static bool scan_tile(const struct ranker *ranker, const struct task *task, int64_t number, void *fine)
{
	const struct scan *scan = ranker->scan;
	const int64_t first = number * SCAN_TILE, groups = (task->rows + scan->queries - 1) / scan->queries;
	const struct tile tile = {.first = first,
		.items = least(SCAN_TILE, ranker->n_items - first),
		.codes = ranker->codes + number * tile_bytes(ranker),
		.fine = fine,
		.scale = ranker->scale + first,
		.reach = ranker->reach + first};
	const float *vectors = ranker->vectors + first * ranker->width;
	if (fine && scan->widen)
		scan->widen(vectors, ranker->width, tile.scale, ranker->finer, (int)tile.items, fine);
	else if (fine)
		scan->residues(vectors, ranker->width, tile.scale, (int)tile.items, fine);
	bool any = false;
	for (int64_t group = 0; group < groups; group++) {
		const int64_t row = group * scan->queries;
		const int n = (int)least(task->rows - row, scan->queries);
		struct selection *selection = task->selections + row * task->parts;
		if (all_settled(selection, task->parts, n))
			continue;
		any = true;
		if (groups > 1 && number + 1 < task->end) /* one is in the order of memory */
			prefetch(ranker, number + 1, group, groups, fine);
		(scan->judge ? judge_group : filter_group)(ranker, task->probes + row, selection, task->parts, n, &tile);
	}
	return any;
}

static void scan_tiles(const struct ranker *ranker, const struct task *task)
{
	const struct scan *scan = ranker->scan;
	void *fine = NULL;
	if (task->rows >= scan->fine_rows && task->selections[0].counts && (scan->residues || scan->widen))
		fine = xaligned((size_t)(tile_bytes(ranker) + SCAN_BEYOND), scan->widen ? sizeof(int16_t) : 1);
	for (int64_t tile = task->tile; tile < task->end && scan_tile(ranker, task, tile, fine); tile++)
		;
	free(fine);
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
	/* of whole groups; codes, and behind them residues, and numbers of 16 bits */
	struct probe *probes = xcalloc((size_t)ranks->rows + SCAN_QUERIES, sizeof *probes);
	const int64_t room = (ranks->rows + SCAN_QUERIES) * ranker->stride;
	int8_t *codes = xcalloc((size_t)room, ranker->scan->widen ? 4 : 2);
	int64_t bad = ranks->rows;
#pragma omp parallel for schedule(dynamic, 4) reduction(min : bad) if (ranks->rows > 8)
	for (int64_t row = 0; row < ranks->rows; row++) {
		probes[row].query = queries + row * ranker->width;
		probes[row].codes = codes + row * ranker->stride;
		probes[row].residues = probes[row].codes + room;
		probes[row].wide = (int16_t *)(codes + 2 * room) + row * ranker->stride;
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
			selections_answer(ranks, row, &all.selection[row * cut.parts], cut.parts);
	}
	free(codes);
	free(probes);
	selections_free(&all);
	return bad < ranks->rows ? bad : -1;
}
