#include "model/interactions.h"

#include <stdlib.h>

#include "model/content.h"

#define PLACES_EXACT (1 << 24) /* in a float */

struct sparse interactions_of(const struct histories *histories, int64_t n_items)
{
	const size_t events = (size_t)(histories->indptr[histories->rows] - histories->indptr[0]);
	struct sparse users = {
		.rows = histories->rows,
		.columns = n_items,
		.indptr = xcalloc((size_t)histories->rows + 1, sizeof *users.indptr),
		.column = xreallocarray(NULL, events + 1, sizeof *users.column),
		.value = xreallocarray(NULL, events + 1, sizeof *users.value),
	};
	int64_t *met = xcalloc((size_t)n_items, sizeof *met); /* the last row that met it, from 1 */
	for (int64_t row = 0; row < users.rows; row++) {
		int32_t *item = users.column + users.indptr[row];
		int64_t n = 0;
		for (int64_t i = histories->indptr[row + 1]; i-- > histories->indptr[row];)
			if (met[histories->item[i]] != row + 1) {
				met[histories->item[i]] = row + 1;
				item[n++] = histories->item[i];
			}
		for (int64_t i = 0; i < n / 2; i++) {
			const int32_t last = item[n - 1 - i];
			item[n - 1 - i] = item[i];
			item[i] = last;
		}
		if (n > PLACES_EXACT)
			die("a user has met %s, and %d at most are taken", counted(n, "different items"), PLACES_EXACT);
		for (int64_t i = 0; i < n; i++)
			users.value[users.indptr[row] + i] = (float)i;
		users.indptr[row + 1] = users.indptr[row] + n;
	}
	free(met);
	return users;
}

struct pair_worth pair_worth_of(double decay, const struct sparse *users)
{
	int64_t longest = 0;
	for (int64_t row = 0; row < users->rows; row++) {
		const int64_t length = users->indptr[row + 1] - users->indptr[row];
		longest = length > longest ? length : longest;
	}
	struct pair_worth pair = {.reach = history_reach(decay, longest)};
	pair.worth = xreallocarray(NULL, (size_t)pair.reach + 1, sizeof *pair.worth);
	for (int64_t steps = 0; steps < pair.reach; steps++)
		pair.worth[steps] = (float)history_weight(decay, steps);
	return pair;
}

int64_t pairs_around(const struct pair_worth *pair, const struct sparse *users, int64_t row, int64_t place,
	int64_t *from, int64_t *to)
{
	const int64_t first = users->indptr[row], end = users->indptr[row + 1], here = first + place;
	*from = place < pair->reach ? first : here - pair->reach + 1;
	*to = end - here < pair->reach ? end : here + pair->reach;
	return here;
}
