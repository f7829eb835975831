#include "rank/selection.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rank/seen.h"
#include "stream/util.h"

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

void selection_offer(struct selection *selection, struct best entry)
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

/* The heap's entries, the best first. */
static void sort_heap(struct best *heap, int32_t n)
{
	for (int32_t i = n / 2; i-- > 0;)
		sift_down(heap, n, i, heap[i]);
	while (n-- > 1) {
		const struct best worst = heap[0];
		sift_down(heap, n, 0, heap[n]);
		heap[n] = worst;
	}
}

struct selections selections_new(const struct ranks *ranks, int parts)
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
			.target_score = INFINITY,
			.enough = INT64_MAX};
		if (n_seen) {
			selection->seen = all.seen + ranks->seen_indptr[row] - base;
			selection->n_seen = ranks->seen_indptr[row + 1] - ranks->seen_indptr[row];
		}
		if (ranks->enough && !ranks->k) /* each part counts seen items, which one of them takes away */
			selection->enough = ranks->enough + selection->n_seen;
	}
	return all;
}

void selections_free(struct selections *all)
{
	free(all->selection);
	free(all->heap);
	free(all->seen);
}

void selections_answer(const struct ranks *ranks, int64_t row, struct selection *parts, int n_parts)
{
	struct selection *whole = &parts[0];
	for (int part = 1; part < n_parts; part++) {
		for (int32_t i = 0; i < parts[part].n; i++)
			selection_offer(whole, parts[part].heap[i]);
		whole->greater += parts[part].greater;
		whole->equal += parts[part].equal;
	}
	sort_heap(whole->heap, whole->n);
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
