#include "task/language.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HELD_OUT 20 /* every so manieth text */

struct language {
	struct task task;
	struct next *next;
	int64_t *indptr;          /* of all texts, each with its start token */
	int32_t *input, *target;  /* target[t] follows input[t] */
	int64_t *learned, *valid; /* texts */
	int64_t n_valid;
	struct histories batch; /* of packed copies */
	int64_t *batch_indptr;
	int32_t *batch_input, *batch_target;
};

struct text_ends text_ends_of(const struct tokenizer *tokenizer, const char *where)
{
	int32_t start = tokenizer_special(tokenizer, SPECIAL_BOS), end = tokenizer_special(tokenizer, SPECIAL_EOS);
	if (start < 0 && end < 0)
		die("%s: no token that begins or ends a text is known by name", where);
	return (struct text_ends){start < 0 ? end : start, end < 0 ? start : end};
}

static void add_text(struct language *task, const int32_t *token, int64_t n, struct text_ends ends, int64_t text)
{
	int64_t at = task->indptr[text];
	task->input[at] = ends.start;
	memcpy(task->input + at + 1, token, (size_t)n * sizeof *token);
	memcpy(task->target + at, token, (size_t)n * sizeof *token);
	task->target[at + n] = ends.end;
	task->indptr[text + 1] = at + n + 1;
}

/* Texts that are empty teach nothing. */
static void list_texts(struct language *task, const struct item_tokens *texts, struct text_ends ends)
{
	int64_t rows = texts->rows, n = 0;
	size_t room = (size_t)(texts->indptr[rows] - texts->indptr[0] + rows);
	task->indptr = xcalloc((size_t)rows + 1, sizeof *task->indptr);
	task->input = xreallocarray(NULL, room, sizeof *task->input);
	task->target = xreallocarray(NULL, room, sizeof *task->target);
	task->learned = xreallocarray(NULL, (size_t)rows, sizeof *task->learned);
	task->valid = xreallocarray(NULL, (size_t)rows, sizeof *task->valid);
	for (int64_t row = 0; row < rows; row++) {
		int64_t from = texts->indptr[row], length = texts->indptr[row + 1] - from;
		if (!length)
			continue;
		add_text(task, texts->ids + from, length, ends, n);
		if (n % HELD_OUT == HELD_OUT - 1)
			task->valid[task->n_valid++] = n;
		else
			task->learned[task->task.examples++] = n;
		n++;
	}
	if (!n)
		die("catalog: its items have no text, there is nothing to learn");
	task->batch_indptr = xreallocarray(NULL, (size_t)n + 1, sizeof *task->batch_indptr);
	task->batch_input = xreallocarray(NULL, room, sizeof *task->batch_input);
	task->batch_target = xreallocarray(NULL, room, sizeof *task->batch_target);
}

static void fill_batch(struct language *task, const int64_t texts[], const int64_t *of, int64_t n)
{
	task->batch_indptr[0] = 0;
	for (int64_t row = 0; row < n; row++) {
		int64_t text = of ? of[texts[row]] : texts[row], from = task->indptr[text], to = task->batch_indptr[row];
		int64_t length = task->indptr[text + 1] - from;
		memcpy(task->batch_input + to, task->input + from, (size_t)length * sizeof *task->input);
		memcpy(task->batch_target + to, task->target + from, (size_t)length * sizeof *task->target);
		task->batch_indptr[row + 1] = to + length;
	}
	task->batch = (struct histories){n, task->batch_indptr, task->batch_input};
}

static void step(struct task *base, struct trainer *trainer, const int64_t example[], int64_t n, uint64_t seed,
	struct step_result *result)
{
	struct language *task = (struct language *)base;
	fill_batch(task, example, task->learned, n);
	next_step(task->next, trainer, &task->batch, task->batch_target, seed, result);
}

static bool validate(struct task *base, struct trainer *trainer, int64_t epoch, double measured[])
{
	struct language *task = (struct language *)base;
	struct step_result result = {0};
	(void)epoch;
	if (!task->n_valid)
		return false;
	fill_batch(task, task->valid, NULL, task->n_valid);
	next_loss(task->next, trainer, &task->batch, task->batch_target, 0, &result);
	measured[0] = result.loss / (double)result.positions;
	measured[1] = exp(measured[0]);
	return true;
}

static void free_task(struct task *base)
{
	struct language *task = (struct language *)base;
	next_free(task->next);
	free(task->indptr);
	free(task->input);
	free(task->target);
	free(task->learned);
	free(task->valid);
	free(task->batch_indptr);
	free(task->batch_input);
	free(task->batch_target);
	free(task);
}

struct task *language_task(struct model *model, const struct item_tokens *texts, struct text_ends ends, int workers)
{
	struct language *task = xcalloc(1, sizeof *task);
	task->task = (struct task){.measures = {"valid NLL", "perplexity"},
		.keys = {"nll", "perplexity"},
		.lower_is_better = true,
		.step = step,
		.validate = validate,
		.free = free_task};
	list_texts(task, texts, ends);
	task->next = next_new(model, &(struct loss_options){.loss = LOSS_CE}, workers);
	return &task->task;
}
