#include "model/param_members.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void params_write(struct bag_out *out, const struct params *params)
{
	for (int i = 0; i < params->count; i++) {
		char name[sizeof params->list[i]->name + 4];
		snprintf(name, sizeof name, "%s.npy", params->list[i]->name);
		struct tensor tensor = param_tensor(params->list[i]);
		bag_add_tensor(out, name, &tensor);
	}
}

static void read_values(const struct param *param, const struct member *member)
{
	struct tensor tensor, expected = param_tensor(param);
	npy_parse(member->bytes, member->size, &tensor, member->where);
	if (tensor.n_dims != expected.n_dims ||
		memcmp(tensor.shape, expected.shape, (size_t)tensor.n_dims * sizeof *tensor.shape) != 0) {
		char is[128], should_be[128];
		die("%s: %s, %s was expected", member->where, tensor_describe(&tensor, is),
			tensor_describe(&expected, should_be));
	}
	tensor_convert(&tensor, F4, param->value, member->where);
}

int params_named(const struct params *params, const char *member)
{
	for (int i = 0; i < params->count; i++) {
		const size_t length = strlen(params->list[i]->name);
		if (!strncmp(member, params->list[i]->name, length) && !strcmp(member + length, ".npy"))
			return i;
	}
	return -1;
}

int params_read(struct params *params, const struct member *member)
{
	const int i = params_named(params, member->name);
	if (i >= 0)
		read_values(params->list[i], member);
	return i;
}
