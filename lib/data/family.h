/*
 * Families of published transformers, each a row of facts: what tells one from another is said here, once. Files are
 * read by it (weights_folder.c, weights_gguf.c) and models are made by it (model/transformer.c): a family that differs
 * in nothing but facts is one row of the table in family.c.
 *
 * A family's configuration is in one set of words, LLaMA's, whatever its own: family_settle() brings it there.
 */
#ifndef RECPIPE_FAMILY_H
#define RECPIPE_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream/json.h"

/* What a transformer is made of: of the whole, then, from PART_ATTENTION_NORM on, of each layer. */
enum family_part {
	PART_TOKENS,
	PART_POSITIONS,
	PART_TYPES,
	PART_EMBEDDING_NORM,
	PART_DISTANCES, /* what is added to scores, by distance */
	PART_LAST_NORM,
	PART_HEAD,
	PART_ATTENTION_NORM,
	PART_QUERY,
	PART_KEY,
	PART_VALUE,
	PART_QKV, /* these three in one */
	PART_QUERY_NORM,
	PART_KEY_NORM,
	PART_OUT,
	PART_POST_ATTENTION_NORM,
	PART_ATTENTION_SUM_NORM,
	PART_FFN_NORM,
	PART_GATE,
	PART_UP,
	PART_GATE_UP, /* these two in one */
	PART_DOWN,
	PART_POST_FFN_NORM,
	PART_FFN_SUM_NORM,
	N_PARTS
};

enum norm_kind { NORM_RMS, NORM_LAYER /* with a bias */, NORM_LAYER_UNBIASED };
/* Where: before what is added to the residual stream is computed, behind it, or both; or of the sum. */
enum norm_place { NORM_BEFORE, NORM_BEHIND, NORM_AROUND, NORM_OF_SUM };
/* Of queries and keys. */
enum head_norm { HEADS_FREE, HEADS_EACH, HEADS_TOGETHER };
/* Which layers see a window alone, where config.json has no layer_types. */
enum slides { SLIDES_NEVER, SLIDES_ALWAYS, SLIDES_ASKED /* use_sliding_window */, SLIDES_BUT_EVERY /* nth */ };

struct family {
	const char *model_type; /* Hugging Face's, and in a model's config.json */
	const char *gguf;       /* general.architecture; NULL: there is none */
	const char *const
		*names;           /* Hugging Face's, by part, of a layer without what is before; NULL: no transformer of ours */
	const char *old_head; /* what the head was called once, "embed_out."; NULL: it always was "lm_head." */
	const char *prefix, *layers;     /* "model.", and before a layer's number: "model.layers." */
	const char *const (*renamed)[2]; /* keys of its config.json and ours for them, up to NULL */
	const char *defaults;            /* of a config.json that leaves them out: JSON in our words, with ' for quotes */
	enum norm_kind norm;
	enum norm_place norm_place;
	enum head_norm head_norm;
	enum slides slides;
	int every;                 /* of SLIDES_BUT_EVERY */
	bool first_is_whole;       /* of these the first, too; else the last */
	bool one_qkv, one_gate_up; /* matrices that lie in one */
	bool learned_positions;    /* added to the tokens; else rotary */
	bool offset_positions;     /* these begin behind the one of padding */
	bool plain_ffn;            /* without a gate */
	/*
	 * an encoder: tokens see what is behind them, too. Tokens of two kinds; a norm of what goes in; scores by distance
	 */
	bool both_ways, has_types, embedding_norm, distances;
	bool first_reads_stream; /* the first layer has no norm before its attention */
	bool out_unbiased;       /* attention_bias is of queries, keys and values alone */
	bool scaled_tokens;      /* by the root of the width */
	bool skips_rope;         /* every so manieth layer, no_rope_layer_interval */
	/* how the files differ from one another */
	bool norms_less_one; /* Hugging Face stores norms less 1, GGUF as they are */
	bool conv1d;         /* Hugging Face stores a layer's matrices (in, out) */
	bool qkv_by_head;    /* Hugging Face stores a head's query, key and value side by side */
	bool interleaved;    /* GGUF has the rows of query and key permuted: pairs are neighbours */
	/*
	 * GGUF says nothing of how the scores of a model of so many
	 * layers are scaled: by the width, not the head's; 0: none
	 */
	int layers_scaled_by_width;
};

/* NULL: there is none. */
const struct family *family_of_type(const char *model_type);
const struct family *family_of_gguf(const char *architecture);
/* All names of LLMs, or of encoders, "llama, mistral, ..."; to be freed. */
char *family_list(bool gguf, bool encoders);
/* Hugging Face's names of those with layers of ours that `fits`; to be freed. */
char *family_list_of(bool (*fits)(const struct family *family));

/* layer: of parts of a layer; of the whole it is not read. */
bool family_has(const struct family *family, enum family_part part, int layer);
/* "model.layers.3.mlp.up_proj"; layer is not read of parts of the whole. To be freed. */
char *family_name(const struct family *family, enum family_part part, int layer);
/* The part that Hugging Face calls so, or N_PARTS: name is without ".weight" and ".bias". */
enum family_part family_part(const struct family *family, const char *name);
bool family_is_norm(enum family_part part);
/* GGUF's name of a part: "token_embd"; of a layer without "blk.N.". */
const char *family_gguf_name(enum family_part part);

/*
 * Brings config.json, or what was made of GGUF's metadata, to our words, complete, and drops all other keys:
 * model_type, vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, num_key_value_heads,
 * head_dim, max_position_embeddings, rms_norm_eps or layer_norm_eps, hidden_act, attention_bias, mlp_bias,
 * tie_word_embeddings;
 *
 *   rope_theta, rope_scaling   as Hugging Face's; rope_type "factors" is not: "factors" are what frequencies are
 *                              divided by, rope_scaling.attention_factor what queries and keys are multiplied with
 *   rope_local_base_freq       the rope_theta of layers with a window, which have no rope_scaling
 *   rope_pairing               not of Hugging Face: "half" pairs dimension m of a head with m + head_dim / 2;
 *                              "interleaved" pairs 2m with 2m + 1
 *   partial_rotary_factor      the share of a head that is turned
 *   no_rope_layers             1 for each layer with rotary positions, 0 for those without
 *   sliding_window, layer_types  "sliding_attention" for each layer that sees so many tokens, itself the last; both
 *                              or none
 *   embedding_multiplier, residual_multiplier, logits_scaling   Granite's
 *   attention_multiplier       of scores, in place of 1 / sqrt(head_dim)
 *   attn_logit_softcapping, final_logit_softcapping   Gemma 2's
 *   use_parallel_residual      GPT-NeoX's
 *   type_vocab_size            kinds of tokens
 *   position_offset            not of Hugging Face: the row of max_position_embeddings that is position 0
 *   relative_attention_num_buckets   MPNet's
 *   pooling                    of an encoder in GGUF: "mean", "cls" or "lasttoken"
 *
 * those after the first line only where they are not neutral. Types of what is used here are checked, values are not.
 */
void family_settle(const struct family *family, json_t *config, const char *where);

#endif
