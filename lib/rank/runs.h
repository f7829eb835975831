/*
 * The rankings of streams, and which of them are runs of one system: trainings of the same options with other seeds.
 */
#ifndef RECPIPE_RUNS_H
#define RECPIPE_RUNS_H

#include "rank/slices.h"

struct run {
	struct ranking ranking;
	struct slices slices; /* once runs_slice() has made them */
};

struct system {
	int first, count; /* runs[first] to runs[first + count - 1] */
	char *name;       /* of its file, or else by what it is; no other system has it */
	char *options;    /* "--arch gru": what not all systems have; empty where nobody knows */
};

struct runs {
	struct catalog catalog;     /* not complete: there is none */
	struct sequences sequences; /* the same; then there are no slices */
	json_t *history;
	struct run *run; /* those of a system stand together, systems in the order in which they came */
	int count;
	struct system *system;
	int n_systems;
};

/*
 * Reads all rankings of the streams, a NULL-terminated list of paths, or stdin. Dies where there is none, where one
 * does not belong to the catalog or the sequences that are there, or where they do not rank the same.
 */
void runs_read(struct runs *runs, char *const *paths);
/* The same for two that are to be compared; warns where seen items are treated otherwise. */
void runs_check_comparable(const struct ranking *a, const struct ranking *b);
/*
 * Slices of all, as slices_make() makes them; by_slices false: "all"
 * alone. Warns where there is too little to tell systems apart.
 */
void runs_slice(struct runs *runs, bool by_slices, double head, const int64_t bounds[], int n_bounds);
/* Where the run came from: a path, or "stdin". */
const char *run_source(const struct run *run);
/* Its name without folder and ending: "sasrec" of "runs/sasrec.tar.zst"; to be freed. */
char *run_file_name(const char *path);
void runs_free(struct runs *runs);

#endif
