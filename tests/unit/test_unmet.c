/*
 * Scores completed by texts: values that NumPy gives, the same whatever else is asked with a history, and what must
 * stay as it is.
 */
#include "model/unmet.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 2, ITEMS = 40, LOOKED_AT = 12 };

static const int64_t indptr[] = {0, 3, 4};
static const int32_t item[] = {0, 5, 33, 11};

static struct histories histories_of_rows(int64_t from, int64_t to)
{
	return (struct histories){to - from, indptr + from, item, NULL};
}

static void make(float scores[], float texts[], float share[])
{
	int32_t met[ITEMS];
	for (int i = 0; i < ROWS * ITEMS; i++) {
		scores[i] = (float)(i * 37 % 101) / 64;
		texts[i] = (float)(i * 53 % 97) / 64;
		met[i % ITEMS] = i % ITEMS * 7 % 11;
	}
	float *made = unmet_shares(met, ITEMS);
	memcpy(share, made, sizeof met);
	free(made);
}

/*
 * i = np.arange(80); S = (i * 37 % 101 / 64).reshape(2, 40); T = (i * 53 % 97 / 64).reshape(2, 40)
 * m = np.arange(40) * 7 % 11
 * def height(x, seen): return np.sort(np.delete(x, seen))[-10] - x.mean()
 * for s, t, seen in (S[0], T[0], [0, 5, 33]), (S[1], T[1], [11]):
 *     lack = (1 - 1 / (1 + 2 * m)).mean() ** 2 / (1 + 2 * m)
 *     print(s + .5 * lack * height(s, seen) / height(t, seen) * (t - t.mean()), t / height(t, seen))
 */
static const double completed[ROWS][LOOKED_AT] = {
	{-0.2527331, 0.5815253, 1.1275136, 0.1611349, 0.7228691, 1.3433323, 0.3073422, 0.9093286, 1.4532765, 0.4838863,
		1.0474481, -0.2001272},
	{1.1993536, 0.0277374, 0.6398415, 1.1871416, 0.1699369, 0.7731520, 1.3341101, 0.3512770, 0.8758765, 1.5075270,
		0.4896852, 1.2512466},
};
static const double of_texts[ROWS][4] = {
	{0.0000000, 2.5358852, 0.4306220, 2.9665072},
	{3.2549020, 1.5294118, 3.6078431, 1.8823529},
};

static void values_are_those_of_numpy(void **state)
{
	(void)state;
	float scores[ROWS * ITEMS], texts[ROWS * ITEMS], sum[ROWS * ITEMS] = {0};
	float share[ITEMS];
	const struct histories both = histories_of_rows(0, ROWS);
	make(scores, texts, share);
	unmet_complete(scores, texts, ITEMS, share, .5, &both);
	unmet_add_texts(sum, texts, ITEMS, &both);
	for (int row = 0; row < ROWS; row++) {
		for (int i = 0; i < LOOKED_AT; i++)
			assert_true(fabs((double)scores[row * ITEMS + i] - completed[row][i]) < 1e-6);
		for (int i = 0; i < 4; i++)
			assert_true(fabs((double)sum[row * ITEMS + i] - of_texts[row][i]) < 1e-6);
	}
}

static void a_history_alone_has_the_same_bits(void **state)
{
	(void)state;
	float together[ROWS * ITEMS], alone[ROWS * ITEMS], texts[ROWS * ITEMS];
	float share[ITEMS];
	const struct histories both = histories_of_rows(0, ROWS), last = histories_of_rows(1, ROWS);
	make(together, texts, share);
	memcpy(alone, together, sizeof alone);
	unmet_complete(together, texts, ITEMS, share, .5, &both);
	unmet_complete(alone + ITEMS, texts + ITEMS, ITEMS, share, .5, &last);
	assert_memory_equal(together + ITEMS, alone + ITEMS, ITEMS * sizeof *alone);
}

static void what_says_nothing_changes_nothing(void **state)
{
	(void)state;
	float scores[ROWS * ITEMS], before[ROWS * ITEMS], texts[ROWS * ITEMS], equal[ROWS * ITEMS] = {0};
	float share[ITEMS];
	int32_t all[ITEMS];
	const int64_t everything[] = {0, ITEMS};
	for (int i = 0; i < ITEMS; i++)
		all[i] = i;
	const struct histories one = histories_of_rows(0, 1), whole = {1, everything, all, NULL};
	make(scores, texts, share);
	memcpy(before, scores, sizeof before);
	unmet_complete(scores, equal, ITEMS, share, .5, &one);
	unmet_complete(scores, texts, ITEMS, share, .5, &whole);
	unmet_add_texts(scores, equal, ITEMS, &one);
	assert_memory_equal(scores, before, sizeof before);
	unmet_complete(equal, texts, ITEMS, share, .5, &one);
	for (int i = 0; i < ITEMS; i++)
		assert_true(equal[i] == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_those_of_numpy),
		cmocka_unit_test(a_history_alone_has_the_same_bits),
		cmocka_unit_test(what_says_nothing_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
