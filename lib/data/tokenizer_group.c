#include "data/tokenizer_group.h"

#include <string.h>
#include <sys/stat.h>

#include "stream/bytes.h"

static void member(void *group, const struct member *member)
{
	struct tokenizer_group *read = group;
	if (strcmp(member->name, "tokenizer.json"))
		return;
	json_t *document = json_parse(member->bytes, member->size, member->where);
	tokenizer_free(read->tokenizer);
	read->tokenizer = tokenizer_from_json(document, member->where);
	json_decref(document);
}

static void end(void *group, const char *where)
{
	const struct tokenizer_group *read = group;
	if (!read->tokenizer)
		die("%s: the tokenizer has no tokenizer.json", where);
}

void tokenizer_group_free(struct tokenizer_group *read)
{
	group_free(&read->group);
	tokenizer_free(read->tokenizer);
	read->tokenizer = NULL;
}

static void free_group(void *group)
{
	tokenizer_group_free(group);
}

const struct group_kind tokenizer_group = {
	.name = "tokenizer",
	.writer = "seq-tokenize --items writes one",
	.format = 1,
	.member = member,
	.end = end,
	.free = free_group,
};

void tokenizer_write(struct bag_out *out, const struct tokenizer *tokenizer)
{
	size_t size;
	const char *text = tokenizer_json(tokenizer, &size);
	bag_begin(out, &tokenizer_group, tokenizer_fingerprint(tokenizer), 1, 1,
		json_build("{s:I}", "vocab_size", (json_int_t)tokenizer_vocab_size(tokenizer)));
	bag_add_bytes(out, "tokenizer.json", text, size);
	bag_end(out);
}

static bool is_stream(const char *path)
{
	struct stat status;
	if (stat(path, &status) || !S_ISREG(status.st_mode))
		return false;
	char head[512];
	struct source *source = source_open(path);
	size_t size = source_read(source, head, sizeof head);
	bool stream = source_is_compressed(source) || (size == sizeof head && !memcmp(head + 257, "ustar", 5));
	source_close(source);
	return stream;
}

struct tokenizer *tokenizer_read(const char *path)
{
	if (!is_stream(path))
		return tokenizer_load(path);
	struct tokenizer_group read = {.tokenizer = NULL};
	struct bag *bag = bag_open((char *const[]){(char *)(uintptr_t)path, NULL});
	bag_take(bag, &tokenizer_group, &read);
	bag_read(bag);
	if (!read.group.complete)
		die("%s: no tokenizer in the stream", path);
	group_free(&read.group);
	return read.tokenizer;
}
