#include "rank/learned.h"

#include <string.h>

#include "data/catalog.h"
#include "data/embedding.h"
#include "data/sequences.h"
#include "model/model_group.h"
#include "stream/history.h"
#include "stream/util.h"

/* A hostile history may lead in circles. */
#define STEPS_MAX 100

/* Of these sequences what they were made with, and from how much. */
struct told {
	const json_t *records;
	const char *sequences, *catalog;
	const char *whose, *what;
	int steps;
};

static const char *text_at(const json_t *record, const char *part, const char *key)
{
	return json_string_value(json_object_get(json_object_get(record, part), key));
}

/* One that learned from the events of users, and of this catalog. is_language: without a task it read texts. */
static bool learns_events(const struct told *told, const json_t *trained, bool is_language)
{
	const char *task = text_at(trained, "options", "--task"), *catalog = text_at(trained, "read", catalog_group.name);
	if (!task)
		return !is_language;
	const bool is_of_domains = !strcmp(task, "pretrain") || !strcmp(task, "histories");
	return !is_of_domains || !catalog || !told->catalog || !strcmp(catalog, told->catalog);
}

/* Whether the model that this one or these vectors were made from is one of language. */
static bool is_from_language(const json_t *writer)
{
	const char *task = text_at(writer, "options", "--task"), *from = text_at(writer, "options", "--from");
	return (task && !strcmp(task, "histories")) || (from && (!strcmp(from, "llm") || !strcmp(from, "tokens"))) ||
		text_at(writer, "read", "projector");
}

/* Whether the sequences that it learned from may have what ours hold out; told, if so. */
static bool tell_learned(const struct told *told, const char *learned)
{
	static const char *const options[][2] = {{"--holdout", "last"}, {"--split-time", "none"}};
	const json_t *of_learned = history_writer(told->records, sequences_group.name, learned);
	const json_t *of_ours = history_writer(told->records, sequences_group.name, told->sequences);
	const char *holdout = text_at(of_ours, "options", "--holdout");
	if (!of_learned || !of_ours || (holdout && !strcmp(holdout, "none")))
		return false;
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		const char *a = text_at(of_learned, "options", options[i][0]), *b = text_at(of_ours, "options", options[i][0]);
		a = a ? a : options[i][1];
		b = b ? b : options[i][1];
		if (!strcmp(a, b))
			continue;
		warn(
			"%s was trained on events of seq-tokenize %s %s, and these are of %s %s: as far as it learned the targets, "
			"%s",
			told->whose, options[i][0], a, options[i][0], b, told->what);
		return true;
	}
	const json_int_t n_learned = json_integer_value(json_object_get(of_learned, "events"));
	const json_int_t n_ours = json_integer_value(json_object_get(of_ours, "events"));
	if (n_learned <= n_ours)
		return false;
	warn("%s was trained where there were %s, and these are %lld: as far as it learned the targets, %s", told->whose,
		counted(n_learned, "events"), (long long)n_ours, told->what);
	return true;
}

/* Of the group, or of what it was made from; whether one was told. */
static bool tell(struct told *told, const char *group, const char *id, bool is_language)
{
	static const char *const made_from[] = {MODEL_GROUP, "embedding"};
	const json_t *writer = id ? history_writer(told->records, group, id) : NULL;
	if (!writer || ++told->steps > STEPS_MAX)
		return false;
	const char *learned = text_at(writer, "read", sequences_group.name);
	if (!strcmp(group, MODEL_GROUP) && learned && strcmp(learned, told->sequences) != 0 &&
		learns_events(told, writer, is_language) && tell_learned(told, learned))
		return true;
	for (size_t i = 0; i < COUNT_OF(made_from); i++)
		if (tell(told, made_from[i], text_at(writer, "read", made_from[i]), is_from_language(writer)))
			return true;
	return false;
}

void learned_warn(const json_t *records, const char *model, const char *sequences, const char *catalog,
	const char *whose, const char *what)
{
	struct told told = {.records = records, .sequences = sequences, .catalog = catalog, .whose = whose, .what = what};
	if (sequences)
		tell(&told, MODEL_GROUP, model, false);
}
