#include "task/validation.h"

#include <stdlib.h>

#include "rank/metric.h"
#include "rank/recommend.h"
#include "stream/ranks.h"

struct validation validation_new(const struct sequences *sequences, int64_t users)
{
	struct validation validation = {.packed = histories_new(sequences),
		.target = xreallocarray(NULL, (size_t)sequences->n_users, sizeof(int32_t))};
	for (int64_t user = 0; user < sequences->n_users && validation.rows < users; user++) {
		int64_t length = target_index(sequences, user, PART_VALID), first = sequences->indptr[user];
		if (length < 1)
			continue;
		histories_append(&validation.packed, sequences, first, length);
		validation.target[validation.rows++] = sequences->item[first + length];
	}
	validation.greater = xcalloc((size_t)validation.rows, sizeof *validation.greater);
	validation.equal = xcalloc((size_t)validation.rows, sizeof *validation.equal);
	return validation;
}

void validation_free(struct validation *validation)
{
	ragged_free(&validation->packed);
	free(validation->target);
	free(validation->greater);
	free(validation->equal);
}

struct histories validation_part(const struct validation *validation, int64_t from, int64_t to)
{
	const struct histories all = histories_of(&validation->packed);
	return histories_part(&all, from, to);
}

bool validation_measure(const struct validation *validation, const struct model *model, bool keep_seen,
	double measured[2])
{
	int64_t from, to;
	ranks_share(validation->rows, 1, &from, &to);
	const struct histories part = validation_part(validation, from, to);
	if (rank_targets(model, &part, validation->target + from, !keep_seen, validation->greater + from,
			validation->equal + from) >= 0)
		return false;
	struct measures measures = measures_parse("ndcg@10,recall@10", NULL, 0);
	for (int i = 0; i < measures.count; i++) {
		measured[i] = 0;
		for (int64_t row = from; row < to; row++)
			measured[i] += measure_value(&measures.at[i], validation->greater[row], validation->equal[row],
							   TIES_AVERAGE) /
				(double)validation->rows;
	}
	ranks_sum(measured, measures.count);
	measures_free(&measures);
	return true;
}
