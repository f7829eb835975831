/* Models with the numbers that a golden file has for them. */
#ifndef RECPIPE_TEST_GOLDEN_MODEL_H
#define RECPIPE_TEST_GOLDEN_MODEL_H

#include "golden.h"
#include "model/model.h"

/* What stands in NAME/case.json: "config", and "params", the count of each in the order of NAME/value.npy. */
static inline json_t *golden_document(const char *name)
{
	const struct golden_member *manifest = golden_find(name, "case.json");
	return json_parse(manifest->bytes, manifest->size, name);
}

/* config is stolen. */
static inline struct model *golden_model(const char *name, const json_t *document, json_t *config, int64_t n_items)
{
	struct model *model = model_new(config, n_items, "0123456789abcdef", name);
	float *values = golden_array(name, "value.npy", F4);
	const char *key;
	json_t *count;
	int64_t from = 0;
	json_object_foreach (json_object_get(document, "params"), key, count) {
		struct param *param = params_find(&model->params, key);
		if (!param || param_count(param) != json_integer_value(count))
			fail_msg("%s: parameter %s is not as the other program's", name, key);
		memcpy(param->value, values + from, (size_t)param_count(param) * sizeof *values);
		from += param_count(param);
	}
	assert_int_equal(from, model->params.trainable);
	free(values);
	return model;
}

/*
 * Compares with NAME/LOSS/gradient.npy; a tolerance is relative to the largest of a parameter's. Returns the error of
 * all of them together: the length of the difference by that of the gradient.
 */
static inline double compare_gradients(const char *name, const json_t *document, const struct model *model,
	const char *loss, const float *gradient, double tolerance)
{
	char group[64];
	snprintf(group, sizeof group, "%s/%s", name, loss);
	float *expected = golden_array(group, "gradient.npy", F4);
	const char *key;
	json_t *count;
	int64_t from = 0;
	double errors = 0, squares = 0;
	json_object_foreach (json_object_get(document, "params"), key, count) {
		const struct param *param = params_find(&model->params, key);
		char what[160];
		snprintf(what, sizeof what, "%s: gradient of %s", group, key);
		/* a key's bias changes all scores of a query alike: its gradient is rounding alone */
		bool is_rounding = strstr(key, "key.bias") || strstr(key, "key_global.bias");
		for (int64_t i = 0; is_rounding && i < param_count(param); i++)
			assert_true(fabs((double)gradient[param->offset + i]) < tolerance / 2);
		if (!is_rounding)
			assert_near(gradient + param->offset, expected + from, param_count(param), tolerance, what);
		for (int64_t i = 0; i < param_count(param); i++, from++) {
			errors += pow((double)gradient[param->offset + i] - (double)expected[from], 2);
			squares += pow((double)expected[from], 2);
		}
	}
	free(expected);
	return sqrt(errors / squares);
}

#endif
