#include "model/rotary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double positive(const json_t *scaling, const char *key, double fallback, const char *where)
{
	const json_t *value = json_object_get(scaling, key);
	if (fallback > 0 && (!value || json_is_null(value)))
		return fallback;
	double number = json_get_number(scaling, key, where);
	if (!(number > 0 && isfinite(number)))
		die("%s: rope_scaling: \"%s\" is %g, a number above 0 was expected", where, key, number);
	return number;
}

static void divide_all(struct rope *rope, float *frequency, double factor)
{
	for (int64_t m = 0; m < rope->turned / 2; m++)
		frequency[m] = (float)((double)frequency[m] / factor);
}

static void scale_linear(struct rope *rope, float *frequency, double base, const json_t *scaling, const char *where)
{
	(void)base;
	divide_all(rope, frequency, positive(scaling, "factor", 0, where));
}

/* Long waves are slowed down by the factor, short ones kept, those between blended. */
static void scale_llama3(struct rope *rope, float *frequency, double base, const json_t *scaling, const char *where)
{
	(void)base;
	double factor = positive(scaling, "factor", 0, where);
	double low = json_get_number(scaling, "low_freq_factor", where),
		   high = json_get_number(scaling, "high_freq_factor", where);
	double length = positive(scaling, "original_max_position_embeddings", 0, where);
	if (!(high > low))
		die("%s: rope_scaling: \"high_freq_factor\" is not above \"low_freq_factor\"", where);
	for (int64_t m = 0; m < rope->turned / 2; m++) {
		double was = (double)frequency[m], share = (length * was / (2 * acos(-1)) - low) / (high - low);
		share = share < 0 ? 0 : share > 1 ? 1 : share;
		frequency[m] = (float)((1 - share) * was / factor + share * was);
	}
}

/* The pair, counted in fractions, that turns so often within the length. */
static double pair_of_turns(const struct rope *rope, double turns, double length, double base)
{
	return (double)rope->turned * log(length / (turns * 2 * acos(-1))) / (2 * log(base));
}

static double yarn_attention(const json_t *scaling, double factor, const char *where)
{
	double growth = factor > 1 ? .1 * log(factor) : 0;
	bool both = json_number_value(json_object_get(scaling, "mscale")) != 0 &&
		json_number_value(json_object_get(scaling, "mscale_all_dim")) != 0;
	double usual = both ? (growth * positive(scaling, "mscale", 0, where) + 1) /
			(growth * positive(scaling, "mscale_all_dim", 0, where) + 1) :
						  growth + 1;
	return positive(scaling, "attention_factor", usual, where);
}

/* As llama3, but blended along the pairs, and what attention sees is multiplied. */
static void scale_yarn(struct rope *rope, float *frequency, double base, const json_t *scaling, const char *where)
{
	double factor = positive(scaling, "factor", 0, where);
	double length = positive(scaling, "original_max_position_embeddings", 0, where);
	double low = pair_of_turns(rope, positive(scaling, "beta_fast", 32, where), length, base);
	double high = pair_of_turns(rope, positive(scaling, "beta_slow", 1, where), length, base);
	if (!json_is_false(json_object_get(scaling, "truncate"))) {
		low = floor(low);
		high = ceil(high);
	}
	low = low > 0 ? low : 0;
	high = high < (double)(rope->turned - 1) ? high : (double)(rope->turned - 1);
	double width = high == low ? .001 : high - low;
	for (int64_t m = 0; m < rope->turned / 2; m++) {
		double was = (double)frequency[m], slowed = ((double)m - low) / width;
		slowed = slowed < 0 ? 0 : slowed > 1 ? 1 : slowed;
		frequency[m] = (float)(slowed * was / factor + (1 - slowed) * was);
	}
	rope->scale = (float)yarn_attention(scaling, factor, where);
}

static void scale_each(struct rope *rope, float *frequency, double base, const json_t *scaling, const char *where)
{
	(void)base;
	const json_t *list = json_object_get(scaling, "factors");
	int64_t pairs = rope->turned / 2;
	if (json_array_size(list) != (size_t)pairs)
		die("%s: rope_scaling: \"factors\" are %zu, %lld were expected", where, json_array_size(list),
			(long long)pairs);
	for (int64_t m = 0; m < pairs; m++) {
		double factor = json_number_value(json_array_get(list, (size_t)m));
		if (!(factor > 0))
			die("%s: rope_scaling: a factor of %g", where, factor);
		frequency[m] = (float)((double)frequency[m] / factor);
	}
	rope->scale = (float)positive(scaling, "attention_factor", 1, where);
}

static void keep_all(struct rope *rope, float *frequency, double base, const json_t *scaling, const char *where)
{
	(void)rope, (void)frequency, (void)base, (void)scaling, (void)where;
}

static const struct {
	const char *type;
	void (*scale)(struct rope *rope, float *frequency, double base, const json_t *scaling, const char *where);
} scalings[] = {{"linear", scale_linear}, {"llama3", scale_llama3}, {"yarn", scale_yarn}, {"factors", scale_each},
	{"dynamic", keep_all}};

static void apply(struct rope *rope, float *frequency, double base, const json_t *scaling, const char *where)
{
	const char *type = json_get_string(scaling, "rope_type", where);
	for (size_t i = 0; i < COUNT_OF(scalings); i++)
		if (!strcmp(scalings[i].type, type)) {
			scalings[i].scale(rope, frequency, base, scaling, where);
			return;
		}
	die("%s: \"rope_type\" is \"%.40s\", linear, llama3, yarn, longrope, factors or dynamic was expected", where, type);
}

struct rope rotary_of(int64_t width, int64_t turned, enum rope_pairing pairing, double base, const json_t *scaling,
	const char *where)
{
	float *frequency = xaligned((size_t)(turned / 2), sizeof *frequency);
	struct rope rope = {.width = width, .pairing = pairing, .frequency = frequency, .turned = turned, .scale = 1};
	for (int64_t m = 0; m < turned / 2; m++)
		frequency[m] = (float)pow(base, -2 * (double)m / (double)turned);
	if (scaling && !json_is_null(scaling))
		apply(&rope, frequency, base, scaling, where);
	return rope;
}

void rotary_free(struct rope *rope)
{
	free((float *)(uintptr_t)rope->frequency);
	rope->frequency = NULL;
}
