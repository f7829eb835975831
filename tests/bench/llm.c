/*
 * A frozen language model on command, for bench_llm.py and tests/golden/smollm.py.
 *
 *     llm MODEL THREADS TOKENS_AT_ONCE
 *
 * MODEL: weights, or a config.json for random ones. Lines of standard input:
 *
 *     step ITEMS TOKENS    one step of SAID's first stage for so many items: a vector each, then the text; loss of
 *                          every token, and its gradient back to the vectors. Answers seconds, processor seconds, mean
 *                          loss, peak memory in MiB
 *     integers, f32, split, bf16
 *                          how the layers' products are from here on
 *     score FILE ID...     appends the logits after the last token to FILE, as floats; answers the NLL of the second
 *                          token to the last, and the most probable token after each
 *     say N ID             what follows a token, greedily: N ids at most
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/llm.h"
#include "nn/blas.h"
#include "nn/loss.h"

static struct model *open_model(const char *path)
{
	if (!strstr(path, ".json"))
		return llm_open(path, LLM_SAYS);
	json_t *config = json_load_file(path, 0, NULL);
	struct model *model = model_new(config, json_get_int(config, "vocab_size", 1, INT32_MAX, path), "", path);
	struct rng rng;
	rng_seed(&rng, 1);
	model_initialise(model, &rng);
	llm_freeze(model);
	return model;
}

struct batch {
	int64_t items, tokens; /* tokens: of each item, vector included */
	int32_t *target;
	float *inputs;
};

static double compute(struct tape *tape, const struct model *model, const struct batch *batch, int64_t first,
	int64_t end)
{
	int64_t n = (end - first) * batch->tokens, d = model->width, from = first * batch->tokens;
	int64_t *indptr = xcalloc((size_t)(end - first) + 1, sizeof *indptr);
	float none = 0;
	for (int64_t i = 0; i <= end - first; i++)
		indptr[i] = i * batch->tokens;
	tape_begin(tape, &none, 0, 0);
	struct array *inputs = tape_input(tape, n, d);
	memcpy(inputs->value, batch->inputs + from * d, (size_t)(n * d) * sizeof(float));
	struct array *hidden = llm_hidden(tape, model, inputs, indptr, end - first);
	double loss = full_cross_entropy(tape, hidden, tape_param(tape, model->item_vectors), batch->target + from,
		1 / (float)(batch->items * batch->tokens));
	tape_backward(tape);
	free(indptr);
	return loss;
}

static void step(const struct model *model, struct tape *tapes, int threads, int64_t at_once, int64_t items,
	int64_t tokens)
{
	int64_t n = items * tokens, d = model->width;
	struct batch batch = {items, tokens, xcalloc((size_t)n, sizeof *batch.target),
		xaligned((size_t)(n * d), sizeof(float))};
	for (int64_t t = 0; t < n; t++) {
		batch.target[t] = (int32_t)(t * 7919 % model->n_items);
		memcpy(batch.inputs + t * d, llm_token_vectors(model) + (t * 104729 % model->n_items) * d,
			(size_t)d * sizeof(float));
	}
	double started = seconds_now(), loss = 0;
	clock_t clock_started = clock();
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(+ : loss)
	for (int i = 0; i < threads; i++) {
		int64_t last = items * (i + 1) / threads, many = at_once / tokens ? at_once / tokens : 1;
		for (int64_t first = items * i / threads; first < last; first += many)
			loss += compute(&tapes[i], model, &batch, first, first + many < last ? first + many : last);
	}
	printf("%.6f %.6f %.6f %.1f\n", seconds_now() - started, (double)(clock() - clock_started) / CLOCKS_PER_SEC,
		loss / (double)n, peak_memory_mib());
	free(batch.target);
	free(batch.inputs);
}

static void score(const struct model *model, struct tape *tape, char *line)
{
	int32_t ids[4096], target[4096];
	char *save, *path = strtok_r(line, " \n", &save);
	int64_t n = 0, vocabulary = model->n_items, d = model->width;
	for (char *word; n < (int64_t)COUNT_OF(ids) && (word = strtok_r(NULL, " \n", &save)); n++)
		ids[n] = (int32_t)atoi(word);
	int64_t indptr[] = {0, n};
	for (int64_t t = 0; t < n; t++)
		target[t] = t + 1 < n ? ids[t + 1] : -1;
	const struct histories histories = {.rows = 1, .indptr = indptr, .item = ids};
	tape_begin(tape, NULL, 0, 0);
	struct array *hidden = model->architecture->hidden(tape, model, &histories);
	double nll = full_cross_entropy(tape, hidden, tape_param(tape, model->item_vectors), target, 1);
	float *logits = tape_take(tape, n, vocabulary);
	blas_gemm(false, true, n, vocabulary, d, 1, hidden->value, d, model->item_vectors->value, d, 0, logits, vocabulary);
	FILE *file = fopen(path, "ab");
	if (!file ||
		fwrite(logits + (n - 1) * vocabulary, sizeof *logits, (size_t)vocabulary, file) != (size_t)vocabulary ||
		fclose(file))
		die("%s: cannot be written", path);
	printf("%.9g", nll);
	for (int64_t t = 0; t < n; t++) {
		int64_t best = 0;
		for (int64_t i = 1; i < vocabulary; i++)
			best = logits[t * vocabulary + i] > logits[t * vocabulary + best] ? i : best;
		printf(" %lld", (long long)best);
	}
	printf("\n");
}

static void say(const struct model *model, int64_t n, int64_t id)
{
	int32_t *tokens = xcalloc((size_t)n, sizeof *tokens);
	int64_t length;
	llm_say(model, -1, llm_token_vectors(model) + id * model->width, 1, -1, n, tokens, &length);
	for (int64_t t = 0; t < length; t++)
		printf("%d ", tokens[t]);
	printf("\n");
	free(tokens);
}

int main(int argc, char **argv)
{
	blas_init(argv);
	program_name = "llm";
	if (argc != 4)
		die("MODEL THREADS TOKENS_AT_ONCE were expected");
	int threads = atoi(argv[2]);
	struct model *model = open_model(argv[1]);
	struct tape *tapes = xcalloc((size_t)threads, sizeof *tapes);
	char *line = NULL;
	size_t room = 0;
	while (getline(&line, &room, stdin) > 0) {
		long long a, b;
		if (sscanf(line, "step %lld %lld", &a, &b) == 2)
			step(model, tapes, threads, atoll(argv[3]), a, b);
		else if (!strncmp(line, "integers", 8) || !strncmp(line, "f32", 3)) {
			llm_pack(model, *line == 'i' ? PACKED_INTEGERS : PACKED_NOT);
			products_in(PRECISION_F32);
			printf("\n");
		} else if (!strncmp(line, "split", 5) || !strncmp(line, "bf16", 4)) {
			enum precision precision = *line == 's' ? PRECISION_SPLIT : PRECISION_BF16;
			products_in(precision);
			llm_pack(model, packing_of(precision));
			printf("\n");
		} else if (!strncmp(line, "score ", 6))
			score(model, tapes, line + 6);
		else if (sscanf(line, "say %lld %lld", &a, &b) == 2)
			say(model, a, b);
		else
			die("%s", line);
		fflush(stdout);
	}
	for (int i = 0; i < threads; i++)
		tape_free(&tapes[i]);
	model_free(model);
	free(tapes);
	free(line);
	return 0;
}
