/*
 * For bench_stream.sh: `stream make` writes a tar like those that flow (text, ids, item rows, vectors) to stdout;
 * `stream write FILE.tar` packs that file as a tool does; `stream read FILE.tar.zst` takes a stream apart.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream/bag.h"
#include "stream/cli.h"
#include "stream/frame.h"

enum { USERS = 250000, ITEMS = 100000, EVENTS = 80, WIDTH = 64 };

static const struct column columns[] = {{"user_id", COLUMN_TEXT, U1, 0}, {"indptr", COLUMN_INDPTR, I8, 0},
	{"item", COLUMN_RAGGED, I4, 0}, {"timestamp", COLUMN_RAGGED, I8, 0}};
static const struct column vector_column = {"vector", COLUMN_WIDE, F4, WIDTH};

/* Arrays are ready in memory: nothing more to do. */
static void take_chunk(void *group, const struct chunk *chunk)
{
	(void)group, (void)chunk;
}
static const struct group_kind sequences_kind = {.name = "sequences", .format = 1, .chunk = take_chunk},
							   embedding_kind = {.name = "embedding", .format = 1, .chunk = take_chunk};

static void make_sequences(struct bag_out *out, struct rng *rng)
{
	bag_begin(out, &sequences_kind, 1, 1, 1, NULL);
	for (int user = 0; user < USERS; user++) {
		char id[32];
		int32_t item[EVENTS];
		int64_t timestamp[EVENTS], time = 1500000000 + (int64_t)rng_below(rng, 100000000);
		const int64_t indptr[2] = {0, EVENTS};
		snprintf(id, sizeof id, "user-%d", user);
		for (int i = 0; i < EVENTS; i++) {
			/* popularity as in real catalogs: a few items are met often */
			double uniform = rng_uniform(rng);
			item[i] = (int32_t)(ITEMS * uniform * uniform * uniform);
			timestamp[i] = time += (int64_t)rng_below(rng, 100000);
		}
		bag_add_rows(out, 1, columns, (const void *[]){id, indptr, item, timestamp}, COUNT_OF(columns));
	}
	bag_end(out);
}

static void make_vectors(struct bag_out *out, struct rng *rng)
{
	float *vector = xcalloc((size_t)ITEMS * WIDTH, sizeof *vector);
	for (int i = 0; i < ITEMS * WIDTH; i++)
		vector[i] = (float)rng_normal(rng);
	bag_begin(out, &embedding_kind, 2, 1, 1, NULL);
	bag_add_rows(out, ITEMS, &vector_column, (const void *[]){vector}, 1);
	bag_end(out);
	free(vector);
}

static void make(const struct cli *cli)
{
	struct rng rng;
	rng_seed(&rng, 1);
	struct bag_out *out = bag_create(cli->output, cli->level);
	make_sequences(out, &rng);
	make_vectors(out, &rng);
	bag_finish(out, NULL);
}

/* Members are handed on whole, from memory, as a tool does with what it has computed. */
static void write_stream(const struct cli *cli)
{
	struct frame_in *in = frame_open(cli->inputs);
	struct frame_out *out = frame_create(cli->output, cli->level);
	uint64_t size;
	for (const char *name; (name = frame_next(in, &size));) {
		char *data = xmalloc((size_t)size);
		frame_read(in, data, (size_t)size);
		frame_member(out, name, data, (size_t)size);
		free(data);
	}
	frame_close(out);
	frame_free(in);
}

static void read_stream(const struct cli *cli)
{
	struct group sequences = {0}, embedding = {0};
	struct bag *bag = bag_open(cli->inputs);
	bag_take(bag, &sequences_kind, &sequences);
	bag_take(bag, &embedding_kind, &embedding);
	bag_read(bag);
	group_free(&sequences);
	group_free(&embedding);
}

int main(int argc, char **argv)
{
	struct cli cli = {.inputs = argv + (argc > 2 ? 2 : argc), .n_inputs = argc - 2, .level = 1};
	program_name = "stream";
	if (argc > 1 && !strcmp(argv[1], "make"))
		make(&cli);
	else if (argc > 2 && !strcmp(argv[1], "write"))
		write_stream(&cli);
	else if (argc > 2 && !strcmp(argv[1], "read"))
		read_stream(&cli);
	else
		die("make, write FILE or read FILE was expected");
	return 0;
}
