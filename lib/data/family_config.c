/* Configurations of all families in one set of words. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/family.h"
#include "stream/util.h"

static bool is_there(const json_t *config, const char *key)
{
	const json_t *value = json_object_get(config, key);
	return value && !json_is_null(value);
}

/* Replaces what is not there. */
static void set_default(json_t *config, const char *key, json_t *value)
{
	if (json_object_get(config, key))
		json_decref(value);
	else
		json_set(config, key, value);
}

static void rename_keys(json_t *config, const char *const (*renamed)[2])
{
	for (; renamed && (*renamed)[0]; renamed++) {
		json_t *value = json_object_get(config, (*renamed)[0]);
		if (!value)
			continue;
		set_default(config, (*renamed)[1], json_incref(value));
		json_object_del(config, (*renamed)[0]);
	}
}

static void move(json_t *from, const char *key, json_t *to, const char *new_key)
{
	json_t *value = json_object_get(from, key);
	if (value && !json_is_null(value))
		json_set(to, new_key, json_incref(value));
	json_object_del(from, key);
}

/* The newer spelling of rotary positions' settings, one object for all, and the older ones to ours. */
static void settle_rope_words(json_t *config)
{
	json_t *all = json_deep_copy(json_object_get(config, "rope_parameters"));
	json_t *local = json_object_get(all, "sliding_attention"), *global = json_object_get(all, "full_attention");
	if (local)
		move(local, "rope_theta", config, "rope_local_base_freq");
	json_t *scaling = json_is_object(all) ? json_incref(global ? global : all) :
											json_deep_copy(json_object_get(config, "rope_scaling"));
	json_decref(all);
	json_object_del(config, "rope_parameters");
	json_object_del(config, "rope_scaling");
	if (!json_is_object(scaling)) {
		json_decref(scaling);
		return;
	}
	json_t *old_type = json_object_get(scaling, "type");
	if (old_type && !is_there(scaling, "rope_type"))
		json_set(scaling, "rope_type", json_incref(old_type));
	json_object_del(scaling, "type");
	move(scaling, "rope_theta", config, "rope_theta");
	move(scaling, "partial_rotary_factor", config, "partial_rotary_factor");
	const char *type = json_string_value(json_object_get(scaling, "rope_type"));
	if (json_object_size(scaling) && (!type || strcmp(type, "default") != 0))
		json_set(config, "rope_scaling", scaling);
	else
		json_decref(scaling);
}

/*
 * Phi 3's "longrope" has other factors beyond the length it was trained with first: what is longer is left out, so that
 * all positions have one frequency each.
 */
static void settle_long_rope(json_t *config, json_t *scaling, const char *where)
{
	double longest = json_get_number(config, "max_position_embeddings", where);
	double original = json_get_number(scaling, "original_max_position_embeddings", where);
	double factor = is_there(scaling, "factor") ? json_get_number(scaling, "factor", where) : longest / original;
	double attention = factor > 1 && original > 1 ? sqrt(1 + log(factor) / log(original)) : 1;
	set_default(scaling, "attention_factor", json_real(attention));
	json_t *factors = json_object_get(scaling, "short_factor");
	if (!json_is_array(factors))
		die("%s: rope_scaling: no \"short_factor\", a list was expected", where);
	json_set(scaling, "factors", json_incref(factors));
	json_set(scaling, "rope_type", json_string("factors"));
	if (original < longest)
		json_set(config, "max_position_embeddings", json_integer((json_int_t)original));
}

static void settle_rope(json_t *config, const char *where)
{
	json_t *scaling = json_object_get(config, "rope_scaling");
	if (!scaling)
		return;
	const char *type = json_get_string(scaling, "rope_type", where);
	bool is_long = !strcmp(type, "longrope") || !strcmp(type, "su");
	if (!is_long && strcmp(type, "llama3") != 0 && strcmp(type, "yarn") != 0)
		return;
	json_t *original = json_object_get(config, "original_max_position_embeddings");
	if (json_is_integer(original))
		json_set(scaling, "original_max_position_embeddings", json_incref(original));
	set_default(scaling, "original_max_position_embeddings",
		json_incref(json_object_get(config, "max_position_embeddings")));
	if (is_long)
		settle_long_rope(config, scaling, where);
}

/* The list of the layers that slide; NULL: none does. */
static json_t *layer_types(const struct family *family, const json_t *config, const char *where)
{
	json_int_t every = family->every;
	json_int_t first = 0;
	bool asked = json_is_true(json_object_get(config, "use_sliding_window"));
	if (family->slides == SLIDES_NEVER || (family->slides == SLIDES_ASKED && !asked))
		return NULL;
	json_int_t layers = json_get_int(config, "num_hidden_layers", 1, 1024, where);
	if (is_there(config, "sliding_window_pattern"))
		every = json_get_int(config, "sliding_window_pattern", 1, 1024, where);
	if (family->slides == SLIDES_ASKED)
		first = json_get_int(config, "max_window_layers", 0, INT32_MAX, where);
	const json_t *rotates = json_object_get(config, "no_rope_layers");
	json_t *types = json_array();
	for (json_int_t i = 0; i < layers; i++) {
		bool slides = i >= first && (family->slides != SLIDES_BUT_EVERY || (i + !family->first_is_whole) % every);
		slides = slides && !(family->skips_rope && json_integer_value(json_array_get(rotates, (size_t)i)));
		json_append(types, json_string(slides ? "sliding_attention" : "full_attention"));
	}
	return types;
}

static void settle_windows(const struct family *family, json_t *config, const char *where)
{
	if (is_there(config, "local_attention")) /* a half on each side */
		json_set(config, "sliding_window",
			json_integer(json_get_int(config, "local_attention", 0, INT32_MAX, where) / 2 + 1));
	json_t *types = is_there(config, "layer_types") ? json_incref(json_object_get(config, "layer_types")) :
													  layer_types(family, config, where);
	bool slides = is_there(config, "sliding_window") && types;
	if (slides)
		json_set(config, "layer_types", types);
	else
		json_decref(types);
	if (!slides) {
		json_object_del(config, "layer_types");
		json_object_del(config, "sliding_window");
	}
}

static void settle_rope_layers(const struct family *family, json_t *config, const char *where)
{
	if (!family->skips_rope) {
		json_object_del(config, "no_rope_layers");
		return;
	}
	if (is_there(config, "no_rope_layers"))
		return;
	json_int_t layers = json_get_int(config, "num_hidden_layers", 1, 1024, where);
	json_int_t interval = json_get_int(config, "no_rope_layer_interval", 1, 1024, where);
	json_t *list = json_array();
	for (json_int_t i = 0; i < layers; i++)
		json_append(list, json_integer((i + 1) % interval != 0));
	json_set(config, "no_rope_layers", list);
}

static const char *const words[] = {"model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
	"num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings", "rms_norm_eps",
	"layer_norm_eps", "hidden_act", "attention_bias", "mlp_bias", "tie_word_embeddings", "rope_theta", "rope_scaling",
	"rope_local_base_freq", "rope_pairing", "partial_rotary_factor", "no_rope_layers", "sliding_window", "layer_types",
	"embedding_multiplier", "residual_multiplier", "logits_scaling", "attention_multiplier", "attn_logit_softcapping",
	"final_logit_softcapping", "use_parallel_residual", "type_vocab_size", "position_offset",
	"relative_attention_num_buckets", "pooling"};

/* Of those, what they are where they change nothing. */
static const struct {
	const char *key;
	double value;
} neutral[] = {{"partial_rotary_factor", 1}, {"embedding_multiplier", 1}, {"residual_multiplier", 1},
	{"logits_scaling", 1}};

static bool is_neutral(const char *key, const json_t *value)
{
	for (size_t i = 0; i < COUNT_OF(neutral); i++)
		if (!strcmp(key, neutral[i].key) && json_is_number(value) && json_number_value(value) == neutral[i].value)
			return true;
	return json_is_null(value) || (json_is_false(value) && !strcmp(key, "use_parallel_residual"));
}

static void keep_words(json_t *config)
{
	const char *key;
	json_t *value;
	void *next;
	json_object_foreach_safe(config, next, key, value)
	{
		bool known = false;
		for (size_t i = 0; i < COUNT_OF(words); i++)
			known |= !strcmp(key, words[i]);
		if (!known || is_neutral(key, value))
			json_object_del(config, key);
	}
}

/* Keys for which null means that there is none; of others, that the default holds. */
static void drop_nulls(json_t *config)
{
	static const char *const none[] = {"sliding_window", "attn_logit_softcapping", "final_logit_softcapping"};
	const char *key;
	json_t *value;
	void *next;
	json_object_foreach_safe(config, next, key, value)
	{
		bool means_none = false;
		for (size_t i = 0; i < COUNT_OF(none); i++)
			means_none |= !strcmp(key, none[i]);
		if (json_is_null(value) && !means_none)
			json_object_del(config, key);
	}
}

static void set_defaults(const struct family *family, json_t *config, const char *where)
{
	char *text = xstrdup(family->defaults);
	for (char *quote = text; (quote = strchr(quote, '\'')); *quote = '"')
		;
	json_t *defaults = json_parse(text, strlen(text), "family.c");
	free(text);
	if (json_object_update_missing(config, defaults))
		die_memory(0, 0);
	json_decref(defaults);
	json_int_t width = json_get_int(config, "hidden_size", 1, INT32_MAX / 4, where);
	json_int_t heads = json_get_int(config, "num_attention_heads", 1, INT32_MAX, where);
	set_default(config, "num_key_value_heads", json_integer(heads));
	set_default(config, "head_dim", json_integer(width / heads));
	set_default(config, "max_position_embeddings", json_integer(2048));
	if (family->plain_ffn)
		set_default(config, "intermediate_size", json_integer(4 * width));
	if (family->norm == NORM_RMS)
		set_default(config, "rms_norm_eps", json_real(1e-6));
	set_default(config, "hidden_act", json_string("silu"));
	if (!family->learned_positions)
		set_default(config, "rope_theta", json_real(10000));
	set_default(config, "attention_bias", json_false());
	set_default(config, "mlp_bias", json_false());
	set_default(config, "tie_word_embeddings", json_false());
	if (family->offset_positions) {
		json_int_t padding = is_there(config, "pad_token_id") ?
			json_get_int(config, "pad_token_id", 0, 1 << 20, where) :
			1;
		json_set(config, "position_offset", json_integer(padding + 1));
	}
	if (family->scaled_tokens)
		json_set(config, "embedding_multiplier", json_real(sqrt((double)width)));
	if (is_there(config, "query_pre_attn_scalar"))
		set_default(config, "attention_multiplier",
			json_real(1 / sqrt(json_get_number(config, "query_pre_attn_scalar", where))));
}

void family_settle(const struct family *family, json_t *config, const char *where)
{
	rename_keys(config, family->renamed);
	settle_rope_words(config);
	drop_nulls(config);
	if (json_is_true(json_object_get(config, "use_bidirectional_attention")))
		die("%s: \"use_bidirectional_attention\": an encoder, which is not supported", where);
	if (json_is_true(json_object_get(config, "scale_attn_by_inverse_layer_idx")))
		die("%s: \"scale_attn_by_inverse_layer_idx\" is not supported", where);
	set_defaults(family, config, where);
	settle_rope(config, where);
	settle_rope_layers(family, config, where);
	settle_windows(family, config, where);
	keep_words(config);
}
