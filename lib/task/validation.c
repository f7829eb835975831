#include "task/validation.h"

#include <stdlib.h>
#include <string.h>

#include "rank/metric.h"
#include "rank/recommend.h"
#include "stream/ranks.h"

struct validation validation_new(const struct sequences *sequences, int64_t users)
{
	const size_t n = (size_t)sequences->n_users;
	struct validation validation = {.indptr = xcalloc(n + 1, sizeof(int64_t)),
		.item = xreallocarray(NULL, (size_t)sequences->n_events, sizeof(int32_t)),
		.target = xreallocarray(NULL, n, sizeof(int32_t))};
	int64_t rows = 0;
	for (int64_t user = 0; user < sequences->n_users && rows < users; user++) {
		int64_t length = target_index(sequences, user, PART_VALID), to = validation.indptr[rows];
		if (length < 1)
			continue;
		const int32_t *events = sequences->item + sequences->indptr[user];
		memcpy(validation.item + to, events, (size_t)length * sizeof *events);
		validation.target[rows++] = events[length];
		validation.indptr[rows] = to + length;
	}
	validation.rows = rows;
	validation.greater = xcalloc((size_t)rows, sizeof *validation.greater);
	validation.equal = xcalloc((size_t)rows, sizeof *validation.equal);
	return validation;
}

void validation_free(struct validation *validation)
{
	free(validation->indptr);
	free(validation->item);
	free(validation->target);
	free(validation->greater);
	free(validation->equal);
}

struct histories validation_part(const struct validation *validation, int64_t from, int64_t to)
{
	return (struct histories){to - from, validation->indptr + from, validation->item};
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
