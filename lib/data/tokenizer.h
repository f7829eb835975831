/*
 * Text to token ids and back, as the model's own tokenizer does it.
 *
 * Whatever a tokenizer is read from, it becomes one document first: Hugging
 * Face's tokenizer.json. The tokenizer is built from that document, the stream
 * carries it, and its fingerprint is the tokenizer's. Understood are models of
 * the kinds BPE, WordPiece and Unigram with their added tokens, and the
 * normalizers, pre-tokenizers, post-processors and decoders whose names are in
 * the tables of normalizer.c, pre_tokenizer.c, tokenizer_json.c and decoder.c;
 * anything else in the document is an error that names it. Its truncation and
 * padding are dropped: they are the caller's business.
 *
 * Text is UTF-8. Bytes that are not are read as U+FFFD, one for each maximal
 * ill-formed part, as lossy readers of the reference implementation do.
 *
 * All errors in files die() with file, place and what was expected.
 */
#ifndef RECPIPE_TOKENIZER_H
#define RECPIPE_TOKENIZER_H

#include "stream/json.h"
#include "stream/util.h"

struct tokenizer;

/*
 * From a path: a tokenizer.json; a .gguf; "vocab.json,merges.txt" (or GPT-2's "encoder.json,vocab.bpe"); BERT's
 * vocab.txt; a folder holding one of these. How a family cuts words, which the pair does not say, follows from the
 * "model_type" of the config.json beside it; where there is none, a warning says what is assumed.
 */
struct tokenizer *tokenizer_load(const char *path);
/* From a document, as a stream carries it (borrowed). `where` names it in messages. */
struct tokenizer *tokenizer_from_json(const json_t *document, const char *where);
/* From an open GGUF's vocabulary. */
struct gguf;
struct tokenizer *tokenizer_from_gguf(const struct gguf *gguf);
void tokenizer_free(struct tokenizer *tokenizer);

/*
 * A byte-level BPE learned from text: add every text, then finish. Sennrich et al. 2016 with GPT-2's pre-tokenizer;
 * special tokens and their order as RoBERTa's: <s> <pad> </s> <unk> <mask>, then the 256 bytes, then the merges, the
 * most frequent pair first, ties to the pair of lower ids. Ends early when no pair is left that occurs twice.
 */
#define LEARNED_VOCAB_MIN (5 + 256)
#define LEARNED_VOCAB_DEFAULT 8192
struct learner *learner_new(void);
void learner_add(struct learner *learner, const char *text, size_t length);
/* vocab_size >= LEARNED_VOCAB_MIN. Frees the learner. */
struct tokenizer *learner_finish(struct learner *learner, int64_t vocab_size);

/* tokenizer.json as one line of text, NUL-terminated; borrowed. */
const char *tokenizer_json(const struct tokenizer *tokenizer, size_t *size);
/* Of that text. */
uint64_t tokenizer_fingerprint(const struct tokenizer *tokenizer);
/*
 * Dies, saying what `what` is, unless `fingerprint`, of the tokenizer
 * that comes with it ("": none does), is this one's.
 */
void tokenizer_require(const struct tokenizer *tokenizer, const char *fingerprint, const char *what);
/* One more than the highest id. */
int64_t tokenizer_vocab_size(const struct tokenizer *tokenizer);
/* The id of a token by its spelling in the vocabulary ("<mask>", "Ġthe"), or -1. */
int32_t tokenizer_id(const struct tokenizer *tokenizer, const char *token);
/* The token's spelling; NULL for ids without one. Borrowed. */
const char *tokenizer_token(const struct tokenizer *tokenizer, int32_t id);
/* The id of a special token under the names known for it, or -1. */
enum special { SPECIAL_BOS, SPECIAL_EOS, SPECIAL_UNK, SPECIAL_PAD, SPECIAL_MASK, N_SPECIAL };
int32_t tokenizer_special(const struct tokenizer *tokenizer, enum special special);

/*
 * Text to ids. A tokenizer is read-only and shared; a worker (scratch memory and a cache of words) belongs to one
 * thread. Results do not depend on what was tokenized before.
 */
struct tokenize_options {
	bool add_special;     /* with what the tokenizer puts around a sequence (<s> and </s> for RoBERTa) */
	bool special_as_text; /* a "<s>" in the text is four characters; else it is the token, as in the reference */
};
struct tokenize_worker;
struct tokenize_worker *tokenize_worker_new(const struct tokenizer *tokenizer, struct tokenize_options options);
void tokenize_worker_free(struct tokenize_worker *worker);
/*
 * Appends the ids of the text to the buffer, as int32_t, at most `budget` of them (below 0: all); what is put behind a
 * text stays where it is cut. Returns how many were left out.
 */
int64_t tokenize(struct tokenize_worker *worker, const char *text, size_t length, int64_t budget, struct buffer *ids);

/*
 * Appends the text of the ids to the buffer, without special tokens; no NUL is added. Bytes that are no character
 * become U+FFFD. Ids out of range give nothing.
 */
void tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, int64_t count, struct buffer *text);

#endif
