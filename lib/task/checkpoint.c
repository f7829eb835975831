#include "task/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "stream/bag.h"
#include "stream/bytes.h"
#include "stream/cli.h"

void checkpoint_write(const char *path, uint64_t id, const struct state *const lists[])
{
	struct cli to_file = {.output = path, .level = 1};
	struct bag_out *out = bag_create(&to_file);
	bag_begin(out, "checkpoint", id, 1, 1, NULL);
	for (; *lists; lists++)
		for (const struct state *state = *lists; state->name; state++) {
			struct tensor tensor = tensor_1d(state->dtype, state->count, state->data);
			bag_add_tensor(out, state->name, &tensor);
		}
	bag_end(out);
	bag_finish(out, NULL);
}

/* What is still to be read: states, as lists have them. */
struct expected {
	const struct state **state;
	int count;
};

static struct expected expect(const struct state *const lists[])
{
	struct expected expected = {0};
	for (; *lists; lists++)
		for (const struct state *state = *lists; state->name; state++) {
			expected.state = xreallocarray(expected.state, (size_t)expected.count + 1, sizeof *expected.state);
			expected.state[expected.count++] = state;
		}
	return expected;
}

static const struct state *take_expected(struct expected *expected, const struct piece *piece)
{
	for (int i = 0; i < expected->count; i++)
		if (!strcmp(expected->state[i]->name, piece->name)) {
			const struct state *state = expected->state[i];
			expected->state[i] = expected->state[--expected->count];
			return state;
		}
	die("%s: not a member of this training's checkpoint, or there twice", piece->where);
}

static void load(const struct state *state, const struct piece *piece)
{
	const struct tensor expected = tensor_1d(state->dtype, state->count, state->data);
	struct tensor tensor;
	npy_parse(piece->bytes, piece->size, &tensor, piece->where);
	size_t bytes = tensor_bytes(&tensor), most = tensor_bytes(&expected);
	if (tensor.dtype != expected.dtype || bytes > most || (bytes < most && !state->grows)) {
		char is[128], should_be[128];
		die("%s: %s, %s was expected", piece->where, tensor_describe(&tensor, is),
			tensor_describe(&expected, should_be));
	}
	if (bytes)
		memcpy(state->data, tensor.data, bytes);
}

void checkpoint_read(const char *path, uint64_t id, const struct state *const lists[])
{
	struct expected expected = expect(lists);
	char id_text[17], *paths[] = {(char *)(uintptr_t)path, NULL};
	struct bag *bag = bag_open_paths(NULL, paths);
	struct piece piece;
	fingerprint_text(id, id_text);
	bag_want(bag, "checkpoint");
	while (bag_next(bag, &piece)) {
		if (piece.kind == PIECE_META && strcmp(json_get_string(piece.json, "id", piece.where), id_text))
			die("%s: is of another training: data, options, seed or thread count differ", path);
		if (piece.kind == PIECE_MEMBER)
			load(take_expected(&expected, &piece), &piece);
	}
	if (expected.count)
		die("%s: %s is missing in the checkpoint", path, expected.state[0]->name);
	bag_close(bag);
	free(expected.state);
}
