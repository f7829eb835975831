/*
 * Steps of training, timed on command, for bench_train.py.
 *
 *     train STREAM CONFIG.json BATCH_SIZE THREADS
 *
 * Reads numbers of steps, a line each, takes so many more batches of users in the stream's order, and answers: seconds,
 * processor seconds, positions, mean loss, peak memory in MiB. "f32", "split", "bf16": how products are from here on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data/sequences.h"
#include "nn/blas.h"
#include "nn/matrix.h"
#include "task/next.h"

static struct sequences read_sequences(char *path, struct catalog *catalog)
{
	struct sequences sequences = {0};
	struct bag *bag = bag_open((char *const[]){path, NULL});
	bag_take(bag, &catalog_group, catalog);
	bag_take(bag, &sequences_group, &sequences);
	bag_read(bag);
	sequences_check(&sequences, catalog);
	return sequences;
}

/* The training parts of the next users, cut to the latest max_length. */
static struct ragged next_batch(const struct sequences *sequences, int64_t *user, int64_t size, int64_t max_length)
{
	struct ragged batch = RAGGED(I4, I4);
	while (batch.rows < size) {
		int64_t one = (*user)++ % sequences->n_users, first = sequences->indptr[one];
		int64_t length = train_length(sequences, one) - 1;
		if (length < 1)
			continue;
		if (length > max_length) {
			first += length - max_length;
			length = max_length;
		}
		const int32_t *item = sequences->item + first;
		ragged_append(&batch, length, (const void *[]){item, item + 1});
	}
	return batch;
}

int main(int argc, char **argv)
{
	blas_init(argv);
	program_name = "train";
	if (argc != 5)
		die("STREAM CONFIG BATCH_SIZE THREADS were expected");
	struct catalog catalog = {0};
	struct sequences sequences = read_sequences(argv[1], &catalog);
	json_t *config = json_load_file(argv[2], 0, NULL);
	if (!config)
		die("%s: not JSON", argv[2]);
	struct model *model = model_new(config, catalog.n_items, catalog.fingerprint, argv[2]);
	struct rng rng;
	rng_seed(&rng, 1);
	model_initialise(model, &rng);
	struct optimisation options = {.adamw = ADAMW_DEFAULTS};
	struct trainer *trainer = trainer_new(&model->params, &options, atoi(argv[4]));
	struct next *next = next_new(model, &(struct loss_options){.loss = LOSS_CE}, trainer->n_workers);
	int64_t user = 0;
	char line[64];
	while (fgets(line, sizeof line, stdin)) {
		int precision = PRECISION_F32;
		while (precision_names[precision] && strncmp(line, precision_names[precision], strlen(line) - 1))
			precision++;
		if (precision_names[precision]) {
			products_in((enum precision)precision);
			printf("\n");
			fflush(stdout);
			continue;
		}
		double started = seconds_now(), loss = 0;
		clock_t clock_started = clock();
		int64_t positions = 0;
		for (int step = atoi(line); step > 0; step--) {
			struct ragged batch = next_batch(&sequences, &user, atoi(argv[3]), model_max_length(model));
			struct histories histories = {.rows = batch.rows, .indptr = batch.indptr, .item = batch.field[0]};
			struct step_result result;
			next_step(next, trainer, &histories, batch.field[1], rng_next(&rng), &result);
			loss += result.loss;
			positions += result.positions;
			ragged_free(&batch);
		}
		printf("%.6f %.6f %lld %.6f %.1f\n", seconds_now() - started,
			(double)(clock() - clock_started) / CLOCKS_PER_SEC, (long long)positions, loss / (double)positions,
			peak_memory_mib());
		fflush(stdout);
	}
	return 0;
}
