/*
 * Makes events for benches: `events EVENTS USERS ITEMS` writes a CSV in order of time, as a shop's log is; with
 * `sorted` behind it by user, then time. Items are met the more often, the smaller their number.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "stream/util.h"

static int64_t count_of(const char *text)
{
	int64_t count;
	if (!parse_int(text, 1, INT64_MAX / 2, &count))
		die("%s: a count was expected", text);
	return count;
}

int main(int argc, char **argv)
{
	const bool by_user = argc == 5 && !strcmp(argv[4], "sorted");
	if (argc != 4 && !by_user)
		die("usage: events EVENTS USERS ITEMS [sorted]");
	const int64_t events = count_of(argv[1]), users = count_of(argv[2]), items = count_of(argv[3]);
	struct rng rng;
	rng_seed(&rng, 1);
	puts("user_id,item_id,timestamp");
	for (int64_t i = 0; i < events; i++) {
		const int64_t user = by_user ? (int64_t)((double)i / (double)events * (double)users) :
									   (int64_t)rng_below(&rng, (uint64_t)users);
		const double place = rng_uniform(&rng);
		printf("u%07" PRId64 ",i%07" PRId64 ",%" PRId64 "\n", user, (int64_t)(place * place * (double)items),
			1300000000 + i);
	}
	return 0;
}
