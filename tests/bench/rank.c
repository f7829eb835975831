/*
 * Times the exact ranking of lib/rank/rank.h, on command, so that a peer can be timed in turns with it.
 *
 *     rank ITEMS QUERIES WIDTH K      raw little-endian f32 files
 *
 * Reads "many", "counts" or "one" a line from stdin, ranks all queries at once, with the places of the items in
 * QUERIES.targets (i4, one a query), or one after another, and answers with the processor seconds taken, of all
 * threads, as others may use the machine; the best items, queries
 * x K (i4), are then in the file QUERIES.top, the numbers of items above the targets in QUERIES.greater. "read" is the
 * limit for one after another: a byte for each number of the items is read as often as there are queries.
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rank/rank.h"
#include "stream/util.h"

static float *read_floats(const char *path, int64_t width, int64_t *rows)
{
	FILE *file = fopen(path, "rb");
	if (!file || fseek(file, 0, SEEK_END))
		die_errno("%s", path);
	*rows = ftell(file) / 4 / width;
	rewind(file);
	float *values = xaligned((size_t)(*rows * width), sizeof *values);
	if (fread(values, sizeof *values, (size_t)(*rows * width), file) != (size_t)(*rows * width))
		die_errno("%s", path);
	fclose(file);
	return values;
}

static void write_numbers(const char *path, const char *of, const int32_t *numbers, size_t n)
{
	char *name = xasprintf("%s.%s", path, of);
	FILE *file = fopen(name, "wb");
	if (!file || fwrite(numbers, sizeof *numbers, n, file) != n || fclose(file))
		die_errno("%s", name);
	free(name);
}

static int32_t *read_targets(const char *path, int64_t rows)
{
	char *name = xasprintf("%s.targets", path);
	int32_t *targets = xcalloc((size_t)rows, sizeof *targets);
	FILE *file = fopen(name, "rb");
	if (!file || fread(targets, sizeof *targets, (size_t)rows, file) != (size_t)rows)
		die_errno("%s", name);
	fclose(file);
	free(name);
	return targets;
}

static double processor_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Of zeros, by the C library's search for another byte, on all threads. */
static double seconds_of_reading(const char *bytes, int64_t n, int64_t times)
{
	const double started = processor_seconds();
	for (int64_t i = 0; i < times; i++) {
#pragma omp parallel
		{
			const int64_t part = n / omp_get_num_threads(), from = omp_get_thread_num() * part;
			if (memchr(bytes + from, 1, (size_t)part))
				die("bytes changed");
		}
	}
	return processor_seconds() - started;
}

int main(int argc, char **argv)
{
	program_name = "rank";
	if (argc != 5)
		die("usage: rank ITEMS QUERIES WIDTH K");
	int64_t width = atoll(argv[3]), n_items, rows;
	int32_t k = atoi(argv[4]);
	float *items = read_floats(argv[1], width, &n_items), *queries = read_floats(argv[2], width, &rows);
	struct ranker *ranker = ranker_new(items, n_items, width, argv[1]);
	int32_t *top = xcalloc((size_t)rows, (size_t)k * sizeof *top);
	float *score = xcalloc((size_t)rows, (size_t)k * sizeof *score);
	int32_t *target = NULL, *greater = xcalloc((size_t)rows, sizeof *greater);
	int32_t *equal = xcalloc((size_t)rows, sizeof *equal);
	char line[16], *zeros = xaligned((size_t)n_items, (size_t)width);
	while (fgets(line, sizeof line, stdin)) {
		if (!strncmp(line, "read", 4)) {
			printf("%.6f\n", seconds_of_reading(zeros, n_items * width, rows));
			fflush(stdout);
			continue;
		}
		int64_t step = strncmp(line, "one", 3) ? rows : 1;
		bool counts = !strncmp(line, "counts", 6);
		free(target);
		target = counts ? read_targets(argv[2], rows) : NULL;
		double started = processor_seconds();
		for (int64_t row = 0; row < rows; row += step) {
			struct ranks ranks = {.rows = step,
				.target = counts ? target : NULL,
				.k = k,
				.greater = counts ? greater : NULL,
				.equal = counts ? equal : NULL,
				.top_item = top + row * k,
				.top_score = score + row * k};
			if (rank_queries(ranker, queries + row * width, &ranks) >= 0)
				die("%s: not finite", argv[2]);
		}
		double seconds = processor_seconds() - started;
		write_numbers(argv[2], "top", top, (size_t)(rows * k));
		write_numbers(argv[2], "greater", greater, (size_t)rows);
		printf("%.6f\n", seconds);
		fflush(stdout);
	}
	free(zeros);
	ranker_free(ranker);
	free(items);
	free(queries);
	free(top);
	free(score);
	free(target);
	free(greater);
	free(equal);
	return 0;
}
