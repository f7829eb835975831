/*
 * Text to token ids and back, as the model's own tokenizer does it.
 *
 * Whatever a tokenizer is read from, it becomes one document first: Hugging
 * Face's tokenizer.json. The encoder is built from that document, the stream
 * carries it, and its fingerprint is the tokenizer's. Understood are BPE models,
 * byte-level (GPT-2, RoBERTa, LLaMA 3, Qwen, SmolLM) and sentencepiece-style
 * (LLaMA 2, Phi-3), with their added tokens, normalizers (Prepend, Replace) and
 * pre-tokenizers (ByteLevel, Split, Digits, Metaspace, Sequence); anything else
 * in the document is an error that names it. Its truncation and padding are
 * dropped: they are the caller's business.
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
 * From a path: a tokenizer.json; a .gguf; "vocab.json,merges.txt" (or GPT-2's "encoder.json,vocab.bpe"); a folder
 * holding tokenizer.json or either pair.
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
struct learner *learner_new(void);
void learner_add(struct learner *learner, const char *text, size_t length);
/* vocab_size >= LEARNED_VOCAB_MIN. Frees the learner. */
struct tokenizer *learner_finish(struct learner *learner, int64_t vocab_size);

/* tokenizer.json as one line of text, NUL-terminated; borrowed. */
const char *tokenizer_json(const struct tokenizer *tokenizer, size_t *size);
/* Of that text. */
uint64_t tokenizer_fingerprint(const struct tokenizer *tokenizer);
/* Dies, saying what `what` is, unless `fingerprint`, of the tokenizer that comes with it ("": none does), is this one's. */
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
 * Encoding. A tokenizer is read-only and shared; an encoder (scratch memory and a cache of words) belongs to one
 * thread. Results do not depend on what was encoded before.
 */
struct encoder;
struct encoder *encoder_new(const struct tokenizer *tokenizer);
/*
 * Appends the ids of text to the buffer, as int32_t. add_special: with what the tokenizer puts around a sequence
 * (<s> and </s> for RoBERTa). Added tokens ("<mask>") are recognised in the text, as in the reference implementation.
 */
void encoder_encode(struct encoder *encoder, const char *text, size_t length, bool add_special, struct buffer *ids);
void encoder_free(struct encoder *encoder);

/*
 * Appends the text of the ids to the buffer, without special tokens; no NUL is added. A character whose bytes are cut
 * off stays cut off. Ids out of range give nothing.
 */
void tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, int64_t count, struct buffer *text);

#endif
