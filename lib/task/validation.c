#include "task/validation.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "rank/recommend.h"
#include "stream/ranks.h"

static const char *const seen_names[] = {"remove", "keep", NULL};

static void all_users(void *values)
{
	((struct validation_options *)values)->users = INT32_MAX;
}

const struct option validation_options[] = {
	{.key = "valid_users",
		WHOLE_OPTION(struct validation_options, users, 1, INT32_MAX),
		.derive = all_users,
		.fallback = "all",
		.help = "Validate on the first so many users"},
	{.key = "seen",
		CHOICE_OPTION(struct validation_options, seen, seen_names),
		.fallback = "remove",
		.help = "Items of the history in validation's rankings: remove or keep"},
	{0},
};

struct validation validation_new(const struct sequences *sequences, const struct validation_options *options)
{
	struct validation validation = {.options = *options,
		.packed = histories_new(sequences),
		.target = xreallocarray(NULL, (size_t)sequences->n_users, sizeof(int32_t))};
	for (int64_t user = 0; user < sequences->n_users && validation.rows < options->users; user++) {
		int64_t length = target_index(sequences, user, PART_VALID), first = sequences->indptr[user];
		if (length < 1)
			continue;
		histories_append(&validation.packed, sequences, first, length);
		validation.target[validation.rows++] = sequences->item[first + length];
	}
	const char *wrong = measures_parse("ndcg@10,recall@10", NULL, 0, &validation.measures);
	assert(!wrong && validation.measures.count == VALIDATION_MEASURES);
	for (int i = 0; i < VALIDATION_MEASURES; i++) {
		const struct measure *measure = &validation.measures.at[i];
		assert(measure->cut == VALIDATION_CUT);
		snprintf(validation.title[i], sizeof validation.title[i], "%s%s@%lld", i ? "" : "valid ",
			measure->metric->title, (long long)measure->cut);
	}
	validation.greater = xcalloc((size_t)validation.rows, sizeof *validation.greater);
	validation.equal = xcalloc((size_t)validation.rows, sizeof *validation.equal);
	return validation;
}

void validation_free(struct validation *validation)
{
	ragged_free(&validation->packed);
	measures_free(&validation->measures);
	free(validation->target);
	free(validation->greater);
	free(validation->equal);
}

struct histories validation_part(const struct validation *validation, int64_t from, int64_t to)
{
	const struct histories all = histories_of(&validation->packed);
	return histories_part(&all, from, to);
}

bool validation_measure(const struct validation *validation, const struct model *model,
	double measured[VALIDATION_MEASURES])
{
	int64_t from, to;
	ranks_share(validation->rows, 1, &from, &to);
	const struct histories part = validation_part(validation, from, to);
	if (rank_targets(model, &part, validation->target + from, validation->options.seen == SEEN_REMOVE, VALIDATION_CUT,
			validation->greater + from, validation->equal + from) >= 0)
		return false;
	for (int i = 0; i < VALIDATION_MEASURES; i++) {
		measured[i] = 0;
		for (int64_t row = from; row < to; row++)
			measured[i] += measure_value(&validation->measures.at[i], validation->greater[row], validation->equal[row],
							   TIES_AVERAGE) /
				(double)validation->rows;
	}
	ranks_sum(measured, VALIDATION_MEASURES);
	return true;
}

void validation_name(const struct validation *validation, struct task *task)
{
	for (int i = 0; i < VALIDATION_MEASURES && validation->rows; i++) {
		task->measures[i] = validation->title[i];
		task->keys[i] = validation->measures.at[i].name;
	}
}
