#include "rank/runs.h"

#include <stdlib.h>
#include <string.h>

#include "model/model_group.h"
#include "rank/evaluate.h"
#include "rank/learned.h"
#include "stream/bag.h"
#include "stream/history.h"
#include "stream/progress.h"

/* With fewer targets a difference has to be large to be more than chance. */
#define FEW_TARGETS 100

const char *run_source(const struct run *run)
{
	return group_source(&run->ranking.group);
}

/* --- systems --- */

static bool same_system(const struct runs *runs, const struct ranking *a, const struct ranking *b)
{
	return a->seen_removed == b->seen_removed && !strcmp(a->offered, b->offered) &&
		history_alike(runs->history, ranking_group.name, a->group.id, b->group.id);
}

/* Brings runs of one system together, each system where its first run was. */
static void find_systems(struct runs *runs)
{
	struct run *sorted = xcalloc((size_t)runs->count, sizeof *sorted);
	bool *is_taken = xcalloc((size_t)runs->count, sizeof *is_taken);
	int n = 0;
	runs->system = xcalloc((size_t)runs->count, sizeof *runs->system);
	for (int i = 0; i < runs->count; i++) {
		if (is_taken[i])
			continue;
		struct system *system = &runs->system[runs->n_systems++];
		system->first = n;
		for (int j = i; j < runs->count; j++)
			if (!is_taken[j] && same_system(runs, &runs->run[i].ranking, &runs->run[j].ranking)) {
				is_taken[j] = true;
				sorted[n++] = runs->run[j];
			}
		system->count = n - system->first;
	}
	free(runs->run);
	free(is_taken);
	runs->run = sorted;
}

/* --- names --- */

static char *without_ending(const char *path)
{
	char *name = xstrdup(path);
	static const char *const endings[] = {".zst", ".tar"};
	for (size_t i = 0; i < COUNT_OF(endings); i++) {
		size_t length = strlen(name), end = strlen(endings[i]);
		if (length > end && !strcmp(name + length - end, endings[i]))
			name[length - end] = '\0';
	}
	return name;
}

char *run_file_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return without_ending(slash ? slash + 1 : path);
}

static char *name_of_file(const struct run *run, bool with_folder)
{
	return (with_folder ? without_ending : run_file_name)(run_source(run));
}

/* What the names of its files have in common at their beginning, without the number that follows. */
static char *file_names(const struct runs *runs, const struct system *system, bool with_folder)
{
	char *name = name_of_file(&runs->run[system->first], with_folder);
	if (system->count == 1)
		return name;
	for (int i = 1; i < system->count; i++) {
		char *other = name_of_file(&runs->run[system->first + i], with_folder);
		size_t same = 0;
		while (name[same] && name[same] == other[same])
			same++;
		name[same] = '\0';
		free(other);
	}
	size_t length = strlen(name);
	while (length && strchr("0123456789-_.=/", name[length - 1]))
		name[--length] = '\0';
	return name;
}

static char *architecture_name(const struct runs *runs, const struct system *system)
{
	const json_t *meta = runs->run[system->first].ranking.group.meta;
	const char *name = json_string_value(json_object_get(meta, "model"));
	return xstrdup(name ? name : "");
}

enum naming { BY_FILE, BY_PATH, BY_ARCHITECTURE, BY_OPTIONS, BY_NUMBER };

static char *name_of(const struct runs *runs, const struct system *system, enum naming naming)
{
	switch (naming) {
	case BY_FILE: return file_names(runs, system, false);
	case BY_PATH: return file_names(runs, system, true);
	case BY_ARCHITECTURE: return architecture_name(runs, system);
	case BY_OPTIONS: return xstrdup(system->options);
	default: return xasprintf("run %d", system->first + 1);
	}
}

/* Lines and tables of fields have no place for what would break them. */
static void make_plain(char *name)
{
	for (; *name; name++)
		if ((unsigned char)*name < ' ' || *name == 127)
			*name = '?';
}

static bool names_differ(const struct runs *runs)
{
	for (int i = 0; i < runs->n_systems; i++) {
		if (!*runs->system[i].name)
			return false;
		for (int j = 0; j < i; j++)
			if (!strcmp(runs->system[i].name, runs->system[j].name))
				return false;
	}
	return true;
}

/* All by the first way in which no two are called the same. */
static void name_systems(struct runs *runs)
{
	const char **ids = xcalloc((size_t)runs->n_systems, sizeof *ids);
	for (int i = 0; i < runs->n_systems; i++)
		ids[i] = runs->run[runs->system[i].first].ranking.group.id;
	for (int i = 0; i < runs->n_systems; i++)
		runs->system[i].options = history_difference(runs->history, ranking_group.name, ids, runs->n_systems, i);
	free(ids);
	for (enum naming naming = BY_FILE; naming <= BY_NUMBER; naming++) {
		for (int i = 0; i < runs->n_systems; i++) {
			free(runs->system[i].name);
			runs->system[i].name = name_of(runs, &runs->system[i], naming);
			make_plain(runs->system[i].name);
		}
		if (names_differ(runs))
			return;
	}
}

/* --- reading --- */

static void *another_run(void *owner)
{
	struct runs *runs = owner;
	runs->run = xreallocarray(runs->run, (size_t)runs->count + 1, sizeof *runs->run);
	runs->run[runs->count] = (struct run){0};
	return &runs->run[runs->count++].ranking;
}

/* A ranking that came twice, with another between, is still one. */
static void drop_repeated(struct runs *runs)
{
	int kept = 0;
	for (int i = 0; i < runs->count; i++) {
		bool repeated = false;
		for (int j = 0; j < kept; j++)
			repeated |= !strcmp(runs->run[i].ranking.group.id, runs->run[j].ranking.group.id);
		if (repeated)
			ranking_free(&runs->run[i].ranking);
		else
			runs->run[kept++] = runs->run[i];
	}
	runs->count = kept;
}

void runs_check_comparable(const struct ranking *a, const struct ranking *b)
{
	const char *of_a = group_source(&a->group), *of_b = group_source(&b->group);
	if (strcmp(a->catalog, b->catalog))
		die("%s and %s rank items of different catalogs (%s and %s), which cannot be compared; seq-rank --model ranks "
			"one stream of seq-tokenize by either model",
			of_a, of_b, counted(a->n_items, "items"), counted(b->n_items, "items"));
	if (a->part != b->part)
		die("%s and %s: one ranks for test targets, the other for validation targets", of_a, of_b);
	if (a->seen_removed != b->seen_removed)
		warn("%s and %s: one removes seen items, the other keeps them", of_a, of_b);
	if (strcmp(a->offered, b->offered))
		warn("%s and %s were ranked with other --candidates or --exclude: %lld and %s were offered, of %lld", of_a,
			of_b, (long long)a->n_offered, counted(b->n_offered, "items"), (long long)a->n_items);
}

static void check_users(const struct runs *runs)
{
	struct ranking **ranking = xcalloc((size_t)runs->count, sizeof *ranking);
	for (int i = 0; i < runs->count; i++)
		ranking[i] = &runs->run[i].ranking;
	struct pairs pairs = pairs_make(ranking, runs->count);
	int64_t most = 0;
	for (int i = 0; i < runs->count; i++)
		most = pairs.left_out[i] > most ? pairs.left_out[i] : most;
	if (most)
		warn("the rankings are not of the same users: %lld are in all, and one has %lld more; each figure is over its "
			 "own",
			(long long)pairs.count, (long long)most);
	pairs_free(&pairs);
	free(ranking);
}

/* A model that nobody ranked with: beside rankings it would not be missed. */
static void tell_unranked(const json_t *with_model, const json_t *with_ranking)
{
	const json_t *file, *other;
	size_t i, j;
	json_array_foreach (with_model, i, file) {
		bool is_ranked = false;
		json_array_foreach (with_ranking, j, other)
			is_ranked |= json_equal(file, other);
		if (!is_ranked)
			warn("%s: a model and no ranking, so it is not among these; %s", json_string_value(file),
				ranking_group.writer);
	}
}

/* Of several models together seq-rank tells it. */
static void check_trained_on(const struct runs *runs, const struct run *run)
{
	const json_t *meta = run->ranking.group.meta;
	char *whose = xasprintf("%s: its model", run_source(run));
	learned_warn(runs->history, json_string_value(json_object_get(meta, "model_id")),
		json_string_value(json_object_get(meta, "sequences")),
		runs->catalog.group.complete ? runs->catalog.group.id : NULL, whose, "its figures are too good");
	free(whose);
}

void runs_read(struct runs *runs, char *const *paths)
{
	struct bag *bag = bag_open(paths);
	json_t *with_model = json_array(), *with_ranking = json_array();
	runs->history = json_array();
	bag_take_each(bag, &ranking_group, another_run, runs);
	bag_take_sources(bag, ranking_group.name, with_ranking);
	bag_take_sources(bag, MODEL_GROUP, with_model);
	bag_take(bag, &catalog_group, &runs->catalog);
	bag_take(bag, &sequences_group, &runs->sequences);
	bag_take_history(bag, runs->history);
	bag_read(bag);
	if (!runs->count)
		die("%s: no ranking in the stream; %s", input_name(paths[0]), ranking_group.writer);
	tell_unranked(with_model, with_ranking);
	json_decref(with_model);
	json_decref(with_ranking);
	drop_repeated(runs);
	for (int i = 1; i < runs->count; i++)
		runs_check_comparable(&runs->run[0].ranking, &runs->run[i].ranking);
	for (int i = 0; i < runs->count; i++)
		ranking_check(&runs->run[i].ranking, &runs->catalog, run_source(&runs->run[i]));
	if (runs->sequences.group.complete)
		sequences_check(&runs->sequences, &runs->catalog);
	for (int i = 0; i < runs->count; i++)
		check_trained_on(runs, &runs->run[i]);
	if (runs->count > 1)
		check_users(runs);
	find_systems(runs);
	name_systems(runs);
}

void runs_slice(struct runs *runs, bool by_slices, double head, const int64_t bounds[], int n_bounds)
{
	struct sequences *sequences = by_slices && runs->sequences.group.complete ? &runs->sequences : NULL;
	for (int i = 0; i < runs->count; i++) {
		struct run *run = &runs->run[i];
		run->slices = slices_make(&run->ranking, sequences, head, bounds, n_bounds);
		if (!run->slices.users[SLICE_ALL])
			die("%s: no user of the ranking has a target", run_source(run));
	}
	const int64_t targets = runs->run[0].slices.users[SLICE_ALL];
	if (runs->run[0].ranking.n_items == 1)
		notice("warning: the catalog has one item, which every model ranks first");
	else if (targets < FEW_TARGETS)
		notice("warning: only %s: chance decides much of these figures", counted(targets, "targets"));
}

void runs_free(struct runs *runs)
{
	for (int i = 0; i < runs->count; i++) {
		ranking_free(&runs->run[i].ranking);
		slices_free(&runs->run[i].slices);
	}
	for (int i = 0; i < runs->n_systems; i++) {
		free(runs->system[i].name);
		free(runs->system[i].options);
	}
	free(runs->run);
	free(runs->system);
	json_decref(runs->history);
	catalog_free(&runs->catalog);
	sequences_free(&runs->sequences);
}
