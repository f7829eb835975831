#include "data/trie.h"

#include <stdlib.h>
#include <string.h>

static int32_t add_node(struct trie *trie)
{
	if (trie->n_nodes == trie->capacity) {
		if (trie->capacity > INT32_MAX / 2)
			die("a vocabulary of more than %d different beginnings of tokens", trie->capacity);
		trie->capacity = trie->capacity ? trie->capacity * 2 : 256;
		trie->value = xreallocarray(trie->value, (size_t)trie->capacity, sizeof *trie->value);
	}
	trie->value[trie->n_nodes] = -1;
	return trie->n_nodes++;
}

/* At most half full. */
static void grow_edges(struct trie *trie)
{
	struct trie_edge *old = trie->edges;
	int64_t n_old = trie->n_slots;
	trie->n_slots = n_old ? n_old * 2 : 512;
	trie->edges = xcalloc((size_t)trie->n_slots, sizeof *trie->edges);
	for (int64_t i = 0; i < n_old; i++)
		if (old[i].child)
			*trie_edge(trie, old[i].node, old[i].byte) = old[i];
	free(old);
}

void trie_init(struct trie *trie)
{
	*trie = (struct trie){0};
	add_node(trie);
	grow_edges(trie);
}

int32_t trie_add(struct trie *trie, const char *text, size_t length, int32_t value)
{
	int32_t node = 0;
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text[i];
		int32_t child = trie_child(trie, node, byte);
		if (!child) {
			if ((int64_t)trie->n_nodes * 2 >= trie->n_slots)
				grow_edges(trie);
			child = add_node(trie);
			*trie_edge(trie, node, byte) = (struct trie_edge){node, child, byte};
		}
		node = child;
	}
	trie->value[node] = value;
	return node;
}

void trie_free(struct trie *trie)
{
	free(trie->edges);
	free(trie->value);
	*trie = (struct trie){0};
}
