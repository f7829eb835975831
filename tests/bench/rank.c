/*
 * Times the exact ranking of lib/rank/rank.h, on command, so that a peer can be timed in turns with it.
 *
 *     rank ITEMS QUERIES WIDTH K      raw little-endian f32 files
 *
 * Reads "many" or "one" a line from stdin, ranks all queries at once or one after another, and answers with the seconds
 * taken; the best items, queries x K (i4), are then in the file QUERIES.top.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void write_top(const char *path, const int32_t *top, size_t n)
{
	char *name = xasprintf("%s.top", path);
	FILE *file = fopen(name, "wb");
	if (!file || fwrite(top, sizeof *top, n, file) != n || fclose(file))
		die_errno("%s", name);
	free(name);
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
	char line[16];
	while (fgets(line, sizeof line, stdin)) {
		int64_t step = strncmp(line, "one", 3) ? rows : 1;
		double started = seconds_now();
		for (int64_t row = 0; row < rows; row += step) {
			struct ranks ranks = {.rows = step, .k = k, .top_item = top + row * k, .top_score = score + row * k};
			if (rank_queries(ranker, queries + row * width, &ranks) >= 0)
				die("%s: not finite", argv[2]);
		}
		double seconds = seconds_now() - started;
		write_top(argv[2], top, (size_t)(rows * k));
		printf("%.6f\n", seconds);
		fflush(stdout);
	}
	ranker_free(ranker);
	free(items);
	free(queries);
	free(top);
	free(score);
	return 0;
}
