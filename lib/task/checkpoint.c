#include "task/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "stream/bag.h"
#include "stream/bytes.h"
#include "task/identity.h"

static const char *const begin_anew = ": it is of another version of recpipe, which alone can go on from it; here "
									  "--checkpoint with another name begins anew";

/* What is still to be read: states, as lists have them. */
struct expected {
	const struct state **state;
	int count;
};

/* The group of the stream that a checkpoint is. */
struct checkpoint {
	struct group group;
	const char *path;
	const json_t *identity;
	bool is_ours; /* its identity is the same */
	struct expected expected;
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

static const struct state *take_expected(struct expected *expected, const struct member *member)
{
	for (int i = 0; i < expected->count; i++)
		if (!strcmp(expected->state[i]->name, member->name)) {
			const struct state *state = expected->state[i];
			expected->state[i] = expected->state[--expected->count];
			return state;
		}
	die("%s: not a member of this training's checkpoint, or there twice%s", member->where, begin_anew);
}

static void load(const struct state *state, const struct member *member)
{
	const struct tensor expected = tensor_1d(state->dtype, state->count, state->data);
	struct tensor tensor;
	npy_parse(member->bytes, member->size, &tensor, member->where);
	size_t bytes = tensor_bytes(&tensor), most = tensor_bytes(&expected);
	if (tensor.dtype != expected.dtype || bytes > most || (bytes < most && !state->grows)) {
		char is[128], should_be[128];
		die("%s: %s, %s was expected", member->where, tensor_describe(&tensor, is),
			tensor_describe(&expected, should_be));
	}
	if (bytes)
		memcpy(state->data, tensor.data, bytes);
}

static void take_member(void *group, const struct member *member)
{
	struct checkpoint *checkpoint = group;
	if (checkpoint->is_ours) {
		load(take_expected(&checkpoint->expected, member), member);
		return;
	}
	if (strcmp(member->name, "identity.json"))
		die("%s: does not begin with identity.json%s", checkpoint->path, begin_anew);
	json_t *was = json_parse(member->bytes, member->size, member->where);
	identity_require(checkpoint->identity, was, checkpoint->path);
	checkpoint->is_ours = true;
	json_decref(was);
}

static const struct group_kind checkpoint_group = {
	.name = "checkpoint",
	.writer = "--checkpoint writes one",
	.format = 1,
	.member = take_member,
};

void checkpoint_read(const char *path, const json_t *identity, const struct state *const lists[])
{
	struct checkpoint checkpoint = {.path = path, .identity = identity, .expected = expect(lists)};
	struct bag *bag = bag_open((char *const[]){(char *)(uintptr_t)path, NULL});
	bag_take(bag, &checkpoint_group, &checkpoint);
	bag_read(bag);
	if (!checkpoint.group.complete)
		die("%s: no checkpoint in it; --checkpoint writes one", path);
	if (checkpoint.expected.count)
		die("%s: %s is missing in the checkpoint", path, checkpoint.expected.state[0]->name);
	group_free(&checkpoint.group);
	free(checkpoint.expected.state);
}

void checkpoint_write(const char *path, const json_t *identity, const struct state *const lists[])
{
	struct bag_out *out = bag_create(path, 1);
	bag_begin(out, &checkpoint_group, identity_fingerprint(identity), 1, 1, NULL);
	bag_add_json(out, "identity.json", identity);
	for (; *lists; lists++)
		for (const struct state *state = *lists; state->name; state++) {
			struct tensor tensor = tensor_1d(state->dtype, state->count, state->data);
			bag_add_tensor(out, state->name, &tensor);
		}
	bag_end(out);
	bag_finish(out, NULL);
}
