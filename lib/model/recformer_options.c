/* What a Recformer's config.json says: options, what follows from others, and what goes together. */
#include "model/recformer_parts.h"

static const char *const initialisers[] = {"normal", "words", NULL};
static const char *const poolings[] = {"first", "mean", NULL};
static const char *const countings[] = {"text", "item", NULL};
static const char *const sights[] = {"window", "item", NULL};

static void offset_by_padding(void *values)
{
	struct recformer *r = values;
	r->position_offset = r->pad + 1;
}

static void four_times_width(void *values)
{
	struct recformer *r = values;
	r->inner = 4 * r->d;
}

/* A published model says how many positions it has, one of our own how many items and tokens it reads. */
static void items_by_positions(void *values)
{
	struct recformer *r = values;
	r->limits.items = r->item_positions ? r->item_positions - 1 : 50;
}

static void positions_by_items(void *values)
{
	struct recformer *r = values;
	r->item_positions = r->limits.items + 1;
}

static void tokens_by_positions(void *values)
{
	struct recformer *r = values;
	int64_t room = r->positions - r->position_offset;
	r->limits.tokens = r->positions && r->counting == COUNT_TEXT && room < 1024 ? room : 1024;
}

static void positions_by_tokens(void *values)
{
	struct recformer *r = values;
	r->positions = r->limits.tokens + r->position_offset;
}

const struct option recformer_options[] = {
	/* what the program knows comes without help */
	{.key = "vocab_size", WHOLE_OPTION(struct recformer, vocab, 0, INT32_MAX), .fallback = "0"},
	{.key = "bos_token_id", WHOLE_OPTION(struct recformer, bos, 0, INT32_MAX), .fallback = "0"},
	{.key = "pad_token_id", WHOLE_OPTION(struct recformer, pad, -1, INT32_MAX - 1), .fallback = "1"},
	{.key = "sep_token_id", WHOLE_OPTION(struct recformer, limits.closing, -1, INT32_MAX), .fallback = "-1"},
	{.key = "position_offset",
		WHOLE_OPTION(struct recformer, position_offset, 0, 1 << 20),
		.derive = offset_by_padding},
	{"hidden-size", .key = "hidden_size", .argument = "N", WHOLE_OPTION(struct recformer, d, 1, 1 << 14),
		.depends = "size", .fallback = "128", .help = "Width of the model"},
	{"layers", .key = "num_hidden_layers", .argument = "N",
		WHOLE_OPTION(struct recformer, n_layers, 1, COUNT_OF(((struct recformer *)0)->layers)), .depends = "size",
		.fallback = "4", .help = "Blocks"},
	{.key = "num_attention_heads",
		WHOLE_OPTION(struct recformer, heads, 1, 256),
		.depends = "size",
		.fallback = "4",
		.help = "Attention heads"},
	{.key = "attention_window",
		WHOLE_OPTION(struct recformer, window, 2, 1 << 20),
		.fallback = "64",
		.help = "Tokens that a token sees, half to each side"},
	{"dropout", .argument = "P", REAL_OPTION(struct recformer, dropout, 0, .99), .fallback = "0.1",
		.help = "Dropout where it is not set by key"},
	{"initialiser", CHOICE_OPTION(struct recformer, initialiser, initialisers), .fallback = "words",
		.only = "!weights|model",
		.help = "A new model's matrices: words (a text starts as the mean of its words) or normal (deviation 0.02)"},
	{.key = "pooling",
		CHOICE_OPTION(struct recformer, pooling, poolings),
		.fallback = "first",
		.help = "A text's vector: its first token's state, or the mean of its items', each the mean of its tokens'"},
	{.key = "item_decay",
		REAL_OPTION(struct recformer, item_decay, 0, 1),
		.fallback = "0.7",
		.only = "pooling=mean, item_vectors=learned, histories=items",
		.help = "In the mean, weight of an item beside the one after it"},
	{.key = "pooler",
		YES_NO_OPTION(struct recformer, has_pooler),
		.fallback = "no",
		.help = "The vector goes through a linear map"},
	{.key = "positions",
		CHOICE_OPTION(struct recformer, counting, countings),
		.fallback = "text",
		.help = "Positions are counted through the text, or anew in each item"},
	{.key = "attention",
		CHOICE_OPTION(struct recformer, sight, sights),
		.fallback = "window",
		.help = "Beside the first token, a token sees: its window, or of that its own item alone"},
	{.key = "attribute_names",
		YES_NO_OPTION(struct recformer, names),
		.fallback = "yes",
		.help = "An attribute's name is read before what it says"},
	{.key = "frozen_words",
		YES_NO_OPTION(struct recformer, frozen_words),
		.fallback = "no",
		.help = "Word vectors stay as they are"},
	{.key = "max_items",
		WHOLE_OPTION(struct recformer, limits.items, 1, 1 << 16),
		.derive = items_by_positions,
		.fallback = "50",
		.help = "Latest items of a history"},
	{"max-tokens", .key = "max_token_num", .argument = "N", WHOLE_OPTION(struct recformer, limits.tokens, 1, 1 << 20),
		.derive = tokens_by_positions, .fallback = "1024", .help = "Tokens that a history is cut to"},
	{.key = "max_attr_num",
		WHOLE_OPTION(struct recformer, limits.attributes, 1, 256),
		.fallback = "3",
		.help = "Attributes of an item"},
	{.key = "max_attr_length",
		WHOLE_OPTION(struct recformer, limits.attribute_tokens, 1, 1 << 16),
		.fallback = "32",
		.help = "Tokens of an attribute, its name included"},
	{.key = "intermediate_size",
		WHOLE_OPTION(struct recformer, inner, 1, 1 << 16),
		.derive = four_times_width,
		.fallback = "4 hidden_size",
		.help = "Width inside the feed-forward part"},
	{.key = "layer_norm_eps",
		REAL_OPTION(struct recformer, epsilon, 0, 1),
		.fallback = "1e-5",
		.help = "Added to variances"},
	{.key = "hidden_dropout_prob",
		REAL_OPTION(struct recformer, hidden_dropout, 0, .99),
		.fallback = "=dropout",
		.help = "Dropout of what the blocks add, and of the input"},
	{.key = "attention_probs_dropout_prob",
		REAL_OPTION(struct recformer, attention_dropout, 0, .99),
		.fallback = "=dropout",
		.help = "Dropout of attention probabilities"},
	{.key = "temperature",
		REAL_OPTION(struct recformer, temperature, 1e-4, 1e4),
		.fallback = "0.05",
		.help = "What cosines are divided by"},
	{.key = "tie_word_embeddings",
		YES_NO_OPTION(struct recformer, tied),
		.fallback = "no",
		.only = "words_weight!=0",
		.help = "Masked words are told by the input's word vectors"},
	{.key = "max_item_embeddings",
		WHOLE_OPTION(struct recformer, item_positions, 2, 1 << 16),
		.derive = positions_by_items},
	{.key = "max_position_embeddings",
		WHOLE_OPTION(struct recformer, positions, 1, 1 << 20),
		.derive = positions_by_tokens},
	{.key = "token_type_size", WHOLE_OPTION(struct recformer, types, 3, 256), .fallback = "4"},
	{.key = "word_head", YES_NO_OPTION(struct recformer, has_words), .fallback = "yes"},
	{INCLUDED_OPTIONS(struct recformer, own, item_table_options)},
	{0},
};

void recformer_check(const void *state, const char *where)
{
	const struct recformer *r = state;
	option_require_multiple(recformer_options, where, "hidden_size", r->d, "num_attention_heads", r->heads);
	if (r->window % 2)
		die("%s: \"attention_window\" is %lld, an even number was expected", where, (long long)r->window);
	if (r->limits.items >= r->item_positions)
		die("%s: \"max_items\" is %lld, less than \"max_item_embeddings\" %lld was expected", where,
			(long long)r->limits.items, (long long)r->item_positions);
	const int64_t room = r->positions - r->position_offset;
	if (r->counting == COUNT_TEXT && r->limits.tokens > room)
		die("%s: \"max_token_num\" is %lld, at most %lld was expected: \"max_position_embeddings\" behind the padding",
			where, (long long)r->limits.tokens, (long long)room);
	if (r->counting == COUNT_ITEM && r->limits.attributes * r->limits.attribute_tokens + 2 > room)
		die("%s: items of \"max_attr_num\" %lld times \"max_attr_length\" %s, at most %lld were expected", where,
			(long long)r->limits.attributes, counted(r->limits.attribute_tokens, "tokens"), (long long)room - 2);
}
