/* How figures came about, which every format says. */
#include <stdlib.h>

#include "rank/report_parts.h"

/* What a stream's meta.json says, if it does, without what would break a line. */
static void add_text(json_t *protocol, const char *key, const json_t *value)
{
	if (!json_is_string(value))
		return;
	char *text = xstrdup(json_string_value(value));
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	json_set(protocol, key, json_string(text));
	free(text);
}

/* How the targets were held out, and in which order events of one time stand. */
static void add_holdout(json_t *protocol, const struct sequences *sequences)
{
	char *time = xasprintf("time %lld", (long long)sequences->split_time);
	const char *const texts[] =
		{[HOLDOUT_LAST] = "leave-one-out", [HOLDOUT_TIME] = time, [HOLDOUT_NONE] = "nothing held out"};
	json_set(protocol, "holdout", json_string(texts[sequences->holdout]));
	free(time);
	add_text(protocol, "equal_times", json_object_get(sequences->group.meta, "ties"));
}

json_t *report_protocol(const struct report *report, const struct run *run)
{
	const struct ranking *ranking = &run->ranking;
	const struct sequences *sequences = &report->runs->sequences;
	const struct slices *slices = &run->slices;
	json_t *protocol = json_object();
	add_text(protocol, "model", json_object_get(ranking->group.meta, "model"));
	json_set(protocol, "split", json_string(ranking->part == PART_TEST ? "test" : "valid"));
	if (sequences->group.complete)
		add_holdout(protocol, sequences);
	json_set(protocol, "seen", json_string(ranking->seen_removed ? "removed" : "kept"));
	json_set(protocol, "ties", json_string(ties_names[report->ties]));
	json_set(protocol, "items", json_integer(ranking->n_items));
	if (*ranking->offered)
		json_set(protocol, "offered", json_integer(ranking->n_offered));
	json_set(protocol, "tied", json_integer(slices->tied));
	if (slices->users[SLICE_ALL] != ranking->n_users)
		json_set(protocol, "targetless", json_integer(ranking->n_users - slices->users[SLICE_ALL]));
	if (slices->count > 1) {
		json_set(protocol, "head_items", json_integer(slices->head_items));
		json_set(protocol, "tail_items", json_integer(slices->tail_items));
		json_set(protocol, "cold_items", json_integer(slices->cold_items));
		if (slices->head_items)
			json_set(protocol, "head_events", json_integer(slices->head_events));
	}
	return protocol;
}

void report_write_protocol(FILE *out, const struct report *report, const struct run *run)
{
	const struct slices *slices = &run->slices;
	const struct ranking *ranking = &run->ranking;
	json_t *protocol = report_protocol(report, run);
	const char *model = json_string_value(json_object_get(protocol, "model"));
	const char *holdout = json_string_value(json_object_get(protocol, "holdout"));
	const char *order = json_string_value(json_object_get(protocol, "equal_times"));
	const int64_t without = ranking->n_users - slices->users[SLICE_ALL];
	char a[32], b[32], c[32];
	if (report->runs->count == 1 && model)
		fprintf(out, "%s: ", model);
	fprintf(out, "%s targets of %s %s", ranking->part == PART_TEST ? "test" : "validation",
		number_text(slices->users[SLICE_ALL], a), by_number(slices->users[SLICE_ALL], "user", "users"));
	if (without)
		fprintf(out, " (%s more %s none)", number_text(without, a), by_number(without, "has", "have"));
	if (holdout)
		fprintf(out, ", %s%s%s", holdout, order ? ", equal times: " : "", order ? order : "");
	if (*ranking->offered)
		fprintf(out, "\nranks among %s that were offered, of %s %s, seen items %s\n",
			number_text(ranking->n_offered, a), number_text(ranking->n_items, b),
			by_number(ranking->n_items, "item", "items"), ranking->seen_removed ? "removed" : "kept");
	else
		fprintf(out, "\nranks among all %s %s, seen items %s\n", number_text(ranking->n_items, a),
			by_number(ranking->n_items, "item", "items"), ranking->seen_removed ? "removed" : "kept");
	fprintf(out, "equal scores: %s rank", ties_names[report->ties]);
	if (report->runs->count == 1)
		fprintf(out, "; %s %s", number_text(slices->tied, a),
			by_number(slices->tied, "target shares a rank", "targets share theirs"));
	fputc('\n', out);
	if (slices->count > 1 && slices->head_items)
		fprintf(out, "head: %s training %s or more (%s %s), tail: fewer (%s), cold: none",
			number_text(slices->head_events, a), by_number(slices->head_events, "event", "events"),
			number_text(slices->head_items, b), by_number(slices->head_items, "item", "items"),
			number_text(slices->tail_items, c));
	else if (slices->count > 1)
		fprintf(out, "tail: any training event (%s %s), cold: none", number_text(slices->tail_items, a),
			by_number(slices->tail_items, "item", "items"));
	if (slices->count > 1)
		fprintf(out, " (%s)\n", number_text(slices->cold_items, a));
	json_decref(protocol);
}
