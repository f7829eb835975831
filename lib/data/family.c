#include "data/family.h"

#include <stdlib.h>
#include <string.h>

#include "stream/util.h"

/* --- names --- */

#define LLAMA_PARTS                                                                                                    \
	[PART_TOKENS] = "model.embed_tokens", [PART_LAST_NORM] = "model.norm", [PART_HEAD] = "lm_head",                    \
	[PART_ATTENTION_NORM] = "input_layernorm", [PART_QUERY] = "self_attn.q_proj", [PART_KEY] = "self_attn.k_proj",     \
	[PART_VALUE] = "self_attn.v_proj", [PART_QKV] = "self_attn.qkv_proj", [PART_QUERY_NORM] = "self_attn.q_norm",      \
	[PART_KEY_NORM] = "self_attn.k_norm", [PART_OUT] = "self_attn.o_proj", [PART_GATE] = "mlp.gate_proj",              \
	[PART_UP] = "mlp.up_proj", [PART_GATE_UP] = "mlp.gate_up_proj", [PART_DOWN] = "mlp.down_proj"

static const char *const llama_names[N_PARTS] = {LLAMA_PARTS, [PART_FFN_NORM] = "post_attention_layernorm"};
/* With norms behind, the other one is what its name says. */
static const char *const gemma_names[N_PARTS] = {LLAMA_PARTS, [PART_POST_ATTENTION_NORM] = "post_attention_layernorm",
	[PART_FFN_NORM] = "pre_feedforward_layernorm", [PART_POST_FFN_NORM] = "post_feedforward_layernorm"};
static const char *const neox_names[N_PARTS] = {[PART_TOKENS] = "gpt_neox.embed_in",
	[PART_LAST_NORM] = "gpt_neox.final_layer_norm",
	[PART_HEAD] = "lm_head",
	[PART_ATTENTION_NORM] = "input_layernorm",
	[PART_QKV] = "attention.query_key_value",
	[PART_OUT] = "attention.dense",
	[PART_FFN_NORM] = "post_attention_layernorm",
	[PART_UP] = "mlp.dense_h_to_4h",
	[PART_DOWN] = "mlp.dense_4h_to_h"};
static const char *const gpt2_names[N_PARTS] = {[PART_TOKENS] = "transformer.wte",
	[PART_POSITIONS] = "transformer.wpe",
	[PART_LAST_NORM] = "transformer.ln_f",
	[PART_HEAD] = "lm_head",
	[PART_ATTENTION_NORM] = "ln_1",
	[PART_QKV] = "attn.c_attn",
	[PART_OUT] = "attn.c_proj",
	[PART_FFN_NORM] = "ln_2",
	[PART_UP] = "mlp.c_fc",
	[PART_DOWN] = "mlp.c_proj"};

#define BERT_LAYER                                                                                                     \
	[PART_QUERY] = "attention.self.query", [PART_KEY] = "attention.self.key", [PART_VALUE] = "attention.self.value",   \
	[PART_OUT] = "attention.output.dense", [PART_ATTENTION_SUM_NORM] = "attention.output.LayerNorm",                   \
	[PART_UP] = "intermediate.dense", [PART_DOWN] = "output.dense", [PART_FFN_SUM_NORM] = "output.LayerNorm"
#define BERT_EMBEDDINGS(prefix)                                                                                        \
	[PART_TOKENS] = prefix "embeddings.word_embeddings", [PART_POSITIONS] = prefix "embeddings.position_embeddings",   \
	[PART_TYPES] = prefix "embeddings.token_type_embeddings", [PART_EMBEDDING_NORM] = prefix "embeddings.LayerNorm"

static const char *const bert_names[N_PARTS] = {BERT_EMBEDDINGS("bert."), BERT_LAYER};
static const char *const roberta_names[N_PARTS] = {BERT_EMBEDDINGS("roberta."), BERT_LAYER};
static const char *const distilbert_names[N_PARTS] = {
	BERT_EMBEDDINGS("distilbert."), [PART_QUERY] = "attention.q_lin", [PART_KEY] = "attention.k_lin",
	[PART_VALUE] = "attention.v_lin", [PART_OUT] = "attention.out_lin", [PART_ATTENTION_SUM_NORM] = "sa_layer_norm",
	[PART_UP] = "ffn.lin1", [PART_DOWN] = "ffn.lin2", [PART_FFN_SUM_NORM] = "output_layer_norm"};
static const char *const mpnet_names[N_PARTS] = {
	BERT_EMBEDDINGS("mpnet."), [PART_DISTANCES] = "mpnet.encoder.relative_attention_bias",
	[PART_QUERY] = "attention.attn.q", [PART_KEY] = "attention.attn.k", [PART_VALUE] = "attention.attn.v",
	[PART_OUT] = "attention.attn.o", [PART_ATTENTION_SUM_NORM] = "attention.LayerNorm",
	[PART_UP] = "intermediate.dense", [PART_DOWN] = "output.dense", [PART_FFN_SUM_NORM] = "output.LayerNorm"};
static const char *const modernbert_names[N_PARTS] = {[PART_TOKENS] = "model.embeddings.tok_embeddings",
	[PART_EMBEDDING_NORM] = "model.embeddings.norm",
	[PART_LAST_NORM] = "model.final_norm",
	[PART_ATTENTION_NORM] = "attn_norm",
	[PART_QKV] = "attn.Wqkv",
	[PART_OUT] = "attn.Wo",
	[PART_FFN_NORM] = "mlp_norm",
	[PART_GATE_UP] = "mlp.Wi",
	[PART_DOWN] = "mlp.Wo"};

static const char *const gguf_names[N_PARTS] = {[PART_TOKENS] = "token_embd",
	[PART_POSITIONS] = "position_embd",
	[PART_TYPES] = "token_types",
	[PART_EMBEDDING_NORM] = "token_embd_norm",
	[PART_LAST_NORM] = "output_norm",
	[PART_HEAD] = "output",
	[PART_ATTENTION_NORM] = "attn_norm",
	[PART_QUERY] = "attn_q",
	[PART_KEY] = "attn_k",
	[PART_VALUE] = "attn_v",
	[PART_QKV] = "attn_qkv",
	[PART_QUERY_NORM] = "attn_q_norm",
	[PART_KEY_NORM] = "attn_k_norm",
	[PART_OUT] = "attn_output",
	[PART_POST_ATTENTION_NORM] = "post_attention_norm",
	[PART_ATTENTION_SUM_NORM] = "attn_output_norm",
	[PART_FFN_NORM] = "ffn_norm",
	[PART_GATE] = "ffn_gate",
	[PART_UP] = "ffn_up",
	[PART_GATE_UP] = "ffn_up",
	[PART_DOWN] = "ffn_down",
	[PART_POST_FFN_NORM] = "post_ffw_norm",
	[PART_FFN_SUM_NORM] = "layer_output_norm"};

/* --- the table --- */

#define LLAMA .names = llama_names, .prefix = "model.", .layers = "model.layers."
#define GEMMA                                                                                                          \
	.names = gemma_names, .prefix = "model.", .layers = "model.layers.", .renamed = gemma_keys,                        \
	.norm_place = NORM_AROUND, .scaled_tokens = true, .norms_less_one = true, .slides = SLIDES_BUT_EVERY

#define BERT                                                                                                           \
	.norm = NORM_LAYER, .norm_place = NORM_OF_SUM, .both_ways = true, .embedding_norm = true,                          \
	.learned_positions = true, .plain_ffn = true
#define BERT_DEFAULTS                                                                                                  \
	"'layer_norm_eps': 1e-12, 'hidden_act': 'gelu', 'attention_bias': true, 'mlp_bias': true,"                         \
	"'max_position_embeddings': 512"

static const char *const gemma_keys[][2] = {{"hidden_activation", "hidden_act"}, {NULL, NULL}};
static const char *const neox_keys[][2] = {{"rotary_pct", "partial_rotary_factor"}, {"rotary_emb_base", "rope_theta"},
	{NULL, NULL}};
static const char *const gpt2_keys[][2] = {{"n_embd", "hidden_size"}, {"n_inner", "intermediate_size"},
	{"n_layer", "num_hidden_layers"}, {"n_head", "num_attention_heads"}, {"n_positions", "max_position_embeddings"},
	{"layer_norm_epsilon", "layer_norm_eps"}, {"activation_function", "hidden_act"}, {NULL, NULL}};

static const char *const distilbert_keys[][2] = {{"dim", "hidden_size"}, {"hidden_dim", "intermediate_size"},
	{"n_layers", "num_hidden_layers"}, {"n_heads", "num_attention_heads"}, {"activation", "hidden_act"}, {NULL, NULL}};
static const char *const modernbert_keys[][2] = {{"norm_eps", "layer_norm_eps"}, {"hidden_activation", "hidden_act"},
	{"global_rope_theta", "rope_theta"}, {"local_rope_theta", "rope_local_base_freq"},
	{"global_attn_every_n_layers", "sliding_window_pattern"}, {NULL, NULL}};

static const struct family families[] = {
	{"llama", "llama", LLAMA, .interleaved = true, .defaults = "{}"},
	{"mistral", NULL, LLAMA, .slides = SLIDES_ALWAYS,
		.defaults = "{'num_key_value_heads': 8, 'max_position_embeddings': 131072, 'sliding_window': 4096}"},
	{"qwen2", "qwen2", LLAMA, .out_unbiased = true, .slides = SLIDES_ASKED,
		.defaults = "{'num_key_value_heads': 32, 'max_position_embeddings': 32768, 'attention_bias': true,"
					"'sliding_window': 4096, 'max_window_layers': 28}"},
	{"qwen3", "qwen3", LLAMA, .head_norm = HEADS_EACH, .slides = SLIDES_ASKED,
		.defaults = "{'num_key_value_heads': 32, 'max_position_embeddings': 32768, 'head_dim': 128,"
					"'sliding_window': 4096, 'max_window_layers': 28}"},
	{"gemma2", "gemma2", GEMMA, .every = 2, .layers_scaled_by_width = 46,
		.defaults = "{'num_key_value_heads': 4, 'max_position_embeddings': 8192, 'head_dim': 256,"
					"'hidden_act': 'gelu_pytorch_tanh', 'tie_word_embeddings': true, 'query_pre_attn_scalar': 256,"
					"'sliding_window': 4096, 'attn_logit_softcapping': 50.0, 'final_logit_softcapping': 30.0}"},
	{"gemma3_text", "gemma3", GEMMA, .head_norm = HEADS_EACH, .every = 6, .layers_scaled_by_width = 62,
		.defaults = "{'num_key_value_heads': 4, 'max_position_embeddings': 131072, 'head_dim': 256,"
					"'hidden_act': 'gelu_pytorch_tanh', 'tie_word_embeddings': true, 'query_pre_attn_scalar': 256,"
					"'sliding_window': 4096, 'rope_theta': 1000000.0, 'rope_local_base_freq': 10000.0}"},
	{"phi3", "phi3", LLAMA, .one_qkv = true, .one_gate_up = true, .slides = SLIDES_ALWAYS,
		.defaults = "{'max_position_embeddings': 4096, 'rms_norm_eps': 1e-5}"},
	{"olmo2", "olmo2", .names = gemma_names, .prefix = "model.", .layers = "model.layers.", .norm_place = NORM_BEHIND,
		.head_norm = HEADS_TOGETHER, .defaults = "{'rms_norm_eps': 1e-5}"},
	{"granite", "granite", LLAMA, .interleaved = true, .defaults = "{'attention_multiplier': 1.0}"},
	{"smollm3", "smollm3", LLAMA, .interleaved = true, .skips_rope = true, .slides = SLIDES_ASKED,
		.defaults = "{'num_key_value_heads': 4, 'max_position_embeddings': 32768, 'rope_theta': 2000000.0,"
					"'tie_word_embeddings': true, 'no_rope_layer_interval': 4, 'max_window_layers': 0}"},
	{"gpt_neox", "gptneox", .names = neox_names, .prefix = "gpt_neox.", .layers = "gpt_neox.layers.",
		.renamed = neox_keys, .old_head = "embed_out.", .norm = NORM_LAYER, .one_qkv = true, .plain_ffn = true,
		.qkv_by_head = true,
		.defaults = "{'layer_norm_eps': 1e-5, 'hidden_act': 'gelu', 'attention_bias': true, 'mlp_bias': true,"
					"'partial_rotary_factor': 0.25, 'use_parallel_residual': true}"},
	{"gpt2", "gpt2", .names = gpt2_names, .prefix = "transformer.", .layers = "transformer.h.", .renamed = gpt2_keys,
		.norm = NORM_LAYER, .one_qkv = true, .plain_ffn = true, .learned_positions = true, .conv1d = true,
		.defaults = "{'max_position_embeddings': 1024, 'layer_norm_eps': 1e-5, 'hidden_act': 'gelu_new',"
					"'attention_bias': true, 'mlp_bias': true, 'tie_word_embeddings': true}"},
	{"bert", "bert", BERT, .names = bert_names, .prefix = "bert.", .layers = "bert.encoder.layer.", .has_types = true,
		.defaults = "{" BERT_DEFAULTS ", 'type_vocab_size': 2}"},
	{"distilbert", NULL, BERT, .names = distilbert_names, .prefix = "distilbert.",
		.layers = "distilbert.transformer.layer.", .renamed = distilbert_keys, .defaults = "{" BERT_DEFAULTS "}"},
	{"roberta", NULL, BERT, .names = roberta_names, .prefix = "roberta.", .layers = "roberta.encoder.layer.",
		.has_types = true, .offset_positions = true, .defaults = "{" BERT_DEFAULTS ", 'type_vocab_size': 2}"},
	{"xlm-roberta", NULL, BERT, .names = roberta_names, .prefix = "roberta.", .layers = "roberta.encoder.layer.",
		.has_types = true, .offset_positions = true, .defaults = "{" BERT_DEFAULTS ", 'type_vocab_size': 2}"},
	{"mpnet", NULL, BERT, .names = mpnet_names, .prefix = "mpnet.", .layers = "mpnet.encoder.layer.", .distances = true,
		.offset_positions = true, .defaults = "{" BERT_DEFAULTS ", 'relative_attention_num_buckets': 32}"},
	{"modernbert", NULL, .names = modernbert_names, .prefix = "model.", .layers = "model.layers.",
		.renamed = modernbert_keys, .norm = NORM_LAYER_UNBIASED, .both_ways = true, .embedding_norm = true,
		.first_reads_stream = true, .one_qkv = true, .one_gate_up = true, .slides = SLIDES_BUT_EVERY, .every = 3,
		.first_is_whole = true,
		.defaults = "{'layer_norm_eps': 1e-5, 'hidden_act': 'gelu', 'max_position_embeddings': 8192,"
					"'rope_theta': 160000.0, 'rope_local_base_freq': 10000.0, 'local_attention': 128}"},
	{"longformer", NULL, .prefix = "longformer."},
};

const struct family *family_of_type(const char *model_type)
{
	for (size_t i = 0; i < COUNT_OF(families); i++)
		if (!strcmp(families[i].model_type, model_type))
			return &families[i];
	return NULL;
}

const struct family *family_of_gguf(const char *architecture)
{
	for (size_t i = 0; i < COUNT_OF(families); i++)
		if (families[i].gguf && !strcmp(families[i].gguf, architecture))
			return &families[i];
	return NULL;
}

static char *longer_list(char *list, const char *name)
{
	char *longer = list ? xasprintf("%s, %s", list, name) : xstrdup(name);
	free(list);
	return longer;
}

char *family_list(bool gguf, bool encoders)
{
	char *list = NULL;
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		const char *name = gguf ? families[i].gguf : families[i].model_type;
		if (name && (families[i].both_ways || !families[i].names) == encoders)
			list = longer_list(list, name);
	}
	return list;
}

char *family_list_of(bool (*fits)(const struct family *family))
{
	char *list = NULL;
	for (size_t i = 0; i < COUNT_OF(families); i++)
		if (families[i].names && fits(&families[i]))
			list = longer_list(list, families[i].model_type);
	return list;
}

bool family_has(const struct family *family, enum family_part part, int layer)
{
	const enum norm_place place = family->norm_place;
	switch (part) {
	case PART_POSITIONS: return family->learned_positions;
	case PART_TYPES: return family->has_types;
	case PART_EMBEDDING_NORM: return family->embedding_norm;
	case PART_DISTANCES: return family->distances;
	case PART_LAST_NORM: return place != NORM_OF_SUM;
	case PART_HEAD: return !family->both_ways;
	case PART_ATTENTION_NORM:
		if (family->first_reads_stream && layer == 0)
			return false;
		/* fall through */
	case PART_FFN_NORM: return place == NORM_BEFORE || place == NORM_AROUND;
	case PART_POST_ATTENTION_NORM:
	case PART_POST_FFN_NORM: return place == NORM_BEHIND || place == NORM_AROUND;
	case PART_ATTENTION_SUM_NORM:
	case PART_FFN_SUM_NORM: return place == NORM_OF_SUM;
	case PART_QUERY:
	case PART_KEY:
	case PART_VALUE: return !family->one_qkv;
	case PART_QKV: return family->one_qkv;
	case PART_QUERY_NORM:
	case PART_KEY_NORM: return family->head_norm != HEADS_FREE;
	case PART_GATE: return !family->plain_ffn && !family->one_gate_up;
	case PART_UP: return !family->one_gate_up;
	case PART_GATE_UP: return family->one_gate_up;
	default: return true;
	}
}

char *family_name(const struct family *family, enum family_part part, int layer)
{
	const char *name = family->names[part];
	return part < PART_ATTENTION_NORM ? xstrdup(name) : xasprintf("%s%d.%s", family->layers, layer, name);
}

enum family_part family_part(const struct family *family, const char *name)
{
	if (!family->names)
		return N_PARTS;
	size_t before = strlen(family->layers), digits = 0;
	int layer = 0;
	bool of_layer = !strncmp(name, family->layers, before);
	const char *rest = name;
	if (of_layer) {
		digits = strspn(name + before, "0123456789");
		rest += before + digits;
		layer = atoi(name + before);
		if (!digits || *rest++ != '.')
			return N_PARTS;
	}
	for (enum family_part part = of_layer ? PART_ATTENTION_NORM : 0; part < (of_layer ? N_PARTS : PART_ATTENTION_NORM);
		 part++)
		if (family_has(family, part, layer) && !strcmp(rest, family->names[part]))
			return part;
	return N_PARTS;
}

bool family_is_norm(enum family_part part)
{
	return part == PART_LAST_NORM || part == PART_ATTENTION_NORM || part == PART_FFN_NORM || part == PART_QUERY_NORM ||
		part == PART_KEY_NORM || part == PART_POST_ATTENTION_NORM || part == PART_POST_FFN_NORM ||
		part == PART_ATTENTION_SUM_NORM || part == PART_FFN_SUM_NORM || part == PART_EMBEDDING_NORM;
}

const char *family_gguf_name(enum family_part part)
{
	return gguf_names[part];
}
