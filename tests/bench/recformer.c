/*
 * Seconds and processor seconds of a Recformer's training step (the softmax over random item vectors of histories' texts)
 * and of encoding items, and peak memory: recformer LAYERS WIDTH HEADS TOKENS ROWS STEPS THREADS
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "model/encoder.h"
#include "model/recformer.h"
#include "model/train.h"
#include "nn/blas.h"
#include "nn/loss.h"
#include "nn/rows.h"

#define VOCABULARY 8192
#define ITEMS 4096
#define ITEM_TOKENS 24

struct bench {
	struct model *model;
	struct sentences text;
	int32_t *target;
	float *items;
};

static void random_text(struct sentences *text, int64_t rows, int64_t tokens, struct rng *rng)
{
	text->indptr = xcalloc((size_t)rows + 1, sizeof *text->indptr);
	text->token = xcalloc((size_t)(rows * tokens), sizeof *text->token);
	text->type = xcalloc((size_t)(rows * tokens), sizeof *text->type);
	text->item = xcalloc((size_t)(rows * tokens), sizeof *text->item);
	text->rows = rows;
	text->tokens = rows * tokens;
	for (int64_t t = 0; t < text->tokens; t++) {
		text->indptr[t / tokens + 1] = (t / tokens + 1) * tokens;
		text->token[t] = t % tokens ? 5 + (int32_t)rng_below(rng, VOCABULARY - 5) : 0;
		text->type[t] = t % tokens ? 2 : 0;
		text->item[t] = (int32_t)(t % tokens ? 1 + t % tokens / ITEM_TOKENS : 0);
	}
}

static void phase(void *task, struct worker *worker)
{
	struct bench *b = task;
	int64_t from, to, most = recformer_tokens_at_once(b->model);
	worker_rows(worker, b->text.indptr, b->text.rows, &from, &to);
	for (int64_t first = from, end; first < to; first = end) {
		end = first + 1;
		while (end < to && b->text.indptr[end + 1] - b->text.indptr[first] <= most)
			end++;
		struct sentences part = sentences_part(&b->text, first, end);
		tape_begin(&worker->tape, worker->gradient, 7, part.indptr[0]);
		struct array *history = unit_rows(&worker->tape, recformer_pooled(&worker->tape, b->model, &part), 20);
		struct array *items = tape_constant(&worker->tape, b->items, ITEMS, b->model->width);
		worker->loss += full_cross_entropy(&worker->tape, history, items, b->target + first, 1 / (float)b->text.rows);
		tape_backward(&worker->tape);
	}
}

static double cpu_seconds(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

int main(int argc, char **argv)
{
	blas_init(argv);
	if (argc != 8)
		die("LAYERS WIDTH HEADS TOKENS ROWS STEPS THREADS were expected");
	int64_t number[8];
	for (int i = 1; i < 8; i++)
		number[i] = atoll(argv[i]);
	int64_t tokens = number[4], rows = number[5], steps = number[6];
	struct rng rng;
	rng_seed(&rng, 1);
	json_t *config = json_pack("{s:s, s:I, s:I, s:I, s:b}", "architecture", "recformer", "num_hidden_layers",
		(json_int_t)number[1], "hidden_size", (json_int_t)number[2], "num_attention_heads", (json_int_t)number[3], "word_head", 0);
	struct bench b = {.model = model_new(config, VOCABULARY, "0123456789abcdef", "bench")};
	model_initialise(b.model, &rng);
	random_text(&b.text, rows, tokens, &rng);
	b.target = xcalloc((size_t)rows, sizeof *b.target);
	b.items = xaligned((size_t)(ITEMS * b.model->width), sizeof *b.items);
	for (int64_t i = 0; i < ITEMS * b.model->width; i++)
		b.items[i] = (float)rng_normal(&rng);
	unit_length(b.items, ITEMS, b.model->width);
	const struct optimisation options = {.adamw = ADAMW_DEFAULTS};
	struct trainer *trainer = trainer_new(&b.model->params, &options, (int)number[7]);
	phase_function *const phases[] = {phase, NULL};
	double started = 0, cpu = 0;
	for (int64_t step = 0; step <= steps; step++) {
		if (step == 1) {
			started = seconds_now();
			cpu = cpu_seconds();
		}
		struct step_result result = {.positions = rows};
		trainer_begin(trainer);
		trainer_compute(trainer, phases, &b);
		trainer_update(trainer, &result);
	}
	printf("step %.4f s, processor %.4f s, ", (seconds_now() - started) / (double)steps, (cpu_seconds() - cpu) / (double)steps);
	printf("peak %.0f MiB\n", peak_memory_mib());
	trainer_free(trainer);
	model_free(b.model);
	sentences_free(&b.text);
	free(b.target);
	free(b.items);
	return 0;
}
