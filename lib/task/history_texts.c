#include "task/history_texts.h"

#include <stdlib.h>
#include <string.h>

#include "task/language.h"

enum { INPUT, TARGET };

/* Of a user: events [first, first + length), of which the last are learned, or only the very last. */
struct example {
	int64_t first, length;
};

struct history_texts {
	struct task task;
	struct next *next;
	struct history_form form;
	const struct sequences *sequences;
	const struct item_tokens *texts;
	struct example *learned, *valid;
	int64_t n_valid, tokens;
	struct ragged batch; /* INPUT, with its start token, and TARGET, which follows it; -1: not to be learned */
};

/* --- examples --- */

static bool has_text(const struct history_texts *task, int64_t event)
{
	int64_t item = task->sequences->item[event];
	return task->texts->indptr[item + 1] > task->texts->indptr[item];
}

/* Of a user's events before `end`: back to as many as have texts and the form takes. length 0: fewer than two have. */
static struct example example_of(const struct history_texts *task, int64_t user, int64_t end)
{
	int64_t from = task->sequences->indptr[user], first = from + end, n = 0;
	while (first > from && n < task->form.items)
		n += has_text(task, --first);
	return (struct example){first, n > 1 ? from + end - first : 0};
}

static void list_learned(struct history_texts *task)
{
	const struct sequences *sequences = task->sequences;
	task->learned = xreallocarray(NULL, (size_t)sequences->n_users + 1, sizeof *task->learned);
	for (int64_t user = 0; user < sequences->n_users; user++) {
		struct example example = example_of(task, user, train_length(sequences, user));
		if (example.length)
			task->learned[task->task.examples++] = example;
	}
	if (!task->task.examples)
		die("sequences: no user has two training events of items with text, there is nothing to learn");
}

/* Spread over all users, as those of one place in the file may be alike. */
static void list_valid(struct history_texts *task)
{
	const struct sequences *sequences = task->sequences;
	struct example *all = xreallocarray(NULL, (size_t)sequences->n_users + 1, sizeof *all);
	int64_t n = 0, most = task->form.valid_users;
	for (int64_t user = 0; user < sequences->n_users; user++) {
		int64_t target = target_index(sequences, user, PART_VALID);
		if (target < 1 || !has_text(task, sequences->indptr[user] + target))
			continue;
		all[n] = example_of(task, user, target + 1);
		n += all[n].length > 0;
	}
	task->n_valid = n < most ? n : most;
	for (int64_t i = 0; i < task->n_valid; i++)
		all[i] = all[i * n / task->n_valid];
	task->valid = all;
}

/* --- batches --- */

static void put(int32_t *tokens, int64_t *n, const int32_t *more, int64_t count)
{
	memcpy(tokens + *n, more, (size_t)count * sizeof *tokens);
	*n += count;
}

/* Tokens of the example: the start, texts and separators. */
static int64_t tokens_of(const struct history_texts *task, struct example example)
{
	const struct item_tokens *texts = task->texts;
	int64_t n = 1;
	for (int64_t event = example.first; event < example.first + example.length; event++) {
		int64_t item = task->sequences->item[event];
		if (has_text(task, event))
			n += texts->indptr[item + 1] - texts->indptr[item] + task->form.n_separator;
	}
	return n;
}

/* Appends the example, of which the texts behind the first are learned, or the last one alone. */
static void add_example(struct history_texts *task, struct example example, bool last_alone)
{
	const struct item_tokens *texts = task->texts;
	int64_t length = tokens_of(task, example) - 1, at = ragged_add(&task->batch, length + 1), n = 0, from = 0;
	int32_t *input = (int32_t *)task->batch.field[INPUT] + at, *target = (int32_t *)task->batch.field[TARGET] + at;
	put(input, &n, &task->form.start, 1);
	for (int64_t event = example.first; event < example.first + example.length; event++) {
		int64_t item = task->sequences->item[event], before = n;
		if (!has_text(task, event))
			continue;
		put(input, &n, texts->ids + texts->indptr[item], texts->indptr[item + 1] - texts->indptr[item]);
		put(input, &n, task->form.separator, task->form.n_separator);
		if (last_alone)
			from = before;
		else if (!from)
			from = n;
	}
	for (int64_t i = 0; i < length; i++)
		target[i] = i + 1 >= from ? input[i + 1] : -1;
	ragged_shorten(&task->batch, length);
}

/* Those of a list, or, `of` NULL, the first n. */
static struct histories fill_batch(struct history_texts *task, const struct example *examples, const int64_t of[],
	int64_t n)
{
	ragged_clear(&task->batch);
	for (int64_t i = 0; i < n; i++)
		add_example(task, examples[of ? of[i] : i], examples == task->valid);
	return (struct histories){.rows = n, .indptr = task->batch.indptr, .item = task->batch.field[INPUT]};
}

static void step(struct task *base, struct trainer *trainer, const int64_t example[], int64_t n, uint64_t seed,
	struct step_result *result)
{
	struct history_texts *task = (struct history_texts *)base;
	const struct histories histories = fill_batch(task, task->learned, example, n);
	next_step(task->next, trainer, &histories, task->batch.field[TARGET], seed, result);
}

static bool validate(struct task *base, struct trainer *trainer, int64_t epoch, double measured[])
{
	struct history_texts *task = (struct history_texts *)base;
	(void)epoch;
	if (!task->n_valid)
		return false;
	const struct histories histories = fill_batch(task, task->valid, NULL, task->n_valid);
	language_measure(task->next, trainer, &histories, task->batch.field[TARGET], measured);
	return true;
}

static void free_task(struct task *base)
{
	struct history_texts *task = (struct history_texts *)base;
	next_free(task->next);
	ragged_free(&task->batch);
	free(task->learned);
	free(task->valid);
	free(task);
}

struct task *history_texts_task(struct model *model, const struct sequences *sequences, const struct item_tokens *texts,
	const struct history_form *form, int workers)
{
	struct history_texts *task = xcalloc(1, sizeof *task);
	*task = (struct history_texts){.task = {.step = step, .validate = validate, .free = free_task},
		.form = *form,
		.sequences = sequences,
		.texts = texts,
		.batch = RAGGED(I4, I4)};
	int64_t longest = model_max_length(model), most = form->items * (texts->budget + form->n_separator);
	if (longest && most > longest)
		die("%s of %s, and what stands between them, are %s, of which the model reads %lld; "
			"less than --last or --max-tokens is",
			counted(form->items, "items"), counted(texts->budget, "tokens"), counted(most, "tokens"),
			(long long)longest);
	list_learned(task);
	list_valid(task);
	for (int64_t i = 0; i < task->task.examples; i++)
		task->tokens += tokens_of(task, task->learned[i]) - 1;
	if (task->n_valid)
		language_measures(&task->task);
	task->next = next_new(model, &(struct loss_options){.loss = LOSS_CE}, workers);
	return &task->task;
}

void history_texts_counts(const struct task *base, int64_t *tokens, int64_t *validated)
{
	const struct history_texts *task = (const struct history_texts *)base;
	*tokens = task->tokens;
	*validated = task->n_valid;
}
