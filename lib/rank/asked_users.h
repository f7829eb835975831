/*
 * The users that are asked for, by a file of ids, as the sequences are gone through; or everybody.
 */
#ifndef RECPIPE_ASKED_USERS_H
#define RECPIPE_ASKED_USERS_H

#include "data/sequences.h"

struct asked_users {
	const char *path; /* borrowed; NULL: everybody is asked for */
	struct strings ids;
	bool *found; /* by id: was met */
	int64_t next_stranger;
};
struct asked_users asked_users_read(const char *path);
/* Whether a user of the sequences is asked for; notes that it was met. */
bool asked_users_meet(struct asked_users *asked, const struct sequences *users, int64_t user);
/* How many were not met; and, at each call, the id of another one, or NULL. */
int64_t asked_users_strangers(const struct asked_users *asked);
const char *asked_users_stranger(struct asked_users *asked);
void asked_users_free(struct asked_users *asked);

#endif
