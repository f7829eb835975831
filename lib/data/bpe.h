/*
 * Byte pair encoding: a word becomes the ids of its characters (or bytes), then
 * neighbours are merged, the merge of lowest rank first, leftmost first (Sennrich
 * et al. 2016, arXiv 1508.07909; bytes as characters: Radford et al. 2019).
 * Also what goes with it: patterns that cut text into words, the characters
 * that stand for bytes in a vocabulary, and learning merges from text.
 */
#ifndef RECPIPE_BPE_H
#define RECPIPE_BPE_H

#include "data/strings.h"
#include "data/utf8.h"
#include "stream/util.h"

/* --- patterns --- */

/* GPT-2's words. */
extern const char WORD_PATTERN[];

/* A compiled regular expression, Oniguruma's dialect as far as tokenizers use it; read-only, shared by threads. */
struct pattern;
/* Scratch memory for matching, one for each thread. */
struct matcher;

/* literal: the text itself is searched. Dies with `where` if it is no valid pattern. */
struct pattern *pattern_new(const char *text, bool literal, const char *where);
void pattern_free(struct pattern *pattern);
struct matcher *matcher_new(void);
void matcher_free(struct matcher *matcher);
/* The next match at or after `from`, in well-formed UTF-8; false if there is none. It may be empty. */
bool pattern_find(const struct pattern *pattern, struct matcher *matcher, const char *text, size_t length, size_t from,
	size_t *start, size_t *end);

/* --- the model --- */

struct bpe_options {
	bool byte_level;    /* characters are bytes, written in the vocabulary as GPT-2 does */
	bool byte_fallback; /* unknown characters become the tokens <0x00> to <0xFF> of their bytes */
	bool fuse_unk;      /* unknown characters next to each other are one unknown token */
	bool ignore_merges; /* a word that is a token is that token, whatever the merges say */
	int32_t unk;        /* the unknown token, or -1: unknown characters vanish */
};

struct bpe {
	struct strings tokens; /* row = id; "" where an id has no token */
	struct bpe_options options;
	int32_t byte_id[256];  /* the token of one byte (byte_level), or of one ASCII character; or -1 */
	int32_t fallback[256]; /* <0x00> to <0xFF>, or -1 */
	struct merge *merges;  /* open addressing by pair */
	int64_t n_slots;
	int32_t *merged; /* by rank: what the merge gives */
	int64_t n_merges;
};

/* Takes the tokens over. Room for n_merges merges is made. */
void bpe_init(struct bpe *bpe, struct strings *tokens, const struct bpe_options *options, int64_t n_merges);
/*
 * The next merge, of rank 0 first; false if left, right or both together are not in the vocabulary. A pair met again
 * has its later rank.
 */
bool bpe_add_merge(struct bpe *bpe, const char *left, size_t left_length, const char *right,
	size_t right_length) MUST_USE;
int32_t bpe_id(const struct bpe *bpe, const char *token, size_t length);
void bpe_free(struct bpe *bpe);
/* The character that stands for a byte in byte-level vocabularies, in UTF-8; returns its length. */
size_t bpe_put_byte(unsigned byte, char text[2]);
/* Adds the 256 of them, in the order of their code points, as GPT-2's vocabulary has them. */
void bpe_add_byte_tokens(struct strings *tokens);
/* Appends the bytes that a token of a byte-level vocabulary stands for. */
void bpe_token_bytes(const char *token, struct buffer *bytes);

/* Encodes words for one thread: scratch memory and a cache. Read-only use of the model. */
struct bpe_worker;
struct bpe_worker *bpe_worker_new(const struct bpe *bpe);
/* Appends the ids of a word, well-formed UTF-8, as int32_t. */
void bpe_worker_encode(struct bpe_worker *worker, const char *word, size_t length, struct buffer *ids);
void bpe_worker_free(struct bpe_worker *worker);

/* --- learning --- */

/*
 * Learns merges from words and how often each occurs: tokens holds the special tokens on entry and the whole
 * vocabulary on return; merges the pairs as "left right". The most frequent pair is merged first, ties go to the pair
 * of lower ids; ends at vocab_size or when no pair occurs twice.
 */
void bpe_learn(struct strings *words, const int64_t *counts, int64_t vocab_size, struct strings *tokens,
	struct strings *merges);

#endif
