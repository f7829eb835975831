#include "rank/asked_users.h"

#include <stdlib.h>
#include <string.h>

#include "rank/assortment.h"

struct asked_users asked_users_read(const char *path)
{
	struct asked_users asked = {.path = path};
	if (path) {
		asked.ids = ids_read(path);
		asked.found = xcalloc((size_t)asked.ids.count, sizeof *asked.found);
	}
	return asked;
}

bool asked_users_meet(struct asked_users *asked, const struct sequences *users, int64_t user)
{
	if (!asked->path)
		return true;
	const char *id = strings_at(&users->user_id, user);
	int64_t row = strings_find(&asked->ids, id, strlen(id));
	return row >= 0 && (asked->found[row] = true);
}

int64_t asked_users_strangers(const struct asked_users *asked)
{
	int64_t strangers = 0;
	for (int64_t i = 0; i < asked->ids.count; i++)
		strangers += !asked->found[i];
	return strangers;
}

const char *asked_users_stranger(struct asked_users *asked)
{
	while (asked->next_stranger < asked->ids.count) {
		const int64_t i = asked->next_stranger++;
		if (!asked->found[i])
			return strings_at(&asked->ids, i);
	}
	return NULL;
}

void asked_users_free(struct asked_users *asked)
{
	strings_free(&asked->ids);
	free(asked->found);
}
