#include <stdlib.h>
#include <string.h>

#include "rank/ensemble.h"

static void read_model(const char *option, const char *value, void *values)
{
	struct ensemble_options *options = values;
	if (options->n_models == ENSEMBLE_MOST)
		die_usage("%s %s: %d models at most are taken", option, value, ENSEMBLE_MOST);
	options->models[options->n_models++] = (char *)(uintptr_t)value;
}

static void read_weights(const char *option, const char *value, void *values)
{
	struct ensemble_options *options = values;
	char **list = split_list(value);
	double sum = 0;
	int n = 0;
	for (; list[n]; sum += options->weights[n++])
		if (n == ENSEMBLE_MOST || !parse_float(list[n], 0, 1e6, &options->weights[n]))
			die_usage("%s %s: numbers from 0 to 1000000 were expected, one for each --model", option, value);
	if (sum <= 0)
		die_usage("%s %s: one of them must be more than 0", option, value);
	options->n_weights = n;
	free(list);
}

const struct option ensemble_options[] = {
	{"model", .argument = "STREAM", OWN_OPTION(read_model), .no_effect = true, .may_be_stdin = true,
		.help = "Rank with the model of this stream; given again, with all of these together"},
	{"weights", .argument = "A,B", OWN_OPTION(read_weights), .only = "model",
		.help = "How much each of several models counts (default chosen on the validation items)"},
	{0},
};

void ensemble_check(const struct ensemble_options *options)
{
	for (int i = 0; i < options->n_models; i++)
		for (int other = 0; other < i; other++)
			if (!strcmp(options->models[i], options->models[other]))
				die_usage("--model %s is given twice", options->models[i]);
	if (options->n_weights && (options->n_models < 2 || options->n_weights != options->n_models))
		die_usage("--weights has %s, and --model is given %s: one for each of two and more was expected",
			counted(options->n_weights, "numbers"), counted(options->n_models, "times"));
}
