/*
 * Language models of the families of data/family.h (transformer.c): architectures like others, whose "items" are
 * tokens, so that seq-train trains them; and read from published weights, frozen,
 * as what teaches item embeddings in SAID (Hu et al., WWW 2024, section 3.1), which
 * feeds them vectors in the place of tokens.
 *
 * Parameter names are Hugging Face's, config keys LLaMA's there. GPT-2's matrices are (out, in), as all others here.
 */
#ifndef RECPIPE_LLM_H
#define RECPIPE_LLM_H

#include "model/model.h"

/*
 * From a GGUF file or a Hugging Face folder (data/weights.h); every parameter frozen, mapped where the file holds
 * floats, unless it is to learn. It belongs to the file's own tokenizer, where there is one. Dies naming file and
 * tensor where one is missing or of another shape, and where one is to learn that cannot. Where only hidden states are
 * asked for, it has no head, and the file needs none: nothing can be said then.
 */
enum llm_use { LLM_SAYS, LLM_READS, LLM_LEARNS };
struct model *llm_open(const char *path, enum llm_use use);
/* Whether it is one; and makes one that was trained here like one from llm_open: no parameter has a gradient. */
bool is_llm(const struct model *model);
void llm_freeze(struct model *model);

/*
 * From now on hidden states are what its layer `layer` leaves, from 1, as Hugging Face's hidden_states[layer]; nothing
 * more can be said. Dies where it has fewer layers.
 */
void llm_read_layer(struct model *model, int64_t layer);

/*
 * The matrices of a frozen one are taken packed by products from
 * now on, which is faster; or, PACKED_NOT, as they are again.
 */
void llm_pack(struct model *model, enum packing packing);

/*
 * The same for one that only reads, once and for all: without its head, and floats that are packed are given back, so
 * that it takes no more memory than its packed matrices and its token vectors.
 */
void llm_pack_to_read(struct model *model, enum packing packing);

/* vocabulary x width: what tokens are on the way in, before a factor that the family may have. Borrowed. */
const float *llm_token_vectors(const struct model *model);
/*
 * Hidden states, (n, width), of packed sequences of input vectors (n, width): what model->item_vectors scores the next
 * token with. Sequences as for attention, at most model_max_length() long.
 */
struct array *llm_hidden(struct tape *tape, const struct model *model, struct array *embeddings, const int64_t *indptr,
	int64_t sequences);

/* Scores of tokens become softcap x tanh(score / softcap); 0: they are left alone. */
float llm_softcap(const struct model *model);

/*
 * Greedy text: what the model says after each of n vectors, alone or behind the token `start` (-1: alone): at most
 * max_tokens tokens, up to but without `stop`, tokens[i * max_tokens ...], length[i] of them. In parallel over the
 * vectors.
 */
void llm_say(const struct model *model, int32_t start, const float *vectors, int64_t n, int32_t stop,
	int64_t max_tokens, int32_t *tokens, int64_t *length);

/* Of the architectures: hidden states of tokens. */
struct array *llm_hidden_of_tokens(struct tape *tape, const struct model *model, const struct histories *histories);

#endif
