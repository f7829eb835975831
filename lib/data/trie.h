/*
 * A trie over bytes: which strings of a set does a text begin with? Nodes are
 * numbered from 0, the root, in the order in which they were added.
 */
#ifndef RECPIPE_TRIE_H
#define RECPIPE_TRIE_H

#include "stream/util.h"

struct trie_edge {
	int32_t node, child; /* child 0: an empty slot, as the root is nobody's child */
	unsigned char byte;
};

struct trie {
	struct trie_edge *edges; /* open addressing by node and byte */
	int64_t n_slots;
	int32_t *value; /* by node: of the string that ends there; -1: none does */
	int32_t n_nodes, capacity;
};

void trie_init(struct trie *trie);
/* The string has the value, at least 0, from now on. Returns its node. */
int32_t trie_add(struct trie *trie, const char *text, size_t length, int32_t value);
void trie_free(struct trie *trie);

static inline struct trie_edge *trie_edge(const struct trie *trie, int32_t node, unsigned char byte)
{
	uint64_t mask = (uint64_t)trie->n_slots - 1;
	uint64_t hash = ((uint64_t)(uint32_t)node << 8 | byte) * UINT64_C(0x9e3779b97f4a7c15);
	for (uint64_t i = (hash >> 32) & mask;; i = (i + 1) & mask) {
		struct trie_edge *edge = &trie->edges[i];
		if (!edge->child || (edge->node == node && edge->byte == byte))
			return edge;
	}
}

/* The node one byte on; 0: the trie has none. */
static inline int32_t trie_child(const struct trie *trie, int32_t node, unsigned char byte)
{
	return trie_edge(trie, node, byte)->child;
}

#endif
