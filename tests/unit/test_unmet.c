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

static void make(float scores[], float texts[], int32_t met[])
{
	for (int i = 0; i < ROWS * ITEMS; i++) {
		scores[i] = (float)(i * 37 % 101) / 64;
		texts[i] = (float)(i * 53 % 97) / 64;
		met[i % ITEMS] = i % ITEMS * 7 % 11;
	}
}

/*
 * i = np.arange(80); S = (i * 37 % 101 / 64).reshape(2, 40); T = (i * 53 % 97 / 64).reshape(2, 40)
 * m = np.arange(40) * 7 % 11
 * def height(x, seen): return np.sort(np.delete(x, seen))[-10] - x.mean()
 * for s, t, seen in (S[0], T[0], [0, 5, 33]), (S[1], T[1], [11]):
 *     print(s + .5 / (1 + 2 * m) * height(s, seen) / height(t, seen) * (t - t.mean()), t / height(t, seen))
 */
static const double completed[ROWS][LOOKED_AT] = {
	{-0.3981067, 0.5834812, 1.1109842, 0.1639448, 0.7162508, 1.3610672, 0.3043754, 0.9200870, 1.4443761, 0.4925929,
		1.0477777, -0.3422043},
	{1.2960478, 0.0257169, 0.6573661, 1.1869354, 0.1598346, 0.7774816, 1.3285652, 0.3556066, 0.8494179, 1.5118566,
		0.4837520, 1.3508272},
};
static const double of_texts[ROWS][4] = {
	{0.0000000, 2.5358852, 0.4306220, 2.9665072},
	{3.2549020, 1.5294118, 3.6078431, 1.8823529},
};

static void values_are_those_of_numpy(void **state)
{
	(void)state;
	float scores[ROWS * ITEMS], texts[ROWS * ITEMS], sum[ROWS * ITEMS] = {0};
	int32_t met[ITEMS];
	const struct histories both = histories_of_rows(0, ROWS);
	make(scores, texts, met);
	unmet_complete(scores, texts, ITEMS, met, .5, &both);
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
	int32_t met[ITEMS];
	const struct histories both = histories_of_rows(0, ROWS), last = histories_of_rows(1, ROWS);
	make(together, texts, met);
	memcpy(alone, together, sizeof alone);
	unmet_complete(together, texts, ITEMS, met, .5, &both);
	unmet_complete(alone + ITEMS, texts + ITEMS, ITEMS, met, .5, &last);
	assert_memory_equal(together + ITEMS, alone + ITEMS, ITEMS * sizeof *alone);
}

static void what_says_nothing_changes_nothing(void **state)
{
	(void)state;
	float scores[ROWS * ITEMS], before[ROWS * ITEMS], texts[ROWS * ITEMS], equal[ROWS * ITEMS] = {0};
	int32_t met[ITEMS], all[ITEMS];
	const int64_t everything[] = {0, ITEMS};
	for (int i = 0; i < ITEMS; i++)
		all[i] = i;
	const struct histories one = histories_of_rows(0, 1), whole = {1, everything, all, NULL};
	make(scores, texts, met);
	memcpy(before, scores, sizeof before);
	unmet_complete(scores, equal, ITEMS, met, .5, &one);
	unmet_complete(scores, texts, ITEMS, met, .5, &whole);
	unmet_add_texts(scores, equal, ITEMS, &one);
	assert_memory_equal(scores, before, sizeof before);
	unmet_complete(equal, texts, ITEMS, met, .5, &one);
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
