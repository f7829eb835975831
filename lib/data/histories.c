#include "data/histories.h"

enum { ITEM, TIMESTAMP };

struct histories histories_part(const struct histories *histories, int64_t from, int64_t to)
{
	struct histories part = *histories;
	part.rows = to - from;
	part.indptr += from;
	return part;
}

struct ragged histories_new(const struct sequences *sequences)
{
	struct ragged packed = RAGGED(I4, I8);
	packed.n_fields = sequences->timestamp ? 2 : 1;
	ragged_clear(&packed);
	return packed;
}

void histories_append(struct ragged *packed, const struct sequences *sequences, int64_t first, int64_t n)
{
	const int64_t *timestamp = sequences->timestamp ? sequences->timestamp + first : NULL;
	ragged_append(packed, n, (const void *[]){sequences->item + first, timestamp});
}

struct histories histories_of(const struct ragged *packed)
{
	return (struct histories){packed->rows, packed->indptr, packed->field[ITEM],
		packed->n_fields > TIMESTAMP ? packed->field[TIMESTAMP] : NULL};
}
