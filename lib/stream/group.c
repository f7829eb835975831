#include "stream/group.h"

#include <stdlib.h>
#include <string.h>

void group_require(const struct group_kind *kind, const struct group *group)
{
	if (!group->complete)
		die("no %s in the stream; %s", kind->name, kind->writer);
}

const char *group_source(const struct group *group)
{
	return group->source ? group->source : "the stream";
}

void group_fingerprint(const struct group *group, const char *key, char fingerprint[17], const char *where)
{
	const char *text = json_get_string(group->meta, key, where);
	if (strlen(text) != 16)
		die("%s: \"%s\" is \"%s\", 16 hexadecimal digits were expected", where, key, text);
	memcpy(fingerprint, text, 17);
}

void group_free(struct group *group)
{
	json_decref(group->meta);
	free(group->source);
	*group = (struct group){0};
}
