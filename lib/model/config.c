#include <string.h>

#include "model/model.h"

static json_t *config_value(struct model *model, const char *key, json_t *fallback)
{
	json_t *value = json_object_get(model->config, key);
	if (!value) {
		json_set(model->config, key, fallback);
		return fallback;
	}
	json_decref(fallback);
	return value;
}

int64_t config_int(struct model *model, const char *key, int64_t fallback, int64_t low, int64_t high, const char *where)
{
	config_value(model, key, json_integer(fallback));
	return json_get_int(model->config, key, low, high, where);
}

double config_real(struct model *model, const char *key, double fallback, double low, double high, const char *where)
{
	config_value(model, key, json_real(fallback));
	double value = json_get_number(model->config, key, where);
	if (!(value >= low && value <= high))
		die("%s: \"%s\" is %g, from %g to %g was expected", where, key, value, low, high);
	return value;
}

bool config_bool(struct model *model, const char *key, bool fallback, const char *where)
{
	config_value(model, key, json_boolean(fallback));
	return json_get_bool(model->config, key, where);
}

const char *config_text(struct model *model, const char *key, const char *fallback, const char *where)
{
	config_value(model, key, json_string(fallback));
	return json_get_string(model->config, key, where);
}

int config_choice(struct model *model, const char *key, const char *const names[], int fallback, const char *where)
{
	config_value(model, key, json_string(names[fallback]));
	const char *name = json_get_string(model->config, key, where);
	struct buffer known = {0};
	for (int i = 0; names[i]; i++) {
		if (!strcmp(names[i], name)) {
			buffer_free(&known);
			return i;
		}
		buffer_append(&known, i ? ", " : "", i ? 2 : 0);
		buffer_append(&known, names[i], strlen(names[i]));
	}
	buffer_append(&known, "", 1);
	die("%s: \"%s\" is \"%s\", one of %s was expected", where, key, name, known.data);
}
