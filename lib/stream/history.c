#include "stream/history.h"

#include <stdlib.h>
#include <string.h>

#include "stream/option.h"
#include "stream/util.h"

/* A history is as hostile as any input: one that leads in circles, or fans out, is not followed for ever. */
#define STEPS_MAX 1000

const json_t *history_writer(const json_t *records, const char *group, const char *id)
{
	size_t i;
	json_t *record;
	json_array_foreach ((json_t *)(uintptr_t)records, i, record) {
		const char *wrote = json_string_value(json_object_get(json_object_get(record, "wrote"), group));
		if (wrote && !strcmp(wrote, id) && json_is_string(json_object_get(record, "tool")))
			return record;
	}
	return NULL;
}

static bool same_value(const json_t *a, const json_t *b, const char *key)
{
	const json_t *of_a = json_object_get(a, key), *of_b = json_object_get(b, key);
	return of_a == of_b || json_equal(of_a, of_b);
}

static bool alike(const json_t *records, const char *group, const char *a, const char *b, int *steps)
{
	if (!strcmp(a, b))
		return true;
	const json_t *of_a = history_writer(records, group, a), *of_b = history_writer(records, group, b);
	if (!of_a || !of_b || ++*steps > STEPS_MAX || !json_object_get(of_a, "options"))
		return false;
	static const char *const keys[] = {"tool", "version", "commit", "options"};
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		if (!same_value(of_a, of_b, keys[i]))
			return false;
	json_t *read_a = json_object_get(of_a, "read"), *read_b = json_object_get(of_b, "read"), *id;
	const char *name;
	if (json_object_size(read_a) != json_object_size(read_b))
		return false;
	json_object_foreach (read_a, name, id) {
		const char *id_a = json_string_value(id), *id_b = json_string_value(json_object_get(read_b, name));
		if (!id_a || !id_b || !alike(records, name, id_a, id_b, steps))
			return false;
	}
	return true;
}

bool history_alike(const json_t *records, const char *group, const char *a, const char *b)
{
	int steps = 0;
	return alike(records, group, a, b, &steps);
}

/* --- differences --- */

static void add_word(struct buffer *text, const char *word)
{
	buffer_append(text, " ", text->size ? 1 : 0);
	buffer_append(text, word, strlen(word));
}

/* The options of writer[which] that are not the same in all. */
static void add_options(struct buffer *text, const json_t *const writer[], int n, int which)
{
	const char *name;
	json_t *value;
	json_object_foreach (json_object_get(writer[which], "options"), name, value) {
		bool differs = false;
		for (int i = 0; i < n; i++)
			differs |= !same_value(json_object_get(writer[i], "options"), json_object_get(writer[which], "options"),
				name);
		if (!differs)
			continue;
		add_word(text, name);
		if (json_is_true(value))
			continue;
		char *said = option_text(value);
		add_word(text, said);
		free(said);
	}
}

struct difference {
	const json_t *records;
	int n, which;
	int steps;
	json_t *told; /* the groups, each once */
	struct buffer text;
};

static void add_difference(struct difference *to, const char *group, const char *const ids[]);

/* Of the groups that all of the writers read. */
static void add_earlier(struct difference *to, const json_t *const writer[])
{
	const char **read = xcalloc((size_t)to->n, sizeof *read), *group;
	json_t *id;
	json_object_foreach (json_object_get(writer[to->which], "read"), group, id) {
		bool all = true;
		for (int i = 0; i < to->n; i++) {
			read[i] = json_string_value(json_object_get(json_object_get(writer[i], "read"), group));
			all &= read[i] != NULL;
		}
		if (all)
			add_difference(to, group, read);
	}
	free(read);
}

static void add_difference(struct difference *to, const char *group, const char *const ids[])
{
	if (json_object_get(to->told, group))
		return;
	json_set(to->told, group, json_true());
	const json_t **writer = xcalloc((size_t)to->n, sizeof *writer);
	bool differs = false;
	for (int i = 0; i < to->n; i++) {
		writer[i] = history_writer(to->records, group, ids[i]);
		differs |= !writer[i] || !alike(to->records, group, ids[i], ids[to->which], &to->steps);
	}
	if (differs && writer[to->which]) {
		const size_t before = to->text.size;
		if (before)
			add_word(&to->text, json_string_value(json_object_get(writer[to->which], "tool")));
		const size_t named = to->text.size;
		add_options(&to->text, writer, to->n, to->which);
		if (to->text.size == named)
			to->text.size = before;
		add_earlier(to, writer);
	}
	free(writer);
}

char *history_difference(const json_t *records, const char *group, const char *const ids[], int n, int which)
{
	struct difference to = {.records = records, .n = n, .which = which, .told = json_object()};
	add_difference(&to, group, ids);
	json_decref(to.told);
	buffer_append(&to.text, "", 1);
	return to.text.data;
}
