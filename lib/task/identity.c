#include "task/identity.h"

#include <stdlib.h>
#include <string.h>

#include "stream/ranks.h"
#include "stream/version.h"

json_t *identity_new(uint64_t seed, int threads)
{
	return json_build("{s:s, s:I, s:i, s:i}", "the version of recpipe", recpipe_version, "--seed", (json_int_t)seed,
		"--threads", threads, "the number of processes", ranks_count());
}

void identity_add_options(json_t *identity, const struct option *table, const json_t *object)
{
	struct option *rows = options_of(table);
	json_t *part = options_identity(table, object), *value;
	const char *key;
	json_object_foreach (part, key, value) {
		const struct option *row = option_keyed(rows, key);
		char *name = option_spelt(row);
		json_set(identity, name, json_incref(value));
		free(name);
	}
	json_decref(part);
	free(rows);
}

void identity_add(json_t *identity, const char *name, const char *text)
{
	if (text && *text)
		json_set(identity, name, json_any_text(text));
}

void identity_add_stop(json_t *identity, const json_t *measured)
{
	json_t *stopped = json_object_get(measured, "stopped");
	if (stopped)
		json_set(identity, "where it was stopped", json_incref(stopped));
}

uint64_t identity_fingerprint(const json_t *identity)
{
	char *text = json_text(identity);
	uint64_t hash = fingerprint(FINGERPRINT_START, text, strlen(text));
	free(text);
	return hash;
}

#define MOST_TOLD 4

/* A number without a bound is "all". NULL: none was given. To be freed. */
static char *told_value(const json_t *value)
{
	if (!value)
		return xstrdup("not given");
	return json_is_integer(value) && json_integer_value(value) == INT32_MAX ? xstrdup("all") : option_text(value);
}

/* "--learning-rate was 0.001, is 0.01"; what is no option has a fingerprint, which says nothing. */
static void tell_difference(struct buffer *text, const char *name, const json_t *was, const json_t *is)
{
	char *values[] = {told_value(was), told_value(is)};
	bool shown = *name == '-' && !json_is_object(was) && !json_is_object(is);
	char *told = shown ? xasprintf("%s was %.60s, is %.60s", name, values[0], values[1]) :
						 xasprintf("%s%s differs", *name == '-' ? "the contents of " : "", name);
	buffer_append(text, "; ", text->size ? 2 : 0);
	buffer_append(text, told, strlen(told));
	free(told);
	free(values[0]);
	free(values[1]);
}

/* Numbers as the checkpoint has them, whose text is rounded. */
static json_t *as_written(const json_t *document)
{
	char *text = json_text(document);
	json_t *written = json_parse(text, strlen(text), "identity");
	free(text);
	return written;
}

void identity_require(const json_t *identity, json_t *was, const char *path)
{
	struct buffer text = {0};
	const char *name;
	json_t *is = as_written(identity), *both = json_deep_copy(is), *value;
	int count = 0;
	json_object_update_missing(both, was);
	json_object_foreach (both, name, value) {
		const json_t *before = json_object_get(was, name), *after = json_object_get(is, name);
		if (!(before && after && json_equal(before, after)) && count++ < MOST_TOLD)
			tell_difference(&text, name, before, after);
	}
	if (count)
		die("%s: is of another training: %.*s%s", path, (int)text.size, text.data,
			count > MOST_TOLD ? "; and more" : "");
	json_decref(is);
	json_decref(both);
}
