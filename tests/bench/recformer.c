/*
 * A Recformer of random weights on command, for bench_recformer.py.
 *
 *     recformer LAYERS WIDTH HEADS VOCABULARY THREADS
 *
 * Lines of standard input:
 *
 *     step USERS      a step of pre-training: a history of 1,024 tokens for each and the item that followed, both once
 *                     more with masked words. Answers seconds, processor seconds, mean loss, peak memory in MiB
 *     encode ITEMS    their vectors, each alone. Answers the same; for the loss, a mean length
 *     f32, split, bf16
 *                     how products are from here on
 */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/encoder.h"
#include "model/recformer_start.h"
#include "nn/blas.h"
#include "nn/matrix.h"
#include "nn/vec.h"
#include "task/pretrain.h"

#define ITEMS 4385
#define ATTRIBUTES 3
#define EVENTS 102 /* of a user: 100 to train on, of which at least the 49 before a cut fill a history */
#define MOST_USERS 64

/* Tokens of an item's attributes, names included: 37 in the mean; the peer's are the same. */
static int64_t attribute_length(int64_t item, int attribute)
{
	return attribute == 0 ? 8 + item * 7 % 25 : attribute == 1 ? 3 + item % 3 : 6 + item * 5 % 15;
}

static int32_t random_token(struct rng *rng, int64_t vocabulary)
{
	return 5 + (int32_t)rng_below(rng, (uint64_t)vocabulary - 5);
}

static struct catalog make_catalog(const struct tokenizer *tokenizer, struct rng *rng)
{
	struct catalog c = {.group.complete = true};
	char fingerprint[17];
	fingerprint_text(tokenizer_fingerprint(tokenizer), fingerprint);
	c.group.meta = json_pack("{s:s}", "tokenizer", fingerprint);
	const size_t room = ITEMS * 64;
	c.indptr = xcalloc(ITEMS + 1, sizeof *c.indptr);
	c.input_ids = xcalloc(room, sizeof *c.input_ids);
	c.token_type_ids = xcalloc(room, sizeof *c.token_type_ids);
	c.attribute = xcalloc(room, sizeof *c.attribute);
	for (int64_t item = 0; item < ITEMS; item++) {
		for (int attribute = 0; attribute < ATTRIBUTES; attribute++)
			for (int64_t t = 0; t < attribute_length(item, attribute); t++) {
				c.input_ids[c.n_tokens] = random_token(rng, tokenizer_vocab_size(tokenizer));
				c.token_type_ids[c.n_tokens] = t ? 2 : 1;
				c.attribute[c.n_tokens++] = (uint8_t)attribute;
			}
		c.indptr[++c.n_items] = c.n_tokens;
	}
	return c;
}

static struct sequences make_sequences(struct rng *rng)
{
	struct sequences s = {.group.complete = true, .n_users = MOST_USERS, .split_time = INT64_MIN};
	s.indptr = xcalloc(MOST_USERS + 1, sizeof *s.indptr);
	s.item = xcalloc(MOST_USERS * EVENTS, sizeof *s.item);
	for (int64_t user = 0; user < MOST_USERS; user++) {
		for (int event = 0; event < EVENTS; event++)
			s.item[s.n_events++] = (int32_t)rng_below(rng, ITEMS);
		s.indptr[user + 1] = s.n_events;
	}
	return s;
}

/* RoBERTa's special tokens, and words that each are a token. */
static struct tokenizer *make_tokenizer(int64_t vocabulary)
{
	json_t *vocab = json_pack("{s:i, s:i, s:i, s:i, s:i}", "<s>", 0, "<pad>", 1, "</s>", 2, "<unk>", 3, "<mask>", 4);
	for (int64_t id = 5; id < vocabulary; id++) {
		char *word = xasprintf("Ġ%lld", (long long)id);
		json_object_set_new(vocab, word, json_integer(id));
		free(word);
	}
	json_t *document = json_pack("{s:s, s:[], s:{s:s, s:b, s:b, s:b}, s:{s:s}, s:{s:s, s:o, s:[]}}", "version", "1.0",
		"added_tokens", "pre_tokenizer", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1, "use_regex", 1,
		"decoder", "type", "ByteLevel", "model", "type", "BPE", "vocab", vocab, "merges");
	struct tokenizer *tokenizer = tokenizer_from_json(document, "words");
	json_decref(document);
	return tokenizer;
}

struct bench {
	struct tokenizer *tokenizer;
	struct catalog catalog;
	struct sequences sequences;
	struct model *model;
	struct trainer *trainer; /* these two from the first step on */
	struct task *task;
	int threads;
	enum precision precision;
};

static void set_up(struct bench *b, char **argument)
{
	struct rng rng;
	rng_seed(&rng, 1);
	*b = (struct bench){.tokenizer = make_tokenizer(atoll(argument[3])), .threads = atoi(argument[4])};
	b->catalog = make_catalog(b->tokenizer, &rng);
	b->sequences = make_sequences(&rng);
	json_t *config = json_pack("{s:I, s:I, s:I, s:s}", "num_hidden_layers", (json_int_t)atoll(argument[0]),
		"hidden_size", (json_int_t)atoll(argument[1]), "num_attention_heads", (json_int_t)atoll(argument[2]),
		"initialiser", "normal");
	const struct recformer_from from = {.size = -1};
	b->model = recformer_started(
		&(struct recformer_start){.config = config, .tokenizer = b->tokenizer, .rng = &rng, .from = &from}, true);
	encoder_read(b->model, &b->catalog);
	omp_set_num_threads(b->threads);
}

static void tear_down(struct bench *b)
{
	if (b->task)
		b->task->free(b->task);
	trainer_free(b->trainer);
	model_free(b->model);
	tokenizer_free(b->tokenizer);
	catalog_free(&b->catalog);
	sequences_free(&b->sequences);
}

struct stopwatch {
	double started;
	clock_t clock;
};

static struct stopwatch start(void)
{
	return (struct stopwatch){seconds_now(), clock()};
}

static void answer(const struct stopwatch *watch, double value)
{
	printf("%.6f %.6f %.6f %.1f\n", seconds_now() - watch->started, (double)(clock() - watch->clock) / CLOCKS_PER_SEC,
		value, peak_memory_mib());
}

static void prepare_training(struct bench *b)
{
	const struct pretrain_options pretraining = {.words_weight = .1, .mask_rate = .15, .valid_users = 1};
	struct optimisation optimisation = {.adamw = ADAMW_DEFAULTS, .clip = 1, .precision = b->precision};
	optimisation.adamw.rate = 5e-5;
	recformer_by_rows(b->model);
	b->trainer = trainer_new(&b->model->params, &optimisation, b->threads);
	b->task = pretrain_task(b->model, &b->sequences, b->tokenizer, MOST_USERS, &pretraining, b->trainer->n_workers);
}

static void step(struct bench *b, int64_t users)
{
	int64_t example[MOST_USERS];
	struct step_result result;
	if (users < 1 || users > MOST_USERS)
		die("1 to %d users were expected", MOST_USERS);
	for (int64_t i = 0; i < users; i++)
		example[i] = i;
	if (!b->task)
		prepare_training(b);
	struct stopwatch watch = start();
	b->task->step(b->task, b->trainer, example, users, (uint64_t)b->trainer->adamw->step, &result);
	answer(&watch, result.loss / (double)users);
}

/* False where the line names no precision. */
static bool change_precision(struct bench *b, const char *line)
{
	for (int i = 0; precision_names[i]; i++)
		if (!strncmp(line, precision_names[i], strlen(line) - 1)) {
			b->precision = (enum precision)i;
			products_in(b->precision);
			return true;
		}
	return false;
}

static void encode(struct bench *b, int64_t items)
{
	if (items < 1 || items > ITEMS)
		die("1 to %d items were expected", ITEMS);
	float *vectors = xaligned((size_t)(items * b->model->width), sizeof *vectors);
	b->catalog.n_items = items;
	struct stopwatch watch = start();
	encoder_items(b->model, vectors);
	answer(&watch, sqrt(vec_sum_of_squares(vectors, items * b->model->width) / (double)items));
	b->catalog.n_items = ITEMS;
	free(vectors);
}

int main(int argc, char **argv)
{
	blas_init(argv);
	program_name = "recformer";
	if (argc != 6)
		die("LAYERS WIDTH HEADS VOCABULARY THREADS were expected");
	struct bench b;
	set_up(&b, argv + 1);
	char *line = NULL;
	size_t room = 0;
	while (getline(&line, &room, stdin) > 0) {
		long long n;
		if (sscanf(line, "step %lld", &n) == 1)
			step(&b, n);
		else if (sscanf(line, "encode %lld", &n) == 1)
			encode(&b, n);
		else if (change_precision(&b, line))
			printf("\n");
		else
			die("%s", line);
		fflush(stdout);
	}
	tear_down(&b);
	free(line);
	return 0;
}
