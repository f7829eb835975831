#include "task/masking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST 512 /* tokens of a sequence */

struct masker {
	int64_t vocab;
	int32_t mask;
	double rate;
	bool *continues; /* by token: belongs to the word before it */
	int64_t *start;  /* scratch: words by their first token, and one more */
	int64_t capacity;
};

/* The first character of the token's spelling: ASCII, or of two bytes, as byte-level tokens spell bytes above 127. */
static bool starts_with_punctuation(const char *spelling)
{
	static const char *const others[] = {"¡", "§", "«", "¶", "·", "»", "¿"};
	unsigned char first = (unsigned char)*spelling;
	for (size_t i = 0; i < COUNT_OF(others); i++)
		if (!strncmp(spelling, others[i], 2))
			return true;
	return (first >= 33 && first <= 47) || (first >= 58 && first <= 64) || (first >= 91 && first <= 96) ||
		(first >= 123 && first <= 126);
}

/* A leading blank is spelled Ġ by byte-level tokenizers and ▁ by others. */
static bool starts_with_blank(const char *spelling)
{
	return *spelling == ' ' || !strncmp(spelling, "Ġ", 2) || !strncmp(spelling, "▁", 3);
}

struct masker *masker_new(const struct tokenizer *tokenizer, double rate)
{
	struct masker *masker = xcalloc(1, sizeof *masker);
	masker->vocab = tokenizer_vocab_size(tokenizer);
	masker->mask = tokenizer_special(tokenizer, SPECIAL_MASK);
	masker->rate = rate;
	if (masker->mask < 0)
		die("tokenizer: no mask token, which pre-training on masked words needs");
	masker->continues = xcalloc((size_t)masker->vocab, sizeof *masker->continues);
	for (int64_t id = 0; id < masker->vocab; id++) {
		const char *spelling = tokenizer_token(tokenizer, (int32_t)id);
		masker->continues[id] = spelling && !starts_with_blank(spelling) && !starts_with_punctuation(spelling);
	}
	return masker;
}

int32_t masker_token(const struct masker *masker)
{
	return masker->mask;
}

static int64_t find_words(struct masker *masker, const int32_t *token, int64_t n)
{
	if (n + 1 > masker->capacity) {
		masker->capacity = n + 1;
		masker->start = xreallocarray(masker->start, (size_t)masker->capacity, sizeof *masker->start);
	}
	int64_t words = 0;
	for (int64_t i = 1; i < n; i++)
		if (!words || !masker->continues[token[i]])
			masker->start[words++] = i;
	return words;
}

static int32_t replacement(const struct masker *masker, struct rng *rng, int32_t token)
{
	double draw = rng_uniform(rng);
	return draw < .8 ? masker->mask : draw < .9 ? (int32_t)rng_below(rng, (uint64_t)masker->vocab) : token;
}

int64_t mask_words(struct masker *masker, struct rng *rng, const int32_t *token, int64_t n, int32_t *masked,
	int32_t *label)
{
	memcpy(masked, token, (size_t)n * sizeof *masked);
	memset(label, -1, (size_t)n * sizeof *label);
	int64_t words = find_words(masker, token, n), taken = 0, most = (int64_t)nearbyint((double)n * masker->rate);
	most = most < 1 ? 1 : most > MOST ? MOST : most;
	for (int64_t left = words; left && taken < most; left--) {
		int64_t other = (int64_t)rng_below(rng, (uint64_t)left), first = masker->start[other], end = first + 1;
		masker->start[other] = masker->start[left - 1];
		while (end < n && masker->continues[token[end]])
			end++;
		if (taken + end - first > most)
			continue;
		for (int64_t i = first; i < end; i++) {
			label[i] = token[i];
			masked[i] = replacement(masker, rng, token[i]);
		}
		taken += end - first;
	}
	return taken;
}

void masker_free(struct masker *masker)
{
	if (!masker)
		return;
	free(masker->continues);
	free(masker->start);
	free(masker);
}
