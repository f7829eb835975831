#include "data/word_rules.h"

#include <string.h>

#include "data/tokenizer_document.h"

/* --- what rules are made of --- */

static json_t *split(const char *pattern)
{
	return json_build("{s:s,s:{s:s},s:s,s:b}", "type", "Split", "pattern", "Regex", pattern, "behavior", "Isolated",
		"invert", 0);
}

static json_t *gpt2(const char *const *patterns)
{
	(void)patterns;
	return document_byte_level(true);
}

/* Each digit is a word of its own. */
static json_t *gpt2_digits(const char *const *patterns)
{
	(void)patterns;
	return json_build("{s:s,s:[{s:s,s:b},o]}", "type", "Sequence", "pretokenizers", "type", "Digits",
		"individual_digits", 1, document_byte_level(true));
}

static json_t *cut_by(const char *const *patterns)
{
	json_t *steps = json_array();
	for (; *patterns; patterns++)
		json_append(steps, split(*patterns));
	json_append(steps, document_byte_level(false));
	return document_sequence("pretokenizers", steps);
}

/* Punctuation, GPT-2's words of the rest, numbers, and these in threes. */
static json_t *falcon(const char *const *patterns)
{
	(void)patterns;
	return json_build("{s:s,s:[{s:s,s:s},o,{s:s,s:b},o]}", "type", "Sequence", "pretokenizers", "type", "Punctuation",
		"behavior", "Contiguous", document_byte_level(true), "type", "Digits", "individual_digits", 0,
		split("[0-9][0-9][0-9]"));
}

/* --- the rules --- */

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LLAMA3(digits)                                                                                                 \
	CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES
/* words end where small letters turn into capitals */
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(ending, digits)                                                                                          \
	"[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" ending "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" ending           \
	"|\\p{N}" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SPACES
#define HAN "[一-龥ࠀ-一가-퟿]+"
#define MARKS "[!-/:-~！-／：-～‘-‟　-。]"
/* letters with case, as the family lists them */
/* clang-format off: it aligns by bytes */
#define CASED_LETTERS                                                                                                  \
	"A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-Ⴥ"                  \
	"Ꭰ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝ"                    \
	"\\x{1f5f}-\\x{1f7d}ᾀ-ᾴᾶ-ᾼ\\x{1fbe}ῂ-ῄῆ-ῌ\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}"                   \
	"ῠ-Ῥῲ-ῴῶ-ῼ"                                                                                            \
	"ℂℇℊ-ℓℕℙ-ℝℤ\\x{2126}ℨ\\x{212a}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤ"               \
	"Ⳬ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ"                              \
	"𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
/* clang-format on */
#define DEEPSEEK3                                                                                                      \
	"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"                \
	"| ?[\\p{P}\\p{S}]+[\\r\\n]*" SPACES

#define LIKE_LLAMA3 (IGNORES_MERGES | ADDS_BOS)

static const struct word_rule RULES[] = {
	{"gpt-2", gpt2, {NULL}, 0},
	{"roberta-bpe", gpt2, {NULL}, 0},
	{"phi-2", gpt2, {NULL}, 0},
	{"exaone4", gpt2, {NULL}, 0},
	{"granite-docling", gpt2, {NULL}, 0},
	{"jina-v1-en", gpt2, {NULL}, 0},
	{"jina-v2-code", gpt2, {NULL}, 0},
	{"jina-v2-de", gpt2, {NULL}, 0},
	{"jina-v2-es", gpt2, {NULL}, 0},
	{"mpt", gpt2, {NULL}, TAKES_NFC},
	{"olmo", gpt2, {NULL}, TAKES_NFC},
	{"modern-bert", gpt2, {NULL}, TAKES_NFC},
	{"smollm", gpt2_digits, {NULL}, 0},
	{"starcoder", gpt2_digits, {NULL}, 0},
	{"refact", gpt2_digits, {NULL}, 0},
	{"codeshell", gpt2_digits, {NULL}, 0},
	{"exaone", gpt2_digits, {NULL}, 0},
	{"minerva-7b", gpt2_digits, {NULL}, 0},
	{"command-r", gpt2_digits, {NULL}, TAKES_NFC},
	{"falcon", falcon, {NULL}, 0},
	{"llama-bpe", cut_by, {LLAMA3("{1,3}")}, LIKE_LLAMA3},
	{"llama3", cut_by, {LLAMA3("{1,3}")}, LIKE_LLAMA3},
	{"llama-v3", cut_by, {LLAMA3("{1,3}")}, LIKE_LLAMA3},
	{"falcon3", cut_by, {LLAMA3("{1,3}")}, LIKE_LLAMA3},
	{"pixtral", cut_by, {LLAMA3("{1,3}")}, LIKE_LLAMA3},
	{"lfm2", cut_by, {LLAMA3("{1,3}")}, LIKE_LLAMA3},
	{"smaug-bpe", cut_by, {LLAMA3("{1,3}")}, 0},
	{"dbrx", cut_by, {LLAMA3("{1,3}")}, 0},
	{"chatglm-bpe", cut_by, {LLAMA3("{1,3}")}, 0},
	{"glm4", cut_by, {LLAMA3("{1,3}")}, 0},
	{"qwen2", cut_by, {LLAMA3("")}, TAKES_NFC},
	{"deepseek-r1-qwen", cut_by, {LLAMA3("")}, TAKES_NFC},
	{"megrez", cut_by, {LLAMA3("")}, TAKES_NFC},
	{"stablelm2", cut_by, {LLAMA3("")}, TAKES_NFC},
	{"tekken", cut_by, {CASED("", "")}, LIKE_LLAMA3},
	{"gpt-4o", cut_by, {CASED(CONTRACTIONS "?", "{1,3}")}, 0},
	{"llama4", cut_by, {CASED(CONTRACTIONS "?", "{1,3}")}, 0},
	{"deepseek-llm", cut_by, {"[\\r\\n]", "\\s?[" CASED_LETTERS "]+", "\\s?" MARKS "+", "\\s+$", HAN, "\\p{N}+"}, 0},
	{"deepseek-coder", cut_by, {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", HAN, "\\p{N}"}, 0},
	{"deepseek-v3", cut_by, {"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK3}, 0},
};

/* Families with one rule. LLaMA's is none of them: its third generation, SmolLM and others go by the same name. */
static const char *const FAMILIES[][2] = {
	{"bart", "roberta-bpe"},
	{"codegen", "gpt-2"},
	{"cohere", "command-r"},
	{"command-r", "command-r"},
	{"deepseek_v3", "deepseek-v3"},
	{"falcon", "falcon"},
	{"gpt2", "gpt-2"},
	{"gpt_bigcode", "starcoder"},
	{"gpt_neo", "gpt-2"},
	{"gpt_neox", "olmo"},
	{"gptneox", "olmo"},
	{"granite", "refact"},
	{"gptj", "gpt-2"},
	{"longformer", "roberta-bpe"},
	{"modernbert", "modern-bert"},
	{"modern-bert", "modern-bert"},
	{"mpt", "mpt"},
	{"olmo", "olmo"},
	{"olmo2", "dbrx"},
	{"opt", "gpt-2"},
	{"phi", "phi-2"},
	{"phi2", "phi-2"},
	{"qwen2", "qwen2"},
	{"qwen2_moe", "qwen2"},
	{"qwen2moe", "qwen2"},
	{"qwen3", "qwen2"},
	{"qwen3_moe", "qwen2"},
	{"qwen3moe", "qwen2"},
	{"roberta", "roberta-bpe"},
	{"smollm3", "llama-bpe"},
	{"starcoder", "starcoder"},
	{"starcoder2", "starcoder"},
};

const struct word_rule *word_rule(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(RULES); i++)
		if (!strcmp(name, RULES[i].name))
			return &RULES[i];
	return NULL;
}

const struct word_rule *word_rule_of_family(const char *family)
{
	for (size_t i = 0; i < COUNT_OF(FAMILIES); i++)
		if (!strcmp(family, FAMILIES[i][0]))
			return word_rule(FAMILIES[i][1]);
	return NULL;
}

json_t *word_rule_normalizer(const struct word_rule *rule)
{
	return rule->flags & TAKES_NFC ? json_build("{s:s}", "type", "NFC") : json_null();
}

json_t *word_rule_pre_tokenizer(const struct word_rule *rule)
{
	return rule->build(rule->patterns);
}
